"""What a pipeline does on average, held against what it draws."""

import numpy as np
import pytest

import degrade
from degrade import Compose, Labels, Local, OneOf, Pipeline, masks


def test_expected_counts_what_is_drawn():
    """Against the rows of the same samples, drawn at once; more of them than are rendered and than one chunk holds."""
    recipe = Compose(
        Local(
            OneOf(degrade.GaussianBlur(), Compose(degrade.Jpeg(), degrade.MeanShift(), degrade.Jpeg(p=0.5)), p=0.8), masks.Rectangle(area=(0.1, 0.6))
        ),
        degrade.GaussianNoise(p=0.1),
        degrade.Contrast(p=0.0),
    )
    pipe = Pipeline(recipe, seed=9)
    told = pipe.expected(2500, size=(24, 32))
    labels = Labels(pipe.sample(range(2500), (24, 32)))
    assert told.types == labels.types and (told.samples, told.rendered, told.size) == (2500, 2000, (24, 32))
    rows = labels.rows()
    for i, name in enumerate(told.types):
        own = [row for row in rows if row["type"] == name]
        assert told.probability[i] == len({row["id"] for row in own}) / 2500 and told.slots[i] == len(own) / 2500
        assert told.severity[i].tolist() == np.histogram([np.float32(r["severity"]) for r in own], 10, (0, 1))[0].tolist()
        assert told.area[i].tolist() == np.histogram([np.float32(r["area"]) for r in own if r["id"] < 2000], 10, (0, 1))[0].tolist()
    assert told.untouched == float(labels.identity.all(1).double().mean()) > 0.1
    assert 0.05 < told.probability[told.types.index("gaussian_noise")] < 0.15


def test_expected_leaves_out_areas_that_nobody_knows():
    recipe = Compose(
        Local(degrade.MeanShift(0.3), masks.FromTensor()), Local(Local(degrade.Jpeg(), masks.FromTensor()), masks.Blob()), degrade.Contrast(0.5)
    )
    told = Pipeline(recipe).expected(20)
    assert dict(zip(told.types, told.area.sum(1).tolist())) == {"contrast": 20, "jpeg": 0, "mean_shift": 0} and (told.severity.sum(1) == 20).all()


def test_expected_reads_well():
    text = repr(
        Pipeline(Compose(degrade.Jpeg(severity=1.0, p=0.95), degrade.GaussianBlur(severity=0.05, p=0.05), degrade.Contrast(p=0.0))).expected(1000)
    )
    head, columns, contrast, blur, jpeg = text.split("\n")
    assert head.startswith("1,000 samples at 64x64: 1.0") and "left untouched" in head
    assert columns.split() == ["type", "in", "samples", "slots", "severity", "area"]
    assert jpeg.count("█") > 10 and "0         █1" in jpeg and contrast.startswith("contrast         0.0 %") and "█" not in contrast
    assert blur.split()[0] == "gaussian_blur" and "0█         1" in blur
    assert len({len(line) for line in (contrast, blur, jpeg)}) == 1


@pytest.mark.parametrize(
    "given, message", [({"samples": 0}, "samples=0 is not accepted"), ({"samples": 2.5}, "samples=2.5"), ({"size": (0, 4)}, r"size=\(0, 4\)")]
)
def test_expected_refuses(given, message):
    with pytest.raises(ValueError, match=message):
        Pipeline(degrade.Jpeg()).expected(**given)

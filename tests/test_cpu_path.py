"""Libraries that replace twins on the CPU: the same bits, from the canvas and from bytes, however the images lie in memory."""

import warnings

import numpy as np
import pytest
import torch
from test_engine import photo

import degrade
from degrade import Compose, GaussianNoise, Jpeg, Local, MedianBlur, OneOf, Phase, Pipeline, masks
from degrade.backends import cpu_path
from degrade.backends.twin import execute

pytest.importorskip("cv2")

RECIPES = {
    "jpeg": Jpeg(subsampling=degrade.Choice(Jpeg.parameters["subsampling"].choices)),
    "median": MedianBlur(half_width=degrade.Choice([0, 1, 2, 3])),
    "both, some empty": Compose(MedianBlur(p=0.7), OneOf(Jpeg(quality=(1, 30)), MedianBlur(half_width=1)), Jpeg(p=0.5)),
}
LAYOUTS = {
    "contiguous": lambda x: x,
    "channels last": lambda x: x.to(memory_format=torch.channels_last),
    "every other column": lambda x: x.repeat_interleave(2, 3)[..., ::2],
    "turned": lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    "one image for all": lambda x: x[:1].expand(len(x), -1, -1, -1),
}


def twins_alone(program, x, monkeypatch):
    """What the twins give, with no library."""
    with monkeypatch.context() as patch:
        patch.setattr("degrade.backends.twin.cpu_path", lambda name: False)
        return execute(program, x)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (37, 50)], ids=str)
@pytest.mark.parametrize("recipe", RECIPES)
def test_bytes_stay_what_the_twins_make_of_them(recipe, size, layout, monkeypatch):
    x = LAYOUTS[layout](photo(12, *size))
    before = x.clone()
    program = Pipeline(RECIPES[recipe], seed=2).sample(range(12), size)
    for backend in ("auto", "torch"):
        y = degrade.apply(program, x, backend=backend)
        assert torch.equal(y, twins_alone(program, x, monkeypatch)) and y.stride() == torch.empty_like(x).stride()
    assert torch.equal(x, before)


def test_single_and_grey_images_and_clips(monkeypatch):
    pipe = Pipeline(RECIPES["both, some empty"], seed=3)
    x = photo(6, 18, 25)
    want = twins_alone(pipe.sample(range(6), (18, 25)), x, monkeypatch)
    assert torch.equal(torch.stack([pipe(image, ids=[i]) for i, image in enumerate(x)]), want)
    grey = pipe(x[:, :1], ids=range(6))
    assert grey.shape == (6, 1, 18, 25) and torch.equal(grey, pipe(x[:, :1].expand(-1, 3, -1, -1), ids=range(6))[:, :1])
    assert torch.equal(pipe(x.unflatten(0, (3, 2)), ids=range(3))[:, 1], degrade.apply(pipe.sample(range(3), (18, 25)).from_frame(1), x[1::2]))


@pytest.mark.parametrize(
    "recipe", [Local(Jpeg(20), masks.Ellipse()), Phase(Jpeg(20)), Compose(Jpeg(20), GaussianNoise(0.1))], ids=["mask", "phase", "other op"]
)
def test_what_is_more_goes_the_other_ways(recipe, monkeypatch):
    monkeypatch.setattr("degrade.backends.in_bytes", None)
    x = photo(3, 20, 30)
    assert degrade.apply(Pipeline(recipe).sample(range(3), (20, 30)), x, backend="torch").shape == x.shape


@pytest.mark.parametrize("broken", ["cpu", "cpu_bytes"])
def test_a_library_that_differs_is_not_used(broken, monkeypatch):
    """Said once, and the twins do it."""
    own = getattr(Jpeg, broken)
    monkeypatch.setattr(Jpeg, broken, staticmethod(lambda x, theta: own(x, theta) * np.float32(1) * 0 if broken == "cpu" else own(x, theta) // 2))
    cpu_path.cpu_path.cache_clear()
    try:
        with pytest.warns(UserWarning, match=r"jpeg: the CPU codec of this machine is not used \(results differ\)"):
            assert not cpu_path.cpu_path("jpeg")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            x, program = photo(2, 16, 16), Pipeline(Jpeg(30)).sample(range(2), (16, 16))
            got = degrade.apply(program, x, backend="torch")
    finally:
        monkeypatch.undo()
        cpu_path.cpu_path.cache_clear()
    assert torch.equal(got, degrade.apply(program, x, backend="torch"))

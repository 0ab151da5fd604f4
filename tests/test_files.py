"""Programs and pipelines as files: exact, whole, and refused with one sentence where they are damaged."""

import json

import numpy as np
import pytest
import torch
from test_pipeline import everything

import degrade
from degrade import Choice, Compose, Local, LogUniform, Pipeline, Program, masks


def test_programs_survive_files_to_the_bit(tmp_path):
    pipe = Pipeline(everything(), seed=-5)
    program = pipe.sample([3, -1, 2**60, 4, 5, 6], (20, 24))
    program.save(tmp_path / "p.json")
    again = degrade.load(tmp_path / "p.json")
    assert isinstance(again, Program) and program.equals(again)
    x = torch.randint(0, 256, (6, 3, 20, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(degrade.apply(again, x), degrade.apply(program, x))
    assert torch.equal(degrade.apply(program, x), pipe(x, ids=[3, -1, 2**60, 4, 5, 6]))
    assert not program.equals(pipe.sample([3, -1, 2**60, 4, 5, 7], (20, 24)))
    assert json.loads((tmp_path / "p.json").read_text())["stream"] == degrade.STREAM


def test_pipelines_survive_files(tmp_path):
    pipe = Pipeline(everything(), seed=2**63 + 1)
    pipe.save(tmp_path / "p.yaml")
    again = degrade.load(tmp_path / "p.yaml")
    assert isinstance(again, Pipeline) and again.seed == pipe.seed
    assert pipe.sample(range(50), (20, 24)).equals(again.sample(range(50), (20, 24)))
    again.save(tmp_path / "q.yaml")
    assert (tmp_path / "p.yaml").read_text() == (tmp_path / "q.yaml").read_text()


def test_files_of_another_stream_are_refused(tmp_path):
    pipe = Pipeline(degrade.Jpeg(10))
    pipe.sample([1], (4, 4)).save(tmp_path / "p.json")
    pipe.save(tmp_path / "p.yaml")
    for name in ("p.json", "p.yaml"):
        text = (tmp_path / name).read_text()
        (tmp_path / name).write_text(text.replace(f'"stream": {degrade.STREAM}', '"stream": 99').replace(f"stream: {degrade.STREAM}", "stream: 99"))
        with pytest.raises(ValueError, match=r"stream=99.*install"):
            degrade.load(tmp_path / name)


@pytest.mark.parametrize(
    "text, message",
    [
        ("recipe: {GausianBlur: {}}", "did you mean 'GaussianBlur'"),
        ("recipe: {GaussianBlur: {sigmas: 1}}", "did you mean 'sigma'"),
        ("recipe: {GaussianBlur: {sigma: 1000}}", "sigma=1000 is out of range; accepted: 0 to 64 px"),
        ("recipe: {GaussianBlur: {sigma: {LogUnifrom: [1, 2]}}}", "did you mean 'LogUniform'"),
        ("recipe: {Compose: {childs: []}}", "did you mean 'children'"),
        ("recipe: {Compose: {children: 5}}", "children=5 is not understood"),
        ("recipe: {Local: {child: {Jpeg: {}}}}", "lacks 'mask'"),
        ("recipe: {MeanShift: {1: 2}}", "has the keys"),
        ("recipe: {MeanShift: {amount: {Choice: 5}}}", "in MeanShift: .*Choice 5 is not understood"),
        ("recipe: {MeanShift: {amount: {Normal: [0, a]}}}", "in MeanShift: .*Normal"),
        ("recipe: {OneOf: {children: [{Jpeg: {}}], weights: 3}}", "in OneOf: weights=3"),
        ("recipe: {Local: {child: {Jpeg: {}}, mask: {Ellipse: {area: [a, b]}}}}", "in Ellipse: area"),
        ("recipe: {Jpeg: {}}\nseed: abc", "seed='abc' is not accepted"),
        ("recipe: {Jpeg: {}}\nseed: 1.7", "seed=1.7 is not accepted"),
        ("recipe: &a {Compose: {children: [*a]}}", "contains itself"),
        ("recipe: {Local: {child: {Jpeg: {}}, mask: {Elipse: {}}}}", "did you mean 'ellipse'"),
        ("recipe: {Jpeg: 5}", "arguments 5"),
        ("recipes: {Jpeg: {}}", "did you mean 'recipe'"),
        ("recipe: {Jpeg: {}", "is not YAML"),
        ("recipe: [Jpeg]", "is not understood"),
    ],
    ids=str,
)
def test_bad_recipes_name_what_is_wrong(tmp_path, text, message):
    (tmp_path / "p.yaml").write_text(f"degrade: pipeline\nstream: {degrade.STREAM}\n{text}\n")
    with pytest.raises((ValueError, TypeError), match=message):
        degrade.load(tmp_path / "p.yaml")


def test_unwritable_and_foreign_files(tmp_path):
    pipe = Pipeline(degrade.Jpeg(10))
    with pytest.raises(OSError, match="cannot be written"):
        pipe.save(tmp_path / "nowhere" / "p.yaml")
    with pytest.raises(OSError, match="cannot be written"):
        pipe.sample([1], (4, 4)).save(tmp_path / "nowhere" / "p.json")
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ValueError, match="not a degrade program"):
        degrade.load(tmp_path / "a.json")
    (tmp_path / "b.json").write_text("no")
    with pytest.raises(ValueError, match="not a degrade program"):
        degrade.load(tmp_path / "b.json")
    with pytest.raises(ValueError, match="suffix"):
        degrade.load(tmp_path / "a.txt")
    assert not list(tmp_path.glob(".*")), "a draft was left behind"


@pytest.mark.parametrize(
    "where, value",
    [
        ("samples.0.slots.0.theta", None),
        ("samples.0.slots.0.theta", [1.0, 2.0]),
        ("samples.0.slots.0.theta", [1e4]),
        ("samples.0.slots.0.theta", [float("nan")]),
        ("samples.0.slots.0.op", "contrast"),
        ("samples.0.slots.0.slot", -1),
        ("samples.0.slots.0.slot", 7),
        ("samples.0.slots.0.severity", 2.0),
        ("samples.0.id", 2**63),
        ("samples.0.id", 1.5),
        ("samples.0.regions.0.last", 9),
        ("samples.0.regions.0.numbers", [1.0]),
        ("samples.0.regions.0.numbers", [50.0] + [0.0] * 15),
        ("samples.0.regions.0.mask", "blob"),
        ("parent", [7]),
        ("key", "a"),
        ("key", 1 << 70),
        ("size", "ab"),
        ("slots", 10**12),
        ("maps", None),
        ("maps.float32_zlib_base64", "AAAA"),
        ("maps.shape", [1, 4, 5]),
    ],
    ids=str,
)
def test_damaged_programs_are_refused(tmp_path, where, value):
    program = Pipeline(Local(degrade.GaussianBlur(2.0), masks.FromTensor(torch.full((4, 4), 0.5)))).sample([1], (4, 4))
    data = program.to_dict()
    *path, last = [int(k) if k.isdigit() else k for k in where.split(".")]
    at = data
    for key in path:
        at = at[key]
    at[last] = value
    (tmp_path / "p.json").write_text(json.dumps(data))
    with pytest.raises(ValueError, match=r"this program is damaged: .+; accepted: what Program\.save wrote\."):
        degrade.load(tmp_path / "p.json")


def test_numpy_numbers_are_saved(tmp_path):
    recipe = Compose(
        degrade.MeanShift(LogUniform(np.float64(0.1), np.float32(0.25))),
        degrade.Jpeg(quality=Choice(np.array([10, 20])), subsampling=Choice(np.array(["4:2:0", "grey"])), p=np.float32(0.5)),
        Local(degrade.Contrast(np.float64(0.5)), masks.Ellipse(area=np.float32(0.25))),
    )
    Pipeline(recipe, seed=np.int64(3)).save(tmp_path / "p.yaml")
    assert degrade.load(tmp_path / "p.yaml").sample(range(9), (8, 8)).equals(Pipeline(recipe, seed=3).sample(range(9), (8, 8)))


def test_programs_print_what_they_do():
    program = Pipeline(Compose(Local(degrade.GaussianBlur(2.0), masks.Ellipse(area=0.2)), degrade.Jpeg(quality=12))).sample([9], (8, 8))
    assert program.describe(0) == "gaussian_blur(sigma=2) in ellipse, then jpeg(quality=12)"
    assert "id 9" in repr(program)

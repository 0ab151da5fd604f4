"""`degrade probe`: what is kept and written, runs that were cut off, and one sentence for whatever is wrong."""

import json
import re
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

import degrade
from degrade.cli import main
from degrade.probing import charts, page, pictures
from degrade.probing.store import name_of

SIDE = 40
QUICK = dict(types=["white_noise", "mean_shift"], levels=(4, 5), areas=(0.05, 1.0), positions="centre", resamples=20, device="cpu", batch=8)


def mean_colour(x):
    return x.mean((2, 3))


def images(count=5):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    return torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0.05, 0.95)


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def plain(monkeypatch):
    """Figures are left out: what they show is in the JSON, and drawing them takes seconds."""
    monkeypatch.setattr(charts, "png", lambda figure: b"")


# ---- what is kept --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [1, 3, 9, 14])
def test_a_run_that_was_cut_off_gives_what_one_that_was_not_gives(plain, tmp_path, calls):
    whole = degrade.probe(mean_colour, images(), tmp_path / "whole", **QUICK)
    left = calls

    def stop(done, total=None):
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        degrade.probe(mean_colour, images(), tmp_path / "cut", **QUICK, progress=stop)
    assert not (tmp_path / "cut/probe.json").exists()
    (tmp_path / "cut/parts/.white_noise-4.npz.77.part").write_bytes(b"half")  # as a kill leaves it
    before = len(list((tmp_path / "cut/parts").glob("*.npz")))
    embedded = []

    def counted(x):
        embedded.append(len(x))
        return mean_colour(x)

    counted.__name__ = "mean_colour"
    again = degrade.probe(counted, images(), tmp_path / "cut", **QUICK)
    assert tree(tmp_path / "cut") == tree(tmp_path / "whole") and json.dumps(again.data) == json.dumps(whole.data)
    assert before > 1 or calls < 9
    embedded.clear()
    degrade.probe(counted, images(), tmp_path / "cut", **QUICK)
    assert sum(embedded) == 5  # the clean ones, to see that the encoder is the same


def test_without_a_folder_the_same_comes_out(plain, tmp_path):
    kept, held = (degrade.probe(mean_colour, images(), out, **QUICK).data for out in (tmp_path / "out", None))
    assert json.loads((tmp_path / "out/probe.json").read_text()) == json.loads(json.dumps(held)) == json.loads(json.dumps(kept))


def test_progress_comes_to_its_total(tmp_path):
    calls = []
    degrade.probe(mean_colour, images(), **{**QUICK, "levels": (3, 5)}, progress=lambda done, total=None: calls.append((done, total)))
    assert calls[0] == (0, sum(done for done, _ in calls)) and all(total is None for _, total in calls[1:])


@pytest.mark.parametrize("change, said", [
    ({"levels": (3, 5)}, "out='{out}' holds a probe of another configuration, which differs in settings; accepted: the same one, or an empty folder."),
    ({"seed": 1}, "differs in settings"),
    ({"images": images(6)}, "differs in images"),
    ({"encoder": {"other": mean_colour}}, "differs in encoders"),
    ({"images": images()[:, :, :, :32], "encoder": {"other": mean_colour}}, "differs in encoders, images, size"),
    ({"encoder": {"mean_colour": lambda x: x.amax((2, 3))}}, "encoder 'mean_colour' gives other embeddings than in the run that was begun in out='{out}'"),
])  # fmt: skip
def test_another_configuration_in_the_same_folder(plain, tmp_path, change, said):
    given = {"encoder": mean_colour, "images": images(), "out": tmp_path / "out", **QUICK}
    degrade.probe(**given)
    before = tree(tmp_path)
    with pytest.raises(ValueError, match=re.escape(said.format(out=tmp_path / "out"))):
        degrade.probe(**{**given, **change})
    assert tree(tmp_path) == before


def test_what_only_the_numbers_depend_on_may_change(plain, tmp_path):
    given = {"encoder": mean_colour, "images": images(), "out": tmp_path / "out", **QUICK}
    degrade.probe(**given)
    other = degrade.probe(**{**given, "resamples": 30, "threshold": 0.9, "batch": 3})
    assert other.data["settings"]["resamples"] == 30 and other.data["settings"]["threshold"] == 0.9


def test_folders_of_something_else_and_damaged_parts(plain, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty, and holds no probe; accepted: an empty folder, or one that does not exist"):
        degrade.probe(mean_colour, images(), tmp_path / "photos", **QUICK)
    assert tree(tmp_path / "photos") == {"a.txt": b"mine"}
    degrade.probe(mean_colour, images(), tmp_path / "out", **QUICK)
    part = tmp_path / f"out/parts/{name_of('white_noise', 4.0)}.npz"
    part.write_bytes(part.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"white_noise-4\.npz' cannot be read: .*; delete it, and it is made again"):
        degrade.probe(mean_colour, images(), tmp_path / "out", **QUICK)


# ---- what is written -----------------------------------------------------------------------------------------------------


def test_page_and_figures(tmp_path):
    found = degrade.probe({"a<b>/c": mean_colour, "blind": lambda x: x[:, :, 0, 0] * 0}, images(), **QUICK)
    files = found.save(tmp_path / "new/folder")
    assert {f.name for f in files} == {
        "probe.json", "probe.png", "probe.html",
        *(f"encoder-{n}{s}.png" for n in ("a-b-c", "blind", "pixels") for s in ("", "-distance", "-auc")),
    }  # fmt: skip
    for file in files:
        if file.suffix == ".png":
            with Image.open(file) as image:
                assert min(image.size) > 150 and len(np.unique(np.asarray(image))) > 20
    html = (tmp_path / "new/folder/probe.html").read_text()
    assert html.count("data:image/png;base64,") == 10 and "<b>" not in html and "a&lt;b&gt;/c" in html and "$" not in re.sub('base64,[^"]*', "", html)
    assert "http" not in re.sub('base64,[^"]*', "", html)  # nothing is fetched
    first = tree(tmp_path)
    found.save(tmp_path / "new/folder")
    assert tree(tmp_path) == first


def test_one_area_one_type_and_words():
    found = degrade.probe(mean_colour, images(), **{**QUICK, "areas": 1.0, "types": "white_noise"}).data
    assert page.page(found, {name: b"" for name in ("probe.png", "x")}, {"mean_colour": ["x"]})
    assert page.cell([0.5, 0.25, None]) == "0.50 (0.25 to -)" and page.cell(None) == "-"
    assert page.area_cell({"area": 0.0123, "low": "always", "high": "never"}) == "1.23 % (always to never)"
    assert page.area_cell({"area": "never", "low": "never", "high": "never"}) == "never"
    assert page.stems(["a/b", "a:b", "", "A B"]) == ["encoder-a-b", "encoder-a-b_", "encoder-unnamed", "encoder-A-B__"]


def test_seeds_share_a_colour():
    assert [charts.kind_of(name) for name in ("local 0", "local-12", "x #2", "resnet18", "7", "a 1 b")] == [
        "local",
        "local",
        "x",
        "resnet18",
        "7",
        "a 1 b",
    ]
    found = degrade.probe({name: mean_colour for name in ("local 0", "whole", "local 1")}, images(), **{**QUICK, "types": "white_noise"}).data
    panel = charts.overview(found).axes[0]
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["local", "whole", "pixels"]
    colours = [line.get_color() for line in panel.lines[:4]]
    assert colours[0] == colours[2] and len(set(colours)) == 3


# ---- the images ----------------------------------------------------------------------------------------------------------


def folder(path, count=6, size=(50, 44)):
    path.mkdir()
    generator = np.random.default_rng(0)
    for i in range(count):
        Image.fromarray(generator.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path / f"{i}.png")
    return path


def test_pictures_are_middles_of_sources(tmp_path):
    src = folder(tmp_path / "src")
    Image.new("RGB", (39, 80)).save(src / "small.png")
    (src / "broken.png").write_bytes(b"nothing")
    (src / "again.png").write_bytes((src / "0.png").read_bytes())
    found = pictures.read(src, 40, 100)
    assert found.images.shape == (6, 3, 40, 40) and found.images.dtype == torch.uint8
    for key, image in zip(found.keys, found.images):
        name = key.replace("src/again", "src/0")
        assert np.array_equal(image.permute(1, 2, 0), np.asarray(Image.open(tmp_path / name))[5:45, 2:42])
    reasons = dict(found.skipped)
    assert reasons["src/small.png"] == "39x80 pixels are less than 40x40" and reasons["src/broken.png"] == "no image that Pillow knows"
    assert len(reasons) == 3 and any("it equals" in reason for reason in reasons.values())
    some = pictures.read([src], 40, 4)
    assert some.keys == found.keys[:4]
    (src / "0a.png").write_bytes((src / "broken.png").read_bytes())
    assert set(pictures.read(src, 40, 100).keys) == set(found.keys)


def test_too_few_pictures(tmp_path):
    src = folder(tmp_path / "src", 3)
    with pytest.raises(ValueError, match=r"the sources hold 3 images that can be used; .* accepted: at least 4 of 40x40 pixels or more\."):
        pictures.read(src, 40, 10)
    with pytest.raises(ValueError, match=r"hold 0 images that can be used; 'src/.*' was skipped: 44x50 pixels are less than 64x64"):
        pictures.read(src, 64, 10)


# ---- the command ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def at(tmp_path, monkeypatch):
    """A folder with sources, and encoders that are loaded by name."""
    loaded = []

    def encoder(spec, weights=None, device="cpu"):
        loaded.append((spec, weights, device))
        if spec == "none":
            raise ValueError("encoder 'none' is unknown.")

        def encode(x):
            return x.mean((2, 3))

        encode.name = spec
        return encode

    module = types.ModuleType("degrade.probing.encoders")
    module.encoder = encoder
    monkeypatch.setitem(sys.modules, "degrade.probing.encoders", module)
    monkeypatch.setattr(degrade.probing, "encoders", module, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    folder(tmp_path / "src")
    return tmp_path, loaded


def probe(*options, encoders=("a",), src=("--images", "src")):
    named = [part for name in encoders for part in ("--encoder", name)]
    quick = (
        "--types",
        "white_noise,mean_shift",
        "--areas",
        "0.05,1",
        "--positions",
        "centre,0.2:0.8",
        "--size",
        "40",
        "--resamples",
        "20",
        "--device",
        "cpu",
    )
    return main(["probe", *named, *src, "--out", "out", *quick, *options])


def test_command(plain, at, capsys):
    folder, loaded = at
    (folder / "src/small.png").write_bytes((folder / "src/0.png").read_bytes()[:0])
    assert probe("--weights", "w.pt", "--weights", "-", encoders=("a", "b")) == 0
    shown = capsys.readouterr()
    assert [(spec, str(weights)) for spec, weights, _ in loaded] == [("a", "w.pt"), ("b", "None")]
    for said in ("skipped   src/small.png: the file is empty", "left out  mean_shift, level 3, which changes nothing", "pixels", "equal MSE"):
        assert said in shown.out
    assert shown.err == ""
    data = json.loads((folder / "out/probe.json").read_text())
    assert data["encoders"] == ["a", "b", "pixels"] and data["settings"]["levels"] == [3, 5] and data["images"]["size"] == [40, 40]
    assert {row["position"] for row in data["rows"]} == {"centre", "0.2:0.8", "frame"}
    before = tree(folder / "out")
    assert probe(encoders=("a", "b")) == 0 and tree(folder / "out") == before


def test_command_on_the_photographs_of_scikit_image(at):
    assert probe("--count", "5", "--types", "darken", "--levels", "4", src=()) == 0
    assert json.loads((at[0] / "out/probe.json").read_text())["images"]["count"] == 5


@pytest.mark.parametrize("options, said", [
    (("--types", "blur"), "types 'blur' is unknown"),
    (("--levels", "3,six"), "--levels '3,six' is not understood; accepted: numbers with commas between."),
    (("--areas", "2"), "areas: 2 is out of range; accepted: 0.001 to 1."),
    (("--positions", "0.5:up"), "positions: '0.5:up' is not understood"),
    (("--weights", "a.pt", "--weights", "b.pt"), "--weights was given 2 times for 1 encoders; accepted: none, or one for each, - for none."),
    (("--images", "nowhere"), "SRC 'nowhere' does not exist"),
    (("--size", "512"), "the sources hold 0 images that can be used"),
    (("--count", "2"), "Invalid value for '--count'"),
    (("--device", "cpuu"), "device='cpuu' cannot be used"),
    (("--threshold", "2"), "threshold=2.0 is out of range"),
    (("--out", "src"), "out='src' is not empty, and holds no probe"),
    (("--encoder", "none"), "encoder 'none' is unknown."),
])  # fmt: skip
def test_bad_options_are_one_sentence(at, capsys, options, said):
    assert probe(*options) == 2
    shown = capsys.readouterr().err
    assert said in shown and shown.startswith("degrade: ") and shown.count("\n") == 1
    assert not (at[0] / "out").exists()

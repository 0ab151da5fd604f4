"""The command line: what each command shows, and that bad input is one sentence, exit code 2 and no file."""

import subprocess
import sys

import pytest

import degrade
from degrade.cli import main


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")


def test_demo_draws_a_sheet_and_says_what_it_did(tmp_path, capsys):
    image_module = pytest.importorskip("PIL.Image")
    pytest.importorskip("skimage")
    out = tmp_path / "sheet.png"
    assert main(["demo", "--out", str(out), "--samples", "4", "--size", "64", "--backend", "torch", "--device", "cpu", "--seed", "3"]) == 0
    shown = capsys.readouterr().out
    for word in ("backend   torch (asked for)", "device    cpu", "images/s", "program", f"wrote     {out}"):
        assert word in shown
    assert sum(f"  {i}  " in shown for i in (1, 2, 3, 4)) == 4
    image = image_module.open(out)
    assert image.format == "PNG" and image.mode == "RGB"
    # Four columns of pictures, enlarged to 192, beside the text; four rows under the head.
    assert 4 * 192 + 300 < image.width < 4 * 192 + 600
    assert 4 * 192 + 60 < image.height < 4 * 192 + 500
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_demo_is_the_same_for_the_same_seed_and_another_for_another(tmp_path, capsys):
    pytest.importorskip("PIL")
    pytest.importorskip("skimage")

    def bytes_of(seed):
        out = tmp_path / f"{seed}.png"
        assert main(["demo", "--out", str(out), "--samples", "1", "--size", "32", "--backend", "torch", "--seed", seed]) == 0
        return out.read_bytes()

    assert bytes_of("1") == bytes_of("1") != bytes_of("2")


def test_demo_shows_every_op_over_eight_samples():
    from degrade.cli.demo import CANDIDATES, choose_ids, recipe

    pipe = recipe(0, "torch")
    ids = choose_ids(pipe.sample(range(8 * CANDIDATES), (64, 64)), 8)
    program = pipe.sample(ids, (64, 64))
    shown = {program.ops[c] for c in program.code.ravel() if c >= 0}
    assert len(set(ids)) == 8
    assert len(shown) >= min(len(program.ops), 16)


def test_list_has_every_op_with_its_parameters(capsys):
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for op in degrade.REGISTRY.values():
        assert op.name in shown and op.group in shown
        assert all(name in shown for name in op.parameters)
    assert "kadid10k" in shown


def test_list_fits_eighty_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for name in degrade.REGISTRY:
        assert any(line.strip().startswith(name) for line in lines)


@pytest.mark.parametrize("pattern", ["*blur*", "GaussianBlur", "gaussian_blur", "blur"])
def test_list_takes_wildcards_classes_and_groups(pattern, capsys):
    assert main(["list", pattern]) == 0
    shown = capsys.readouterr().out
    assert "gaussian_blur" in shown and "impulse_noise" not in shown


def test_doctor_finds_nothing_wrong(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for word in (degrade.__version__, f"stream {degrade.STREAM}", "torch", "cpu: torch", "all checks passed"):
        assert word in shown
    assert "FAILED" not in shown


def test_doctor_exits_with_1_when_a_check_fails(capsys, monkeypatch):
    from degrade.cli import doctor

    monkeypatch.setattr(doctor, "_alone", lambda op: "differs" if op.name == "jpeg" else "")
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "FAILED" in shown and "jpeg: differs" in shown


BAD = {
    "samples": (["demo", "--samples", "0"], "--samples"),
    "size": (["demo", "--size", "many"], "--size"),
    "seed": (["demo", "--seed", "-1"], "--seed"),
    "option": (["demo", "--smaples", "4"], "--smaples"),
    "command": (["dmeo"], "dmeo"),
    "backend": (["demo", "--backend", "tritn", "--samples", "1", "--size", "32"], "did you mean 'triton'"),
    "unknown device": (["demo", "--device", "gpu"], "accepted: auto, cpu, cuda"),
    "no PNG": (["demo", "--out", "sheet.jpg"], "sheet.jpg"),
    "no folder": (["demo", "--out", "nowhere/sheet.png"], "nowhere"),
    "a folder": (["demo", "--out", "folder.png"], "folder.png"),
    "a file as folder": (["demo", "--out", "file/sheet.png"], "file"),
    "pattern": (["list", "gausian_blur"], "gaussian_blur"),
    "far pattern": (["list", "zzzzzz"], "zzzzzz"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence(case, tmp_path, monkeypatch, capsys):
    pytest.importorskip("PIL")
    pytest.importorskip("skimage")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    arguments, named = BAD[case]
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert named.lower() in told.err.lower()
    assert told.err.startswith("degrade: ") and told.err.count("\n") == 1 and "Traceback" not in told.err
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder.png"]


def test_cuda_where_there_is_none(tmp_path, monkeypatch, capsys):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["demo", "--device", "cuda", "--out", str(tmp_path / "a.png")]) == 2
    assert "--device cpu" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    pytest.importorskip("PIL")
    import numpy as np

    from degrade import draw

    with pytest.raises(OSError, match="cannot be written"):
        draw.save(tmp_path / "nowhere" / "a.png", np.zeros((2, 2, 3), np.uint8))
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(OSError, match="cannot be written"):
        draw.save(tmp_path / "taken.png", np.zeros((2, 2, 3), np.uint8))
    assert [p.name for p in tmp_path.iterdir()] == ["taken.png"]


def test_missing_pillow_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL", None)
    from degrade import draw

    with pytest.raises(ModuleNotFoundError, match=r"degrade\[demo\]"):
        draw.contact_sheet([])


def test_help_and_version(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert all(command in shown for command in ("demo", "list", "doctor"))
    assert main(["--version"]) == 0
    assert degrade.__version__ in capsys.readouterr().out


def test_runs_as_a_module(pytestconfig):
    done = subprocess.run([sys.executable, "-m", "degrade", "list", "nothing_like_it"], capture_output=True, text=True, cwd=pytestconfig.rootpath)
    assert done.returncode == 2 and done.stderr.startswith("degrade: pattern") and not done.stdout


# ---- the renderer ----------------------------------------------------------------------------------------------------


def test_where_and_what_is_as_opaque_as_mask_and_severity():
    import torch

    from degrade import draw

    original = torch.full((3, 1, 4), 100, dtype=torch.uint8)
    weights = torch.tensor([[[0.0, 1.0, 1.0, 0.5]]])
    strong = draw.where_and_what(original, weights, torch.tensor([1.0]), [(255, 0, 0)])
    faint = draw.where_and_what(original, weights, torch.tensor([0.0]), [(255, 0, 0)])
    grey = round(70 + 0.45 * 100)
    assert strong[0, 0].tolist() == [grey] * 3
    assert strong[0, 1].tolist() == [255, 0, 0]
    assert strong[0, 3].tolist() == [185, 58, 58]
    assert faint[0, 1].tolist() == [round(grey + 0.25 * (255 - grey)), round(0.75 * grey + 0.01), round(0.75 * grey + 0.01)]


def test_every_op_has_its_own_colour():
    from degrade import draw

    names = [f"op{i}" for i in range(90)]
    assert len(set(draw.palette(names).values())) == 90


def test_a_sheet_takes_images_masks_and_text():
    pytest.importorskip("PIL")
    import numpy as np
    import torch

    from degrade import draw

    image = torch.zeros(3, 20, 30, dtype=torch.uint8)
    row = [image, torch.ones(20, 30), np.full((20, 30, 3), 7, np.uint8), [draw.Note("blur", "everywhere", ("sigma 2 px",), "1", (1, 2, 3))]]
    sheet = draw.contact_sheet([row, row], title="two rows", columns=("a", "b", "c", "d"), legend={"blur": (1, 2, 3)})
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3
    for value in (0, 7, 255):
        assert (sheet == value).all(2).any()
    assert ((sheet == (1, 2, 3)).all(2)).any()


def test_gallery_draws_pictures_and_one_page(tmp_path, capsys):
    pytest.importorskip("PIL")
    pytest.importorskip("skimage")
    out = tmp_path / "gallery"
    assert main(["gallery", "--out", str(out), "--pattern", "mean_shift", "--size", "64", "--backend", "torch", "--device", "cpu"]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["index.html", "mean_shift.png"]
    page = (out / "index.html").read_text()
    assert page.count("data:image/webp;base64,") == 2 * 2 * 5 + 1  # two directions, whole and masked, five levels; the original
    assert '"name": "MeanShift"' in page and 'src="http' not in page and "/*OPS*/" not in page


def test_gallery_refuses_what_it_cannot_do(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["gallery", "--out", str(tmp_path / "file"), "--pattern", "jpeg"]) == 2
    assert "is a file; accepted" in capsys.readouterr().err
    assert main(["gallery", "--out", str(tmp_path / "new"), "--pattern", "jpg"]) == 2
    assert "nearest: jpeg" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_calibrate_writes_a_table(tmp_path, capsys):
    import json

    pytest.importorskip("skimage")
    out = tmp_path / "table.json"
    assert main(["calibrate", "--out", str(out), "--pattern", "darken", "--photographs", "1", "--size", "176"]) == 0
    table = json.loads(out.read_text())
    assert list(table["ops"]) == ["darken"] and table["ops"]["darken"]["up"][0] == 0 < table["ops"]["darken"]["up"][-1]
    assert main(["calibrate", "--metric", "nowhere:nothing", "--out", str(out)]) == 2
    assert "accepted: module:function" in capsys.readouterr().err
    assert main(["calibrate", "--bank", "arnica"]) == 2
    assert "did you mean 'arniqa'" in capsys.readouterr().err

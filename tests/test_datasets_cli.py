"""`degrade generate`, `apply`, `rebuild` and `verify` in a terminal: exit codes, and one sentence for whatever is wrong."""

import json

import pytest
from image_files import PIPE, encoded, folder, picture, save, tree

from degrade.cli import main
from degrade.datasets import manifest
from degrade.datasets.job import claimed


@pytest.fixture
def at(tmp_path, monkeypatch):
    """A folder with sources and a pipeline, which is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    folder(tmp_path / "src", 3)
    PIPE.save(tmp_path / "pipe.yaml")
    return tmp_path


def generate(*options, src="src", out="out", pipeline=("--pipeline", "pipe.yaml")):
    return main(["generate", src, "--out", out, *pipeline, "--device", "cpu", "--no-summary", *options])


@pytest.mark.parametrize("options, said", [
    (("--format", "jpeg"), "format 'jpeg' is unknown; did you mean 'jpg'? Accepted: jpg, parquet, png, webdataset, webp."),
    (("--color", "srbg"), "color 'srbg' is unknown; did you mean 'srgb'?"),
    (("--alpha", "grey"), "alpha 'grey' is unknown; accepted: black, drop, white."),
    (("--per-image", "0"), "per_image=0 is not positive; accepted: 1 or more."),
    (("--shards", "0"), "shards=0 is not positive; accepted: 1 or more."),
    (("--workers", "0"), "workers=0 is not positive; accepted: 1 or more."),
    (("--max-pixels", "0"), "max_pixels=0 is not positive"),
    (("--min-quality", "101"), "min_quality=101 is out of range; accepted: 0 to 100."),
    (("--device", "cpuu"), "device='cpuu' cannot be used"),
    (("--all-levels",), "all_levels goes with a bank; accepted: one of "),
    (("--bank", "kadid10k"), "both of --pipeline and --bank were given; accepted: one of them."),
    (("--per-image", "two"), "Invalid value for '--per-image'"),
    (("--seed", "-1"), "Invalid value for '--seed'"),
    (("--frmat", "png"), "No such option"),
])  # fmt: skip
def test_bad_options_are_one_sentence_and_nothing_is_written(at, capsys, options, said):
    before = tree(at)
    assert generate(*options) == 2
    shown = capsys.readouterr()
    assert said in shown.err and shown.err.startswith("degrade: ") and shown.err.count("\n") == 1 and not shown.out
    assert tree(at) == before and not (at / "out").exists()


@pytest.mark.parametrize("pipeline, said", [
    ((), "neither of --pipeline and --bank was given; accepted: one of them."),
    (("--bank", "kadid"), "--bank 'kadid' is unknown; did you mean 'kadid10k'?"),
    (("--pipeline", "none.yaml"), "none.yaml"),
    (("--pipeline", "src/000.png"), "src/000.png"),
    (("--pipeline", "program.json"), "--pipeline 'program.json' is a program; accepted: a pipeline (.yaml)."),
])  # fmt: skip
def test_bad_pipelines(at, capsys, pipeline, said):
    PIPE.sample([1], (8, 8)).save(at / "program.json")
    assert generate(pipeline=pipeline) == 2
    shown = capsys.readouterr().err
    assert said in shown and shown.count("\n") == 1 and not (at / "out").exists()


def test_bad_folders(at, capsys):
    def refused(said, *options, **places):
        before = tree(at)
        assert generate(*options, **places) == 2
        shown = capsys.readouterr().err
        assert said in shown and shown.count("\n") == 1 and tree(at) == before, shown

    refused("SRC 'none' does not exist; accepted: images, folders", src="none")
    refused("--out 'src/out' lies in SRC 'src'", out="src/out")
    refused("--out 'src' lies in SRC 'src'", out="src")
    refused("--out 'other' is not empty, and holds no job", src="src/000.png", out="other") if save(at / "other/x.png") else None
    refused("--out 'pipe.yaml' is a file; accepted: a folder.", src="src/000.png", out="pipe.yaml")
    assert generate() == 0
    for options in (("--per-image", "2"), ("--format", "webp"), ("--seed", "9"), ("--color", "raw"), ("--shards", "2")):
        refused("--out 'out' holds the results of another job; accepted: the same sources and options, or an empty folder", *options)
    save(at / "src/more.png")
    refused("--out 'out' holds the results of another job")
    (at / "src/more.png").unlink()
    before = tree(at)
    assert generate("--workers", "3") == 0 and tree(at) == before
    assert "images    3" in capsys.readouterr().out
    with claimed(at / "out"):
        refused("--out 'out' is being written by another run; accepted: a folder of its own, or this one when that run is done.")
    assert tree(at) == before
    for command in (["rebuild", "src", "--row", "0"], ["verify", "src"], ["rebuild", "none", "--row", "0"], ["verify", "none"]):
        assert main(command) == 2
        shown = capsys.readouterr().err
        assert shown.count("\n") == 1 and ("holds no" in shown or "No such file" in shown), shown
    (at / "out/job.json").write_text(json.dumps({"stream": 1}))
    assert main(["rebuild", "out", "--row", "0"]) == 2 and capsys.readouterr().err.count("\n") == 1


def test_bad_sources_are_listed_and_strict_stops(at, capsys):
    (at / "src/text.png").write_text("a text")
    save(at / "src/low.jpg", quality=30)
    (at / "src/cut.jpg").write_bytes(encoded(picture(), "JPEG")[:-200])
    assert generate("--min-quality", "50") == 1
    shown = capsys.readouterr().out
    assert "images    3\n" in shown and "skipped   1, as asked" in shown and "errors    2: errors.parquet says which" in shown
    rows = manifest.read(at / "out/errors.parquet")
    assert [(row["key"], row["kind"]) for row in rows] == [("src/cut.jpg", "error"), ("src/low.jpg", "skipped"), ("src/text.png", "error")]
    assert [row["reason"] for row in rows][1:] == ["JPEG quality 30 is below --min-quality 50", "no image that Pillow knows"]
    assert all(row["source"] == str(at / row["key"]) for row in rows)
    assert generate("--strict", "--min-quality", "50", out="strict") == 2
    shown = capsys.readouterr().err
    assert "cut.jpg" in shown and "damaged" in shown and shown.count("\n") == 1
    assert not (at / "strict/manifest.parquet").exists()
    (at / "src/cut.jpg").unlink()
    (at / "src/text.png").unlink()
    assert generate("--strict", "--min-quality", "50", out="sound") == 0  # what is skipped as asked stops nothing


def test_a_lossy_format_is_warned_of_and_apply_is_generate_in_one_part(at, capsys):
    assert generate("--format", "jpg") == 0
    assert "--format jpg degrades the results once more; png and webp keep every bit." in capsys.readouterr().err
    assert generate("--format", "webp", out="webp") == 0 and not capsys.readouterr().err.strip()
    assert main(["apply", "src", "--out", "applied", "--pipeline", "pipe.yaml", "--device", "cpu"]) == 0
    assert generate("--shards", "1", out="one") == 0 and tree(at / "applied") == tree(at / "one")
    assert main(["verify", "applied"]) == 0
    assert main(["generate", "src", "--out", "bank", "--bank", "kadid10k", "--seed", "4", "--device", "cpu"]) == 0
    assert {row["seed"] for row in manifest.read(at / "bank/manifest.parquet")} == {4}

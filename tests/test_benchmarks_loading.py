"""The comparison of loaders at toy length: rows are whole, a red check has no figures, and the report tells it."""

import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # benchmarks are run from a checkout and not installed

pytest.importorskip("rich")
pytest.importorskip("skimage")
pytest.importorskip("psutil")
pytest.importorskip("kornia")

from benchmarks import loading, report  # noqa: E402


def toy(tmp_path, workers="0"):
    out = tmp_path / "out.json"
    options = ["--images", "4", "--batch", "2", "--size", "40", "--rounds", "1", "--backend", "torch", "--note", "a toy"]
    code = loading.main(["--workers", workers, *options, "--out", str(out)])
    return code, json.loads(out.read_text())


@pytest.mark.parametrize("workers", ["0", "1"])
def test_every_way_is_told(tmp_path, capsys, workers):
    threads = torch.get_num_threads()
    try:
        code, result = toy(tmp_path, workers)
    finally:
        torch.set_num_threads(threads)
    assert code == 0 and result["note"] == "a toy" and result["args"]["suite"] == "loading"
    assert [row["way"] for row in result["rows"]] == [loading.PLAIN, loading.THEIRS, *loading.OWN]
    theirs = result["rows"][1]["images_per_s"]["median"]
    for row in result["rows"]:
        assert row["ok"] and row["images_per_s"]["median"] > 0 and row["core_ms"]["median"] >= 0
        assert row["times_per_image_code"] == pytest.approx(row["images_per_s"]["median"] / theirs)
    assert [row["checks"]["alone"] for row in result["rows"]] == ["n/a", "n/a", "ok", "ok", "ok"]
    told = report.markdown([report.headline(result)])
    table = [line for line in told.splitlines() if line.startswith("|")]
    assert "\n\na toy" in told
    assert len(table) == 7 and len({line.count("|") for line in table}) == 1 and "1.00" in table[3]
    assert table[6] in capsys.readouterr().out


def test_a_red_check_has_no_figures(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(loading.torch, "equal", lambda *_: False)
    code, result = toy(tmp_path)
    assert code == 1 and [row["ok"] for row in result["rows"]] == [True, True, False, False, False]
    assert "images_per_s" not in result["rows"][2]
    assert "RED alone: another result than the batch" in report.markdown([result])


def test_the_per_image_code_gets_the_chains_that_the_bank_draws():
    pytest.importorskip("benchmarks.baselines")
    photos, theirs = loading.Photos(3, 40), loading.PerImage(3, 40, [[], [("meanshift", 2)], [("darken", 5), ("jpeg", 1)]])
    pristine, shifted, dark = (theirs[i][0] for i in range(3))
    assert torch.equal(pristine, photos[0][0] / 255)
    assert torch.allclose(shifted, (photos[1][0] / 255 + 0.08).clamp(0, 1)) and dark.mean() < photos[2][0].float().mean() / 255
    assert len(photos) == 3 and photos[2][1] == 2

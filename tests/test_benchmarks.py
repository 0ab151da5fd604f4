"""The benchmark runner on a toy setting: rows are whole, and a red check carries no time."""

import json
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # benchmarks are run from a checkout and not installed

pytest.importorskip("rich")
pytest.importorskip("skimage")
pytest.importorskip("PIL")

from benchmarks import banks, checks, images, regions, report, run, suites, timing  # noqa: E402

TIMES = {"ms", "copy_ms", "host_ms", "images_per_s", "times_copy", "cv2"}


def toy(op="mean_shift", area=0.1):
    return run.Setting(op, "torch", "cpu", torch.uint8, batch=2, area=area, size=32)


@pytest.mark.parametrize("op, area", [("mean_shift", 0.1), ("gaussian_blur", 1.0), ("jpeg", 1.0), ("jpeg", 0.1)])
def test_a_row_is_whole(op, area):
    row = run.row(toy(op, area), seconds=0.0)
    assert row["ok"], row["checks"]
    assert row["checks"]["alone"] == "ok" and row["checks"]["codec"] == ("ok" if op == "jpeg" else "n/a")
    assert row["checks"]["outside"] == ("n/a" if area == 1.0 else "ok")
    assert row["ms"]["q1"] <= row["ms"]["median"] <= row["ms"]["q3"] and row["ms"]["repeats"] >= timing.CPU_LEAST
    assert row["images_per_s"] > 0 and row["times_copy"] > 0
    assert ("cv2" in row) == (area == 1.0)
    assert json.loads(json.dumps(row)) == row


@pytest.mark.parametrize("op, region, area", [("mean_shift", "ellipse", 0.1), ("jpeg 4:2:0", "edges", 0.5), ("contrast", "grid 4", 1.0)])
def test_a_row_about_a_region_is_held_against_the_whole_frame(op, region, area):
    row = run.row(run.Setting(op, "torch", "cpu", torch.uint8, batch=2, area=area, size=64, region=region), seconds=0.0)
    assert row["ok"], row["checks"]
    assert set(row["beside"]) == ({"whole", "one"} if region in suites.CELLS else {"whole"}) and row["labels_ratio"] > 0
    for other in row["beside"].values():
        assert other["ratio"] == row["ms"]["median"] / other["ms"]["median"] and other["bytes_ratio"] == row["bytes"] / other["bytes"]
        assert other["run_ratio"] == row["run_ms"]["median"] / other["run_ms"]["median"]
    assert json.loads(json.dumps(row)) == row


def test_suites_about_regions_are_told_in_their_own_table(monkeypatch, tmp_path, capsys):
    wanted = [run.Setting("mean_shift", "torch", "cpu", torch.uint8, 1, 1.0, 32, region) for region in ("grid 1", "voronoi 4")]
    monkeypatch.setattr(run, "settings", lambda *_: wanted)
    assert run.main(["--suite", "partitions", "--seconds", "0", "--out", str(tmp_path / "out.json")]) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert "voronoi" in capsys.readouterr().out
    result["rows"].append({**result["rows"][0], "ok": False, "checks": {"alone": "another result"}})
    lines = report.markdown([result]).splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 5 and len({line.count("|") for line in table}) == 1
    assert "voronoi 4" in table[3] and "RED alone: another result" in table[4] and "—" in table[4]


def test_bytes_say_what_a_region_takes():
    """Fewer for a blur under a small mask, the same for a point op; of one cell a copy beside the work."""

    def moved(op, region, area=1.0):
        setting = suites.Setting(op, "triton", "cpu", torch.uint8, 1, area, 128, region)
        return [regions.bytes_of(s.pipeline(), run.images(setting)) for s in (setting, *setting.beside().values())]

    small, whole = moved("gaussian_blur σ 2", "ellipse", 0.05)
    assert small < 0.7 * whole
    own, whole = moved("mean_shift", "ellipse", 0.05)
    assert own == whole
    own, whole, one = moved("mean_shift", "grid 1")
    assert own == one == 2 * whole


def test_settings_of_suites():
    """Every kind of op by every region; `--batch` takes the place of all batches, without rows that then repeat."""
    area = list(suites.settings("area", "*", "torch", False))
    assert {(s.op, s.region, s.area) for s in area} == {
        (op, mask, part) for op in suites.KINDS_OF_REGIONS for mask in suites.MASKS for part in (1.0, 0.5, 0.25, 0.1, 0.05)
    }
    cells = list(suites.settings("partitions", "mean_shift", "torch", False, 4))
    assert {s.region for s in cells} == set(suites.CELLS) and {s.batch for s in cells} == {4} and {s.size for s in cells} == {224, 512}
    assert len(list(suites.settings("batch", "mean_shift", "torch", True, 4))) == 1
    for suite in suites.SUITES:
        quick, every = (len(list(suites.settings(suite, "*", "torch", q))) for q in (True, False))
        assert 0 < quick <= every


def test_one_step_apart_from_opencv():
    assert run.row(toy("jpeg", 1.0), seconds=0.0)["cv2"]["largest_difference"] == 0
    assert run.row(toy("gaussian_blur", 1.0), seconds=0.0)["cv2"]["largest_difference"] <= 2


def test_a_red_check_carries_no_time(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(checks, "alone", lambda *_: "sample 1 has another result alone")
    monkeypatch.setattr(run, "settings", lambda *_: [toy()])
    assert run.main(["--out", str(tmp_path / "out.json")]) == 1
    result = json.loads((tmp_path / "out.json").read_text())
    (row,) = result["rows"]
    assert not row["ok"] and not TIMES & set(row)
    assert "sample 1" in capsys.readouterr().out
    table = report.markdown([result])
    assert "RED alone: sample 1" in table and report.NO_GPU in table


def test_a_run_that_is_stopped_keeps_its_rows(monkeypatch, tmp_path, capsys):
    def rows(*_):
        yield run.row(toy(), 0.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "settings", lambda *_: [toy(), toy()])
    monkeypatch.setattr(run, "run", rows)
    assert run.main(["--out", str(tmp_path / "out.json")]) == 1
    assert len(json.loads((tmp_path / "out.json").read_text())["rows"]) == 1
    assert "1 of 2 rows" in capsys.readouterr().err


def test_a_row_that_raises_is_red_and_the_others_go_on():
    bad, good = run.run([run.Setting("mean_shift", "triton", "cpu", torch.float64, batch=1, area=1.0, size=32), toy()], seconds=0.0)
    assert not bad["ok"] and not TIMES & set(bad)
    assert good["ok"]


@pytest.mark.parametrize("pattern, rows", [("meanshift", 1), ("jitter", 2), ("pixelate", 2)])
def test_a_type_of_a_bank_beside_its_own_code(pattern, rows, monkeypatch, tmp_path):
    pytest.importorskip("kornia")
    monkeypatch.setattr(banks, "BATCHES", (1, 2))
    monkeypatch.setattr(banks, "LEVELS", range(1, 3))
    monkeypatch.setattr(images, "PHOTOGRAPHS", 4)
    assert run.main(["--suite", "banks", "--op", pattern, "--quick", "--out", str(tmp_path / "out.json")]) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert len(result["rows"]) == rows and result["args"]["threads"] == 1
    for row in result["rows"]:
        assert row["checks"] == {"alone": "ok", "twin": "ok"}
        assert set(row["ms"]) == {"1", "2", "theirs"} and all(len(v) == 2 for v in row["levels_ms"].values())
        assert row["speed"]["2"] == row["ms"]["theirs"] / row["ms"]["2"] >= row["worst_level"] * 0.99
    assert pattern in report.markdown([result])


def test_every_type_of_both_banks_has_its_own_code():
    baselines = pytest.importorskip("benchmarks.baselines")
    x = run.photographs()[0]
    types = [s for s in banks.settings("*") if s.type != banks.WHOLE]
    for setting in types:
        if setting.type != "glass_blur":  # seconds
            assert banks.theirs(setting, 2, x[None])(0).shape in ((3, 224, 224), (224, 224, 3))
    assert set(baselines.ARNIQA) | set(baselines.IMAGENET_C) == {s.type for s in types}


def test_a_whole_bank_beside_its_own_code_does_the_same_to_each_sample():
    pytest.importorskip("benchmarks.baselines")
    setting = banks.Setting("arniqa", banks.WHOLE, "faithful")
    drawn, program = banks.chains(setting), setting.make().sample(range(8), (224, 224))
    types = setting.make().types
    for i in range(8):
        ops = [program.ops[c] for c in program.code[i] if c >= 0 and program.ops[c] != "eight_bit"]
        assert [types[name].op.name for name, _ in drawn[i]] == ops
        assert all(1 <= level <= 5 for _, level in drawn[i])
    assert 1.5 < sum(map(len, drawn)) / len(drawn) < 3  # 1 to 4 groups, and 5 % pristine
    assert banks.theirs(setting, None, run.photographs()[:2])(3).shape == (3, 224, 224)

"""The benchmarks beside peers, of memory, builds, growth and training steps, at toy size."""

import json
import sys
from pathlib import Path

import pytest
import torch

import degrade

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # benchmarks are run from a checkout and not installed

pytest.importorskip("rich")
pytest.importorskip("skimage")
pytest.importorskip("PIL")

from benchmarks import beside, build, generate, host, images, memory, peers, peers_gpu, plots, report, run, scaling, suites, timing, training  # noqa: E402

# Steps of 8 bits by which a peer differs at most, and on average. Blurs of torchvision and albumentations reflect at the border, kornia's is not cut; of
# JPEG torch and kornia do an approximation, and albumentations changes places of red and blue; kornia's and albumentations' lines are drawn otherwise.
APART = {
    "mean_shift": {"OpenCV": (0, 0), "torch": (0, 0), "kornia": (0, 0), "albumentations": (1, 0.6)},
    "gaussian_blur σ 0.5–5": {"OpenCV": (1, 0.1), "torch": (1, 0.01), "kornia": (8, 0.5), "torchvision": (99, 0.3), "albumentations": (99, 0.3)},
    "jpeg 4:2:0": {"OpenCV": (0, 0), "Pillow": (0, 0), "torch": (99, 3), "kornia": (99, 3), "torchvision": (0, 0), "albumentations": (255, 8)},
    "contrast of grey": {"OpenCV": (0, 0), "torch": (1, 0.01), "kornia": (1, 0.5), "torchvision": (2, 0.6), "albumentations": (2, 0.6)},
    "motion_blur 3–21": {"OpenCV": (1, 0.01), "torch": (1, 0.01), "kornia": (255, 20), "albumentations": (255, 10)},
    "saturation": {"OpenCV": (2, 0.6), "torch": (1, 0.01), "kornia": (1, 0.01), "torchvision": (3, 0.8), "albumentations": (2, 0.6)},
    "median_blur 3×3": {"OpenCV": (0, 0), "kornia": (0, 0), "albumentations": (0, 0)},
}


@pytest.mark.parametrize("op", peers.OPS)
def test_a_row_beside_its_peers(op):
    """Each does about the same as ours; what is not installed is named; who draws noise draws it by place, and as strong."""
    row = beside.measure(beside.Beside(op, 3, "cpu"), 0.0)
    assert row["ok"], row["checks"]
    wanted = [peer for peer in peers.PEERS if peer.op == op and "cpu" in peer.devices]
    assert set(row["peers"]) | set(row["absent"]) == {peer.name for peer in wanted}
    assert {peer.name for peer in wanted if not peers.installed(peer.package)} <= set(row["absent"])
    assert "OpenCV" in row["peers"]
    for name, found in row["peers"].items():
        assert found["ratio"] == found["ms"]["median"] / row["ms"]["median"]
        if op in peers.RANDOM:
            assert not found["alone"] and (found["takes"] == "per batch" or 0.9 < found["strength"] < 1.1), (name, found)
        else:
            largest, mean = APART[op][name]
            assert found["largest_difference"] <= largest and found["mean_difference"] <= mean, (name, found)
    assert json.loads(json.dumps(row)) == row
    line = beside.cells({**row, "op": op, "batch": 3})
    assert len(line) == len(beside.COLUMNS) and all(name in line[3] for name in (*row["peers"], *row["absent"]))
    columns, right, (brief,) = beside.brief([{**row, "op": op, "batch": 3}])
    assert len(columns) == len(brief) and set(right) < set(columns)
    assert {name.removesuffix(" ÷ ours") for name, cell in zip(columns, brief) if name.endswith("÷ ours") and cell} == set(row["peers"])
    assert line[3].count("**") == 2 * sum(found["ratio"] < 1 for found in row["peers"].values())


def test_a_peer_that_fails_is_an_entry_of_its_row(monkeypatch):
    def broken(images, theta):
        raise RuntimeError("no such kernel\nand more")

    extra = (("Broken", "torch", broken), ("Missing", "no.such.package", broken), ("Elsewhere", "torch", broken))
    monkeypatch.setattr(
        peers,
        "PEERS",
        tuple(peers.Peer(n, "mean_shift", p, "b3hw", call, "loop", ("cuda",) if n == "Elsewhere" else ("cpu",)) for n, p, call in extra),
    )
    row = beside.measure(beside.Beside("mean_shift", 1, "cpu", size=32), 0.0)
    assert row["ok"] and row["peers"] == {} and row["absent"] == {"Broken": "RuntimeError: no such kernel", "Missing": "not installed"}


def test_peers_of_gpus_twist_colours_as_the_ops_do():
    """The matrices that CV-CUDA gets, applied by hand."""
    x = images.photographs(2, 64)
    for op, saturates in (("mean_shift", False), ("saturation", True)):
        pipe = suites.Setting(op, "torch", "cpu", torch.uint8, 2, 1.0, 64).pipeline()
        theta = torch.from_numpy(pipe.sample([1, 2], (64, 64)).theta[:, 0])
        matrix = peers_gpu.twist(theta, saturates)
        y = torch.einsum("bij,bjhw->bihw", matrix[:, :, :3], x.float()) + matrix[:, :, 3, None, None]
        assert (y.round().clamp(0, 255) - pipe(x, ids=[1, 2]).float()).abs().max() <= 1


@pytest.mark.parametrize("op", memory.OPS[:2])
def test_memory_of_a_call(op):
    """The twins take a blur in 32 bits, with copies."""
    if not sys.platform.startswith("linux"):
        pytest.skip("read from /proc")
    setting = suites.Setting(op, "auto", "cpu", torch.uint8, 8, 1.0, 224)
    row = memory.measure(memory.Memory(setting, 5))
    assert row["ok"] and row["input_bytes"] == 8 * 3 * 224 * 224, row
    assert len(memory.cells({**setting.to_dict(), **row})) == len(memory.COLUMNS)
    assert row["times_input"] < 60


def test_memory_that_is_kept_is_red_and_what_a_call_holds_is_seen(monkeypatch):
    if not sys.platform.startswith("linux"):
        pytest.skip("read from /proc")
    kept = []

    class Leaks:
        def pipeline(self):
            def call(x, ids):
                torch.ones(40 << 20, dtype=torch.uint8)  # held while it runs
                kept.append(torch.ones(2 << 20, dtype=torch.uint8))
                return x.clone()

            return call

    setting = suites.Setting("mean_shift", "auto", "cpu", torch.uint8, 1, 1.0, 64)
    monkeypatch.setattr(suites.Setting, "pipeline", lambda _: Leaks().pipeline())
    row = memory.measure(memory.Memory(setting, 5))
    assert not row["ok"] and "more after 5 batches" in row["checks"]["growth"]
    assert 38 << 20 < row["beyond_bytes"] < 48 << 20


def test_a_cold_build_and_a_warm_start():
    pytest.importorskip("triton")
    pytest.importorskip("llvmlite")
    (row,) = build.run([build.Build("mean_shift", "cpu")], 0.0)
    assert row["ok"] and row["files"] > 0, row["checks"]
    assert row["cold"]["first_cpu_s"] > row["warm"]["first_cpu_s"] > 0
    assert len(build.cells(row)) == len(build.COLUMNS)
    (red,) = build.run([build.Build("no such op", "cpu")], 0.0)
    assert not red["ok"] and "cold" not in red and "no such op" in red["checks"]["run"]


def test_powers_are_those_of_the_points():
    """Of an exact power law, and of a last step that is steeper."""
    assert scaling.power([1, 2, 4, 8], [3 * x**0.7 for x in (1, 2, 4, 8)]) == pytest.approx(0.7)
    wanted = {(s.op, s.axis) for s in scaling.settings("*", "torch")}
    assert {axis for _, axis in wanted} == {"batch", "pixels", "area", "ops", "regions"}
    assert all((op, axis) in wanted for op in suites.KINDS for axis in ("batch", "pixels", "area"))


@pytest.mark.parametrize("slow, faster", [(1.0, False), (2.0, True)])
def test_a_row_of_scaling_says_where_time_grows_faster_than_bytes(slow, faster, monkeypatch):
    """With a clock that is made up: time as a power of the batch."""
    points = tuple((b, suites.Setting("mean_shift", "torch", "cpu", torch.uint8, b, 1.0, 32)) for b in (1, 2, 4))
    monkeypatch.setattr(timing, "on_cpu", lambda calls, *_: {name: timing.summary([points[int(name)][0] ** slow]) for name in calls})
    row = scaling.measure(scaling.Scaling("mean_shift", "batch", points), 0.0)
    assert row["ok"] and row["power"] == pytest.approx(slow) and row["bytes_power"] == pytest.approx(1.0) and row["faster"] == faster
    row = {"op": "mean_shift", "axis": "batch", "backend": "torch", **row}
    line = scaling.cells(row)
    assert len(line) == len(scaling.COLUMNS) and line[8] == ("yes" if faster else "no")


def test_generate_beside_codecs_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(generate, "PIPELINES", {"kadid10k": generate.PIPELINES["kadid10k"]})
    monkeypatch.setattr(generate, "HEIGHT", 24)
    monkeypatch.setattr(generate, "WIDTH", 32)
    options = ["--images", "2", "--per-image", "2", "--rounds", "1", "--workers", "2", "--out", str(tmp_path / "a.json")]
    threads = torch.get_num_threads()
    try:
        assert generate.main(options) == 0
    finally:
        torch.set_num_threads(threads)
    capsys.readouterr()
    assert report.main([str(tmp_path / "a.json")]) == 0
    shown = capsys.readouterr().out
    assert "| kadid10k | 4 of 32 x 24, png, 2 threads |" in shown and "ok: verify" in shown
    row = json.loads((tmp_path / "a.json").read_text())["rows"][0]
    assert row["ratio"] == pytest.approx(row["seconds"]["median"] / row["codecs_seconds"]["median"]) and row["ratio"] > 1
    assert len(generate.cells(row)) == len(generate.cells({**row, "ok": False})) == len(generate.COLUMNS)


def test_figures_of_what_results_hold(tmp_path):
    """A figure for each axis, points where the rows say; rows that are red or of no axis are not drawn."""
    pytest.importorskip("matplotlib")
    row = {"op": "jpeg", "backend": "triton", "dtype": "uint8", "batch": 4, "area": 0.5, "size": 32, "region": "", "ok": True, "bytes": 1000}
    row |= {"ms": {"median": 2.0}, "device": "cpu"}
    result = {"machine": {"device": "A card"}, "args": {"suite": "batch"}, "rows": [row, {**row, "batch": 8, "ok": False}]}
    (point,) = plots.points(result)
    assert plots.value("batch", point) == (4, 2000.0) and plots.value("roofline", point) == (1000, 500000.0)
    drawn = plots.draw([result, {**result, "args": {"suite": "area"}}], tmp_path / "new")
    assert {path.name for path in drawn} == {"batch-a-card.png", "area-a-card.png", "roofline-a-card.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    (tmp_path / "r.json").write_text(json.dumps(result))
    assert report.main(["--plots", str(tmp_path), str(tmp_path / "r.json")]) == 0
    (tmp_path / "r.json").write_text(json.dumps({**result, "rows": []}))
    assert report.main(["--plots", str(tmp_path), str(tmp_path / "r.json")]) == 1


def test_the_readme_shows_what_compares_and_no_notes():
    base = {"machine": {}, "rows": [{"batch": 1, "dtype": "uint8"}, {"batch": 2, "dtype": "uint8"}, {"batch": 2, "dtype": "float16"}]}
    assert [len(r["rows"]) for suite in ("ops", "targets") if (r := report.headline({**base, "args": {"suite": suite}}))] == [1, 3]
    assert report.headline({**base, "args": {"suite": "cpu"}})["brief"]
    assert all(report.headline({**base, "args": {"suite": suite}}) is None for suite in ("area", "partitions", "scaling", "memory", "build", "batch"))
    known = {*suites.SUITES, *run.SPECIAL, "loading", "training", "generate"}  # those three have commands of their own
    assert set(report.WHOLE) <= known and set(report.LARGEST) <= known and set(report.TABLES) <= known


@pytest.mark.parametrize("crops, views", [("two", 2), ("multi", 10)])
def test_a_training_step_at_toy_size(crops, views, tmp_path, capsys):
    out = tmp_path / "out.json"
    arguments = ["--model", "tiny", "--crops", crops, "--device", "cpu", "--batch", "2", "--size", "64", "--steps", "1", "--out", str(out)]
    assert training.main(arguments) == 0
    result = json.loads(out.read_text())
    assert set(result["step_ms"]) == {"plain", "in line"} and result["views"] == views
    assert "in line" in capsys.readouterr().out and "a tiny ViT in float32" in report.markdown([result])
    own = training.Training("tiny", crops, 2, "cpu", 64)
    before = [p.clone() for p in own.net.parameters()]
    own.in_line(0)
    assert any(not torch.equal(p, q) for p, q in zip(own.net.parameters(), before))
    made, again = own.degraded(0), own.degraded(1)
    assert sum(len(x) for x in made) == 2 * views and all(x.shape == y.shape and not torch.equal(x, y) for x, y in zip(made, again))


def test_idle_time_is_what_no_kernel_covers():
    assert training.gaps([(0, 4), (2, 5), (9, 10)]) == pytest.approx(0.4)
    assert training.gaps([(0, 10), (1, 2)]) == 0.0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_a_step_on_it_is_refused(capsys):
    assert training.main(["--batch", "1"]) == 1 and "--device cpu" in capsys.readouterr().err


def test_a_quick_run_of_the_targets_fits_three_minutes_of_a_gpu():
    """Beside building kernels: contestants with their warm-up, a device's own time, the host's, all at their limits."""
    assert timing.repeats(1e-4) == timing.CUDA_REPEATS and timing.repeats(10.0) == timing.CUDA_BLOCKS * timing.CUDA_LEAST
    seconds = 0.0
    for op, _, _, area in suites.targets(True):
        contestants = 2 + (sum(peer.op == op and "cuda" in peer.devices for peer in peers.PEERS) if area == 1.0 else 0)
        seconds += contestants * 1.25 * timing.CUDA_SECONDS + 3.0
    assert seconds < 180


def test_what_the_host_does_for_a_batch():
    wanted = host.settings("mean_shift,mixed*", 3)
    assert [s.op for s in wanted] == ["mean_shift", "mixed ops: 4"] and [s.batch for s in host.settings("mean_shift", None)] == [1, 256]
    rows = list(host.run(wanted, 0.0))
    assert all(row["ok"] and row["sent_bytes"] > 1000 and min(row[name]["median"] for name in ("draw_ms", "plan_ms", "load_ms")) > 0 for row in rows)
    assert rows[0]["launches"] == 1 and rows[1]["launches"] > 3 and json.loads(json.dumps(rows)) == rows
    assert all(len(host.cells(row)) == len(host.COLUMNS) for row in rows)
    one, other = (degrade.prepare(s.pipeline().sample([1], (32, 32))) for s in wanted)
    assert host.alike(one, one) == "ok" and host.alike(one, other) != "ok"
    (broken,) = host.run([suites.Setting("partition", "triton", "cpu", torch.uint8, 1, 1.0)], 0.0)
    assert not broken["ok"] and len(host.cells(broken)) == len(host.COLUMNS)

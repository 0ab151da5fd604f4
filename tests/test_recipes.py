"""The recipes of docs/recipes.md compile, are short, and do what they say; libraries that are not here are stood in for by what they hand over."""

import re
import sys
import types
from pathlib import Path

import pytest
import torch

TEXT = (Path(__file__).parents[1] / "docs" / "recipes.md").read_text()
SNIPPETS = {}
for section in re.split(r"\n## ", TEXT):
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", section, re.S)):
        SNIPPETS[section.split("\n")[0] if number == 0 else f"{section} {number}"] = code
COMMON, SIZE = SNIPPETS.pop("# Recipes"), 32


def run(name):
    """The names that a recipe defines, with the common ones."""
    names = {"__name__": "recipe"}
    exec(compile(COMMON, "common", "exec"), names)
    exec(compile(SNIPPETS[name], name, "exec"), names)
    return names


def images(b=3, seed=0):
    return torch.rand((b, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(seed))


def module(monkeypatch, name, **content):
    """A module of this name, and of the packages around it, for the time of the test."""
    parts = name.split(".")
    for i in range(1, len(parts)):
        monkeypatch.setitem(sys.modules, ".".join(parts[:i]), types.ModuleType(parts[i - 1]))
    found = types.ModuleType(name)
    vars(found).update(content)
    monkeypatch.setitem(sys.modules, name, found)


@pytest.mark.parametrize("name", SNIPPETS)
def test_recipes_are_short_and_compile(name):
    compile(SNIPPETS[name], name, "exec")
    assert len(SNIPPETS[name].splitlines()) <= 15


def test_there_is_one_for_each():
    assert list(SNIPPETS) == ["solo-learn", "DINOv2", "MMPretrain", "Re-IQA", "ARNIQA", "stable-pretraining", "Others"]


def test_solo_learn(monkeypatch):
    module(monkeypatch, "solo.methods", SimCLR=type("SimCLR", (), {"current_epoch": 2}))
    names = run("solo-learn")
    method = names["DegradedSimCLR"]()
    mean, std, pipe = names["mean"], names["std"], names["pipe"]
    views = [images(seed=n) for n in range(2)]
    batch = (torch.tensor([5, 6, 7]), [(v - mean) / std for v in views], torch.zeros(3))
    method.trainer = types.SimpleNamespace(training=False)
    assert method.on_after_batch_transfer(batch, 0) is batch
    method.trainer.training = True
    ids, got, _ = method.on_after_batch_transfer(batch, 0)
    assert pipe.calls.epoch == 2 and torch.equal(ids, batch[0])
    for n, (x, y) in enumerate(zip(views, got)):
        want = pipe(x, ids=[5, 6, 7], view=n)
        assert (y * std + mean - want).abs().mean() < 2e-3 < (y * std + mean - x).abs().mean()  # JPEG may jump where the input is rounded


def test_dinov2():
    names = run("DINOv2")
    mean, std = names["mean"], names["std"]
    data = {"collated_global_crops": images(4), "collated_local_crops": images(16)[:, :, :16, :16], "upperbound": 7}
    normalised = {k: ((v - mean) / std).half() if torch.is_tensor(v) else v for k, v in data.items()}
    got = names["degrade_crops"](dict(normalised), iteration=3, rank=1, world=2)
    assert got["upperbound"] == 7
    for key, count, first in (("collated_global_crops", 2, 0), ("collated_local_crops", 8, 2)):
        assert got[key].dtype == torch.float16 and got[key].shape == normalised[key].shape
        x = (normalised[key].float() * std + mean).clamp(0, 1)
        want = torch.cat([names["pipe"](part, ids=[14, 15], view=first + n) for n, part in enumerate(x.chunk(count))])
        assert torch.equal(got[key], ((want - mean) / std).half())


def test_mmpretrain(monkeypatch):
    registry = types.SimpleNamespace(register_module=lambda: lambda cls: cls)
    base = type("SelfSupDataPreprocessor", (), {"device": "cpu", "forward": lambda self, data, training: data})
    module(monkeypatch, "mmpretrain.models.utils.data_preprocessor", SelfSupDataPreprocessor=base)
    module(monkeypatch, "mmpretrain.registry", MODELS=registry)
    names = run("MMPretrain")
    views = [(images(seed=n) * 255).to(torch.uint8) for n in range(2)]
    samples = [types.SimpleNamespace(sample_idx=i) for i in (4, 9, 2)]
    stage = names["DegradingPreprocessor"]()
    got = stage.forward({"inputs": [v.flip(1) for v in views], "data_samples": samples}, True)["inputs"]
    for n, (x, y) in enumerate(zip(views, got)):
        assert torch.equal(y.flip(1), names["pipe"](x, ids=[4, 9, 2], view=n))
    assert torch.equal(stage.forward({"inputs": views, "data_samples": samples})["inputs"][0], views[0])


def test_reiqa():
    copies, image = run("Re-IQA")["copies"], (images(1)[0] * 255).to(torch.uint8).repeat(1, 2, 2)
    got = copies(image, 3)
    assert got.shape == (11, 3, 64, 64) and torch.equal(got, copies(image, 3))
    assert not torch.equal(got, copies(image, 4)) and not torch.equal(got, copies(image, 3, epoch=1))
    assert len({y.numpy().tobytes() for y in got}) >= 10  # of other types; two may be the identity


def test_arniqa():
    """The four images of an index have one program, which is another's for another index, and noise of their own."""
    names = run("ARNIQA")
    x, index = images(1).expand(8, -1, -1, -1), torch.arange(8)
    views, again = (names["views"](x, x, x, x, index + i) for i in (0, 100))
    assert len(views) == 4 and all(v.shape == x.shape for v in views)
    program = names["arniqa"].sample(index, (SIZE, SIZE))
    done = [[program.ops[c] for c in row if c >= 0] for row in program.code]
    noisy = [i for i in range(8) if {"gaussian_noise", "ycbcr_noise", "speckle_noise", "jitter"} & set(done[i])]
    still = [
        i
        for i in range(8)
        if set(done[i]) <= {"gaussian_blur", "jpeg", "brighten", "darken", "mean_shift", "contrast_squeeze", "eight_bit", "unsharp_mask"}
    ]
    assert noisy and still
    assert all(not torch.equal(views[0][i], views[1][i]) for i in noisy) and all(torch.equal(views[0][i], views[3][i]) for i in still)
    assert not torch.equal(views[0], again[0])


def test_stable_pretraining(monkeypatch):
    module(monkeypatch, "stable_pretraining.forward", simclr_forward=lambda self, batch, stage: batch)
    names = run("stable-pretraining")
    own = types.SimpleNamespace(training=True)
    for wrap in (lambda views: views, lambda views: {"views": views}):
        views = [{"image": images(seed=n), "sample_idx": torch.tensor([3, 1, 2])} for n in range(2)]
        names["forward"](own, wrap(views), "fit")
        for n, view in enumerate(views):
            want = (names["pipe"](images(seed=n), ids=[3, 1, 2], view=n) - names["mean"]) / names["std"]
            assert torch.equal(view["image"], want)
    own.training = False
    views = [{"image": images(), "sample_idx": torch.arange(3)}]
    assert torch.equal(names["forward"](own, views, "val")[0]["image"], images())


def test_keys_give_ids():
    id_of = run("Others")["id_of"]
    assert id_of("a/0001") == id_of("a/0001") != id_of("a/0002") and 0 <= id_of("a/0001") < 1 << 63

"""Encoders by name: what is loaded, checkpoints however wrapped, BRISQUE's statistics, and what is refused."""

import math
import sys
import types

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from degrade.probing import statistics
from degrade.probing.checkpoints import load_weights
from degrade.probing.encoders import Encoder, encoder
from degrade.probing.statistics import brisque

X = torch.rand((3, 3, 20, 24), generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))

    def forward(self, x):
        return self.body(x)


def net(seed=1):
    torch.manual_seed(seed)
    model = Net()
    model.body[1].running_mean.uniform_()
    return model


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A Python module `own_encoders` that can be imported, and the folder where it lies."""
    (tmp_path / "own_encoders.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class A:\n    made = nn.Flatten()\n"
        "def plain():\n    return lambda x: x.mean((2, 3))\n"
        "def drawn(path=None):\n    one = nn.Conv2d(3, 2, 1)\n    one.path = path\n    return one\n"
        "def needs(path):\n    return plain()\n"
        "def nothing():\n    return 3\n"
        "number = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_encoders", raising=False)
    return tmp_path


# ---- modules -----------------------------------------------------------------------------------------------------------------------


def test_a_module_is_called_in_eval_mode_without_gradients_and_averaged():
    model = net().train()
    got = encoder(model)(X)
    assert got.shape == (3, 4) and not got.requires_grad and not model.training
    assert torch.equal(got, model.body[1](model.body[0](X)).mean((2, 3)).detach())


@pytest.mark.parametrize("shape", [(3, 5), (3, 7, 5), (3, 5, 2, 3)])
def test_vectors_tokens_and_maps(shape):
    class Gives(nn.Module):
        def forward(self, x):
            return torch.arange(math.prod(shape), dtype=torch.float32).view(shape)

    y = Gives()(X)
    want = y if len(shape) == 2 else y.mean(1) if len(shape) == 3 else y.mean((2, 3))
    assert torch.equal(Encoder(Gives())(X), want)


def test_images_are_normalised():
    seen = []
    module = nn.Flatten()
    module.register_forward_pre_hook(lambda _, x: seen.append(x[0]))
    Encoder(module, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0))(X)
    for channel, (mean, std) in enumerate([(0.1, 0.5), (0.2, 0.25), (0.3, 2.0)]):
        assert torch.allclose(seen[0][:, channel], (X[:, channel] - mean) / std)


@pytest.mark.parametrize("one", [Encoder(nn.Flatten()), brisque], ids=("module", "statistics"))
def test_bytes_are_refused(one):
    """Their range is another."""
    with pytest.raises(TypeError, match=r"x is torch\.uint8; accepted: images b 3 h w of floats in 0…1"):
        one((X * 255).byte())


def test_on_a_device():
    one = encoder(nn.Conv2d(3, 2, 1), device="meta")
    assert next(one.module.parameters()).is_meta
    assert not next(encoder(nn.Conv2d(3, 2, 1)).module.parameters()).is_meta


# ---- names -------------------------------------------------------------------------------------------------------------------------


def test_own_code(here):
    assert torch.equal(encoder("own_encoders:plain")(X), X.mean((2, 3)))
    assert torch.equal(encoder(f"{here}/own_encoders.py:plain")(X), X.mean((2, 3)))
    assert torch.equal(encoder("own_encoders:A.made")(X), X.flatten(1))
    named = encoder("mine=own_encoders:A.made", device="cpu")
    assert named.name == "mine" and encoder("own_encoders:A.made").name == "A.made" and torch.equal(named(X), X.flatten(1))


def test_what_makes_an_encoder_gets_the_weights(here, tmp_path):
    assert encoder("own_encoders:drawn").module.path is None
    assert encoder("own_encoders:drawn", "random").module.path == "random"
    assert encoder("own_encoders:drawn", str(tmp_path / "a.pt")).module.path == tmp_path / "a.pt"


def test_random_weights_are_the_same_every_time_and_draw_nothing_from_the_caller(here):
    torch.manual_seed(5)
    first = encoder("own_encoders:drawn")(X)
    after = torch.rand(2)
    torch.manual_seed(6)
    assert torch.equal(encoder("own_encoders:drawn")(X), first)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(2), after)


def test_sizes_are_kept_under_another_name(here, monkeypatch):
    import own_encoders

    fixed = Encoder(nn.Flatten(), size=(8, 9))
    monkeypatch.setattr(own_encoders, "plain", lambda: fixed)
    assert encoder("own_encoders:plain").size == encoder("b=own_encoders:plain").size == (8, 9)


@pytest.mark.parametrize("spec, weights, words", [
    ("resnet18", None, "encoder 'resnet18' is not known; accepted: timm:NAME, torchvision:NAME, package.module:callable"),
    ("timm:", None, "encoder 'timm:' is not known"),
    ("statistics", "a.pt", "encoder 'statistics' has no weights, and 'a.pt' was given; accepted: none."),
    ("no_such_module:f", None, "encoder 'no_such_module:f' is not there: No module named 'no_such_module'"),
    ("none.py:f", None, "encoder 'none.py:f' is not there: .*none.py"),
    ("own_encoders:f", None, "encoder 'own_encoders:f' is not there: module 'own_encoders' has no attribute 'f'"),
    ("own_encoders:number", None, "encoder 'own_encoders:number' is a int; accepted: a module, or a callable that makes an encoder."),
    ("own_encoders:nothing", None, "encoder 'own_encoders:nothing' made a int; accepted: a callable from images"),
    ("own_encoders:needs", None, "encoder 'own_encoders:needs' with no weights cannot be called: missing a required argument: 'path'"),
    ("own_encoders:plain", "a.pt", "encoder 'own_encoders:plain' with weights 'a.pt' cannot be called: too many positional arguments"),
])  # fmt: skip
def test_bad_names(here, spec, weights, words):
    with pytest.raises(ValueError, match=words):
        encoder(spec, weights)


def test_a_library_that_is_not_there(monkeypatch):
    for name in ("timm", "torchvision"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ModuleNotFoundError, match=f"encoder '{name}:resnet18' needs {name}, which is not installed: pip install {name}."):
            encoder(f"{name}:resnet18")


# ---- checkpoints -------------------------------------------------------------------------------------------------------------------


def wrapped(state, *outer, prefix=""):
    held = {f"{prefix}{name}": value for name, value in state.items()}
    for name in outer:
        held = {name: held, "epoch": 3, "args": {"lr": 0.1}}
    return held


@pytest.mark.parametrize(
    "outer, prefix", [((), ""), (("state_dict",), ""), ((), "module."), (("model", "all"), "_orig_mod.module.encoder.")], ids=str
)
def test_checkpoints_however_wrapped(tmp_path, outer, prefix):
    state = {**net(2).state_dict(), "head.weight": torch.zeros(5), "body.9.weight": torch.zeros(2)}
    torch.save(wrapped(state, *outer, prefix=prefix), tmp_path / "a.pt")
    assert torch.equal(encoder(net(1), tmp_path / "a.pt")(X), encoder(net(2))(X))
    assert not torch.equal(encoder(net(1))(X), encoder(net(2))(X))


def test_the_whole_set_is_taken_where_parts_of_another_stand_beside_it(tmp_path):
    whole, part = net(2).state_dict(), {"body.0.weight": torch.zeros((4, 3, 3, 3))}
    torch.save({"head": part, "student": whole}, tmp_path / "a.pt")
    assert torch.equal(encoder(net(1), tmp_path / "a.pt")(X), encoder(net(2))(X))


def test_counts_of_batches_may_be_missing(tmp_path):
    torch.save({k: v for k, v in net(2).state_dict().items() if "num_batches" not in k}, tmp_path / "a.pt")
    assert torch.equal(encoder(net(1), tmp_path / "a.pt")(X), encoder(net(2))(X))


class Unsafe:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("held, words", [
    ({"a": net().state_dict(), "b": net().state_dict()}, "fit more than once: 'a.', 'b.'; accepted: a file with one of them alone"),
    ({"x": torch.zeros(3)}, "hold no 'body.0.weight'; accepted: a checkpoint of the same model"),
    ({"body.0.weight": torch.zeros((4, 3, 3, 3))}, r"lack 5 of 6, such as 'body.0.bias'; accepted"),
    (wrapped({**net().state_dict(), "body.0.bias": torch.zeros(7)}), r"have 'body.0.bias' of \(7,\); accepted: \(4,\), as the model has"),
    ([1, 2], "hold a list; accepted: state dicts"),
    (Unsafe(), "cannot be read"),
])  # fmt: skip
def test_bad_checkpoints(tmp_path, capsys, held, words):
    torch.save(held, tmp_path / "a.pt")
    before = net(1)
    with pytest.raises(ValueError, match=words) as told:
        load_weights(before, tmp_path / "a.pt")
    assert str(tmp_path / "a.pt") in str(told.value) and "\n" not in str(told.value)
    assert all(torch.equal(v, w) for v, w in zip(before.state_dict().values(), net(1).state_dict().values()))
    assert "executed" not in capsys.readouterr().out


def test_files_that_are_none(tmp_path):
    (tmp_path / "a.pt").write_text("a text")
    with pytest.raises(ValueError, match="cannot be read"):
        load_weights(net(), tmp_path / "a.pt")
    with pytest.raises(FileNotFoundError):
        load_weights(net(), tmp_path / "b.pt")


# ---- statistics --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", (0.5, 1.0, 2.0, 4.0))
def test_moments_find_the_shape_of_generalised_gaussians(shape):
    v = stats.gennorm.rvs(shape, scale=0.7, size=(2, 400_000), random_state=0)
    found = statistics._symmetric(torch.from_numpy(v).float())
    assert found[0].exp().numpy() == pytest.approx(shape, rel=0.03)
    assert found[1].exp().numpy() == pytest.approx(stats.gennorm.var(shape, scale=0.7), rel=0.03)


@pytest.mark.parametrize("shape, left, right", [(1.0, 1.0, 1.0), (2.0, 1.0, 2.0), (0.7, 3.0, 1.0)])
def test_moments_find_asymmetric_ones(shape, left, right):
    """Each side is half of a generalised Gaussian, with as many samples as it is wide."""
    rng = np.random.default_rng(0)
    widths = [s * math.exp(0.5 * (math.lgamma(1 / shape) - math.lgamma(3 / shape))) for s in (left, right)]
    count = rng.binomial(600_000, widths[0] / sum(widths))
    sides = [np.abs(stats.gennorm.rvs(shape, scale=w, size=n, random_state=i)) for i, (w, n) in enumerate(zip(widths, (count, 600_000 - count)))]
    v = np.concatenate([-sides[0], sides[1]])
    found = statistics._asymmetric(torch.from_numpy(v[None]).float())
    assert found[0].exp().item() == pytest.approx(shape, rel=0.05)
    assert [f.exp().item() for f in found[2:]] == pytest.approx([left**2, right**2], rel=0.05)
    assert found[1].item() == pytest.approx(v.mean(), abs=0.02)


def test_mscn_is_its_formula():
    from scipy.ndimage import correlate1d

    luma = np.random.default_rng(0).random((15, 21)) * 255
    taps = np.exp(-(np.arange(-3, 4) ** 2) / (2 * (7 / 6) ** 2))
    taps /= taps.sum()

    def blurred(v):
        return correlate1d(correlate1d(v, taps, 0, mode="nearest"), taps, 1, mode="nearest")

    mean = blurred(luma)
    want = (luma - mean) / (np.sqrt(np.maximum(blurred(luma**2) - mean**2, 0)) + 1)
    got = statistics.mscn(torch.from_numpy(luma)[None, None])[0, 0]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-9)


def test_statistics_of_an_image_are_its_own():
    one = brisque(X)
    assert one.shape == (3, 36) and one.isfinite().all() and brisque(X).dtype == torch.float32
    assert torch.allclose(brisque(X[1:2]), one[1:2], atol=1e-4)
    # Products of neighbours: those along rows of an image are those along columns of the image that lies on its side.
    turned = brisque(X.transpose(2, 3))
    for at in (2, 18 + 2):
        assert torch.allclose(one[:, at : at + 4], turned[:, at + 4 : at + 8], atol=1e-3)
        assert not torch.allclose(one[:, at : at + 4], one[:, at + 4 : at + 8], atol=1e-3)


def test_flat_and_extreme_images_have_statistics():
    flat = torch.stack([torch.zeros((3, 16, 16)), torch.ones((3, 16, 16)), (torch.arange(16) % 2).expand(3, 16, 16).float()])
    assert brisque(flat).isfinite().all()
    with pytest.raises(ValueError, match="images have 13x20 pixels; accepted: at least 14 a side"):
        brisque(X[:, :, :13, :20])


def test_statistics_see_blur_and_noise():
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.random((8, 3, 12, 12))).float()
    clean = nn.functional.interpolate(coarse, size=(96, 96), mode="bicubic").clamp(0, 1)
    noisy = (clean + torch.from_numpy(rng.normal(0, 0.05, clean.shape)).float()).clamp(0, 1)
    assert (brisque(noisy)[:, 1] > brisque(clean)[:, 1]).all()  # the variance of mscn


def test_it_is_an_encoder():
    assert torch.equal(encoder("statistics")(X), brisque(X))
    assert encoder("statistics").__name__ == "brisque" and encoder("by hand=statistics").name == "by hand"
    assert isinstance(encoder("statistics"), types.FunctionType)

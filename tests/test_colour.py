"""Colour conversions: against scikit-image, kornia and float64; the twin and the device equal bit for bit; gradients."""

import kornia
import numpy as np
import pytest
import skimage
import torch

from degrade.backends.engine import launch_on
from degrade.kernels import colour
from degrade.kernels.lang import jit, tl

NAMES = ("lab_from_rgb", "rgb_from_lab", "ycbcr_from_rgb", "rgb_from_ycbcr", "studio_from_rgb", "rgb_from_studio")


def cube():
    """All combinations of 17 levels, then random colours."""
    levels = np.stack(np.meshgrid(*[np.linspace(0, 1, 17)] * 3), -1).reshape(-1, 3)
    return np.concatenate([levels, np.random.default_rng(0).random((4096, 3))]).astype(np.float32)


def planes(a):
    return tuple(torch.from_numpy(np.ascontiguousarray(a[:, i])) for i in range(3))


def stacked(t):
    return torch.stack(t, 1).double().numpy()


def test_lab_is_that_of_scikit_image_and_kornia():
    rgb = cube()
    lab = stacked(colour.lab_from_rgb(*planes(rgb)))
    assert np.abs(lab - skimage.color.rgb2lab(rgb.astype(np.float64)[None])[0]).max() < 2e-4
    assert np.abs(lab - kornia.color.rgb_to_lab(torch.from_numpy(rgb.T[None, :, :, None]).double())[0, :, :, 0].numpy().T).max() < 2e-2
    back = stacked(colour.rgb_from_lab(*planes(lab.astype(np.float32))))
    assert np.abs(back - rgb).max() < 2e-5


@pytest.mark.filterwarnings("ignore:.*negative Z")
@pytest.mark.parametrize("gain", [0.0, 0.5, 2.0, 9.0])
def test_colours_out_of_gamut_come_back_as_in_scikit_image(gain):
    lab = skimage.color.rgb2lab(cube().astype(np.float64)[None])[0] * [1, gain, gain]
    got = stacked(colour.rgb_from_lab(*planes(lab.astype(np.float32))))
    assert np.abs(got.clip(0, 1) - skimage.color.lab2rgb(lab[None])[0]).max() < 1e-5


def test_srgb_curves():
    """Against the definition in float64, to one part in a million, and beyond 0..1."""
    v = np.linspace(0, 1, 100001)
    straight = v <= 0.04045
    want = np.where(straight, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    got = colour.linear_from_srgb(torch.from_numpy(v.astype(np.float32))).numpy()
    assert np.abs(got - want).max() < 8e-7 and (np.abs(got - want) <= 2e-6 * want).all()
    lin = np.concatenate([v, np.geomspace(1, 5000, 10001)])
    want = np.where(lin <= 0.0031308, lin * 12.92, 1.055 * lin ** (1 / 2.4) - 0.055)
    got = colour.srgb_from_linear(torch.from_numpy(lin.astype(np.float32))).numpy()
    assert (np.abs(got - want) <= 1e-6 * (want + 0.055)).all()
    below = torch.tensor([-0.5, -0.01])
    assert torch.allclose(colour.srgb_from_linear(below), below * 12.92) and torch.allclose(colour.linear_from_srgb(below), below / 12.92)


@pytest.mark.parametrize("root, order", [(colour.cube_root, 3), (colour.fifth_root, 5), (colour.gamma_root, 2.4)])
def test_roots(root, order):
    x = np.geomspace(1e-3, 1e4, 1 << 18).astype(np.float32)
    assert np.abs(root(torch.from_numpy(x)).numpy() / x.astype(np.float64) ** (1 / order) - 1).max() < 3e-7


def test_luma_and_chroma():
    rgb = cube()
    full = stacked(colour.ycbcr_from_rgb(*planes(rgb)))
    assert np.abs(full - kornia.color.rgb_to_ycbcr(torch.from_numpy(rgb.T[None, :, :, None]))[0, :, :, 0].numpy().T).max() < 1e-6
    assert np.abs(stacked(colour.rgb_from_ycbcr(*planes(full.astype(np.float32)))) - rgb).max() < 1e-6
    studio = stacked(colour.studio_from_rgb(*planes(rgb)))
    assert np.abs(studio - skimage.color.rgb2ycbcr(rgb[None].astype(np.float64))[0] / 255).max() < 3e-7
    wild = np.random.default_rng(1).random((500, 3)).astype(np.float32)
    assert np.abs(stacked(colour.rgb_from_studio(*planes(wild))) - skimage.color.ycbcr2rgb(255.0 * wild[None].astype(np.float64))[0]).max() < 3e-6
    assert np.abs(colour.grey(*planes(rgb)).numpy() - rgb.astype(np.float64) @ [0.2989, 0.5870, 0.1140]).max() < 2e-7


@pytest.mark.parametrize("name", ["lab_from_rgb", "rgb_from_lab"])
def test_gradients(name):
    """Against central differences of the float32 function."""
    x = torch.from_numpy(np.random.default_rng(2).uniform(0.1, 0.9, (3, 200)).astype(np.float32))
    if name == "rgb_from_lab":
        x = torch.stack(colour.lab_from_rgb(*x))
    step = 1e-3 if name == "lab_from_rgb" else 0.05
    x.requires_grad_(True)
    torch.stack(getattr(colour, name)(*x)).sum().backward()
    for i in range(3):
        shift = torch.zeros(3, 1)
        shift[i] = step
        rise = torch.stack(getattr(colour, name)(*(x + shift).detach())).sum(0) - torch.stack(getattr(colour, name)(*(x - shift).detach())).sum(0)
        want = rise / (2 * step)
        assert torch.allclose(x.grad[i], want, rtol=0.02, atol=0.02 * want.abs().max().item())


@jit
def _convert(source, out, which: tl.constexpr, N: tl.constexpr):
    i = tl.arange(0, N)
    a, b, c = tl.load(source + i), tl.load(source + N + i), tl.load(source + 2 * N + i)
    if which == 0:
        a, b, c = colour.device_lab_from_rgb(a, b, c)
    elif which == 1:
        a, b, c = colour.device_rgb_from_lab(a, b, c)
    elif which == 2:
        a, b, c = colour.device_ycbcr_from_rgb(a, b, c)
    elif which == 3:
        a, b, c = colour.device_rgb_from_ycbcr(a, b, c)
    elif which == 4:
        a, b, c = colour.device_studio_from_rgb(a, b, c)
    elif which == 5:
        a, b, c = colour.device_rgb_from_studio(a, b, c)
    else:
        a, b, c = colour.device_grey(a, b, c), colour.device_linear_from_srgb(a), colour.device_srgb_from_linear(b)
    tl.store(out + i, a)
    tl.store(out + N + i, b)
    tl.store(out + 2 * N + i, c)


@pytest.mark.device
@pytest.mark.parametrize("which", range(7))
def test_device_equals_the_twin(which, device):
    n = 4096
    values = torch.from_numpy(cube()[-n:].T.copy())
    if which == 1:
        values = torch.stack(colour.lab_from_rgb(*values))
        values[1:] *= torch.linspace(0, 16, n)  # far out of gamut too
    if which == 6:
        values[1] = values[1] * 40.0 - 2.0
    want = (
        torch.stack(getattr(colour, NAMES[which])(*values))
        if which < 6
        else torch.stack([colour.grey(*values), colour.linear_from_srgb(values[0]), colour.srgb_from_linear(values[1])])
    )
    out = torch.zeros_like(values, device=device)
    launch_on(out, _convert, (1,), (values.to(device), out), {}, which=which, N=n)
    assert torch.equal(out.cpu(), want)


@pytest.mark.parametrize("name", ["lab_from_rgb", "rgb_from_lab", "linear_from_srgb", "srgb_from_linear"])
def test_working_in_pieces_changes_nothing(name):
    function = getattr(colour, name)
    x = torch.from_numpy(np.random.default_rng(3).random((3, 5, 67, 131)).astype(np.float32))
    x = x.transpose(0, 1)[:, : 3 if "lab" in name else 1].unbind(1)
    for got, want in zip(np.atleast_1d(function(*x)), np.atleast_1d(function.__wrapped__(*x))):
        assert np.array_equal(got, want)

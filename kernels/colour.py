"""Colour conversions, each as a twin on tensors and a device function on values, equal bit for bit.

Arguments and results are three planes of any shape. sRGB is gamma-encoded, in 0..1; white is D65. The powers that sRGB and
CIELAB need (2.4, 5/12 and 1/3) are roots by Halley's iteration, in single additions, multiplications and divisions; relative
error about 3e-7. Its last step has the derivative of the root, so gradients pass. A curve with a straight part is written as
straight(min(v, t)) + (curve(max(v, t)) - curve(t)), which costs a fraction of a selection.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from .lang import jit, tl

Planes = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
Twin = TypeVar("Twin", bound=Callable[..., Any])
PIECE = 30_000  # values: 120 kB, which the allocator keeps


def in_pieces(function: Twin) -> Twin:
    """The same pixelwise function of planes, a piece at a time: on a CPU, temporaries of a whole plane cost more than the sums."""

    @functools.wraps(function)
    def whole(*planes: torch.Tensor) -> Any:
        if planes[0].device.type != "cpu" or planes[0].numel() <= PIECE or any(p.requires_grad for p in planes):
            return function(*planes)
        count = -(-planes[0].numel() // PIECE)
        pieces = [function(*p) for p in zip(*(p.reshape(-1).chunk(count) for p in planes))]
        if isinstance(pieces[0], torch.Tensor):
            return torch.cat(pieces).view(planes[0].shape)
        return tuple(torch.cat(p).view(planes[0].shape) for p in zip(*pieces))

    return whole  # type: ignore[return-value]


# ---- roots -----------------------------------------------------------------------------------------------------------------


def _guess(x: torch.Tensor, p: float, offset: float) -> torch.Tensor:
    """x to the power p within 4.5 %: p times the bits is p times the exponent, and nearly the right mantissa."""
    return (x.detach().view(torch.int32).to(torch.float32) * p + offset).to(torch.int32).view(torch.float32)


def _cube_step(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    cube = y * y * y
    return y * ((cube + (x + x)) / (cube + cube + x))


def _fifth_step(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    square = y * y
    fifth = square * square * y
    return y * ((fifth * 2.0 + x * 3.0) / (fifth * 3.0 + x * 2.0))


def _twelfth_step(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    square = y * y
    fourth = square * square
    twelfth = fourth * fourth * fourth
    return y * ((twelfth * 11.0 + x * 13.0) / (twelfth * 13.0 + x * 11.0))


def cube_root(x: torch.Tensor) -> torch.Tensor:
    """The cube root of float32 values of at least 1e-3."""
    return _cube_step(_cube_step(_guess(x, 0.33333334, 709955456.0), x.detach()), x)


def fifth_root(x: torch.Tensor) -> torch.Tensor:
    """The fifth root of float32 values of at least 1e-3."""
    return _fifth_step(_fifth_step(_guess(x, 0.2, 851972544.0), x.detach()), x)


def gamma_root(x: torch.Tensor) -> torch.Tensor:
    """x to the power 5/12 for float32 values from 1e-3 to 1e6: the twelfth root of the fifth power."""
    square = x * x
    fifth = square * square * x
    return _twelfth_step(_twelfth_step(_guess(x, 0.41666666, 621236032.0), fifth.detach()), fifth)


@jit
def _device_guess(x, p: tl.constexpr, offset: tl.constexpr):
    return (x.to(tl.int32, bitcast=True).to(tl.float32) * p + offset).to(tl.int32).to(tl.float32, bitcast=True)


@jit
def _device_cube_step(y, x):
    cube = y * y * y
    return y * tl.div_rn(cube + (x + x), cube + cube + x)


@jit
def _device_fifth_step(y, x):
    square = y * y
    fifth = square * square * y
    return y * tl.div_rn(fifth * 2.0 + x * 3.0, fifth * 3.0 + x * 2.0)


@jit
def _device_twelfth_step(y, x):
    square = y * y
    fourth = square * square
    twelfth = fourth * fourth * fourth
    return y * tl.div_rn(twelfth * 11.0 + x * 13.0, twelfth * 13.0 + x * 11.0)


@jit
def device_cube_root(x):
    """The device function of `cube_root`."""
    return _device_cube_step(_device_cube_step(_device_guess(x, 0.33333334, 709955456.0), x), x)


@jit
def device_fifth_root(x):
    """The device function of `fifth_root`."""
    return _device_fifth_step(_device_fifth_step(_device_guess(x, 0.2, 851972544.0), x), x)


@jit
def device_gamma_root(x):
    """The device function of `gamma_root`."""
    square = x * x
    fifth = square * square * x
    return _device_twelfth_step(_device_twelfth_step(_device_guess(x, 0.41666666, 621236032.0), fifth), fifth)


# ---- sRGB and linear light -------------------------------------------------------------------------------------------------


@in_pieces
def linear_from_srgb(v: torch.Tensor) -> torch.Tensor:
    """Linear light of an sRGB value; below 0 as the straight part goes on."""
    u = (v.clamp(min=0.04045) + 0.055) * 0.94786729857820
    root = fifth_root(u)
    return v.clamp(max=0.04045) * 0.07739938080495 + (u * u * (root * root) - 0.0031308071)


@in_pieces
def srgb_from_linear(v: torch.Tensor) -> torch.Tensor:
    """The sRGB value of linear light, neither limited at 0 nor at 1."""
    return v.clamp(max=0.0031308) * 12.92 + (gamma_root(v.clamp(min=0.0031308)) * 1.055 - 0.0954499021)


@jit
def device_linear_from_srgb(v):
    """The device function of `linear_from_srgb`."""
    u = (tl.maximum(v, 0.04045) + 0.055) * 0.94786729857820
    root = device_fifth_root(u)
    return tl.minimum(v, 0.04045) * 0.07739938080495 + (u * u * (root * root) - 0.0031308071)


@jit
def device_srgb_from_linear(v):
    """The device function of `srgb_from_linear`."""
    return tl.minimum(v, 0.0031308) * 12.92 + (device_gamma_root(tl.maximum(v, 0.0031308)) * 1.055 - 0.0954499021)


def mix_linear(own: torch.Tensor, new: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    """From one sRGB value to another by m in linear light, not limited to 0..1."""
    light = linear_from_srgb(own)
    return srgb_from_linear(light + m * (linear_from_srgb(new) - light))


@jit
def device_mix_linear(own, new, m):
    """The device function of `mix_linear`."""
    light = device_linear_from_srgb(own)
    return device_srgb_from_linear(light + m * (device_linear_from_srgb(new) - light))


# ---- CIELAB ----------------------------------------------------------------------------------------------------------------


def _compress(t: torch.Tensor) -> torch.Tensor:
    """CIELAB's f: the cube root, straight below (6/29)³."""
    return t.clamp(max=0.0088564517) * 7.787037037 + (cube_root(t.clamp(min=0.0088564517)) - 0.06896551724)


def _expand(f: torch.Tensor) -> torch.Tensor:
    """The inverse of `_compress`."""
    high = f.clamp(min=0.20689655172)
    return high * high * high + (f.clamp(max=0.20689655172) - 0.20689655172) * 0.12841854935


@in_pieces
def lab_from_rgb(r: torch.Tensor, g: torch.Tensor, b: torch.Tensor) -> Planes:
    """L in 0..100, a and b within about ±110, of sRGB."""
    r, g, b = linear_from_srgb(r), linear_from_srgb(g), linear_from_srgb(b)
    x = _compress(r * 0.43394636 + g * 0.37621387 + b * 0.18982503)  # X, Y and Z over those of white
    y = _compress(r * 0.212671 + g * 0.715160 + b * 0.072169)
    z = _compress(r * 0.01775667 + g * 0.10946888 + b * 0.87270465)
    return y * 116.0 - 16.0, (x - y) * 500.0, (y - z) * 200.0


@in_pieces
def rgb_from_lab(lightness: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> Planes:
    """sRGB of CIELAB, not limited to 0..1; as scikit-image and kornia do, f(Z) is kept from going below 0."""
    f = (lightness + 16.0) * 0.00862068965517
    x = _expand(f + a * 0.002) * 0.95047
    y = _expand(f)
    z = _expand((f - b * 0.005).clamp(min=0.0)) * 1.08883
    red = x * 3.24048134 + y * -1.53715152 + z * -0.49853633
    green = x * -0.96925495 + y * 1.87599000 + z * 0.04155593
    blue = x * 0.05564664 + y * -0.20404134 + z * 1.05731107
    return srgb_from_linear(red), srgb_from_linear(green), srgb_from_linear(blue)


@jit
def _device_compress(t):
    return tl.minimum(t, 0.0088564517) * 7.787037037 + (device_cube_root(tl.maximum(t, 0.0088564517)) - 0.06896551724)


@jit
def _device_expand(f):
    high = tl.maximum(f, 0.20689655172)
    return high * high * high + (tl.minimum(f, 0.20689655172) - 0.20689655172) * 0.12841854935


@jit
def device_lab_from_rgb(r, g, b):
    """The device function of `lab_from_rgb`."""
    r, g, b = device_linear_from_srgb(r), device_linear_from_srgb(g), device_linear_from_srgb(b)
    x = _device_compress(r * 0.43394636 + g * 0.37621387 + b * 0.18982503)
    y = _device_compress(r * 0.212671 + g * 0.715160 + b * 0.072169)
    z = _device_compress(r * 0.01775667 + g * 0.10946888 + b * 0.87270465)
    return y * 116.0 - 16.0, (x - y) * 500.0, (y - z) * 200.0


@jit
def device_rgb_from_lab(lightness, a, b):
    """The device function of `rgb_from_lab`."""
    f = (lightness + 16.0) * 0.00862068965517
    x = _device_expand(f + a * 0.002) * 0.95047
    y = _device_expand(f)
    z = _device_expand(tl.maximum(f - b * 0.005, 0.0)) * 1.08883
    red = x * 3.24048134 + y * -1.53715152 + z * -0.49853633
    green = x * -0.96925495 + y * 1.87599000 + z * 0.04155593
    blue = x * 0.05564664 + y * -0.20404134 + z * 1.05731107
    return device_srgb_from_linear(red), device_srgb_from_linear(green), device_srgb_from_linear(blue)


# ---- luma and chroma -------------------------------------------------------------------------------------------------------


# The arithmetic is plain, so the twin is the source of the device function too. Triton would look an alias like Planes up, so
# what these return is told in words.


def ycbcr_from_rgb(r: torch.Tensor, g: torch.Tensor, b: torch.Tensor):
    """Y, Cb and Cr over the full range, Cb and Cr centred at 0.5."""
    y = r * 0.299 + g * 0.587 + b * 0.114
    return y, (b - y) * 0.564 + 0.5, (r - y) * 0.713 + 0.5


def rgb_from_ycbcr(y: torch.Tensor, cb: torch.Tensor, cr: torch.Tensor):
    """The inverse of `ycbcr_from_rgb`."""
    cb, cr = cb - 0.5, cr - 0.5
    return y + cr * 1.40252454, y - cr * 0.71440347 - cb * 0.34434014, y + cb * 1.77304965


def studio_from_rgb(r: torch.Tensor, g: torch.Tensor, b: torch.Tensor):
    """Y, Cb and Cr of BT.601's studio range over 255: Y in 16..235, Cb and Cr in 16..240."""
    y = r * 0.25678823529412 + g * 0.50412941176471 + b * 0.09790588235294 + 0.06274509803922
    cb = r * -0.14822352941176 - g * 0.29099215686275 + b * 0.43921568627451 + 0.50196078431373
    cr = r * 0.43921568627451 - g * 0.36778823529412 - b * 0.07142745098039 + 0.50196078431373
    return y, cb, cr


def rgb_from_studio(y: torch.Tensor, cb: torch.Tensor, cr: torch.Tensor):
    """The inverse of `studio_from_rgb`."""
    y, cb, cr = (y - 0.06274509803922) * 1.16438356, cb - 0.50196078431373, cr - 0.50196078431373
    return y + cr * 1.59602689, y - cr * 0.81296829 - cb * 0.39176254, y + cb * 2.01723264


def grey(r: torch.Tensor, g: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """MATLAB's weights."""
    return r * 0.2989 + g * 0.5870 + b * 0.1140


device_ycbcr_from_rgb, device_rgb_from_ycbcr = jit(ycbcr_from_rgb), jit(rgb_from_ycbcr)
device_studio_from_rgb, device_rgb_from_studio = jit(studio_from_rgb), jit(rgb_from_studio)
device_grey = jit(grey)

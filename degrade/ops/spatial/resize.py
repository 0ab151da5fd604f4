"""Resize down and up again: to 1 / factor of the size with a filter, and back; below factor 1, up first and down again.

The other size has ⌊size / factor⌋ pixels along each axis, at least one. With antialias "on" the filter is stretched by the
ratio when it reduces, taps beyond the border are left out and the rest made to sum to 1, and bicubic has a = −0.5: Pillow's
resize without its rounding to 8 bits. With "off" the filter keeps its width, the border pixel repeats, and bicubic has
a = −0.75: torch's interpolate and OpenCV. "lanczos" has three lobes; "area" is the mean of the pixels that a cell touches
(torch's adaptive pooling) and "nearest" the pixel in which the centre lies, both with or without antialias. What overshoots
is clamped after every pass with "on", as Pillow does, and only at the end with "off"; below factor 1 it is clamped once
between rows and columns. Source: Re-IQA, factors 2 to 16 with "on"; Real-ESRGAN, factors 2/3 to 20/3 with "off".
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.exact import device_turn, turn
from degrade.kernels.fetch import fetch, fetch_column
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp

from ._grid import take

FILTERS = ("bicubic", "bilinear", "lanczos", "area", "nearest")
BICUBIC, BILINEAR, LANCZOS, AREA = range(4)  # positions in FILTERS
SUPPORT = (2.0, 1.0, 3.0, 0.5, 0.0)  # of each filter, in pixels of the coarser grid


class Resize(TwoStrokeOp):
    """Reduce the image to 1 / `factor` of its size and enlarge it again."""

    factor = Param(0.25, 32.0, neutral=1.0, harsh=8.0, unit="× smaller")
    filter = Param(choices=FILTERS, default="bicubic")
    antialias = Param(choices=("on", "off"), default="on")
    steps = ("factor",)
    whole_frame = True  # the small image stands in a corner of the scratch
    tolerance = 5e-6

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """Height and width between, then how many taps reach to each side: down and across on the way there, and back."""
        size = np.asarray([frame.height, frame.width], dtype=np.float64)
        factor = theta[:, :1].astype(np.float64)
        between = np.maximum(np.floor(size / factor * (1.0 + 1e-6)), 1.0)
        which = theta[:, 1].astype(np.int64)
        support = np.asarray(SUPPORT)[which][:, None]
        stretched = ((theta[:, 2] == 0.0) | (which == AREA))[:, None]
        ratio = np.concatenate([size / between, between / size], 1)
        taps = np.ceil(support * np.where(stretched, np.maximum(ratio, 1.0), 1.0)) + (which == AREA)[:, None]
        return np.concatenate([between, taps], 1).astype(np.float32)

    @classmethod
    def schedule(cls, theta: Array, frame: Frame) -> Array:
        """Strokes 0 to 2 reduce and begin to enlarge; 3 and 4 do both along an axis, for the larger image does not fit the scratch."""
        return np.where(theta[:, :1] >= 1.0, [[0, 1, 2]], [[3, 4, -1]])

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        table = context.table.to(torch.int64)
        size = torch.tensor(x.shape[2:], device=x.device)[None].expand(len(x), 2)
        smaller = theta[0].flatten() >= 1.0
        out = torch.zeros_like(x)
        for key in torch.unique(torch.cat([smaller[:, None], table[:, 2:]], 1), dim=0):  # samples of as many taps run together
            these = ((smaller == (key[0] == 1)) & (table[:, 2:] == key[1:]).all(1)).nonzero().flatten()
            options = theta[1][these].flatten()[:, None], theta[2][these].flatten()[:, None]
            there, back = (table[these, :2], size[these]), (size[these], table[these, :2])
            y = x[these]
            if key[0] == 1:
                off = theta[2][these] == 1.0
                y = _along(y, 3, there, key[2], options)
                y = context.round(torch.where(off, y * 0.5 + 0.25, y))
                y = context.round(_along(y, 2, there, key[1], options))
                y = context.round(_along(y, 3, back, key[4], options))
                y = _along(y, 2, back, key[3], options)
                y = torch.where(off, y * 2.0 - 0.5, y)
            else:
                y = context.round(_along(_along(y, 3, there, key[2], options), 3, back, key[4], options))
                y = context.round(_along(_along(y, 2, there, key[1], options), 2, back, key[3], options))
            out = out.index_put((these,), y)
        return out

    @staticmethod
    @jit
    def reduce_rows(image, before, y, x, theta, table, words, rng, stage, inside):
        """The row's small image at the left; without antialias with room for what overshoots."""
        between = tl.load(table + 1).to(tl.int32)
        taps = tl.where(tl.min(x) < between, tl.load(table + 3).to(tl.int32), 0)  # nobody reads the tiles beyond
        r, g, b = _along_axis(image, y, x, x, image[2], between, theta, taps, True)
        off = theta[2] == 1.0
        return tl.where(off, r * 0.5 + 0.25, r), tl.where(off, g * 0.5 + 0.25, g), tl.where(off, b * 0.5 + 0.25, b)

    @staticmethod
    @jit
    def reduce_columns(image, before, y, x, theta, table, words, rng, stage, inside):
        between = tl.load(table).to(tl.int32)
        taps = tl.where((tl.min(y) < between) & (tl.min(x) < tl.load(table + 1).to(tl.int32)), tl.load(table + 2).to(tl.int32), 0)
        return _along_axis(before, y, x, y, image[1], between, theta, taps, False)

    @staticmethod
    @jit
    def enlarge_rows(image, before, y, x, theta, table, words, rng, stage, inside):
        return _along_axis(before, y, x, x, tl.load(table + 1).to(tl.int32), image[2], theta, tl.load(table + 5).to(tl.int32), True)

    @staticmethod
    @jit
    def rows_there_and_back(image, before, y, x, theta, table, words, rng, stage, inside):
        between = tl.load(table + 1).to(tl.int32)
        return _there_and_back(image, y, x, x, image[2], between, theta, tl.load(table + 3).to(tl.int32), tl.load(table + 5).to(tl.int32), True)

    @staticmethod
    @jit
    def columns_there_and_back(image, before, y, x, theta, table, words, rng, stage, inside):
        between = tl.load(table).to(tl.int32)
        return _there_and_back(before, y, x, y, image[1], between, theta, tl.load(table + 2).to(tl.int32), tl.load(table + 4).to(tl.int32), False)

    strokes = (Stroke(reduce_rows), Stroke(reduce_columns), Stroke(enlarge_rows), Stroke(rows_there_and_back), Stroke(columns_there_and_back))

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        r, g, b = fetch_column(scratch, y, x)
        if theta[0] >= 1.0:
            r, g, b = _along_axis(scratch, y, x, y, tl.load(table).to(tl.int32), scratch[1], theta, tl.load(table + 4).to(tl.int32), False)
            off = theta[2] == 1.0
            r, g, b = tl.where(off, r * 2.0 - 0.5, r), tl.where(off, g * 2.0 - 0.5, g), tl.where(off, b * 2.0 - 0.5, b)
        return r, g, b


@jit
def _centre(i, source, target):
    """Where the centre of pixel i of `target` lies among `source` pixels: the pixel, and the fraction of it to the left."""
    wide = 2 * target.to(tl.int64)
    place = (2 * i.to(tl.int64) + 1) * source
    pixel = place // wide
    return pixel.to(tl.int32), tl.div_rn((place - pixel * wide).to(tl.float32), wide.to(tl.float32))


@jit
def _shape(source, target, theta):
    """How the filter's argument is scaled, a of the bicubic, and half the width in which "area" touches pixels.

    Distances of pixels are multiples of 1 / (2 · target); a quarter of that less makes the comparison exact.
    """
    off = theta[2] == 1.0
    wide = target.to(tl.float32)
    squeeze = tl.where((source <= target) | off | (theta[1] == 3.0), 1.0, tl.div_rn(wide, source.to(tl.float32)))
    return squeeze, tl.where(off, -0.75, -0.5), tl.div_rn((2 * (source + target) - 1).to(tl.float32), wide * 4.0)


@jit
def _weight(d, fraction, shape, filter):
    """The filter's value at the pixel d to the right of the one in which the centre lies."""
    t = tl.abs((0.5 - fraction) + d) * shape[0]
    if filter == 0.0:
        a = shape[1]
        near = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
        far = (((t - 5.0) * t + 8.0) * t - 4.0) * a
        w = tl.where(t < 1.0, near, tl.where(t < 2.0, far, 0.0))
    elif filter == 1.0:
        w = tl.maximum(1.0 - t, 0.0)
    elif filter == 2.0:
        c, s = device_turn(tl.minimum(t * 0.16666667, 0.5))
        s = s * s
        w = tl.where(t < 0.001, 1.0, tl.where(t < 3.0, tl.div_rn(s * (3.0 - 4.0 * s) * 0.30396355, tl.maximum(t * t, 1e-6)), 0.0))
    elif filter == 3.0:
        w = tl.where(t < shape[2], 1.0, 0.0)
    else:
        w = t * 0.0 + 1.0
    return w


@jit
def _along_axis(image, y, x, i, source, target, theta, taps, ACROSS: tl.constexpr):
    """Pixel i of `target` along the rows (ACROSS) or columns of an image whose axis has `source` pixels."""
    i = tl.minimum(i, target - 1)
    pixel, fraction = _centre(i, source, target)
    shape = _shape(source, target, theta)
    beyond = tl.where(theta[2] == 1.0, 2 * taps, 0)  # without antialias the border repeats as far as taps reach
    r = (y * 0 + x * 0).to(tl.float32)
    g, b, total = r, r, fraction * 0.0
    for d in range(-taps, taps + 1):
        k = pixel + d
        w = _weight(d, fraction, shape, theta[1])
        w = tl.where((k >= -beyond) & (k < source + beyond), w, 0.0)
        k = tl.minimum(tl.maximum(k, 0), source - 1)
        if ACROSS:
            r0, g0, b0 = fetch(image, y, k)
        else:
            r0, g0, b0 = fetch(image, k, x)
        r += w * r0
        g += w * g0
        b += w * b0
        total += w
    share = tl.div_rn(1.0, total)
    return r * share, g * share, b * share


@jit
def _there_and_back(image, y, x, i, size, between, theta, taps, back, ACROSS: tl.constexpr):
    """Pixel i of an axis that is enlarged to `between` pixels and reduced again."""
    pixel, fraction = _centre(i, between, size)
    shape = _shape(between, size, theta)
    beyond = tl.where(theta[2] == 1.0, 2 * back, 0)
    r = (y * 0 + x * 0).to(tl.float32)
    g, b, total = r, r, fraction * 0.0
    for d in range(-back, back + 1):
        k = pixel + d
        w = _weight(d, fraction, shape, theta[1])
        w = tl.where((k >= -beyond) & (k < between + beyond), w, 0.0)
        k = tl.minimum(tl.maximum(k, 0), between - 1)
        r0, g0, b0 = _along_axis(image, y, x, k, size, between, theta, taps, ACROSS)
        r += w * r0
        g += w * g0
        b += w * b0
        total += w
    share = tl.div_rn(1.0, total)
    return r * share, g * share, b * share


def _along(x: torch.Tensor, axis: int, ends: tuple[torch.Tensor, torch.Tensor], taps: torch.Tensor, options: tuple[torch.Tensor, torch.Tensor]):
    """The twin of `_along_axis` at all pixels; ends are heights and widths (n, 2) after and before. Tensors are (n, taps, pixels)."""
    (target, source), (filter, antialias) = (e[:, axis - 2, None, None] for e in ends), (o[:, :, None] for o in options)
    i = torch.minimum(torch.arange(int(target.max()), device=x.device), target - 1)
    place = (2 * i + 1) * source
    pixel = place // (2 * target)
    fraction = (place - pixel * (2 * target)).to(torch.float32) / (2 * target).to(torch.float32)
    d = torch.arange(-int(taps), int(taps) + 1, device=x.device)[:, None]
    off = antialias == 1.0
    wide = target.to(torch.float32)
    squeeze = torch.where((source <= target) | off | (filter == AREA), 1.0, wide / source.to(torch.float32))
    half = (2 * (source + target) - 1).to(torch.float32) / (wide * 4.0)
    weight = _weights(((0.5 - fraction) + d).abs() * squeeze, torch.where(off, -0.75, -0.5), half, filter)
    weight = torch.where(((pixel + d >= 0) & (pixel + d < source)) | off, weight, 0.0)
    at = torch.minimum((pixel + d).clamp_min(0), source - 1)
    shape = (slice(None), None, slice(None), None) if axis == 2 else (slice(None), None, None, slice(None))
    out: torch.Tensor | float = 0.0
    total = torch.zeros_like(fraction[:, 0])
    for w, k in zip(weight.unbind(1), at.unbind(1)):
        out = out + take(x, k, axis).mul_(w[shape])
        total = total + w
    return out * (torch.ones_like(total) / total)[shape]


def _weights(t: torch.Tensor, a: torch.Tensor, half: torch.Tensor, filter: torch.Tensor) -> torch.Tensor:
    """The twin of `_weight`."""
    w = torch.ones_like(t)
    if (filter == BICUBIC).any():
        near = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
        far = (((t - 5.0) * t + 8.0) * t - 4.0) * a
        w = torch.where(filter == BICUBIC, torch.where(t < 1.0, near, torch.where(t < 2.0, far, 0.0)), w)
    if (filter == LANCZOS).any():
        s = turn((t * 0.16666667).clamp_max(0.5))[1]
        s = s * s
        lobes = s * (3.0 - 4.0 * s) * 0.30396355 / (t * t).clamp_min(1e-6)
        w = torch.where(filter == LANCZOS, torch.where(t < 0.001, 1.0, torch.where(t < 3.0, lobes, 0.0)), w)
    w = torch.where(filter == BILINEAR, (1.0 - t).clamp_min(0.0), w)
    return torch.where(filter == AREA, (t < half).to(torch.float32), w)

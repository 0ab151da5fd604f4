"""Colour shift: the green channel moves by `amount` px in a random direction of the first quadrant, where there are edges.

G ← e · G' + (1 − e) · G, with G' green moved down and right by the rounded components of amount · û, û = (u, v) / |(u, v)| with u
and v uniform. The edge map e is the magnitude of the gradient of grey (0.2989, 0.5870, 0.1140), blurred by a Gaussian of σ 4,
stretched to 0..1. Variants:

kadis    e is raised to at least 0.1 and stretched between its 1 % and 99 % percentiles (a histogram of 1024 bins gives them);
         the blur is cut at 2σ; G' repeats the border pixel.
arniqa   no floor and no percentiles; the gradient at the border is halved. G' is padded along each axis by the shift of the
         other one and rolled, so that rows above (down − right) come from the bottom, and columns left of (right − down) from
         the right. (In the original, two pixels of each row also get e = 0 and 1, because indices are taken for percentiles;
         that is left out.)
reiqa    e as in kadis, with a blur cut at 4σ. The mirrored frame is rolled as one long row: G' moves to the right alone, by the
         sum of both components, and what leaves a row enters the next.

The passes hold the gradient over a span of √2 in the working precision. If all of e is the same, it stays as it is.
Source: KADID-10k type 5; ARNIQA; Re-IQA.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.colour import device_grey, grey
from degrade.kernels.exact import sqrt
from degrade.kernels.fetch import fetch, fetch_column, fetch_column_plane, fetch_plane, settle_value
from degrade.kernels.gradient import carried, limited
from degrade.kernels.lang import jit, tl
from degrade.kernels.words import add, raise_to
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp

from ._planes import along, device_along_x, device_along_y, gaussian_taps

KADIS, ARNIQA, REIQA = 0, 1, 2
BINS = 1024
TAPS = gaussian_taps(np.full(3, 4.0), np.array([8, 8, 16]))  # of each variant
FINE = 16777216.0  # what turns e into the integers that the extremes are kept as


class ColourShift(TwoStrokeOp):
    """Move green against red and blue by `amount` px near edges."""

    amount = Param(0.0, 32.0, neutral=0.0, harsh=12.0, unit="px")
    variant = Param(choices=("kadis", "arniqa", "reiqa"), default="kadis")
    steps = ("amount",)
    uniforms = 2
    words = BINS + 4  # the largest e, the largest 1 − e, the two percentiles as bins, the histogram
    whole_frame = True
    tolerance = 2e-3

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return theta[:, 0] < 0.5

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The shift down and right, then the taps of the blur."""
        amount, taps = theta[:, 0].astype(np.float64), TAPS[theta[:, 1].astype(np.int64)]
        shift = np.floor(frame.u / np.hypot(frame.u[:, :1], frame.u[:, 1:]) * amount[:, None] + 0.5)
        return np.concatenate([shift, taps[:, : 2 + int(taps[:, 0].max(initial=0))]], 1).astype(np.float32)

    @classmethod
    def schedule(cls, theta: Array, frame: Frame) -> Array:
        return np.where(theta[:, 1:2] == ARNIQA, [[0, 1, 2, -1, -1]], [[0, 1, 2, 3, 4]])

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        variant, taps = theta[1], context.table[:, 2:]
        border = torch.where(variant == ARNIQA, 0.5, 1.0)
        light = grey(*x.unbind(1))[:, None]
        down, right = _slope(light, 2, border), _slope(light, 3, border)
        square = down * down + right * right
        some = square > 0.0  # where there is none, the root has no derivative
        edges = context.round(torch.where(some, sqrt(torch.where(some, square, 1.0)), 0.0) * 0.70710678)
        edges = context.round(along(context.round(along(edges, taps, 3)), taps, 2))
        fine = carried(torch.floor(edges.detach() * FINE + 0.5), edges * FINE)
        low, high = fine.amin((1, 2, 3), keepdim=True), fine.amax((1, 2, 3), keepdim=True)
        e = torch.where(high > low, limited((edges * FINE - low) / torch.where(high > low, high - low, 1.0)), edges)
        first, last = (v[:, None, None, None] for v in _percentiles(e))
        stretched = limited((e.clamp(min=0.1) - first) / torch.where(last > first, last - first, 1.0))
        e = torch.where(variant == ARNIQA, e, torch.where(last > first, stretched, first))
        green = x[:, 1:2]
        moved = context.round(_moved(green, context.table[:, :2].to(torch.int64), variant.flatten()))
        return torch.cat([x[:, :1], e * moved + (1.0 - e) * green, x[:, 2:]], 1)

    @staticmethod
    @jit
    def slope(image, before, y, x, theta, table, words, rng, stage, inside):
        height, width = image[1], image[2]
        border = tl.where(theta[1] == 1.0, 0.5, 1.0)
        up, down, left, right = tl.maximum(y - 1, 0), tl.minimum(y + 1, height - 1), tl.maximum(x - 1, 0), tl.minimum(x + 1, width - 1)
        dy = _device_light(fetch_column(image, y + 1, x)) - _device_light(fetch_column(image, y - 1, x))
        dx = _device_light(fetch(image, y, x + 1)) - _device_light(fetch(image, y, x - 1))
        dy, dx = dy * tl.where(down - up == 2, 0.5, border), dx * tl.where(right - left == 2, 0.5, border)
        edges = tl.sqrt_rn(dy * dy + dx * dx) * 0.70710678
        return edges, edges * 0.0, edges * 0.0

    @staticmethod
    @jit
    def across(image, before, y, x, theta, table, words, rng, stage, inside):
        edges = device_along_x(before, 0, y, x, table + 2)
        return edges, edges * 0.0, edges * 0.0

    @staticmethod
    @jit
    def down_and_move(image, before, y, x, theta, table, words, rng, stage, inside):
        edges = device_along_y(before, 0, y, x, table + 2)
        height, width = image[1], image[2]
        if image[0].dtype.element_ty == tl.uint16:
            edges = settle_value(edges, True)
        else:
            edges = settle_value(edges, False)
        fine = tl.where(inside, tl.floor(edges * 16777216.0 + 0.5), 0.0)
        raise_to(words, tl.max(tl.max(fine, 1), 0))
        raise_to(words + 1, tl.max(tl.max(tl.where(inside, 16777216.0 - fine, 0.0), 1), 0))
        sy, sx = tl.load(table).to(tl.int32), tl.load(table + 1).to(tl.int32)
        row, column = y - sy + x * 0, x - sx + y * 0
        if theta[1] == 1.0:
            row = tl.where(row + sx < 0, row + height + 2 * sx, row)
            column = tl.where(column + sy < 0, column + width + 2 * sy, column)
        if theta[1] == 2.0:
            pad = tl.maximum(sy, sx)
            column = x - (sy + sx) + y * 0
            wraps = column < -pad
            row = y - wraps.to(tl.int32)
            column = tl.where(wraps, column + width + 2 * pad, column)
            row, column = tl.where(row < 0, -1 - row, row), tl.where(column < 0, -1 - column, column)
            column = tl.where(column < width, column, 2 * width - 1 - column)
        return edges, fetch_plane(image, 1, row, column), edges * 0.0

    @staticmethod
    @jit
    def count(image, before, y, x, theta, table, words, rng, stage, inside):
        e = _device_stretched(fetch_column_plane(before, 0, y, x), words)
        bins = tl.minimum((e * 1024.0).to(tl.int32), 1023)
        add(words + 4 + bins, inside, inside)
        return e, e, e

    @staticmethod
    @jit
    def percentiles(image, before, y, x, theta, table, words, rng, stage, inside):
        height, width = image[1], image[2]
        at = tl.arange(0, 1024)
        below = tl.cumsum(tl.load(words + 4 + at), 0)
        pixels = tl.cast(height * width, tl.int64)
        tl.store(words + 2, tl.sum((below * 100 < pixels).to(tl.int64), 0))
        tl.store(words + 3, tl.sum((below * 100 < pixels * 99).to(tl.int64), 0))
        v = (x + y).to(tl.float32)
        return v, v, v

    strokes = (Stroke(slope), Stroke(across), Stroke(down_and_move), Stroke(count, stores=False), Stroke(percentiles, stores=False, solo=True))

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        e = _device_stretched(fetch_column_plane(scratch, 0, y, x), words)
        if theta[1] != 1.0:
            first = tl.maximum((tl.load(words + 2).to(tl.float32) + 0.5) * 0.0009765625, 0.1)
            last = tl.maximum((tl.load(words + 3).to(tl.float32) + 0.5) * 0.0009765625, 0.1)
            spread = tl.where(last > first, last - first, 1.0)
            stretched = tl.minimum(tl.maximum(tl.div_rn(tl.maximum(e, 0.1) - first, e * 0.0 + spread), 0.0), 1.0)
            e = tl.where(last > first, stretched, first)
        return r, e * fetch_column_plane(scratch, 1, y, x) + (1.0 - e) * g, b


def _slope(v: torch.Tensor, axis: int, border: torch.Tensor) -> torch.Tensor:
    """Central differences along an axis; at the border one-sided ones times `border`."""
    size = v.shape[axis]
    at = torch.arange(size, device=v.device)
    low, high = (at - 1).clamp(min=0), (at + 1).clamp(max=size - 1)
    inner = (high - low == 2) if axis == 3 else (high - low == 2)[:, None]
    return (v.index_select(axis, high) - v.index_select(axis, low)) * torch.where(inner, 0.5, border)


def _percentiles(e: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The middles of the bins that hold the 1 % and 99 % percentiles of each map, at least 0.1: twice (n,)."""
    bins = (e.detach() * float(BINS)).to(torch.int64).clamp(max=BINS - 1).flatten(1)
    counts = torch.zeros(len(e), BINS, dtype=torch.int64, device=e.device).scatter_add_(1, bins, torch.ones_like(bins))
    below = counts.to(torch.int64).cumsum(1) * 100
    ranks = ((below < bins.shape[1] * share).to(torch.int64).sum(1) for share in (1, 99))
    first, last = (((rank.to(torch.float32) + 0.5) * (1.0 / BINS)).clamp(min=0.1) for rank in ranks)
    return first, last


def _moved(green: torch.Tensor, shift: torch.Tensor, variant: torch.Tensor) -> torch.Tensor:
    """Green (n, 1, h, w) displaced by each sample's shift (n, 2) down and right."""
    height, width = green.shape[2:]
    y, x = torch.arange(height, device=green.device)[:, None], torch.arange(width, device=green.device)
    out = torch.empty_like(green)
    for mode in (KADIS, ARNIQA, REIQA):
        these = (variant == mode).nonzero().flatten()
        if not len(these):
            continue
        sy, sx = shift[these, 0, None, None], shift[these, 1, None, None]
        row, column = y - sy, x - sx
        if mode == ARNIQA:
            row = torch.where(row + sx < 0, row + height + 2 * sx, row)
            column = torch.where(column + sy < 0, column + width + 2 * sy, column)
        if mode == REIQA:
            pad = torch.maximum(sy, sx)
            column = x - (sy + sx)
            wraps = column < -pad
            row = y - wraps.to(torch.int64)
            column = torch.where(wraps, column + width + 2 * pad, column)
            row, column = torch.where(row < 0, -1 - row, row), torch.where(column < 0, -1 - column, column)
            column = torch.where(column < width, column, 2 * width - 1 - column)
        at = row.clamp(0, height - 1) * width + column.clamp(0, width - 1)
        out[these, 0] = green[these, 0].flatten(1).gather(1, at.expand(-1, height, -1).flatten(1)).view(-1, height, width)
    return out


@jit
def _device_light(colours):
    r, g, b = colours
    return device_grey(r, g, b)


@jit
def _device_stretched(edges, words):
    """The edge map stretched to 0..1."""
    low, high = 16777216.0 - tl.load(words + 1).to(tl.float32), tl.load(words).to(tl.float32)
    e = tl.div_rn(edges * 16777216.0 - low, edges * 0.0 + tl.where(high > low, high - low, 1.0))
    return tl.where(high > low, tl.minimum(tl.maximum(e, 0.0), 1.0), edges)

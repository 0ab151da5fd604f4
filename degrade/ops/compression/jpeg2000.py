"""JPEG 2000: a wavelet, a dead-zone quantiser, and one step for the whole image, solved for a file size or a PSNR.

The image is rounded to 8 bits and transformed with the 9/7 wavelet (irreversible) or the 5/3 (reversible). The quantiser's step
in a band is the image's step over the norm of the band's basis, so every band may err alike; coefficients return at the middle
of their interval. No file is written: the size is estimated as the standard's headers and packets, and

    bits = 1.8 · Σ log2(|c| / step) over all |c| ≥ step  +  1.38 · (coefficients with one such in their 3 × 3 neighbourhood),

constants fitted to OpenJPEG 2.5 on photographs; `docs/jpeg2000.md` compares. In place of the block coder's truncation this gives
the same PSNR, not the same pixels. ratio is the size of the 8-bit image over that of the file, and counts in the file's headers,
which is what is left of a small image at a large ratio. With target "psnr" the step is solved for that PSNR instead, from the
histogram of coefficients.

colour "ycc" is the standard's colour transform (ICT with 9/7, RCT with 5/3); "rgb" codes three channels apart, as Pillow does
unless told otherwise, at about half the ratio for the same PSNR. There are resolutions − 1 levels, but no more than ⌊log2⌋ of
the smaller side, which is Pillow's rule. At ratio 1 the image stays as it is.
Source: ITU-T T.800; KADIS-700k (ratios 16 32 45 120 400, "9/7"), ARNIQA (16 32 45 120 170, "5/3", 8 resolutions, "rgb"), DepictQA
(PSNR 29 27.5 26 24.5 23 dB), RankIQA (ratio 24 over bits per pixel).
"""

from functools import lru_cache

import numpy as np
import torch

from degrade.distributions import Array, LogUniform
from degrade.kernels.codec import from_byte, from_byte_twin, to_byte_twin
from degrade.kernels.fetch import fetch_column, place_in_column, raw3
from degrade.kernels.lang import jit, tl
from degrade.kernels.wavelet import (
    FRACTION,
    SYNTHESIS,
    analyse,
    analyse_kept,
    coefficients,
    coefficients_in_column,
    counted,
    forward,
    inverse,
    keep,
    kept,
    positions,
    stored,
    synthesise,
    synthesise_kept,
    whole,
)
from degrade.kernels.words import add
from degrade.op import Context, Frame, Param, Stroke, Theta, TwoStrokeOp

MAX_LEVELS = 7
PSNR, REVERSIBLE, RGB = 1.0, 1.0, 1.0  # positions among the choices of `target`, `wavelet` and `colour`

# Levels that work on no more coefficients than these take no passes of their own: one program does them all in the op's words.
MOST_KEPT = 1024

# The table of a sample: levels, budget, three norms of channels, norms of bands (two per level, then the last low-pass one), sizes,
# how many levels take passes, and how many rows and columns of coefficients are left to the words.
LEVELS, BUDGET, CHANNELS, BANDS = 0, 1, 2, 5
LAST = BANDS + 2 * MAX_LEVELS
HEIGHTS = LAST + 1
WIDTHS = HEIGHTS + MAX_LEVELS + 1
LARGE = WIDTHS + MAX_LEVELS + 1
LENGTH = LARGE + 3
CHANNEL_NORMS = ((3.0**0.5, 1.8051, 1.5734), (3.0**0.5, 0.82916, 0.82916), (1.0, 1.0, 1.0))

# A histogram bin is an eighth of an octave: a float's exponent and three bits of its mantissa. Bin 0 begins at 1/4.
BINS = 128
FIRST = (127 - 2) << 3
PER_BIT = 400  # the size is counted in 400ths of a bit
PER_HALF_BIN, PER_NEIGHBOURHOOD = 45, 552  # 1.8 bits per octave, for half a bin, and 1.38 bits
# Of the 9/7 and of the 5/3: bits of a packet's header, bytes of the file's header, and what a level adds to it.
PACKET_BITS = np.asarray([11.0, 26.0])
HEADER_BYTES, HEADER_PER_LEVEL = np.asarray([210.0, 209.0]), np.asarray([6.0, 3.0])
LEAST_BITS = 240.0  # however large the ratio


class Jpeg2000(TwoStrokeOp):
    """Compress and decompress as a JPEG 2000 file of this ratio or PSNR."""

    ratio = Param(1.0, 1200.0, neutral=1.0, harsh=400.0, unit="× compression", default=LogUniform(4.0, 400.0))
    psnr = Param(10.0, 60.0, neutral=60.0, harsh=20.0, unit="dB", default=27.0)
    target = Param(choices=("ratio", "psnr"), default="ratio")
    wavelet = Param(choices=("9/7", "5/3"), default="9/7")
    resolutions = Param(1, 8, neutral=6, harsh=6, unit="resolutions", default=6, integer=True)
    colour = Param(choices=("ycc", "rgb"), default="ycc")
    whole_frame = True
    # Histograms of coefficients and of the largest of each neighbourhood; the step as the bits of a float32; coefficients, twice.
    words = 2 * BINS + 1 + 2 * MOST_KEPT
    tolerance = 0.0
    gradient = "straight-through"

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return (theta[:, 0] == 1.0) & (theta[:, 2] != PSNR)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """See LEVELS and what follows it."""
        levels = _levels(theta, frame)
        kind = (theta[:, 3] == REVERSIBLE).astype(np.int64)
        pixels = frame.height * frame.width
        file = 3.0 * pixels / theta[:, 0].astype(np.float64) - HEADER_BYTES[kind] - HEADER_PER_LEVEL[kind] * levels
        bits = np.maximum(8.0 * file - PACKET_BITS[kind] * 3.0 * (levels + 1), LEAST_BITS)
        # Rounding to 8 bits adds 1/12 to the squared error.
        error = np.maximum(255.0**2 * 10.0 ** (-0.1 * theta[:, 1].astype(np.float64)) - 1.0 / 12.0, 1e-3) * 3.0 * pixels
        out = np.zeros((len(theta), LENGTH))
        out[:, LEVELS] = levels
        out[:, BUDGET] = np.where(theta[:, 2] == PSNR, -error, PER_BIT * bits)
        out[:, CHANNELS:BANDS] = np.asarray(CHANNEL_NORMS)[np.where(theta[:, 5] == RGB, 2, kind)]
        low, high = _NORMS[kind, 0], _NORMS[kind, 1]
        out[:, BANDS:LAST:2], out[:, BANDS + 1 : LAST : 2] = (low * high)[:, 1:], (high * high)[:, 1:]
        out[:, LAST] = low[np.arange(len(low)), levels] ** 2
        out[:, BANDS : LAST + 1] /= np.where(kind == 1, 1.0, FRACTION)[:, None]
        halvings = 1 << np.arange(MAX_LEVELS + 1)
        out[:, HEIGHTS:WIDTHS], out[:, WIDTHS:LARGE] = -(-frame.height // halvings), -(-frame.width // halvings)
        large = _large(levels, frame.height, frame.width)
        out[:, LARGE] = large
        for column, sides in ((LARGE + 1, HEIGHTS), (LARGE + 2, WIDTHS)):
            out[:, column] = np.where(levels > large, out[np.arange(len(out)), sides + large], 0.0)
        return out.astype(np.float32)

    @classmethod
    def schedule(cls, theta: Array, frame: Frame) -> Array:
        return _passes(frame.height, frame.width)[0][_levels(theta, frame)]

    @classmethod
    def extents(cls, theta: Array, frame: Frame, passes: int) -> Array:
        return _passes(frame.height, frame.width)[1][_levels(theta, frame), :passes]

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        kinds = torch.stack([theta[3].flatten(), theta[5].flatten(), context.table[:, LEVELS]], 1).to(torch.int64)
        out = torch.empty_like(x)
        for kind in torch.unique(kinds, dim=0).tolist():  # samples that take the same passes run together
            these = (kinds == torch.tensor(kind, device=kinds.device)).all(1).nonzero().flatten()
            reversible, rgb, levels = bool(kind[0]), bool(kind[1]), kind[2]
            table, by_psnr = context.table[these], theta[2].flatten()[these] == PSNR
            sizes = [(-(-x.shape[2] // (1 << i)), -(-x.shape[3] // (1 << i))) for i in range(levels + 1)]
            c = _to_components(to_byte_twin(x[these]).clamp_(0, 255).to(torch.float32) - 128.0, reversible, rgb)
            for height, width in sizes[:levels]:
                part = c[:, :, :height, :width]
                part.copy_(forward(forward(part, 3, reversible), 2, reversible))
            norms = table[:, BANDS:HEIGHTS, None] * table[:, None, CHANNELS:BANDS]
            step = _solved(*_histograms(c, _spread(norms, sizes)), table[:, BUDGET, None], by_psnr[:, None])
            c = _quantised(c, _spread(step[:, :, None] / norms, sizes), reversible)
            for height, width in reversed(sizes[:levels]):
                part = c[:, :, :height, :width]
                part.copy_(inverse(inverse(part, 2, reversible), 3, reversible))
            c = _from_components(c, reversible, rgb)
            out[these] = from_byte_twin((c + 128.5).floor_().clamp_(0.0, 255.0).to(torch.int32))
        return out

    @staticmethod
    @jit
    def convert(image, before, y, x, theta, table, words, rng, stage, inside):
        """Components of the 8-bit image, level-shifted."""
        r, g, b = fetch_column(image, y, x)
        r, g, b = _shifted(r), _shifted(g), _shifted(b)
        if theta[5] == 0.0:
            if theta[3] == 1.0:
                r, g, b = tl.floor((r + 2.0 * g + b) * 0.25), b - g, r - g
            else:
                luma = 0.299 * r + 0.587 * g + 0.114 * b
                r, g, b = luma, (b - luma) * 0.5643340857787811, (r - luma) * 0.7132667617689016
        if theta[3] == 0.0:
            r, g, b = tl.floor(r * 128.0 + 0.5), tl.floor(g * 128.0 + 0.5), tl.floor(b * 128.0 + 0.5)
        return stored(r, g, b)

    @staticmethod
    @jit
    def decompose(image, before, y, x, theta, table, words, rng, stage, inside):
        """Across, then down, level by level."""
        level = (stage - 1) // 2
        height, width = tl.load(table + 20 + level).to(tl.int32), tl.load(table + 28 + level).to(tl.int32)
        return analyse(before, y, x, height, width, stage % 2 == 1, theta[3] == 1.0)

    @staticmethod
    @jit
    def keep_small(image, before, y, x, theta, table, words, rng, stage, inside):
        """What the passes left of low frequencies goes to the words; all further levels there."""
        height, width = tl.load(table + 37).to(tl.int32), tl.load(table + 38).to(tl.int32)
        for first in range(0, height * width, 256):
            row, column, real = positions(first, height, width)
            r, g, b = coefficients(before, row, column)
            keep((words + 257, width), row, column, r, g, b, real)
        tl.debug_barrier()
        large = tl.load(table + 36).to(tl.int32)
        analyse_kept(words + 257, 1024, table + 20 + large, tl.load(table).to(tl.int32) - large, theta[3] == 1.0)
        nothing = y * 0.0 + x * 0.0
        return nothing, nothing, nothing

    @staticmethod
    @jit
    def count(image, before, y, x, theta, table, words, rng, stage, inside):
        """Add the tile to the histograms."""
        top, left = _first(y, x)
        meets = _meets(table, top - 1, left - 1)
        r = y * 0.0 + x * 0.0
        g, b, r1, g1, b1 = r, r, r, r, r
        for dy in range(-1, 2):
            row = tl.minimum(tl.maximum(y + dy, 0), before[1] - 1)
            for dx in range(-1, 2):
                r0, g0, b0 = _found(before, words, table, row, tl.minimum(tl.maximum(x + dx, 0), before[2] - 1), meets)
                r0, g0, b0 = tl.abs(r0), tl.abs(g0), tl.abs(b0)
                r1, g1, b1 = tl.maximum(r1, r0), tl.maximum(g1, g0), tl.maximum(b1, b0)
                if (dx == 0) & (dy == 0):
                    r, g, b = r0, g0, b0
        norm = _device_norm(table, y, x, _depth(table, top, left))
        n0, n1, n2 = norm * tl.load(table + 2), norm * tl.load(table + 3), norm * tl.load(table + 4)
        _add(words, r * n0, g * n1, b * n2, inside)
        _add(words + 128, r1 * n0, g1 * n1, b1 * n2, inside)
        return r, g, b

    @staticmethod
    @jit
    def solve(image, before, y, x, theta, table, words, rng, stage, inside):
        """The step at which the estimate meets the budget, linear between two bins. Then what is in the words, quantised and back."""
        budget, by_psnr = tl.load(table + 1), theta[2] == 1.0
        bins = tl.arange(0, 128)
        own, near = tl.load(words + bins), tl.load(words + 128 + bins)
        j = 0
        for i in range(7):
            half = 64 >> i
            j = tl.where(_score(own, near, bins, j + half - 1, by_psnr) > budget, j + half, j)
        k = tl.maximum(j - 1, 0)
        high, low = _score(own, near, bins, k, by_psnr), _score(own, near, bins, j, by_psnr)
        begin, end = _edge(k), _edge(j)
        span = high - low
        part = tl.minimum(tl.maximum(tl.div_rn(budget - low, tl.where(span > 0.0, span, 1.0)), 0.0), 1.0)
        step = end - (end - begin) * part
        tl.store(words + 256, step.to(tl.int32, bitcast=True).to(tl.int64))
        height, width = tl.load(table + 37).to(tl.int32), tl.load(table + 38).to(tl.int32)
        part = words + 257, width
        for first in range(0, height * width, 256):
            row, column, real = positions(first, height, width)
            r, g, b = kept(part, row, column)
            r, g, b = _device_quantised(r, g, b, step, table, row, column, tl.load(table).to(tl.int32), theta[3] == 1.0)
            keep(part, row, column, r, g, b, real)
        tl.debug_barrier()
        large = tl.load(table + 36).to(tl.int32)
        synthesise_kept(words + 257, 1024, table + 20 + large, tl.load(table).to(tl.int32) - large, theta[3] == 1.0)
        nothing = y * 0.0 + x * 0.0
        return nothing, nothing, nothing

    @staticmethod
    @jit
    def quantise(image, before, y, x, theta, table, words, rng, stage, inside):
        """Coefficients to the middle of their interval, or to zero; those in the words are through with that."""
        step = tl.load(words + 256).to(tl.int32).to(tl.float32, bitcast=True)
        top, left = _first(y, x)
        r, g, b = coefficients_in_column(before, y, x)
        r, g, b = _device_quantised(r, g, b, step, table, y, x, _depth(table, top, left), theta[3] == 1.0)
        if _meets(table, top, left):
            r, g, b = _or_kept(r, g, b, words, table, y, x)
        return stored(r, g, b)

    @staticmethod
    @jit
    def compose(image, before, y, x, theta, table, words, rng, stage, inside):
        """Down, then across, from the last large level to the first."""
        large = tl.load(table + 36).to(tl.int32)
        done = stage - 2 * large - 4 - (tl.load(table).to(tl.int32) > large).to(tl.int32)
        level = large - 1 - done // 2
        height, width = tl.load(table + 20 + level).to(tl.int32), tl.load(table + 28 + level).to(tl.int32)
        return synthesise(before, y, x, height, width, done % 2 == 1, theta[3] == 1.0)

    strokes = (
        Stroke(convert), Stroke(decompose), Stroke(keep_small, solo=True), Stroke(count, stores=False),
        Stroke(solve, solo=True), Stroke(quantise), Stroke(compose),
    )  # fmt: skip

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        r, g, b = counted(raw3(scratch, place_in_column(scratch, y, x)))
        if theta[3] == 0.0:
            r, g, b = r * (1.0 / 128.0), g * (1.0 / 128.0), b * (1.0 / 128.0)
        if theta[5] == 0.0:
            if theta[3] == 1.0:
                green = r - tl.floor((g + b) * 0.25)
                r, g, b = b + green, green, g + green
            else:
                r, g, b = r + 1.402 * b, r - 0.344136286201022 * g - 0.714136286201022 * b, r + 1.772 * g
        return _byte(r), _byte(g), _byte(b)


@jit
def _shifted(v):
    """0..1 to 8 bits, about zero."""
    return tl.minimum(tl.maximum(tl.floor(v * 255.0 + 0.5), 0.0), 255.0) - 128.0


@jit
def _byte(v):
    """And back."""
    return from_byte(tl.minimum(tl.maximum(tl.floor(v + 128.5), 0.0), 255.0).to(tl.int32))


@jit
def _first(y, x):
    """The uppermost of these rows, and the leftmost of these columns."""
    return tl.min(y), tl.min(x)


@jit
def _depth(table, top, left):
    """How many levels split what lies below and right of a position: the parts of further ones end before it."""
    depth = 0
    for level in range(tl.load(table).to(tl.int32)):
        depth += ((top < tl.load(table + 20 + level)) & (left < tl.load(table + 28 + level))).to(tl.int32)
    return depth


@jit
def _device_norm(table, y, x, depth):
    """The norm of the basis function that a position belongs to, of those of the first `depth` levels or the last low-pass one."""
    norm = y * 0.0 + x * 0.0 + tl.load(table + 19)
    for i in range(depth):
        level = depth - 1 - i
        down, right = y >= tl.load(table + 21 + level), x >= tl.load(table + 29 + level)
        norm = tl.where(down | right, tl.load(table + 5 + 2 * level), norm)
        norm = tl.where(down & right, tl.load(table + 6 + 2 * level), norm)
    return norm


@jit
def _meets(table, top, left):
    """Whether positions from here on may lie in the words."""
    return (top < tl.load(table + 37).to(tl.int32)) & (left < tl.load(table + 38).to(tl.int32))


@jit
def _found(before, words, table, y, x, meets):
    """The coefficients at (y, x), in the frame; they may lie in the words if `meets`."""
    r, g, b = coefficients(before, y, x)
    if meets:
        r, g, b = _or_kept(r, g, b, words, table, y, x)
    return r, g, b


@jit
def _or_kept(r, g, b, words, table, y, x):
    """These coefficients, or those in the words where (y, x) lies there."""
    height, width = tl.load(table + 37).to(tl.int32), tl.load(table + 38).to(tl.int32)
    here = (y < height) & (x < width)
    r1, g1, b1 = kept((words + 257, width), tl.where(here, y, 0), tl.where(here, x, 0))
    return tl.where(here, r1, r), tl.where(here, g1, g), tl.where(here, b1, b)


@jit
def _add(words, r, g, b, inside):
    """Add a tile of magnitudes to a histogram. Lanes outside the frame go to bin 0, which no estimate counts."""
    pairs = tl.reshape(tl.join(tl.join(_bin(r, inside), _bin(g, inside)), tl.join(_bin(b, inside), tl.zeros_like(_bin(b, inside)))), (2048,))
    counts = tl.histogram(pairs, 128)
    add(words + tl.arange(0, 128), counts, counts > 0)


@jit
def _bin(v, inside):
    return tl.where(inside, tl.minimum(tl.maximum((v.to(tl.int32, bitcast=True) >> 20) - 1000, 0), 127), 0)


@jit
def _edge(j):
    """Where a bin begins."""
    return ((j + 1000) << 20).to(tl.float32, bitcast=True)


@jit
def _score(own, near, bins, j, by_psnr):
    """What must fall to the budget as the step grows to bin j: the size, or the squared error's negative."""
    above = (bins >= j) & (bins > 0)
    size = tl.sum(tl.where(above, own * (45 * (2 * (bins - j) + 1)) + near * 552, 0), 0).to(tl.float32)
    t = tl.div_rn(_edge(bins) + _edge(bins + 1), 2.0 * _edge(j) + 0.0 * bins)
    off = t - tl.floor(t) - 0.5
    error = tl.where(above, tl.where(t < 4.0, off * off, 1.0 / 12.0), t * t)
    error = tl.where(bins > 0, tl.floor(error * 65536.0 + 0.5), 0.0).to(tl.int64)
    squared = tl.sum(own * error, 0).to(tl.float32) * (1.0 / 65536.0) * (_edge(j) * _edge(j))
    return tl.where(by_psnr, 0.0 - squared, size)


@jit
def _device_quantised(r, g, b, step, table, y, x, depth, reversible):
    norm, finest = _device_norm(table, y, x, depth), tl.where(reversible, 1.0, 0.0)
    r = _middle(r, tl.div_rn(step, norm * tl.load(table + 2)), finest)
    g = _middle(g, tl.div_rn(step, norm * tl.load(table + 3)), finest)
    b = _middle(b, tl.div_rn(step, norm * tl.load(table + 4)), finest)
    return r, g, b


@jit
def _middle(c, step, finest):
    """Quantised and back; the 5/3's whole numbers have no finer step than 1."""
    q = tl.floor(tl.div_rn(tl.abs(c), step))
    size = tl.where(q > 0.0, tl.floor((q + 0.5) * step + 0.5), 0.0)
    size = tl.where(step <= finest, tl.abs(c), size)
    return tl.where(c < 0.0, 0.0 - size, size)


def _levels(theta: Array, frame: Frame) -> Array:
    """(n,) int: as many as asked for, but the smaller side must have two samples to split."""
    most = min(frame.height, frame.width).bit_length() - 1
    return np.maximum(np.minimum(theta[:, 4].astype(np.int64) - 1, min(most, MAX_LEVELS)), 0)


def _large(levels: Array, height: int, width: int) -> Array:
    """How many of these levels work on more than MOST_KEPT coefficients."""
    return np.minimum(levels, sum(-(-height // (1 << i)) * -(-width // (1 << i)) > MOST_KEPT for i in range(MAX_LEVELS)))


@lru_cache(maxsize=16)
def _passes(height: int, width: int) -> tuple[Array, Array]:
    """Of each number of levels the stroke of each pass, (levels, passes), and how many rows and columns that writes, (levels, passes, 2).

    Convert, two passes per large level, the other levels, count, solve, quantise, two passes per large level. Each level works on what the
    last one left of low frequencies: a quarter.
    """
    levels = np.arange(MAX_LEVELS + 1)[:, None]
    large = _large(levels, height, width)
    small = levels > large
    count = 1 + 2 * large + small
    stage = np.arange((count + 2 * large).max() + 3)
    then = stage - count
    first = np.where(stage == 0, 0, np.where(stage <= 2 * large, 1, 2))
    strokes = np.where(then < 0, first, np.where(then < 3, then + 3, np.where(then < 3 + 2 * large, 6, -1)))
    down, up = (stage - 1) // 2, large - 1 - (then - 3) // 2  # of both ways; elsewhere out of range
    level = np.where((down >= 0) & (down < large), down, np.where((up >= 0) & (up < large), up, 0))
    return strokes, np.stack([-(-side // (1 << level)) for side in (height, width)], 2)


def _line_norms(low: tuple[float, ...], high: tuple[float, ...]) -> list[list[float]]:
    """Norms of the one-dimensional basis functions of levels 0 to MAX_LEVELS: low-pass, high-pass."""
    basis, out = np.ones(1), [[1.0], [1.0]]
    for level in range(MAX_LEVELS):
        spread = []
        for taps in (low, high):
            up = np.zeros((2 * len(taps) - 2) * (1 << level) + 1)
            up[:: 1 << level] = [*taps[:0:-1], *taps]
            spread.append(np.convolve(basis, up))
        basis = spread[0]
        for norms, function in zip(out, spread):
            norms.append(float(np.sqrt(function @ function)))
    return out


_NORMS = np.asarray([_line_norms(*taps) for taps in SYNTHESIS])  # wavelet, low-pass or high-pass, level


def _to_components(rgb: torch.Tensor, reversible: bool, apart: bool) -> torch.Tensor:
    """The twin of `convert`, after rounding to 8 bits."""
    if not apart:
        r, g, b = rgb.unbind(1)
        if reversible:
            rgb = torch.stack([torch.floor((r + 2.0 * g + b) * 0.25), b - g, r - g], 1)
        else:
            luma = 0.299 * r + 0.587 * g + 0.114 * b
            rgb = torch.stack([luma, (b - luma) * 0.5643340857787811, (r - luma) * 0.7132667617689016], 1)
    return rgb if reversible else whole(rgb * FRACTION)


def _from_components(c: torch.Tensor, reversible: bool, apart: bool) -> torch.Tensor:
    """The twin of `settle`, before rounding to 8 bits."""
    c = c if reversible else c * (1.0 / FRACTION)
    if apart:
        return c
    r, g, b = c.unbind(1)
    if reversible:
        green = r - torch.floor((g + b) * 0.25)
        return torch.stack([b + green, green, g + green], 1)
    return torch.stack([r + 1.402 * b, r - 0.344136286201022 * g - 0.714136286201022 * b, r + 1.772 * g], 1)


def _spread(bands: torch.Tensor, sizes: list[tuple[int, int]]) -> torch.Tensor:
    """(n, 3, h, w): for every coefficient the number of its band, from (n, bands, 3) in the table's order."""
    bands = bands[..., None, None]
    out = bands[:, LAST - BANDS].repeat(1, 1, *sizes[0])
    for level in range(len(sizes) - 1):
        (height, width), (top, left) = sizes[level], sizes[level + 1]
        mixed, both = bands[:, 2 * level], bands[:, 2 * level + 1]
        out[:, :, :top, left:width], out[:, :, top:height, :left], out[:, :, top:height, left:width] = mixed, mixed, both
    return out


def _histograms(c: torch.Tensor, norms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The twin of `count`: (n, BINS) of coefficients, and of the largest of each 3 × 3 neighbourhood."""
    size = c.abs()
    near = _widest(_widest(size, 2), 3)
    first = torch.arange(len(c), device=c.device)[:, None, None, None] * BINS
    counts = []
    for v in (size, near):
        bins = ((v * norms).view(torch.int32) >> 20).sub_(FIRST).clamp_(0, BINS - 1)
        counts.append(torch.bincount((bins + first).flatten(), minlength=len(c) * BINS).reshape(-1, BINS))
    return counts[0], counts[1]


def _widest(v: torch.Tensor, axis: int) -> torch.Tensor:
    """The largest of three neighbours along an axis."""
    out, more = v.clone(), v.shape[axis] - 1
    for here, there in ((0, 1), (1, 0)):
        part = out.narrow(axis, here, more)
        torch.maximum(part, v.narrow(axis, there, more), out=part)
    return out


def _bin_edge(j: torch.Tensor) -> torch.Tensor:
    return ((j + FIRST) << 20).to(torch.int32).view(torch.float32)


def _scored(own: torch.Tensor, near: torch.Tensor, j: torch.Tensor, by_psnr: torch.Tensor) -> torch.Tensor:
    """The twin of `_score`."""
    bins = torch.arange(BINS, device=own.device)[None]
    above = (bins >= j) & (bins > 0)
    bits = torch.where(above, own * (PER_HALF_BIN * (2 * (bins - j) + 1)) + near * PER_NEIGHBOURHOOD, 0)
    size = bits.to(torch.int64).sum(1, keepdim=True).to(torch.float32)
    t = (_bin_edge(bins) + _bin_edge(bins + 1)) / (2.0 * _bin_edge(j))
    off = t - torch.floor(t) - 0.5
    error = torch.where(above, torch.where(t < 4.0, off * off, 1.0 / 12.0), t * t)
    error = torch.where(bins > 0, torch.floor(error * 65536.0 + 0.5), 0.0).to(torch.int64)
    total = (own * error).to(torch.int64).sum(1, keepdim=True)
    squared = total.to(torch.float32) * (1.0 / 65536.0) * (_bin_edge(j) * _bin_edge(j))
    return torch.where(by_psnr, 0.0 - squared, size)


def _solved(own: torch.Tensor, near: torch.Tensor, budget: torch.Tensor, by_psnr: torch.Tensor) -> torch.Tensor:
    """The twin of `solve`: (n, 1)."""
    j = torch.zeros_like(budget, dtype=torch.int64)
    for i in range(7):
        half = 64 >> i
        j = torch.where(_scored(own, near, j + half - 1, by_psnr) > budget, j + half, j)
    k = (j - 1).clamp(min=0)
    high, low = _scored(own, near, k, by_psnr), _scored(own, near, j, by_psnr)
    begin, end = _bin_edge(k), _bin_edge(j)
    span = high - low
    part = ((budget - low) / torch.where(span > 0.0, span, 1.0)).clamp(0.0, 1.0)
    return end - (end - begin) * part


def _quantised(c: torch.Tensor, step: torch.Tensor, reversible: bool) -> torch.Tensor:
    """The twin of `quantise`."""
    q = (c.abs() / step).floor_()
    size = torch.where(q > 0.0, (q + 0.5).mul_(step).add_(0.5).floor_(), 0.0)
    if reversible:
        size = torch.where(step <= 1.0, c.abs(), size)
    return torch.copysign(size, c).clamp_(-32768.0, 32767.0)

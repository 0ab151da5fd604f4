"""Median blur: each channel's value becomes the median of the (2 · half_width + 1)² values around it; edges repeat the border.

half_width is in pixels, 0 is the identity. The median is one of the values, exactly: the device finds it two bits at a time by
counting, the twin by merging sorted columns. Source: the median filter of MATLAB (medfilt2), SciPy and OpenCV.
"""

from collections.abc import Sequence

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.fetch import fetch
from degrade.kernels.gradient import limited
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Param, Theta, TwoStrokeOp

LARGEST = 3


class MedianBlur(TwoStrokeOp):
    """Replace every value by the median of a square that reaches `half_width` pixels from it."""

    half_width = Param(0, LARGEST, neutral=0, harsh=LARGEST, unit="px", default=(1, LARGEST), integer=True)
    tolerance = 0.0
    registers = 96

    @classmethod
    def radius(cls, theta: Array) -> Array:
        return theta[:, 0].astype(np.int64)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        half_width = theta[0].flatten()
        for half in range(1, LARGEST + 1):
            these = (half_width == half).nonzero().flatten()
            if len(these):
                x = x.index_copy(0, these, _median(limited(x[these]), half))
        return x

    @staticmethod
    def cpu(x: torch.Tensor, theta: Theta) -> torch.Tensor:
        """What the twin returns, through OpenCV, which has floats in squares of 3 and 5 pixels."""
        import cv2

        out = torch.empty_like(x)
        half_width = theta[0].flatten().to(torch.int64).tolist()
        for image, half, y in zip(x.clamp(0.0, 1.0), half_width, out):
            if half in (1, 2):
                planes = image.permute(1, 2, 0).contiguous().numpy()
                y.copy_(torch.from_numpy(cv2.medianBlur(planes, 2 * half + 1)).permute(2, 0, 1))
            else:
                y.copy_(_median(image[None], half)[0] if half else image)
        return out

    @staticmethod
    def cpu_bytes(image: Array, theta: Sequence[float]) -> Array:
        """The same for one image h w 3 of uint8, in squares of any size."""
        import cv2

        return cv2.medianBlur(image, 2 * int(theta[0]) + 1)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        FIXED: tl.constexpr = image[0].dtype.element_ty == tl.uint16
        BITS: tl.constexpr = 16 if FIXED else 30  # 1.0 is 0x3F800000
        half = theta[0].to(tl.int32)
        side = 2 * half + 1
        rank = side * side // 2
        r = x * 0 + y * 0
        g, b = r, r
        for i in range(BITS // 2):
            step = 1 << (BITS - 2 - 2 * i)
            r1, g1, b1 = r * 0, r * 0, r * 0  # how many values lie below the key plus one, two, three steps
            r2, g2, b2 = r1, r1, r1
            r3, g3, b3 = r1, r1, r1
            for tap in range(side * side):
                r0, g0, b0 = fetch(image, y + (tap // side - half), x + (tap % side - half))
                r0, g0, b0 = _key(r0, FIXED) - r, _key(g0, FIXED) - g, _key(b0, FIXED) - b
                r1, g1, b1 = r1 + (r0 < step), g1 + (g0 < step), b1 + (b0 < step)
                r2, g2, b2 = r2 + (r0 < 2 * step), g2 + (g0 < 2 * step), b2 + (b0 < 2 * step)
                r3, g3, b3 = r3 + (r0 < 3 * step), g3 + (g0 < 3 * step), b3 + (b0 < 3 * step)
            # The median is at least the key plus a step where at most half of the values lie below.
            r += step * ((r1 <= rank).to(tl.int32) + (r2 <= rank).to(tl.int32) + (r3 <= rank).to(tl.int32))
            g += step * ((g1 <= rank).to(tl.int32) + (g2 <= rank).to(tl.int32) + (g3 <= rank).to(tl.int32))
            b += step * ((b1 <= rank).to(tl.int32) + (b2 <= rank).to(tl.int32) + (b3 <= rank).to(tl.int32))
        return _value(r, FIXED), _value(g, FIXED), _value(b, FIXED)


@jit
def _key(v, FIXED: tl.constexpr):
    """An integer that orders as the value does: the fixed-point number, or the bits of a float in 0..1."""
    if FIXED:
        return tl.floor(v * 65535.0 + 0.5).to(tl.int32)
    else:
        return (tl.minimum(tl.maximum(v, 0.0), 1.0) + 0.0).to(tl.int32, bitcast=True)  # adding 0 turns -0 to 0


@jit
def _value(key, FIXED: tl.constexpr):
    """The inverse of `_key`."""
    if FIXED:
        return key.to(tl.float32) * (1.0 / 65535.0)
    else:
        return key.to(tl.float32, bitcast=True)


def _median(x: torch.Tensor, half: int) -> torch.Tensor:
    """Columns are sorted once for all windows that hold them, and pairs and fours of columns merged once."""
    height, width = x.shape[2:]
    padded = torch.nn.functional.pad(x, (half,) * 4, mode="replicate")
    column = _sort([padded[:, :, i : i + height] for i in range(2 * half + 1)])
    merged: list[torch.Tensor] = []  # the first 2 · half columns of each window
    rest = [v[..., 2 * half :] for v in column]
    pair = _merge([v[..., :-1] for v in column], [v[..., 1:] for v in column])
    if half == 1:
        merged = [v[..., :width] for v in pair]
    else:
        four = _merge([v[..., :-2] for v in pair], [v[..., 2:] for v in pair])
        merged = [v[..., :width] for v in four]
        if half == 3:
            rest = _merge([v[..., 4 : 4 + width] for v in pair], rest)
    return _ranked(merged, rest, 2 * half * (half + 1))


def _sort(values: list[torch.Tensor]) -> list[torch.Tensor]:
    """Ascending, value by value."""
    half = len(values) // 2
    return _merge(_sort(values[:half]), _sort(values[half:])) if half else values


def _merge(a: list[torch.Tensor], b: list[torch.Tensor]) -> list[torch.Tensor]:
    """Two ascending lists as one: Batcher's odd-even merge."""
    if not a or not b:
        return a or b
    if len(a) == len(b) == 1:
        return [torch.minimum(a[0], b[0]), torch.maximum(a[0], b[0])]
    even, odd = _merge(a[::2], b[::2]), _merge(a[1::2], b[1::2])
    out = even[:1]
    for i in range(max(len(even) - 1, len(odd))):
        if i + 1 < len(even) and i < len(odd):
            out += [torch.minimum(odd[i], even[i + 1]), torch.maximum(odd[i], even[i + 1])]
        else:
            out.append(even[i + 1] if i + 1 < len(even) else odd[i])
    return out


def _ranked(a: list[torch.Tensor], b: list[torch.Tensor], rank: int) -> torch.Tensor:
    """The value of this rank, from 0, in two ascending lists: the least, over all ways to take rank + 1 values, of the last taken."""
    least = None
    for i in range(max(0, rank + 1 - len(b)), min(len(a), rank + 1) + 1):
        j = rank + 1 - i
        last = b[j - 1] if i == 0 else a[i - 1] if j == 0 else torch.maximum(a[i - 1], b[j - 1])
        least = last if least is None else torch.minimum(least, last)
    assert least is not None
    return least

"""JPEG: libjpeg-turbo's lossy path, bit for bit, at a quality from 1 to 100.

The image is rounded to 8 bits, converted to Y, Cb and Cr, coded in 8x8 blocks and decoded, with chroma at full (4:4:4) or
half resolution (4:2:2 across, 4:2:0 both ways), or without chroma (grey: the JPEG of the image's Y). The result equals what
libjpeg-turbo, Pillow and OpenCV give, in every bit. Quality is libjpeg's scale; 100 still changes pixels.
Source: ITU-T T.81; `kernels/codec.py` has the arithmetic.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.codec import (
    chroma_from_rgb,
    code_blocks_twin,
    code_pair,
    from_byte,
    from_byte_twin,
    grow_twin,
    limit,
    luma_from_rgb,
    quantisation_tables,
    rgb_from_ycc,
    shrink,
    shrink_twin,
    source,
    stretch_twin,
    to_byte,
    to_byte_twin,
)
from degrade.kernels.fetch import fetch, fetch_column_plane, fetch_plane
from degrade.kernels.lang import jit, tl
from degrade.op import Context, Frame, Param, Theta, TwoStrokeOp

SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0", "grey")
GREY = 3
CHROMA_FACTORS = ((1, 1), (1, 2), (2, 2))  # pixels per chroma sample, down and across, of the first three
OPENCV_FACTORS = (0x111111, 0x211111, 0x221111)


class Jpeg(TwoStrokeOp):
    """Compress and decompress as a JPEG file of this libjpeg quality and chroma subsampling."""

    quality = Param(1, 100, neutral=100, harsh=1, unit="libjpeg quality", integer=True)
    subsampling = Param(choices=SUBSAMPLINGS, default="4:2:0")
    tolerance = 0.0
    gradient = "straight-through"
    on_grid = True
    block = 16  # a unit of 4:2:0 is coded as a whole
    warps = 2

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return np.zeros(len(theta), dtype=bool)

    @classmethod
    def radius(cls, theta: Array) -> Array:
        """Beyond its own codec unit, a pixel reads the next chroma sample."""
        return np.full(len(theta), 2, dtype=np.int64)

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        return quantisation_tables(theta[:, 0])

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        steps = context.table[:, :128].to(torch.int32).reshape(-1, 2, 8, 8)
        subsampling = theta[1].flatten().to(torch.int64)
        out = torch.empty_like(x)
        for mode in range(len(SUBSAMPLINGS)):
            these = (subsampling == mode).nonzero().flatten()
            if len(these) == len(x):
                return from_byte_twin(_code(to_byte_twin(x), steps, mode))
            if len(these):
                out[these] = from_byte_twin(_code(to_byte_twin(x[these]), steps[these], mode))
        return out

    @classmethod
    def smooth(cls, x: torch.Tensor, theta: Theta) -> torch.Tensor:
        """The same without rounding: transform and quantisation leave everything as it is, and only chroma loses resolution."""
        height, width = x.shape[2:]
        luma = x[:, :1] * 0.299 + x[:, 1:2] * 0.587 + x[:, 2:] * 0.114
        chroma, mode = x - luma, theta[1]
        for i, (fy, fx) in enumerate(CHROMA_FACTORS[1:], start=1):
            edges = torch.nn.functional.pad(x - luma, (0, width % fx, 0, height % fy), mode="replicate")
            small = torch.nn.functional.avg_pool2d(edges, (fy, fx))
            grown = torch.nn.functional.interpolate(small, scale_factor=(float(fy), float(fx)), mode="bilinear", align_corners=False)
            chroma = torch.where(mode == i, grown[:, :, :height, :width], chroma)
        return luma + torch.where(mode == GREY, 0.0, chroma)

    @staticmethod
    def cpu(x: torch.Tensor, theta: Theta) -> torch.Tensor:
        """What the twin returns, through OpenCV's libjpeg-turbo."""
        images = to_byte_twin(x).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        coded = [Jpeg.cpu_bytes(image, own) for image, own in zip(images, zip(*(column.flatten().tolist() for column in theta)))]
        return from_byte_twin(torch.from_numpy(np.stack(coded)).permute(0, 3, 1, 2).contiguous())

    @staticmethod
    def cpu_bytes(image: Array, theta: Sequence[float]) -> Array:
        """The same for one image h w 3 of uint8. OpenCV's order of channels is blue, green, red."""
        import cv2

        options = [cv2.IMWRITE_JPEG_QUALITY, int(theta[0])]
        if theta[1] == GREY:
            luma = source(luma_from_rgb)(*(image[:, :, c].astype(np.int32) for c in range(3)))
            decoded: Any = cv2.imdecode(cv2.imencode(".jpg", luma.astype(np.uint8), options)[1], cv2.IMREAD_GRAYSCALE)
            return cv2.cvtColor(decoded, cv2.COLOR_GRAY2RGB)
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, OPENCV_FACTORS[int(theta[1])]]
        decoded = cv2.imdecode(cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)[1], cv2.IMREAD_COLOR)
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        """Decoded Y, Cb and Cr of one tile, chroma repeated over the pixels that share it."""
        subsampling = theta[1].to(tl.int32)
        r, g, b = fetch(image, y, x)
        r, g, b = to_byte(r), to_byte(g), to_byte(b)
        luma = luma_from_rgb(r, g, b)
        cb, cr = chroma_from_rgb(r, g, b)

        # A tile of luma and a tile of chroma are coded together. Chroma at half resolution fits into one tile, Cb to the left
        # of Cr; 4:2:0 fills half of its rows, so they stand there twice. 4:4:4 codes Cb first and Cr by itself.
        chroma = cb
        if subsampling == 1:
            chroma = _side_by_side(shrink(cb, 1, 2, 16, 32), shrink(cr, 1, 2, 16, 32), 16)
        elif subsampling == 2:
            rows = _side_by_side(shrink(cb, 2, 2, 16, 32), shrink(cr, 2, 2, 16, 32), 8)
            rows = _repeat_last_row(rows, (image[1] - 1) // 2 - tl.min(y) // 2)
            chroma = tl.reshape(tl.broadcast_to(rows[None, :, :], (2, 8, 32)), (16, 32))

        luma, chroma = code_pair(luma, chroma, table, 0, 64, 16, 32)

        if subsampling == 0:
            cb = chroma
            cr, _ = code_pair(cr, cr, table, 64, 64, 16, 32)
        elif subsampling == 1:
            cb, cr = _apart(chroma)
        elif subsampling == 2:
            # The two copies, interleaved, are every row twice.
            cb, cr = _apart(tl.reshape(tl.permute(tl.reshape(chroma, (2, 8, 32)), (1, 0, 2)), (16, 32)))
        else:
            cb = tl.full((16, 32), 128, tl.int32)
            cr = tl.full((16, 32), 128, tl.int32)
        return from_byte(luma), from_byte(cb), from_byte(cr)

    @staticmethod
    @jit
    def settle(scratch, y, x, r, g, b, theta, table, words, rng):
        """Chroma at every pixel: 9/16 of the nearest sample, 3/16 of the next down and across, 1/16 of the diagonal one."""
        subsampling = theta[1].to(tl.int32)
        height, width = scratch[1], scratch[2]
        # With one sample per pixel along an axis, the next sample is the nearest again. libjpeg does so, too, where there are
        # only one or two columns of chroma; the outermost samples are their own neighbours.
        across = tl.where((subsampling == 1) | (subsampling == 2), 1, 0)
        down = tl.where(subsampling == 2, 1, 0)
        blend = tl.where(width > 4, 1, 0)
        odd_y, odd_x = (y & 1) * down, (x & 1) * across
        near_y, near_x = y - odd_y, x - odd_x
        next_y = near_y + (4 * odd_y - 2) * down * blend
        next_x = near_x + (4 * odd_x - 2) * across * blend
        next_y = tl.where((next_y < 0) | (next_y >= height), near_y, next_y)
        next_x = tl.where((next_x < 0) | (next_x >= width), near_x, next_x)
        # Sixteenths to round by: h2v2 alternates 8 and 7, h2v1 the quarters 1 and 2.
        bias = tl.where(down == 1, 8 - odd_x, 4 + 4 * odd_x).to(tl.float32)

        luma = to_byte(fetch_column_plane(scratch, 0, y, x))
        cb = _blend(scratch, 1, near_y, near_x, next_y, next_x, bias)
        cr = _blend(scratch, 2, near_y, near_x, next_y, next_x, bias)
        r, g, b = rgb_from_ycc(luma, cb, cr)
        return from_byte(limit(r)), from_byte(limit(g)), from_byte(limit(b))


@jit
def _side_by_side(left, right, ROWS: tl.constexpr):
    """Two [ROWS, 16] to one [ROWS, 32]."""
    return tl.reshape(tl.permute(tl.join(left, right), (0, 2, 1)), (ROWS, 32))


@jit
def _apart(pair):
    """Left and right half of [16, 32], every column twice: two [16, 32]."""
    left, right = tl.split(tl.permute(tl.reshape(pair, (16, 2, 16)), (0, 2, 1)))
    left = tl.reshape(tl.broadcast_to(left[:, :, None], (16, 16, 2)), (16, 32))
    right = tl.reshape(tl.broadcast_to(right[:, :, None], (16, 16, 2)), (16, 32))
    return left, right


@jit
def _repeat_last_row(rows, last):
    """Rows of [8, 32] below `last` become that row: libjpeg fills its blocks after it halves the resolution."""
    row = tl.arange(0, 8)[:, None]
    edge = tl.sum(tl.where(row == last, rows, 0), 0)
    return tl.where(row > last, edge[None, :], rows)


@jit
def _blend(scratch, c, near_y, near_x, next_y, next_x, bias):
    """The weighted sum in float32 is within 0.001 of the sixteenths it counts, so half of one makes the floor exact."""
    near = 3.0 * fetch_plane(scratch, c, near_y, near_x) + fetch_plane(scratch, c, next_y, near_x)
    next_ = 3.0 * fetch_plane(scratch, c, near_y, next_x) + fetch_plane(scratch, c, next_y, next_x)
    return tl.floor((3.0 * near + next_) * (255.0 / 16.0) + (bias + 0.5) * (1.0 / 16.0)).to(tl.int32)


def _code(rgb: torch.Tensor, steps: torch.Tensor, mode: int) -> torch.Tensor:
    """(n, 3, h, w) int32 RGB in 0..255, coded and decoded."""
    height, width = rgb.shape[2:]
    luma = source(luma_from_rgb)(*rgb.unbind(1))
    decoded = code_blocks_twin(grow_twin(luma, 8, 8), steps[:, 0])[:, :height, :width]
    if mode == GREY:
        return decoded[:, None].expand(-1, 3, -1, -1)
    fy, fx = CHROMA_FACTORS[mode]
    chroma = torch.cat(source(chroma_from_rgb)(*rgb.unbind(1)))  # Cb of all samples, then Cr
    # The frame grows to whole blocks across before its resolution is halved, but down after it.
    chroma = grow_twin(shrink_twin(grow_twin(chroma, fy, 8 * fx), fy, fx), 8, 8)
    chroma = code_blocks_twin(chroma, steps[:, 1].repeat(2, 1, 1))[:, : -(-height // fy), : -(-width // fx)]
    cb, cr = stretch_twin(chroma, fy, fx, height, width).chunk(2)
    return torch.stack(source(rgb_from_ycc)(decoded, cb, cr), 1).clamp_(0, 255)

"""JPEG in plain torch, as restoration code writes it: averages of 2×2 for chroma, DCT by matrix products, a rounding that has a gradient."""

from __future__ import annotations

import math

import torch

from degrade.kernels.codec import CHROMA_STEPS, LUMA_STEPS

TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


def diffjpeg(x: torch.Tensor, quality: torch.Tensor) -> torch.Tensor:
    """b 3 h w floats of 0 to 1 through JPEG's losses at a quality for each, (b,); h and w are padded to multiples of 16 and cut again."""
    height, width = x.shape[2:]
    x = torch.nn.functional.pad(x * 255, (0, -width % 16, 0, -height % 16), "replicate")
    planes = torch.einsum("pc,bchw->bphw", x.new_tensor(TO_YCBCR), x)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None, None, None, None] / 100
    luma = _coded(planes[:, :1] - 128, x.new_tensor(LUMA_STEPS) * scale) + 128
    chroma = _coded(torch.nn.functional.avg_pool2d(planes[:, 1:], 2), x.new_tensor(CHROMA_STEPS) * scale)
    planes = torch.cat([luma, chroma.repeat_interleave(2, 2).repeat_interleave(2, 3)], 1)
    return torch.einsum("cp,bphw->bchw", x.new_tensor(TO_RGB), planes)[:, :, :height, :width].clamp(0, 255) / 255


def _coded(planes: torch.Tensor, steps: torch.Tensor) -> torch.Tensor:
    """Blocks of 8×8, transformed, divided by their steps, rounded, and back. steps: b 1 1 8 8."""
    b, count, height, width = planes.shape
    blocks = planes.reshape(b, count, height // 8, 8, width // 8, 8).transpose(3, 4).reshape(b, count, -1, 8, 8)
    dct = _dct(planes)
    steps = steps.clamp(min=1)
    scaled = dct @ blocks @ dct.T / steps
    nearest = scaled.round()
    blocks = dct.T @ ((nearest + (scaled - nearest) ** 3) * steps) @ dct
    return blocks.reshape(b, count, height // 8, width // 8, 8, 8).transpose(3, 4).reshape(planes.shape)


def _dct(like: torch.Tensor) -> torch.Tensor:
    i = torch.arange(8, device=like.device, dtype=like.dtype)
    dct = torch.cos((2 * i + 1) * i[:, None] * (math.pi / 16)) / 2
    return torch.cat([dct[:1] / math.sqrt(2), dct[1:]])

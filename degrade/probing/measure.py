"""How far a degraded image is from the clean one, in pixels: the two errors by which controls are matched."""

from __future__ import annotations

import torch

from degrade.distributions import Array

WINDOW = 11  # pixels of SSIM's Gaussian window, σ 1.5
SMALLEST = WINDOW // 2 + 1  # side that the window's mirrored border needs


def mse(x: torch.Tensor, y: torch.Tensor) -> Array:
    """Mean squared error of two batches b 3 h w in 0…1: (b,) float64."""
    change = (y - x).flatten(1)
    return _host((change * change).mean(1, dtype=torch.float64))


def dissimilarity(x: torch.Tensor, y: torch.Tensor) -> Array:
    """1 − SSIM of two batches b 3 h w in 0…1, the mean over pixels and channels: (b,) float64.

    Gaussian window of 11 pixels, σ 1.5, mirrored at the border; data range 1; constants .01² and .03².
    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE Transactions on Image Processing 13(4), 2004, as kornia has it.
    """
    from kornia.metrics import ssim

    return _host(1.0 - ssim(x, y, WINDOW, max_val=1.0).flatten(1).mean(1, dtype=torch.float64)).clip(0.0)


ERRORS = {"mse": mse, "ssim": dissimilarity}  # by what a whole frame is matched
NOISE = {"mse": 1e-9, "ssim": 1e-5}  # what float32 makes of images that do not differ: SSIM's on frames that are dark or flat


def _host(values: torch.Tensor) -> Array:
    out: Array = values.cpu().numpy()
    return out

"""Peers that work on a batch: plain torch, as a reader would write it in an afternoon, and kornia."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.diffjpeg import diffjpeg
from degrade.distributions import Array

WIDEST = 21  # taps across of the widest blur of the table, for libraries that take one size for a batch


def whole(call: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], slot: int | None = 0, fast: bool = False) -> Callable[..., Any]:
    """A batch of floats, with parameters on its device, (b, parameters) of one slot; fast: compiled by torch."""

    def run(x: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        return (call(x.to(torch.float32) / 255, own).clamp(0, 1) * 255 + 0.5).to(torch.uint8)

    def prepare(x: torch.Tensor, theta: Array) -> Callable[[], torch.Tensor]:
        own = torch.from_numpy(theta if slot is None else theta[:, slot]).to(x.device)
        ready = torch.compile(run) if fast else run
        return lambda: ready(x, own)

    return prepare


def wide(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None]


def noise(v: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return v + wide(t[:, 0]) * torch.randn_like(v)


def contrast(v: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    mean = wide((luma(v).mean((1, 2, 3)) * 255 + 0.5).floor() / 255)
    return mean + wide(t[:, 0]) * (v - mean)


def filter2d(v: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """A kernel for each sample, b k k, by a convolution in groups."""
    b, channels, height, width = v.shape
    half = kernels.shape[1] // 2
    padded = torch.nn.functional.pad(v, (half,) * 4, "replicate").reshape(1, b * channels, height + 2 * half, width + 2 * half)
    return torch.nn.functional.conv2d(padded, kernels.repeat_interleave(channels, 0)[:, None], groups=b * channels).view_as(v)


def blur(v: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    i = torch.arange(WIDEST, device=v.device) - WIDEST // 2
    taps = torch.exp(-0.5 * (i / t[:, :1]) ** 2) * (i.abs() <= torch.ceil(2 * t[:, :1]))
    taps = taps / taps.sum(1, keepdim=True)
    return filter2d(v, taps[:, :, None] * taps[:, None])


def motion(v: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return filter2d(v, torch.stack([torch.from_numpy(motion_kernel(*own)) for own in t[:, :2].tolist()]).to(v))


def chain(v: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Blur, noise and JPEG, as restoration code degrades its inputs."""
    v = noise(blur(v, t[:, 0]), t[:, 1]).clamp(0, 1)
    return diffjpeg(v, t[:, 2, 0])


def motion_kernel(length: float, angle: float, size: int = WIDEST + 2) -> Array:
    """MATLAB's fspecial('motion'), in a square: size size float32."""
    i = np.arange(size) - size // 2
    x, y, half = i[None], -i[:, None], (length - 1) / 2
    cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    along, distance = x * cos + y * sin, np.abs(y * cos - x * sin)
    beyond = (np.hypot(x, y) >= half) & (distance <= 1)
    weight = np.maximum(1 - np.where(beyond, np.hypot(distance, half - np.abs(along)), distance), 0)
    return (weight / weight.sum()).astype(np.float32)


def kornia(call: Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    def lazy(v: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        import kornia as library

        return call(library, v, t)

    return whole(lazy)


def kornia_noise(x: torch.Tensor, theta: Array) -> Callable[[], torch.Tensor]:
    """Of one strength in a batch: that of the first sample."""
    import kornia.augmentation

    own = kornia.augmentation.RandomGaussianNoise(std=float(theta[0, 0, 0]), p=1.0)
    return lambda: (own(x.to(torch.float32) / 255).clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def luma(v: torch.Tensor) -> torch.Tensor:
    return v[:, :1] * 0.299 + v[:, 1:2] * 0.587 + v[:, 2:] * 0.114


CALLS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "mean_shift": lambda v, t: v + wide(t[:, 0]),
    "gaussian_noise": noise,
    "gaussian_blur σ 0.5–5": blur,
    "jpeg 4:2:0": lambda v, t: diffjpeg(v, t[:, 0]),
    "contrast of grey": contrast,
    "motion_blur 3–21": motion,
    "saturation": lambda v, t: luma(v) + wide(t[:, 0]) * (v - luma(v)),
}
CHAIN = "blur, noise, jpeg"
TORCH = {**{op: whole(call) for op, call in CALLS.items()}, CHAIN: whole(chain, None)}
COMPILED = {
    **{op: whole(call, fast=True) for op, call in CALLS.items() if op != "motion_blur 3–21"},
    CHAIN: whole(chain, None, True),
}  # NumPy breaks it
KORNIA = {
    "mean_shift": kornia(lambda k, v, t: k.enhance.adjust_brightness(v, t[:, 0])),
    "gaussian_blur σ 0.5–5": kornia(lambda k, v, t: k.filters.gaussian_blur2d(v, (WIDEST, WIDEST), t[:, :1].expand(-1, 2), "replicate")),
    "jpeg 4:2:0": kornia(lambda k, v, t: k.enhance.jpeg_codec_differentiable(v, t[:, 0])),
    "contrast of grey": kornia(lambda k, v, t: k.enhance.adjust_contrast_with_mean_subtraction(v, t[:, 0])),
    "saturation": kornia(lambda k, v, t: k.enhance.adjust_saturation_with_gray_subtraction(v, t[:, 0])),
    "median_blur 3×3": kornia(lambda k, v, t: k.filters.median_blur(v, 3, "replicate")),
}
KORNIA_BATCH = {
    "gaussian_noise": kornia_noise,
    # Angles are of each sample, the length is of the batch.
    "motion_blur 3–21": kornia(lambda k, v, t: k.filters.motion_blur(v, WIDEST, t[:, 1], torch.zeros_like(t[:, 1]), "replicate")),
}

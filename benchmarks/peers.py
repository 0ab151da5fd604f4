"""What a reader could use instead, on the same batch with the same parameters for each sample: plain torch, and kornia.

Each takes uint8 images b 3 h w and the drawn parameters (b, 8), and gives uint8 images: conversion is part of the work, as it is for
this package. None takes a mask, and none mixes ops within a batch; kornia's JPEG is an approximation that can be differentiated.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch

from benchmarks import timing

Peer = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def _floats(x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.float32) / 255


def _bytes(x: torch.Tensor) -> torch.Tensor:
    return (x.clamp(0, 1) * 255 + 0.5).to(torch.uint8)


def _each(values: torch.Tensor) -> torch.Tensor:
    return values[:, None, None, None]


def torch_shift(x: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    return _bytes(_floats(x) + _each(theta[:, 0]))


def torch_noise(x: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    v = _floats(x)
    return _bytes(v + _each(theta[:, 0]) * torch.randn_like(v))


def kornia_blur(x: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    import kornia

    return _bytes(kornia.filters.gaussian_blur2d(_floats(x), (21, 21), theta[:, :1].expand(-1, 2), "replicate"))


def kornia_jpeg(x: torch.Tensor, theta: torch.Tensor) -> torch.Tensor:
    import kornia

    return _bytes(kornia.enhance.jpeg_codec_differentiable(_floats(x), theta[:, 0]))


PEERS: dict[str, dict[str, Peer]] = {
    "mean_shift": {"torch": torch_shift},
    "gaussian_noise": {"torch": torch_noise},
    "gaussian_blur σ 0.5–5": {"kornia": kornia_blur},
    "jpeg 4:2:0": {"kornia": kornia_jpeg},
}


def contestants(op: str, x: torch.Tensor, theta: torch.Tensor) -> dict[str, timing.Call]:
    """The peers of an op that can run here; those of torch also compiled."""
    found: dict[str, timing.Call] = {}
    if x.dtype != torch.uint8 or not importlib.util.find_spec("kornia"):
        return found
    for name, peer in PEERS.get(op, {}).items():
        found[name] = lambda number, peer=peer: peer(x, theta)  # type: ignore[misc]
        if name == "torch":
            fast = torch.compile(peer)
            found["torch compiled"] = lambda number, fast=fast: fast(x, theta)  # type: ignore[misc]
    return found

"""What a reader could use instead, on the same images with the same parameters for each sample: one table of all peers.

A peer gets uint8 images in the layout that it likes and all parameters beforehand, outside the clock; what it draws or builds for itself is
inside. Conversion to floats and back is part of the work, as it is for this package. None takes a mask, and none mixes ops within a batch.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks import timing
from benchmarks.peers_gpu import CVCUDA, DALI, TRITON_AUGMENT
from benchmarks.peers_images import ALBUMENTATIONS, NUMPY, OPENCV, PILLOW, TORCHVISION
from benchmarks.peers_torch import COMPILED, KORNIA, KORNIA_BATCH, TORCH
from degrade.distributions import Array

Prepare = Callable[[Any, Array], Callable[[], Any]]  # from images and theta (b, slots, parameters) to a call


@dataclass(frozen=True)
class Peer:
    """One op of one library."""

    name: str
    op: str  # a workload of benchmarks.suites
    package: str  # what must be installed
    layout: str  # one of LAYOUTS
    prepare: Prepare
    takes: str  # whose parameters it takes in one call: "per sample", "per batch" those of the first sample, "loop" one image a call
    devices: tuple[str, ...]


def _arrays(x: torch.Tensor) -> list[Array]:
    return [np.ascontiguousarray(image) for image in x.cpu().permute(0, 2, 3, 1).numpy()]


def _tensor(images: list[Array]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


# How images come to a peer, and back: uint8 b 3 h w.
LAYOUTS: dict[str, tuple[Callable[[torch.Tensor], Any], Callable[[Any], torch.Tensor]]] = {
    "b3hw": (lambda x: x, lambda y: y),
    "bhw3": (lambda x: x.permute(0, 2, 3, 1).contiguous(), lambda y: y.permute(0, 3, 1, 2)),
    "images": (lambda x: list(x), torch.stack),
    "rgb": (_arrays, _tensor),
    "bgr": (lambda x: [np.ascontiguousarray(a[:, :, ::-1]) for a in _arrays(x)], lambda y: _tensor([a[:, :, ::-1] for a in y])),
}


CPU, GPU, BOTH = ("cpu",), ("cuda",), ("cpu", "cuda")
LIBRARIES: tuple[tuple[str, dict[str, Prepare], str, str, str, tuple[str, ...]], ...] = (
    ("OpenCV", OPENCV, "cv2", "bgr", "loop", CPU),
    ("NumPy", NUMPY, "numpy", "rgb", "loop", CPU),
    ("Pillow", PILLOW, "PIL", "rgb", "loop", CPU),
    ("torch", TORCH, "torch", "b3hw", "per sample", BOTH),
    ("torch compiled", COMPILED, "torch", "b3hw", "per sample", GPU),
    ("kornia", KORNIA, "kornia", "b3hw", "per sample", BOTH),
    ("kornia", KORNIA_BATCH, "kornia", "b3hw", "per batch", BOTH),
    ("torchvision", TORCHVISION, "torchvision", "images", "loop", BOTH),
    ("albumentations", ALBUMENTATIONS, "albumentations", "rgb", "loop", CPU),
    ("DALI", DALI, "nvidia.dali", "bhw3", "per sample", GPU),
    ("CV-CUDA", CVCUDA, "cvcuda", "bhw3", "per sample", GPU),
    ("triton-augment", TRITON_AUGMENT, "triton_augment", "b3hw", "per sample", GPU),
)
PEERS = tuple(
    Peer(name, op, package, layout, prepare, takes, devices)
    for name, calls, package, layout, takes, devices in LIBRARIES
    for op, prepare in calls.items()
)
OPS = tuple(dict.fromkeys(peer.op for peer in PEERS))
RANDOM = "gaussian_noise", "blur, noise, jpeg"  # each library draws its own noise


def installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # of a package that has none above it
        return False


def ready(op: str, x: torch.Tensor, thetas: list[Array]) -> tuple[dict[str, tuple[Peer, timing.Call]], dict[str, str]]:
    """The peers of an op that run on these uint8 images, with the parameters of programs in turns, each tried once; and of the others, why not."""
    calls: dict[str, tuple[Peer, timing.Call]] = {}
    absent: dict[str, str] = {}
    for peer in PEERS:
        if peer.op != op or x.device.type not in peer.devices:
            continue
        if not installed(peer.package):
            absent[peer.name] = "not installed"
            continue
        try:
            images = LAYOUTS[peer.layout][0](x)
            made = [peer.prepare(images, theta) for theta in thetas]
            result(peer, made[0]())
        except Exception as error:  # a peer that cannot run is no reason for a row to fail
            absent[peer.name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
            continue
        calls[peer.name] = peer, lambda number, made=made: made[number % len(made)]()  # type: ignore[misc]
    return calls, absent


def result(peer: Peer, y: Any) -> torch.Tensor:
    """What a call gave, as uint8 b 3 h w on the host."""
    return LAYOUTS[peer.layout][1](y).cpu()

"""What is measured: each suite is a list of settings, one row each."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from degrade import REGISTRY, GaussianBlur, Jpeg, Local, Pipeline, SomeOf, Uniform, banks, masks
from degrade.backends import obstacle_to_triton
from degrade.recipe import Node

SIZE, BATCH = 224, 256
FEATHER = 0.05
FAST = torch.uint8, torch.float16


def few_locals() -> Node:
    """One to three ops of a kind each, every one under a mask of its own."""
    ops = (REGISTRY[name]() for name in ("mean_shift", "gaussian_noise", "gaussian_blur", "jpeg"))
    return SomeOf(*(Local(op, masks.Ellipse(area=(0.05, 0.3), feather=FEATHER)) for op in ops), n=(1, 3))


# Beside the ops by their names.
WORKLOADS: dict[str, Callable[[], Node]] = {
    "jpeg 4:2:0": lambda: Jpeg(subsampling="4:2:0"),
    "gaussian_blur σ 0.5–5": lambda: GaussianBlur(sigma=Uniform(0.5, 5.0)),
    "1–3 local ops": few_locals,
    **{f"bank {name}": lambda name=name: getattr(banks, name)().recipe for name in banks.__all__},  # type: ignore[misc]
}
KINDS = "mean_shift", "gaussian_noise", "gaussian_blur σ 0.5–5", "jpeg 4:2:0"  # a cheap and a dear point op, a blur, a codec


@dataclass(frozen=True)
class Setting:
    """What one row measures."""

    op: str  # or another workload
    backend: str
    device: str
    dtype: torch.dtype
    batch: int
    area: float
    size: int = SIZE

    def pipeline(self) -> Pipeline:
        recipe = WORKLOADS[self.op]() if self.op in WORKLOADS else REGISTRY[self.op]()
        local = recipe if self.area == 1.0 else Local(recipe, masks.Ellipse(area=self.area, feather=FEATHER))
        return Pipeline(local, seed=1, backend=self.backend)

    def to_dict(self) -> dict[str, Any]:
        return {**vars(self), "dtype": str(self.dtype).removeprefix("torch.")}


def ops(quick: bool) -> Iterator[tuple[Any, ...]]:
    """Every op by dtype, batch and area."""
    for op in sorted(REGISTRY):
        for dtype in FAST[:1] if quick else FAST:
            for batch in (1, 32) if quick else (1, 32, 256):
                yield from ((op, dtype, batch, area) for area in (1.0, 0.1))


def targets(quick: bool) -> Iterator[tuple[Any, ...]]:
    """What the engine was designed for."""
    for dtype in FAST[:1] if quick else FAST:
        for op in ("mean_shift", "contrast", "gaussian_noise", "jpeg 4:2:0", "gaussian_blur σ 0.5–5"):
            yield from ((op, dtype, BATCH, area) for area in (1.0, 0.1))
        yield from ((op, dtype, BATCH, 1.0) for op in ("1–3 local ops", "bank kadid10k", "bank arniqa"))


def pipelines(quick: bool) -> Iterator[tuple[Any, ...]]:
    """Whole banks."""
    for op in WORKLOADS:
        yield from ((op, dtype, BATCH, 1.0) for dtype in (FAST[:1] if quick else FAST))


def area(quick: bool) -> Iterator[tuple[Any, ...]]:
    """How cost follows the masked area."""
    for op in KINDS:
        yield from ((op, torch.uint8, BATCH, part) for part in ((1.0, 0.1) if quick else (1.0, 0.5, 0.25, 0.1, 0.05, 0.01)))


def batch(quick: bool) -> Iterator[tuple[Any, ...]]:
    """How cost follows the batch."""
    for op in (*KINDS, "bank arniqa"):
        yield from ((op, torch.uint8, count, 1.0) for count in ((1, 32, 256) if quick else (1, 4, 16, 64, 128, 256, 512)))


def sizes(quick: bool) -> Iterator[tuple[Any, ...]]:
    """How cost follows the size of images: about as many pixels in every batch."""
    for op in KINDS:
        yield from ((op, torch.uint8, max(1, BATCH * SIZE**2 // size**2), 1.0, size) for size in ((224, 512) if quick else (96, 224, 225, 512, 2048)))


def dtypes(quick: bool) -> Iterator[tuple[Any, ...]]:
    """How cost follows the dtype."""
    for op in KINDS:
        every = torch.uint8, torch.float16, torch.bfloat16, torch.float32
        yield from ((op, dtype, BATCH, 1.0) for dtype in (every[::3] if quick else every))


SUITES = {suite.__name__: suite for suite in (ops, targets, pipelines, area, batch, sizes, dtypes)}


def settings(suite: str, pattern: str, backend: str, quick: bool) -> Iterator[Setting]:
    """The rows of a suite whose op matches one of the patterns, where the backend runs them."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for op, dtype, *rest in SUITES[suite](quick):
        if not any(fnmatch.fnmatch(op, p) for p in pattern.split(",")):
            continue
        for chosen in ("torch", "triton") if backend == "all" else (backend,):
            codec = op in REGISTRY and REGISTRY[op].kind == "codec"
            if chosen != "triton" or not (codec or obstacle_to_triton(torch.empty(1, dtype=dtype, device=device), None)):
                yield Setting(op, chosen, device, dtype, *rest)

"""What is measured: each suite is a list of settings, one row each."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from benchmarks.images import SIZE
from degrade import (
    REGISTRY,
    Compose,
    Contrast,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    Local,
    MedianBlur,
    MotionBlur,
    Partition,
    Pipeline,
    SaturationYcbcr,
    SomeOf,
    Uniform,
    banks,
    cells,
    masks,
)
from degrade.backends import obstacle_to_triton
from degrade.recipe import Node

BATCH = 256
FEATHER = 0.05
FAST = torch.uint8, torch.float16


def few_locals() -> Node:
    """One to three ops of a kind each, every one under a mask of its own."""
    ops = (REGISTRY[name]() for name in ("mean_shift", "gaussian_noise", "gaussian_blur", "jpeg"))
    return SomeOf(*(Local(op, masks.Ellipse(area=(0.05, 0.3), feather=FEATHER)) for op in ops), n=(1, 3))


def points(count: int) -> Node:
    """So many point ops of one kind for every sample, so that only their number differs."""
    return Compose(*(REGISTRY["mean_shift"]() for _ in range(count)))


def mixed(count: int) -> Node:
    """The first so many of a blur, a noise, a codec and a statistic of the whole frame."""
    return Compose(*(GaussianBlur(sigma=2.0), GaussianNoise(), Jpeg(subsampling="4:2:0"), Contrast())[:count])


POINTS, MIXED = {n: f"point ops: {n}" for n in (1, 2, 4, 8)}, {n: f"mixed ops: {n}" for n in (1, 2, 3, 4)}

# Beside the ops by their names.
WORKLOADS: dict[str, Callable[[], Node]] = {
    "jpeg 4:2:0": lambda: Jpeg(subsampling="4:2:0"),
    "gaussian_blur σ 0.5–5": lambda: GaussianBlur(sigma=Uniform(0.5, 5.0)),
    "gaussian_blur σ 2": lambda: GaussianBlur(sigma=2.0),
    "contrast of grey": lambda: Contrast(factor=Uniform(0.3, 2.0), mean="grey"),
    "saturation": lambda: SaturationYcbcr(factor=Uniform(0.0, 2.5)),
    "motion_blur 3–21": lambda: MotionBlur(length=Uniform(3.0, 21.0)),
    "median_blur 3×3": lambda: MedianBlur(half_width=1),
    "blur, noise, jpeg": lambda: Compose(GaussianBlur(sigma=Uniform(0.5, 5.0)), GaussianNoise(), Jpeg(subsampling="4:2:0")),
    "1–3 local ops": few_locals,
    **{name: lambda n=n: points(n) for n, name in POINTS.items()},  # type: ignore[misc]
    **{name: lambda n=n: mixed(n) for n, name in MIXED.items()},  # type: ignore[misc]
    **{f"bank {name}": lambda name=name: getattr(banks, name)().recipe for name in banks.__all__},  # type: ignore[misc]
}
KINDS = "mean_shift", "gaussian_noise", "gaussian_blur σ 0.5–5", "jpeg 4:2:0"  # a cheap and a dear point op, a blur, a codec


KINDS_OF_REGIONS = "mean_shift", "gaussian_blur σ 2", "jpeg 4:2:0", "contrast"  # a point op, a blur, a codec, a statistic of the whole frame
FAMILIES = (masks.Ellipse, masks.Boxes, masks.Blob, masks.Gradient, masks.Clouds, masks.Stripes, masks.Edges)


def union(area: float) -> masks.Union:
    """Two masks that have the area together, as they overlap by chance."""
    each = 1.0 - (1.0 - area) ** 0.5
    return masks.Union(masks.Ellipse(area=each, feather=FEATHER), masks.Stripes(area=each, feather=FEATHER))


GRIDS = {1: (1, 1), 4: (2, 2), 16: (4, 4), 64: (8, 8), 128: (8, 16)}  # rows and columns of so many cells

# To what an op is confined, given the area.
MASKS: dict[str, Callable[[float], Any]] = {family.name: lambda area, family=family: family(area=area, feather=FEATHER) for family in FAMILIES}  # type: ignore[misc]
MASKS["union"] = union
CELLS: dict[str, Any] = {
    **{f"grid {count}": cells.Grid(*parts) for count, parts in GRIDS.items()},
    **{f"voronoi {count}": cells.Voronoi(count) for count in GRIDS},
}


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
    region: str = ""  # one of MASKS or CELLS; then the row is held against the whole frame. Else an ellipse of the area, if that is not the frame

    def pipeline(self) -> Pipeline:
        recipe = WORKLOADS[self.op]() if self.op in WORKLOADS else REGISTRY[self.op]()
        if self.region in CELLS:
            recipe = Partition(recipe, CELLS[self.region])
        elif self.region or self.area != 1.0:
            recipe = Local(recipe, MASKS[self.region or "ellipse"](self.area))
        return Pipeline(recipe, seed=1, backend=self.backend)

    def beside(self) -> dict[str, Setting]:
        """What a row about regions is held against: the op over the whole frame, and cells against one that is the frame."""
        whole = replace(self, region="", area=1.0)
        return {"whole": whole, "one": replace(self, region=f"{self.region.split()[0]} 1")} if self.region in CELLS else {"whole": whole}

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
    for op in (name for name in WORKLOADS if name.startswith("bank ")):
        yield from ((op, dtype, BATCH, 1.0) for dtype in (FAST[:1] if quick else FAST))


def area(quick: bool) -> Iterator[tuple[Any, ...]]:
    """How cost follows the masked area, for every family of masks."""
    for op in KINDS_OF_REGIONS:
        for region in ("ellipse", "clouds") if quick else MASKS:
            yield from ((op, torch.uint8, BATCH, part, SIZE, region) for part in ((1.0, 0.1) if quick else (1.0, 0.5, 0.25, 0.1, 0.05)))


def partitions(quick: bool) -> Iterator[tuple[Any, ...]]:
    """How cost follows the number of cells that the frame is parted into."""
    for op in KINDS_OF_REGIONS[:2]:
        for size in (SIZE,) if quick else (SIZE, 512):
            for kind in ("grid",) if quick else ("grid", "voronoi"):
                yield from ((op, torch.uint8, BATCH // 8, 1.0, size, f"{kind} {count}") for count in GRIDS)


def batch(quick: bool) -> Iterator[tuple[Any, ...]]:
    """How cost follows the batch."""
    for op in (*KINDS, "bank arniqa"):
        yield from ((op, torch.uint8, count, 1.0) for count in ((1, 32, 256) if quick else (1, 4, 16, 64, 128, 256, 512)))


def sizes(quick: bool) -> Iterator[tuple[Any, ...]]:
    """How cost follows the size of images: about as many pixels in every batch."""
    for op in KINDS:
        yield from ((op, torch.uint8, max(1, BATCH * SIZE**2 // size**2), 1.0, size) for size in ((224, 512) if quick else (96, 224, 225, 512, 2048)))


def per_sample(quick: bool) -> Iterator[tuple[Any, ...]]:
    """How cost follows the number of ops of each sample."""
    yield from ((op, torch.uint8, BATCH, 1.0) for op in (*POINTS.values(), *MIXED.values())[:: 3 if quick else 1])


def dtypes(quick: bool) -> Iterator[tuple[Any, ...]]:
    """How cost follows the dtype."""
    for op in KINDS:
        every = torch.uint8, torch.float16, torch.bfloat16, torch.float32
        yield from ((op, dtype, BATCH, 1.0) for dtype in (every[::3] if quick else every))


SUITES = {suite.__name__: suite for suite in (ops, targets, pipelines, area, partitions, batch, sizes, per_sample, dtypes)}


def settings(suite: str, pattern: str, backend: str, quick: bool, batch: int | None = None) -> Iterator[Setting]:
    """The rows of a suite whose op matches one of the patterns, where the backend runs them. batch: of all rows, in place of the suite's."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for op, dtype, *rest in SUITES[suite](quick) if batch is None else dict.fromkeys((o, d, batch, *rest) for o, d, _, *rest in SUITES[suite](quick)):
        if not any(fnmatch.fnmatch(op, p) for p in pattern.split(",")):
            continue
        for chosen in ("torch", "triton") if backend == "all" else (backend,):
            codec = op in REGISTRY and REGISTRY[op].kind == "codec"
            if chosen != "triton" or not (codec or obstacle_to_triton(torch.empty(1, dtype=dtype, device=device), None)):
                yield Setting(op, chosen, device, dtype, *rest)

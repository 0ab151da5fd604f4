"""`torch.compile`: inside a compiled graph a pipeline is one opaque operator, which breaks no graph.

Its arguments are tensors and the pipeline's number. All else, the epoch and the call counter too, is read when it runs, so that no draw
is frozen into a graph. It is marked as random, so that equal calls are not merged, and as unfit for CUDA graphs, which would replay one
draw.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any

import torch

from .gradients import kept

_NUMBERS = itertools.count()
_OWNERS: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def number_of(owner: Any) -> int:
    """A number under which the operator finds an object with a method `degrade`, in this process and as long as it lives."""
    number = next(_NUMBERS)
    _OWNERS[number] = owner
    return number


def _run(
    x: torch.Tensor,
    owner: int,
    mask: torch.Tensor | None,
    segments: torch.Tensor | None,
    view: int,
    *ids: torch.Tensor | None,
) -> torch.Tensor:
    y: torch.Tensor = _OWNERS[owner].degrade(x, mask, segments, view, *ids)
    return y


def _shape(x: torch.Tensor, *others: object) -> torch.Tensor:
    return torch.empty_like(x)


# Not every release of torch has the tag that keeps an operator out of CUDA graphs.
_TAGS = tuple(getattr(torch.Tag, name) for name in ("nondeterministic_seeded", "cudagraph_unsafe") if hasattr(torch.Tag, name))
_LIBRARY = torch.library.Library("degrade", "DEF")
_LIBRARY.define(
    "pipeline(Tensor x, int owner, Tensor? mask, Tensor? segments, int view, "
    "Tensor? ids, Tensor? program_ids, Tensor? mask_ids, Tensor? noise_ids) -> Tensor",
    tags=_TAGS,
)
_LIBRARY.impl("pipeline", _run, "CompositeExplicitAutograd")
torch.library.register_fake("degrade::pipeline", _shape, lib=_LIBRARY)
run = torch.ops.degrade.pipeline


def takes(x: Any, mask: Any, *ids: Any) -> bool:
    """Whether a call is being traced, and is one that the operator takes: it passes no gradient, and its ids are tensors."""
    tensors = all(i is None or isinstance(i, torch.Tensor) for i in ids)
    return torch.compiler.is_compiling() and tensors and not (kept(x) or kept(mask))

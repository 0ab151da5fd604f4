"""A loader whose batches arrive on the device, degraded: copied and degraded beside the training step before."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch

from degrade.labels import Labels
from degrade.pipeline import Pipeline

from .lanes import Plain, Side, lane_to
from .nested import mapped, walk
from .stage import Stage


class DeviceLoader:
    """Wrap a loader: its batches in their own structure, all tensors on the device, images degraded.

    A loader whose `collate_fn` is `Prepare(pipeline, ids=…)` draws and plans in its workers, which spares the process that trains most of what the host does.

    On a GPU the next batch is pinned, copied and degraded on a side stream while the caller works on this one; the host waits for nothing, and a
    batch is ordered before what the caller's stream, that of the moment when it is asked for, does with it. A DataLoader with `pin_memory=True` pins in a
    thread of its own, which spares the host a copy. On other devices it is a plain wrapper.

    Args:
        loader: gives batches: a DataLoader, or anything that is iterated over. Its workers give images on the CPU, uint8 best.
        pipeline: what to do. Masks that it stores belong on the device: `pipeline.to(device)`.
        device: such as "cuda".
        key: where images stand in a batch, as for `Transform`.
        ids: where a batch holds its samples' ids, on the host: a key or position, or a tuple of them that leads further in (`Numbered` gives them);
            "content" for a hash of each image, taken before the copy; None for (rank, call counter), in the order in which batches come.
        labels: give (batch, labels): a `Labels`, or a list with one for each entry that is an image or a batch of them.

    Tensors b 3 h w of equal b are views 0, 1, … of the same samples, whatever their sizes; a list of single images 3 h w, of any sizes, holds one
    sample each, and those of one size are degraded together. Leaves that are no tensors pass untouched.

    Raises:
        TypeError: what is no pipeline, or cannot be iterated over. ValueError: a device that torch does not know. RuntimeError: when iterated over, a GPU that is not there, or in a process
            that was forked.
    """

    def __init__(
        self, loader: Any, pipeline: Pipeline, device: str | torch.device, *, key: Any = None, ids: Any = None, labels: bool = False
    ) -> None:
        if not hasattr(loader, "__iter__"):
            raise TypeError(f"loader is a {type(loader).__name__}; accepted: a DataLoader, or anything that is iterated over.")
        try:
            torch.device(device)
        except RuntimeError:
            raise ValueError(f"device={device!r} is not understood; accepted: a torch device, such as 'cuda', 'cuda:1' or 'cpu'.") from None
        self._stage = Stage(pipeline, key, ids)
        self.loader, self.pipeline, self.device, self.labels = loader, pipeline, torch.device(device), labels
        self._lane: Plain | Side | None = None
        self._given = 0  # batches of this epoch that the caller has
        self._skip = 0  # batches that a checkpoint had already
        self._drawn: dict[str, Any] | None = None  # the pipeline's state before the batch that comes next

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        self._lane = lane = self._lane or lane_to(self.device)
        skip, self._skip = self._skip, 0
        self._given, self._drawn = skip, None
        lane.start()
        ready: deque[tuple[Any, list[Labels], Any]] = deque()  # which keeps no batch that the caller has
        for batch in itertools.islice(self.loader, skip, None):
            before = self.pipeline.get_extra_state()
            ready.append(self._begin(lane, batch))
            if lane.ahead and len(ready) == 1:
                continue
            self._drawn = before if lane.ahead else None
            yield self._finish(lane, *ready.popleft())
        self._drawn = None
        if ready:
            yield self._finish(lane, *ready.popleft())
        self._given = 0

    def _begin(self, lane: Plain | Side, batch: Any) -> tuple[Any, list[Labels], Any]:
        """Queue one batch: its copy and its degradation, and a mark behind them."""
        batch, images, prepared = self._stage.open(batch)  # ids are read on the host, before they are moved
        tensors = [leaf for _, leaf in walk(batch) if isinstance(leaf, torch.Tensor)]
        with lane.work(t for t in tensors if t.device.type != "cpu"):
            moved = mapped(batch, lambda _, leaf: lane.put(leaf) if isinstance(leaf, torch.Tensor) else leaf)
            out, told = self._stage.run(moved, images, self.labels, prepared)
            return out, told, lane.done()

    def _finish(self, lane: Plain | Side, batch: Any, told: list[Labels], mark: Any) -> Any:
        """Hand one batch over."""
        tensors = [leaf for _, leaf in walk(batch) if isinstance(leaf, torch.Tensor)]
        made = [labels.program.maps for labels in told if labels.program.maps is not None]  # masks that were made of the images
        lane.take([*tensors, *made], mark)
        self._given += 1
        return (batch, told[0] if len(told) == 1 else told) if self.labels else batch

    # ---- epochs and checkpoints --------------------------------------------------------------------------------------------

    def set_epoch(self, epoch: int) -> None:
        """Tell the pipeline, and whatever of the loader wants to know: itself, its dataset, its sampler and what that wraps."""
        self.pipeline.set_epoch(epoch)
        self._given, self._drawn = self._skip, None  # an epoch that was left is forgotten
        found: list[Any] = [self.loader]
        for owner in found:
            parts = [getattr(owner, name, None) for name in ("dataset", "sampler", "batch_sampler")]
            found += [part for part in parts if part is not None and not any(part is other for other in found)]
        for owner in found:
            if hasattr(owner, "set_epoch"):
                owner.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, in the middle of an epoch too: how many batches of it the caller has, and what the next is drawn with."""
        return {"batches": self._given, "pipeline": self._drawn or self.pipeline.get_extra_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken: the next loop begins with the batch after it. Batches before it are loaded and dropped, so that the
        loader has to give the same ones again: its order must be of the epoch alone, as with a `DistributedSampler`, or of a seeded generator."""
        self.pipeline.set_extra_state(state["pipeline"])
        self._skip = int(state["batches"])
        self._given, self._drawn = self._skip, None

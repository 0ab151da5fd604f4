"""A callback for Lightning. Needs lightning or pytorch_lightning: `pip install lightning`."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

from degrade.pipeline import Pipeline

from .stage import PreparedBatch, Stage


def _base() -> Any:
    names = ("lightning.pytorch", "pytorch_lightning")  # two packages of one library, whose classes do not mix
    for name in sorted(names, key=lambda name: name not in sys.modules):
        try:
            return importlib.import_module(name).Callback
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError("degrade.data.lightning needs Lightning, which is not installed: pip install lightning.")


Callback: Any = _base()


class DegradeCallback(Callback):  # type: ignore[misc]
    """Degrade training batches on the device, after Lightning has moved them there; validation, test and prediction see them as they are.

    Who the samples are is settled before the transfer, where ids are on the host; what is drawn from them is applied after it. A module's, or data
    module's, own `on_before_batch_transfer` comes before and its `on_after_batch_transfer` after the degradation: normalise there.

    Args:
        pipeline: what to do. Each epoch of the trainer draws anew.
        key: where images stand in a batch, as for `Transform`.
        ids: where a batch holds its samples' ids, as for `DeviceLoader`.
        labels: batches become (batch, labels), as for `DeviceLoader`.

    Raises:
        TypeError: what is no pipeline.
    """

    def __init__(self, pipeline: Pipeline, key: Any = None, ids: Any = None, labels: bool = False) -> None:
        super().__init__()
        self._stage = Stage(pipeline, key, ids)
        self.pipeline, self.labels = pipeline, labels
        self._plan: list[Any] = []  # of the batch that is being moved: its images, and what is prepared for them
        self._wrapped: list[tuple[Any, str]] = []

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        if stage == "fit":
            self._wrap(trainer, pl_module, "on_before_batch_transfer", self._before)
            self._wrap(trainer, pl_module, "on_after_batch_transfer", self._after)

    def teardown(self, trainer: Any, pl_module: Any, stage: str) -> None:
        for owner, name in self._wrapped:
            delattr(owner, name)  # the class's own is seen again
        self._wrapped = []

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        self.pipeline.set_epoch(trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        return self.pipeline.get_extra_state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.pipeline.set_extra_state(state_dict)

    def _wrap(self, trainer: Any, module: Any, name: str, around: Callable[..., Any]) -> None:
        """Put ourselves around a hook, of the data module if it has one of its own: Lightning calls no hooks of callbacks here."""
        data = trainer.datamodule
        kind = _overridden(data, name) if data is not None else None
        owner = data if kind else module
        hook = getattr(owner, name)

        @functools.wraps(hook)  # by which Lightning sees that nobody's own hook is in the way
        def both(batch: Any, dataloader_idx: int) -> Any:
            return around(hook, batch, dataloader_idx, trainer.training)

        setattr(owner, name, both)
        self._wrapped.append((owner, name))

    def _before(self, hook: Callable[..., Any], batch: Any, dataloader_idx: int, training: bool) -> Any:
        if not isinstance(batch, PreparedBatch):
            batch = hook(batch, dataloader_idx)
            self._plan = [self._stage.plan(batch), []] if training else []
            return batch
        batch, *self._plan = self._stage.open(batch)
        self._plan = self._plan if training else []
        return hook(batch, dataloader_idx)

    def _after(self, hook: Callable[..., Any], batch: Any, dataloader_idx: int, training: bool) -> Any:
        plan, self._plan = self._plan, []
        if not plan:
            return hook(batch, dataloader_idx)
        images, prepared = plan
        out, told = self._stage.run(batch, images, self.labels, prepared)
        out = hook(out, dataloader_idx)
        return (out, told[0] if len(told) == 1 else told) if self.labels else out


def _overridden(owner: Any, name: str) -> bool:
    """Whether a data module has a hook of its own, which Lightning then prefers to the module's."""
    for kind in type(owner).__mro__:
        if name in vars(kind):
            return not kind.__module__.startswith(("lightning.", "pytorch_lightning."))
    return False

"""Who a sample is when nobody says: (rank, worker, call counter). And the epoch, shared with workers that already run."""

from __future__ import annotations

import os
import threading
from typing import Any, NamedTuple

import numpy as np
import torch

from .distributions import Array
from .inputs import check_ids

_LOCK = threading.Lock()  # between threads; worker processes have counters of their own
WORKERS = 1 << 10
CALLS = 1 << 40


class Calls:
    """The epoch and one call counter per worker, in shared memory, so that forked and spawned workers see and keep them.

    An id without a name is 1 << 62 | rank << 50 | worker slot << 40 | counter; slot 0 is the main process.
    """

    def __init__(self) -> None:
        self._hold(torch.zeros(1 + WORKERS, dtype=torch.int64, device="cpu").share_memory_())

    def _hold(self, shared: torch.Tensor) -> None:
        self._shared, self._numbers = shared, shared.numpy()  # the same memory, of which NumPy reads one number sooner

    def __getstate__(self) -> torch.Tensor:
        return self._shared

    def __setstate__(self, shared: torch.Tensor) -> None:
        # A spawned worker gets the same memory; a copy, or what was unpickled from a file, gets its own, shared again.
        self._hold(shared if shared.is_shared() else shared.share_memory_())

    def __deepcopy__(self, memo: Any) -> Calls:
        other = Calls()
        other._shared.copy_(self._shared)
        return other

    @property
    def epoch(self) -> int:
        return int(self._numbers[0])

    def set_epoch(self, epoch: int) -> None:
        if not isinstance(epoch, (int, np.integer)) or not 0 <= epoch < 1 << 32:
            raise ValueError(f"epoch={epoch!r} is not accepted; accepted: a whole number from 0 to 2**32 - 1.")
        self._numbers[0] = int(epoch)

    def next(self, count: int) -> Array:
        """Ids for `count` samples that no call, worker or rank repeats."""
        info = torch.utils.data.get_worker_info()
        slot = 0 if info is None else info.id + 1
        if slot >= WORKERS:
            raise ValueError(f"worker id {slot - 1} is out of range; accepted: at most {WORKERS - 1} workers without ids=.")
        with _LOCK:
            start = int(self._numbers[1 + slot])
            self._numbers[1 + slot] = start + count
        return (1 << 62 | rank() << 50 | slot << 40) + np.arange(start, start + count, dtype=np.int64) % CALLS

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        used = int(self._shared.nonzero().max()) + 1 if bool(self._shared.any()) else 1
        return {"epoch": self.epoch, "calls": self._shared[1:used].tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        self._shared.zero_()
        self._shared[0] = state["epoch"]
        self._shared[1 : 1 + len(state["calls"])] = torch.tensor(state["calls"], dtype=torch.int64)


class Ids(NamedTuple):
    """What a batch is drawn with, (b,) int64 each."""

    own: Array  # who each sample is
    program: Array  # which ops it takes, and their parameters
    masks: Array  # where its masks lie
    noise: Array  # what noise, and tables that are its own, are drawn from


def shared_ids(own: Array, program_ids: Any = None, mask_ids: Any = None, noise_ids: Any = None) -> Ids:
    """The ids of a batch, those that are given in place of its own. Masks go with the program where nobody says otherwise."""
    given = {"program_ids": program_ids, "mask_ids": mask_ids, "noise_ids": noise_ids}
    program, masks, noise = (None if ids is None else check_ids(ids, len(own), name) for name, ids in given.items())
    program = own if program is None else program
    return Ids(own, program, program if masks is None else masks, own if noise is None else noise)


def rank() -> int:
    """This process among those that train together."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return int(torch.distributed.get_rank())
    return int(os.environ.get("RANK", 0))

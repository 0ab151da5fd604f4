"""Pinned uploads: host memory from which the device copies while the host goes on, used again once it has done so."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
import torch

from degrade.distributions import Array


class Pinned:
    """Pinned memory for one upload at a time."""

    def __init__(self, size: int) -> None:
        self.memory = torch.empty(size, dtype=torch.int32, pin_memory=True)
        self.view = self.memory.numpy()
        self.copied = torch.cuda.Event()

    def upload(self, values: Array, device: torch.device) -> torch.Tensor:
        size = len(values)
        self.view[:size] = values
        out = torch.empty(size, dtype=torch.int32, device=device)
        out.copy_(self.memory[:size], non_blocking=True)
        self.copied.record()
        return out


class Ring(threading.local):
    """The pinned memory of one thread, that which was used longest ago first: as many as there are batches on their way to the device."""

    def __init__(self) -> None:
        self.waiting: dict[torch.device, deque[Pinned]] = {}

    def upload(self, values: Array, device: torch.device) -> torch.Tensor:
        waiting = self.waiting.setdefault(device, deque())
        if waiting and waiting[0].copied.query():
            pinned = waiting.popleft()
            if len(pinned.view) < len(values):
                pinned = Pinned(room(len(values)))
        else:  # the device is behind: nothing waits for it
            pinned = Pinned(room(len(values)))
        waiting.append(pinned)
        return pinned.upload(values, device)


def room(size: int) -> int:
    """Some more than asked for, so that the next batches fit too."""
    return int(np.ceil(size / 16384 * 1.25)) * 16384


_ring = Ring()


def upload(values: Array, device: torch.device) -> torch.Tensor:
    """int32 values on the device, by one asynchronous copy on the current stream; on the CPU as they are."""
    return torch.from_numpy(values) if device.type == "cpu" else _ring.upload(values, device)

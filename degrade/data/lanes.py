"""Where batches go from the host: a side stream of a GPU, on which a copy and what follows run beside a training step; or the plain way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import torch

from .images import like


class Plain:
    """No streams: a copy is done when the call returns, or is ordered by the device itself."""

    ahead = False  # work begun is work waited for, so nothing is gained by beginning early

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def start(self) -> None:
        """A loop begins."""

    def work(self, tensors: Iterable[torch.Tensor]) -> Any:
        """A context in which one batch is worked on, given those of its tensors that are on a GPU already."""
        return contextlib.nullcontext()

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor on the device."""
        return tensor.to(self.device)

    def done(self) -> Any:
        """A mark behind the work so far."""

    def take(self, tensors: Iterable[torch.Tensor], mark: Any) -> None:
        """Tensors are handed to the caller."""


class Side:
    """A side stream of a CUDA or ROCm device.

    The stream waits for nothing of the training step, so it runs beside it. Handing over is ordered by an event, which holds the caller's
    stream and not the host; and the allocator is told that the caller's stream reads the memory, so that it is not given away before.

    Args:
        cuda: the calls that are made, `torch.cuda`.
    """

    ahead = True

    def __init__(self, device: torch.device, cuda: Any = torch.cuda) -> None:
        self.device, self.cuda = device, cuda
        self.stream = cuda.Stream(device)

    def start(self) -> None:
        self.stream.wait_stream(self.cuda.current_stream(self.device))  # what the pipeline stores may just have been copied there

    def work(self, tensors: Iterable[torch.Tensor]) -> Any:
        made = list(tensors)
        if made:  # by the loader, on the caller's stream
            self.stream.wait_stream(self.cuda.current_stream(self.device))
        for tensor in made:
            self.read_on(tensor, self.stream)
        return self.cuda.stream(self.stream)

    def put(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.device.type != "cpu":
            return tensor.to(self.device)
        return like(self.pinned(tensor).to(self.device, non_blocking=True), tensor)

    def pinned(self, tensor: torch.Tensor) -> torch.Tensor:
        """In memory from which a copy need not wait; its allocator keeps it until the copy is done."""
        return tensor if tensor.is_pinned() else tensor.pin_memory()

    def done(self) -> Any:
        return self.stream.record_event()

    def take(self, tensors: Iterable[torch.Tensor], mark: Any) -> None:
        current = self.cuda.current_stream(self.device)
        current.wait_event(mark)
        for tensor in tensors:
            self.read_on(tensor, current)

    def read_on(self, tensor: torch.Tensor, stream: Any) -> None:
        """Tell the allocator that a stream reads a tensor of another."""
        if tensor.device.type != "cpu":
            tensor.record_stream(stream)


def lane_to(device: torch.device) -> Plain | Side:
    """The way to a device.

    Raises:
        RuntimeError: a GPU that is not there, or cannot be used in this process because it was forked.
    """
    if device.type != "cuda":
        return Plain(device)
    if torch.utils.data.get_worker_info() is not None or torch.cuda._is_in_bad_fork():
        raise RuntimeError(
            f"device={device} in a process that was forked, or in a worker of a DataLoader, where CUDA cannot be used; use DeviceLoader in the process "
            "that trains, or start this one by multiprocessing's 'spawn'."
        )
    if not torch.cuda.is_available():
        raise RuntimeError(f"device={device} is not available; accepted here: 'cpu'.")
    return Side(device)

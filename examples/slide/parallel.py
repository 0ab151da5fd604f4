"""Several processes under torchrun as one: who this one is, and batches of all of them side by side, with gradients."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor


class Place(NamedTuple):
    """rank of world processes, and the device of this one."""

    rank: int
    world: int
    device: torch.device


def join(device: str = "auto") -> Place:
    """Take part in what torchrun started, by nccl on GPUs and gloo on CPUs; without torchrun be alone.

    Raises:
        ValueError: cuda where there is none.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={device!r} is not accepted; accepted: auto, cpu, cuda.")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda', but this torch sees no GPU; accepted here: auto or cpu.")
    cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    own = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(own)
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    return Place(dist.get_rank(), dist.get_world_size(), own) if dist.is_initialized() else Place(0, 1, own)


def leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


class _Gather(torch.autograd.Function):
    """Every process holds the loss of the whole batch, of which DistributedDataParallel takes the mean over processes: the sum of what
    all of them ask of a row, divided by their number, is the gradient of that one loss."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return _all(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


def _all(x: Tensor) -> Tensor:
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def gather(x: Tensor) -> Tensor:
    """The rows of all processes, in the order of their ranks; each has as many. Gradients go back to the process a row came from."""
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return x
    if x.requires_grad:
        out: Tensor = _Gather.apply(x)
        return out
    return _all(x.to(torch.uint8)).bool() if x.dtype == torch.bool else _all(x)

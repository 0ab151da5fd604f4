"""Where a program runs: the torch twin everywhere, Triton's two-stroke engine on CUDA and ROCm."""

from __future__ import annotations

import os

import torch

from degrade.errors import unknown
from degrade.kernels.lang import HAS_TRITON
from degrade.ops import find
from degrade.program import Program

NAMES = ("auto", "torch", "triton")


def interpreted() -> bool:
    """Whether Triton runs its interpreter, which also takes CPU tensors."""
    return HAS_TRITON and os.environ.get("TRITON_INTERPRET", "0") == "1"


def choose(x: torch.Tensor, wanted: str = "auto", program: Program | None = None) -> tuple[str, str]:
    """The backend for an image batch, and why.

    Args:
        x: the images.
        wanted: "auto", "torch" or "triton". An explicit request is met or refused, never replaced.
        program: what is to be done to them, if it is known.

    Raises:
        ValueError: an unknown name. RuntimeError: "triton" where it cannot run.
    """
    if wanted not in NAMES:
        raise ValueError(unknown("backend", wanted, NAMES))
    if not HAS_TRITON:
        obstacle = "Triton is not installed (pip install triton)"
    elif not (x.is_cuda or interpreted()):
        obstacle = f"the images are on {x.device}, and Triton runs on CUDA and ROCm devices"
    elif x.requires_grad and torch.is_grad_enabled():
        obstacle = "the images require gradients, which only the torch twin gives"
    elif codec := codec_of(program):
        obstacle = f"{codec} runs on the host alone"
    else:
        obstacle = ""
    if wanted == "triton":
        if obstacle:
            raise RuntimeError(f"backend='triton' cannot be used: {obstacle}.")
        return "triton", "asked for"
    if wanted == "torch":
        return "torch", "asked for"
    if x.is_cuda and not obstacle:
        return "triton", "the images are on a GPU"
    return "torch", obstacle or f"the images are on {x.device}"


def codec_of(program: Program | None) -> str:
    """The name of a real codec that a program applies, or nothing."""
    names = [] if program is None else [i for i, name in enumerate(program.ops) if find(name).kind == "codec"]
    used = [i for i in names if (program.code == i).any()]  # type: ignore[union-attr]
    return program.ops[used[0]] if used else ""  # type: ignore[union-attr]


def run(program: Program, x: torch.Tensor, mask: torch.Tensor | None, backend: str) -> torch.Tensor:
    """Apply a program to checked images b 3 h w on the chosen backend."""
    if x.requires_grad and torch.is_grad_enabled() and x.dtype != torch.float32:
        raise TypeError(f"x requires gradients in {str(x.dtype).removeprefix('torch.')}, whose rounding passes none; accepted: float32.")
    if choose(x, backend, program)[0] == "triton":
        from .engine import execute
    else:
        from .twin import execute
    return execute(program, x, mask)

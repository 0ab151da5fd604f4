"""Where a program runs: the torch twins everywhere; the two-stroke engine's Triton kernels on CUDA, ROCm, and on CPUs that LLVM builds for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from degrade.distributions import Array
from degrade.errors import unknown
from degrade.gradients import EXACT, Gradients, kept, who_asks
from degrade.kernels.lang import HAS_TRITON
from degrade.ops import find
from degrade.program import Program

from . import native
from .cpu_path import in_bytes, quick

if TYPE_CHECKING:
    from .plan import Plan

NAMES = ("auto", "torch", "triton")
VARIABLE = "DEGRADE_BACKEND"  # what "auto" is to mean, in the environment


def choose(x: torch.Tensor, wanted: str = "auto", program: Program | None = None, asks: str = "") -> tuple[str, str]:
    """The backend for an image batch, and why.

    Args:
        x: the images.
        wanted: "auto", "torch" or "triton". An explicit request is met or refused, never replaced. "auto" is triton where it can
            run, else torch; the environment variable DEGRADE_BACKEND can say otherwise.
        program: what is to be done to them, if it is known.
        asks: what requires gradients, as a clause, where that is more than the images.

    Raises:
        ValueError: an unknown name. RuntimeError: "triton" where it cannot run.
    """
    if wanted not in NAMES:
        raise ValueError(unknown("backend", wanted, NAMES))
    obstacle = obstacle_to_triton(x, program, asks)
    if wanted == "auto" and os.environ.get(VARIABLE):
        wanted = os.environ[VARIABLE]
        if wanted not in NAMES:
            raise ValueError(unknown(VARIABLE, wanted, NAMES))
    if wanted == "triton":
        if obstacle:
            raise RuntimeError(f"backend='triton' cannot be used: {obstacle}.")
        return "triton", "asked for"
    if wanted == "torch":
        return "torch", "asked for"
    if not obstacle and not x.is_cuda and native.interpreted():
        obstacle = "Triton's interpreter is slow and runs only when asked for"
    if not obstacle and x.device.type == "cpu" and program is not None and quick(program):
        obstacle = "a library does all of this faster on the CPU"
    return ("torch", obstacle) if obstacle else ("triton", f"the images are on {x.device}")


def obstacle_to_triton(x: torch.Tensor, program: Program | None, asks: str = "") -> str:
    """Why the engine's kernels cannot do this, or nothing."""
    if not HAS_TRITON:
        return "Triton is not installed (pip install triton)"
    if x.device.type not in ("cuda", "cpu"):
        return f"the images are on {x.device}, and Triton runs on CUDA and ROCm devices and the CPU"
    if asks or kept(x):
        return f"{asks or 'the images require gradients'}, which only the torch twins give"
    if codec := codec_of(program):
        return f"{codec} runs on the host alone"
    return "" if x.is_cuda or native.interpreted() else native.obstacle(x.dtype)


def codec_of(program: Program | None) -> str:
    """The name of a real codec that a program applies, or nothing."""
    names = [] if program is None else [i for i, name in enumerate(program.ops) if find(name).kind == "codec"]
    used = [i for i in names if (program.code == i).any()]  # type: ignore[union-attr]
    return program.ops[used[0]] if used else ""  # type: ignore[union-attr]


def whole_frame(program: Program) -> list[str]:
    """The names of the ops that need all of a frame to do what they do in a part of it."""
    from .levels import levelled_slots

    levels = levelled_slots(program)
    names = []
    for code, name in enumerate(program.ops):
        op, own = find(name), program.code == code
        if op.kind == "codec" or getattr(op, "whole_frame", False) or (levels & own).any():
            names += [name] * bool(own.any())
    return names


def run(
    program: Program,
    x: torch.Tensor,
    mask: torch.Tensor | None,
    backend: str,
    origin: Array | None = None,
    gradients: Gradients = EXACT,
    plan: Plan | None = None,
) -> torch.Tensor:
    """Apply a program to checked images b 3 h w on the chosen backend. origin: (b, 2), where they lie in their frames; plan: as made beforehand,
    for the kernels."""
    asks = who_asks(x, mask, program.maps, gradients.theta)
    if asks and (x.dtype == torch.uint8 or (x.dtype != torch.float32 and not gradients.straight)):
        dtype, also = str(x.dtype).removeprefix("torch."), "" if x.dtype == torch.uint8 else ", or gradient='straight-through'"
        raise TypeError(f"{asks}, and x is {dtype}, whose rounding passes none; accepted: x in float32{also}.")
    if choose(x, backend, program, asks)[0] == "triton":
        from . import engine

        return engine.execute(program, x, mask, origin, plan)
    if x.dtype == torch.uint8 and x.device.type == "cpu" and origin is None and quick(program):
        return in_bytes(program, x)
    from . import twin

    return twin.execute(program, x, mask, origin, gradients)

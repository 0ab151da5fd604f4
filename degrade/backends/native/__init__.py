"""The engine's Triton kernels on the CPU: their tensor IR, translated to LLVM IR and built for this processor.

One source serves the GPU, the CPU and the tests: `ttir` reads what Triton's front end makes of a kernel, `lower` turns it into
vector loops, `build` has LLVM compile them, keeps the machine code on disk, and launches it. It needs llvmlite (the `cpu` extra).
"""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
from collections.abc import Callable
from typing import Any

import torch

from degrade.kernels.lang import HAS_TRITON


def interpreted() -> bool:
    """Whether Triton runs its interpreter, which takes CPU tensors too, and leaves nothing to build."""
    return HAS_TRITON and os.environ.get("TRITON_INTERPRET", "0") == "1"


def obstacle(dtype: torch.dtype) -> str:
    """Why kernels cannot be built for images of this dtype here, or nothing."""
    if not _has_llvm():
        return "llvmlite is not installed (pip install 'degrade[cpu]')"
    if dtype == torch.float16 and not _converts_halves():
        return "this processor has no instructions for float16"
    return ""


@functools.cache
def _has_llvm() -> bool:
    return importlib.util.find_spec("llvmlite") is not None


@functools.cache
def _converts_halves() -> bool:
    if platform.machine().lower() in ("arm64", "aarch64"):
        return True
    from llvmlite import binding

    return bool(binding.get_host_cpu_features().get("f16c"))


def launch(kernel: Any, grid: tuple[int, ...], arguments: tuple[Any, ...], constants: dict[str, Any]) -> None:
    """Run a kernel on CPU tensors, built at its first use."""
    _launch()(kernel, grid, arguments, constants)


@functools.cache
def _launch() -> Callable[..., None]:
    from .build import launch as run

    return run

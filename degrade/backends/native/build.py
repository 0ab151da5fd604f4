"""Builds a Triton kernel for this processor with LLVM, keeps it on disk, and launches it.

The machine code stands in Triton's own cache (TRITON_CACHE_DIR), under a key of all sources that went into it.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .lower import lower
from .ttir import parse

POINTERS = {
    torch.uint8: "*u8", torch.uint16: "*u16", torch.int32: "*i32", torch.int64: "*i64",
    torch.float16: "*fp16", torch.bfloat16: "*bf16", torch.float32: "*fp32", torch.float64: "*fp64",
}  # fmt: skip
PIECES = 4  # pieces of work per thread: tiles differ in cost
ALIGNMENT = 64


def launch(kernel: Any, grid: tuple[int, ...], arguments: Sequence[Any], constants: dict[str, Any]) -> None:
    """Run a kernel on CPU tensors: the programs of a grid of up to three axes, over as many threads as torch uses."""
    words, kinds = [], []
    for a in arguments:
        if isinstance(a, torch.Tensor):
            words.append(a.data_ptr())
            kinds.append(a.dtype)
        else:
            words.append(a)
            kinds.append(-(2**31) <= a < 2**31)
    built, block = _find(kernel, tuple(kinds), constants), (ctypes.c_int64 * (len(words) + 2))(*words, *(*grid, 1)[:2])
    tiles = math.prod(grid)
    threads = min(torch.get_num_threads(), tiles)
    if threads == 1:
        built.run(block, 0, tiles)
        return
    edges = np.linspace(0, tiles, min(threads * PIECES, tiles) + 1).astype(int).tolist()
    list(_pool(threads).map(lambda begin, end: built.run(block, begin, end), edges[:-1], edges[1:]))


_BUILT: dict[tuple[Any, ...], tuple[Built, Any]] = {}


def _find(kernel: Any, kinds: tuple[Any, ...], constants: dict[str, Any]) -> Built:
    """The machine code of a kernel for arguments of these dtypes, and for integers whether they fit into 32 bits.

    Device functions are told apart by identity, since their hash is slow to make.
    """
    key = id(kernel), kinds, *[tuple(map(id, v)) if isinstance(v, tuple) else v for v in constants.values()]
    if key not in _BUILT:
        signature = [POINTERS[k] if isinstance(k, torch.dtype) else "i32" if k else "i64" for k in kinds]
        _BUILT[key] = _build(kernel, signature, constants), (kernel, constants)  # what is held here keeps its identity
    return _BUILT[key][0]


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "degrade")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads


class Built:
    """The machine code of one kernel."""

    def __init__(self, engine: Any, workspace: int) -> None:
        self.engine = engine  # holds the memory of the code
        self.workspace = workspace
        self.local = threading.local()
        kinds = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int32, ctypes.c_int32
        self.call = ctypes.CFUNCTYPE(None, *kinds)(engine.get_function_address("run"))  # lets other threads run meanwhile

    def run(self, words: Any, begin: int, end: int) -> None:
        """Programs begin to end, on this thread. `words` is an array of 64-bit integers, one for each argument, then two of the grid's sizes."""
        try:
            at = self.local.at
        except AttributeError:
            self.local.space = np.empty(self.workspace + ALIGNMENT, dtype=np.uint8)
            at = self.local.at = -(-self.local.space.ctypes.data // ALIGNMENT) * ALIGNMENT
        self.call(words, at, begin, end)


def _build(kernel: Any, signature: list[str], given: dict[str, Any]) -> Built:
    """The machine code from the cache on disk, or built and put there."""
    from triton.compiler import ASTSource
    from triton.runtime.cache import get_cache_manager

    kinds: dict[str, Any] = {}
    values: dict[tuple[int, ...], Any] = {}
    rest = iter(signature)
    for i, name in enumerate(kernel.arg_names):
        if name not in given:
            kinds[name] = next(rest)
        elif isinstance(given[name], tuple):
            kinds[name] = ("constexpr",) * len(given[name])
            values.update({(i, j): f for j, f in enumerate(given[name])})
        else:
            kinds[name] = "constexpr"
            values[(i,)] = given[name]
    source = ASTSource(kernel, signature=kinds, constexprs=values, attrs={})
    key = hashlib.sha256("\n".join((_here(), source.hash())).encode()).hexdigest()
    cache = get_cache_manager(key)
    path = cache.get_file("kernel.o")
    if path is None:
        code, workspace = _compile(source)
        cache.put(str(workspace), "workspace", binary=False)
        cache.put(code, "kernel.o", binary=True)
    else:
        code, workspace = Path(path).read_bytes(), int(Path(cache.get_file("workspace")).read_text())
    engine = _engine()
    engine.add_object_file(_llvm().object_file.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Built(engine, workspace)


def _compile(source: Any) -> tuple[bytes, int]:
    """Triton's front end, our lowering, LLVM."""
    text, workspace = lower(*parse(_tensor_ir(source)))
    llvm = _llvm()
    module = llvm.parse_assembly(text)
    machine = _machine()
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    options.loop_unrolling = options.slp_vectorization = False  # the loops are over vectors already
    passes = llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)
    return machine.emit_object(module), workspace


def _tensor_ir(source: Any) -> str:
    """The text of a kernel in Triton's tensor IR, after the passes that no target has a part in. The target named is never built for."""
    from triton._C.libtriton import ir
    from triton.backends.compiler import GPUTarget
    from triton.compiler import make_backend

    target = GPUTarget("cuda", 90, 32)
    backend = make_backend(target)
    options = backend.parse_options({"enable_fp_fusion": False})
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    module = source.make_ir(target, options, backend.get_codegen_implementation(options), backend.get_module_map(), context)
    text: str = backend.make_ttir(module, {}, options, 90).str_nodebug()
    return text


@functools.cache
def _llvm() -> Any:
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


def _machine() -> Any:
    """This processor. Whoever takes one keeps it, so each asks for its own."""
    llvm = _llvm()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2, reloc="pic", codemodel="jitdefault", jit=True
    )


def _engine() -> Any:
    """A place for the code of one kernel."""
    llvm = _llvm()
    module = llvm.parse_assembly("")
    module.triple = llvm.get_process_triple()
    return llvm.create_mcjit_compiler(module, _machine())


@functools.cache
def _here() -> str:
    """What the machine code depends on besides the kernel: versions, this processor, and this translator."""
    import llvmlite
    import triton

    llvm = _llvm()
    sources = "".join(p.read_text(encoding="utf-8") for p in sorted(Path(__file__).parent.glob("*.py")))
    return "\n".join((triton.__version__, llvmlite.__version__, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten(), sources))

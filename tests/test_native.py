"""Building kernels for the CPU: what is not known is named; grids, threads, forks, the cache; and the interpreter agrees."""

import json
import os
import subprocess
import sys
from pathlib import Path

import interpret
import numpy as np
import pytest
import torch
from small_kernels import I32, run, tensor, threads, whole

import degrade
from degrade import Pipeline
from degrade.backends import native
from degrade.backends.native import build
from degrade.kernels.lang import jit, tl

pytestmark = pytest.mark.native

# ---- what it does not do ----------------------------------------------------------------------------------------------------


@jit
def _dot(x, out):
    at = tl.arange(0, 16)[:, None] * 16 + tl.arange(0, 16)[None, :]
    tl.store(out + at, tl.dot(tl.load(x + at), tl.load(x + at)))


@jit
def _used_atomic(x, out):
    tl.store(out, tl.atomic_add(x, 1.0))


@pytest.mark.parametrize("kernel, named", [(_dot, "tt.dot"), (_used_atomic, "atomic")])
def test_what_is_not_known_is_named(kernel, named):
    from degrade.backends.native.ttir import UnknownOperation

    with pytest.raises(UnknownOperation, match=named):
        run(kernel, torch.zeros(256), torch.zeros(256))


# ---- grids, threads, processes, the cache -----------------------------------------------------------------------------------


@jit
def _where(out, WIDE: tl.constexpr, HIGH: tl.constexpr):
    x, y, z = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    tl.store(out + (z * HIGH + y) * WIDE + x, (z * 100 + y) * 100 + x)


@pytest.mark.parametrize("grid", [(1, 1, 1), (5,), (3, 4), (1, 5, 3), (4, 1, 6), (3, 2, 5)], ids=str)
def test_programs_of_a_grid(grid):
    wide, high, deep = (*grid, 1, 1)[:3]
    out = torch.full((deep, high, wide), -1, dtype=I32)
    with threads(3):
        native.launch(_where, grid, (out,), {"WIDE": wide, "HIGH": high})
    z, y, x = torch.meshgrid(*map(torch.arange, out.shape), indexing="ij")
    assert torch.equal(out, ((z * 100 + y) * 100 + x).to(I32))


@jit
def _sorted_rows(x, out, N: tl.constexpr):
    """Ranks by counting: the workspace holds what one program must not see of another."""
    i = tl.arange(0, N)
    own = x + tl.program_id(0) * N
    v = tl.load(own + i)
    rank = tl.zeros((N,), tl.int32)
    for k in range(N):
        other = tl.load(own + k)
        rank += ((other < v) | ((other == v) & (k < i))).to(tl.int32)
    total = tl.cumsum(v, 0)
    tl.store(out + tl.program_id(0) * N + rank, v + total - total)


def test_threads_change_nothing():
    v = whole((301, 32))
    for count in (1, 2, 3, 8):
        out = torch.zeros(v.shape, dtype=I32)
        with threads(count):
            run(_sorted_rows, tensor(v), out, programs=301, N=32)
        np.testing.assert_array_equal(out.numpy(), np.sort(v, 1))


def test_threads_change_nothing_of_a_pipeline():
    x = torch.randint(0, 256, (9, 3, 67, 70), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pipe = Pipeline(degrade.Compose(degrade.GaussianBlur(), degrade.Contrast(), degrade.GaussianNoise()), seed=1, backend="triton")
    results = []
    for count in (1, 2, 5):
        with threads(count):
            results.append(pipe(x, ids=range(9)))
    assert all(torch.equal(r, results[0]) for r in results[1:])


def script(code, cache=None):
    """The last line that Python code prints in a process of its own."""
    root = Path(__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(root / "tests")))}
    environment |= {"TRITON_CACHE_DIR": str(cache)} if cache else {}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()[-1]


PIPELINE = """
import torch, degrade
x = torch.arange(12 * 3 * 32 * 64).remainder(251).to(torch.uint8).view(12, 3, 32, 64)
pipe = degrade.Pipeline(degrade.MeanShift(0.1), backend="triton")
"""


def test_a_forked_process_runs_kernels_too():
    """The threads of the parent do not exist in the child."""
    code = """
import multiprocessing
torch.set_num_threads(3)
want = pipe(x, ids=range(12))
def child():
    raise SystemExit(0 if torch.equal(pipe(x, ids=range(12)), want) else 1)
process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(30)
code = process.exitcode
if code is None:
    process.kill()
assert torch.equal(pipe(x, ids=range(12)), want)
print(code)
"""
    assert script(PIPELINE + code) == "0"


def test_another_process_finds_the_machine_code(tmp_path, monkeypatch):
    code = """
from degrade.backends.native import build
made, real = [], build._compile
build._compile = lambda *a: made.append(1) or real(*a)
y = pipe(x, ids=range(12))
pipe(x[:, :, :20], ids=range(12))  # another size takes no other kernel
found = len(made), int(y.to(torch.int64).sum())
"""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(build, "_BUILT", {})
    monkeypatch.setattr(build, "_compile", build._compile)  # so that the code's own is taken back
    names = {}
    exec(PIPELINE + code, names)
    first, second = names["found"], json.loads(script(PIPELINE + code + "print(list(found))", cache=tmp_path))
    assert first[0] == 1 and second == [0, first[1]]


@pytest.mark.parametrize("dtype", ["uint8", pytest.param("float32", marks=pytest.mark.heavy)])
def test_the_interpreter_agrees(dtype, tmp_path):
    """An independent reading of the same kernels, bit for bit: every mask family, and ops of each kind."""
    path = tmp_path / "result.npy"
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(Path(degrade.__file__).parents[1])}
    done = subprocess.run([sys.executable, interpret.__file__, dtype, path], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"interpreted": True}
    program, x = interpret.batch(dtype)
    fast, slow = (degrade.apply(program, x, backend=b) for b in ("triton", "torch"))
    assert torch.equal(fast, slow)
    np.testing.assert_array_equal(np.load(path), fast.numpy())

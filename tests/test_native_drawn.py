"""Drawn kernels, of loops and branches that carry tensors any which way, and memory, built for the CPU and run by Python with NumPy for Triton's language."""

import importlib.util
import random
import types

import numpy as np
import pytest
import torch

from degrade.backends import native

pytestmark = pytest.mark.native
TENSORS, SCALARS = "abcde", "st"
HEAD = """from degrade.kernels.lang import jit, tl


@jit
def drawn(x, memory, out, n, m, N: tl.constexpr):
    i = tl.arange(0, N)
    a, b, c, d, e = tl.load(x + i), tl.load(x + N + i), tl.load(x + 2 * N + i), i * 3, tl.load(x + i) + 1
    s, t = n * 2, m
"""
TAIL = (
    "".join(f"    tl.store(out + {k} * N + i, {v})\n" for k, v in enumerate(TENSORS))
    + "    tl.store(out + 5 * N, s)\n    tl.store(out + 5 * N + 1, t)\n"
)


class Writer:
    """Statements that Triton and Python read alike. Numbers stay small, since only one of them wraps scalars."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.lines = []
        self.equal = False  # whether two tensors may be one value

    def pick(self, names=TENSORS, count=1):
        return self.random.sample(names, count)

    def statement(self, known):
        """One assignment; `known` are the tensors to read, with names that only this block has."""
        r, (to,), p, q = self.random, self.pick(), self.random.choice(known), self.random.choice(known)
        text = r.choice([
            lambda: f"{to} = {p} + {q}",
            lambda: f"{to} = tl.maximum({p}, {q}) - {r.randint(0, 9)}",
            lambda: f"{to} = {p}",
            lambda: f"{to} = {p} ^ ({q} >> 1)",
            lambda: f"{to} = {to} + tl.sum({p} & 15, 0)",
            lambda: f"{to} = tl.where({p} < {q}, {p}, {to})",
            lambda: f"{to} = tl.cumsum({p} & 7, 0)",
            lambda: f"{to} = tl.reshape(tl.permute(tl.reshape({p}, (N // 4, 4)), (1, 0)), (N,))",
            lambda: f"{to} = tl.reshape(tl.reshape({p}, (N // 4, 4)) - tl.max(tl.reshape({q}, (N // 4, 4)), 1)[:, None], (N,))",
            lambda: f"{to} = tl.reshape(tl.reshape({p}, (N // 4, 4)) + tl.sum(tl.reshape({q} & 3, (N // 4, 4)), 0)[None, :], (N,))",
            lambda: f"{to} = tl.zeros((N,), tl.int32) + s",
            lambda: f"{to} = tl.load(x + (tl.max({p}, 0) & 3) * N + (N - 1 - i))",
            lambda: f"tl.store(memory + {r.randint(0, 1)} * N + (i ^ 1), {p}, mask={q} > 0)",
            lambda: f"tl.store(memory + i, tl.load(memory + i) + {p})",
            lambda: f"tl.store(memory + (t & 3), {r.choice('st')})",
            lambda: f"{to} = tl.load(memory + {r.randint(0, 1)} * N + (N - 1 - i), mask={q} > {r.randint(-9, 0)}, other=t)",
            lambda: f"s = tl.load(memory + {r.randint(0, 3)}) & 63",
            lambda: "{}, {} = {}, {}".format(*self.pick(count=2), *self.pick(count=2)),
            lambda: "{0}, {1} = {1}, {0}".format(*self.pick(count=2)),
            lambda: "{}, {}, {} = {}, {}, {}".format(*self.pick(count=3), *self.pick(count=3)),
            lambda: f"s = (s * 3 + t + {r.randint(0, 5)}) & 63",
            lambda: f"t = (t + tl.max({p} & 7, 0)) & 31",
            lambda: f"s, t = t, (s + tl.sum({p} & 3, 0)) & 63",
        ])()  # fmt: skip
        self.equal |= set(text) <= set("abcdev, =0123456789")
        return text

    def block(self, indent, depth, length):
        own = list(TENSORS)
        for _ in range(length):
            kind = self.random.random()
            if depth and kind < 0.25:
                if self.equal:  # Triton's own passes take two variables that enter a loop with one value for one, even if each takes another's place
                    self.say(indent, "a, b, c, d, e = a, b ^ 1, c ^ 2, d ^ 3, e ^ 4")
                    self.equal = False
                self.say(indent, f"for k{indent} in range({self.random.choice(['n', 'm', 's & 3', '2'])}):")
                self.block(indent + 1, depth - 1, self.random.randint(1, 4))
            elif depth and kind < 0.5:
                self.say(indent, f"if (s + t) % {self.random.randint(2, 3)} == {self.random.randint(0, 1)}:")
                self.block(indent + 1, depth - 1, self.random.randint(1, 3))
                if self.random.random() < 0.6:
                    self.say(indent, "else:")
                    self.block(indent + 1, depth - 1, self.random.randint(1, 3))
            elif kind < 0.62:
                own.append(f"v{len(self.lines)}")  # the old value under a name that outlives the change
                self.say(indent, f"{own[-1]} = {self.random.choice(TENSORS)}")
            else:
                self.say(indent, self.statement(own))

    def say(self, indent, text):
        self.lines.append("    " * indent + text + "\n")

    def text(self):
        self.block(1, 3, 7)
        return HEAD + "".join(self.lines) + TAIL


class Numpy:
    """As much of Triton's language as the statements use. Pointers are (array, offset)."""

    constexpr, int32 = int, np.int32
    maximum, where, reshape, permute = np.maximum, np.where, staticmethod(np.reshape), staticmethod(np.transpose)

    @staticmethod
    def arange(low, high):
        return np.arange(low, high, dtype=np.int32)

    @staticmethod
    def zeros(shape, dtype):
        return np.zeros(shape, dtype)

    @staticmethod
    def sum(v, axis):
        return v.sum(axis, dtype=np.int32)

    @staticmethod
    def max(v, axis):
        return v.max(axis)

    @staticmethod
    def cumsum(v, axis):
        return v.cumsum(axis, dtype=np.int32)

    @staticmethod
    def load(pointer, mask=True, other=0):
        return np.where(mask, pointer.array[pointer.at], np.int32(other))

    @staticmethod
    def store(pointer, value, mask=True):
        pointer.array[pointer.at] = np.where(mask, value, pointer.array[pointer.at])


class Pointer:
    def __init__(self, array, at=0):
        self.array, self.at = array, at

    def __add__(self, offset):
        return Pointer(self.array, self.at + offset)


def by_numpy(source, x, n, m, size):
    namespace = {}
    text = source.replace("from degrade.kernels.lang import jit, tl", "")
    lang = types.SimpleNamespace(tl=Numpy, jit=lambda f: f)
    exec(compile(text, "drawn", "exec"), namespace | vars(lang), namespace)
    function = namespace["drawn"]
    function.__globals__.update(vars(lang))
    out = np.zeros(5 * size + 2, np.int32)
    with np.errstate(over="ignore"):
        function(Pointer(x), Pointer(np.zeros(2 * size, np.int32)), Pointer(out), n, m, size)
    return out


def load(source, path):
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.drawn


def holds(seed, folder):
    source = Writer(seed).text()
    kernel = load(source, folder / f"drawn_{seed}.py")
    size = (4, 16, 64)[seed % 3]
    x = np.random.default_rng(seed).integers(-50, 50, 4 * size).astype(np.int32)
    for n, m in ((0, 1), (1, 2), (3, 2)):
        out = torch.zeros(5 * size + 2, dtype=torch.int32)
        native.launch(kernel, (1,), (torch.from_numpy(x), torch.zeros(2 * size, dtype=torch.int32), out, n, m), {"N": size})
        np.testing.assert_array_equal(out.numpy(), by_numpy(source, x, n, m, size), err_msg=f"seed {seed}, n = {n}, m = {m}:\n{source}")


@pytest.mark.parametrize("seed", range(24))
def test_drawn_kernels(seed, tmp_path):
    holds(seed, tmp_path)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(24, 600))
def test_drawn_kernels_at_length(seed, tmp_path):
    holds(seed, tmp_path)

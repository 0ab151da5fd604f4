"""Small kernels on the CPU: how tests launch them, the shapes they take, and whole and real numbers to fill those with."""

from contextlib import contextmanager

import numpy as np
import torch

from degrade.backends import native

SHAPES = ((16, 32), (2, 4), (1, 64), (64, 1), (8, 2))  # more lanes than a vector holds, fewer, and axes of one
I32, F32, I64 = torch.int32, torch.float32, torch.int64


def run(kernel, *arguments, programs=1, **constants):
    native.launch(kernel, (programs,), arguments, constants)


@contextmanager
def threads(count):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def whole(shape, low=-1000, high=1000, seed=0):
    return np.random.default_rng(seed).integers(low, high, shape, dtype=np.int32)


def real(shape, seed=0):
    return (np.random.default_rng(seed).normal(0, 1, shape) * 100).astype(np.float32)


def tensor(array):
    return torch.from_numpy(np.ascontiguousarray(array).copy())

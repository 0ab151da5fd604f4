"""Mask families with the widest shapes that they accept, and their weights as the twin and a kernel render them."""

import numpy as np
import torch

from degrade import masks
from degrade.backends.engine import launch_on
from degrade.distributions import LogUniform
from degrade.kernels.lang import jit, tl

DRAWN = sorted(name for name, cls in masks.FAMILIES.items() if not cls.reads_map)
ALL = [*DRAWN, "from_tensor"]  # those that a call makes have tests of their own
ABOUT = {"clouds": 0.015, "voronoi": 0.02}  # areas found from a lattice of points, where the shapes are finest


def family(name, size=(96, 160), **given):
    """A family with the widest shapes it accepts; from_tensor gets smooth random scores of the frame's size."""
    cls = masks.FAMILIES[name]
    if name == "from_tensor":
        return cls(tensor=scores(5, *size), **{"area": (0.05, 0.4), **given})
    wide = {"aspect": LogUniform(0.1, 10.0), "roughness": (0.0, 1.0), "angle": (-360.0, 360.0)}
    wide |= {"irregularity": (0.0, 1.0), "vertices": (3, 16), "spread": 1.0, "inward": 0.5, "stretch": 10.0, "count": (1, 6)}
    wide |= {"segments": (1, 16), "turn": 180.0, "cells": (2, 32), "scale": (0.15, 1.0)}
    if name == "clouds":
        wide["roughness"] = (0.0, 0.7)
    if name == "ellipses":
        wide |= {"count": (1, 8), "aspect": LogUniform(0.2, 5.0)}
    if "centre" in given:
        del wide["spread"]  # of centres, which it settles
    return cls(**{**{k: v for k, v in wide.items() if k in cls.parameters}, **given})


def scores(k, h, w, seed=3):
    coarse = torch.rand((k, 1, 6, 6), generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(h, w), mode="bilinear")[:, 0].clamp(0, 1)


def uniforms(mask, n, seed=0):
    return np.random.default_rng(seed).random((n, mask.draws))


def render(mask, numbers, h, w, fine=1):
    """The twin's weights, (n, h, w), or on a grid `fine` times as dense."""
    columns = tuple(torch.from_numpy(numbers[:, i].copy()).reshape(-1, 1, 1) for i in range(numbers.shape[1]))
    y = (torch.arange(h * fine, dtype=torch.float32) + 0.5) / fine
    x = (torch.arange(w * fine, dtype=torch.float32) + 0.5) / fine
    return mask.weight(y[:, None], x, columns, mask.bank)


@jit
def render_tiles(out, numbers, bank, count, height, width, SHAPE):
    high_tiles, wide_tiles = (height + 15) // 16, (width + 31) // 32
    sample, tile = tl.program_id(0) // (high_tiles * wide_tiles), tl.program_id(0) % (high_tiles * wide_tiles)
    p = numbers + sample * count
    low = (tl.load(p), tl.load(p + 1), tl.load(p + 2), tl.load(p + 3), tl.load(p + 4), tl.load(p + 5), tl.load(p + 6), tl.load(p + 7))
    high = (tl.load(p + 8), tl.load(p + 9), tl.load(p + 10), tl.load(p + 11), tl.load(p + 12), tl.load(p + 13), tl.load(p + 14), tl.load(p + 15))
    rows = tile // wide_tiles * 16 + tl.arange(0, 16)[:, None]
    columns = tile % wide_tiles * 32 + tl.arange(0, 32)[None, :]
    y, x = tl.minimum(rows, height - 1).to(tl.float32) + 0.5, tl.minimum(columns, width - 1).to(tl.float32) + 0.5
    weight = SHAPE[0](y, x, low + high, p, (bank, height, width))
    at = sample * height * width + rows * width + columns
    tl.store(out + at, weight, mask=(rows < height) & (columns < width))


def render_by_kernel(mask, numbers, h, w, device):
    """The device function's weights, (n, h, w), on the CPU; -1 where none was written."""
    out = torch.full((len(numbers), h, w), -1.0, device=device)
    bank = (mask.bank if mask.bank is not None else torch.zeros(1)).to(device)
    arguments = out, torch.from_numpy(numbers).to(device), bank, mask.columns, h, w
    launch_on(out, render_tiles, (-(-w // 32) * -(-h // 16) * len(numbers),), arguments, {}, SHAPE=(type(mask).device,))
    return out.cpu()


def ramp(depth):
    """The weight at some depth over the width of the ramp."""
    t = np.clip(depth, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)

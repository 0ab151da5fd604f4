"""References for noise and warps, whose law is known: NumPy's and SciPy's; the error of the parameter, or of a deviation, in per cent."""

from __future__ import annotations

import itertools
import math

import kornia
import numpy as np
import scipy.ndimage
import scipy.stats
import skimage.color
import skimage.filters
import test_ops_warp as warps
import torch
from conformance_types import LEVELS, NUDGE, Way, double, run

from degrade.banks.base import Type


def additive(x, p, generator):
    return x + p["std"] * generator.standard_normal(x.shape)


def multiplicative(x, p, generator):
    return x * (1 + p["std"] * generator.standard_normal(x.shape))


def in_ycbcr(x, p, generator):
    """x is b 3 h w; the studio range is clipped inside it."""
    n = p["std"] * generator.standard_normal(x.shape) * np.array([1, p["chroma"], p["chroma"]])[:, None, None]
    if p["range"] == "studio":
        planes = skimage.color.rgb2ycbcr(x, channel_axis=1) / 255 + n
        return skimage.color.ycbcr2rgb(planes.clip(0, 1) * 255, channel_axis=1)
    planes = kornia.color.rgb_to_ycbcr(torch.from_numpy(x)) + torch.from_numpy(n)
    return kornia.color.ycbcr_to_rgb(planes).numpy()


def poisson_error(t: Type, value: float = 0.2) -> float:
    """The deviation of counts times the gain, clipped at 1, against the exact one."""

    def exact(gain):
        counts = np.arange(400)
        weight, result = scipy.stats.poisson.pmf(counts, value / gain), np.minimum(counts * gain, 1)
        return math.sqrt(weight @ result**2 - (weight @ result) ** 2)

    worst, x = 0.0, torch.full((1, 3, 256, 256), value)
    for level in LEVELS:
        y, p = run(t, level, x, ids=range(4))
        slope = math.log(exact(p["gain"] * NUDGE) / exact(p["gain"])) / (NUDGE - 1)
        worst = max(worst, abs(math.log(float(y.double().std()) / exact(p["gain"])) / slope))
    return 100 * worst


def box_of_noise(x, p, generator):
    return scipy.ndimage.uniform_filter(additive(x, p, generator), 2 * p["window"] + 1, mode="nearest", axes=(2, 3))


def deviations(y):
    return y.std((0, 2, 3))


def ycbcr_deviations(y):
    return kornia.color.rgb_to_ycbcr(torch.from_numpy(y)).numpy().std((0, 2, 3))


def parameter_error(t: Type, simulate, statistic=deviations, value=0.5, shape=(4, 256, 256)) -> float:
    """By how many per cent the first parameter would have to be wrong to explain the difference in a statistic.

    The simulation with the parameter 2 % higher, from the same random numbers, shows what such an error does.
    """
    worst, (count, h, w) = 0.0, shape
    first = next(iter(t.op.parameters))
    for level in LEVELS:
        x = torch.full((1, 3, h, w), value)
        y, p = run(t, level, x, ids=range(count))
        flat = np.full((count, 3, h, w), np.float64(np.float32(value)))
        right, wrong = (
            statistic(simulate(flat, {**p, first: p[first] * k}, np.random.default_rng(3)).clip(0, 1)) for k in (1.0, NUDGE)
        )  # fmt: skip
        error = (statistic(y.numpy().astype(np.float64)) - right) / (wrong - right) * (NUDGE - 1)
        worst = max(worst, float(np.abs(error).max()))
    return 100 * worst


def by_noise(against, simulate, **more):
    return lambda t: Way(against, 1.5, "% of the parameter", lambda t: parameter_error(t, simulate, **more))


def impulse_error(t: Type) -> float:
    """Impulses are counted until the density and the share of salt are known to half a per cent."""
    worst = 0.0
    for level in LEVELS:
        x = torch.full((1, 3, 1024, 1024), 0.25)
        hit = white = values = 0
        for id_ in itertools.count():
            y, p = run(t, level, x, ids=(id_,))
            y = y[:, :1] if p["per"] == "pixel" else y
            hit, white, values = hit + int((y != 0.25).sum()), white + int((y == 1).sum()), values + y.numel()
            if hit > 40_000 or values > 4e7:
                break
        worst = max(worst, abs(hit / values / p["density"] - 1), abs(white / hit - p["salt"]))
    return 100 * worst


def warp_error(t: Type, read) -> float:
    """The deviation of the displacements of repeated warps, from ramps, against the same warps of NumPy's normals."""
    worst, size, inside = 0.0, (220, 220), (slice(24, -24), slice(24, -24))
    x = warps.ramps(*size)
    for level in LEVELS:
        y, p = run(t, level, x)
        found = []
        for k in (1.0, NUDGE):
            generator, image = np.random.default_rng(5), double(x)
            for _ in range(p["iterations"]):
                dy, dx = k * p["sigma"] * generator.standard_normal((2, *size))
                image = read(image, dy, dx)
            found.append(_spread(warps.displacement(torch.from_numpy(image)[None], x.double()), inside))
        ours = _spread(warps.displacement(y.double(), x.double()), inside)
        worst = max(worst, abs((ours - found[0]) / (found[1] - found[0])) * (NUDGE - 1))
    return 100 * worst


def _spread(field, inside):
    return math.sqrt(sum(d[inside].var() for d in field) / 2)


def elastic_error(t: Type) -> float:
    """The deviation of the field, less the affine map, against SciPy's filter of uniforms: amount / √3 · Σ taps²."""
    worst, side, margin = 0.0, 120, 30
    x = warps.ramps(side, side)
    rows, columns = np.mgrid[margin : side - margin, margin : side - margin]
    basis = np.stack([rows.ravel(), columns.ravel(), np.ones(rows.size)], 1)
    for level in LEVELS:
        sums = []
        for id_ in range(60):
            y, p = run(t, level, x, ids=(id_,))
            if p["sigma"] > 0.03:  # a field as smooth as the frame is large is a shift
                break
            for d in warps.displacement(y, x):
                d = d[margin : side - margin, margin : side - margin].ravel()
                sums.append((d - basis @ np.linalg.lstsq(basis, d, rcond=None)[0]).var())
        if sums:
            sigma, reach = p["sigma"] * side, math.floor(3 * p["sigma"] * side + 0.5)
            taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
            taps /= taps.sum()
            want = p["amount"] * side / math.sqrt(3) * (taps**2).sum()
            worst = max(worst, abs(math.sqrt(np.mean(sums)) / want - 1))
    return 100 * worst


def residue_error(t: Type) -> float:
    """The deviation of filtered noise: the root of the sum of the squared taps."""
    worst = 0.0
    for level in LEVELS:
        x, found = torch.full((1, 3, 256, 256), 0.5), {}
        for id_ in range(24):
            y, p = run(t, level, x, ids=(id_,))
            found.setdefault((p["filter"], p["sigma"]), []).append(float(y[..., 16:-16, 16:-16].double().var()))
        for (kind, sigma), variances in found.items():
            taps = np.exp(-(np.arange(-9, 10) ** 2) / (2 * 3.0**2)) if kind == "gaussian" else np.ones(5)
            assert sigma == (3.0 if kind == "gaussian" else 2.0)
            want = p["std"] ** 2 * ((taps / taps.sum()) ** 2).sum() ** 2
            worst = max(worst, abs(math.sqrt(np.mean(variances) / want) - 1))
    return 100 * worst


def spatter_share(t: Type) -> float:
    """The share of the frame above the threshold: a normal tail, less the rim of what the mud's edge loses."""
    worst, x = 0.0, torch.zeros(1, 3, 192, 192)
    for level in LEVELS:
        y, p = run(t, level, x, ids=range(16))
        generator, share = np.random.default_rng(2), []
        for _ in range(16):
            liquid = skimage.filters.gaussian(generator.normal(p["mean"], p["std"], (192, 192)), p["sigma"], mode="nearest")
            over = liquid > p["threshold"]
            share.append((over if p["mud"] == 0 else skimage.filters.gaussian(over.astype(float), p["opacity"], mode="nearest") >= 0.8).mean())
        worst = max(worst, abs(float((y[:, 0] > 0).double().mean()) / np.mean(share) - 1))
    return 100 * worst

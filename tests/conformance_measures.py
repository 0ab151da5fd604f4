"""Types with a measure of their own: a target PSNR, what they build on, or the PSNR of the published functions on a known crop."""

from __future__ import annotations

import math

import numpy as np
import scipy.ndimage
import test_ops_colour as colours
import torch
from conformance_types import CROP, GREY_LEVEL, LEVELS, PUBLISHED_CROP, as_float, double, photo, psnr, run

import degrade
from degrade.banks.base import Type


def colour_shift(t: Type) -> float:
    """Green is one of the displacements of this length, blended by the edge map."""
    worst, image, variant = 0.0, photo(64, 90), t.arguments.get("variant", "kadis")
    for level in LEVELS:
        y, p = run(t, level, as_float(image))
        rgb = double(as_float(image)).transpose(1, 2, 0)
        e, green = colours.edge_map(rgb, variant), rgb[..., 1]
        shifts = {(round(p["amount"] * math.cos(a)), round(p["amount"] * math.sin(a))) for a in np.linspace(0, np.pi / 2, 4001)}
        worst = max(worst, min(np.abs(double(y)[1] - (e * colours.displaced(green, *s, variant) + (1 - e) * green)).max() for s in shifts))
    return float(worst)


def residue(t: Type) -> float:
    """gaussian_noise of the same seed, then SciPy's filter."""
    worst = 0.0
    for level in LEVELS:
        y, p = run(t, level, as_float(CROP))
        noisy = double(degrade.functional.gaussian_noise(as_float(CROP), std=p["std"]))
        worst = max(worst, np.abs(double(y) - scipy.ndimage.gaussian_filter(noisy, p["sigma"], mode="nearest", axes=(1, 2), radius=9)).max())
    return float(worst)


def at_target(t: Type, targets) -> float:
    """How far the PSNR of a grey image is from its target, in dB."""
    found = []
    for level in LEVELS:
        x = torch.full((1, 3, 256, 256), 0.5)
        found.append(psnr(run(t, level, x, ids=range(4))[0].numpy(), 0.5) - targets[level - 1])
    return float(np.abs(found).max())


def noise_by_activity(t: Type) -> float:
    """The PSNR against SciPy's map of local variance, in dB."""
    worst, x = 0.0, as_float(photo(96, 96)) * 0.4 + 0.3
    luma = np.tensordot([0.2989, 0.5870, 0.1140], double(x), 1)
    v = np.lib.stride_tricks.sliding_window_view(np.pad(luma, 1, mode="edge"), (3, 3)).var((2, 3))
    for level in LEVELS:
        y, p = run(t, level, x, ids=range(16))
        m = scipy.ndimage.minimum_filter(v / (v + p["half"] ** 2), 3, mode="nearest")
        worst = max(worst, abs(psnr(y.numpy(), x.expand(16, -1, -1, -1).numpy()) + 10 * math.log10(p["std"] ** 2 * (m**2).mean())))
    return worst


def decoded(t: Type, targets) -> float:
    """How far the PSNR is from its target, in dB, against what was compressed."""
    worst, x = 0.0, as_float(PUBLISHED_CROP)
    coded = degrade.Pipeline(degrade.Compose(*t.before), backend="torch")(x, ids=[0]) if t.before else x
    for level in LEVELS:
        worst = max(worst, abs(psnr(double(run(t, level, x)[0]), double(coded)) - targets[level - 1]))
    return worst


def laplacian(t: Type) -> float:
    """The share of values that are off by more than a grey level; where L is clipped to 0 or 100, none is."""
    off, x = [], as_float(CROP)
    for level in LEVELS:
        y, p = run(t, level, x)
        want = colours.laplacian_sharpened(double(x).transpose(1, 2, 0), p["amount"], 255).clip(0, 1)
        off.append((np.abs(double(y).transpose(1, 2, 0) - want) > GREY_LEVEL).mean())
    return 100 * float(max(off))


def frost(t: Type) -> float:
    """keep · x + the crystals, which a black image shows."""
    worst, x = 0.0, as_float(CROP)
    for level in LEVELS:
        (y, p), (crystals, _) = run(t, level, x), run(t, level, torch.zeros_like(x))
        worst = max(worst, np.abs(double(y) - np.clip(p["keep"] * double(x) + double(crystals), 0, 1)).max())
    return float(worst)


# PSNR in dB of ARNIQA's published functions on the crop [100:324, 150:374] of the astronaut; None where rounding alone shows.
GOLDEN = {
    "gaublur": (None, 38.4, 29.6, 25.1, 20.8),
    "lensblur": (33.3, 28.8, 24.4, 22.4, 21.2),
    "colordiff": (33.8, 17.0, 12.8, 11.1, 8.8),
    "colorsat1": (18.7, 16.2, 15.2, 14.3, 11.9),
    "colorsat2": (None, 20.5, 17.0, 13.6, 10.8),
    "brighten": (29.4, 23.4, 17.4, 13.0, 10.6),
    "darken": (35.8, 29.7, 23.7, 17.7, 12.0),
    "pixelate": (22.3, 21.8, 21.3, 20.7, 18.5),
    "quantization": (30.8, 28.8, 26.8, 24.5, 21.3),
    "highsharpen": (22.9, 18.6, 16.4, 13.5, 11.5),
    "lincontrchange": (27.2, 22.3, 27.2, 19.3, 21.2),
    "nonlincontrchange": (23.7, 17.7, 14.2, 11.7, 10.7),
}


def golden(t: Type) -> float:
    worst, x = 0.0, as_float(PUBLISHED_CROP)
    for level, want in zip(LEVELS, GOLDEN[t.name]):
        if want is not None:
            worst = max(worst, abs(psnr(double(run(t, level, x, rounded=True)[0]), double(x)) - want))
    return worst

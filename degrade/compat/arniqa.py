"""ARNIQA's `utils.utils_data`: `distort_images` and `get_distortions_composition`, with their tables, over `degrade.banks.arniqa`.

What to do is drawn from `random` and `numpy.random`, by the same calls in the same order as there, so equal seeds give equal compositions. What
the pixels need, such as noise, angles and positions, hangs on one id per image, drawn from torch's generator or given. Images are never changed
in place, and a batch b 3 h w is taken where one image was: each of it gets the same composition, with noise of its own.
"""

from __future__ import annotations

import inspect
import itertools
import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from degrade import banks
from degrade.banks.arniqa import types
from degrade.distributions import Levels
from degrade.errors import unknown
from degrade.inputs import Images, check_ids
from degrade.pipeline import Pipeline, apply
from degrade.program import Program

distortion_groups = {
    "blur": ["gaublur", "lensblur", "motionblur"],
    "color_distortion": ["colordiff", "colorshift", "colorsat1", "colorsat2"],
    "jpeg": ["jpeg2000", "jpeg"],
    "noise": ["whitenoise", "whitenoiseCC", "impulsenoise", "multnoise"],
    "brightness_change": ["brighten", "darken", "meanshift"],
    "spatial_distortion": ["jitter", "noneccpatch", "pixelate", "quantization", "colorblock"],
    "sharpness_contrast": ["highsharpen", "lincontrchange", "nonlincontrchange"],
}
distortion_groups_mapping = {name: group for group, names in distortion_groups.items() for name in names}

# Each type's function and its argument as they are called there, and the argument's five levels: of noise variances, of pixelation a strength.
TYPES: dict[str, tuple[str, str, list[float]]] = {
    "gaublur": ("gaussian_blur", "blur_sigma", [0.1, 0.5, 1, 2, 5]),
    "lensblur": ("lens_blur", "radius", [1, 2, 4, 6, 8]),
    "motionblur": ("motion_blur", "radius", [1, 2, 4, 6, 10]),
    "colordiff": ("color_diffusion", "amount", [1, 3, 6, 8, 12]),
    "colorshift": ("color_shift", "amount", [1, 3, 6, 8, 12]),
    "colorsat1": ("color_saturation1", "factor", [0.4, 0.2, 0.1, 0, -0.4]),
    "colorsat2": ("color_saturation2", "factor", [1, 2, 3, 6, 9]),
    "jpeg2000": ("jpeg2000", "ratio", [16, 32, 45, 120, 170]),
    "jpeg": ("jpeg", "quality", [43, 36, 24, 7, 4]),
    "whitenoise": ("white_noise", "var", [0.001, 0.002, 0.003, 0.005, 0.01]),
    "whitenoiseCC": ("white_noise_cc", "var", [0.0001, 0.0005, 0.001, 0.002, 0.003]),
    "impulsenoise": ("impulse_noise", "d", [0.001, 0.005, 0.01, 0.02, 0.03]),
    "multnoise": ("multiplicative_noise", "var", [0.001, 0.005, 0.01, 0.02, 0.05]),
    "brighten": ("brighten", "amount", [0.1, 0.2, 0.4, 0.7, 1.1]),
    "darken": ("darken", "amount", [0.05, 0.1, 0.2, 0.4, 0.8]),
    "meanshift": ("mean_shift", "amount", [0, 0.08, -0.08, 0.15, -0.15]),
    "jitter": ("jitter", "amount", [0.05, 0.1, 0.2, 0.5, 1]),
    "noneccpatch": ("non_eccentricity_patch", "pnum", [20, 40, 60, 80, 100]),
    "pixelate": ("pixelate", "strength", [0.01, 0.05, 0.1, 0.2, 0.5]),
    "quantization": ("quantization", "levels", [20, 16, 13, 10, 7]),
    "colorblock": ("color_block", "pnum", [2, 4, 6, 8, 10]),
    "highsharpen": ("high_sharpen", "amount", [1, 2, 3, 6, 12]),
    "lincontrchange": ("linear_contrast_change", "amount", [0.0, 0.15, -0.4, 0.3, -0.6]),
    "nonlincontrchange": ("non_linear_contrast_change", "output_offset_value", [0.4, 0.3, 0.2, 0.1, 0.05]),
}
distortion_range = {name: levels for name, (_, _, levels) in TYPES.items()}

SPREAD = 12.5  # level i = 0…4 has a probability ∝ exp(−i² / 12.5)

Function = Callable[..., torch.Tensor]


def distort_images(
    image: torch.Tensor,
    distort_functions: list[Function] | None = None,
    distort_values: list[Any] | None = None,
    max_distortions: int = 4,
    num_levels: int = 5,
    *,
    profile: str = "faithful",
    ids: Any = None,
) -> tuple[torch.Tensor, list[Function], list[Any]]:
    """Distort an image, or all images of a batch, by one composition.

    Args:
        image: 3 h w or b 3 h w, float in 0…1, on any device; it is left as it is.
        distort_functions, distort_values: what to do, in order; drawn by `get_distortions_composition` unless both are given. Functions of your
            own are called as f(image, value) and their results clipped.
        max_distortions: the most distortions that are drawn, 1 to 7.
        num_levels: how many of the five levels are drawn from, the mildest ones.
        profile: "faithful" to the published code, errors included, or "fixed", what was meant: see docs/banks.md.
        ids: sample ids, one for each image, in place of ids from torch's generator: equal ids, equal noise.

    Returns:
        the distorted image as float32 in 0…1, the functions, and the values.

    Raises:
        ValueError, TypeError: bad input, naming the argument, the value and what is accepted.
    """
    if distort_functions is None or distort_values is None:
        distort_functions, distort_values = get_distortions_composition(max_distortions, num_levels)
    image = _checked(image)
    own = _ids(image, ids)
    first = 0
    for ours, chain in itertools.groupby(zip(distort_functions, distort_values), key=lambda step: hasattr(step[0], "distortion")):
        steps = list(chain)
        if ours:
            image = _run(image, [(function.distortion, value) for function, value in steps], profile, own, first)  # type: ignore[attr-defined]
        else:
            for function, value in steps:
                image = function(image, value).to(torch.float32).clamp(0, 1)
        first += len(steps)
    return image, distort_functions, distort_values


def get_distortions_composition(max_distortions: int = 7, num_levels: int = 5) -> tuple[list[Function], list[Any]]:
    """Draw 1 to `max_distortions` of the seven groups, one type of each, and a level of each: functions in order, and their values.

    Raises:
        ValueError: numbers out of range.
    """
    for name, value, most in (("max_distortions", max_distortions, len(distortion_groups)), ("num_levels", num_levels, 5)):
        if not isinstance(value, (int, np.integer)) or not 1 <= value <= most:
            raise ValueError(f"{name}={value!r} is out of range; accepted: whole numbers from 1 to {most}.")
    count = random.randint(1, max_distortions)
    names = [random.choice(distortion_groups[group]) for group in random.sample(list(distortion_groups), count)]
    weights = np.exp(-(np.arange(num_levels) ** 2) / SPREAD)
    values = [np.random.choice(distortion_range[name][:num_levels], p=weights / weights.sum()) for name in names]
    return [distortion_functions[name] for name in names], values


# ---- the functions -----------------------------------------------------------------------------------------------------------


def parameter(name: str, value: Any, profile: str) -> float:
    """A value as the bank's op takes it: a deviation for a variance, a scale for a strength, and the curve's amount."""
    value = float(value)
    if name in ("whitenoise", "whitenoiseCC", "multnoise"):
        return math.sqrt(value)
    if name == "pixelate":
        return float(0.95 - value**0.6)
    if name == "lincontrchange" and profile == "fixed":
        return value - 0.2  # where the curve is the identity
    return value


@lru_cache(maxsize=128)
def _pipeline(name: str, value: float, profile: str) -> Pipeline:
    """One type at one value."""
    found = next(t for t in types(profile) if t.name == name)
    (levels,) = (key for key, given in found.arguments.items() if isinstance(given, Levels))
    return Pipeline(replace(found, arguments={**found.arguments, levels: Levels(parameter(name, value, profile))}).at(1))


@lru_cache
def _vocabulary(profile: str) -> tuple[str, ...]:
    """All ops of the bank, for which kernels are built once, whatever is drawn."""
    return banks.arniqa(profile).sample([0], (1, 1)).ops


def _run(image: torch.Tensor, steps: list[tuple[str, Any]], profile: str, ids: Any, first: int = 0) -> torch.Tensor:
    """Types at values, one after the other, as one program. first: the number of the first step, which tells their draws apart."""
    if not steps:
        return image
    size = (image.shape[-2], image.shape[-1])
    drawn = [_pipeline(name, float(value), profile).sample(ids, size, view=number) for number, (name, value) in enumerate(steps, start=first)]
    return apply(_joined(drawn, _vocabulary(profile)), image)


def _joined(programs: list[Program], ops: tuple[str, ...]) -> Program:
    """Programs without masks, of the same samples, one after the other, in one vocabulary."""
    slots: dict[str, Any] = {name: np.concatenate([getattr(p, name) for p in programs], 1) for name in ("theta", "severity", "level", "phase")}
    codes = [np.asarray([*map(ops.index, p.ops), -1], dtype=np.int16)[p.code] for p in programs]
    return replace(programs[0], ops=ops, code=np.concatenate(codes, 1), **slots)


def _checked(image: torch.Tensor) -> torch.Tensor:
    Images(image)  # refuses what is no image
    if not image.is_floating_point():
        raise TypeError(f"image has dtype {image.dtype}; accepted: float in 0…1, such as image / 255.")
    return image.to(torch.float32)


def _ids(image: torch.Tensor, ids: Any) -> Any:
    count = 1 if image.dim() == 3 else len(image)
    return torch.randint(1 << 62, (count,), device="cpu") if ids is None else check_ids(ids, count)


def _function(distortion: str) -> Function:
    """The function of one type, with the name and the argument that it has there."""
    name, argument, _ = TYPES[distortion]

    def function(x: torch.Tensor, *value: Any, profile: str = "faithful", ids: Any = None, **named: Any) -> torch.Tensor:
        given = signature.bind(x, *value, **named).arguments[argument]
        x = _checked(x)
        return _run(x, [(distortion, given)], profile, _ids(x, ids))

    kind = inspect.Parameter
    both = [kind(n, kind.POSITIONAL_OR_KEYWORD) for n in ("x", argument)]
    more = [kind(n, kind.KEYWORD_ONLY, default=default) for n, default in (("profile", "faithful"), ("ids", None))]
    signature = inspect.Signature([*both, *more])
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"ARNIQA's `{distortion}` of an image or a batch, float in 0…1, at any value of `{argument}`; gives float32 in 0…1."
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.distortion = distortion  # type: ignore[attr-defined]
    return function


distortion_functions = {name: _function(name) for name in TYPES}
globals().update({function.__name__: function for function in distortion_functions.values()})


def __getattr__(name: str) -> Any:
    """Type checkers learn from this that the functions are here; at run time only an unknown name leads to it."""
    raise AttributeError(unknown("degrade.compat.arniqa name", name, [n for n in globals() if not n.startswith("_")]))

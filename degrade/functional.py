"""One op as one call: `degrade.functional.jpeg(x, quality=10, mask=m)`. Every op of the registry is here under its name.

    y = degrade.functional.<op>(x, <parameters>, mask=None, seed=0, ids=None, backend="auto", check="first", noise="fresh")

x            b 3 h w or 3 h w, or clips b t 3 h w, uint8 in 0…255 or float in 0…1
parameters   floats for all images, or (b,) tensors on the host, one value per image; options as names. Those after the first have
             an ordinary value if not given: the one, or the middle of what is drawn by default; 0 for an angle
mask         b 1 h w in [0, 1], or None for the whole frame
seed, ids    what noise is drawn from; ids default to 0…b−1
check        "first" checks values of images on the CPU, "always" on any device, "never" none
noise        of clips, "fresh" for every frame or "frozen"
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .errors import outside, unknown
from .inputs import Images, check_ids, check_mask, check_noise, check_seed, check_values, wants_check
from .kernels import rng
from .masks.from_tensor import FromTensor
from .op import MAX_PARAMETERS, Op, Param
from .ops import REGISTRY, find
from .pipeline import run
from .program import CALL_MASK, Program
from .recipe import BLENDS, check_blend

COMMON = """
    x: b 3 h w or 3 h w, or clips b t 3 h w, uint8 in 0…255 or float in 0…1.
    mask: b 1 h w in [0, 1], or None for the whole frame.
    blend: "alpha" mixes the result with x by the mask; "modulate" takes the first parameter from its neutral value, where the mask is 0, to
        the one given, where it is 1, pixel by pixel, for ops whose `modulates` is true.
    seed, ids: what noise is drawn from; ids default to 0…b−1, so equal calls give equal noise.
    backend: "auto", "torch" or "triton". check: "first" reads values of images on the CPU, "always" on any device, "never" none.
    noise: of clips, "fresh" for every frame or "frozen".

    A parameter is a number for all images or (b,) values on the host; an option is a name or a list of b names.
"""


def _values(op: type[Op], name: str, param: Param, given: Any, count: int) -> np.ndarray[Any, Any]:
    """One parameter for each image, checked."""
    if param.choices is not None:
        names = list(given) if isinstance(given, (list, tuple, np.ndarray)) else [given] * count
        for value in names:
            if not isinstance(value, str) or value not in param.choices:
                raise ValueError(unknown(f"{name} value", value, param.choices))
        given = [param.choices.index(v) for v in names]
    if isinstance(given, torch.Tensor):
        if given.device.type != "cpu":
            raise ValueError(f"{name} is on {given.device}; accepted: a number or a (b,) tensor on the host, since tables are made there.")
        given = given.detach().to(torch.float64).numpy() if not given.is_complex() else "complex numbers"
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name}={given!r} is not understood; accepted: a number, or ({count},) with one value per image.") from None
    if values.shape not in ((), (count,)):
        raise ValueError(f"{name} has shape {values.shape}; accepted: a number, or ({count},) with one value per image.")
    values = np.broadcast_to(values, (count,))
    if param.choices is None:
        wrong = values[~((values >= param.low) & (values <= param.high))]
        if len(wrong):
            raise ValueError(outside(name, f"{wrong[0]:g}", param.low, param.high, param.unit))
        if param.integer and (values != np.floor(values)).any():
            raise ValueError(
                f"{name}={values[values != np.floor(values)][0]:g} is not a whole number; accepted: whole numbers from {param.low:g} to {param.high:g}."
            )
    return values


def _call(
    op: type[Op], x: torch.Tensor, given: dict[str, Any], mask: Any, blend: str, seed: int, ids: Any, backend: str, check: str, noise: str
) -> torch.Tensor:
    images = Images(x, clips=True)
    batch = images.first
    count = len(batch)
    read = wants_check(check, batch.device.type == "cpu")
    check_seed(seed)
    check_blend(blend, op)
    if blend != "alpha" and mask is None:
        raise ValueError(f"blend={blend!r} needs mask=, which tells the strength at each pixel.")
    if read:
        check_values(images.batch)
    theta = np.zeros((count, 1, MAX_PARAMETERS), dtype=np.float32)
    for i, (name, param) in enumerate(op.parameters.items()):
        theta[:, 0, i] = _values(op, name, param, given[name], count)
    masked = 0 if mask is None else 1
    number = np.repeat(FromTensor().draw(np.full((count, 1), 0.5), batch.shape[2], batch.shape[3])[:, None], masked, 1)
    number[..., 0] = CALL_MASK
    zero = np.zeros((count, masked), dtype=np.int16)
    program = Program(
        ops=(op.name,),
        families=("from_tensor",),
        size=(batch.shape[2], batch.shape[3]),
        key=rng.fold(seed, 0, 0),
        ids=np.arange(count, dtype=np.int64) if ids is None else check_ids(ids, count),
        code=np.zeros((count, 1), dtype=np.int16),
        theta=theta,
        severity=next(iter(op.parameters.values())).severity(theta[..., 0]).astype(np.float32),
        level=np.full((count, 1), np.nan, dtype=np.float32),
        family=zero,
        numbers=number,
        first=zero,
        last=zero,
        parent=np.full(masked, -1, dtype=np.int16),
        partition=np.full(masked, -1, dtype=np.int16),
        fold=np.full(masked, BLENDS[blend], dtype=np.int32),
        velocity=np.zeros((count, masked, 2), dtype=np.float32),
        frame=np.zeros(count, dtype=np.int32),
        noise=check_noise(noise),
    )
    return images.back(run(program, images, None if mask is None else check_mask(mask, batch, read), backend))


def _make(op: type[Op]) -> Callable[..., torch.Tensor]:
    """The functional form of one op, with a signature that editors can show."""
    required = inspect.Parameter.empty
    kind = inspect.Parameter.KEYWORD_ONLY
    own = [
        inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=required if i == 0 else q.usual())
        for i, (n, q) in enumerate(op.parameters.items())
    ]
    common = {"mask": None, "blend": "alpha", "seed": 0, "ids": None, "backend": "auto", "check": "first", "noise": "fresh"}
    first = inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    signature = inspect.Signature([first, *own, *(inspect.Parameter(n, kind, default=d) for n, d in common.items())])

    def function(*args: Any, **kwargs: Any) -> torch.Tensor:
        for name in kwargs:
            if name not in signature.parameters:
                raise TypeError(unknown(f"{op.name} argument", name, signature.parameters))
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = dict(bound.arguments)
        return _call(op, given.pop("x"), given, **{name: given.pop(name) for name in common})

    function.__name__ = function.__qualname__ = op.name
    function.__signature__ = signature  # type: ignore[attr-defined]
    ranges = [f"    {n}: " + (" | ".join(q.choices) if q.choices else f"{q.low:g} to {q.high:g} {q.unit}") for n, q in op.parameters.items()]
    function.__doc__ = "\n".join([op.caption, "", *ranges, COMMON])
    return function


def __getattr__(name: str) -> Callable[..., torch.Tensor]:
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        op = find(name)
    except ValueError as error:
        raise AttributeError(str(error)) from None
    if op.name != name:
        raise AttributeError(f"functional forms are snake_case: did you mean {op.name!r}?")
    globals()[name] = _make(op)
    return globals()[name]  # type: ignore[no-any-return]


def __dir__() -> list[str]:
    return sorted(REGISTRY)

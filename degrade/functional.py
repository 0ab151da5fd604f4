"""One op as one call: `degrade.functional.jpeg(x, quality=10, mask=m)`. Every op of the registry is here under its name.

    y = degrade.functional.<op>(x, <parameters>, mask=None, seed=0, ids=None, backend="auto", check="first", noise="fresh",
                                  gradient="exact")

x            b 3 h w or 3 h w, or clips b t 3 h w, uint8 in 0…255 or float in 0…1
parameters   floats for all images, or (b,) tensors on the host, one value per image; the first also a map b 1 h w; options as names. Those after the first have
             an ordinary value if not given: the one, or the middle of what is drawn by default; 0 for an angle
mask         b 1 h w in [0, 1], or None for the whole frame
seed, ids    what noise is drawn from; ids default to 0…b−1
check        "first" checks values of images on the CPU, "always" on any device, "never" none
noise        of clips, "fresh" for every frame or "frozen"
gradient     "exact", or "straight-through" for steps

Gradients reach x, mask, and parameters that are tensors (`op.learnable()` names those that can be).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from .errors import outside, unknown
from .gradients import Gradients, check_gradient, check_learnable, kept
from .inputs import Images, check_ids, check_mask, check_noise, check_seed, check_values, wants_check
from .kernels import rng
from .kernels.gradient import limited
from .masks.from_tensor import FromTensor
from .op import MAX_PARAMETERS, Op, Param
from .ops import REGISTRY, find
from .pipeline import run
from .program import CALL_MASK, Program
from .recipe import USES, check_blend, check_space

COMMON = """
    x: b 3 h w or 3 h w, or clips b t 3 h w, uint8 in 0…255 or float in 0…1.
    mask: b 1 h w in [0, 1], or None for the whole frame.
    blend: "alpha" mixes the result with x by the mask; "modulate" takes the first parameter from its neutral value, where the mask is 0, to
        the one given, where it is 1, pixel by pixel; by levels of it where the op's `modulates` is false, as `Local` tells.
    blend_space: "gamma" mixes the values as they are, "linear" the light that they stand for (sRGB, IEC 61966-2-1). It is the `space` of
        `Local`, which here is a parameter of some ops.
    seed, ids: what noise is drawn from; ids default to 0…b−1, so equal calls give equal noise.
    backend: "auto", "torch" or "triton". check: "first" reads values of images on the CPU, "always" on any device, "never" none.
    noise: of clips, "fresh" for every frame or "frozen".
    gradient: to x, mask and parameters that require gradients: "exact", or "straight-through" for ops that are steps, as `Pipeline` tells.

    A parameter is a number for all images or (b,) values on the host; an option is a name or a list of b names. The first parameter may also be
    a float map b 1 h w, its value at each pixel: exact where the op's `modulates` is true, by levels else (see `Local`). Its largest values are
    read, for which a GPU is waited for.
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
        if kept(given):
            check_learnable(op, name)
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
    op: type[Op],
    x: torch.Tensor,
    given: dict[str, Any],
    mask: Any,
    blend: str,
    blend_space: str,
    seed: int,
    ids: Any,
    backend: str,
    check: str,
    noise: str,
    gradient: str,
) -> torch.Tensor:
    gradients = check_gradient(gradient)
    images = Images(x, clips=True)
    batch = images.first
    count = len(batch)
    read = wants_check(check, batch.device.type == "cpu")
    check_seed(seed)
    check_blend(blend, op)
    check_space("blend_space", blend_space, blend)
    if blend != "alpha" and mask is None:
        raise ValueError(f"blend={blend!r} needs mask=, which tells the strength at each pixel.")
    if blend_space != "gamma" and mask is None:
        raise ValueError(f"blend_space={blend_space!r} needs mask=, which tells the weight at each pixel.")
    if read:
        check_values(images.batch)
    (first, param), *others = op.parameters.items()
    if mask is not None:
        mask = check_mask(mask, batch, read)
    if isinstance(given[first], torch.Tensor) and given[first].dim() >= 2:
        if blend != "alpha":
            raise ValueError(f"blend={blend!r} makes the mask the strength of {first}, which is given as a map already; accepted: blend='alpha'.")
        tops, maps = _strengths(op, first, param, given[first], batch)
        if len(tops) > 1 and not op.modulates and op.kind != "point":
            raise ValueError(
                f"{first} holds values above and below {param.neutral:g}, which changes nothing; accepted for {op.name}: one side of it."
            )
    else:
        tops, maps = [_values(op, first, param, given[first], count)], []
    theta = np.zeros((count, len(tops), MAX_PARAMETERS), dtype=np.float32)
    theta[:, :, 0] = np.stack(tops, 1)
    for i, (name, q) in enumerate(others, start=1):
        theta[:, :, i] = _values(op, name, q, given[name], count)[:, None]
    program = _program(op, theta, mask is not None, USES[blend, blend_space], maps, (batch.shape[2], batch.shape[3]))
    program = replace(program, key=rng.fold(seed, 0, 0), ids=program.ids if ids is None else check_ids(ids, count), noise=check_noise(noise))
    return images.back(run(program, images, mask, backend, gradients=_asked(gradients, op, theta, given)))


def _asked(gradients: Gradients, op: type[Op], theta: np.ndarray[Any, Any], given: dict[str, Any]) -> Gradients:
    """With the parameters (b, s, 8) that require gradients, as they were given."""
    kinds = [(i, given[name]) for i, name in enumerate(op.parameters) if isinstance(given[name], torch.Tensor)]
    asked = {i: value for i, value in kinds if kept(value) and value.dim() < 2}
    if not asked:
        return gradients
    whole = torch.from_numpy(theta)
    shape = whole.shape[:2]
    columns = [asked[i].to(torch.float32)[..., None].expand(shape) if i in asked else whole[..., i] for i in range(MAX_PARAMETERS)]
    return gradients._replace(theta=torch.stack(columns, 2), which=tuple(asked))


def _strengths(
    op: type[Op], name: str, param: Param, given: torch.Tensor, batch: torch.Tensor
) -> tuple[list[np.ndarray[Any, Any]], list[torch.Tensor]]:
    """A map of a parameter as what it comes to at most, (b,), and the strength at each pixel (b, h, w) in 0…1; both apart for values above and
    below the neutral one, where there are such."""
    wanted = (batch.shape[0], 1, *batch.shape[2:])
    full = given.reshape((1,) * (4 - given.dim()) + tuple(given.shape)) if given.dim() <= 4 else given
    if full.dim() != 4 or full.shape[0] not in (1, wanted[0]) or full.shape[1:] != wanted[1:] or not given.is_floating_point():
        raise ValueError(f"{name} is a map {tuple(given.shape)} of {given.dtype}; accepted: a float map {wanted} (b 1 h w), to fit the images.")
    if kept(given):
        check_learnable(op, name)
    values = full.to(device=batch.device, dtype=torch.float32).expand(*wanted)[:, 0]
    ends = (
        torch.stack([values.detach().flatten(1).amin(1), values.detach().flatten(1).amax(1)]).cpu().numpy()
        if values.numel()
        else np.empty((2, len(batch)))
    )
    for end in ends:
        wrong = end[~((end >= param.low) & (end <= param.high))]
        if len(wrong):
            raise ValueError(outside(name, f"{wrong[0]:g}", param.low, param.high, param.unit))
    tops, maps = [], []
    for top, beyond in zip(ends, (ends[0] < param.neutral, ends[1] > param.neutral)):
        if beyond.any():
            span = torch.from_numpy(np.where(beyond, top - np.float32(param.neutral), 1.0).astype(np.float32)).to(values.device)[:, None, None]
            tops.append(np.where(beyond, top, param.neutral))
            maps.append(limited((values - param.neutral) / span) * torch.from_numpy(beyond).to(values.device)[:, None, None])
    if not tops:  # neutral everywhere
        return [np.full(len(batch), param.neutral)], [torch.zeros_like(values)]
    return tops, maps


def _program(op: type[Op], theta: np.ndarray[Any, Any], masked: bool, fold: int, maps: list[torch.Tensor], size: tuple[int, int]) -> Program:
    """One op in as many slots as theta (b, s, 8) has: under the mask of the call if `masked`, each by a map of its own if there are any."""
    count, slots, _ = theta.shape
    parts = slots > 1 and op.kind != "point"  # each slot reads the image as it was, so they are the cells of a partition
    kinds = ["cell"] * parts + ["mask"] * masked + ["map"] * bool(maps)  # of the regions around each slot
    numbers = np.repeat(FromTensor().draw(np.full((count, 1), 0.5), *size)[:, None], slots * len(kinds), 1)
    for region in range(numbers.shape[1]):
        slot, kind = divmod(region, len(kinds))
        stored = slot + slots * (kinds[kind] == "cell")  # first the maps, then where each is not 0
        numbers[:, region, 0] = CALL_MASK if kinds[kind] == "mask" else stored * count + np.arange(count)
    span = np.arange(slots, dtype=np.int16).repeat(len(kinds))[None].repeat(count, 0)
    inside = [region - 1 if region % len(kinds) else -1 for region in range(numbers.shape[1])]
    return Program(
        ops=(op.name,),
        families=("from_tensor",),
        size=size,
        key=0,
        ids=np.arange(count, dtype=np.int64),
        code=np.zeros((count, slots), dtype=np.int16),
        theta=theta,
        severity=next(iter(op.parameters.values())).severity(theta[..., 0]).astype(np.float32),
        level=np.full((count, slots), np.nan, dtype=np.float32),
        family=np.zeros_like(span),
        numbers=numbers,
        first=span,
        last=span,
        parent=np.array(inside, dtype=np.int16),
        partition=np.array([0 if kind == "cell" else -1 for kind in kinds] * slots, dtype=np.int16),
        fold=np.array(
            [{"cell": USES["alpha", "gamma"], "mask": fold, "map": USES["modulate", "gamma"]}[kind] for kind in kinds] * slots, dtype=np.int32
        ),
        velocity=np.zeros((count, slots * len(kinds), 2), dtype=np.float32),
        phase=np.zeros((count, slots, 2), dtype=np.int16),
        frame=np.zeros(count, dtype=np.int32),
        maps=torch.cat([*maps, *((m > 0.0).to(torch.float32) for m in maps if parts)]) if maps else None,
    )


def _make(op: type[Op]) -> Callable[..., torch.Tensor]:
    """The functional form of one op, with a signature that editors can show."""
    required = inspect.Parameter.empty
    kind = inspect.Parameter.KEYWORD_ONLY
    own = [
        inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=required if i == 0 else q.usual())
        for i, (n, q) in enumerate(op.parameters.items())
    ]
    common = {
        "mask": None,
        "blend": "alpha",
        "blend_space": "gamma",
        "seed": 0,
        "ids": None,
        "backend": "auto",
        "check": "first",
        "noise": "fresh",
        "gradient": "exact",
    }
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
    function.__doc__ = "\n".join([op.caption, "", *ranges, f"    gradient: {op.gradients()}", COMMON])
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

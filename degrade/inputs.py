"""What comes in: images, masks and ids, checked once, with one sentence for what is wrong."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from .distributions import Array
from .errors import unknown
from .gradients import kept
from .kernels.fetch import SLACK
from .kernels.gradient import limited
from .masks.segments import LABELS
from .program import NOISES

DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32)
CHECKS = ("first", "always", "never")
SEGMENTS = "a label map b h w of whole numbers, or masks b k h w as bool, uint8 of 0 and 1, or float in [0, 1]"
MOST_MASKS = 256  # of one image
LARGEST_SIDE = 1 << 16  # a pixel's coordinates share one 32-bit word


class Images:
    """Images as the engine wants them, b 3 h w, and the way back to the shape they came in. Clips b t 3 h w are b · t images of b samples.

    samples  as x, with three channels and a batch
    batch    (b · t) 3 h w  all images
    first    b 3 h w        those of each sample, of clips the first; black ones where a clip has no frames
    frames   t, or None where there are no clips

    Args:
        clips: whether clips are accepted.
    """

    def __init__(self, x: torch.Tensor, clips: bool = False) -> None:
        if not isinstance(x, torch.Tensor):
            raise TypeError(
                f"x is a {type(x).__name__}; accepted: a torch tensor b 3 h w or 3 h w (for PIL or NumPy images use degrade.data.Indexed)."
            )
        if x.is_meta or x.layout != torch.strided:
            raise TypeError(f"x is a {'meta' if x.is_meta else 'sparse'} tensor; accepted: a dense tensor that holds values.")
        if x.dim() not in ((3, 4, 5) if clips else (3, 4)) or x.shape[-3] not in (1, 3):
            shapes = "b 3 h w or 3 h w, or clips b t 3 h w" if clips else "b 3 h w or 3 h w"
            raise ValueError(f"x has shape {tuple(x.shape)}; accepted: {shapes}, or one grey channel in place of three.")
        if x.dtype not in DTYPES:
            names = ", ".join(named(d) for d in DTYPES)
            raise TypeError(f"x has dtype {named(x.dtype)}; accepted: {names}.")
        if min(x.shape[-2:]) == 0 or max(x.shape[-2:]) >= LARGEST_SIDE:
            raise ValueError(f"x has {x.shape[-2]}x{x.shape[-1]} pixels; accepted: 1 to {LARGEST_SIDE - 1} per side.")
        if 3 * x.shape[-2] * x.shape[-1] >= 1 << 31:
            raise ValueError(
                f"x has {x.shape[-2]}x{x.shape[-1]} pixels; accepted: at most {(1 << 31) // 3} in all, since offsets within an image have 32 bits."
            )
        self.single, self.grey = x.dim() == 3, x.shape[-3] == 1
        self.given = x = x[None] if self.single else x
        self.frames = x.shape[1] if x.dim() == 5 else None
        x = x.expand(*x.shape[:-3], 3, -1, -1) if self.grey else x
        self.samples = x
        self.batch = x if self.frames is None else x.flatten(0, 1)
        self.first = x if self.frames is None else x[:, 0] if self.frames else x.new_zeros((len(x), *x.shape[2:]))

    def back(self, y: torch.Tensor) -> torch.Tensor:
        """The result in the shape the images came in: the first channel of grey ones, no batch where there was none."""
        if self.grey or self.frames is not None:
            like = torch.empty_like(self.given)  # in the memory format it came in
            y = y.view(self.samples.shape)[..., :1, :, :] if self.grey else y.view(self.samples.shape)
            y = y if like.stride() == y.stride() else like.copy_(y)
        return y[0] if self.single else y


def check_values(x: torch.Tensor) -> None:
    """Refuse float images outside [0, 1]. Reads the data: on a GPU this waits for the device."""
    if x.dtype == torch.uint8 or x.numel() == 0:
        return
    low, high = (float(v) for v in x.detach().aminmax())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError("x holds NaN or infinite values; accepted: finite values in [0, 1].")
    if low < -SLACK or high > 1.0 + SLACK:
        hint = " Divide by 255, or pass uint8." if high > 2.0 and low >= 0.0 else " Degrade before normalising." if low < -SLACK else ""
        raise ValueError(f"x holds values from {low:.4g} to {high:.4g}; accepted: float values in [0, 1].{hint}")


def check_mask(mask: Any, batch: torch.Tensor, values: bool) -> torch.Tensor:
    """A mask b 1 h w (or 1 h w for one image, or h w for all) as b 1 h w float32 on the images' device."""
    if not isinstance(mask, torch.Tensor):
        raise TypeError(f"mask is a {type(mask).__name__}; accepted: a torch tensor b 1 h w with values in [0, 1], or a mask family inside Local.")
    wanted = (batch.shape[0], 1, *batch.shape[2:])
    full = mask.reshape((1,) * (4 - mask.dim()) + tuple(mask.shape)) if mask.dim() <= 4 else mask
    if full.dim() != 4 or full.shape[1] != 1 or full.shape[0] not in (1, wanted[0]) or full.shape[2:] != batch.shape[2:]:
        raise ValueError(f"mask has shape {tuple(mask.shape)}; accepted: {wanted} (b 1 h w), to fit the images.")
    if full.dtype == torch.uint8:
        full = full.to(torch.float32) / torch.full_like(full, 255, dtype=torch.float32)
    elif not (full.is_floating_point() or full.dtype == torch.bool):
        raise TypeError(f"mask has dtype {named(mask.dtype)}; accepted: float in [0, 1], bool, or uint8 in 0 to 255.")
    full = full.to(device=batch.device, dtype=torch.float32).expand(*wanted)
    if values and full.numel():
        low, high = (float(v) for v in full.detach().aminmax())
        if not (low >= -SLACK and high <= 1.0 + SLACK):  # a NaN fails this too
            raise ValueError(f"mask holds values from {low:.4g} to {high:.4g}; accepted: values in [0, 1].")
    return limited(full)


def check_segments(segments: Any, batch: torch.Tensor, values: bool) -> torch.Tensor:
    """Segments as a label map b h w of any integer type, or as masks b k h w; without b for one image.

    Args:
        batch: the images, b 3 h w.
        values: whether the values are read, for which a GPU is waited for.

    Raises:
        ValueError, TypeError: naming what is wrong and what is accepted.
    """
    if not isinstance(segments, torch.Tensor):
        raise TypeError(f"segments is a {type(segments).__name__}; accepted: {SEGMENTS}.")
    if kept(segments):
        raise TypeError("segments requires gradients, which masks made of it pass none; accepted: segments.detach().")
    count, size, dtype = batch.shape[0], tuple(batch.shape[2:]), segments.dtype
    if dtype.is_complex:
        raise TypeError(f"segments has dtype {named(dtype)}; accepted: {SEGMENTS}.")
    soft = dtype.is_floating_point or dtype == torch.bool
    given = segments.detach()
    if given.dim() == (3 if soft else 2) and count == 1:
        given = given[None]
    if not soft and given.dim() == 4 and given.shape[1] == 1:
        given = given[:, 0]
    dims = given.dim() == 4 or (given.dim() == 3 and not soft)
    if not dims or given.shape[0] != count or tuple(given.shape[-2:]) != size or not 1 <= given.shape[-3] <= max(count, MOST_MASKS):
        height, width = size
        raise ValueError(
            f"segments of {named(dtype)} has shape {tuple(segments.shape)}; accepted: a label map ({count}, {height}, {width}) of whole numbers, or "
            f"masks ({count}, k, {height}, {width}), k up to {MOST_MASKS}, as bool, uint8 or float, to fit the images."
        )
    if given.dim() == 4 and not soft and dtype != torch.uint8:
        raise TypeError(f"segments has dtype {named(dtype)} and {given.shape[1]} masks for each image; accepted: {SEGMENTS}.")
    if given.device != batch.device:
        raise ValueError(f"segments is on {given.device} and x on {batch.device}; accepted: one device, by segments.to(x.device).")
    if values and given.numel():
        low, high = (float(v) for v in (given.to(torch.int64) if not dtype.is_floating_point else given).aminmax())
        most = 1.0 + SLACK if dtype.is_floating_point else 1.0 if given.dim() == 4 else LABELS - 1.0
        if not (low >= (-SLACK if dtype.is_floating_point else 0) and high <= most):  # a NaN fails this too
            what = f"labels from 0 to {LABELS - 1}" if given.dim() == 3 else "masks of values in [0, 1]"
            raise ValueError(f"segments holds values from {low:.4g} to {high:.4g}; accepted: {what}.")
    return given


def check_origin(origin: Any, images: tuple[int, ...], frame: tuple[int, int]) -> Array:
    """Where in their frames images b 3 h w lie: (b, 2) int64, top and left, from a pair for all or one for each.

    Raises:
        ValueError: what is no such pair, or an image that reaches beyond its frame.
    """
    count, (height, width) = images[0], images[2:]
    try:
        given = np.asarray(origin.cpu() if isinstance(origin, torch.Tensor) else origin)
    except (TypeError, ValueError):
        given = np.empty(0)
    if given.dtype.kind not in "iu" or given.shape not in ((2,), (count, 2)):
        raise ValueError(f"origin={origin!r} is not accepted; accepted: (top, left) in whole pixels, or ({count}, 2) with one pair for each image.")
    out: Array = np.broadcast_to(given, (count, 2)).astype(np.int64)
    most = np.array([frame[0] - height, frame[1] - width])
    if (out < 0).any() or (out > most).any():
        worst = out[((out < 0) | (out > most)).any(1)][0].tolist()
        raise ValueError(
            f"origin={tuple(worst)} puts {height}x{width} pixels beyond the frame of {frame[0]}x{frame[1]}; "
            f"accepted: (top, left) from (0, 0) to ({most[0]}, {most[1]})."
        )
    return out


def check_ids(ids: Any, count: int, name: str = "ids") -> Array:
    """Sample ids as (b,) int64 on the host."""
    if isinstance(ids, torch.Tensor):
        if ids.device.type != "cpu":
            raise ValueError(
                f"{name} is on {ids.device}; accepted: a host tensor, since drawing happens on the host. Keep the ids the loader gave, or use {name}.cpu()."
            )
        if ids.is_floating_point() or ids.dtype == torch.bool:
            raise TypeError(f"{name} has dtype {named(ids.dtype)}; accepted: whole numbers that int64 holds.")
        ids = ids.numpy()
    array = np.asarray(ids)
    if array.size == 0:
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu" or (array.dtype.kind == "u" and array.size and int(array.max()) >= 1 << 63):
        raise TypeError(f"{name} has dtype {array.dtype}; accepted: whole numbers that int64 holds.")
    array = np.atleast_1d(array).astype(np.int64)
    if array.shape != (count,):
        raise ValueError(f"{name} has shape {array.shape}; accepted: ({count},), one id per image.")
    return array


def check_seed(seed: Any) -> int:
    """A seed as a Python int of at most 64 bits."""
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or not -(1 << 63) <= seed < 1 << 64:
        raise ValueError(f"seed={seed!r} is not accepted; accepted: a whole number of at most 64 bits.")
    return int(seed)


def check_size(size: Any, name: str = "size") -> tuple[int, int]:
    """(height, width) in pixels."""
    whole = isinstance(size, (tuple, list, torch.Size)) and len(size) == 2 and all(isinstance(v, (int, np.integer)) for v in size)
    if not whole or min(size) < 1 or max(size) >= LARGEST_SIDE or 3 * size[0] * size[1] >= 1 << 31:
        raise ValueError(f"{name}={size!r} is not accepted; accepted: (height, width), whole numbers of pixels from 1 to {LARGEST_SIDE - 1}.")
    return int(size[0]), int(size[1])


def check_view(view: Any) -> int:
    """The number of a view."""
    if not isinstance(view, (int, np.integer)) or isinstance(view, bool) or not 0 <= view < 1 << 32:
        raise ValueError(f"view={view!r} is not accepted; accepted: a whole number from 0 to 2**32 - 1.")
    return int(view)


def check_noise(noise: Any) -> str:
    """What noise does in the frames of a clip."""
    if not isinstance(noise, str) or noise not in NOISES:
        raise ValueError(unknown("noise", noise, NOISES))
    return noise


def content_ids(x: torch.Tensor) -> Array:
    """An id from the bytes of each image or clip: equal ones draw equal degradations."""
    if x.device.type != "cpu":
        raise ValueError(f"ids='content' with images on {x.device} would wait for the device; accepted: images on the CPU, or ids= as whole numbers.")
    raw = [image.contiguous().view(torch.uint8).numpy().tobytes() for image in x]
    return np.asarray([int.from_bytes(hashlib.blake2b(r, digest_size=8).digest(), "little", signed=True) for r in raw], dtype=np.int64)


def wants_check(check: str, first: bool) -> bool:
    """Whether values are read now; `first` is what the caller means by it.

    Raises:
        ValueError: for an unknown word.
    """
    if check not in CHECKS:
        raise ValueError(unknown("check", check, CHECKS))
    return check == "always" or (check == "first" and first)


def named(dtype: torch.dtype) -> str:
    """The name of a dtype without the module's."""
    return str(dtype).removeprefix("torch.")

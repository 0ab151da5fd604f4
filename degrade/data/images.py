"""What an image may be, as a tensor and back: a tensor, torchvision's Image, a NumPy array or a PIL image. And which leaves of a sample are images."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from degrade.inputs import DTYPES

from .nested import Path, at, paths_of, walk

ACCEPTED = "a torch tensor 3 h w, a NumPy array h w 3 or a PIL image"
PIL_MODES = ("RGB", "L", "RGBA")


def to_tensor(image: Any) -> torch.Tensor:
    """A tensor 3 h w from a tensor, a NumPy array h w 3 or a PIL image."""
    if isinstance(image, torch.Tensor):
        return image
    if not isinstance(image, np.ndarray):
        if not hasattr(image, "convert"):
            raise TypeError(f"the image is a {type(image).__name__}; accepted: {ACCEPTED}.")
        image = np.asarray(image if image.mode in ("RGB", "L") else image.convert("RGB"))
    image = image[..., None] if image.ndim == 2 else image
    return torch.from_numpy(np.array(image.transpose(2, 0, 1), order="C"))  # a copy: PIL's memory is read-only


def opened(image: Any) -> tuple[torch.Tensor, Callable[[torch.Tensor], Any]]:
    """An image as a plain tensor, and the way back to the kind that it was.

    Raises:
        TypeError: what is no image. ValueError: a PIL image of numbers that are not brightness, such as a palette's.
    """
    if isinstance(image, torch.Tensor):
        if image.dim() not in (3, 4, 5):
            raise ValueError(f"the image is a tensor of shape {tuple(image.shape)}; accepted: 3 h w or b 3 h w, or clips b t 3 h w.")
        return (image, _same) if type(image) is torch.Tensor else (image.as_subclass(torch.Tensor), lambda y: like(y, image))
    if isinstance(image, np.ndarray):
        if image.ndim not in (2, 3):
            raise ValueError(f"the image is an array of shape {image.shape}; accepted: h w 3, h w 1 or h w.")
        return to_tensor(image), lambda y: np.ascontiguousarray(y[0].numpy() if image.ndim == 2 else y.permute(1, 2, 0).numpy())
    if not is_pil(image):
        raise TypeError(f"the image is a {type(image).__name__}; accepted: {ACCEPTED}.")
    if image.mode not in PIL_MODES:
        raise ValueError(
            f"the image has PIL's mode {image.mode}; accepted: {', '.join(PIL_MODES)}. Use image.convert('RGB'), "
            "or, where it is a map of labels, key= to say which entry is the image."
        )
    return to_tensor(image), lambda y: _to_pil(y, image)


def like(value: torch.Tensor, old: torch.Tensor) -> Any:
    """A tensor with torchvision's type, where the old one had it."""
    types = _tv_tensors()
    return types.wrap(value, like=old) if types is not None and isinstance(old, types.TVTensor) else value


def is_pil(leaf: Any) -> bool:
    """Whether it is a PIL image; PIL is not imported for that."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(leaf, pil.Image)


def images_in(sample: Any, key: Any = None) -> list[Path]:
    """Paths of the images in a sample or a batch.

    Args:
        key: where they stand: a key or position, a tuple of them that leads further in, or a list of several. All that lies below is an
            image. By default PIL images and torchvision's Images wherever they are; or, where there are none, plain tensors and arrays that look like
            images, with three channels of uint8 or float: in tuples and lists all of them, in dicts those under "image", or under the only
            key that holds any.

    Raises:
        ValueError: no image, or several keys that could be meant.
    """
    if key is not None:
        return [(*path, *rest) for path in paths_of(key) for rest, _ in walk(at(sample, path, "key"))]
    leaves = list(walk(sample))
    if leaves and leaves[0][0] == () and (_says(sample) or isinstance(sample, np.ndarray) or type(sample) is torch.Tensor):
        return [()]  # nothing else can be meant
    if typed := [path for path, leaf in leaves if _says(leaf)]:
        return typed
    by_key: dict[Path, list[Path]] = {}
    for path, leaf in leaves:
        if _looks(leaf):
            by_key.setdefault(_last_key(path, sample), []).append(path)
    if () in by_key:  # no dict around them
        return by_key[()]
    if len(by_key) > 1:
        by_key = {own: paths for own, paths in by_key.items() if own[-1] == "image"} or by_key
    if len(by_key) != 1:
        names = ", ".join(repr(own[0] if len(own) == 1 else own) for own in by_key)
        raise ValueError(
            f"the sample has several entries that look like images: {names}; accepted: key= with one, or a list of them."
            if by_key
            else f"the sample holds no image; accepted: {ACCEPTED}, uint8 or float of at most 32 bits, in tuples, lists and dicts; or key= to say where one grey channel stands."
        )
    return next(iter(by_key.values()))


def _last_key(path: Path, sample: Any) -> Path:
    """The part of a path up to the last key of a dict."""
    last: Sequence[Any] = ()
    for i, key in enumerate(path):
        if not isinstance(sample, (list, tuple)):
            last = path[: i + 1]
        sample = sample[key]
    return tuple(last)


def _says(leaf: Any) -> bool:
    types = _tv_tensors()
    return is_pil(leaf) or (types is not None and isinstance(leaf, types.Image))


def _looks(leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray):
        return leaf.ndim == 3 and leaf.shape[-1] == 3 and leaf.dtype in (np.uint8, np.float32, np.float16)
    types = _tv_tensors()
    if not isinstance(leaf, torch.Tensor) or (types is not None and isinstance(leaf, types.TVTensor)):
        return False
    return leaf.dim() in (3, 4, 5) and leaf.shape[-3] == 3 and leaf.dtype in DTYPES


def _tv_tensors() -> Any:
    """torchvision's types, if anything has imported them: nothing is of them otherwise."""
    return sys.modules.get("torchvision.tv_tensors")


def _to_pil(y: torch.Tensor, old: Any) -> Any:
    values = y[0] if len(y) == 1 else y.permute(1, 2, 0)
    image = sys.modules["PIL.Image"].fromarray(np.ascontiguousarray(values.numpy()))
    if old.mode == "RGBA":
        image.putalpha(old.getchannel("A"))
    return image


def _same(y: torch.Tensor) -> torch.Tensor:
    return y

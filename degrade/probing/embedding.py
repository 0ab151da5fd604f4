"""Encoders as they are called: named, checked, in batches; and the null, which sees pixels alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from degrade.distributions import Array

NULL = "pixels"  # the name of the encoder that runs always
POOLED = 16  # pixels a side to which the null reduces an image for the detector
METRICS = ("euclidean", "cosine")

Call = Callable[[torch.Tensor], torch.Tensor]


def named(encoders: Any, device: str = "cpu") -> dict[str, Call]:
    """Encoders by name.

    Args:
        encoders: a callable, several in a list, or a dict of them by name. Those without a name are called as their function or class is.
            Names of `degrade.probing.encoders.encoder`, such as "timm:resnet18", are loaded, and modules called in eval mode and made to give
            embeddings as there.
        device: where what is loaded runs.

    Raises:
        TypeError: what cannot be called. ValueError: none.
    """
    if isinstance(encoders, Mapping):
        given = [(str(name), _ready(one, device)) for name, one in encoders.items()]
    else:
        several = encoders if isinstance(encoders, Sequence) and not isinstance(encoders, str) else [encoders]
        given = [(_name(one), one) for one in (_ready(one, device) for one in several)]
    if not given:
        raise ValueError("encoders is empty; accepted: at least one callable from images b 3 h w to embeddings b d.")
    out: dict[str, Call] = {}
    for name, one in given:
        again = sum(1 for other in out if other == name or other.startswith(f"{name} #"))
        out[f"{name} #{again + 1}" if again else name] = one
    out.pop(NULL, None)  # it runs anyway
    return out


def _ready(encoder: Any, device: str) -> Call:
    if isinstance(encoder, (str, nn.Module)):
        from .encoders import encoder as load

        return load(encoder, device=device if isinstance(encoder, str) else None)
    if not callable(encoder):
        raise TypeError(
            f"encoder is a {type(encoder).__name__}; accepted: callables from images b 3 h w to embeddings b d, a list or a dict of them."
        )
    called: Call = encoder
    return called


def _name(encoder: Any) -> str:
    own = getattr(encoder, "name", None) or getattr(encoder, "__name__", None)
    return str(own) if isinstance(own, str) else type(encoder).__name__


def check_sizes(encoders: Mapping[str, Call], size: tuple[int, int]) -> None:
    """Refuse encoders that insist on another size.

    Raises:
        ValueError: naming both sizes.
    """
    for name, encoder in encoders.items():
        own = getattr(encoder, "size", None)
        if isinstance(own, (tuple, list)) and len(own) == 2 and tuple(own) != size:
            raise ValueError(f"encoder {name!r} takes {own[0]}x{own[1]} alone, and the images have {size[0]}x{size[1]}; accepted: equal sizes.")


def embed(name: str, encoder: Call, x: torch.Tensor) -> Array:
    """Embeddings (b, d) float32 of images b 3 h w.

    Raises:
        TypeError, ValueError: what is no embedding, naming the encoder.
    """
    with torch.no_grad():
        y = encoder(x)
    if not isinstance(y, torch.Tensor):
        raise TypeError(f"encoder {name!r} gave a {type(y).__name__}; accepted: a tensor of embeddings b d.")
    if y.ndim != 2 or len(y) != len(x) or not y.shape[1]:
        raise ValueError(f"encoder {name!r} gave {tuple(y.shape)} for {len(x)} images; accepted: embeddings b d, such as the mean over a map.")
    out: Array = y.detach().float().cpu().numpy()
    if not np.isfinite(out).all():
        raise ValueError(f"encoder {name!r} gave embeddings that are not finite.")
    return out


def pooled(x: torch.Tensor) -> Array:
    """What the null gives the detector: the means of at most 16 x 16 parts of the image, (b, d) float32."""
    out: Array = functional.adaptive_avg_pool2d(x, (min(POOLED, x.shape[2]), min(POOLED, x.shape[3]))).flatten(1).float().cpu().numpy()
    return out


def distances(a: Array, b: Array) -> Array:
    """Euclidean and cosine distance of each two rows of (…, d): (2, …) float64. Where one is 0, the cosine distance is 1, of two of them 0."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    lengths = np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    cosine = np.where(lengths > 0.0, (a * b).sum(-1) / np.where(lengths > 0.0, lengths, 1.0), (a == b).all(-1))
    equal = (a == b).all(-1)  # rounding must not make them differ
    return np.stack([np.sqrt(((a - b) ** 2).sum(-1)), np.where(equal, 0.0, (1.0 - cosine).clip(0.0, 2.0))])

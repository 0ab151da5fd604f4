"""A transform of single samples, for what calls one: torchvision's Compose, a dataset's transform, `set_transform`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from degrade.geometry import tv_mask
from degrade.labels import Labels
from degrade.pipeline import Pipeline

from .stage import Image, Stage, tensors_of

ENTRY = "degradation"  # of a dict, where labels go


class Transform(nn.Module):
    """Degrade the images of a sample, and give back the sample as it came: PIL for PIL, an array for an array, a tensor for a tensor.

    Args:
        pipeline: what to do.
        ids: who an image is. None: (rank, worker, call counter), which repeats nothing, but another number of workers or another order draws
            otherwise. "content": a hash of the image's bytes, the same wherever it is loaded, so that equal images are degraded equally; with random
            crops before it, that is as reproducible as the crops. A key or position at which the sample holds its id, or a tuple of them: the
            strongest promise.
        labels: put what was done into the sample, which is then a dict: under "degradation", the tensors of `Indexed(labels=True)`, or a list of such
            dicts where there are several images. Where torchvision is in use, masks are `tv_tensors.Mask`, which its later transforms take along.
        key: where images stand: a key or position, a tuple of them that leads further in, or a list of several. By default PIL images and
            `tv_tensors.Image`; or, where there are none, tensors and arrays of three channels: in tuples and lists all of them, in dicts those under
            "image", or under the only key that holds any. `BoundingBoxes`, `Mask` and all else pass untouched.

    A call takes a sample, or its parts as several arguments: PIL images (RGB, L, RGBA, whose alpha is kept), tensors 3 h w or b 3 h w and
    `tv_tensors.Image`, uint8 or float in 0…1, and NumPy arrays h w 3; tuples, lists and dicts of them. Each image is a sample of its own.

    Raises:
        TypeError: what is no pipeline. ValueError: from a sample, one that holds no image or could mean several, or that cannot carry labels.
        RuntimeError: from an image on a GPU inside a worker of a DataLoader.
    """

    def __init__(self, pipeline: Pipeline, ids: Any = None, labels: bool = False, key: Any = None) -> None:
        super().__init__()
        self._stage = Stage(pipeline, key, ids)
        self.pipeline, self.labels = pipeline, labels

    def forward(self, *sample: Any) -> Any:
        given: Any = sample[0] if len(sample) == 1 else sample
        if self.labels and not isinstance(given, Mapping):
            raise ValueError(
                f"labels=True, and the sample is a {type(given).__name__}, which cannot carry labels through a Compose; accepted: a dict, which gets "
                f"the entry {ENTRY!r}, or degrade.data.Indexed(dataset, pipeline, labels=True)."
            )
        images = self._stage.plan(given)
        out, told = self._stage.run(given, images, self.labels)
        return {**out, ENTRY: _entry(images, told)} if self.labels else out

    def extra_repr(self) -> str:
        return f"ids={self._stage.ids!r}, labels={self.labels}, key={self._stage.key!r}"


def _entry(images: list[Image], told: list[Labels]) -> Any:
    """What a dict says about its images: one dict for the image that is an entry itself, else one for each."""
    entries = [tensors_of(labels) if image.many else _of_one(labels) for image, labels in zip(images, told)]
    return entries[0] if len(images) == 1 and len(images[0].path) == 1 else entries


def _of_one(labels: Labels) -> dict[str, torch.Tensor]:
    out = {name: value[0] for name, value in tensors_of(labels).items()}
    if "torchvision.tv_tensors" in sys.modules:
        out["masks"] = tv_mask(out["masks"])
    return out

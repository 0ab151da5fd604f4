"""A pipeline at work on samples and batches: who the images are is settled on the host, then they are degraded wherever they lie."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from degrade.distributions import Array
from degrade.inputs import Images, check_ids, check_values, content_ids
from degrade.labels import Labels
from degrade.pipeline import Pipeline, apply
from degrade.prepared import Prepared, prepare

from .images import images_in, opened
from .nested import Path, at, mapped, paths_of

TOLD = ("type", "severity", "level", "params", "area", "masks")  # labels that a loader can collate


@dataclass(frozen=True)
class Image:
    """One image or batch of images in a sample: where it stands, who it is, and which view of them."""

    path: Path
    ids: Array
    view: int = 0
    many: bool = False  # a batch b 3 h w


@dataclass(frozen=True)
class PreparedBatch:
    """A batch that is not degraded yet, and how it will be: what `Prepare` gives, and `DeviceLoader` opens."""

    batch: Any
    images: list[Image]
    prepared: list[Prepared | None]  # of the images that go together; None where they are drawn when they are degraded
    pipeline: tuple[int, int]  # which drew it: of its recipe, and its seed

    def pin_memory(self) -> PreparedBatch:
        """The same with its tensors in pinned memory, as a DataLoader with `pin_memory=True` asks for."""
        return replace(self, batch=mapped(self.batch, lambda _, leaf: leaf.pin_memory() if isinstance(leaf, torch.Tensor) else leaf))


class Group(NamedTuple):
    """Images that are degraded together: a batch, or single ones of one size."""

    images: list[Image]
    tensors: list[torch.Tensor]
    backs: list[Any]  # the way from each tensor back to what it was

    @property
    def many(self) -> bool:
        return self.images[0].many

    @property
    def view(self) -> int:
        return self.images[0].view

    @property
    def ids(self) -> Array:
        return np.concatenate([image.ids for image in self.images])

    @property
    def batch(self) -> torch.Tensor:
        return self.tensors[0] if self.many else torch.stack(self.tensors)


class Stage:
    """A pipeline with the places of images and ids.

    Args:
        pipeline: what to do.
        key: where images stand, as `images_in` takes it.
        ids: where their ids stand: a key or position, or a tuple of them that leads further in; "content" to hash each image; None for
            (rank, worker, call counter).

    A tensor b 3 h w holds b samples. Several of equal b, such as the crops of a multi-crop batch, are views 0, 1, … of the same samples. Single
    images, such as a list of images of different sizes, are one sample each; with one id for all of them, they are its views.
    """

    def __init__(self, pipeline: Pipeline, key: Any = None, ids: Any = None) -> None:
        if not isinstance(pipeline, Pipeline):
            raise TypeError(f"pipeline is a {type(pipeline).__name__}; accepted: degrade.Pipeline.")
        if isinstance(ids, (list, np.ndarray, torch.Tensor)):
            raise TypeError(f"ids is a {type(ids).__name__}; accepted: the key or position at which a sample holds its id, 'content', or None.")
        self.pipeline, self.key, self.ids = pipeline, key, ids
        self._recipe = zlib.crc32(repr(pipeline.recipe).encode())  # tells another one

    @property
    def _who(self) -> tuple[int, int]:
        return self._recipe, self.pipeline.seed

    def plan(self, sample: Any) -> list[Image]:
        """Who the images of a sample or batch are. On the host, and in the order in which batches come: ids may be drawn here.

        Raises:
            ValueError: ids that are not there, or not as many as the images.
        """
        paths = images_in(sample, self.key)
        tensors = [opened(at(sample, path, "key"))[0] for path in paths]
        singles = sum(x.dim() == 3 for x in tensors)
        given = self._given(sample)
        drawn: dict[int, Array] = {}  # ids of batches by their length, which views share
        views: Counter[int] = Counter()  # how many batches of that length there were
        out: list[Image] = []
        for path, x in zip(paths, tensors):
            if x.dim() > 3:
                shared = drawn.get(len(x)) if self.ids is None else None
                ids = drawn[len(x)] = self._ids(x, given, len(x)) if shared is None else shared
                out.append(Image(path, ids, views[len(x)], many=True))
                views[len(x)] += 1
            else:
                number = sum(not image.many for image in out)
                ids = self._ids(x[None], given, singles, alone=True)
                one = len(ids) == 1
                view = number if one and given is not None else 0
                out.append(Image(path, ids if one else ids[number : number + 1], view))
        return out

    def _given(self, sample: Any) -> Array | None:
        """The ids that a sample holds, if it is said where."""
        if self.ids is None or self.ids == "content":
            return None
        (path,) = paths_of(self.ids)
        found = at(sample, path, "ids")
        return check_ids(found, found.numel() if isinstance(found, torch.Tensor) else np.size(found))

    def _ids(self, x: torch.Tensor, given: Array | None, count: int, alone: bool = False) -> Array:
        """Ids for images b 3 h w: those given, which must be as many as `count` or, for images that stand alone, one; a hash; or new ones."""
        if given is None:
            return content_ids(x) if self.ids == "content" else self.pipeline.calls.next(len(x))
        if len(given) != count and not (alone and len(given) == 1):
            raise ValueError(f"ids={self.ids!r} holds {len(given)} ids for {count} images; accepted: one id for each.")
        return given

    def groups(self, sample: Any, images: list[Image]) -> list[Group]:
        """The images of a sample, those that go together side by side; in the same order wherever the sample lies.

        Raises:
            RuntimeError: images on a GPU inside a worker of a DataLoader.
        """
        out: dict[Any, Group] = {}
        for image in images:
            x, back = opened(at(sample, image.path, "key"))
            check_worker(x)
            alike = image.path if image.many else (x.shape, x.dtype, x.device, image.view)
            group = out.setdefault(alike, Group([], [], []))
            group.images.append(image)
            group.tensors.append(x)
            group.backs.append(back)
        return list(out.values())

    def prepare(self, sample: Any, check: bool) -> PreparedBatch:
        """A sample with all that the host does for it, but for the stored masks, which the process that runs it has. Partitions and the like, masks that
        are made of images, and clips are left to that. Values of images are checked, if that is wanted."""
        images = self.plan(sample)
        prepared: list[Prepared | None] = []
        for group in self.groups(sample, images):
            x = Images(group.batch, clips=True)
            if check:
                check_values(x.batch)
            program = self.pipeline.sample(group.ids, (x.first.shape[2], x.first.shape[3]), group.view)
            ready = prepare(program) if x.frames is None else None
            prepared.append(Prepared(replace(program, maps=None), ready.plan) if ready and ready.plan else None)
        return PreparedBatch(sample, images, prepared, self._who)

    def open(self, batch: Any) -> tuple[Any, list[Image], list[Prepared | None]]:
        """A batch as it came, or was prepared: who its images are, and what is prepared for them.

        Raises:
            ValueError: a batch that another pipeline prepared.
        """
        if not isinstance(batch, PreparedBatch):
            return batch, self.plan(batch), []
        if batch.pipeline != self._who:
            raise ValueError("the batch was prepared by another pipeline; accepted: Prepare(pipeline) with this one, of equal recipe and seed.")
        return batch.batch, batch.images, batch.prepared

    def run(self, sample: Any, images: list[Image], labels: bool = False, prepared: Sequence[Prepared | None] = ()) -> tuple[Any, list[Labels]]:
        """The sample degraded, and the labels of each image where they are wanted.

        Args:
            prepared: of all groups, if `open` gave any.

        Raises:
            RuntimeError: images on a GPU inside a worker of a DataLoader.
        """
        done: dict[Path, Any] = {}
        told: dict[Path, Labels] = {}
        groups = self.groups(sample, images)
        for group, ready in zip(groups, prepared or (None,) * len(groups)):
            y, said = self._degraded(group, ready, labels)
            for i, (image, back) in enumerate(zip(group.images, group.backs)):
                done[image.path] = back(y if group.many else y[i])
                if said is not None:
                    told[image.path] = said if group.many else said[i]
        out = mapped(sample, lambda path, leaf: done.get(path, leaf))
        return out, [told[image.path] for image in images] if labels else []

    def _degraded(self, group: Group, ready: Prepared | None, labels: bool) -> tuple[torch.Tensor, Labels | None]:
        if ready is None:
            got = self.pipeline(group.batch, ids=group.ids, view=group.view, labels=labels)
            return got if labels else (got, None)
        program = replace(ready.program, maps=self.pipeline.maps)
        y = apply(Prepared(program, ready.plan), group.batch, backend=self.pipeline.backend, check="never", gradient=self.pipeline.gradient)
        return y, Labels(program, ids=group.ids) if labels else None


def tensors_of(labels: Labels) -> dict[str, torch.Tensor]:
    """Labels of b samples as a dict of tensors, b first, that a loader can collate."""
    return {name: getattr(labels, name) for name in TOLD}


def check_worker(x: torch.Tensor) -> None:
    """Refuse images on a GPU inside a worker: a forked process cannot use CUDA, and others would each hold a context of their own.

    Raises:
        RuntimeError: saying where to degrade instead.
    """
    if torch.utils.data.get_worker_info() is not None and x.device.type != "cpu":
        raise RuntimeError(
            f"an image is on {x.device} inside a worker of a DataLoader; accepted there: images on the CPU. Let workers give CPU images, and degrade "
            "after the loader: degrade.data.DeviceLoader(loader, pipeline, device)."
        )

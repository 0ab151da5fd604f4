"""Labels: what was done to each sample, as tensors. Dense ones are rendered from the program when first read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from . import label_maps, label_table
from .backends.masking import slot_weights
from .concatenation import concatenate
from .distributions import Array
from .effect import Effect, measure
from .geometry import Followed, Windows, tv_mask
from .ops import find
from .program import Program


class Labels(Followed):
    """What a program does, for b samples and s slots. Nothing is computed before it is read.

    type       (b, s) int16    index into `types`, -1 where the slot is empty
    types      tuple[str, …]   the pipeline's vocabulary of ops
    group      (b, s) int16    index into `groups`, -1 where the slot is empty
    groups     tuple[str, …]   the groups of the vocabulary, such as "blur", in alphabetical order
    severity   (b, s) float32  0…1 along the op's first parameter, 0 where the slot is empty
    level      (b, s) float32  a bank's level, NaN where none was drawn
    params     (b, s, 8) float32  drawn parameters in the op's order, NaN beyond them; names in `param_names`
    identity   (b, s) bool     the parameters change no image (also where the slot is empty)
    area       (b, s) float32  Σ mask / (h · w) on the pixel grid: 1 without a mask, 0 where the slot is empty
    masks      (b, s, h, w) float32  the weights that were applied, 0 where the slot is empty
    boxes      (b, s, 4) int32   x0 y0 x1 y1 around mask > 0 in pixels, right and bottom exclusive; 0 where there is none
    overlap    (b, s, s) float32  Σ min / Σ max of each two masks, their soft intersection over union; 0 where either is empty
    severity_maps       (b, t, h, w) float32  for each of the t types the largest severity · mask among its slots
    composite_severity  (b, h, w) float32     1 − Π (1 − severity · mask) over the slots
    dominant            (b, h, w) int16       the type of the largest severity · mask, the first slot's of equal ones; -1 where that is 0
    ids        (b,) int64      who the samples are; `program.ids` is what their noise is drawn with

    Severity is how far the first parameter went from its neutral value towards its harshest, limited to 0…1. Every op has one. The limit
    counts: a first parameter beyond the neutral value on the side that has no harsh end (colour diffusion by less than 1, say) has severity
    0 although it changes the image, and then leaves nothing in the maps of severity; `effect` measures it.

    Of clips there is one row for each, and what has to do with masks is of their first frame; `frame(f)` gives the labels of another.

    Tensors are on the CPU, or where `to` says. `labels[i]`, with an index, a slice, a list or an array, are the labels of those samples;
    iteration gives those of each sample.

    `crop`, `hflip`, `vflip`, `resize` and `resized_crop` give the labels of images that went the same way: masks, and all that is derived from
    them, are then of what is left. Type, severity, level and params say what was done at the full resolution.
    """

    def __init__(
        self,
        program: Program,
        mask: torch.Tensor | None = None,
        device: str | torch.device = "cpu",
        ids: Array | None = None,
        windows: Windows | None = None,
    ) -> None:
        """The labels of a program.

        Args:
            mask: b 1 h w, the mask given at the call, where the program reads one.
            device: where tensors are put when they are read.
            ids: (b,) the samples' own, where noise was drawn with others.
            windows: the crops, flips and resizes that images went through since.
        """
        self.program = program
        self._mask = mask
        self.device = torch.device(device)
        self._ids = program.ids if ids is None else ids
        self._windows = Windows(len(program), program.size) if windows is None else windows

    # ---- of each slot ------------------------------------------------------------------------------------------------------

    @property
    def types(self) -> tuple[str, ...]:
        return self.program.ops

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(sorted({find(name).group for name in self.types}))

    @property
    def param_names(self) -> dict[str, tuple[str, ...]]:
        """The parameters of each type, in the order of `params`."""
        return {name: tuple(find(name).parameters) for name in self.types}

    @cached_property
    def type(self) -> torch.Tensor:
        return self._tensor(self.program.code)

    @cached_property
    def group(self) -> torch.Tensor:
        groups = self.groups
        of_type = np.asarray([groups.index(find(name).group) for name in self.types] + [-1], dtype=np.int16)  # the last serves code -1
        return self._tensor(of_type[self.program.code])

    @cached_property
    def severity(self) -> torch.Tensor:
        return self._tensor(self.program.severity)

    @cached_property
    def level(self) -> torch.Tensor:
        return self._tensor(self.program.level)

    @cached_property
    def params(self) -> torch.Tensor:
        count = np.asarray([len(find(name).parameters) for name in self.types] + [0])  # the last serves code -1
        beyond = np.arange(self.program.theta.shape[2]) >= count[self.program.code][:, :, None]
        return self._tensor(np.where(beyond, np.float32(np.nan), self.program.theta))

    @cached_property
    def identity(self) -> torch.Tensor:
        return self._tensor(self.program.identity() | (self.program.code < 0))

    @cached_property
    def ids(self) -> torch.Tensor:
        return self._tensor(self._ids)

    def _tensor(self, values: Array) -> torch.Tensor:
        return torch.from_numpy(values.copy()).to(self.device)

    # ---- of the masks ------------------------------------------------------------------------------------------------------

    @cached_property
    def masks(self) -> torch.Tensor:
        return self._windows.look(slot_weights(self.program, self._mask, self.device))

    def tv_masks(self) -> Any:
        """`masks` as a `torchvision.tv_tensors.Mask`, b s h w, which transforms of torchvision v2 take along with the images. They resize
        masks by the nearest pixel; `resize` and `resized_crop` keep them soft.

        Raises:
            ModuleNotFoundError: if torchvision is not installed.
        """
        return tv_mask(self.masks)

    @property
    def _weights(self) -> torch.Tensor:
        """`masks`, or the same without memory of its own where no slot has a mask: nothing is rendered then."""
        if self._masked:
            return self.masks
        return (self.type >= 0).to(torch.float32)[:, :, None, None].expand(*self.type.shape, *self.size)

    @property
    def _masked(self) -> bool:
        return bool((self.program.family >= 0).any())

    @cached_property
    def area(self) -> torch.Tensor:
        if not self._masked:
            return (self.type >= 0).to(torch.float32)
        return self.masks.mean((2, 3), dtype=torch.float64).to(torch.float32)

    @cached_property
    def boxes(self) -> torch.Tensor:
        return label_maps.boxes(self._weights)

    @cached_property
    def overlap(self) -> torch.Tensor:
        return label_maps.overlap(self._weights)

    def area_above(self, threshold: float) -> torch.Tensor:
        """The fraction of pixels whose weight is at least `threshold`, such as .1, .5 or .9: (b, s) float32.

        Raises:
            ValueError: a threshold that is not above 0 and at most 1.
        """
        return label_maps.area_above(self._weights, threshold)

    def coverage(self, patch: int | tuple[int, int]) -> torch.Tensor:
        """The mean weight of each slot in each patch, for models that look at patches: (b, s, ⌈h / ph⌉, ⌈w / pw⌉) float32.

        Args:
            patch: side in pixels, or (height, width). A patch that the edge cuts averages over the pixels that exist.

        Raises:
            ValueError: a patch that is not of whole pixels.
        """
        return label_maps.coverage(self._weights, patch)

    # ---- dense maps --------------------------------------------------------------------------------------------------------

    @cached_property
    def severity_maps(self) -> torch.Tensor:
        return label_maps.severity_maps(self._weights, self.severity, self.type, len(self.types))

    @cached_property
    def composite_severity(self) -> torch.Tensor:
        return label_maps.composite_severity(self._weights, self.severity)

    @cached_property
    def dominant(self) -> torch.Tensor:
        return label_maps.dominant(self._weights, self.severity, self.type)

    # ---- what it did to the pixels -----------------------------------------------------------------------------------------

    def effect(self, x: torch.Tensor, backend: str = "auto") -> Effect:
        """The measured change of each slot, against the image that it got.

        The program is replayed once for every slot, with the slots after it emptied, and successive results are compared: for analysis, not
        for the loop of a training. Of a chain under one mask the results are blended, so a slot's change is what it adds to the result.

        Args:
            x: the images as they were before, b 3 h w or 3 h w, uint8 or float in 0…1; of clips one frame, for `labels.frame(f)`. Changes are counted as whole numbers: of 8 bits for
                uint8, of 16 bits for floats.
            backend: "auto", "torch" or "triton".

        Raises:
            ValueError, TypeError: images that do not fit the labels, or that are none; labels that were cropped, flipped or resized.
        """
        if self._windows.steps:
            raise ValueError("effect replays the program on whole images, and these labels were cropped, flipped or resized; accepted: those before.")
        measured = measure(self.program, x, self._mask, self._weights, backend)
        return Effect(measured.change.to(self.device), measured.changed.to(self.device))

    # ---- tables and numbers ------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """One dict for each occupied slot of each sample: id, slot, type, group, severity, level (None where none was drawn), area, box
        (x0, y0, x1, y1), identity, and params, a dict of every parameter by name, options as their names. Masks are rendered."""
        return label_table.rows(self)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write `rows` as Parquet, `params` as JSON: `pandas.read_parquet(path)["params"].map(json.loads)`. Whole or not at all.

        Raises:
            ModuleNotFoundError: if pyarrow is not installed, naming the extra that brings it. OSError: if the file cannot be written.
        """
        label_table.write_parquet(self, path)

    def summary(self, prefix: str = "degrade/") -> dict[str, float]:
        """Means over the batch by name, for a logger such as wandb or TensorBoard. Masks are rendered; what there is none of is left out.

        slots             occupied slots in an image
        severity, area    of the occupied slots
        untouched         share of images in which no slot changes anything: all are empty, the identity, or without weight
        share/<type>      share of images with the type
        severity/<type>   of the slots of the type
        """
        return label_table.summary(self, prefix)

    def _seen(self, windows: Windows) -> Labels:
        return Labels(self.program, self._mask, self.device, self._ids, windows)

    # ---- batches -----------------------------------------------------------------------------------------------------------

    def to(self, device: str | torch.device) -> Labels:
        """The same labels with tensors on a device. What was read already is copied, the rest is put there when it is read."""
        same = Labels(self.program, self._mask, device, self._ids, self._windows)
        return self._carried(same, lambda value: value.to(device))

    def frame(self, frame: int) -> Labels:
        """The labels of one frame of each clip, from 0: those of its masks where they have moved to.

        Raises:
            ValueError: what is no number of a frame.
        """
        return Labels(self.program.from_frame(frame), self._mask, self.device)

    def __getitem__(self, index: Any) -> Labels:
        index = index.cpu().numpy() if isinstance(index, torch.Tensor) else index
        rows = np.atleast_1d(np.arange(len(self))[index]).copy()  # torch takes no view that goes backwards
        at = torch.from_numpy(rows)
        mask = None if self._mask is None else self._mask[at.to(self._mask.device)]
        some = Labels(self.program.select(rows), mask, self.device, self._ids[rows], self._windows.select(rows))
        return self._carried(some, lambda value: value[at.to(value.device)])

    def __iter__(self) -> Iterator[Labels]:
        return (self[i] for i in range(len(self)))

    def _carried(self, out: Labels, changed: Callable[[torch.Tensor], torch.Tensor]) -> Labels:
        """Labels for other samples or another device, with what was read already, changed as they are."""
        vars(out).update({n: changed(v) for n, v in vars(self).items() if isinstance(v, torch.Tensor) and n != "_mask"})
        return out

    @staticmethod
    def collate(labels: Sequence[Labels]) -> Labels:
        """The labels of several batches or samples as those of one batch, in their order, on the device of the first.

        A DataLoader's `collate_fn` calls it for the labels of its items. Stored masks are shared, not copied.

        Raises:
            ValueError: none, or labels that differ in more than their samples: in vocabulary, size, the key of seed, epoch and view, or the
                steps by which they were brought to one size.
        """
        program = concatenate([own.program for own in labels])
        given = [own._mask for own in labels if own._mask is not None]
        if given and len(given) != len(labels):
            raise ValueError(f"{len(given)} of {len(labels)} labels hold a mask given at the call; accepted: all or none.")
        mask = torch.cat([own.to(given[0].device) for own in given]) if given else None
        return Labels(program, mask, labels[0].device, np.concatenate([own._ids for own in labels]), Windows.join([own._windows for own in labels]))

    def __len__(self) -> int:
        return len(self.program)

    def __repr__(self) -> str:
        return f"Labels of {len(self)} samples and {self.program.slots} slots, types {', '.join(self.types)}"

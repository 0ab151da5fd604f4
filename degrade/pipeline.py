"""Pipelines: a recipe with a seed, ready to degrade images."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import nn

from . import backends, compiled
from .backends.plan import Plan
from .distributions import Array
from .errors import unknown
from .expected import Expectation, expect
from .explain import H100, Explanation, explain
from .files import load_recipe, save_recipe
from .gradients import EXACT, Gradients, check_gradient
from .identity import Calls, Ids, shared_ids
from .inputs import (
    CHECKS,
    Images,
    check_ids,
    check_mask,
    check_noise,
    check_origin,
    check_seed,
    check_segments,
    check_size,
    check_values,
    check_view,
    content_ids,
    wants_check,
)
from .kernels import rng
from .labels import Labels
from .made_masks import resolve
from .op import Op
from .ops import REGISTRY
from .prepared import Prepared
from .program import Program
from .recipe import Combinator, Node, slots_of, walk
from .sheet import Outline, Sheet, reads_call_mask, stacked_banks

MAX_SLOTS = rng.PARAMETER_SLOT  # the last of a counter's 12-bit slots draws parameters


class Pipeline(nn.Module):
    """An immutable recipe of degradations, drawn anew for every sample from (seed, epoch, sample id).

    Args:
        recipe: an op, or Compose, OneOf, SomeOf, Local, Together, Partition, Phase, Relative.
        seed: a whole number; equal seeds draw equal degradations.
        backend: "auto", "torch" or "triton".
        check: when the values of images and masks are checked: "first" call, "always" or "never". On a GPU a check waits for the device.
        noise: of clips. "fresh" draws what differs from pixel to pixel, such as noise, anew for every frame; "frozen" repeats that of the first.
            What is drawn once for an image, such as parameters, masks, or where a flare's source is, is a clip's own either way.
        gradient: to images and masks that require gradients. "exact" passes what the maths has, and refuses ops that are steps (`op.gradient`), such as
            JPEG; "straight-through" passes that of what they approximate. Results are the same, to the bit, with and without.

    A sample's result depends on (seed, epoch, sample id, recipe) alone: not on batch size, position, worker or rank.
    Without `ids`, ids are (rank, worker, call counter): not repeated across ranks and the workers of one loader, but a
    weaker promise. `train()` and `eval()` change nothing.
    """

    _maps: torch.Tensor | None

    def __init__(
        self, recipe: Node, seed: int = 0, backend: str = "auto", check: str = "first", noise: str = "fresh", gradient: str = "exact"
    ) -> None:
        super().__init__()
        if not isinstance(recipe, (Op, Combinator)):
            raise TypeError(f"recipe={recipe!r} is not understood; accepted: an op such as GaussianBlur(), Compose, OneOf, SomeOf or Local.")
        if backend not in backends.NAMES:
            raise ValueError(unknown("backend", backend, backends.NAMES))
        if check not in CHECKS:
            raise ValueError(unknown("check", check, CHECKS))
        if slots_of(recipe) > MAX_SLOTS:
            raise ValueError(f"recipe has {slots_of(recipe)} slots; accepted: at most {MAX_SLOTS}, the numbers that a counter has room for.")
        for node in walk(recipe):
            if isinstance(node, Op) and REGISTRY.get(node.name) is not type(node):
                raise ValueError(f"op {type(node).__name__} is not registered; call degrade.register({type(node).__name__}) first.")
        self.recipe, self.seed, self.backend, self.check, self.noise = recipe, check_seed(seed), backend, check, check_noise(noise)
        self.gradient, self._gradients = gradient, check_gradient(gradient)
        self.calls = Calls()
        self._outline = Outline(recipe)
        self._maps = stacked_banks(recipe)
        self._checked = False
        self._number = compiled.number_of(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._number = compiled.number_of(self)  # a copy has a number of its own

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> Pipeline:
        """Stored masks follow the module to its device, but .half() does not round them."""
        super()._apply(fn, *args, **kwargs)
        if self._maps is not None:
            self._maps = self._maps.to(fn(self._maps[:0]).device)
        return self

    @property
    def maps(self) -> torch.Tensor | None:
        """The maps that masks of the recipe store, (k, h, w) float32."""
        return self._maps

    # ---- drawing ---------------------------------------------------------------------------------------------------------

    def sample(self, ids: Any, size: tuple[int, int], view: int = 0, program_ids: Any = None, mask_ids: Any = None, noise_ids: Any = None) -> Program:
        """Draw what is done to each sample. Host only; no image is needed.

        Args:
            ids: (b,) sample ids, on the host.
            size: (height, width) in pixels.
            view: number of the view, from 0: another view draws other degradations.
            program_ids, mask_ids, noise_ids: (b,) ids in place of `ids`, as in a call. A program holds those that its noise is drawn with.
        """
        count = int(np.size(ids)) if not isinstance(ids, torch.Tensor) else ids.numel()
        shared = shared_ids(check_ids(ids, count), program_ids, mask_ids, noise_ids)
        return self._draw(shared, check_size(size), check_view(view), self.calls.epoch)

    def _draw(self, ids: Ids, size: tuple[int, int], view: int, epoch: int) -> Program:
        key = rng.fold(self.seed, epoch, view)
        outline = self._outline
        sheet = Sheet(outline, key, ids.program, ids.masks, *size)
        return Program(
            outline.ops, outline.families, size, key, ids.noise, sheet.code, sheet.theta, sheet.severity, sheet.level,
            sheet.family, sheet.numbers, sheet.first, sheet.last, outline.parent.copy(), outline.fold.copy(), outline.partition.copy(), sheet.velocity,
            sheet.phase, np.zeros(len(ids.noise), dtype=np.int32), self._maps, self.noise,
        )  # fmt: skip

    # ---- applying --------------------------------------------------------------------------------------------------------

    def forward(
        self,
        x: torch.Tensor,
        ids: Any = None,
        labels: bool = False,
        mask: torch.Tensor | None = None,
        view: int = 0,
        program_ids: Any = None,
        segments: torch.Tensor | None = None,
        mask_ids: Any = None,
        noise_ids: Any = None,
        origin: Any = None,
        frame: tuple[int, int] | None = None,
    ) -> Any:
        """Degrade images, or clips: all frames of a clip get the same ops, with the same parameters and masks.

        Args:
            x: b 3 h w or 3 h w, or clips b t 3 h w of up to 65,536 frames; uint8 in 0…255 or float in 0…1, gamma-encoded sRGB; one grey channel is
                accepted too.
            ids: (b,) sample ids on the host, "content" to hash the bytes of each image or clip, or None for (rank, worker, call counter).
            labels: also return `Labels`.
            mask: b 1 h w in [0, 1], what `masks.FromTensor()` without a tensor reads; on x's device, else its copy waits. Of a clip it is that of
                every frame, as are segments, and masks that are made of the image are made of the first.
            view: number of the view, from 0.
            program_ids: (b,) ids to draw the programs with, in place of `ids`: equal ones share one program between
                images (noise stays each sample's own). This and what follows is shared within one `view`, which draws all anew.
            mask_ids: (b,) ids to draw the masks with, in place of those of the program: equal ones share them, whatever is done inside.
            noise_ids: (b,) ids to draw noise with, and what else the pixels of a sample are drawn from, in place of `ids`.
            segments: on x's device, what `masks.Segments()` reads: a label map b h w (or b 1 h w) of whole numbers from 0 to 4095, or masks
                b k h w as bool, uint8 of 0 and 1, or float in 0…1.
            origin, frame: that x are parts of larger frames of `frame` = (height, width) pixels, whose top left pixels lie there at `origin`: (top,
                left) for all or (b, 2). They get what the whole frame would, as `degrade.apply` tells; labels are of these parts.

        Returns:
            y of the shape, dtype, device and memory format of x; with `labels`, the pair (y, labels).

        Raises:
            ValueError, TypeError: bad input, naming the argument, the value and what is accepted.

        Under `torch.compile` this is one operator of the graph, unless labels are asked for or x requires gradients; ids are then a
        tensor or None.
        """
        if (origin is None) != (frame is None):
            raise ValueError(f"origin={origin!r} and frame={frame!r} go together; accepted: both or none.")
        if origin is not None:
            assert frame is not None
            return self._part(x, check_size(frame, "frame"), origin, labels, mask, segments, view, ids, program_ids, mask_ids, noise_ids)
        if compiled.takes(x, mask, ids, program_ids, mask_ids, noise_ids) and not labels:
            y: torch.Tensor = compiled.run(x, self._number, mask, segments, view, ids, program_ids, mask_ids, noise_ids)
            return y
        program, own, mask, y = self._apply_to(x, mask, segments, view, ids, program_ids, mask_ids, noise_ids)
        # The labels keep their own copy: the caller may write to the mask afterwards.
        return (y, Labels(program, None if mask is None else mask.detach().clone(), ids=own)) if labels else y

    def _part(
        self, x: torch.Tensor, frame: tuple[int, int], origin: Any, labels: bool, mask: Any, segments: Any, view: int, ids: Any, *shared: Any
    ) -> Any:
        """`forward` for parts of frames."""
        if mask is not None or segments is not None:
            raise ValueError("mask= and segments= do not go with origin=; accepted: masks that are drawn, or stored for the whole frame.")
        images = Images(x, clips=True)
        drawn_with = shared_ids(self._ids(ids, images.samples), *shared)
        program = self._draw(drawn_with, frame, check_view(view), self.calls.epoch)
        check = "always" if wants_check(self.check, not self._checked) else "never"
        y = apply(program, x, backend=self.backend, check=check, origin=origin, gradient=self.gradient)
        self._checked = True
        if not labels:
            return y
        top, left = check_origin(origin, tuple(images.first.shape), frame).T
        return y, Labels(program, ids=drawn_with.own).crop(top, left, *images.first.shape[2:])

    def degrade(self, x: torch.Tensor, mask: torch.Tensor | None, segments: torch.Tensor | None, view: int, *ids: Any) -> torch.Tensor:
        """`forward` without labels, for the operator."""
        return self._apply_to(x, mask, segments, view, *ids)[-1]

    def _apply_to(
        self, x: torch.Tensor, mask: torch.Tensor | None, segments: torch.Tensor | None, view: int, ids: Any, *shared: Any
    ) -> tuple[Program, Array, torch.Tensor | None, torch.Tensor]:
        """The program drawn, the samples' own ids, the mask as it was read, and the result. shared: ids for programs, masks and noise."""
        images = Images(x, clips=True)
        batch = images.first
        read = wants_check(self.check, not self._checked)
        if read:
            check_values(images.batch)
        if mask is not None:
            if not reads_call_mask(self.recipe):
                raise ValueError(
                    "mask= was given, but no Local of the recipe reads it; put Local(..., mask=masks.FromTensor()) where it shall apply."
                )
            mask = check_mask(mask, batch, read)
        if segments is not None:
            segments = check_segments(segments, batch, read)
        if not self._checked:
            self._checked = True
        drawn_with = shared_ids(self._ids(ids, images.samples), *shared)
        program = self._draw(drawn_with, (batch.shape[2], batch.shape[3]), check_view(view), self.calls.epoch)
        program = fitted(program, batch, segments)
        return program, drawn_with.own, mask, images.back(run(program, images, mask, self.backend, gradients=self._gradients))

    def _ids(self, ids: Any, samples: torch.Tensor) -> Array:
        if ids is None:
            return self.calls.next(len(samples))
        if isinstance(ids, str):
            if ids != "content":
                raise ValueError(f"ids={ids!r} is not accepted; accepted: (b,) whole numbers, 'content', or None.")
            return content_ids(samples)
        return check_ids(ids, len(samples))

    def explain(self, size: tuple[int, int] = (224, 224), batch: int = 256, dtype: torch.dtype = torch.uint8, bandwidth: float = H100) -> Explanation:
        """What one batch costs the engine: launches, tiles, bytes, and the floor they imply. Print it.

        Args:
            size: (height, width) in pixels.
            batch: how many images, of ids 0 to batch − 1.
            dtype: that of the images.
            bandwidth: bytes per second, both directions counted; by default what a copy moves on an H100.
        """
        return explain(self.sample(np.arange(batch), size), dtype, bandwidth)

    def expected(self, samples: int = 10_000, size: tuple[int, int] = (64, 64)) -> Expectation:
        """How often the pipeline draws each type, how severely, and over what area. Print it: an inverted probability shows at once.

        Args:
            samples: how many are drawn, of ids 0 to samples − 1; no image is needed.
            size: (height, width) in pixels for which masks are drawn; areas hardly depend on it.
        """
        return expect(self.sample, samples, size)

    # ---- state -----------------------------------------------------------------------------------------------------------

    def set_epoch(self, epoch: int) -> None:
        """Draw anew for another epoch. Written to shared memory, so workers that already run see it."""
        self.calls.set_epoch(epoch)

    def get_extra_state(self) -> dict[str, Any]:
        return {"seed": self.seed, **self.calls.state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.seed = int(state["seed"])
        self.calls.restore(state)

    # ---- files -----------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the recipe, the seed and `noise` as YAML."""
        save_recipe(path, self.recipe, self.seed, self.noise)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **options: Any) -> Pipeline:
        """Read what `save` wrote; options are `backend`, `check` and `gradient`, and `noise` in place of what was written.

        Raises:
            ValueError: not a pipeline file, another STREAM, or an unknown op or key.
        """
        recipe, seed, noise = load_recipe(path)
        return cls(recipe, seed, **{"noise": noise, **options})

    def __repr__(self) -> str:
        return f"Pipeline({self.recipe!r}, seed={self.seed})"


def fitted(program: Program, batch: torch.Tensor, segments: torch.Tensor | None = None) -> Program:
    """The program with the masks that are made of these images b 3 h w, or of what comes with them.

    Raises:
        ValueError: images that the program does not fit, or segments that are missing or not read.
    """
    check_alike(program, batch)
    if program.size != tuple(batch.shape[2:]):
        raise ValueError(
            f"the program was drawn for images of {program.size[0]}x{program.size[1]} and x has {batch.shape[2]}x{batch.shape[3]}; accepted: equal sizes."
        )
    return resolve(program, batch, segments)


def check_alike(program: Program, batch: torch.Tensor) -> None:
    """Refuse images b 3 h w that are not as many as the program's samples, or that lie elsewhere than its stored masks."""
    if len(program) != len(batch):
        raise ValueError(f"the program holds {len(program)} samples and x {len(batch)}; accepted: equal numbers.")
    if program.maps is not None and batch.is_cuda and not program.maps.is_cuda:
        raise ValueError(
            "the stored masks are on the CPU and x on a GPU, where copying them would wait at every call; use pipeline.to(x.device) or program.to(x.device)."
        )


def check_part(program: Program, batch: torch.Tensor) -> None:
    """Refuse a program that cannot be run on parts of its frames."""
    check_alike(program, batch)
    if program.waiting().any() or (program.partition >= 0).any() or program.phase.any():
        raise ValueError(
            "origin= does not go with partitions and phases, nor with masks that are given or made at the call; accepted: masks that are drawn or stored."
        )
    if ops := backends.whole_frame(program):
        raise ValueError(f"origin= does not go with {', '.join(ops)}, which read the whole frame; accepted: ops that read around each pixel.")


def run(
    program: Program,
    images: Images,
    mask: torch.Tensor | None,
    backend: str,
    origin: Array | None = None,
    gradients: Gradients = EXACT,
    plan: Plan | None = None,
) -> torch.Tensor:
    """Run a program that is fitted on all images, (b · t) 3 h w; an empty batch comes back empty. mask: b 1 h w; origin: (b, 2); plan: that of the
    program, if it was made beforehand."""
    if images.frames is not None:
        plan = None
        program = program.by_frame(images.frames)
        mask = None if mask is None else mask.repeat_interleave(images.frames, 0)
        origin = None if origin is None else origin.repeat(images.frames, 0)
        gradients = gradients.by_frame(images.frames)
    return backends.run(program, images.batch, mask, backend, origin, gradients, plan) if len(images.batch) else torch.empty_like(images.batch)


def apply(
    program: Program | Prepared,
    x: torch.Tensor,
    mask: torch.Tensor | None = None,
    backend: str = "auto",
    check: str = "first",
    segments: torch.Tensor | None = None,
    origin: Any = None,
    gradient: str = "exact",
) -> torch.Tensor:
    """Replay a program on images or clips, or on parts of them.

    Args:
        program: what `Pipeline.sample` drew or `Program.load` read, for as many images or clips of this size; or what `prepare` made of it, which
            saves the time of planning. Clips that come in pieces are replayed
            with `program.from_frame(f)`, f being the number of a piece's first frame.
        x: b 3 h w or 3 h w, or clips b t 3 h w, uint8 or float in 0…1.
        mask: b 1 h w, where the pipeline holds `masks.FromTensor()` without a tensor.
        backend: "auto", "torch" or "triton".
        check: "always" reads the values of images on any device, "first" those on the CPU, "never" none.
        segments: b h w or b k h w, where the pipeline holds `masks.Segments()`. Masks that are made of images are made of x, unless the program
            is of a call's labels, whose masks were made then.
        origin: where x lie in the frames for which the program was drawn: (top, left) in pixels for all, or (b, 2). They get what the whole
            frames would, exactly but for the edges: what an op reads beyond x, as far as it reaches, is not there, and x's own border is
            repeated. So a frame can be degraded tile by tile, or a crop as its image would be. Partitions, ops that read the whole frame, and
            masks that are given or made at the call are refused.
        gradient: "exact", or "straight-through" for ops that are steps, as `Pipeline` tells.

    Raises:
        ValueError, TypeError: bad input, naming the argument, the value and what is accepted.
    """
    program, plan = (program.program, program.plan) if isinstance(program, Prepared) else (program, None)
    if not isinstance(program, Program):
        raise TypeError(
            f"program is a {type(program).__name__}; accepted: a Program, from Pipeline.sample or degrade.load, or what degrade.prepare gave."
        )
    gradients = check_gradient(gradient)
    images = Images(x, clips=True)
    read = wants_check(check, images.batch.device.type == "cpu")
    if read:
        check_values(images.batch)
    if mask is not None:
        if "from_tensor" not in program.families:
            raise ValueError("mask= was given, but the program reads none; accepted: None.")
        mask = check_mask(mask, images.first, read)
    if segments is not None:
        segments = check_segments(segments, images.first, read)
    if origin is not None:
        at = check_origin(origin, tuple(images.first.shape), program.size)
        check_part(program, images.first)
        return images.back(run(program, images, mask, backend, at, gradients))
    return images.back(run(fitted(program, images.first, segments), images, mask, backend, gradients=gradients, plan=plan))

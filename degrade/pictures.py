"""Pictures of what a program does: masks, maps and outlines as arrays h w 3 uint8. What is drawn on paper is `draw` and `figure`."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .inputs import Images, check_mask
from .labels import Labels
from .made_masks import resolve
from .pipeline import apply
from .program import Program

Colour = tuple[int, int, int]
Raster = np.ndarray[Any, Any]
Picture = torch.Tensor | Raster

# Distinct on white and over grey photographs, also to most colour-blind eyes when neighbours are compared.
COLOURS: tuple[Colour, ...] = (
    (37, 99, 235), (234, 88, 12), (22, 163, 74), (219, 39, 119), (124, 58, 237), (202, 138, 4),
    (8, 145, 178), (220, 38, 38), (101, 163, 13), (147, 51, 234), (13, 148, 136), (180, 83, 9),
)  # fmt: skip

# Viridis, from 0 to 1: as even to the eye as in numbers, also without colour vision.
RAMP: tuple[Colour, ...] = (
    (68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141), (39, 173, 129), (92, 200, 99), (170, 220, 50), (253, 231, 37),
)  # fmt: skip

FAINTEST = 0.25  # a mild degradation still shows on the map
SMALLEST_CELL = 192  # smaller pictures are enlarged by a whole factor
LARGEST_CELL = 1024  # larger ones become means over blocks
EDGE, RIM = 0.5, 0.05  # the levels at which a mask is outlined: where half of the result is new, and where it begins
CHIP = 22  # side of a numbered square, where a picture is 256 pixels wide


# ---- pictures --------------------------------------------------------------------------------------------------------


def picture(x: Picture) -> Raster:
    """An image as h w 3 uint8. Takes uint8 3 h w, a mask h w of floats in 0…1, or an array h w 3 uint8 as it is."""
    if isinstance(x, np.ndarray) and x.ndim == 3:
        return x
    values = x.detach().cpu().numpy() if isinstance(x, torch.Tensor) else x
    if values.ndim == 3:
        return np.ascontiguousarray(values.transpose(1, 2, 0))
    grey = np.floor(values * 255.0 + 0.5).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def where_and_what(original: Picture, weights: torch.Tensor, severity: torch.Tensor, colours: Sequence[Colour]) -> Raster:
    """A map of what happens where: every slot's colour over the dimmed grey original.

    Args:
        original: 3 h w uint8.
        weights: (s, h, w), the mask each slot was applied with.
        severity: (s,) in 0…1; colours are as opaque as weight × severity, at least a quarter of the weight.
        colours: one per slot.
    """
    grey = picture(original).astype(np.float32) @ np.asarray([0.299, 0.587, 0.114], dtype=np.float32)
    out = np.repeat((70.0 + 0.45 * grey)[:, :, None], 3, axis=2)
    for weight, strength, colour in zip(weights.cpu().numpy(), severity.tolist(), colours):
        alpha = weight[:, :, None] * max(strength, FAINTEST)
        out += alpha * (np.asarray(colour, dtype=np.float32) - out)
    return np.floor(out + 0.5).astype(np.uint8)


def coverage(weights: torch.Tensor) -> torch.Tensor:
    """Masks (s, h, w) as one (h, w): 1 − Π(1 − m), what none of them leaves alone."""
    return 1.0 - torch.prod(1.0 - weights, 0)


def ramp(values: Raster) -> Raster:
    """Values in 0…1, of any shape, as colours (…, 3) uint8: viridis."""
    stops = np.linspace(0.0, 1.0, len(RAMP))
    return np.stack([np.floor(np.interp(values, stops, channel) + 0.5) for channel in zip(*RAMP)], -1).astype(np.uint8)


def palette(names: Sequence[str]) -> dict[str, Colour]:
    """A colour for each name, by its place: twelve chosen ones, then further hues a golden angle apart."""
    made = []
    for i in range(max(0, len(names) - len(COLOURS))):
        r, g, b = colorsys.hls_to_rgb((0.07 + i * 0.6180339887) % 1.0, (0.36, 0.5, 0.62)[i % 3], 0.62)
        made.append((round(255 * r), round(255 * g), round(255 * b)))
    return dict(zip(names, (*COLOURS, *made)))


# ---- scale -----------------------------------------------------------------------------------------------------------


def enlargement(width: int) -> int:
    """The whole factor by which a picture of this width is enlarged."""
    return -(-SMALLEST_CELL // width)


def reduction(height: int, width: int) -> int:
    """The whole factor by which a picture of this size is reduced."""
    return -(-max(height, width) // LARGEST_CELL)


def unit(width: int) -> float:
    """What a length is multiplied with beside a picture of this width; 1 at 256 pixels."""
    return max(width, 224) / 256


def fitted(x: torch.Tensor) -> torch.Tensor:
    """Float planes (c, h, w) at the scale they are drawn in: repeated pixels, or means over square blocks."""
    height, width = x.shape[-2:]
    if (by := reduction(height, width)) > 1:
        return torch.nn.functional.avg_pool2d(x, by, ceil_mode=True)
    return x.repeat_interleave(enlargement(width), -2).repeat_interleave(enlargement(width), -1)


def shown(x: torch.Tensor) -> Raster:
    """An image 3 h w or 1 h w, uint8 or float in 0…1, as h w 3 uint8 at the scale it is drawn in."""
    values = x.detach().cpu().to(torch.float32) * (1.0 if x.dtype == torch.uint8 else 255.0)
    return picture(torch.floor(fitted(values) + 0.5).clamp(0, 255).to(torch.uint8).expand(3, -1, -1))


# ---- outlines --------------------------------------------------------------------------------------------------------


def outline(inside: Raster, width: int = 1) -> Raster:
    """The pixels of a region h w bool that have a neighbour outside it, left, right, above or below.

    What lies beyond the frame is no neighbour. Of a wider line each further pixel lies inside the one before.
    """
    core = inside
    for _ in range(width):
        padded = np.pad(core, 1, constant_values=True)
        core = core & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return inside & ~core


def outlined(image: Raster, weights: Raster, colours: Sequence[Colour]) -> Raster:
    """An image with each mask's outline in its colour: a line in a white seam at half weight, a thin one where it begins.

    Args:
        image: h w 3 uint8.
        weights: (s, h, w).
        colours: one per mask. Where lines coincide their colours take turns.
    """
    scale = unit(image.shape[1])
    thin, thick, dash = max(1, round(scale)), max(2, round(2.5 * scale)), max(1, round(10 * scale))
    out = image.copy()
    for weight in weights:
        out[outline(weight < EDGE, thin)] = 255  # just outside the line
    lines = np.zeros(weights.shape, dtype=bool)
    for line, weight in zip(lines, weights):
        line |= outline(weight >= EDGE, thick) | outline(weight >= RIM, thin)
    turn = np.add.outer(np.arange(image.shape[0]), np.arange(image.shape[1])) // dash % np.maximum(lines.sum(0), 1)
    for line, rank, colour in zip(lines, lines.cumsum(0) - 1, colours):
        out[line & (rank == turn)] = colour
    return out


def places(weights: Raster, side: int) -> list[tuple[int, int]]:
    """Centres (x, y) of one square for each mask (s, h, w): on its outline or, where it has none, in a corner; apart where there is room.

    Args:
        side: of the squares, which lie inside the frame if they fit into it.
    """
    _, height, width = weights.shape
    half = -(-side // 2)
    centres: list[Raster] = []
    for weight in weights:
        line = next((found for level in (EDGE, RIM) if (found := outline(weight >= level)).any()), None)
        free = np.argwhere(line) if line is not None else half + half * np.argwhere(np.ones((-(-height // half), -(-width // half))))
        free = np.maximum(np.minimum(free, (height - half, width - half)), half)
        gap = np.full(len(free), side + half)
        for centre in centres:
            gap = np.minimum(gap, np.abs(free - centre).max(1))  # between squares one counts as a king moves
        centres.append(free[gap.argmax()])
    return [(int(x), int(y)) for y, x in centres]


# ---- one sample ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Views:
    """One sample of a program on its image, ready to be drawn; all pictures are h w 3 uint8 of one size."""

    original: Raster
    result: Raster
    outlined: Raster  # the result with every mask's outline
    severity: Raster  # h w, float in 0…1: 1 − Π(1 − severity · mask)
    slots: tuple[int, ...]  # that are not empty
    colours: tuple[Colour, ...]  # one per slot
    chips: tuple[tuple[int, int], ...]  # centres (x, y), one per slot
    labels: Labels  # of this sample alone


def views(program: Program, x: Any, sample: int = 0, mask: Any = None) -> Views:
    """Apply one sample of a program and draw what it does.

    Args:
        program: any number of samples.
        x: the sample's image, 3 h w, or those of all samples, b 3 h w; uint8 or float in 0…1. One grey channel is accepted too.
        sample: which of the program's, from 0.
        mask: h w, or b 1 h w for all samples: what `masks.FromTensor()` without a tensor reads. Of `masks.Segments()` only a program that
            knows them can be shown: that of a call's labels.

    Raises:
        ValueError, TypeError: bad input, naming the argument, the value and what is accepted.
    """
    if not isinstance(sample, (int, np.integer)) or isinstance(sample, bool) or not 0 <= sample < len(program):
        accepted = f"a whole number from 0 to {len(program) - 1}" if len(program) else "none, for the program holds no sample"
        raise ValueError(f"sample={sample!r} is not in the program; accepted: {accepted}.")
    one, image = program.select([sample]), _of(x, sample, len(program), "x")
    batch = Images(image).batch
    if mask is not None:
        mask = check_mask(_of(mask, sample, len(program), "mask"), batch, True)
    # On a CPU the kernels give the same bits, and one image is not worth building them.
    backend = "torch" if image.device.type == "cpu" else "auto"
    one = resolve(one.to(image.device), batch)
    y = apply(one, image.detach(), mask, backend, check="always")
    labels = Labels(one, mask)
    slots = tuple(np.flatnonzero(one.code[0] >= 0).tolist())
    colours = tuple(palette([str(slot) for slot in slots]).values())
    weights = labels.masks[0, list(slots)]
    severity = coverage(weights * labels.severity[0, list(slots), None, None])
    result, large = shown(y), fitted(weights).numpy()
    return Views(
        original=shown(image),
        result=result,
        outlined=outlined(result, large, colours),
        severity=fitted(severity[None])[0].numpy(),
        slots=slots,
        colours=colours,
        chips=tuple(places(large, round(CHIP * unit(result.shape[1])))),
        labels=labels,
    )


def _of(x: Any, sample: int, count: int, name: str) -> Any:
    """What belongs to one sample, of a batch or alone; anything else is left for those who check it."""
    if not isinstance(x, torch.Tensor) or x.dim() != 4:
        return x
    if len(x) not in (1, count):
        accepted = "one image, or as many as the program has samples" if name == "x" else "one mask, or as many as the program has samples"
        raise ValueError(f"{name} holds {len(x)} and the program {count}; accepted: {accepted}.")
    return x[sample if len(x) == count else 0]

"""The planner: a program as launches of the two-stroke engine. NumPy only, vectorised over the batch.

Launches per batch = 2 · (deepest chain of two-stroke ops in any sample) + 1. Ops of several passes have reach kernels of their own,
so that a long one neither slows the building of the others down nor takes registers from them; each of their passes is a launch
more. A reach runs on the region of its op dilated by the op's radius, a settle on what it and the later ones change; only the first
settle, which reads the source, covers the frame. A tile that no later settle changes goes to the result at once, and to the canvas
only if a later reach reads it. Launches in which every item is the whole frame take a grid of tiles and items; others a list that tells
of every tile its item.

The host's time goes by the number of NumPy calls for a single image and by their length for a large batch. So an op is looked at by
itself only where it has a hook of its own, and all else is done for the steps of the whole batch together. What comes again from batch
to batch is kept: rows of tables, as of an op with a few levels, and the launches of a pipeline without masks that draws no ops by chance.

The ideas have modules of their own: `vocabulary` what the ops alone say, `steps` the ops of a batch, `regions` its masks, and `rectangles`
how to reckon with where they work; from these `instructions` and `launches`, whose `tiles` go with all else into one `arena`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from degrade.distributions import Array
from degrade.kernels import plan as layout
from degrade.masks.combine import combines, linear, modulates
from degrade.ops import find
from degrade.program import Program

from .arena import Arena
from .instructions import instructions
from .launches import launches
from .regions import Regions
from .steps import Steps
from .tiles import Launch
from .vocabulary import Vocabulary, vocabulary_of
from .windows import Origins, windows
from .windows import table as table_of

WORD = np.dtype("<i8")  # 64 bits whose low half comes first
MOST_LAYOUTS = 4  # that are kept for one vocabulary


@dataclass(frozen=True)
class Plan:
    """Everything the engine uploads and launches."""

    vocabulary: Vocabulary
    families: tuple[str, ...]
    folds: bool  # whether masks are combined by more than products
    moves: bool  # whether some have moved
    modulates: int  # bits of the branches of settle whose strength a mask may be; 0 if no mask is one
    linear: bool  # whether some blend is one of linear light
    arena: Array  # int32; floats are stored as their bits
    sections: dict[str, int]  # offset of ids, instructions, regions, windows in the arena
    launches: tuple[Launch, ...]
    positions: int  # instructions per sample
    depth: int  # nesting depth of chains that keep their input
    words: int  # int64 words per batch
    buffers: int  # scratch buffers: two if some op stores in several passes
    stored: int  # elements of a buffer
    windowed: bool  # whether of each frame a window is stored alone
    levelled: bool  # and samples are levels of an op

    @property
    def settles(self) -> tuple[object, ...]:
        """What its settle kernels are built for, beside the ops."""
        return self.families, self.folds, self.moves, self.modulates, self.linear, self.windowed, self.levelled


def make_plan(program: Program, numbers: Array, origins: Origins | None = None) -> Plan:
    """Plan a program; `numbers` are its masks' numbers with the rows of given maps filled in.

    Args:
        origins: whose the samples are, if not those of the images in turn, each a whole frame. Of each frame a window is then stored alone.
    """
    arena = Arena()
    arena.add(np.array([program.key], dtype=np.uint64).astype(WORD).view(np.int32))
    vocabulary, strength = vocabulary_of(tuple(map(find, program.ops))), modulates(program.fold)
    ids = arena.add(program.ids.astype(WORD).view(np.int32))
    theta = arena.add(_with_neutral(program, vocabulary) if strength else program.theta)
    steps = Steps(program, vocabulary, theta, None if origins is None else origins.slots)
    masks = (program.size, None) if origins is None else (origins.masks(program.size), origins.phases)
    regions = Regions(program, numbers, steps, arena, *masks) if program.family.size else None
    window, held, stored = None, [], 3 * len(program) * program.size[0] * program.size[1]
    if origins is not None:
        window = windows(origins, steps, regions)
        own, stored = table_of(window, origins, regions, program.size)
        held = [arena.add(own)]
    laid = _kept(steps, arena) if regions is None and window is None else Layout(steps, regions, arena, window)
    sections = {"ids": ids, "regions": arena.size if regions is None else regions.table}
    table = laid.table.copy() if regions is None else laid.table
    table.reshape(-1, layout.INSTRUCTION)[laid.place, layout.TABLE] = steps.tables(arena)
    sections["instructions"] = arena.add(table)
    sections["windows"] = held[0] if held else sections["ids"]
    return Plan(
        vocabulary=vocabulary,
        families=program.families,
        folds=combines(program.fold),
        moves=bool(program.shift.any()),
        modulates=vocabulary.modulates if strength else 0,
        linear=any(linear(program.fold)),
        arena=arena.join(),
        sections=sections,
        launches=laid.launches,
        positions=table.shape[1],
        depth=0 if regions is None else regions.depth,
        words=int(steps.words.sum()),
        buffers=laid.buffers,
        stored=stored,
        windowed=origins is not None,
        levelled=origins is not None and origins.levels is not None,
    )


def _with_neutral(program: Program, vocabulary: Vocabulary) -> Array:
    """The parameters, and where a mask may be the strength of an op, the neutral value of its first one in the last place, which is free."""
    theta = program.theta.copy()
    for code, op in enumerate(vocabulary.ops):
        if op.modulates:
            theta[program.code == code, -1] = next(iter(op.parameters.values())).neutral
    return theta


class Layout:
    """The launches, and the instructions but for what differs from batch to batch even if the same ops are taken: where tables begin."""

    def __init__(self, steps: Steps, regions: Regions | None, arena: Arena, window: Array | None = None) -> None:
        self.table, self.place = instructions(steps, regions)
        self.launches, self.buffers = launches(steps, regions, self.table, self.place, arena, window)


def _kept(steps: Steps, arena: Arena) -> Layout:
    """The layout of steps without masks, that of an earlier batch if it was the same."""
    kept: dict[bytes, tuple[Layout, Array]] = steps.vocabulary.layouts
    key = steps.key() + bytes([not steps.program.families])  # with masks in other batches, other grids
    if (found := kept.get(key)) is None:
        if len(kept) >= MOST_LAYOUTS:
            kept.clear()
        part = Arena(arena.size)
        kept[key] = found = Layout(steps, None, part), part.join()
    laid, items = found
    arena.add(items)
    return laid

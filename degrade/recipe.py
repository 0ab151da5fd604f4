"""Recipes: ops and combinators as a tree, and how a whole batch is drawn from one.

A recipe has a fixed number of *slots* and a fixed number of uniforms per sample. Every node owns its uniforms whether it
is taken or not, and an op skipped by chance leaves its slot empty, so nothing shifts anybody else's random numbers.

A batch is drawn in two steps: first what decides which ops a sample takes and where, then the parameters of those it takes.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple, Union

import numpy as np
import torch

from .distributions import Array, Choice, Constant, Uniform, parse
from .errors import unknown
from .kernels import rng
from .kernels.plan import MODULATE, PRODUCT
from .masks.base import Mask
from .masks.combine import Combined, Leaf, leaves
from .op import LEVEL, MAX_PARAMETERS, SEVERITY, Op, probability
from .program import CALL_MASK, columns_of, groups, uniforms_of

Node = Union[Op, "Combinator"]

BLENDS = {"alpha": PRODUCT, "modulate": MODULATE}  # what becomes of the weight of a Local's mask


class Combinator:
    """A node with children. `slots` and `uniforms` count what the node and all below it take per sample."""

    def __init__(self, children: tuple[Any, ...], p: float) -> None:
        if not children:
            raise ValueError(f"{type(self).__name__} needs at least one op.")
        for child in children:
            if not isinstance(child, (Op, Combinator)):
                raise TypeError(
                    f"{type(self).__name__} child {child!r} is not understood; accepted: an op such as GaussianBlur(), Compose, OneOf, SomeOf or Local."
                )
        self.children: tuple[Node, ...] = children
        self.p = probability("p", p)

    own = 0  # uniforms beside p
    masked = 0  # regions of its own: one for each mask family
    decides = True  # whether they say which children are taken and where

    @cached_property
    def slots(self) -> int:
        raise NotImplementedError

    @cached_property
    def uniforms(self) -> int:
        return 1 + self.own + sum(uniforms(c) for c in self.children)

    @cached_property
    def regions(self) -> int:
        """How many masks there are, of the node and all below it."""
        return self.masked + sum(c.regions for c in self.children if isinstance(c, Combinator))

    @cached_property
    def placed(self) -> tuple[tuple[Node, int, int], ...]:
        """Each child, with its first uniform and its first region, counted from the node's own."""
        out, at, region = [], 1 + self.own, self.masked
        for child in self.children:
            out.append((child, at, region))
            at, region = at + uniforms(child), region + (child.regions if isinstance(child, Combinator) else 0)
        return tuple(out)

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
        """Fill the sheet for the given rows, from their given first slots; `at` and `region` are the node's first uniform and region."""
        raise NotImplementedError

    def options(self) -> dict[str, Any]:
        """Arguments other than the children, for files."""
        return {} if self.p == 1.0 else {"p": self.p}

    def __repr__(self) -> str:
        inside = [repr(c) for c in self.children] + [f"{k}={v}" for k, v in self.options().items()]
        return f"{type(self).__name__}({', '.join(inside)})"


class Compose(Combinator):
    """All children, in order.

    Args:
        *children: ops and combinators.
        p: probability that the whole is applied.
    """

    def __init__(self, *children: Node, p: float = 1.0) -> None:
        super().__init__(children, p)

    @cached_property
    def slots(self) -> int:
        return sum(slots_of(c) for c in self.children)

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
        for child, uniform, inside in self.placed:
            fill(child, sheet, rows, slots, at + uniform, region + inside)
            slots = slots + slots_of(child)


class OneOf(Combinator):
    """One child per sample.

    Args:
        *children: ops and combinators; they share the slots.
        weights: unnormalised probabilities, equal by default.
        p: probability that one is applied at all.
    """

    own = 1

    def __init__(self, *children: Node, weights: Any = None, p: float = 1.0) -> None:
        super().__init__(children, p)
        self.choice = Choice(range(len(children)), weights)

    @cached_property
    def slots(self) -> int:
        return max(slots_of(c) for c in self.children)

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
        for i, own in groups(self.choice.pick(sheet.decision(rows, at + 1))):
            child, uniform, inside = self.placed[i]
            fill(child, sheet, rows[own], slots[own], at + uniform, region + inside)

    def options(self) -> dict[str, Any]:
        weights = {} if self.choice.weights is None else {"weights": list(self.choice.weights)}
        return {**weights, **super().options()}


class SomeOf(Combinator):
    """Several different children per sample.

    Args:
        *children: ops and combinators.
        n: how many: a number, (low, high) for every whole number between equally likely, or a Choice.
        weights: unnormalised probabilities of being drawn first, equal by default.
        order: "random" applies them in the order drawn, "recipe" in the order written.
        p: probability that any is applied.
    """

    def __init__(self, *children: Node, n: Any = 1, weights: Any = None, order: str = "random", p: float = 1.0) -> None:
        super().__init__(children, p)
        count = parse("n", n)
        if isinstance(count, Uniform) and count.low == int(count.low) and count.high == int(count.high):
            count = Choice([*range(int(count.low), int(count.high) + 1)])
        elif isinstance(count, Constant):
            count = Choice([count.value])
        if not isinstance(count, Choice) or any(isinstance(v, str) or v != int(v) or not 0 <= v <= len(children) for v in count.values):
            raise ValueError(f"n={n!r} is out of range; accepted: whole numbers from 0 to {len(children)}, the number of children.")
        if order not in ("random", "recipe"):
            raise ValueError(unknown("order", order, ("random", "recipe")))
        self.n, self.order = Choice([int(v) for v in count.values], count.weights), order
        self.weights = Choice(range(len(children)), weights).weights
        if self.weights is not None and min(self.weights) <= 0:
            raise ValueError(f"weights={self.weights} must be positive; leave a child out instead.")

    @cached_property
    def own(self) -> int:  # type: ignore[override]
        return 1 + len(self.children)

    @cached_property
    def slots(self) -> int:
        return max(self.n.values) * self.width

    @cached_property
    def width(self) -> int:
        """Slots of one place in the order, where any child may stand."""
        return max(slots_of(c) for c in self.children)

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
        count = self.n.draw(sheet.decision(rows, at + 1))[:, None]
        # Exponential races: sorting them draws without replacement, with the given weights.
        races = -np.log(sheet.decision(rows, at + 2, len(self.children))) / (1.0 if self.weights is None else np.asarray(self.weights))
        place = races.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        chosen = place < count
        if self.order == "recipe":
            place = chosen.cumsum(axis=1) - 1
        slots = slots[:, None] + self.width * place
        children, takers = chosen.T.nonzero()
        for i, own in groups(children):
            child, uniform, inside = self.placed[i]
            taken = takers[own]
            fill(child, sheet, rows[taken], slots[taken, i], at + uniform, region + inside)

    def options(self) -> dict[str, Any]:
        out: dict[str, Any] = {"n": self.n.to_dict() if self.n.weights or len(self.n.values) > 1 else self.n.values[0]}
        if self.weights is not None:
            out["weights"] = list(self.weights)
        if self.order != "random":
            out["order"] = self.order
        return {**out, **super().options()}


class Local(Combinator):
    """Confine a child to a soft mask, a different one for every sample.

    The child runs as a whole and is blended once, y = x + m · (f(x) − x), against the image before it. What a blur
    inside the mask sees is the real surroundings. Masks of directly nested `Local`s multiply.

    Args:
        child: an op or combinator.
        mask: a mask family, e.g. `masks.Blob(area=(0.05, 0.4))`, or several combined, e.g. `masks.Difference(masks.Ellipse(), masks.Stripes())`.
        p: probability that the child is applied.
        blend: "alpha" mixes the result with the image by the mask. "modulate" makes the mask the strength of an op: its first parameter goes
            from the neutral value, where the mask is 0, to the drawn one, where it is 1; pixels of weight 0 are copied. The child is then
            one op, or OneOf several, each of a kind whose parameter may differ from pixel to pixel (`op.modulates`).

    Raises:
        TypeError, ValueError: a mask that is none, an unknown blend, or a child that cannot be modulated, naming it.
    """

    def __init__(self, child: Node, mask: Mask | Combined, p: float = 1.0, blend: str = "alpha") -> None:
        super().__init__((child,), p)
        for node in walk(child):
            check_blend(blend, type(node))
        self.blend = blend
        if not isinstance(mask, (Mask, Combined)):
            raise TypeError(
                f"mask is a {type(mask).__name__}, not a mask family; accepted: a mask family such as masks.Ellipse(area=0.2), or masks.FromTensor(tensor)."
            )
        self.mask = mask
        self.leaves = leaves(mask, BLENDS[blend])

    decides = False

    @cached_property
    def own(self) -> int:  # type: ignore[override]
        return sum(leaf.mask.draws for leaf in self.leaves)

    @cached_property
    def masked(self) -> int:  # type: ignore[override]
        return len(self.leaves)

    @cached_property
    def slots(self) -> int:
        return slots_of(self.children[0])

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
        draws = at + 1
        for i, (mask, _) in enumerate(self.leaves):
            sheet.confine(mask, rows, slots, slots + self.slots - 1, draws, region + i)
            draws += mask.draws
        ((child, uniform, inside),) = self.placed
        fill(child, sheet, rows, slots, at + uniform, region + inside)

    def options(self) -> dict[str, Any]:
        return {**super().options(), **({} if self.blend == "alpha" else {"blend": self.blend})}

    def __repr__(self) -> str:
        return f"Local({', '.join([repr(self.children[0]), f'mask={self.mask!r}', *(f'{k}={v!r}' for k, v in self.options().items())])})"


class Relative(Combinator):
    """Lengths in pixels that grow with the image: each is multiplied by the image's short side / reference_size.

    Args:
        child: an op or combinator.
        reference_size: the short side, in pixels, for which its lengths hold.
        p: probability that the child is applied.
    """

    def __init__(self, child: Node, reference_size: int, p: float = 1.0) -> None:
        super().__init__((child,), p)
        if not isinstance(reference_size, (int, np.integer)) or isinstance(reference_size, bool) or reference_size < 1:
            raise ValueError(f"reference_size={reference_size!r} is not a size; accepted: a whole number of pixels from 1.")
        self.reference_size = int(reference_size)

    @cached_property
    def slots(self) -> int:
        return slots_of(self.children[0])

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
        around = sheet.scale
        sheet.scale = around * min(sheet.height, sheet.width) / self.reference_size
        ((child, uniform, inside),) = self.placed
        fill(child, sheet, rows, slots, at + uniform, region + inside)
        sheet.scale = around

    def options(self) -> dict[str, Any]:
        return {"reference_size": self.reference_size, **super().options()}


def check_blend(blend: str, kind: type[Node]) -> None:
    """Refuse a blend that is unknown or that ops or combinators of this kind do not have."""
    if blend not in BLENDS:
        raise ValueError(unknown("blend", blend, BLENDS))
    if blend == "alpha" or issubclass(kind, (OneOf, Relative)) or (issubclass(kind, Op) and kind.modulates):
        return
    why = (
        "accepted: one op, or OneOf several" if issubclass(kind, Combinator) else "its parameter cannot differ from pixel to pixel; use blend='alpha'"
    )
    raise ValueError(f"blend={blend!r} of {kind.__name__} is not accepted; {why}.")


def slots_of(node: Node) -> int:
    """How many slots a node takes."""
    return 1 if isinstance(node, Op) else node.slots


def uniforms(node: Node) -> int:
    """How many uniforms per sample a node and all below it own."""
    return 1 + node.draws if isinstance(node, Op) else node.uniforms


def walk(node: Node) -> list[Node]:
    """The node and all below it, parents first."""
    return [node] + ([n for c in node.children for n in walk(c)] if isinstance(node, Combinator) else [])


def masks_of(root: Node) -> list[Leaf]:
    """The mask of each region, with what becomes of its weight."""
    return [leaf for node in walk(root) if isinstance(node, Local) for leaf in node.leaves]


def fill(node: Node, sheet: Sheet, rows: Array, slots: Array, at: int, region: int) -> None:
    """Draw one node for some samples; `at` is its first uniform, which decides p, and `region` its first region."""
    if node.p < 1.0:
        taken = sheet.decision(rows, at) < node.p
        rows, slots = rows[taken], slots[taken]
    if not len(rows):
        return
    if isinstance(node, Op):
        sheet.put(node, rows, slots, at + 1)
    else:
        node.draw(sheet, rows, slots, at, region)


class Outline:
    """What of a program depends on the recipe alone."""

    def __init__(self, root: Node) -> None:
        nodes = walk(root)
        found = masks_of(root)
        self.masks, self.fold = [leaf.mask for leaf in found], np.array([leaf.fold for leaf in found], dtype=np.int32)  # of each region
        self.root, self.slots, self.regions = root, slots_of(root), len(self.masks)
        self.ops = tuple(sorted({n.name for n in nodes if isinstance(n, Op)}))
        self.index = {name: i for i, name in enumerate(self.ops)}
        self.families = tuple(sorted({mask.name for mask in self.masks}))
        self.columns = columns_of(self.families)
        self.parent = np.array(_parents(root, -1, 0), dtype=np.int16)
        self.bank_rows = _bank_rows(self.masks)
        decisions = _decisions(root, 0)
        self.counters = np.array(sorted({at // 4 for at in decisions}), dtype=np.int64)
        first = {int(counter): 4 * i for i, counter in enumerate(self.counters)}
        self.column = {at: first[at // 4] + at % 4 for at in decisions}  # of each uniform, among those of all these counters


def _parents(node: Node, around: int, region: int) -> list[int]:
    """The region directly around each of a node's regions; -1 for none."""
    if isinstance(node, Op):
        return []
    # The masks of one Local count as one inside the other.
    own = [around, *range(region, region + node.masked - 1)] if node.masked else []
    inner = region + node.masked - 1 if node.masked else around
    return own + [p for child, _, inside in node.placed for p in _parents(child, inner, region + inside)]


def _decisions(node: Node, at: int) -> list[int]:
    """The uniforms that decide which ops a sample takes and where."""
    out = [at] if node.p < 1.0 else []
    if isinstance(node, Op):
        return out
    out += range(at + 1, at + 1 + node.own) if node.decides else ()
    return out + [i for child, uniform, _ in node.placed for i in _decisions(child, at + uniform)]


class Wanted(NamedTuple):
    """Something to be drawn for some samples, when all is decided."""

    what: Any  # an op or a mask
    rows: Array
    place: Any  # the slots of an op, the region of a mask
    at: int  # the first of its uniforms
    draws: int
    scale: float = 1.0  # of lengths in pixels


class Sheet:
    """The arrays of a program while it is being drawn. b samples, s slots, r regions (one per mask of the recipe)."""

    def __init__(self, outline: Outline, key: int, ids: Array, height: int, width: int) -> None:
        b, s, r = len(ids), outline.slots, outline.regions
        self.outline, self.key, self.ids, self.height, self.width = outline, key, ids, height, width
        self.theta = np.zeros((b, s, MAX_PARAMETERS), dtype=np.float32)
        self.severity, self.level = np.zeros((b, s), dtype=np.float32), np.empty((b, s), dtype=np.float32)
        self.numbers = np.zeros((b, r, outline.columns), dtype=np.float32)
        self.code, self.family, self.first, self.last = (np.empty((b, k), dtype=np.int16) for k in (s, r, r, r))
        self.level.fill(np.nan)
        for empty in (self.code, self.family, self.first, self.last):
            empty.fill(-1)
        self.scale = 1.0  # of lengths in pixels
        self._decided = rng.draws(key, ids, rng.PARAMETER_SLOT, outline.counters) if len(outline.counters) else np.empty((b, 0))
        self._ops: list[Wanted] = []
        self._masks: list[Wanted] = []
        fill(outline.root, self, np.arange(b), np.zeros(b, dtype=np.int64), 0, 0)
        drawn = self._uniforms(self._ops + self._masks)
        self._write_ops(drawn[: len(self._ops)])
        self._write_masks(drawn[len(self._ops) :])

    def decision(self, rows: Array, at: int, count: int = 0) -> Array:
        """One uniform of each row, or (n, count) in sequence."""
        column = self.outline.column[at]
        return self._decided[rows, column : column + count] if count else self._decided[rows, column]

    def put(self, op: Op, rows: Array, slots: Array, at: int) -> None:
        """An op in the given slots."""
        self._ops.append(Wanted(op, rows, slots, at + op.reads.start, len(op.reads), self.scale))

    def confine(self, mask: Mask, rows: Array, first: Array, last: Array, at: int, region: int) -> None:
        """A mask over a span of slots."""
        self.family[rows, region] = self.outline.families.index(mask.name)
        self.first[rows, region], self.last[rows, region] = first, last
        self._masks.append(Wanted(mask, rows, region, at, mask.draws))

    def _uniforms(self, wanted: list[Wanted]) -> list[Array]:
        """What each one is drawn from, (n, count) float64 in (0, 1), all from one Philox call."""
        if not wanted:
            return []
        blocks = [(len(w.rows), w.at // 4, (w.at + w.draws + 3) // 4 - w.at // 4 if w.draws else 0) for w in wanted]
        parts = uniforms_of(self.key, self.ids[np.concatenate([w.rows for w in wanted])], rng.PARAMETER_SLOT << 20, blocks)
        return [part[:, w.at % 4 : w.at % 4 + w.draws] for w, part in zip(wanted, parts)]

    def _write_ops(self, uniforms: list[Array]) -> None:
        taken = []
        for w, u in zip(self._ops, uniforms):
            (drawn, active), rows, slots = w.what.draw(u), w.rows, w.place
            if active is not None and not active.all():
                drawn, rows, slots = drawn[active], rows[active], slots[active]
            if w.scale != 1.0:
                drawn[:, :MAX_PARAMETERS] = w.what.scaled(drawn[:, :MAX_PARAMETERS], w.scale)
            taken.append((drawn, rows, slots, np.full(len(rows), self.outline.index[w.what.name])))
        if taken:
            drawn, rows, slots, code = (np.concatenate(part) for part in zip(*taken))
            self.theta[rows, slots], self.code[rows, slots] = drawn[:, :MAX_PARAMETERS], code
            self.severity[rows, slots], self.level[rows, slots] = drawn[:, SEVERITY], drawn[:, LEVEL]

    def _write_masks(self, uniforms: list[Array]) -> None:
        for w, u in zip(self._masks, uniforms):
            numbers = w.what.draw(u, self.height, self.width)
            if w.what.name == "from_tensor":
                numbers[:, 0] = CALL_MASK if w.what.bank is None else numbers[:, 0] + self.outline.bank_rows[w.place]
            self.numbers[w.rows, w.place, : numbers.shape[1]] = numbers
        if self._masks:
            self._trim()

    def _trim(self) -> None:
        """Shrink every region to its occupied slots and drop the empty ones, so that a program has one form only."""
        slot = np.arange(self.code.shape[1])
        used = (self.code >= 0)[:, None, :] & (slot >= self.first[:, :, None]) & (slot <= self.last[:, :, None])
        empty = ~used.any(2)
        self.first[:] = np.where(empty, -1, used.argmax(2))
        self.last[:] = np.where(empty, -1, len(slot) - 1 - used[:, :, ::-1].argmax(2))
        self.family[empty] = -1
        self.numbers[empty] = 0


def _bank_rows(masks: list[Mask]) -> list[int]:
    """The first row of each region's stored maps when the banks of a recipe are stacked; 0 where there are none."""
    rows: dict[int, int] = {}
    at = 0
    for mask in masks:
        if mask.bank is not None and id(mask) not in rows:
            rows[id(mask)] = at
            at += len(mask.bank)
    return [rows.get(id(mask), 0) for mask in masks]


def stacked_banks(root: Node) -> torch.Tensor | None:
    """All stored maps of a recipe as one (k, h, w) tensor, or None."""
    banks = {id(mask): mask.bank for mask, _ in masks_of(root) if mask.bank is not None}
    shapes = {tuple(bank.shape[1:]) for bank in banks.values()}
    if len(shapes) > 1:
        raise ValueError(
            f"the masks.FromTensor of one recipe hold maps of {' and '.join(f'{h}x{w}' for h, w in sorted(shapes))} pixels; accepted: one size."
        )
    return torch.cat(list(banks.values())) if banks else None


def reads_call_mask(root: Node) -> bool:
    """Whether some `Local` waits for the mask given at the call."""
    return any(mask.name == "from_tensor" and mask.bank is None for mask, _ in masks_of(root))

"""Recipes: ops and combinators as a tree, and how a whole batch is drawn from one.

A recipe has a fixed number of *slots* and a fixed number of uniforms per sample. Every node owns its uniforms whether it
is taken or not, and an op skipped by chance leaves its slot empty, so nothing shifts anybody else's random numbers.
"""

from __future__ import annotations

from typing import Any, Union

import numpy as np
import torch

from .distributions import Array, Choice, Constant, Uniform, parse
from .errors import unknown
from .masks.base import MAX_NUMBERS, Mask
from .op import MAX_PARAMETERS, Op, probability
from .program import CALL_MASK

Node = Union[Op, "Combinator"]


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

    @property
    def slots(self) -> int:
        raise NotImplementedError

    @property
    def uniforms(self) -> int:
        return 1 + self.own + sum(uniforms(c) for c in self.children)

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int) -> None:
        """Fill the sheet for the given rows, from their given first slots; `at` is this node's first uniform after p."""
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

    @property
    def slots(self) -> int:
        return sum(slots_of(c) for c in self.children)

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int) -> None:
        for child in self.children:
            fill(child, sheet, rows, slots, at)
            slots, at = slots + slots_of(child), at + uniforms(child)


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

    @property
    def slots(self) -> int:
        return max(slots_of(c) for c in self.children)

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int) -> None:
        picked = self.choice.pick(sheet.u[rows, at])
        at += 1
        for i, child in enumerate(self.children):
            fill(child, sheet, rows[picked == i], slots[picked == i], at)
            at += uniforms(child)

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

    @property
    def own(self) -> int:  # type: ignore[override]
        return 1 + len(self.children)

    @property
    def slots(self) -> int:
        return max(self.n.values) * max(slots_of(c) for c in self.children)

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int) -> None:
        count = self.n.draw(sheet.u[rows, at])[:, None]
        # Exponential races: sorting them draws without replacement, with the given weights.
        races = -np.log(sheet.u[rows, at + 1 : at + self.own]) / (1.0 if self.weights is None else np.asarray(self.weights))
        place = np.argsort(np.argsort(races, axis=1, kind="stable"), axis=1, kind="stable")
        chosen = place < count
        if self.order == "recipe":
            place = np.cumsum(chosen, axis=1) - 1
        at, width = at + self.own, max(slots_of(c) for c in self.children)
        for i, child in enumerate(self.children):
            taken = chosen[:, i]
            fill(child, sheet, rows[taken], slots[taken] + width * place[taken, i], at)
            at += uniforms(child)

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
        mask: a mask family, e.g. `masks.Blob(area=(0.05, 0.4))`.
        p: probability that the child is applied.
    """

    def __init__(self, child: Node, mask: Mask, p: float = 1.0) -> None:
        super().__init__((child,), p)
        if not isinstance(mask, Mask):
            raise TypeError(
                f"mask is a {type(mask).__name__}, not a mask family; accepted: a mask family such as masks.Ellipse(area=0.2), or masks.FromTensor(tensor)."
            )
        self.mask = mask

    @property
    def own(self) -> int:  # type: ignore[override]
        return self.mask.draws

    @property
    def slots(self) -> int:
        return slots_of(self.children[0])

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int) -> None:
        region = sheet.open_region(self.mask, rows, slots, slots + self.slots - 1, at)
        fill(self.children[0], sheet, rows, slots, at + self.own)
        sheet.close_region(region)

    def __repr__(self) -> str:
        return f"Local({self.children[0]!r}, mask={self.mask!r}{f', p={self.p}' if self.p != 1 else ''})"


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

    @property
    def slots(self) -> int:
        return slots_of(self.children[0])

    def draw(self, sheet: Sheet, rows: Array, slots: Array, at: int) -> None:
        around = sheet.scale
        sheet.scale = around * min(sheet.height, sheet.width) / self.reference_size
        fill(self.children[0], sheet, rows, slots, at)
        sheet.scale = around

    def options(self) -> dict[str, Any]:
        return {"reference_size": self.reference_size, **super().options()}


def slots_of(node: Node) -> int:
    """How many slots a node takes."""
    return 1 if isinstance(node, Op) else node.slots


def uniforms(node: Node) -> int:
    """How many uniforms per sample a node and all below it own."""
    return 1 + node.draws if isinstance(node, Op) else node.uniforms


def walk(node: Node) -> list[Node]:
    """The node and all below it, parents first."""
    return [node] + ([n for c in node.children for n in walk(c)] if isinstance(node, Combinator) else [])


def fill(node: Node, sheet: Sheet, rows: Array, slots: Array, at: int) -> None:
    """Draw one node for some samples; `at` is its first uniform, which decides p."""
    if node.p < 1.0:
        taken = sheet.u[rows, at] < node.p
        rows, slots = rows[taken], slots[taken]
    if isinstance(node, Op):
        sheet.put(node, rows, slots, at + 1)
    else:
        node.draw(sheet, rows, slots, at + 1)


class Sheet:
    """The arrays of a program while it is being drawn. b samples, s slots, r regions (one per `Local` of the recipe)."""

    def __init__(self, root: Node, u: Array, height: int, width: int) -> None:
        nodes = walk(root)
        self.u, self.height, self.width = u, height, width
        self.ops = tuple(sorted({n.name for n in nodes if isinstance(n, Op)}))
        self.families = tuple(sorted({n.mask.name for n in nodes if isinstance(n, Local)}))
        locals_ = [n for n in nodes if isinstance(n, Local)]
        b, s, r = len(u), slots_of(root), len(locals_)
        self.code = np.full((b, s), -1, dtype=np.int16)
        self.theta = np.zeros((b, s, MAX_PARAMETERS), dtype=np.float32)
        self.severity = np.zeros((b, s), dtype=np.float32)
        self.level = np.full((b, s), np.nan, dtype=np.float32)
        self.family = np.full((b, r), -1, dtype=np.int16)
        self.numbers = np.zeros((b, r, MAX_NUMBERS), dtype=np.float32)
        self.first = np.full((b, r), -1, dtype=np.int16)
        self.last = np.full((b, r), -1, dtype=np.int16)
        self.parent = np.full(r, -1, dtype=np.int16)
        self.banks = _bank_rows([n.mask for n in locals_])
        self.scale = 1.0  # of lengths in pixels
        self._open: list[int] = []
        self._next = 0
        fill(root, self, np.arange(b), np.zeros(b, dtype=np.int64), 0)
        self._trim()

    def put(self, op: Op, rows: Array, slots: Array, at: int) -> None:
        """Draw an op's parameters into the given slots."""
        if not len(rows):
            return
        drawn = op.draw(self.u[rows, at : at + op.draws])
        rows, slots = rows[drawn.active], slots[drawn.active]
        self.code[rows, slots] = self.ops.index(op.name)
        self.theta[rows, slots] = drawn.theta[drawn.active] if self.scale == 1.0 else op.scaled(drawn.theta[drawn.active], self.scale)
        self.severity[rows, slots] = drawn.severity[drawn.active]
        self.level[rows, slots] = drawn.level[drawn.active]

    def open_region(self, mask: Mask, rows: Array, first: Array, last: Array, at: int) -> int:
        """Draw a mask over a span of slots; its number is fixed by the recipe."""
        region, self._next = self._next, self._next + 1
        self.parent[region] = self._open[-1] if self._open else -1
        self._open.append(region)
        if len(rows):
            self.family[rows, region] = self.families.index(mask.name)
            numbers = mask.draw(self.u[rows, at : at + mask.draws], self.height, self.width)
            if mask.name == "from_tensor":
                numbers[:, 0] = CALL_MASK if mask.bank is None else numbers[:, 0] + self.banks[id(mask)]
            self.numbers[rows, region] = numbers
            self.first[rows, region], self.last[rows, region] = first, last
        return region

    def close_region(self, region: int) -> None:
        self._open.remove(region)

    def _trim(self) -> None:
        """Shrink every region to its occupied slots and drop the empty ones, so that a program has one form only."""
        slot = np.arange(self.code.shape[1])
        for region in range(len(self.parent)):
            first, last = self.first[:, region, None], self.last[:, region, None]
            used = (self.code >= 0) & (slot >= first) & (slot <= last)
            empty = ~used.any(1)
            self.first[:, region] = np.where(empty, -1, used.argmax(1))
            self.last[:, region] = np.where(empty, -1, len(slot) - 1 - used[:, ::-1].argmax(1))
            self.family[empty, region] = -1
            self.numbers[empty, region] = 0


def _bank_rows(masks: list[Mask]) -> dict[int, int]:
    """The first row of each stored map bank when the banks of a recipe are stacked."""
    rows, at = {}, 0
    for mask in masks:
        if mask.bank is not None and id(mask) not in rows:
            rows[id(mask)] = at
            at += len(mask.bank)
    return rows


def stacked_banks(root: Node) -> torch.Tensor | None:
    """All stored maps of a recipe as one (k, h, w) tensor, or None."""
    banks = {id(n.mask): n.mask.bank for n in walk(root) if isinstance(n, Local) and n.mask.bank is not None}
    shapes = {tuple(bank.shape[1:]) for bank in banks.values()}
    if len(shapes) > 1:
        raise ValueError(
            f"the masks.FromTensor of one recipe hold maps of {' and '.join(f'{h}x{w}' for h, w in sorted(shapes))} pixels; accepted: one size."
        )
    return torch.cat(list(banks.values())) if banks else None


def reads_call_mask(root: Node) -> bool:
    """Whether some `Local` waits for the mask given at the call."""
    return any(isinstance(n, Local) and n.mask.name == "from_tensor" and n.mask.bank is None for n in walk(root))

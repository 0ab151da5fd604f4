"""Recipes: ops and combinators as a tree, and which ops of it a sample takes.

A recipe has a fixed number of *slots* and a fixed number of uniforms per sample. Every node owns its uniforms whether it
is taken or not, and an op skipped by chance leaves its slot empty, so nothing shifts anybody else's random numbers.

A node says of a batch's samples who takes what, where; `sheet` draws it.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from .distributions import Array, Choice, Constant, Uniform, parse
from .errors import unknown
from .kernels.plan import LINEAR, MODULATE, PRODUCT
from .masks._placed import pair
from .masks.base import Mask
from .masks.combine import Combined, Leaf, leaves
from .op import Op, Param, probability
from .program import groups

if TYPE_CHECKING:
    from .sheet import Sheet

Node = Union[Op, "Combinator"]

# What becomes of the weight of a Local's mask, by its blend and its space.
USES = {("alpha", "gamma"): PRODUCT, ("alpha", "linear"): LINEAR, ("modulate", "gamma"): MODULATE}
BLENDS, SPACES = (tuple(dict.fromkeys(names)) for names in zip(*USES))
SPEED = Param(-1.0, 1.0, unit="of √(h·w) per frame")


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
    spare = 0  # uniforms after those of the children
    masked = 0  # regions of its own: one for each of its `leaves`
    leaves: tuple[Leaf, ...] = ()
    parallel = False  # whether each child reads the image as it was before them all
    alone = False  # whether no Local or Partition may lie around it
    one_slot = False  # except a Local of that slot alone
    decides = True  # whether they say which children are taken and where

    @cached_property
    def slots(self) -> int:
        raise NotImplementedError

    @cached_property
    def uniforms(self) -> int:
        return 1 + self.own + sum(uniforms(c) for c in self.children) + self.spare

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
    inside the mask sees is the real surroundings. Masks of directly nested `Local`s multiply, and the one blend is in linear light if one of
    them asks for it.

    Args:
        child: an op or combinator.
        mask: a mask family, e.g. `masks.Blob(area=(0.05, 0.4))`, or several combined, e.g. `masks.Difference(masks.Ellipse(), masks.Stripes())`.
        p: probability that the child is applied.
        blend: "alpha" mixes the result with the image by the mask. "modulate" makes the mask the strength of an op: its first parameter goes
            from the neutral value, where the mask is 0, to the drawn one, where it is 1; pixels of weight 0 are copied. The child is then
            one op, or OneOf several. Exact where the parameter may differ from pixel to pixel (`op.modulates`); other ops run at several
            levels of it, of which each pixel mixes the two nearest, JPEG by the mean of each 16 x 16 unit; such a Local stands in no other.
        space: of an alpha blend. "gamma" mixes the values as they are, "linear" the light that they stand for: both images are decoded by the
            transfer function of sRGB (IEC 61966-2-1), mixed, and encoded again. Half of black and white is 0.5 or 0.735. Either way the result is
            exactly x where the mask is 0, exactly f(x) where it is 1, and as it was where the child changes nothing.
        velocity: how far the mask moves from each frame of a clip to the next, down and to the right: a pair (y, x) in √(h·w), each a number,
            (low, high) or a distribution from -1 to 1. Drawn once for a clip. Its weight in frame f is that of frame 0 at (y − f·vy, x − f·vx):
            a shape leaves the frame and what lay outside comes in; stripes, cells and clouds go on beyond it. None: it stays.

    Raises:
        TypeError, ValueError: a mask that is none, an unknown blend or space, a child that cannot be modulated, naming it, or a velocity that is out of
            range or of a mask that is known within the frame alone.
    """

    def __init__(self, child: Node, mask: Mask | Combined, p: float = 1.0, blend: str = "alpha", space: str = "gamma", velocity: Any = None) -> None:
        super().__init__((child,), p)
        for node in walk(child):
            check_blend(blend, type(node))
        check_space("space", space, blend)
        refuse_alone(child, "Local")
        self.blend, self.space = blend, space
        self.alone = blend != "alpha" and any(isinstance(node, Op) and not node.modulates for node in walk(child))
        if not isinstance(mask, (Mask, Combined)):
            raise TypeError(
                f"mask is a {type(mask).__name__}, not a mask family; accepted: a mask family such as masks.Ellipse(area=0.2), or masks.FromTensor(tensor)."
            )
        self.mask = mask
        self.leaves = leaves(mask, USES[blend, space])
        self.velocity = None if velocity is None else pair("velocity", velocity, SPEED, "fractions of √(h·w) per frame")
        still = sorted({leaf.mask.name for leaf in self.leaves if leaf.mask.reads_map})
        if still and velocity is not None:
            raise ValueError(
                f"velocity={velocity!r} of a mask {', '.join(still)} is not accepted, since its weights are known within the frame alone; accepted: None."
            )

    decides = False

    @cached_property
    def spare(self) -> int:  # type: ignore[override]
        return 0 if self.velocity is None else 2

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
        if self.velocity is not None:
            sheet.afterwards(partial(self._move, rows=rows, at=at + self.uniforms - self.spare, region=region))
        ((child, uniform, inside),) = self.placed
        fill(child, sheet, rows, slots, at + uniform, region + inside)

    def _move(self, sheet: Sheet, rows: Array, at: int, region: int) -> None:
        """Write the velocity of the masks that are there."""
        assert self.velocity is not None
        rows = rows[sheet.family[rows, region] >= 0]
        u = sheet.further(rows, at, 2)
        drawn = np.stack([how.draw(u[:, i]) for i, how in enumerate(self.velocity)], 1) * (sheet.height * sheet.width) ** 0.5
        sheet.velocity[rows, region : region + self.masked] = drawn[:, None] + 0.0  # no -0, which a file would not keep

    def options(self) -> dict[str, Any]:
        given = {"blend": (self.blend, "alpha"), "space": (self.space, "gamma")}
        out = {**super().options(), **{name: value for name, (value, usual) in given.items() if value != usual}}
        return out if self.velocity is None else {**out, "velocity": [how.to_dict() for how in self.velocity]}

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
    if not isinstance(blend, str) or blend not in BLENDS:
        raise ValueError(unknown("blend", blend, BLENDS))
    if blend != "alpha" and not issubclass(kind, (Op, OneOf, Relative)):
        raise ValueError(f"blend={blend!r} of {kind.__name__} is not accepted; accepted: one op, or OneOf several.")


def check_space(argument: str, space: str, blend: str) -> None:
    """Refuse a space that is unknown or that a blend does not have."""
    if not isinstance(space, str) or space not in SPACES:
        raise ValueError(unknown(argument, space, SPACES))
    if (blend, space) not in USES:
        raise ValueError(f"{argument}={space!r} with blend={blend!r} is not accepted, for that mixes no images; accepted: blend='alpha'.")


def refuse_alone(child: Node, kind: str) -> None:
    """Refuse what cannot stand inside a node of this kind."""
    for node in walk(child):
        if isinstance(node, Local) and node.alone:
            ops = ", ".join(type(n).__name__ for n in walk(node) if isinstance(n, Op) and not n.modulates)
            raise ValueError(f"blend='modulate' of {ops} inside {kind} is not accepted; accepted: blend='alpha' there.")
        if isinstance(node, Combinator) and node.one_slot and kind == "Local" and slots_of(child) == 1:
            continue
        if isinstance(node, Combinator) and node.alone:
            raise ValueError(f"{type(node).__name__} inside {kind} is not accepted; accepted: {kind} inside {type(node).__name__}.")


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
    return [leaf for node in walk(root) if isinstance(node, Combinator) for leaf in node.leaves]


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

"""Masks made of masks: union, intersection, difference, product and inverse, pixel by pixel.

Union is the greater weight, Intersection the lesser, Difference the lesser of the first and of 1 − the second, Product the product,
Invert 1 − the weight (Zadeh's fuzzy sets): each is exactly 0 or 1 wherever hard masks are, and a mask united with itself stays itself.

Each part keeps its own distributions and is drawn by itself. What an expression comes to is worked out on a small stack: each part in
turn puts its weight on it, then does what its *fold* says, a sequence of operations on the uppermost. The stack begins with the weight
of the masks around, so the fold of a mask by itself is one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any, NamedTuple

import torch

from degrade.distributions import parse
from degrade.kernels import plan as layout

from .base import Mask

MOST_HELD = 3  # weights on the stack at once, beside that of the masks around


class Leaf(NamedTuple):
    """A family of an expression, and what is done when its weight lies on the stack."""

    mask: Mask
    fold: int


class Combined:
    """Masks combined into one, usable wherever a mask family is.

    Args:
        *masks: mask families, or masks combined of them.

    Raises:
        TypeError, ValueError: what is not a mask, too few of them, or an expression nested too deeply.
    """

    operation = layout.PRODUCT
    least, most = 2, 64
    symbol = "×"
    ordered = False  # whether it matters which comes first
    names: tuple[str, ...] = ()  # of arguments beside the masks

    def __init__(self, *masks: Any, **given: Any) -> None:
        kind = type(self).__name__
        for name in given:
            raise TypeError(f"{kind} takes no {name}=; accepted: masks alone. Each of them has an area, a feather and a shape of its own.")
        for mask in masks:
            if not isinstance(mask, (Mask, Combined)):
                raise TypeError(
                    f"{kind} of {mask!r} is not understood; accepted: mask families such as masks.Ellipse(area=0.2), and combinations of them."
                )
        if not self.least <= len(masks) <= self.most:
            accepted = f"{self.least} to {self.most}" if self.least < self.most else f"{self.least}"
            raise ValueError(f"{kind} of {len(masks)} masks; accepted: {accepted}.")
        self.masks: tuple[Mask | Combined, ...] = masks
        if self.held > MOST_HELD:
            raise ValueError(f"{self!r} holds {self.held} weights at once; accepted: at most {MOST_HELD}. Nest it less deeply.")
        self.leaves = tuple(self._leaves())

    @property
    def held(self) -> int:
        """How many weights lie on the stack at most while it is worked out."""
        return max(held(mask) + (i > 0) for i, mask in enumerate(self._order()))

    def _order(self) -> tuple[Mask | Combined, ...]:
        """What holds most comes first, where the order is free."""
        return self.masks if self.ordered else tuple(sorted(self.masks, key=held, reverse=True))

    def _leaves(self) -> list[Leaf]:
        out: list[Leaf] = []
        for i, mask in enumerate(self._order()):
            *before, (last, fold) = parts(mask)
            out += [*before, Leaf(last, then(fold, self.operation) if i else fold)]
        return out

    def to_dict(self) -> dict[str, Any]:
        """The arguments that build this mask again."""
        return {"masks": [{type(mask).__name__: mask.to_dict()} for mask in self.masks]}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.masks))})"


class Union(Combined):
    """The greatest of the weights: what lies in any of the masks."""

    operation, symbol = layout.UNION, "∪"


class Intersection(Combined):
    """The least of the weights: what lies in all of the masks."""

    operation, symbol = layout.INTERSECTION, "∩"


class Difference(Combined):
    """The lesser of the first weight and of 1 − the second: what lies in the first mask and not in the second."""

    operation, symbol, most, ordered = layout.DIFFERENCE, "\\", 2, True


class Product(Combined):
    """The product of the weights, which is softer than their intersection where both are soft."""


class Invert(Combined):
    """1 − the weight: what does not lie in the mask. Its area is 1 − the mask's."""

    operation, symbol, least, most = layout.INVERT, "¬", 1, 1

    def _leaves(self) -> list[Leaf]:
        *before, (last, fold) = parts(self.masks[0])
        return [*before, Leaf(last, then(fold, self.operation))]


class Feather(Combined):
    """The same mask with other ramps: every family in it draws its feather, in its own units, from this distribution. Areas stay.

    Args:
        mask: a mask family, or masks combined.
        feather: a number, (low, high) or a distribution, as each family takes it.

    Raises:
        TypeError, ValueError: what is not a mask, a feather out of a family's range, or a family without one, such as a tensor of weights.
    """

    least, most = 1, 1
    names = ("feather",)

    def __init__(self, mask: Mask | Combined, feather: Any) -> None:
        self.feather = parse("feather", feather)
        super().__init__(mask)

    def _leaves(self) -> list[Leaf]:
        return [Leaf(self._with_feather(leaf.mask), leaf.fold) for leaf in parts(self.masks[0])]

    def _with_feather(self, mask: Mask) -> Mask:
        if "feather" not in mask.values:
            raise ValueError(f"Feather of {mask!r} is not accepted, since it has no feather; accepted: masks that have one.")
        out = copy(mask)
        out.values = {**mask.values, "feather": mask.parameters["feather"].check("feather", self.feather)}
        return out

    def to_dict(self) -> dict[str, Any]:
        return {**super().to_dict(), "feather": self.feather.to_dict()}

    def __repr__(self) -> str:
        return f"Feather({self.masks[0]!r}, feather={self.feather.to_dict()})"


COMBINED = (Union, Intersection, Difference, Product, Invert)
COMBINATIONS: dict[str, type[Combined]] = {kind.__name__: kind for kind in (*COMBINED, Feather)}
SYMBOLS = {kind.operation: kind.symbol for kind in COMBINED} | dict.fromkeys((layout.MODULATE, layout.LINEAR), Product.symbol)


def leaves(mask: Mask | Combined, use: int = layout.PRODUCT) -> tuple[Leaf, ...]:
    """The families of a mask in the order in which their weights are worked out; the last one's fold ends with what the mask is for."""
    *before, (last, fold) = parts(mask)
    return (*before, Leaf(last, then(fold, use)))


def parts(mask: Mask | Combined) -> tuple[Leaf, ...]:
    """The same without the product with the masks around."""
    return mask.leaves if isinstance(mask, Combined) else (Leaf(mask, 0),)


def held(mask: Mask | Combined) -> int:
    """How many weights lie on the stack at most while a mask is worked out."""
    return mask.held if isinstance(mask, Combined) else 1


def then(fold: int, operation: int) -> int:
    """A fold with one operation more, which comes last."""
    at = fold.bit_length() + -fold.bit_length() % layout.FOLD_BITS
    if at + layout.FOLD_BITS > 30:
        raise ValueError("the masks are combined by too many operations in a row; accepted: at most 10 after one mask. Nest them less deeply.")
    return fold | operation << at


def operations(fold: int) -> list[int]:
    """The operations of a fold in order."""
    out = []
    while fold:
        out.append(fold & layout.FOLD_MASK)
        fold >>= layout.FOLD_BITS
    return out


def evaluate(weights: Sequence[torch.Tensor], leaves: Sequence[Leaf]) -> torch.Tensor:
    """What the weights of a mask's `parts` come to."""
    held: list[torch.Tensor] = []
    for weight, leaf in zip(weights, leaves):
        held.append(weight)
        for operation in operations(leaf.fold):
            perform(held, operation)
    return held.pop()


def perform(held: list[torch.Tensor], operation: int) -> None:
    """One operation on the uppermost weights of a stack."""
    top = held.pop()
    held.append(1.0 - top if operation == layout.INVERT else combine(held.pop(), top, operation))


def combine(under: torch.Tensor, top: torch.Tensor, operation: int) -> torch.Tensor:
    """Two weights by an operation of a fold."""
    if operation == layout.UNION:
        return torch.maximum(under, top)
    if operation == layout.INTERSECTION:
        return torch.minimum(under, top)
    if operation == layout.DIFFERENCE:
        return torch.minimum(under, 1.0 - top)
    return under * top


def combines(folds: Any) -> bool:
    """Whether some weights do more than multiply."""
    return any(operations(fold) not in ([layout.PRODUCT], [layout.LINEAR]) for fold in folds.tolist())


def modulates(folds: Any) -> bool:
    """Whether some mask is the strength of an op."""
    return any(layout.MODULATE in operations(fold) for fold in folds.tolist())


def linear(folds: Any) -> list[bool]:
    """Of each weight, whether its blend is one of linear light: if it is the last of a mask that asks for it."""
    return [operations(fold)[-1:] == [layout.LINEAR] for fold in folds.tolist()]


def mask_numbers(folds: list[int]) -> list[int]:
    """Which mask each weight is a part of, counted from 0.

    Raises:
        ValueError: if these folds are not those of whole masks.
    """
    out, held, number = [], 1, 0
    for fold in folds:
        held += 1
        for operation in operations(fold):
            held -= operation != layout.INVERT
            if operation not in SYMBOLS or not 1 <= held <= MOST_HELD + 1:
                raise ValueError(f"fold {fold} is not one of a mask.")
        if held > MOST_HELD + 1:
            raise ValueError(f"fold {fold} leaves too many weights.")
        out.append(number)
        number += held == 1
    if held != 1:
        raise ValueError("the last mask lacks a part.")
    return out


def expression(names: list[tuple[str, int]]) -> str:
    """In words what weights of these names and folds come to, e.g. `(ellipse ∪ boxes) × gradient`."""
    stack = [""]
    for name, fold in names:
        stack.append(name)
        for operation in operations(fold):
            if operation == layout.INVERT:
                stack.append(f"¬{_closed(stack.pop())}")
            else:
                top, under = stack.pop(), stack.pop()
                stack.append(top if under == "" else f"{_closed(under)} {SYMBOLS[operation]} {_closed(top)}")
    return stack[-1]


def _closed(text: str) -> str:
    return f"({text})" if " " in text else text

"""Recipes as plain data and as YAML files."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from . import cells, masks
from .errors import unknown
from .inputs import check_noise, check_seed
from .op import Op
from .ops import REGISTRY, find
from .partition import Partition
from .phase import Phase
from .recipe import Combinator, Compose, Local, Node, OneOf, Relative, SomeOf
from .storing import write_whole
from .stream import STREAM, check_stream
from .together import Together

COMBINATORS: dict[str, Any] = {kind.__name__: kind for kind in (Compose, OneOf, SomeOf, Local, Relative, Together, Partition, Phase)}


def node_to_dict(node: Node) -> dict[str, Any]:
    """One node as {class name: arguments}."""
    if isinstance(node, Op):
        return {type(node).__name__: node.to_dict()}
    if isinstance(node, Local):
        mask = {type(node.mask).__name__: node.mask.to_dict()}
        return {"Local": {"child": node_to_dict(node.children[0]), "mask": mask, **node.options()}}
    if isinstance(node, Partition):
        return {"Partition": {"child": node_to_dict(node.child), "cells": {type(node.cells).__name__: node.cells.to_dict()}, **node.options()}}
    if isinstance(node, (Phase, Relative)):
        return {type(node).__name__: {"child": node_to_dict(node.children[0]), **node.options()}}
    return {type(node).__name__: {"children": [node_to_dict(c) for c in node.children], **node.options()}}


def node_from_dict(data: Any) -> Node:
    """The inverse of `node_to_dict`.

    Raises:
        ValueError, TypeError: an unknown op, key or value, naming the nearest valid one.
    """
    kind, arguments = _single(data, "recipe")
    if kind not in COMBINATORS:
        names = [op.__name__ for op in REGISTRY.values()]
        if kind not in names:
            raise ValueError(unknown("recipe key", kind, [*names, *COMBINATORS]))
        return _build(kind, find(kind), arguments)
    if kind == "Local":
        _only(kind, arguments, ("child", "mask", "p", "blend", "space", "velocity"), ("child", "mask"))
        family, numbers = _single(arguments["mask"], "mask")
        mask = _build(family, partial(masks.from_dict, family), {"arguments": numbers})
        return _build(kind, Local, {**arguments, "child": node_from_dict(arguments["child"]), "mask": mask})
    if kind == "Partition":
        _only(kind, arguments, ("child", "cells", "p"), ("child", "cells"))
        name, given = _single(arguments["cells"], "cells")
        parted = _build(name, partial(cells.from_dict, name), {"arguments": given})
        return _build(kind, Partition, {**arguments, "child": node_from_dict(arguments["child"]), "cells": parted})
    if kind == "Phase":
        _only(kind, arguments, ("child", "p"), ("child",))
        return _build(kind, Phase, {**arguments, "child": node_from_dict(arguments["child"])})
    if kind == "Relative":
        _only(kind, arguments, ("child", "reference_size", "p"), ("child", "reference_size"))
        return _build(kind, Relative, {k: v for k, v in arguments.items() if k != "child"}, [node_from_dict(arguments["child"])])
    allowed = {
        "Compose": ("children", "p"),
        "OneOf": ("children", "weights", "p"),
        "SomeOf": ("children", "n", "weights", "order", "p"),
        "Together": ("children", "overlap", "tries", "p"),
    }[kind]
    _only(kind, arguments, allowed, ("children",))
    if not isinstance(arguments["children"], list):
        raise ValueError(f"{kind} children={arguments['children']!r} is not understood; accepted: a list of recipe entries.")
    children = [node_from_dict(c) for c in arguments["children"]]
    return _build(kind, COMBINATORS[kind], {k: v for k, v in arguments.items() if k != "children"}, children)


def _build(kind: str, make: Callable[..., Any], arguments: dict[str, Any], children: Sequence[Node] = ()) -> Any:
    """Call a constructor; whatever it refuses is told with the entry it stands in."""
    if not all(isinstance(key, str) for key in arguments):
        raise ValueError(f"{kind} has the keys {list(arguments)}; accepted: names.")
    try:
        return make(*children, **arguments)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"in {kind}: {error}") from error


def _single(data: Any, what: str) -> tuple[str, dict[str, Any]]:
    if not isinstance(data, dict) or len(data) != 1:
        raise ValueError(
            f"{what} entry {data!r} is not understood; accepted: one name with its arguments, e.g. {{GaussianBlur: {{sigma: [0.5, 5]}}}}."
        )
    ((kind, arguments),) = data.items()
    if arguments is not None and not isinstance(arguments, dict):
        raise ValueError(f"{what} entry {kind} has arguments {arguments!r}; accepted: a mapping of names to values.")
    return str(kind), arguments or {}


def _only(kind: str, given: dict[str, Any], allowed: tuple[str, ...], needed: tuple[str, ...]) -> None:
    for key in given:
        if key not in allowed:
            raise ValueError(unknown(f"{kind} key", key, allowed))
    for key in needed:
        if key not in given:
            raise ValueError(f"{kind} lacks {key!r}; accepted keys: {', '.join(allowed)}.")


def save_recipe(path: str | os.PathLike[str], recipe: Node, seed: int, noise: str) -> None:
    """Write a recipe, its seed and what noise does in clips as YAML; the file appears whole or not at all."""
    import yaml

    data = {"degrade": "pipeline", "stream": STREAM, "seed": seed, "noise": noise, "recipe": node_to_dict(recipe)}
    write_whole(path, yaml.safe_dump(data, sort_keys=False))


def load_recipe(path: str | os.PathLike[str]) -> tuple[Node, int, str]:
    """Read what `save_recipe` wrote.

    Raises:
        ValueError: if it is not a pipeline file, is of another STREAM, or holds an unknown op or key.
    """
    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"path={str(path)!r} is not YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(data, dict) or data.get("degrade") != "pipeline":
        raise ValueError(f"path={str(path)!r} is not a degrade pipeline; accepted: what Pipeline.save wrote.")
    check_stream(data.get("stream"), "pipeline file")
    _only("pipeline file", data, ("degrade", "stream", "seed", "noise", "recipe"), ("recipe",))
    try:
        return node_from_dict(data["recipe"]), check_seed(data.get("seed", 0)), check_noise(data.get("noise", "fresh"))
    except RecursionError:
        raise ValueError(f"path={str(path)!r} holds a recipe that contains itself; accepted: a tree.") from None


__all__ = ["Combinator", "load_recipe", "node_from_dict", "node_to_dict", "save_recipe"]

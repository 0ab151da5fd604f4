"""Values under their several names: what uses them, how long they live, and where loops and branches pass them on to."""

from __future__ import annotations

from collections.abc import Iterable

from .ttir import Block, Operation, Value


def enclosing(block: Block | None) -> Iterable[Block]:
    """A block and those around it."""
    while block is not None:
        yield block
        block = block.parent.block if block.parent is not None else None


def plain(v: Value) -> Value:
    """A value under its first name."""
    while v.owner is not None and v.owner.name in ("tt.expand_dims", "tt.reshape"):
        v = v.owner.operands[0]
    return v


def uses(v: Value) -> Iterable[tuple[Operation, Value]]:
    """What uses a value, or another name of it."""
    for user in v.users:
        if user.name in ("tt.expand_dims", "tt.reshape"):
            yield from uses(user.results[0])
        else:
            yield user, v


def needed_by(v: Value) -> Iterable[Operation]:
    """The operations that in the end read a value; broadcasts are among them, since they read it across lanes."""
    for user, _ in uses(v):
        if user.name == "tt.addptr":
            yield from needed_by(user.results[0])
        else:
            yield user


def home(v: Value) -> Block:
    """The outermost block that sees the value, under any name: those that a branch yields outlive it."""
    block = v.block if v.owner is None else v.owner.block
    assert block is not None
    for user, alias in uses(v):
        parent = user.block.parent
        if user.name == "scf.yield" and parent is not None and parent.name == "scf.if":
            seen = [home(r) for r, operand in zip(parent.results, user.operands) if operand is alias]
            block = min([block, *seen], key=lambda b: len(list(enclosing(b))))
    return block


def destined(v: Value) -> Value | None:
    """The argument of a loop that a value becomes in the next iteration, straight or out of branches."""
    ends = [(user, alias) for user, alias in uses(v) if user.name == "scf.yield"]
    if len(ends) != 1:
        return None
    (end, alias), parent = ends[0], ends[0][0].block.parent
    at = end.operands.index(alias)
    if parent is None or plain(v).owner is None or plain(v).owner.block is not end.block:  # type: ignore[union-attr]
        return None
    return end.block.arguments[1 + at] if parent.name == "scf.for" else destined(parent.results[at])


def result_of(argument: Value) -> Value | None:
    """What a loop's argument is after the loop."""
    assert argument.block is not None and argument.block.parent is not None
    return argument.block.parent.results[argument.block.arguments.index(argument) - 1]


def passed_on(result: Value) -> Value | None:
    """The loop's argument that a branch's result becomes, if that is all that it is used for."""
    return destined(result) if len(list(uses(result))) == 1 else None


def apart(user: Operation, v: Value) -> bool:
    """Whether an operation is in the branch not taken where `v` is made."""
    assert v.owner is not None
    mine = {block.parent: block for block in enclosing(v.owner.block) if block.parent is not None}
    return any(
        block.parent in mine and mine[block.parent] is not block and block.parent.name == "scf.if"  # type: ignore[union-attr]
        for block in enclosing(user.block)
        if block.parent is not None
    )

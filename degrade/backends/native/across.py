"""Operations that move values between lanes: loops over the arrays of the workspace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from .arithmetic import compute
from .ttir import Operation, UnknownOperation
from .values import BYTES, scalar_type

if TYPE_CHECKING:
    from .lower import Lowering

ACROSS = {"tt.reduce", "tt.scan", "tt.histogram", "tt.split", "tt.join", "tt.trans"}


def across(up: Lowering, op: Operation) -> None:
    sources = [up.at(v, op.block) for v in op.operands]
    targets = []
    for r in op.results:
        if r.type.is_tensor:
            up.stored[r] = up.allocate(r)
            targets.append(up.stored[r])
    kind = op.operands[0].type
    if op.name in ("tt.reduce", "tt.scan"):
        fold(up, op, sources, targets)
    elif op.name == "tt.histogram":
        histogram(up, op, sources[0], targets[0])
    elif op.name == "tt.split":
        up.loop(kind.lanes // 2, lambda i: split(up, i, kind.element, sources[0], targets))
    elif op.name == "tt.join":
        up.loop(kind.lanes, lambda i: join(up, i, kind.element, sources, targets[0]))
    else:
        transpose(up, op, sources[0], targets[0])


def split(up: Lowering, i: str, kind: str, source: str, targets: list[str]) -> None:
    twice = up.times(i, 2)
    up.put(up.read(source, twice, kind), targets[0], i, kind)
    up.put(up.read(source, up.sum(twice, "1"), kind), targets[1], i, kind)


def join(up: Lowering, i: str, kind: str, sources: list[str], target: str) -> None:
    twice = up.times(i, 2)
    up.put(up.read(sources[0], i, kind), target, twice, kind)
    up.put(up.read(sources[1], i, kind), target, up.sum(twice, "1"), kind)


def transpose(up: Lowering, op: Operation, source: str, target: str) -> None:
    found = re.search(r"order = array<i32: ([\d, ]+)>", op.text)
    assert found is not None
    order = [int(n) for n in found[1].split(",")]
    shape, kind = op.operands[0].type.shape, op.operands[0].type.element
    strides = [int(np.prod(shape[d + 1 :], dtype=np.int64)) for d in range(len(shape))]
    # The innermost axis of the target is the inner loop, so that LLVM may see its strides.
    outer = [shape[d] for d in order[:-1]]

    def body(o: str) -> None:
        rest, offset = o, "0"
        for size, d in reversed(list(zip(outer, order[:-1]))):
            offset = up.sum(offset, up.times(up.emit(f"urem i64 {rest}, {size}"), strides[d]))
            rest = up.emit(f"udiv i64 {rest}, {size}")
        first = up.times(o, shape[order[-1]])

        def inner(i: str) -> None:
            value = up.read(source, up.sum(offset, up.times(i, strides[order[-1]])), kind)
            up.put(value, target, up.sum(first, i), kind)

        up.loop(shape[order[-1]], inner)

    up.loop(int(np.prod(outer, dtype=np.int64)), body)


def histogram(up: Lowering, op: Operation, source: str, target: str) -> None:
    kind, bins = op.operands[0].type, op.results[0].type
    up.intrinsic("llvm.memset", "void", [("ptr", target), ("i8", "0"), ("i64", str(bins.lanes * BYTES[bins.element])), ("i1", "false")], "p0.i64")

    def body(i: str) -> None:
        bin_ = up.emit(f"sext {scalar_type(kind.element)} {up.read(source, i, kind.element)} to i64")
        count = up.read(target, bin_, bins.element)
        up.put(up.emit(f"add {scalar_type(bins.element)} {count}, 1"), target, bin_, bins.element)

    up.loop(kind.lanes, body)


def fold(up: Lowering, op: Operation, sources: list[str], targets: list[str]) -> None:
    """A reduction or a running one along an axis, in order."""
    found = re.search(r"axis = (\d+)", op.text)
    if found is None or len(sources) != 1 or "reverse = true" in op.text:
        raise UnknownOperation(f"the form of {op.text!r}")
    axis, kind = int(found[1]), op.operands[0].type
    length, element = kind.shape[axis], kind.element
    inner = int(np.prod(kind.shape[axis + 1 :], dtype=np.int64))

    def row(i: str) -> None:
        first = up.emit(f"udiv i64 {i}, {inner}")
        start = up.sum(up.times(first, length * inner), up.emit(f"urem i64 {i}, {inner}"))
        value = up.read(sources[0], start, element)
        if op.name == "tt.scan":
            up.put(value, targets[0], start, element)
        total = folded(up, op, sources[0], targets, value, start, inner, length)
        if op.name == "tt.reduce":
            if targets:
                up.put(total, targets[0], i, element)
            else:
                up.scalars[op.results[0]] = total

    up.loop(kind.lanes // length, row)


def folded(up: Lowering, op: Operation, source: str, targets: list[str], value: str, start: str, stride: int, length: int) -> str:
    """The fold of one row from its first value on."""
    if length == 1:
        return value
    element = op.operands[0].type.element
    head, end, index, following, total = up.new_label("fold"), up.new_label("after"), up.name(), up.name(), up.name()
    before = up.label
    up.say(f"br label %{head}")
    up.start(head)
    slot = len(up.lines)
    at = up.sum(start, up.times(index, stride))
    both = dict(zip(op.regions[0].arguments, (total, up.read(source, at, element))))
    for inner in op.regions[0].operations[:-1]:
        both[inner.results[0]] = compute(up, inner, [both.get(v) or up.scalars[v] for v in inner.operands], scalar_type, "")
    result = both[op.regions[0].operations[-1].operands[0]]
    if op.name == "tt.scan":
        up.put(result, targets[0], at, element)
    up.say(f"{following} = add i64 {index}, 1")
    more = up.emit(f"icmp ult i64 {following}, {length}")
    up.lines[slot:slot] = [
        f"  {index} = phi i64 [ 1, %{before} ], [ {following}, %{up.label} ]",
        f"  {total} = phi {scalar_type(element)} [ {value}, %{before} ], [ {result}, %{up.label} ]",
    ]
    up.say(f"br i1 {more}, label %{head}, label %{end}")
    up.start(end)
    return result

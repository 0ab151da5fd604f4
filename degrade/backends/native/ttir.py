"""Triton's tensor IR, read from its text: a small tree of operations, each with its operands, results and regions.

Only what the engine's kernels use is understood; anything else raises, naming it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Type:
    """A scalar, or a tensor of them. `element` is i1 to i64, f16 to f64, bf16 or ptr."""

    element: str
    shape: tuple[int, ...] = ()
    pointee: str = ""

    @property
    def lanes(self) -> int:
        return math.prod(self.shape)

    @property
    def is_tensor(self) -> bool:
        return bool(self.shape)


@dataclass(eq=False)
class Value:
    """One SSA value: an operation's result or a block's argument."""

    type: Type
    owner: Operation | None = None
    block: Block | None = None
    users: list[Operation] = field(default_factory=list)


@dataclass(eq=False)
class Operation:
    name: str
    operands: list[Value]
    results: list[Value]
    block: Block
    text: str = ""  # the line as it stands, for attributes
    regions: list[Block] = field(default_factory=list)


@dataclass(eq=False)
class Block:
    arguments: list[Value] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    parent: Operation | None = None


class UnknownOperation(NotImplementedError):
    """The kernel holds something that the native backend does not translate."""


_RESULTS = re.compile(r"^((?:%[\w$-]+(?::\d+)?(?:, )?)+) = (.*)$")
_VALUE = re.compile(r"%[\w$-]+(?:#\d+)?")
_TENSOR = re.compile(r"tensor<((?:\d+x)+)(.+)>$")


def parse_type(text: str) -> Type:
    """`tensor<16x32x!tt.ptr<i16>>`, `f32`, `!tt.ptr<i8>`, …"""
    text = text.strip()
    tensor = _TENSOR.match(text)
    if tensor:
        element = parse_type(tensor[2])
        return Type(element.element, tuple(int(d) for d in tensor[1].split("x")[:-1]), element.pointee)
    if text.startswith("!tt.ptr<"):
        return Type("ptr", (), text[len("!tt.ptr<") :].split(">")[0].split(",")[0])
    return Type(text)


def split_types(text: str) -> list[Type]:
    """The types of a comma-separated list, which may itself hold commas between angle brackets."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        depth += (c in "<(") - (c in ">)")
        if c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [parse_type(p) for p in [*parts, text[start:]] if p.strip()]


def parse(text: str) -> tuple[list[Value], Block]:
    """The arguments and the body of the one function of a module."""
    return _Parser(text).function()


class _Parser:
    def __init__(self, text: str) -> None:
        self.lines: Iterator[str] = iter([line.strip() for line in text.splitlines() if line.strip()])
        self.values: dict[str, Value] = {}

    def function(self) -> tuple[list[Value], Block]:
        for line in self.lines:
            if line.startswith("tt.func"):
                body = Block()
                for name, kind in re.findall(r"(%\w+): ([^,{)]+(?:<[^>]*>)?)", line[line.index("(") :]):
                    body.arguments.append(self.define(name, parse_type(kind), None, body))
                self.block(body)
                return body.arguments, body
        raise UnknownOperation("a Triton module with no function")

    def define(self, name: str, kind: Type, owner: Operation | None, block: Block) -> Value:
        self.values[name] = Value(kind, owner, block)
        return self.values[name]

    def block(self, block: Block) -> str:
        """Read operations up to the line that closes the block, and return that line."""
        for line in self.lines:
            if line.startswith("}"):
                return line
            if line.startswith("^bb"):
                for name, kind in re.findall(r"(%\w+): ([^,)]+)", line):
                    block.arguments.append(self.define(name, parse_type(kind), None, block))
                continue
            self.operation(line, block)
        return "}"

    def operation(self, line: str, block: Block) -> None:
        found = _RESULTS.match(line)
        names, rest = (found[1].split(", "), found[2]) if found else ([], line)
        name = re.match(r'"?([a-z_]+\.[a-z_0-9.]+)', rest)
        if name is None:
            raise UnknownOperation(f"the line {line!r} of a Triton module")
        if name[1] == "scf.for":
            op = self.loop(rest, block)
        elif name[1] == "scf.if":
            op = self.branch(rest, block)
        elif rest.endswith("({"):
            op = self.combination(name[1], rest, block)
        else:
            op = self.plain(name[1], rest, block)
        kinds = [v.type for v in op.results]
        op.results = []
        for own in names:
            own, _, count = own.partition(":")
            if count:
                op.results += [self.define(f"{own}#{i}", kinds[i], op, block) for i in range(int(count))]
            else:
                op.results.append(self.define(own, kinds[len(op.results)], op, block))
        for v in op.operands:
            v.users.append(op)
        block.operations.append(op)

    def made(self, name: str, operands: list[str], kinds: list[Type], block: Block, text: str) -> Operation:
        return Operation(name, [self.values[v] for v in operands], [Value(k) for k in kinds], block, text)

    def plain(self, name: str, rest: str, block: Block) -> Operation:
        head, _, tail = rest.rpartition(" : ")
        if rest in ("arith.constant true", "arith.constant false"):
            return self.made(name, [], [Type("i1")], block, rest)
        if name.startswith(("arith.constant", "tt.make_range", "tt.get_program_id")):
            return self.made(name, [], [parse_type(tail)], block, rest)
        operands = _VALUE.findall(head or rest)
        if name in ("tt.return", "scf.yield", "ttg.barrier", "gpu.barrier", "tt.reduce.return", "tt.scan.return", "tt.store"):
            return self.made(name, operands, [], block, rest)
        for arrow in (" -> ", " to "):
            if arrow in tail:
                kind = parse_type(tail.split(arrow)[-1])
                return self.made(name, operands, [kind] * (2 if name == "tt.split" else 1), block, rest)
        kinds = split_types(tail)
        if not kinds:
            raise UnknownOperation(f"the operation {name} of a Triton module")
        kind = kinds[0] if name == "tt.addptr" else kinds[-1]
        if name in ("arith.cmpi", "arith.cmpf"):
            kind = Type("i1", kind.shape)
        if name == "tt.load":
            kind = Type(kind.pointee, kind.shape)
        return self.made(name, operands, [kind], block, rest)

    def loop(self, rest: str, block: Block) -> Operation:
        """`scf.for %i = %low to %high step %step iter_args(%a = %b) -> (types) : i32 {`"""
        found = re.match(r"scf\.for (%\w+) = (%[\w#-]+) to (%[\w#-]+) step (%[\w#-]+)(?: iter_args\((.*?)\) -> \((.*)\))?\s+(?:: (\w+) )?\{", rest)
        if found is None:
            raise UnknownOperation(f"the loop {rest!r} of a Triton module")
        carried = [pair.split(" = ") for pair in found[5].split(", ")] if found[5] else []
        kinds = split_types(found[6] or "")
        op = self.made("scf.for", [*found.group(2, 3, 4), *(b for _, b in carried)], kinds, block, rest)
        body = Block(parent=op)
        body.arguments.append(self.define(found[1], Type(found[7] or "i32"), None, body))
        for (own, _), kind in zip(carried, kinds):
            body.arguments.append(self.define(own, kind, None, body))
        self.block(body)
        op.regions = [body]
        return op

    def branch(self, rest: str, block: Block) -> Operation:
        """`scf.if %c -> (types) {` … `} else {` … `}`"""
        found = re.match(r"scf\.if (%[\w#-]+)(?: -> \((.*)\))? \{", rest)
        if found is None:
            raise UnknownOperation(f"the branch {rest!r} of a Triton module")
        op = self.made("scf.if", [found[1]], split_types(found[2] or ""), block, rest)
        op.regions = [Block(parent=op), Block(parent=op)]
        if "else" in self.block(op.regions[0]):
            self.block(op.regions[1])
        return op

    def combination(self, name: str, rest: str, block: Block) -> Operation:
        """`"tt.reduce"(%v) <{axis = 1 : i32}> ({ ^bb0(…): … }) : (types) -> types`"""
        op = self.made(name, _VALUE.findall(rest), [], block, rest)
        body = Block(parent=op)
        end = self.block(body)
        op.regions = [body]
        op.results = [Value(k) for k in split_types(end.rpartition(" -> ")[2].strip("()"))]
        return op

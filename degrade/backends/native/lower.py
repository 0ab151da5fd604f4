"""Triton's tensor IR to LLVM IR for the processor.

Operations lane by lane are gathered into groups, and each group becomes one loop over vectors of WIDTH lanes: what passes from one
operation of a group to the next stays in registers. A tensor that is needed beyond its group stands in a workspace. Splats,
constants, ranges, broadcasts and pointers are never stored: each group that needs them makes them anew. What moves values between
lanes (reductions, transpositions, …) is a loop over the workspace. Control flow in these kernels is by scalars, and stays as it is.

Every floating-point operation is a single IEEE operation in the order of the source, so the results are the interpreter's, bit for bit.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from .lanes import Lanes
from .ttir import Block, Operation, Type, UnknownOperation, Value
from .values import BINARY, BYTES, CAST, CHOICE, INTRINSIC, VIRTUAL, Range, Spread, Uniform, literal, scalar_type

LINE = 64  # bytes: where arrays of the workspace begin
ACROSS = {"tt.reduce", "tt.scan", "tt.histogram", "tt.split", "tt.join", "tt.trans"}


def lower(arguments: list[Value], body: Block) -> tuple[str, int]:
    """A module with `run(arguments, workspace, begin, end)`, which runs a range of programs, and the bytes of workspace it needs.

    `arguments` points to one 64-bit word per argument of the kernel.
    """
    return Lowering(arguments, body).module()


@dataclass(eq=False)
class Group:
    """Operations on the same number of lanes that will be one loop."""

    lanes: int
    operations: list[Operation] = field(default_factory=list)
    members: set[Value] = field(default_factory=set)
    reads: set[Value] = field(default_factory=set)  # arguments of the kernel that it loads from
    writes: set[Value] = field(default_factory=set)


def enclosing(block: Block | None) -> Iterable[Block]:
    """A block and those around it."""
    while block is not None:
        yield block
        block = block.parent.block if block.parent is not None else None


class Workspace:
    """Offsets of arrays that live as long as their block."""

    def __init__(self) -> None:
        self.size = 0
        self.free: dict[int, list[int]] = defaultdict(list)
        self.owned: dict[Block, list[tuple[int, int]]] = defaultdict(list)

    def take(self, size: int, block: Block) -> int:
        size = -(-size // LINE) * LINE
        at = self.free[size].pop() if self.free[size] else self.size
        self.size = max(self.size, at + size)
        self.owned[block].append((at, size))
        return at

    def leave(self, block: Block) -> None:
        for at, size in self.owned.pop(block, []):
            self.free[size].append(at)


class Lowering:
    def __init__(self, arguments: list[Value], body: Block) -> None:
        self.arguments, self.body = arguments, body
        self.lines: list[str] = []
        self.count = 0
        self.label = "entry"
        self.scalars: dict[Value, str] = {}
        self.stored: dict[Value, str] = {}  # where a tensor stands
        self.alias: dict[str, frozenset[str]] = {}  # of a pointer to a tensor, the arrays that it may be
        self.groups: dict[int, Group] = {}
        self.space = Workspace()
        self.done: set[Operation] = set()
        self.declared: set[str] = set()
        self.roots: dict[Value, frozenset[Value]] = {}

    # ---- text

    def name(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def emit(self, text: str) -> str:
        """One instruction; its result."""
        own = self.name()
        self.lines.append(f"  {own} = {text}")
        return own

    def say(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def new_label(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"

    def start(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label = label

    def loop(self, count: int, body: Callable[[str], None], step: int = 1) -> None:
        """`body(index)` for an i64 index from 0 to count."""
        if count <= step:
            body("0")
            return
        head, end, index, following = self.new_label("lanes"), self.new_label("after"), self.name(), self.name()
        before = self.label
        self.say(f"br label %{head}")
        self.start(head)
        at = len(self.lines)
        body(index)
        self.say(f"{following} = add nuw nsw i64 {index}, {step}")
        more = self.emit(f"icmp ult i64 {following}, {count}")
        self.lines.insert(at, f"  {index} = phi i64 [ 0, %{before} ], [ {following}, %{self.label} ]")
        self.say(f"br i1 {more}, label %{head}, label %{end}")
        self.start(end)

    def intrinsic(self, name: str, result: str, arguments: list[tuple[str, str]], suffix: str) -> str:
        full = f"@{name}.{suffix}" if suffix else f"@{name}"
        self.declared.add(f"declare {result} {full}({', '.join(kind for kind, _ in arguments)})")
        call = f"call {result} {full}({', '.join(f'{kind} {value}' for kind, value in arguments)})"
        if result == "void":
            self.say(call)
            return ""
        return self.emit(call)

    # ---- the module

    def module(self) -> tuple[str, int]:
        for i, v in enumerate(self.arguments):
            self.scalars[v] = f"%a{i}"
        self.block(self.body)
        parameters = ", ".join(f"{scalar_type(v.type.element)} %a{i}" for i, v in enumerate(self.arguments))
        body = "\n".join(self.lines)
        loads, passed = [], []
        for i, v in enumerate(self.arguments):
            kind = scalar_type(v.type.element)
            loads.append(f"  %p{i} = getelementptr i64, ptr %arguments, i64 {i}\n  %a{i} = load {kind}, ptr %p{i}")
            passed.append(f"{kind} %a{i}")
        text = (
            "\n".join(sorted(self.declared))
            + f"\n\ndefine internal void @program({parameters}, ptr noalias %space, i32 %program) {{\nentry:\n{body}\n  ret void\n}}\n\n"
            + "define void @run(ptr %arguments, ptr noalias %space, i32 %begin, i32 %end) {\nentry:\n"
            + "\n".join(loads)
            + "\n  br label %next\nnext:\n  %program = phi i32 [ %begin, %entry ], [ %following, %next ]\n"
            + f"  call void @program({', '.join(passed)}, ptr %space, i32 %program)\n"
            + "  %following = add i32 %program, 1\n  %more = icmp slt i32 %following, %end\n"
            + "  br i1 %more, label %next, label %done\ndone:\n  ret void\n}\n"
        )
        return text, self.space.size

    # ---- blocks

    def block(self, block: Block) -> Operation | None:
        """All operations of a block but its terminator, which is returned."""
        last = None
        for op in block.operations:
            if op.name in ("scf.yield", "tt.return"):
                last = op
                break
            self.operation(op)
            self.done.add(op)
        self.flush_all()
        return last

    def operation(self, op: Operation) -> None:
        if op.name == "scf.for":
            self.flush_all()
            self.for_loop(op)
        elif op.name == "scf.if":
            self.flush_all()
            self.branch(op)
        elif op.name in ("ttg.barrier", "gpu.barrier"):
            self.flush_all()
        elif op.name in ACROSS:
            self.across(op)
        elif op.name == "tt.broadcast" and op.results[0].type.element == "ptr":
            self.spread_pointers(op)
        elif any(v.type.is_tensor for v in (*op.operands, *op.results)):
            if op.name not in VIRTUAL and op.name != "arith.constant":
                self.gather(op)
        else:
            self.scalar(op)

    def branch(self, op: Operation) -> None:
        condition = self.scalars[op.operands[0]]
        labels = [self.new_label("then"), self.new_label("else")]
        end = self.new_label("end")
        self.say(f"br i1 {condition}, label %{labels[0]}, label %{labels[1]}")
        arrived = []
        for label, region in zip(labels, op.regions):
            self.start(label)
            last = self.block(region)
            values = [] if last is None else last.operands
            arrived.append(([self.place(v, r) if v.type.is_tensor else self.scalars[v] for v, r in zip(values, op.results)], self.label))
            self.space.leave(region)
            self.say(f"br label %{end}")
        self.start(end)
        for i, r in enumerate(op.results):
            kind = "ptr" if r.type.is_tensor else scalar_type(r.type.element)
            sources = [values[i] for values, _ in arrived]
            own = self.emit(f"phi {kind} " + ", ".join(f"[ {values[i]}, %{label} ]" for values, label in arrived))
            if r.type.is_tensor:
                self.stored[r] = own
                self.alias[own] = frozenset().union(*(self.alias[s] for s in sources))
            else:
                self.scalars[r] = own

    def for_loop(self, op: Operation) -> None:
        body = op.regions[0]
        low, high, step = (self.scalars[v] for v in op.operands[:3])
        kind = scalar_type(op.operands[0].type.element)
        carried = []
        for v, argument, r in zip(op.operands[3:], body.arguments[1:], op.results):
            if r.type.is_tensor:
                at = self.taken_over(v, r, op)
                if not at:
                    at = self.allocate(r)
                    self.copy(v, at)
                self.stored[argument] = self.stored[r] = at
                carried.append(at)
            else:
                carried.append("")
        before = self.label
        head, inside, end = self.new_label("for"), self.new_label("body"), self.new_label("end")
        index, following = self.name(), self.name()
        self.scalars[body.arguments[0]] = index
        phis = {}
        for argument, at in zip(body.arguments[1:], carried):
            if not at:
                phis[argument] = self.scalars[argument] = self.name()
        self.say(f"br label %{head}")
        self.start(head)
        slot = len(self.lines)
        more = self.emit(f"icmp slt {kind} {index}, {high}")
        self.say(f"br i1 {more}, label %{inside}, label %{end}")
        self.start(inside)
        last = self.block(body)
        values = [] if last is None else last.operands
        self.carry([(v, at) for v, at in zip(values, carried) if at])
        self.say(f"{following} = add {kind} {index}, {step}")
        lines = [f"  {index} = phi {kind} [ {low}, %{before} ], [ {following}, %{self.label} ]"]
        for v, argument, initial, r in zip(values, body.arguments[1:], op.operands[3:], op.results):
            if argument in phis:
                own = phis[argument]
                lines.append(
                    f"  {own} = phi {scalar_type(v.type.element)} [ {self.scalars[initial]}, %{before} ], [ {self.scalars[v]}, %{self.label} ]"
                )
                self.scalars[r] = own
        self.lines[slot:slot] = lines
        self.say(f"br label %{head}")
        self.space.leave(body)
        self.start(end)

    def taken_over(self, v: Value, result: Value, loop: Operation) -> str:
        """The array of a loop's initial value, if the loop may go on in it: nobody else reads the value, and it lives as long."""
        real = self.plain(v)
        at = self.stored.get(real, "")
        mine = at and self.alias[at] == {at} and real.owner is not None and self.home(real) is self.home(result)
        return at if mine and [user for user, _ in self.uses(real)] == [loop] else ""

    def carry(self, pairs: list[tuple[Value, str]]) -> None:
        """Copy what a loop's body yields to where the next iteration finds it."""
        places = []
        for v, to in pairs:
            at = self.stored.get(self.plain(v), "")
            if at and self.alias[at] == {to}:  # written in place
                at = to
            mixed = at and any(other in self.alias[at] for _, other in pairs if other != to)
            if mixed:  # it may stand where another value is about to be written
                aside = self.array(v.type, v.block or self.body)
                self.copy(v, aside)
                at = aside
            places.append(at)
        for (v, to), at in zip(pairs, places):
            if at == to:
                continue
            if at:
                self.move(at, to, v.type)
            else:
                self.copy(v, to)

    # ---- the workspace

    def array(self, kind: Type, block: Block) -> str:
        at = self.space.take(kind.lanes * BYTES[kind.element], block)
        own = self.emit(f"getelementptr inbounds i8, ptr %space, i64 {at}")
        self.alias[own] = frozenset((own,))
        return own

    def allocate(self, v: Value) -> str:
        return self.array(v.type, self.home(v))

    def home(self, v: Value) -> Block:
        """The outermost block that sees the value, under any name: those that a branch yields outlive it."""
        block = v.block if v.owner is None else v.owner.block
        assert block is not None
        for user, alias in self.uses(v):
            parent = user.block.parent
            if user.name == "scf.yield" and parent is not None and parent.name == "scf.if":
                seen = [self.home(r) for r, operand in zip(parent.results, user.operands) if operand is alias]
                block = min([block, *seen], key=lambda b: len(list(enclosing(b))))
        return block

    def uses(self, v: Value) -> Iterable[tuple[Operation, Value]]:
        """What uses a value, or another name of it."""
        for user in v.users:
            if user.name in ("tt.expand_dims", "tt.reshape"):
                yield from self.uses(user.results[0])
            else:
                yield user, v

    def needed_by(self, v: Value) -> Iterable[Operation]:
        """The operations that in the end read a value; broadcasts are among them, since they read it across lanes."""
        for user, _ in self.uses(v):
            if user.name == "tt.addptr":
                yield from self.needed_by(user.results[0])
            else:
                yield user

    def place(self, v: Value, result: Value) -> str:
        """Where a tensor that a branch yields stands, for one who is to outlive the branch."""
        real = self.plain(v)
        if real in self.stored:
            return self.stored[real]
        at = self.allocate(result)
        self.copy(v, at)
        return at

    def copy(self, v: Value, to: str) -> None:
        """Write a tensor to an array."""
        real = self.plain(v)
        if real in self.stored:
            self.move(self.stored[real], to, v.type)
            return
        lanes = Lanes(self, v.type.lanes)

        def body(k: str) -> None:
            lanes.begin(k)
            lanes.write(lanes.vector(v), v.type.element, to)

        self.loop(v.type.lanes, body, lanes.width)

    def move(self, at: str, to: str, kind: Type) -> None:
        size = kind.lanes * BYTES[kind.element]
        self.intrinsic("llvm.memmove", "void", [("ptr", to), ("ptr", at), ("i64", str(size)), ("i1", "false")], "p0.p0.i64")

    def at(self, v: Value, block: Block) -> str:
        """Where a tensor stands, for an operation of this block; what stands nowhere is written now."""
        real = self.plain(v)
        self.flush_with(real)
        if real in self.stored:
            return self.stored[real]
        aside = self.array(v.type, block)
        self.copy(v, aside)
        return aside

    # ---- what a tensor is

    def plain(self, v: Value) -> Value:
        """A value under its first name."""
        while v.owner is not None and v.owner.name in ("tt.expand_dims", "tt.reshape"):
            v = v.owner.operands[0]
        return v

    def look(self, v: Value) -> Value | Uniform | Range | Spread:
        v = self.plain(v)
        op = v.owner
        if op is None or v in self.stored:
            return v
        if op.name == "tt.splat":
            return Uniform(self.scalars[op.operands[0]])
        if op.name == "arith.constant":
            return Uniform(literal(op))
        if op.name == "tt.make_range":
            found = re.search(r"start = (\d+)", op.text)
            assert found is not None
            return Range(int(found[1]))
        if op.name == "tt.broadcast":
            source = op.operands[0]
            below = self.look(source)
            if isinstance(below, Uniform) or source.type.lanes == v.type.lanes:
                return below
            return Spread(source, source.type.shape, v.type.shape)
        return v

    # ---- groups

    def gather(self, op: Operation) -> None:
        """Put an operation into the group of its lanes, once all that it needs is there or in the workspace."""
        kind = op.results[0].type if op.results and op.results[0].type.is_tensor else op.operands[0].type
        group = self.groups.setdefault(kind.lanes, Group(kind.lanes))
        for v in op.operands:
            if v.type.is_tensor:
                self.require(v, group)
        if self.groups.get(kind.lanes) is not group:  # what it needed ended the group
            group = self.groups.setdefault(kind.lanes, Group(kind.lanes))
        reads = self.origins(op.operands[0]) if op.name == "tt.load" else frozenset()
        writes = self.origins(op.operands[0]) if op.name in ("tt.store", "tt.atomic_rmw") else frozenset()
        if reads or writes:
            for other in list(self.groups.values()):
                if other is not group and (other.writes & (reads | writes) or other.reads & writes):
                    self.flush(other)
            if group.writes & (reads | writes) or group.reads & writes:
                self.flush(group)
                group = self.groups.setdefault(kind.lanes, Group(kind.lanes))
        group.operations.append(op)
        group.members.update(op.results)
        group.reads |= reads
        group.writes |= writes

    def require(self, v: Value, group: Group) -> None:
        real = self.plain(v)
        if v.type.element == "ptr":
            op = real.owner
            if op is None or op.name not in ("tt.addptr", "tt.splat"):
                raise UnknownOperation(f"a tensor of pointers made by {op.name if op else 'an argument'}")
            for operand in op.operands:
                if operand.type.is_tensor:
                    self.require(operand, group)
            return
        seen = self.look(v)
        if isinstance(seen, Spread):
            self.flush_with(self.plain(seen.source))
        elif isinstance(seen, Value) and seen not in self.stored and seen not in group.members:
            self.flush_with(seen)

    def spread_pointers(self, op: Operation) -> None:
        """Make a broadcast of pointers the sum of a pointer and broadcast offsets."""
        source, kind = op.operands[0], op.results[0].type
        made = self.plain(source).owner
        if made is None or made.name not in ("tt.addptr", "tt.splat"):
            raise UnknownOperation(f"a broadcast of pointers made by {made.name if made else 'an argument'}")
        if made.name == "tt.splat":
            op.name, op.operands = "tt.splat", made.operands
            return
        parts = []
        for operand in made.operands:
            element = operand.type.element
            flat = self.derived("tt.reshape", operand, Type(element, source.type.shape, operand.type.pointee), op.block)
            parts.append(self.derived("tt.broadcast", flat, Type(element, kind.shape, operand.type.pointee), op.block))
        op.name, op.operands = "tt.addptr", parts
        for part in parts:
            part.users.append(op)
        self.spread_pointers(parts[0].owner)  # type: ignore[arg-type]

    def derived(self, name: str, operand: Value, kind: Type, block: Block) -> Value:
        op = Operation(name, [operand], [], block)
        op.results = [Value(kind, op, block)]
        operand.users.append(op)
        return op.results[0]

    def origins(self, v: Value) -> frozenset[Value]:
        """The arguments of the kernel that a pointer may come from."""
        if v not in self.roots:
            self.roots[v] = frozenset()  # while it is being found out, a loop's argument adds nothing to itself
            op = v.owner
            sources: list[Value] = []
            if op is None and v.block is self.body:
                self.roots[v] = frozenset((v,))
                return self.roots[v]
            if op is None:
                assert v.block is not None and v.block.parent is not None
                i = v.block.arguments.index(v)
                sources = [v.block.parent.operands[2 + i], v.block.operations[-1].operands[i - 1]]
            elif op.name == "scf.if":
                sources = [r.operations[-1].operands[op.results.index(v)] for r in op.regions]
            elif op.name == "scf.for":
                i = op.results.index(v)
                sources = [op.operands[3 + i], op.regions[0].operations[-1].operands[i]]
            else:
                sources = [o for o in op.operands if o.type.element == "ptr"]
            self.roots[v] = frozenset().union(*(self.origins(s) for s in sources))
        return self.roots[v]

    def flush_all(self) -> None:
        for group in list(self.groups.values()):
            self.flush(group)

    def flush_with(self, v: Value) -> None:
        """End the group that makes a value, if one does."""
        for group in list(self.groups.values()):
            if v in group.members:
                self.flush(group)

    def flush(self, group: Group) -> None:
        """Make the loop of a group."""
        if self.groups.get(group.lanes) is group:
            del self.groups[group.lanes]
        if not group.operations:
            return
        inside = set(group.operations)
        kept = [v for op in group.operations for v in op.results if v.type.element != "ptr" and any(user not in inside for user in self.needed_by(v))]
        places = {v: self.in_place(v, inside) or self.allocate(v) for v in kept}
        lanes = Lanes(self, group.lanes)

        def body(k: str) -> None:
            lanes.begin(k)
            for op in group.operations:
                lanes.operation(op)
            for v, to in places.items():
                lanes.write(lanes.vector(v), v.type.element, to)

        self.loop(group.lanes, body, lanes.width)
        self.stored.update(places)

    def in_place(self, v: Value, inside: set[Operation]) -> str:
        """Where a value can be written at once to where the next iteration of its loop expects it: nobody reads the old one later."""
        old = self.destined(v)
        if old is None:
            return ""
        to = self.stored[old]
        for name, place in self.stored.items():
            if to in self.alias[place] and name is not self.result_of(old) and self.read_later(name, old, inside, v):
                return ""
        return to

    def destined(self, v: Value) -> Value | None:
        """The argument of a loop that a value becomes in the next iteration, straight or out of branches."""
        ends = [(user, alias) for user, alias in self.uses(v) if user.name == "scf.yield"]
        if len(ends) != 1:
            return None
        (end, alias), parent = ends[0], ends[0][0].block.parent
        at = end.operands.index(alias)
        if parent is None or self.plain(v).owner is None or self.plain(v).owner.block is not end.block:  # type: ignore[union-attr]
            return None
        return end.block.arguments[1 + at] if parent.name == "scf.for" else self.destined(parent.results[at])

    def result_of(self, argument: Value) -> Value | None:
        """What a loop's argument is after the loop."""
        assert argument.block is not None and argument.block.parent is not None
        return argument.block.parent.results[argument.block.arguments.index(argument) - 1]

    def read_later(self, name: Value, old: Value, inside: set[Operation], v: Value) -> bool:
        """Whether a name of the old value is read after `v` is written, or by other lanes while it is."""
        for user, alias in self.uses(name):
            if user.name == "tt.addptr":
                return True
            if old.block is not None and user is old.block.parent:
                continue  # the loop went on in the array of its initial value
            if user.name == "scf.yield":
                parent = user.block.parent
                at = user.operands.index(alias)
                if parent is not None and parent.name == "scf.if":
                    if parent in self.done or self.passed_on(parent.results[at]) is old:
                        continue  # its new name is looked at too; or the other branch leaves it as it is
                elif user.block is old.block and user.block.arguments[1 + at] is old:
                    continue
                return True
            if user.name == "tt.broadcast" or (user not in inside and user not in self.done and not self.apart(user, v)):
                return True
        return False

    def passed_on(self, result: Value) -> Value | None:
        """The loop's argument that a branch's result becomes, if that is all that it is used for."""
        return self.destined(result) if len(list(self.uses(result))) == 1 else None

    def apart(self, user: Operation, v: Value) -> bool:
        """Whether an operation is in the branch not taken where `v` is made."""
        assert v.owner is not None
        mine = {block.parent: block for block in enclosing(v.owner.block) if block.parent is not None}
        return any(
            block.parent in mine and mine[block.parent] is not block and block.parent.name == "scf.if"  # type: ignore[union-attr]
            for block in enclosing(user.block)
            if block.parent is not None
        )

    # ---- scalars

    def scalar(self, op: Operation) -> None:
        if op.name == "arith.constant":
            self.scalars[op.results[0]] = literal(op)
            return
        arguments = [self.scalars[v] for v in op.operands]
        if op.name == "tt.get_program_id":
            if not re.match(r"tt\.get_program_id x\b", op.text):
                raise UnknownOperation(f"the operation {op.text.partition(' :')[0]}: launches have one axis")
            self.scalars[op.results[0]] = "%program"
        elif op.name == "tt.addptr":
            kind, index = scalar_type(op.operands[0].type.pointee), scalar_type(op.operands[1].type.element)
            own = self.emit(f"getelementptr {kind}, ptr {arguments[0]}, {index} {arguments[1]}")
            self.scalars[op.results[0]] = own
        elif op.name == "tt.load":
            origins = self.origins(op.operands[0])
            for group in list(self.groups.values()):
                if group.writes & origins:
                    self.flush(group)
            if len(arguments) > 1:
                raise UnknownOperation("a scalar load with a mask")
            self.scalars[op.results[0]] = self.emit(f"load {scalar_type(op.results[0].type.element)}, ptr {arguments[0]}")
        elif op.name in ("tt.store", "tt.atomic_rmw"):
            self.flush_all()
            self.when(arguments[2] if len(arguments) > 2 else "1", lambda: self.write_scalar(op, arguments))
        else:
            self.scalars[op.results[0]] = self.compute(op, arguments, scalar_type, "")

    def when(self, condition: str, body: Callable[[], None]) -> None:
        if condition == "1":
            body()
            return
        inside, end = self.new_label("when"), self.new_label("end")
        self.say(f"br i1 {condition}, label %{inside}, label %{end}")
        self.start(inside)
        body()
        self.say(f"br label %{end}")
        self.start(end)

    def write_scalar(self, op: Operation, arguments: list[str]) -> None:
        kind = scalar_type(op.operands[1].type.element)
        if op.name == "tt.store":
            self.say(f"store {kind} {arguments[1]}, ptr {arguments[0]}")
        else:
            self.emit(f"atomicrmw {self.atomic(op)} ptr {arguments[0]}, {kind} {arguments[1]} monotonic")

    def atomic(self, op: Operation) -> str:
        if any(v.users for v in op.results):
            raise UnknownOperation("an atomic operation whose result is used")
        found = re.match(r"tt\.atomic_rmw (\w+)", op.text)
        assert found is not None
        return found[1]

    def compute(self, op: Operation, a: list[str], typed: Callable[[str], str], vector: str) -> str:
        """One operation on scalars or vectors; `vector` is "" or, of the intrinsics' names, the part before the type."""
        kinds = [v.type.element for v in op.operands]
        kind, to = typed(kinds[0]), typed(op.results[0].type.element)
        name = op.name
        if name in BINARY:
            return self.emit(f"{BINARY[name]} {kind} {a[0]}, {a[1]}")
        if name in CHOICE:
            first = self.emit(f"{CHOICE[name]} {kind} {a[0]}, {a[1]}")
            return self.emit(f"select {typed('i1')} {first}, {kind} {a[0]}, {kind} {a[1]}")
        if name in ("arith.cmpi", "arith.cmpf"):
            predicate = op.text.split()[1].rstrip(",")
            return self.emit(f"{'icmp' if name == 'arith.cmpi' else 'fcmp'} {predicate} {kind} {a[0]}, {a[1]}")
        if name == "arith.select":
            return self.emit(f"select {kind} {a[0]}, {to} {a[1]}, {to} {a[2]}")
        if name in CAST:
            return self.emit(f"{CAST[name]} {kind} {a[0]} to {to}") if kind != to else a[0]
        if name in INTRINSIC:
            return self.intrinsic(INTRINSIC[name], to, [(kind, a[0])], vector + kinds[0])
        if name == "math.absi":
            return self.intrinsic("llvm.abs", to, [(kind, a[0]), ("i1", "false")], vector + kinds[0])
        if name == "arith.negf":
            return self.emit(f"fneg {kind} {a[0]}")
        if name == "tt.mulhiui":
            wide = typed("i64")
            x, y = (self.emit(f"zext {kind} {v} to {wide}") for v in a)
            product = self.emit(f"mul {wide} {x}, {y}")
            shift = "32" if not vector else "<" + ", ".join(["i64 32"] * int(vector[1:])) + ">"
            return self.emit(f"trunc {wide} {self.emit(f'lshr {wide} {product}, {shift}')} to {kind}")
        if name == "arith.extf":
            return self.widen(kinds[0], op.results[0].type.element, a[0], typed)
        if name in ("arith.truncf", "tt.fp_to_fp"):
            return self.narrow(kinds[0], op.results[0].type.element, a[0], typed, vector)
        raise UnknownOperation(f"the operation {name}")

    def widen(self, kind: str, to: str, a: str, typed: Callable[[str], str]) -> str:
        if kind != "bf16":
            return self.emit(f"fpext {typed(kind)} {a} to {typed(to)}")
        wide = self.emit(f"zext {typed('i16')} {a} to {typed('i32')}")
        return self.emit(f"bitcast {typed('i32')} {self.shifted('shl', wide, typed)} to {typed('f32')}")

    def shifted(self, how: str, a: str, typed: Callable[[str], str], by: int = 16) -> str:
        return self.emit(f"{how} {typed('i32')} {a}, {self.filled(by, typed)}")

    def filled(self, value: int, typed: Callable[[str], str]) -> str:
        found = re.match(r"<(\d+) x", typed("i32"))
        return str(value) if not found else "<" + ", ".join([f"i32 {value}"] * int(found[1])) + ">"

    def narrow(self, kind: str, to: str, a: str, typed: Callable[[str], str], vector: str) -> str:
        """To a shorter float, to the nearest, ties to even. bfloat16 has no instruction: its halves are those of the float32."""
        if to != "bf16":
            return self.emit(f"fptrunc {typed(kind)} {a} to {typed(to)}")
        i32 = typed("i32")
        bits = self.emit(f"bitcast {typed('f32')} {a} to {i32}")
        odd = self.emit(f"and {i32} {self.shifted('lshr', bits, typed)}, {self.filled(1, typed)}")
        up = self.emit(f"add {i32} {self.emit(f'add {i32} {bits}, {self.filled(0x7FFF, typed)}')}, {odd}")
        return self.emit(f"trunc {i32} {self.shifted('lshr', up, typed)} to {typed('i16')}")

    # ---- between lanes

    def across(self, op: Operation) -> None:
        sources = [self.at(v, op.block) for v in op.operands]
        targets = []
        for r in op.results:
            if r.type.is_tensor:
                self.stored[r] = self.allocate(r)
                targets.append(self.stored[r])
        kind = op.operands[0].type
        if op.name in ("tt.reduce", "tt.scan"):
            self.fold(op, sources, targets)
        elif op.name == "tt.histogram":
            self.histogram(op, sources[0], targets[0])
        elif op.name == "tt.split":
            self.loop(kind.lanes // 2, lambda i: self.split(i, kind.element, sources[0], targets))
        elif op.name == "tt.join":
            self.loop(kind.lanes, lambda i: self.join(i, kind.element, sources, targets[0]))
        else:
            self.transpose(op, sources[0], targets[0])

    def element(self, base: str, index: str, kind: str) -> str:
        """The address of one element of an array; booleans take a byte."""
        return self.emit(f"getelementptr inbounds {'i8' if kind == 'i1' else scalar_type(kind)}, ptr {base}, i64 {index}")

    def read(self, base: str, index: str, kind: str) -> str:
        at = self.element(base, index, kind)
        if kind == "i1":
            return self.emit(f"trunc i8 {self.emit(f'load i8, ptr {at}')} to i1")
        return self.emit(f"load {scalar_type(kind)}, ptr {at}")

    def put(self, value: str, base: str, index: str, kind: str) -> None:
        at = self.element(base, index, kind)
        if kind == "i1":
            self.say(f"store i8 {self.emit(f'zext i1 {value} to i8')}, ptr {at}")
        else:
            self.say(f"store {scalar_type(kind)} {value}, ptr {at}")

    def sum(self, a: str, b: str) -> str:
        return self.emit(f"add i64 {a}, {b}")

    def times(self, a: str, b: int) -> str:
        return self.emit(f"mul i64 {a}, {b}")

    def split(self, i: str, kind: str, source: str, targets: list[str]) -> None:
        twice = self.times(i, 2)
        self.put(self.read(source, twice, kind), targets[0], i, kind)
        self.put(self.read(source, self.sum(twice, "1"), kind), targets[1], i, kind)

    def join(self, i: str, kind: str, sources: list[str], target: str) -> None:
        twice = self.times(i, 2)
        self.put(self.read(sources[0], i, kind), target, twice, kind)
        self.put(self.read(sources[1], i, kind), target, self.sum(twice, "1"), kind)

    def transpose(self, op: Operation, source: str, target: str) -> None:
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
                offset = self.sum(offset, self.times(self.emit(f"urem i64 {rest}, {size}"), strides[d]))
                rest = self.emit(f"udiv i64 {rest}, {size}")
            first = self.times(o, shape[order[-1]])

            def inner(i: str) -> None:
                value = self.read(source, self.sum(offset, self.times(i, strides[order[-1]])), kind)
                self.put(value, target, self.sum(first, i), kind)

            self.loop(shape[order[-1]], inner)

        self.loop(int(np.prod(outer, dtype=np.int64)), body)

    def histogram(self, op: Operation, source: str, target: str) -> None:
        kind, bins = op.operands[0].type, op.results[0].type
        self.intrinsic(
            "llvm.memset", "void", [("ptr", target), ("i8", "0"), ("i64", str(bins.lanes * BYTES[bins.element])), ("i1", "false")], "p0.i64"
        )

        def body(i: str) -> None:
            bin_ = self.emit(f"sext {scalar_type(kind.element)} {self.read(source, i, kind.element)} to i64")
            count = self.read(target, bin_, bins.element)
            self.put(self.emit(f"add {scalar_type(bins.element)} {count}, 1"), target, bin_, bins.element)

        self.loop(kind.lanes, body)

    def fold(self, op: Operation, sources: list[str], targets: list[str]) -> None:
        """A reduction or a running one along an axis, in order."""
        found = re.search(r"axis = (\d+)", op.text)
        if found is None or len(sources) != 1 or "reverse = true" in op.text:
            raise UnknownOperation(f"the form of {op.text!r}")
        axis, kind = int(found[1]), op.operands[0].type
        length, element = kind.shape[axis], kind.element
        inner = int(np.prod(kind.shape[axis + 1 :], dtype=np.int64))

        def row(i: str) -> None:
            first = self.emit(f"udiv i64 {i}, {inner}")
            start = self.sum(self.times(first, length * inner), self.emit(f"urem i64 {i}, {inner}"))
            value = self.read(sources[0], start, element)
            if op.name == "tt.scan":
                self.put(value, targets[0], start, element)
            total = self.folded(op, sources[0], targets, value, start, inner, length)
            if op.name == "tt.reduce":
                if targets:
                    self.put(total, targets[0], i, element)
                else:
                    self.scalars[op.results[0]] = total

        self.loop(kind.lanes // length, row)

    def folded(self, op: Operation, source: str, targets: list[str], value: str, start: str, stride: int, length: int) -> str:
        """The fold of one row from its first value on."""
        if length == 1:
            return value
        element = op.operands[0].type.element
        head, end, index, following, total = self.new_label("fold"), self.new_label("after"), self.name(), self.name(), self.name()
        before = self.label
        self.say(f"br label %{head}")
        self.start(head)
        slot = len(self.lines)
        at = self.sum(start, self.times(index, stride))
        both = dict(zip(op.regions[0].arguments, (total, self.read(source, at, element))))
        for inner in op.regions[0].operations[:-1]:
            both[inner.results[0]] = self.compute(inner, [both.get(v) or self.scalars[v] for v in inner.operands], scalar_type, "")
        result = both[op.regions[0].operations[-1].operands[0]]
        if op.name == "tt.scan":
            self.put(result, targets[0], at, element)
        self.say(f"{following} = add i64 {index}, 1")
        more = self.emit(f"icmp ult i64 {following}, {length}")
        self.lines[slot:slot] = [
            f"  {index} = phi i64 [ 1, %{before} ], [ {following}, %{self.label} ]",
            f"  {total} = phi {scalar_type(element)} [ {value}, %{before} ], [ {result}, %{self.label} ]",
        ]
        self.say(f"br i1 {more}, label %{head}, label %{end}")
        self.start(end)
        return result

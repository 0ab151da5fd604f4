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
from dataclasses import dataclass, field

from .across import ACROSS, across
from .arithmetic import compute
from .lanes import Lanes
from .names import apart, destined, home, needed_by, passed_on, plain, result_of, uses
from .text import Text
from .ttir import Block, Operation, Type, UnknownOperation, Value
from .values import BYTES, VIRTUAL, Range, Spread, Uniform, literal, scalar_type

LINE = 64  # bytes: where arrays of the workspace begin


def lower(arguments: list[Value], body: Block) -> tuple[str, int]:
    """A module with `run(arguments, workspace, begin, end)`, which runs a range of programs, and the bytes of workspace it needs.

    `arguments` points to one 64-bit word per argument of the kernel, then to how many programs the grid has along x and y.
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


class Lowering(Text):
    def __init__(self, arguments: list[Value], body: Block) -> None:
        super().__init__()
        self.arguments, self.body = arguments, body
        self.scalars: dict[Value, str] = {}
        self.stored: dict[Value, str] = {}  # where a tensor stands
        self.alias: dict[str, frozenset[str]] = {}  # of a pointer to a tensor, the arrays that it may be
        self.groups: dict[int, Group] = {}
        self.space = Workspace()
        self.done: set[Operation] = set()
        self.roots: dict[Value, frozenset[Value]] = {}

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
        for i, size in enumerate(("wide", "high"), start=len(self.arguments)):
            loads.append(f"  %p{i} = getelementptr i64, ptr %arguments, i64 {i}\n  %{size} = load i32, ptr %p{i}")
        indices = ", ".join(f"i32 %{axis}" for axis in "xyz")
        text = (
            "\n".join(sorted(self.declared))
            + f"\n\ndefine internal void @program({parameters}, ptr noalias %space, {indices}) {{\nentry:\n{body}\n  ret void\n}}\n\n"
            + "define void @run(ptr %arguments, ptr noalias %space, i32 %begin, i32 %end) {\nentry:\n"
            + "\n".join(loads)
            + "\n  br label %next\nnext:\n  %program = phi i32 [ %begin, %entry ], [ %following, %next ]\n"
            + "  %x = urem i32 %program, %wide\n  %rows = udiv i32 %program, %wide\n  %y = urem i32 %rows, %high\n  %z = udiv i32 %rows, %high\n"
            + f"  call void @program({', '.join(passed)}, ptr %space, {indices})\n"
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
            across(self, op)
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
        real = plain(v)
        at = self.stored.get(real, "")
        mine = at and self.alias[at] == {at} and real.owner is not None and home(real) is home(result)
        return at if mine and [user for user, _ in uses(real)] == [loop] else ""

    def carry(self, pairs: list[tuple[Value, str]]) -> None:
        """Copy what a loop's body yields to where the next iteration finds it."""
        places = []
        for v, to in pairs:
            at = self.stored.get(plain(v), "")
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
        return self.array(v.type, home(v))

    def place(self, v: Value, result: Value) -> str:
        """Where a tensor that a branch yields stands, for one who is to outlive the branch."""
        real = plain(v)
        if real in self.stored:
            return self.stored[real]
        at = self.allocate(result)
        self.copy(v, at)
        return at

    def copy(self, v: Value, to: str) -> None:
        """Write a tensor to an array."""
        real = plain(v)
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
        real = plain(v)
        self.flush_with(real)
        if real in self.stored:
            return self.stored[real]
        aside = self.array(v.type, block)
        self.copy(v, aside)
        return aside

    # ---- what a tensor is

    def look(self, v: Value) -> Value | Uniform | Range | Spread:
        v = plain(v)
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
        real = plain(v)
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
            self.flush_with(plain(seen.source))
        elif isinstance(seen, Value) and seen not in self.stored and seen not in group.members:
            self.flush_with(seen)

    def spread_pointers(self, op: Operation) -> None:
        """Make a broadcast of pointers the sum of a pointer and broadcast offsets."""
        source, kind = op.operands[0], op.results[0].type
        made = plain(source).owner
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
        kept = [v for op in group.operations for v in op.results if v.type.element != "ptr" and any(user not in inside for user in needed_by(v))]
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
        old = destined(v)
        if old is None:
            return ""
        to = self.stored[old]
        for name, place in self.stored.items():
            if to in self.alias[place] and name is not result_of(old) and self.read_later(name, old, inside, v):
                return ""
        return to

    def read_later(self, name: Value, old: Value, inside: set[Operation], v: Value) -> bool:
        """Whether a name of the old value is read after `v` is written, or by other lanes while it is."""
        for user, alias in uses(name):
            if user.name == "tt.addptr":
                return True
            if old.block is not None and user is old.block.parent:
                continue  # the loop went on in the array of its initial value
            if user.name == "scf.yield":
                parent = user.block.parent
                at = user.operands.index(alias)
                if parent is not None and parent.name == "scf.if":
                    if parent in self.done or passed_on(parent.results[at]) is old:
                        continue  # its new name is looked at too; or the other branch leaves it as it is
                elif user.block is old.block and user.block.arguments[1 + at] is old:
                    continue
                return True
            if user.name == "tt.broadcast" or (user not in inside and user not in self.done and not apart(user, v)):
                return True
        return False

    # ---- scalars

    def scalar(self, op: Operation) -> None:
        if op.name == "arith.constant":
            self.scalars[op.results[0]] = literal(op)
            return
        arguments = [self.scalars[v] for v in op.operands]
        if op.name == "tt.get_program_id":
            self.scalars[op.results[0]] = "%" + op.text.removeprefix("tt.get_program_id ")[0]
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
            self.scalars[op.results[0]] = compute(self, op, arguments, scalar_type, "")

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

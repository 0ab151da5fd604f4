"""The body of one loop of the lowering: operations on the WIDTH lanes from some lane on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .arithmetic import compute
from .names import plain
from .ttir import Operation, UnknownOperation, Value
from .values import BYTES, WIDTH, Range, Spread, Uniform, scalar_type, vector_type

if TYPE_CHECKING:
    from .lower import Lowering


class Lanes:
    """The values of WIDTH lanes from lane k on."""

    def __init__(self, lowering: Lowering, lanes: int) -> None:
        self.up, self.lanes, self.width = lowering, lanes, min(WIDTH, lanes)

    def begin(self, k: str) -> None:
        self.k = k
        self.values: dict[Value, str] = {}  # as vectors
        self.single: dict[Value, str] = {}  # those that are one scalar in all these lanes
        self.splats: dict[tuple[str, str], str] = {}
        self.flags: dict[str, str] = {}
        self.spreads: dict[tuple[Value, tuple[int, ...]], str] = {}
        self.made: set[Operation] = set()

    def typed(self, element: str) -> str:
        return vector_type(element, self.width)

    def splat(self, operand: str, element: str) -> str:
        kind = scalar_type(element)
        if not operand.startswith("%"):
            return "<" + ", ".join([f"{kind} {operand}"] * self.width) + ">"
        if (operand, kind) not in self.splats:
            one = self.up.emit(f"insertelement {self.typed(element)} poison, {kind} {operand}, i64 0")
            zeros = f"<{self.width} x i32> zeroinitializer"
            self.splats[operand, kind] = self.up.emit(f"shufflevector {self.typed(element)} {one}, {self.typed(element)} poison, {zeros}")
        return self.splats[operand, kind]

    def iota(self, element: str) -> str:
        return "<" + ", ".join(f"{element} {i}" for i in range(self.width)) + ">"

    def same(self, v: Value) -> str | None:
        """The scalar that a value is in all these lanes, if it is."""
        seen = self.up.look(v)
        if isinstance(seen, Uniform):
            return seen.operand
        if isinstance(seen, Value):
            return self.single.get(seen)
        if isinstance(seen, Spread) and seen.shape[-1] == 1 and seen.onto[-1] % self.width == 0:
            key = seen.source, seen.onto
            if key not in self.spreads:
                self.spreads[key] = self.element(seen, self.index(seen))
            return self.spreads[key]
        return None

    def vector(self, v: Value) -> str:
        """The value of these lanes."""
        one = self.same(v)
        element = v.type.element
        if one is not None:
            return self.splat(one, element)
        seen = self.up.look(v)
        if isinstance(seen, Range):
            return self.range(seen, self.k, element)
        if isinstance(seen, Spread):
            return self.spread(seen)
        assert isinstance(seen, Value)
        if seen not in self.values:
            self.values[seen] = self.read(self.up.stored[seen], self.k, element)
        return self.values[seen]

    def read(self, base: str, index: str, element: str) -> str:
        at = self.up.element(base, index, element)
        if element == "i1":
            return self.up.emit(f"trunc <{self.width} x i8> {self.up.emit(f'load <{self.width} x i8>, ptr {at}, align 1')} to {self.typed('i1')}")
        return self.up.emit(f"load {self.typed(element)}, ptr {at}, align {BYTES[element]}")

    def write(self, value: str, element: str, to: str) -> None:
        at = self.up.element(to, self.k, element)
        if element == "i1":
            value = self.up.emit(f"zext {self.typed('i1')} {value} to <{self.width} x i8>")
            self.up.say(f"store <{self.width} x i8> {value}, ptr {at}, align 1")
        else:
            self.up.say(f"store {self.typed(element)} {value}, ptr {at}, align {BYTES[element]}")

    def index(self, spread: Spread, lane: str | None = None) -> str:
        """Which element of its source a lane of a spread array is."""
        rest, out, stride = lane or self.k, "0", 1
        strides = []
        for size in reversed(spread.shape):
            strides.append(stride if size > 1 else 0)
            stride *= size
        for size, step in zip(reversed(spread.onto), strides):
            if step:
                out = self.up.sum(out, self.up.times(self.up.emit(f"urem i64 {rest}, {size}"), step))
            rest = self.up.emit(f"udiv i64 {rest}, {size}")
        return out

    def spread(self, seen: Spread) -> str:
        key = seen.source, seen.onto
        if key not in self.spreads:
            element, below = seen.source.type.element, self.up.look(seen.source)
            if seen.onto[-1] % self.width == 0 and seen.shape[-1] == seen.onto[-1] and not isinstance(below, Spread):
                if isinstance(below, Range):
                    self.spreads[key] = self.range(below, self.index(seen), element)
                else:
                    self.spreads[key] = self.read(self.up.stored[below], self.index(seen), element)  # type: ignore[index]
            else:
                out = "poison"
                for i in range(self.width):
                    one = self.element(seen, self.index(seen, self.up.sum(self.k, str(i))))
                    out = self.up.emit(f"insertelement {self.typed(element)} {out}, {scalar_type(element)} {one}, i64 {i}")
                self.spreads[key] = out
        return self.spreads[key]

    def element(self, seen: Spread, index: str) -> str:
        """One element of what a spread array repeats."""
        below, element = self.up.look(seen.source), seen.source.type.element
        if isinstance(below, Range):
            return self.up.emit(f"add {element} {self.up.emit(f'trunc i64 {index} to {element}')}, {below.start}")
        if not isinstance(below, Value):
            raise UnknownOperation("a broadcast of a broadcast")
        return self.up.read(self.up.stored[below], index, element)

    def range(self, seen: Range, index: str, element: str) -> str:
        first = self.up.emit(f"add {element} {self.up.emit(f'trunc i64 {index} to {element}')}, {seen.start}")
        return self.up.emit(f"add {self.typed(element)} {self.splat(first, element)}, {self.iota(element)}")

    # ---- operations

    def operation(self, op: Operation) -> None:
        self.made.add(op)
        if op.name == "tt.load":
            self.load(op)
        elif op.name == "tt.store":
            self.store(op)
        elif op.name == "tt.atomic_rmw":
            self.atomic(op)
        else:
            ones = [self.same(v) if v.type.is_tensor else self.up.scalars[v] for v in op.operands]
            if all(one is not None for one in ones):
                self.single[op.results[0]] = compute(self.up, op, [str(one) for one in ones], scalar_type, "")
            else:
                vectors = [self.vector(v) if v.type.is_tensor else self.splat(self.up.scalars[v], v.type.element) for v in op.operands]
                self.values[op.results[0]] = compute(self.up, op, vectors, self.typed, f"v{self.width}")

    def offset(self, v: Value) -> tuple[str, list[tuple[str, str]]]:
        """An offset as a vector, or "", and scalars to add, each with its type."""
        one, kind = self.same(v), v.type.element
        if one is not None:
            return "", [(kind, one)]
        real = plain(v)
        if real.owner in self.made and real.owner is not None and real.owner.name == "arith.addi":
            a, b = real.owner.operands
            for constant, other in ((a, b), (b, a)):
                one = self.same(constant)
                if one is not None:
                    vector, scalars = self.offset(other)
                    return vector, [*scalars, (kind, one)]
        return self.vector(v), []

    def pointer(self, v: Value) -> tuple[str, str, str]:
        """A tensor of pointers as one pointer, and a vector of offsets from it with its type, or "" for none."""
        op = plain(v).owner
        assert op is not None
        if op.name == "tt.splat":
            return self.up.scalars[op.operands[0]], "", "i32"
        base, before, before_kind = self.pointer(op.operands[0])
        by = op.operands[1]
        vector, scalars = self.offset(by)
        for kind, one in scalars:
            base = self.up.emit(f"getelementptr {scalar_type(v.type.pointee)}, ptr {base}, {kind} {one}")
        if not before or not vector:
            return base, vector or before, by.type.element if vector else before_kind
        wide = [
            a if k == "i64" else self.up.emit(f"sext {self.typed(k)} {a} to {self.typed('i64')}")
            for a, k in ((before, before_kind), (vector, by.type.element))
        ]
        return base, self.up.emit(f"add {self.typed('i64')} {wide[0]}, {wide[1]}"), "i64"

    def neighbours(self, offsets: str, kind: str) -> str:
        """Whether the offsets follow each other."""
        if offsets not in self.flags:
            first = self.splat(self.up.emit(f"extractelement {self.typed(kind)} {offsets}, i64 0"), kind)
            line = self.up.emit(f"add {self.typed(kind)} {first}, {self.iota(kind)}")
            self.flags[offsets] = self.all(self.up.emit(f"icmp eq {self.typed(kind)} {offsets}, {line}"))
        return self.flags[offsets]

    def all(self, condition: str) -> str:
        bits = self.up.emit(f"bitcast {self.typed('i1')} {condition} to i{self.width}")
        return self.up.emit(f"icmp eq i{self.width} {bits}, -1")

    def load(self, op: Operation) -> None:
        up, result = self.up, op.results[0]
        base, offsets, kind = self.pointer(op.operands[0])
        element = result.type.element
        mask = self.vector(op.operands[1]) if len(op.operands) > 1 else ""
        if not offsets and not mask:
            self.single[result] = up.emit(f"load {scalar_type(element)}, ptr {base}")
            return
        offsets = offsets or self.splat("0", kind)
        if mask:
            other = self.vector(op.operands[2]) if len(op.operands) > 2 else "zeroinitializer"
            self.values[result] = self.collect(base, offsets, kind, element, mask, other)
            return
        fast, slow, end = up.new_label("near"), up.new_label("far"), up.new_label("loaded")
        up.say(f"br i1 {self.neighbours(offsets, kind)}, label %{fast}, label %{slow}")
        up.start(fast)
        first = up.emit(f"extractelement {self.typed(kind)} {offsets}, i64 0")
        at = up.emit(f"getelementptr {scalar_type(element)}, ptr {base}, {kind} {first}")
        near = up.emit(f"load {self.typed(element)}, ptr {at}, align {BYTES[element]}")
        up.say(f"br label %{end}")
        up.start(slow)
        far = "poison"
        for i in range(self.width):
            one = up.emit(f"extractelement {self.typed(kind)} {offsets}, i64 {i}")
            at = up.emit(f"getelementptr {scalar_type(element)}, ptr {base}, {kind} {one}")
            far = up.emit(
                f"insertelement {self.typed(element)} {far}, {scalar_type(element)} {up.emit(f'load {scalar_type(element)}, ptr {at}')}, i64 {i}"
            )
        up.say(f"br label %{end}")
        up.start(end)
        self.values[result] = up.emit(f"phi {self.typed(element)} [ {near}, %{fast} ], [ {far}, %{slow} ]")

    def addresses(self, base: str, offsets: str, kind: str, element: str) -> str:
        return self.up.emit(f"getelementptr {scalar_type(element)}, ptr {base}, {self.typed(kind)} {offsets}")

    def collect(self, base: str, offsets: str, kind: str, element: str, mask: str, other: str) -> str:
        at, typed = self.addresses(base, offsets, kind, element), self.typed(element)
        suffix = f"v{self.width}{'i16' if element == 'bf16' else element}.v{self.width}p0"
        arguments = [(f"<{self.width} x ptr>", at), ("i32", str(BYTES[element])), (self.typed("i1"), mask), (typed, other)]
        return self.up.intrinsic("llvm.masked.gather", typed, arguments, suffix)

    def store(self, op: Operation) -> None:
        up = self.up
        base, offsets, kind = self.pointer(op.operands[0])
        element, value = op.operands[1].type.element, self.vector(op.operands[1])
        mask = self.vector(op.operands[2]) if len(op.operands) > 2 else self.splat("1", "i1")
        offsets = offsets or self.splat("0", kind)
        near = up.emit(f"and i1 {self.neighbours(offsets, kind)}, {self.all(mask)}")
        fast, slow, end = up.new_label("near"), up.new_label("far"), up.new_label("stored")
        up.say(f"br i1 {near}, label %{fast}, label %{slow}")
        up.start(fast)
        first = up.emit(f"extractelement {self.typed(kind)} {offsets}, i64 0")
        at = up.emit(f"getelementptr {scalar_type(element)}, ptr {base}, {kind} {first}")
        up.say(f"store {self.typed(element)} {value}, ptr {at}, align {BYTES[element]}")
        up.say(f"br label %{end}")
        up.start(slow)
        for i in range(self.width):

            def one(i: int = i) -> None:
                offset = up.emit(f"extractelement {self.typed(kind)} {offsets}, i64 {i}")
                at = up.emit(f"getelementptr {scalar_type(element)}, ptr {base}, {kind} {offset}")
                up.say(f"store {scalar_type(element)} {up.emit(f'extractelement {self.typed(element)} {value}, i64 {i}')}, ptr {at}")

            up.when(up.emit(f"extractelement {self.typed('i1')} {mask}, i64 {i}"), one)
        up.say(f"br label %{end}")
        up.start(end)

    def atomic(self, op: Operation) -> None:
        up = self.up
        base, offsets, kind = self.pointer(op.operands[0])
        element, value, mask = op.operands[1].type.element, self.vector(op.operands[1]), self.vector(op.operands[2])
        offsets = offsets or self.splat("0", kind)
        for i in range(self.width):

            def one(i: int = i) -> None:
                offset = up.emit(f"extractelement {self.typed(kind)} {offsets}, i64 {i}")
                at = up.emit(f"getelementptr {scalar_type(element)}, ptr {base}, {kind} {offset}")
                own = up.emit(f"extractelement {self.typed(element)} {value}, i64 {i}")
                up.emit(f"atomicrmw {up.atomic(op)} ptr {at}, {scalar_type(element)} {own} monotonic")

            up.when(up.emit(f"extractelement {self.typed('i1')} {mask}, i64 {i}"), one)

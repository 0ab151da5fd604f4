"""One operation on scalars or vectors, lane by lane."""

from __future__ import annotations

import re
from collections.abc import Callable

from .text import Text
from .ttir import Operation, UnknownOperation
from .values import BINARY, CAST, CHOICE, INTRINSIC


def compute(up: Text, op: Operation, a: list[str], typed: Callable[[str], str], vector: str) -> str:
    """One operation on scalars or vectors; `vector` is "" or, of the intrinsics' names, the part before the type."""
    kinds = [v.type.element for v in op.operands]
    kind, to = typed(kinds[0]), typed(op.results[0].type.element)
    name = op.name
    if name in BINARY:
        return up.emit(f"{BINARY[name]} {kind} {a[0]}, {a[1]}")
    if name in CHOICE:
        first = up.emit(f"{CHOICE[name]} {kind} {a[0]}, {a[1]}")
        return up.emit(f"select {typed('i1')} {first}, {kind} {a[0]}, {kind} {a[1]}")
    if name in ("arith.cmpi", "arith.cmpf"):
        predicate = op.text.split()[1].rstrip(",")
        return up.emit(f"{'icmp' if name == 'arith.cmpi' else 'fcmp'} {predicate} {kind} {a[0]}, {a[1]}")
    if name == "arith.select":
        return up.emit(f"select {kind} {a[0]}, {to} {a[1]}, {to} {a[2]}")
    if name in CAST:
        return up.emit(f"{CAST[name]} {kind} {a[0]} to {to}") if kind != to else a[0]
    if name in INTRINSIC:
        return up.intrinsic(INTRINSIC[name], to, [(kind, a[0])], vector + kinds[0])
    if name == "math.fma":
        return up.intrinsic("llvm.fma", to, [(kind, v) for v in a], vector + kinds[0])
    if name == "math.absi":
        return up.intrinsic("llvm.abs", to, [(kind, a[0]), ("i1", "false")], vector + kinds[0])
    if name == "arith.negf":
        return up.emit(f"fneg {kind} {a[0]}")
    if name == "tt.mulhiui":
        wide = typed("i64")
        x, y = (up.emit(f"zext {kind} {v} to {wide}") for v in a)
        product = up.emit(f"mul {wide} {x}, {y}")
        shift = "32" if not vector else "<" + ", ".join(["i64 32"] * int(vector[1:])) + ">"
        return up.emit(f"trunc {wide} {up.emit(f'lshr {wide} {product}, {shift}')} to {kind}")
    if name == "arith.extf":
        return widen(up, kinds[0], op.results[0].type.element, a[0], typed)
    if name in ("arith.truncf", "tt.fp_to_fp"):
        return narrow(up, kinds[0], op.results[0].type.element, a[0], typed, vector)
    raise UnknownOperation(f"the operation {name}")


def widen(up: Text, kind: str, to: str, a: str, typed: Callable[[str], str]) -> str:
    if kind != "bf16":
        return up.emit(f"fpext {typed(kind)} {a} to {typed(to)}")
    wide = up.emit(f"zext {typed('i16')} {a} to {typed('i32')}")
    return up.emit(f"bitcast {typed('i32')} {shifted(up, 'shl', wide, typed)} to {typed('f32')}")


def shifted(up: Text, how: str, a: str, typed: Callable[[str], str], by: int = 16) -> str:
    return up.emit(f"{how} {typed('i32')} {a}, {filled(by, typed)}")


def filled(value: int, typed: Callable[[str], str]) -> str:
    found = re.match(r"<(\d+) x", typed("i32"))
    return str(value) if not found else "<" + ", ".join([f"i32 {value}"] * int(found[1])) + ">"


def narrow(up: Text, kind: str, to: str, a: str, typed: Callable[[str], str], vector: str) -> str:
    """To a shorter float, to the nearest, ties to even. bfloat16 has no instruction: its halves are those of the float32."""
    if to != "bf16":
        return up.emit(f"fptrunc {typed(kind)} {a} to {typed(to)}")
    i32 = typed("i32")
    bits = up.emit(f"bitcast {typed('f32')} {a} to {i32}")
    odd = up.emit(f"and {i32} {shifted(up, 'lshr', bits, typed)}, {filled(1, typed)}")
    rounded = up.emit(f"add {i32} {up.emit(f'add {i32} {bits}, {filled(0x7FFF, typed)}')}, {odd}")
    return up.emit(f"trunc {i32} {shifted(up, 'lshr', rounded, typed)} to {typed('i16')}")

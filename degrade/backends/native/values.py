"""What both halves of the lowering share: LLVM's types and instructions by Triton's names, and what a tensor can be without being stored."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

import numpy as np

from .ttir import Operation, UnknownOperation, Value

WIDTH = 16  # lanes of one vector: two registers of AVX2 hold what takes 32 bits, and hide each other's latency
LLVM = {"f32": "float", "f64": "double", "f16": "half", "bf16": "i16"}
BYTES = {"i1": 1, "i8": 1, "i16": 2, "bf16": 2, "f16": 2, "i32": 4, "f32": 4, "i64": 8, "f64": 8, "ptr": 8}

BINARY = {
    "arith.addi": "add", "arith.subi": "sub", "arith.muli": "mul", "arith.andi": "and", "arith.ori": "or", "arith.xori": "xor",
    "arith.shli": "shl", "arith.shrsi": "ashr", "arith.shrui": "lshr", "arith.divsi": "sdiv", "arith.divui": "udiv",
    "arith.remsi": "srem", "arith.remui": "urem", "arith.addf": "fadd", "arith.subf": "fsub", "arith.mulf": "fmul",
    "arith.divf": "fdiv", "tt.precise_divf": "fdiv",
}  # fmt: skip
# Of two numbers the comparison picks one; if the first is not a number, the second.
CHOICE = {
    "arith.maxnumf": "fcmp ogt", "arith.minnumf": "fcmp olt", "arith.maximumf": "fcmp ogt", "arith.minimumf": "fcmp olt",
    "arith.maxsi": "icmp sgt", "arith.minsi": "icmp slt", "arith.maxui": "icmp ugt", "arith.minui": "icmp ult",
}  # fmt: skip
CAST = {
    "arith.extsi": "sext", "arith.extui": "zext", "arith.trunci": "trunc", "arith.sitofp": "sitofp", "arith.uitofp": "uitofp",
    "arith.fptosi": "fptosi", "arith.fptoui": "fptoui", "tt.bitcast": "bitcast", "arith.bitcast": "bitcast",
}  # fmt: skip
INTRINSIC = {"math.floor": "llvm.floor", "math.ceil": "llvm.ceil", "math.absf": "llvm.fabs", "math.sqrt": "llvm.sqrt", "tt.precise_sqrt": "llvm.sqrt"}
VIRTUAL = {"tt.splat", "tt.make_range", "tt.expand_dims", "tt.reshape", "tt.broadcast", "tt.addptr"}


def scalar_type(element: str) -> str:
    return LLVM.get(element, element)


def vector_type(element: str, width: int) -> str:
    return f"<{width} x {scalar_type(element)}>"


def float_literal(value: float, element: str) -> str:
    """The nearest value of that type; LLVM writes every float as the bits of a double."""
    exact = float(np.float32(value)) if element == "f32" else value
    return f"0x{struct.unpack('>Q', struct.pack('>d', exact))[0]:016X}"


def literal(op: Operation) -> str:
    """The value of an arith.constant as LLVM writes it."""
    element = op.results[0].type.element
    text = re.sub(r"^arith\.constant (?:\{.*\} )?", "", op.text).rpartition(" : ")[0] or op.text.split()[-1]
    text = re.sub(r"^dense<(.*)>$", r"\1", text)
    if element.startswith("i"):
        return {"true": "1", "false": "0"}.get(text, text)
    if text.startswith("0x") and element == "f32":
        return float_literal(struct.unpack(">f", int(text, 16).to_bytes(4, "big"))[0], element)
    if element not in ("f32", "f64") or text.startswith(("0x", "[", '"')):
        raise UnknownOperation(f"the constant {op.text!r}")
    return float_literal(float(text), element)


@dataclass
class Uniform:
    """The same scalar in every lane."""

    operand: str


@dataclass
class Range:
    """start, start + 1, …"""

    start: int


@dataclass
class Spread:
    """A smaller stored array repeated along some axes."""

    source: Value
    shape: tuple[int, ...]  # of the source, of the same rank
    onto: tuple[int, ...]

"""What compilers say of the kernels, with no GPU: `python -m benchmarks.static`.

Each op by itself is built ahead of time as an unmasked pipeline of uint8 images needs it, in frames as wide as whole tiles. Of each kernel:
registers and spilled bytes of a thread, shared memory, machine instructions, and how many bytes each global access moves. Times are
predicted for 256 images of 224×224, from the bytes that `explain` counts and from the instructions, as if every one ran once: those of
loops run more often, and those of branches that are not taken never. A report belongs to the version of Triton that made it.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from degrade import Pipeline
from degrade.backends.engine import SETTLE_REGISTERS, settle_warps
from degrade.backends.vocabulary import Vocabulary
from degrade.explain import Explanation
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS
from degrade.kernels.reach import reach
from degrade.kernels.settle import settle
from degrade.masks import find as find_mask
from degrade.op import Op
from degrade.ops import REGISTRY, find
from degrade.storing import write_whole

FOLDER = Path(__file__).parent / "results" / "static"
TARGETS = {"sm_80": ("cuda", 80, 32), "sm_90": ("cuda", 90, 32), "sm_100": ("cuda", 100, 32), "gfx942": ("hip", "gfx942", 64)}
POINTERS = {"uint8": "*u8", "float16": "*fp16", "bfloat16": "*bf16", "float32": "*fp32"}
INTEGERS = ("ints", "ids", "instructions", "regions", "items", "item_of", "windows")
BATCH, SIZE = 256, 224


class Card(NamedTuple):
    """What a card can do in a second: bytes that a copy moves, both directions counted, and instructions of a warp."""

    name: str
    bytes: float
    instructions: float


CARDS = {"sm_80": Card("A100", 1.7e12, 108 * 4 * 1.41e9), "sm_90": Card("H100", 3.0e12, 132 * 4 * 1.755e9)}


class Masks(NamedTuple):
    """What masks a pipeline may hold, and how."""

    families: tuple[str, ...] = ()
    folds: bool = False
    windowed: bool = False
    moves: bool = False


UNMASKED = Masks()


# ---- building ----------------------------------------------------------------------------------------------------------


def built(names: Sequence[str], target: str, dtype: str, masks: Masks = UNMASKED) -> Iterator[tuple[str, int, Any]]:
    """The kernels of a pipeline of these ops: what each is, its warps, and what Triton built."""
    ops = [find(name) for name in names]
    vocabulary = Vocabulary(tuple(ops))
    common = {"FIXED": dtype != "float32", "WHOLE": not masks.windowed, "WINDOWED": masks.windowed, "ROWS": TILE_ROWS, "COLUMNS": TILE_COLUMNS}
    for door in (True, False) if vocabulary.strokes else (True,):  # point ops alone take one launch
        points = len(vocabulary.points)
        modulates = vocabulary.modulates & ((1 << points) - 1 if door else -1) if masks.folds else 0
        constants = {
            **common, "ROUNDS": dtype in ("float16", "bfloat16"), "DOOR": door, "UNIT": True, "EVEN": not masks.windowed and (door or not masks.families),
            "STROKES": bool(vocabulary.strokes), "LEVELLED": masks.windowed and masks.folds, "FOLDS": masks.folds, "MOVES": masks.moves,
            "MODULATES": modulates, "LINEAR": masks.folds,
        }  # fmt: skip
        tuples = {
            "POINT": vocabulary.functions,
            "SETTLE": () if door else vocabulary.settles,  # the first launch finishes no stroke
            "MASKS": tuple(find_mask(family).device for family in masks.families),
        }
        warps = settle_warps(vocabulary.points if door else vocabulary.ops, masks.families, masks.folds or masks.windowed or masks.moves)
        yield "first settle" if door else "settle", warps, _build(settle, warps, target, dtype, constants, tuples, SETTLE_REGISTERS)
    for functions, registers, warps, words in vocabulary.kernels:
        if functions:
            constants = {**common, "WHOLE": common["WHOLE"] and words, "EVEN": not masks.windowed and not masks.families}
            yield "reach", warps, _build(reach, warps, target, dtype, constants, {"REACH": functions}, registers)


def _build(
    kernel: Any, warps: int, target: str, dtype: str, constants: dict[str, Any], tuples: dict[str, tuple[Any, ...]], registers: int | None
) -> Any:
    """One kernel for one target."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    canvas = "*fp32" if dtype == "float32" else "*u16"
    pointers = {"source": POINTERS[dtype], "out": POINTERS[dtype], "canvas": canvas, "scratch": canvas, "keep": canvas}
    pointers |= {"words": "*i64", "maps": "*fp32", "floats": "*fp32", **dict.fromkeys(INTEGERS, "*i32")}
    signature: dict[str, Any] = {}
    values: dict[tuple[int, ...], Any] = {}
    for i, name in enumerate(kernel.arg_names):
        if name in tuples:
            signature[name] = ("constexpr",) * len(tuples[name])
            values |= {(i, j): function for j, function in enumerate(tuples[name])}
        elif name in constants:
            signature[name] = "constexpr"
            values[(i,)] = constants[name]
        else:
            signature[name] = pointers.get(name, "i32")
    aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(kernel.arg_names) if name in pointers}  # as at a launch
    options: dict[str, Any] = {"num_warps": warps, "enable_fp_fusion": False}
    if registers and TARGETS[target][0] == "cuda":
        options["maxnreg"] = registers
    source = ASTSource(kernel, signature=signature, constexprs=values, attrs=aligned)
    return triton.compile(source, target=GPUTarget(*TARGETS[target]), options=options)


# ---- reading -----------------------------------------------------------------------------------------------------------


def facts(names: Sequence[str], target: str, dtype: str, masks: Masks = UNMASKED) -> list[dict[str, Any]]:
    """One row for each kernel of a pipeline of these ops."""
    read = _read_hip if TARGETS[target][0] == "hip" else _read_cuda
    return [
        {"ops": list(names), "kernel": kernel, "target": target, "dtype": dtype, "warps": warps, "shared": made.metadata.shared, **read(made)}
        for kernel, warps, made in built(names, target, dtype, masks)
    ]


def _read_hip(made: Any) -> dict[str, Any]:
    text = made.asm["amdgcn"]
    registers, spills = (int(_found(rf"\.{key}:\s*(\d+)", text)) for key in ("vgpr_count", "vgpr_spill_count"))
    return {"registers": registers, "spills": spills}


def _read_cuda(made: Any) -> dict[str, Any]:
    usage, code = _disassembled(made.asm["cubin"])
    instructions = re.findall(r"^\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_.]*)", code, re.MULTILINE)
    return {
        "registers": int(_found(r"REG:(\d+)", usage)),
        "spills": int(_found(r"STACK:(\d+)", usage)),
        "instructions": sum(name != "NOP" for name in instructions),
        "loads": _widths("LDG", instructions),
        "stores": _widths("STG", instructions),
    }


@cache
def _disassembled(cubin: bytes) -> tuple[str, str]:
    """What a binary uses, and its code; many pipelines have the same first settle."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return _tool("cuobjdump", "-res-usage", file.name), _tool("nvdisasm", "-c", file.name)


def _widths(kind: str, instructions: list[str]) -> dict[str, int]:
    """How many accesses of global memory move so many bytes for a thread."""
    sizes: Counter[int] = Counter()
    for name in instructions:
        first, *modifiers = name.split(".")
        if first == kind:
            bits = next((int(m.lstrip("US")) for m in modifiers if re.fullmatch(r"[US]?(8|16|64|128)", m)), 32)
            sizes[bits // 8] += 1
    return {str(size): count for size, count in sorted(sizes.items())}


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, pattern
    return match[1]


def _tool(name: str, *arguments: str) -> str:
    """What one of the tools prints that Triton brings."""
    import triton

    path = Path(triton.__path__[0]) / "backends" / "nvidia" / "bin" / name
    return subprocess.run([path, *arguments], capture_output=True, text=True, check=True).stdout


# ---- predicting --------------------------------------------------------------------------------------------------------


@cache
def _explained(name: str) -> Explanation:
    return Pipeline(find(name)(), seed=1).explain((SIZE, SIZE), BATCH)


def predicted(row: dict[str, Any]) -> dict[str, Any]:
    """Microseconds of all launches of a kernel, by its bytes and by its instructions, and which is more."""
    card = CARDS[row["target"]]
    launches = [each for i, each in enumerate(_explained(row["ops"][0]).rows) if _kernel_of(i, each.kind) == row["kernel"]]
    moved = sum(each.read + each.written for each in launches) / card.bytes * 1e6
    issued = sum(each.tiles for each in launches) * row["warps"] * row["instructions"] / card.instructions * 1e6
    return {"card": card.name, "launches": len(launches), "bytes_us": round(moved, 1), "instructions_us": round(issued, 1)}


def _kernel_of(number: int, kind: str) -> str:
    return "reach" if kind.startswith("reach") else "settle" if number else "first settle"


# ---- the report --------------------------------------------------------------------------------------------------------

COLUMNS = (
    "op",
    "kernel",
    "card",
    "registers",
    "spilled",
    "shared",
    "instructions",
    "per pixel",
    "loads",
    "stores",
    "launches",
    "µs by bytes",
    "µs by code",
)


def table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- | --- | --- |" + " --: |" * (len(COLUMNS) - 3)]
    for row in rows:
        each = row["instructions"] * row["warps"] * 32 / (TILE_ROWS * TILE_COLUMNS)
        loads, stores = (" ".join(f"{count}×{size}" for size, count in row[kind].items()) for kind in ("loads", "stores"))
        bound = [
            f"**{row[key]}**" if row[key] == max(row["bytes_us"], row["instructions_us"]) else str(row[key])
            for key in ("bytes_us", "instructions_us")
        ]
        cells = (row["ops"][0], row["kernel"], row["card"], row["registers"], row["spills"], row["shared"], row["instructions"], f"{each:.0f}")
        lines.append("| " + " | ".join(map(str, (*cells, loads, stores, row["launches"], *bound))) + " |")
    return "\n".join(lines)


def report_of(version: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The committed rows of a version of Triton, by op, kernel and target; none if it has no report."""
    path = FOLDER / f"triton-{version}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return {(row["ops"][0], row["kernel"], row["target"]): row for row in rows}


def device_ops(pattern: str = "*") -> list[type[Op]]:
    return [op for name, op in sorted(REGISTRY.items()) if op.kind != "codec" and fnmatch.fnmatch(name, pattern)]


def main(arguments: list[str] | None = None) -> int:
    from rich.console import Console
    from rich.progress import track

    parser = argparse.ArgumentParser(prog="python -m benchmarks.static", description=__doc__.splitlines()[0])
    parser.add_argument("--op", default="*", metavar="GLOB", help="names of ops")
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"where to write the JSON; the committed ones lie in {FOLDER.name}/")
    args = parser.parse_args(arguments)
    import triton

    ops = device_ops(args.op)
    if not ops:
        print(f"nothing to build: no op matches {args.op!r}.", file=sys.stderr)
        return 1
    rows = []
    for op in track(ops, description="ops", console=Console(stderr=True)):
        rows += [{**row, **predicted(row)} for target in CARDS for row in facts([op.name], target, "uint8")]
    if args.out:
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        write_whole(args.out, f'{{"triton": "{triton.__version__}", "batch": {BATCH}, "size": {SIZE}, "rows": [\n{lines}\n]}}\n')
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Ahead-of-time builds of the engine's kernels, with no GPU: registers, spills and shared memory for each target.

Run as a script, since a process that interprets Triton cannot compile it:

    python tests/build.py sm_90 jpeg,gaussian_noise uint8     these ops in one pipeline, with all masks; one line of JSON per kernel
    python tests/build.py sm_90 group:blur uint8              each op of a group by itself
    python tests/build.py sm_90 bank:arniqa uint8             all ops of a bank in one pipeline
    python tests/build.py sm_90 combined:jpeg uint8           these ops under masks made of masks, which may be their strength or blend in linear light
    python tests/build.py sm_90 moving:jpeg uint8             these ops under masks that move
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

TARGETS = {"sm_80": ("cuda", 80, 32), "sm_90": ("cuda", 90, 32), "sm_100": ("cuda", 100, 32), "gfx942": ("hip", "gfx942", 64)}
POINTERS = {"uint8": "*u8", "float16": "*fp16", "bfloat16": "*bf16", "float32": "*fp32"}


def build(kernel, warps, target, dtype, constants, tuples, registers=None):
    """Compile one kernel for one target and read what the compiler says of it."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    canvas = "*fp32" if dtype == "float32" else "*u16"
    pointers = dict(
        source=POINTERS[dtype], out=POINTERS[dtype], canvas=canvas, scratch=canvas, keep=canvas, words="*i64", maps="*fp32", floats="*fp32"
    )
    pointers |= dict.fromkeys(("ints", "ids", "instructions", "regions", "items", "item_of", "windows"), "*i32")
    signature, constexprs = {}, {}
    for i, name in enumerate(kernel.arg_names):
        if name in tuples:
            signature[name] = ("constexpr",) * len(tuples[name])
            constexprs |= {(i, j): f for j, f in enumerate(tuples[name])}
        elif name in constants:
            signature[name] = "constexpr"
            constexprs[(i,)] = constants[name]
        else:
            signature[name] = pointers.get(name, "i32")
    # As at a launch: all pointers are aligned to 16 bytes.
    attributes = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(kernel.arg_names) if name in pointers}
    options = {"num_warps": warps, "enable_fp_fusion": False}
    if registers and TARGETS[target][0] == "cuda":
        options["maxnreg"] = registers
    built = triton.compile(
        ASTSource(kernel, signature=signature, constexprs=constexprs, attrs=attributes), target=GPUTarget(*TARGETS[target]), options=options
    )
    if TARGETS[target][0] == "hip":
        text = built.asm["amdgcn"]
        registers, spills = (int(re.search(rf"\.{key}:\s*(\d+)", text)[1]) for key in ("vgpr_count", "vgpr_spill_count"))
    else:
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(built.asm["cubin"])
            file.flush()
            tool = Path(triton.__path__[0]) / "backends/nvidia/bin/cuobjdump"
            usage = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True).stdout
        registers, spills = (int(re.search(rf"{key}:(\d+)", usage)[1]) for key in ("REG", "STACK"))
    return dict(kernel=kernel.__name__, target=target, dtype=dtype, registers=registers, spills=spills, shared=built.metadata.shared)


def report(target, names, dtype, families=("rectangle", "ellipse", "gradient", "blob", "from_tensor"), folds=False, windowed=False, moves=False):
    """Both kernels for one set of ops."""
    from degrade.backends.engine import SETTLE_REGISTERS, settle_warps
    from degrade.backends.vocabulary import Vocabulary
    from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS
    from degrade.kernels.reach import reach
    from degrade.kernels.settle import settle
    from degrade.masks import find as find_mask
    from degrade.op import PointOp
    from degrade.ops import find

    ops = [find(name) for name in names]
    points = tuple(op for op in ops if issubclass(op, PointOp))
    strokes = tuple(op for op in ops if op not in points)
    common = dict(FIXED=dtype != "float32", WHOLE=not windowed, WINDOWED=windowed, ROWS=TILE_ROWS, COLUMNS=TILE_COLUMNS)
    tuples = dict(POINT=tuple(op.point for op in points), MASKS=tuple(find_mask(f).device for f in families))
    rows = [
        build(
            settle,
            settle_warps(points if door else ops, folds or moves or windowed),
            target,
            dtype,
            {
                **common,
                "ROUNDS": dtype in ("float16", "bfloat16"),
                "DOOR": door,
                "UNIT": True,
                "EVEN": not windowed and (door or not families),
                "STROKES": bool(strokes),
                "LEVELLED": windowed and folds,
                "FOLDS": folds,
                "MOVES": moves,
                "MODULATES": _modulates(points, () if door else strokes) if folds else 0,
                "LINEAR": folds,
            },
            {**tuples, "SETTLE": () if door else tuple(dict.fromkeys(op.settle for op in strokes))},  # the first launch finishes no stroke
            SETTLE_REGISTERS,
        )
        for door in ((True, False) if strokes else (True,))  # point ops alone take one launch
    ]
    for functions, registers, warps in Vocabulary(tuple(ops)).kernels:
        if functions:
            rows.append(build(reach, warps, target, dtype, {**common, "EVEN": not windowed and not families}, {"REACH": functions}, registers))
    return [dict(row, ops=list(names)) for row in rows]


def _modulates(points, strokes):
    """The branches of settle whose strength a mask may be, as the engine numbers them."""
    settles = list(dict.fromkeys(op.settle for op in strokes))
    branches = {i for i, op in enumerate(points) if op.modulates} | {len(points) + settles.index(op.settle) for op in strokes if op.modulates}
    return sum(1 << branch for branch in branches)


if __name__ == "__main__":
    import degrade

    target, wanted, dtype = sys.argv[1:]
    if wanted.startswith("bank:"):  # as a pipeline of this bank needs them, which has no masks
        lines = report(target, sorted(getattr(degrade.banks, wanted.removeprefix("bank:"))().ops), dtype, ())
    elif wanted.startswith("combined:"):
        lines = report(target, wanted.removeprefix("combined:").split(","), dtype, folds=True)
    elif wanted.startswith("cells:"):
        lines = report(target, wanted.removeprefix("cells:").split(","), dtype, ("ellipse", "voronoi_cell"), windowed=True)
    elif wanted.startswith("moving:"):
        lines = report(target, wanted.removeprefix("moving:").split(","), dtype, moves=True)
    elif wanted.startswith("group:"):  # each op of a group by itself
        lines = [
            line
            for op in degrade.REGISTRY.values()
            if op.kind != "codec" and op.group == wanted.removeprefix("group:")
            for line in report(target, [op.name], dtype)
        ]
    else:
        lines = report(target, wanted.split(","), dtype)
    for line in lines:
        print(json.dumps(line))

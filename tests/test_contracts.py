"""Rules that reading the code enforces: who may import whom, what twins may not call, and the size of files."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Each may import from its own line and from those above. `kernels` stands alone at the top.
LAYERS = (
    ("kernels",),
    ("stream", "errors", "storing"),
    ("distributions",),
    ("parameter",),
    ("op", "gradients"),
    ("ops", "masks"),
    ("program", "program_data"),
    ("recipe", "sheet", "together", "cells", "partition", "phase"),
    ("backends",),
    ("labels", "geometry", "label_maps", "label_table", "made_masks", "concatenation", "effect", "inputs", "files", "identity"),
    ("compiled", "explain", "expected", "prepared"),
    ("pipeline",),
    ("perceptual",),
    ("banks", "data", "functional", "loading"),
    ("compat",),
    ("draw", "figure", "pictures"),
    ("datasets",),
    ("probing",),
    ("cli",),
    ("__init__", "__main__"),
)
RANK = {name: i for i, layer in enumerate(LAYERS) for name in layer}


def sources():
    return sorted([*(ROOT / "degrade").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")])


def unit(path):
    """The name of the layer's member a file belongs to."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return "kernels" if parts[0] == "kernels" else parts[1]


def imported(path):
    """The members of our own layers that a file imports, anywhere in it."""
    parts = (
        ["degrade", *path.relative_to(ROOT).with_suffix("").parts]
        if path.is_relative_to(ROOT / "kernels")
        else list(path.relative_to(ROOT).with_suffix("").parts)
    )
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level] if node.level else []
            module = base + (node.module or "").split(".") if node.module else base
            full = [[*module, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            full = [alias.name.split(".") for alias in node.names]
        else:
            continue
        for name in full:
            if name[0] == "degrade" and len(name) > 1 and name[1] in RANK:
                yield name[1], node.lineno


def test_every_file_has_a_layer():
    assert {unit(p) for p in sources()} <= set(RANK)


def test_imports_run_one_way():
    wrong = []
    for path in sources():
        for name, line in imported(path):
            if RANK[name] > RANK[unit(path)]:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong, wrong


BANNED = {
    "pow",
    "atan2",
    "arctan2",
    "exp2",
    "hypot",
    "float_power",
    "sqrt",
    "rsqrt",
    "mean",
    "sum",
    "prod",
    "std",
    "var",
    "norm",
    "matmul",
    "einsum",
    "cumsum",
    "addcmul",
    "lerp",
    "softmax",
}


def test_twins_use_nothing_that_depends_on_the_batch():
    """Each of these was measured to differ between a sample alone and in a batch, or reduces floats in no fixed order."""
    wrong = []
    for path in [
        *(ROOT / "degrade/ops").rglob("*.py"),
        *(ROOT / "degrade/masks").glob("*.py"),
        *(ROOT / "kernels").glob("*.py"),
        ROOT / "degrade/backends/twin.py",
    ]:
        for function in (n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)):
            text = ast.unparse(function)
            device = any("jit" in ast.unparse(d) for d in function.decorator_list)
            host = "Array" in ast.unparse(function.args) or "np.ndarray" in text
            if device or host or path.name in ("_radial.py",):
                continue
            for node in ast.walk(function):
                power = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not isinstance(node.left, ast.Constant)
                call = node.func if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
                if call is None and not power:
                    continue
                receiver = ast.unparse(call.value) if call else ""
                fine = call and (call.attr not in BANNED or receiver in ("np", "math") or receiver.endswith("to(torch.int64)"))
                exact = path.name == "exact.py" and function.name == "sqrt"
                if not fine and not exact:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)[:60]}")
    assert not wrong, wrong


def test_no_global_random_state():
    """But in the drop-ins, whose callers seed the global generators and pass no ids, and where others' modules draw their weights, in a fork of them."""
    own = ROOT / "degrade/probing/encoders.py"
    assert own.read_text().count("manual_seed") == own.read_text().count("fork_rng") == 1
    for path in (p for p in sources() if unit(p) != "compat" and p != own):
        text = path.read_text()
        for word in ("manual_seed", "np.random", "import random", "torch.rand", "default_rng"):
            assert word not in text, f"{path.relative_to(ROOT)} uses {word}"


def test_tuples_of_device_functions_are_not_annotated():
    """Annotated constexpr, Triton's disk cache would serve stale binaries after an op is edited."""
    found = 0
    for name in ("reach", "settle"):
        tree = ast.parse((ROOT / "kernels" / f"{name}.py").read_text())
        kernel = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name)
        for argument in kernel.args.args:
            if argument.arg in ("REACH", "SETTLE", "POINT", "MASKS"):
                assert argument.annotation is None
                found += 1
    assert found == 4


def test_words_are_added_to_without_fences():
    """Triton's atomics fence all memory unless told otherwise: `words.py` tells them, and nothing else calls them."""
    for path in sources():
        calls = [line for line in path.read_text().splitlines() if "tl.atomic_" in line]
        assert all('sem="relaxed"' in line for line in calls) and (path.name == "words.py" or not calls), path


@pytest.mark.build
def test_an_edited_op_gives_another_binary(tmp_path):
    """The cache key of a kernel contains the bodies of the ops it was built with."""
    script = """
import sys
sys.path.insert(0, sys.argv[1]); sys.path.insert(0, sys.argv[2])
from triton.compiler import ASTSource
from degrade.kernels.reach import reach
import edited
print(ASTSource(reach, signature={n: "i32" for n in reach.arg_names} | {"REACH": ("constexpr",)}, constexprs={(reach.arg_names.index("REACH"), 0): edited.op}).hash())
"""
    hashes = []
    for body in ("1.0", "2.0"):
        folder = tmp_path / body
        folder.mkdir()
        (folder / "edited.py").write_text(
            f"from degrade.kernels.lang import jit, tl\n\n@jit\ndef op(image, before, y, x, theta, table, words, rng, stage, inside):\n    return y * {body}, y, y\n"
        )
        environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
        run = subprocess.run([sys.executable, "-c", script, str(ROOT), str(folder)], capture_output=True, text=True, env=environment)
        assert run.returncode == 0, run.stderr
        hashes.append(run.stdout)
    assert hashes[0] != hashes[1]

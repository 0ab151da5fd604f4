"""Ahead-of-time builds of the engine's kernels, with no GPU: registers, spills and shared memory for each target.

A process that interprets Triton cannot compile it. As a script it prints one line of JSON per kernel:

    python tests/build.py sm_90 jpeg,gaussian_noise uint8     these ops in one pipeline, without masks
    python tests/build.py sm_90 each:jpeg,contrast uint8      each of these ops by itself
    python tests/build.py sm_90 group:blur uint8              each op of a group by itself
    python tests/build.py sm_90 bank:arniqa uint8             all ops of a bank in one pipeline
    python tests/build.py sm_90 masked:jpeg uint8             these ops under masks of several families
    python tests/build.py sm_90 combined:jpeg uint8           under masks made of masks, which may be their strength or blend in linear light
    python tests/build.py sm_90 moving:jpeg uint8             under masks that move
    python tests/build.py sm_90 cells:jpeg uint8              in cells
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import degrade
from benchmarks.static import UNMASKED, Masks, device_ops, facts

FAMILIES = ("rectangle", "ellipse", "gradient", "blob", "from_tensor")
MASKS = {
    "masked": Masks(FAMILIES),
    "combined": Masks(FAMILIES, folds=True),
    "moving": Masks(FAMILIES, moves=True),
    "cells": Masks(("ellipse", "voronoi_cell"), windowed=True),
}


def pipelines(kind, names):
    """The ops of each pipeline."""
    if kind == "group":
        return [[op.name] for op in device_ops() if op.group == names]
    if kind == "each":
        return [[name] for name in names.split(",")]
    return [sorted(getattr(degrade.banks, names)().ops) if kind == "bank" else names.split(",")]


def rows(target, wanted, dtype):
    """What is said of each kernel of each pipeline."""
    kind, _, names = wanted.rpartition(":")
    return [row for ops in pipelines(kind, names) for row in facts(ops, target, dtype, MASKS.get(kind, UNMASKED))]


if __name__ == "__main__":
    for row in rows(*sys.argv[1:]):
        print(json.dumps(row))

"""Every kernel builds for every target, spills nothing or little, and says how many registers it takes."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import build
import pytest

from benchmarks.static import CARDS, _widths, device_ops, predicted, report_of
from degrade.ops import REGISTRY

TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")
DTYPES = ("uint8", "float16", "float32")
# Built by themselves: an op of each kind and of each group, and those that ask for registers of their own.
ALONE = ("mean_shift", "gaussian_noise", "gaussian_blur", "contrast", "jpeg", "pixelate", "saturation_lab", "unsharp_mask", "rain")
LIMITED = tuple(op.name for op in device_ops() if getattr(op, "registers", None))
MOSTLY = ["sm_90", pytest.param("gfx942", marks=pytest.mark.heavy)]  # one masked pipeline is built for both at all times
BUDGET = {"settle": 144, "reach": 160}  # registers per thread: three programs at once at least; CUDA's settle is limited, ROCm's is not
# Bytes that a thread may spill. Settle does in branches that few samples take; with more registers and fewer threads it does not, and on a
# GPU it is slower (benchmarks/notes.md).
SPILLED = {"settle": 352, "reach": 16}


def triton_version():
    return importlib.metadata.version("triton")


def check(rows, record_property):
    assert rows
    for r in rows:
        who = r["ops"][0] if len(r["ops"]) == 1 else f"{len(r['ops'])} ops"
        record_property(
            "summary",
            f"{who:28} {r['kernel']:12} {r['target']:7} {r['dtype']:8} {r['registers']:4} registers, {r['spills']} spills, {r['shared']} B shared",
        )
    for row in rows:
        kernel = row["kernel"].split()[-1]
        assert row["spills"] <= SPILLED[kernel] and row["registers"] <= BUDGET[kernel], row


def check_alone(wanted, target, dtype, record_property):
    """Ops by themselves, which need no more than `python -m benchmarks.static` said when its report was made, if there is one of this Triton."""
    rows = build.rows(target, wanted, dtype)
    check(rows, record_property)
    reported = report_of(triton_version()) if dtype == "uint8" else {}
    for row in rows:
        if known := reported.get((row["ops"][0], row["kernel"], target)):
            for what in ("registers", "spills", "shared", "instructions"):
                assert row[what] <= known[what], (row, f"{what}: {known[what]} in the report; if it has to be so, make the report anew")


@pytest.mark.build
def test_an_op_of_each_kind_builds(record_property):
    check_alone(f"each:{','.join(ALONE + LIMITED)}", "sm_90", "uint8", record_property)


@pytest.mark.build
@pytest.mark.heavy
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("group", sorted({op.group for op in REGISTRY.values()}))
def test_each_op_builds(group, target, dtype, record_property):
    check_alone(f"group:{group}", target, dtype, record_property)


def test_the_reports_hold_every_op():
    """Of the Triton that GPUs run, and of the one that continuous integration builds with."""
    wanted = {(op.name, target) for op in device_ops() for target in CARDS}
    for version in ("3.6.0", "3.9.0"):
        assert {(op, target) for op, _, target in report_of(version)} == wanted


def test_reported_times_follow_from_the_plan():
    """What the reports predict is of this planner: where it launches more or moves other bytes, they are made anew."""
    for version in ("3.6.0", "3.9.0"):
        for row in report_of(version).values():
            assert row | predicted(row) == row


def test_accesses_are_told_by_their_bytes():
    code = "LDG.E LDG.E.64 LDG.E.U8.CONSTANT LDG.E.128 STG.E.U16 LDG.E.S8 LDS.64 LDGSTS.E.128".split()
    assert _widths("LDG", code) == {"1": 2, "4": 1, "8": 1, "16": 1} and _widths("STG", code) == {"2": 1}


@pytest.mark.build
@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
def test_a_masked_pipeline_builds(target, record_property):
    check(build.rows(target, "masked:mean_shift,gaussian_noise,gaussian_blur,jpeg", "uint8"), record_property)


@pytest.mark.build
@pytest.mark.heavy
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_a_bank_builds_and_spills_little(target, dtype, record_property):
    check(build.rows(target, "bank:arniqa", dtype), record_property)


@pytest.mark.build
@pytest.mark.parametrize("kind", ["combined", "moving"])
@pytest.mark.parametrize("target", MOSTLY)
def test_masks_made_of_masks_strengths_and_masks_that_move_build(target, kind, record_property):
    check(build.rows(target, f"{kind}:mean_shift,gaussian_noise,unsharp_mask", "uint8"), record_property)


@pytest.mark.build
@pytest.mark.parametrize("target", MOSTLY)
def test_cells_build(target, record_property):
    check(build.rows(target, "cells:mean_shift,gaussian_noise,gaussian_blur,jpeg", "uint8"), record_property)


@pytest.mark.build
def test_the_launch_path_builds_each_kernel_once():
    """Batches of other sizes, places in memory and programs reuse the binaries, past Triton's own search for them.

    Each is built for frames as wide as whole tiles and for others; jitter's, which stores pixel by pixel, for both alike. settle: the first
    launch or a later one; and one of another pipeline, for a channels-last image.
    """
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, here / "launch.py"], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(here.parent)}
    )  # another process, since it puts another driver in Triton's place
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["built"] == {"reach": 2 * found["reaches"] - 1, "settle": 5}
    assert found["launches"]["settle"] >= 8 and found["launches"]["reach"] >= 7
    assert found["by_themselves"] == ["reach", "settle"]

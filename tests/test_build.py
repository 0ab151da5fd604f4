"""Every kernel builds for every target, spills nothing, and says how many registers it takes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942")
DTYPES = ("uint8", "float16", "float32")
BUDGET = {"settle": 128, "reach": 96}  # registers per thread, with every op in one pipeline


def script(name, *arguments):
    """The lines that a script of this folder prints, run without the interpreter, which cannot compile."""
    here = Path(__file__).parent
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"} | {"PYTHONPATH": str(here.parent)}
    run = subprocess.run([sys.executable, here / name, *arguments], capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout.splitlines()


@pytest.mark.build
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_builds_without_spills(target, dtype, record_property):
    rows = [json.loads(line) for line in script("build.py", target, "all", dtype)]
    for r in rows:
        line = f"{r['kernel']:7} {r['target']:7} {r['dtype']:8} {r['registers']:4} registers, {r['spills']} spills, {r['shared']} B shared"
        record_property("summary", line)
    assert len(rows) == 3
    for row in rows:
        assert row["spills"] == 0, row
        assert row["registers"] <= BUDGET[row["kernel"]], row


@pytest.mark.build
def test_the_launch_path_builds_each_kernel_once():
    """Batches of other sizes, places in memory and programs reuse the binaries; only what the kernels are specialised on counts.

    settle: the first launch or a later one; and one of another pipeline, for a channels-last image.
    """
    found = json.loads(script("launch.py")[-1])
    assert found["built"] == {"reach": 1, "settle": 3}
    assert found["launches"]["settle"] >= 8 and found["launches"]["reach"] >= 7

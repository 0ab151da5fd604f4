"""The suite `build`: seconds until the first batch, with no kernel built and with all on disk, each in a process of its own."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPS = "mean_shift", "bank kadid10k", "bank arniqa"
BATCH = 4
COLUMNS = (
    "op", "device", "import, s", "first batch, cold, s", "of processors, s", "first batch, warm, s", "of processors, s", "next batch, ms", "check",
)  # fmt: skip
RIGHT = COLUMNS[2:8]


@dataclass(frozen=True)
class Build:
    """One row."""

    op: str
    device: str


def settings(pattern: str) -> list[Build]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return [Build(op, device) for op in OPS if any(fnmatch.fnmatch(op, p) for p in pattern.split(","))]


def run(wanted: list[Build], seconds: float) -> Iterator[dict[str, Any]]:
    """A row for each; one that fails has no figures, and the others go on."""
    for setting in wanted:
        head = {"op": setting.op, "device": setting.device, "backend": "triton", "dtype": "uint8", "batch": BATCH}
        try:
            yield {**head, **measure(setting)}
        except Exception as error:
            yield {**head, "checks": {"run": f"{type(error).__name__}: {error}"}, "ok": False}


def measure(setting: Build) -> dict[str, Any]:
    """A cold start in a fresh folder, then a warm one in the same."""
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (started(setting, folder) for _ in range(2))
        files = sum(path.is_file() for path in Path(folder).rglob("*"))
    same = cold.pop("result") == warm.pop("result")
    found = {"same": "ok" if same else "another result from kernels on disk", "built": "ok" if files else "nothing was built"}
    return {"checks": found, "ok": same and files > 0, "cold": cold, "warm": warm, "files": files}


def started(setting: Build, folder: str) -> dict[str, Any]:
    """What a process of its own says that keeps its kernels in a folder."""
    command = [sys.executable, "-m", "benchmarks.build", setting.op, setting.device]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env={**os.environ, "TRITON_CACHE_DIR": folder}, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["no output"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


def start(op: str, device: str) -> dict[str, Any]:
    """Seconds of importing, of the first batch and of the next, in this process; of the first also those of all processors, compilers' processes included."""
    begin = time.perf_counter()
    import torch

    from benchmarks.suites import Setting

    imported, worked = time.perf_counter(), sum(os.times()[:4])
    pipe = Setting(op, "triton", device, torch.uint8, BATCH, 1.0).pipeline()
    x = (torch.arange(BATCH * 3 * 64 * 64) % 251).to(torch.uint8).reshape(BATCH, 3, 64, 64).to(device)
    y = pipe(x, ids=range(BATCH)).cpu()
    first, first_cpu = time.perf_counter(), sum(os.times()[:4]) - worked
    pipe(x, ids=range(BATCH)).cpu()
    again = time.perf_counter() - first
    taken = {"import_s": imported - begin, "first_s": first - imported, "first_cpu_s": first_cpu, "next_ms": again * 1e3}
    return {**taken, "result": hashlib.sha256(y.numpy().tobytes()).hexdigest()}


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS; no figures if its check is red."""
    from benchmarks.text import checked

    head = [row["op"], row["device"]]
    if not row["ok"]:
        return [*head, *["—"] * 6, checked(row)]
    cold, warm = row["cold"], row["warm"]
    firsts = [f"{start[name]:.2f}" for start in (cold, warm) for name in ("first_s", "first_cpu_s")]
    return [*head, f"{warm['import_s']:.1f}", *firsts, f"{warm['next_ms']:.1f}", checked(row)]


if __name__ == "__main__":
    print(json.dumps(start(*sys.argv[1:])))

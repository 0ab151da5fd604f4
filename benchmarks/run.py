"""Measure: `python -m benchmarks.run`. A row is printed with its check, made in the same run; a red check has no time."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks import banks, beside, build, checks, host, memory, peers, regions, scaling, timing
from benchmarks.images import ids_of, in_dtype, photographs
from benchmarks.machine import commit, machine
from benchmarks.report import console_table
from benchmarks.suites import SUITES, Setting, settings
from degrade import Pipeline, Program
from degrade.backends.plan import make_plan
from degrade.backends.stages import Stage, needs_stages, samples_of, stages_of
from degrade.storing import write_whole

SECONDS, QUICK_SECONDS = 5.0, 1.5  # timed per row on the CPU
BESIDE_OPENCV = ("jpeg", "gaussian_blur")
PEERS_OF = ("torchvision", "albumentations", "nvidia-dali-cuda130", "cvcuda-cu13", "triton-augment")


# ---- one row ---------------------------------------------------------------------------------------------------------


def row(setting: Setting, seconds: float) -> dict[str, Any]:
    """Check a setting, and time it if every check passes."""
    x = images(setting)
    pipe = setting.pipeline()
    found = checks.all_checks(pipe, x, setting.op, setting.backend)
    out = {**setting.to_dict(), "checks": found, "ok": not checks.red(found)}
    if out["ok"]:
        out |= measure_cuda(setting, pipe, x) if x.is_cuda else measure_cpu(setting, pipe, x, seconds)
        out["images_per_s"] = setting.batch / out["ms"]["median"] * 1e3
        out["times_copy"] = out["ms"]["median"] / out["copy_ms"]["median"]
        out.setdefault("bytes", regions.bytes_of(pipe, x))  # predicted: what Triton's kernels move
    return out


def images(setting: Setting) -> torch.Tensor:
    return in_dtype(photographs(setting.batch, setting.size), setting.dtype).to(setting.device)


def contestants(setting: Setting, pipe: Pipeline, x: torch.Tensor) -> dict[str, timing.Call]:
    """The end user's call, drawing included, and a copy of the same bytes."""
    target = torch.empty_like(x)
    return {"pipe": lambda number: pipe(x, ids=ids_of(number, setting.batch)), "copy": lambda number: target.copy_(x)}


def host_parts(setting: Setting, pipe: Pipeline) -> dict[str, timing.Call]:
    """What the host does before the launches: drawing; drawing and planning. The torch backend has no plan."""

    def sample(number: int) -> Program:
        return pipe.sample(ids_of(number, setting.batch), (setting.size, setting.size))

    def host(number: int) -> None:
        program = sample(number)
        for stage in stages_of(program) if needs_stages(program) else [Stage(program, "plain")]:
            for part, origins in [(stage.program, None)] if stage.kind == "plain" else samples_of(stage):
                make_plan(part, part.numbers, origins)

    return {"sample": sample, "host": host}


def measure_cpu(setting: Setting, pipe: Pipeline, x: torch.Tensor, seconds: float) -> dict[str, Any]:
    got = timing.on_cpu({**contestants(setting, pipe, x), **host_parts(setting, pipe), **regions.calls(setting, pipe, x)}, seconds)
    out: dict[str, Any] = {"ms": got["pipe"], "copy_ms": got["copy"], "sample_ms": got["sample"], "host_ms": got["host"]}
    out |= regions.ratios(setting, pipe, x, got.__getitem__)
    if setting.op in BESIDE_OPENCV and setting.dtype == torch.uint8 and setting.area == 1.0:
        out["cv2"] = beside_opencv(setting, pipe, x, seconds)
    return out


def measure_cuda(setting: Setting, pipe: Pipeline, x: torch.Tensor) -> dict[str, Any]:
    both = contestants(setting, pipe, x)
    torch.cuda.synchronize()
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    both["pipe"](0)
    torch.cuda.synchronize()
    out: dict[str, Any] = {"peak_bytes": torch.cuda.max_memory_allocated() - held}  # beyond the input, result included
    alone = setting.backend == "triton" and setting.area == 1.0 and setting.batch > 1 and not setting.region and setting.dtype == torch.uint8
    theta = pipe.sample(ids_of(0, setting.batch), (setting.size, setting.size)).theta
    ready, absent = peers.ready(setting.op, x, [theta]) if alone else ({}, {})
    others, beside = {name: call for name, (_, call) in ready.items()}, regions.calls(setting, pipe, x)
    got = timing.on_cuda(both | others | beside)
    host = timing.on_cpu(host_parts(setting, pipe), 1.0)
    out |= {**got["pipe"], "copy_ms": got["copy"]["ms"], "sample_ms": host["sample"], "host_ms": host["host"]}
    if setting.backend == "triton":
        out["device_ms"] = timing.device_only(both["pipe"], out["wall_ms"]["median"])
        for name in beside:
            if name.endswith("run"):  # what is run, without what the host does for it
                got[name]["ms"] = timing.device_only(beside[name], got[name]["wall_ms"]["median"])
    out |= regions.ratios(setting, pipe, x, lambda name: got[name]["ms"])  # type: ignore[arg-type, return-value]
    if others or absent:
        out["peers"] = {name: {"ms": got[name]["ms"], "speed": got[name]["ms"]["median"] / out["ms"]["median"]} for name in others}
        out["absent"] = absent
    return out


def beside_opencv(setting: Setting, pipe: Pipeline, x: torch.Tensor, seconds: float) -> dict[str, Any]:
    """OpenCV on the same images and parameters, in its own layout and order of channels, both sides on one thread."""
    native = [np.ascontiguousarray(image[:, :, ::-1]) for image in x.permute(0, 2, 3, 1).numpy()]
    drawn = [pipe.sample(ids_of(n, setting.batch), (setting.size, setting.size)).theta[:, 0] for n in range(timing.CPU_MOST + 1)]

    def opencv(number: int) -> list[Any]:
        return [opencv_call(setting.op, image, theta) for image, theta in zip(native, drawn[number])]

    both = {"own": contestants(setting, pipe, x)["pipe"], "cv2": opencv}
    with timing.one_thread():
        got = timing.on_cpu(both, seconds)
        theirs = np.stack(opencv(0))[..., ::-1].astype(np.int16)
        own = pipe(x, ids=ids_of(0, setting.batch)).permute(0, 2, 3, 1).numpy().astype(np.int16)
    times = {"own_ms": got["own"], "cv2_ms": got["cv2"], "speed": got["cv2"]["median"] / got["own"]["median"]}
    return {**times, "largest_difference": int(np.abs(own - theirs).max()), "mean_difference": float(np.abs(own - theirs).mean()), "threads": 1}


def opencv_call(op: str, image: Any, theta: Any) -> Any:
    import cv2

    if op == "jpeg":
        return checks.opencv_jpeg_bgr(image, int(theta[0]), checks.SUBSAMPLINGS[int(theta[1])])
    sigma = float(theta[0])
    width = 2 * int(np.ceil(2 * sigma)) + 1
    return cv2.GaussianBlur(image, (width, width), sigma, borderType=cv2.BORDER_REPLICATE)


# ---- a run -----------------------------------------------------------------------------------------------------------


def run(wanted: list[Setting], seconds: float) -> Iterator[dict[str, Any]]:
    for setting in wanted:
        try:
            yield row(setting, seconds)
        except Exception as error:  # out of memory, say; the row has no time, and the others go on
            yield {**setting.to_dict(), "checks": {"run": f"{type(error).__name__}: {error}"}, "ok": False}


class Special(NamedTuple):
    """A suite whose rows are made by code of its own: what it measures, its rows, and seconds for each on the CPU, in full and quick."""

    settings: Callable[[argparse.Namespace, str], list[Any]]
    run: Callable[[list[Any], float], Iterator[dict[str, Any]]]
    seconds: tuple[float, float]


SPECIAL = {
    "banks": Special(
        lambda a, backend: banks.settings(a.op, backend), lambda w, s: banks.run(w, photographs(), s), (banks.SECONDS, banks.QUICK_SECONDS)
    ),
    **dict.fromkeys(
        ("cpu", "peers"), Special(lambda a, b: beside.settings(a.suite, a.op, b, a.quick, a.batch), beside.run, (SECONDS, QUICK_SECONDS))
    ),
    "memory": Special(lambda a, backend: memory.settings(a.op, backend, a.quick, a.batch), memory.run, (0.0, 0.0)),
    "scaling": Special(lambda a, backend: scaling.settings(a.op, backend), scaling.run, (SECONDS, QUICK_SECONDS)),
    "host": Special(lambda a, backend: host.settings(a.op, a.batch), host.run, (SECONDS, QUICK_SECONDS)),
    "build": Special(lambda a, backend: build.settings(a.op), build.run, (0.0, 0.0)),
}
ONE_THREAD = "banks", "cpu"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--suite", choices=(*SUITES, *SPECIAL), default="ops", help="what is measured; benchmarks/README.md describes each")
    parser.add_argument("--backend", choices=("torch", "triton", "all"), default="all")
    parser.add_argument("--op", default="*", metavar="GLOB", help="names of ops, several with commas between, or of a bank's types, such as '*_blur'")
    parser.add_argument("--quick", action="store_true", help="fewer rows: uint8, and few sizes and batches")
    parser.add_argument("--batch", type=int, metavar="N", help="images in a batch, in place of each suite's own choice")
    parser.add_argument(
        "--seconds", type=float, metavar="S", help=f"timed per row on the CPU; by default {SECONDS:g}, of quick rows {QUICK_SECONDS:g}"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="torch's threads on the CPU; by default torch's own choice")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    from rich.console import Console
    from rich.progress import track

    args = parse(arguments)
    special = SPECIAL.get(args.suite)
    wanted = (
        special.settings(args, "auto" if args.backend == "all" else args.backend)
        if special
        else list(settings(args.suite, args.op, args.backend, args.quick, args.batch))
    )
    if not wanted:
        print(f"nothing to measure: nothing matches {args.op!r}, or backend {args.backend!r} cannot run here.", file=sys.stderr)
        return 1
    if args.suite in ONE_THREAD:
        args.threads = 1
    if args.threads:
        torch.set_num_threads(args.threads)
    seconds = (special.seconds if special else (SECONDS, QUICK_SECONDS))[args.quick] if args.seconds is None else args.seconds
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # before the run adds its own
    start = time.perf_counter()
    made = (special.run if special else run)(wanted, seconds)
    rows: list[dict[str, Any]] = []
    try:
        for each in track(made, total=len(wanted), description="rows", console=Console(stderr=True)):
            rows.append(each)
    except KeyboardInterrupt:
        print(f"stopped: {len(rows)} of {len(wanted)} rows were measured.", file=sys.stderr)
    result = {
        "machine": {**machine(*(PEERS_OF if args.suite in ("cpu", "peers") else ())), "load_before": load},
        "commit": commit(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "args": {name: value for name, value in vars(args).items() if name != "out"},
        "seconds": round(time.perf_counter() - start, 1),
        "rows": rows,
    }
    if args.out:
        write_whole(args.out, json.dumps(result, indent=1) + "\n")
    Console(width=None if sys.stdout.isatty() else 160).print(console_table(result))
    return 0 if len(rows) == len(wanted) and all(r["ok"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What loading costs with degradation in it: `python -m benchmarks.loading`, on the CPU.

A DataLoader over photographs in memory, gone through as a training loop does, without the network: with ARNIQA's degradation by per-image code in the
workers (`benchmarks.baselines`, the same chains), with `Transform` on each image and `Indexed` on each batch there, and with `DeviceLoader` on whole
batches in the main process, while the workers load. All take turns in one run, by the wall clock and by the time that the processor gave to this process and its workers, which other work
on the machine hardly changes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks import checks, timing
from benchmarks.banks import WHOLE, Setting, chains
from benchmarks.images import photographs
from benchmarks.machine import commit, machine
from benchmarks.text import checked, significant
from degrade import data
from degrade.storing import write_whole

COLUMNS = ("degradation", "images/s", "quartiles", "× per-image code", "ms of a core per image", "check")
RIGHT = COLUMNS[1:5]
PLAIN, THEIRS, EACH, INDEXED, BATCHES = (
    "none, loading alone",
    "per-image code in the workers",
    "`Transform` on each image in the workers",
    "`Indexed` in the workers",
    "`DeviceLoader` on batches in the main process",
)
OWN = EACH, INDEXED, BATCHES


class Photos(Dataset[Any]):
    """uint8 images in memory and their index, turned after each round of the photographs."""

    def __init__(self, count: int, size: int) -> None:
        self.images, self.count = photographs()[:, :, :size, :size].contiguous(), count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        turns, number = divmod(index, len(self.images))
        return torch.rot90(self.images[number], turns % 4, (1, 2)).contiguous(), index


class Transformed(Photos):
    """Each image through a transform, with the index as its id."""

    def __init__(self, count: int, size: int, transform: data.Transform) -> None:
        super().__init__(count, size)
        self.transform = transform

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        y: tuple[torch.Tensor, int] = self.transform(super().__getitem__(index))
        return y


class PerImage(Photos):
    """The chains that the bank draws, by the code that it replaces: one image at a time, float in 0…1."""

    def __init__(self, count: int, size: int, drawn: list[list[tuple[str, int]]]) -> None:
        super().__init__(count, size)
        self.drawn = drawn

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from benchmarks import baselines

        x = super().__getitem__(index)[0] / 255
        for name, level in self.drawn[index % len(self.drawn)]:
            x = baselines.ARNIQA[name](x, level)
        return x, index


def loops(workers: int, batch: int, count: int, size: int, backend: str) -> tuple[dict[str, Callable[[], int]], dict[str, str]]:
    """One epoch of each way, which gives the number of images, and what was checked."""
    setting = Setting("arniqa", WHOLE, "faithful", backend)
    pipe, photos = setting.pipeline(), Photos(count, size)

    def loader(dataset: Dataset[Any]) -> DataLoader[Any]:
        return DataLoader(dataset, batch_size=batch, num_workers=workers, persistent_workers=workers > 0)

    def through(batches: Any) -> Callable[[], int]:
        return lambda: sum(len(x) for x, _ in batches)

    each, indexed = Transformed(count, size, data.Transform(pipe, ids=1)), data.Indexed(photos, pipe)
    ways = {
        PLAIN: through(loader(photos)),
        THEIRS: through(loader(PerImage(count, size, chains(setting)))),
        EACH: through(loader(each)),
        INDEXED: through(loader(indexed)),
        BATCHES: through(data.DeviceLoader(loader(photos), pipe, "cpu", ids=1)),
    }
    want = pipe(torch.stack([photos[i][0] for i in range(batch)]), ids=np.arange(batch))
    made = {
        EACH: torch.stack([each[i][0] for i in range(batch)]),
        INDEXED: torch.stack([x for x, _ in indexed.__getitems__(range(batch))]),
        BATCHES: next(iter(data.DeviceLoader(loader(photos), pipe, "cpu", ids=1)))[0],
    }
    return ways, {name: checks.OK if torch.equal(got, want) else "another result than the batch" for name, got in made.items()}


def core_seconds() -> float:
    """What the processor gave to this process and its workers."""
    import psutil

    own = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (own, *own.children(recursive=True)))


def measure(workers: int, batch: int, count: int, size: int, rounds: int, backend: str = "auto") -> list[dict[str, Any]]:
    """A row for each way; after one epoch each, which starts workers and builds kernels, they take turns."""
    with timing.one_thread():
        ways, found = loops(workers, batch, count, size, backend)
        speeds: dict[str, list[float]] = {name: [] for name in ways}
        core: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for name, epoch in ways.items():
                used, start = core_seconds(), time.perf_counter()
                images = epoch()
                if number:
                    speeds[name].append(images / (time.perf_counter() - start))
                    core[name].append((core_seconds() - used) / images * 1e3)
    rows = []
    for name, own in speeds.items():
        said = {"alone": found.get(name, checks.ABSENT)}
        row: dict[str, Any] = {"way": name, "device": "cpu", "checks": said, "ok": not checks.red(said)}
        if row["ok"]:
            # Of each round by itself: what slows one way down mostly slows its neighbours too.
            times = statistics.median(a / b for a, b in zip(own, speeds[THEIRS]))
            row |= {"images_per_s": timing.summary(own), "times_per_image_code": times, "core_ms": timing.summary(core[name])}
        rows.append(row)
    return rows


def heading(a: dict[str, Any]) -> str:
    """What was loaded, and how."""
    workers = f"{a['workers']} worker{'s' if a['workers'] != 1 else ''}"
    return f'Loading {a["size"]}x{a["size"]} photographs with `banks.arniqa("faithful")`, {workers}, batches of {a["batch"]}'


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS."""
    if not row["ok"]:
        return [row["way"], *["—"] * 4, checked(row)]
    told, beside = row["images_per_s"], "" if row["way"] == PLAIN else f"{row['times_per_image_code']:.2f}"
    ran = any(said != checks.ABSENT for said in row["checks"].values())
    spread = f"{significant(told['q1'])}–{significant(told['q3'])}"
    return [row["way"], significant(told["median"]), spread, beside, f"{row['core_ms']['median']:.3g}", checked(row) if ran else ""]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loading", description=__doc__.split("\n")[0])
    parser.add_argument("--workers", type=int, default=1, help="processes of the loader; 0 for none")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=192, help="in an epoch")
    parser.add_argument("--size", type=int, default=224, help="height and width, at most 224")
    parser.add_argument("--rounds", type=int, default=5, help="epochs that are timed, of each way")
    parser.add_argument("--backend", choices=("auto", "torch", "triton"), default="auto")
    parser.add_argument("--note", default="", help="what else is to be known, such as other work on the machine")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the JSON")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    result: dict[str, Any] = {
        "machine": {**machine(), "load_before": os.getloadavg()[0]}, "commit": commit(), "date": datetime.now(timezone.utc).isoformat(timespec="seconds"), "note": args.note,
        "args": {"suite": "loading", **{k: v for k, v in vars(args).items() if k not in ("out", "note")}, "threads": 1},
    }  # fmt: skip
    result["rows"] = measure(args.workers, args.batch, args.images, args.size, args.rounds, args.backend)
    if args.out:
        write_whole(args.out, json.dumps(result, indent=1) + "\n")
    from benchmarks.report import markdown  # which shows this suite too

    print(markdown([result]))
    return 0 if all(row["ok"] for row in result["rows"]) else 1


if __name__ == "__main__":
    sys.exit(main())

"""What `degrade generate` takes beside reading and writing alone: the same sources decoded and the same results encoded by as many threads, in turns.

python -m benchmarks.generate --out benchmarks/results/generate-cpu-NAME.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks import timing
from benchmarks.machine import commit, machine
from benchmarks.text import checked, megabytes, significant
from degrade import Local, Pipeline, banks, datasets, masks
from degrade.cli.demo import photograph
from degrade.datasets import manifest
from degrade.datasets.decode import Decoder
from degrade.datasets.encode import encode
from degrade.datasets.generate import workers_of
from degrade.storing import write_whole

COLUMNS = ("pipeline", "results", "images/s", "× decode and encode alone", "memory", "check")
RIGHT = COLUMNS[1:5]
HEIGHT, WIDTH = 384, 512  # the size of KADIS-700k's references
PIPELINES = {
    "kadid10k": lambda: banks.kadid10k(seed=1),
    "kadid10k under masks": lambda: Pipeline(Local(banks.kadid10k().recipe, masks.Blob(area=(0.05, 0.4))), seed=1),
    "arniqa": lambda: banks.arniqa(seed=1),
}


def sources(folder: Path, count: int) -> None:
    """JPEG files of photographs, each another crop or turn."""
    from PIL import Image

    folder.mkdir()
    for i in range(count):
        image = np.rot90(photograph(i, WIDTH), i % 4)[:HEIGHT]
        Image.fromarray(np.roll(image, 7 * i, 1)).save(folder / f"{i:05d}.jpg", quality=95)


def codecs_alone(src: Path, made: Path, out: Path, format: str, workers: int) -> float:
    """Seconds to decode every source once, and to encode and write every result and mask of a finished run, whose pixels are there."""
    rows, decoder = manifest.read(made / manifest.FILE), Decoder()
    seconds = 0.0
    with ThreadPoolExecutor(workers) as pool:
        start = time.perf_counter()
        list(pool.map(lambda path: decoder(path.read_bytes()), sorted(src.iterdir())))
        seconds += time.perf_counter() - start
        for begin in range(0, len(rows), 64):  # the pixels of so many are held at once
            files = [(row[name], format if name == "file" else "png") for row in rows[begin : begin + 64] for name in ("file", "mask") if row[name]]
            pixels = [_pixels(made / file) for file, _ in files]
            start = time.perf_counter()
            list(pool.map(lambda job: manifest.write_durably(out / job[0][0], encode(job[1], job[0][1])), zip(files, pixels)))
            seconds += time.perf_counter() - start
    return seconds


def _pixels(path: Path) -> Any:
    from PIL import Image

    return np.asarray(Image.open(path))


def measure(name: str, images: int, per_image: int, format: str, workers: int, rounds: int) -> dict[str, Any]:
    """A row: a run, and the codecs of that run alone, in turns; and the memory that the process came to."""
    root = Path(tempfile.mkdtemp())
    try:
        src, made, copy = root / "src", root / "made", root / "copy"
        sources(src, images)
        whole: list[float] = []
        alone: list[float] = []
        run = partial(datasets.generate, src, PIPELINES[name](), made, per_image=per_image, format=format, workers=workers)
        run()  # builds the kernels
        for _ in range(rounds):
            shutil.rmtree(made)
            start = time.perf_counter()
            run()
            whole.append(time.perf_counter() - start)
            alone.append(codecs_alone(src, made, copy, format, workers))
            shutil.rmtree(copy)
        count, damaged = images * per_image, datasets.verify(made)
        checks = {"verify": "ok" if not damaged else f"{len(damaged)} files are not those of the manifest"}
        return {
            "pipeline": name, "device": "cpu", "checks": checks, "ok": not damaged, "images": images, "per_image": per_image, "format": format, "workers": workers, "size": [HEIGHT, WIDTH],
            "seconds": timing.summary(whole), "codecs_seconds": timing.summary(alone), "ratio": float(np.median(whole) / np.median(alone)),
            "images_per_s": count / float(np.median(whole)), "rss_bytes": psutil.Process().memory_info().rss,
        }  # fmt: skip
    finally:
        shutil.rmtree(root)


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS."""
    if not row["ok"]:
        return [row["pipeline"], *["—"] * 4, checked(row)]
    count, (height, width) = row["images"] * row["per_image"], row["size"]
    return [
        row["pipeline"], f"{count} of {width} x {height}, {row['format']}, {row['workers']} threads", significant(row["images_per_s"]), f"{row['ratio']:.2f}",
        megabytes(row["rss_bytes"]), checked(row),
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.generate", description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=96, help="sources")
    parser.add_argument("--per-image", type=int, default=5)
    parser.add_argument("--format", default="png")
    parser.add_argument("--workers", type=int, default=workers_of(None), help="threads, of the run and of the codecs alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the JSON")
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    rows = []
    for name in PIPELINES:
        rows.append(measure(name, args.images, args.per_image, args.format, args.workers, args.rounds))
        row = rows[-1]
        print("   ".join(f"{cell} {unit}" for cell, unit in zip(cells(row), ("", "", "images/s", "x codecs alone", "", ""))), flush=True)
    if args.out:
        told = {key: value for key, value in vars(args).items() if key != "out"}
        result = {
            "machine": {**machine(), "load_before": load}, "commit": commit(), "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "args": {"suite": "generate", **told}, "rows": rows,
        }  # fmt: skip
        write_whole(args.out, json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

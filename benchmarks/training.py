"""What the engine costs a step of self-supervised training: `python -m benchmarks.training --model vit_small --crops multi`.

A step is forward and backward through a network, in bfloat16 on a GPU: with no degradation, with it in line, and on a GPU with it on a side stream one batch
ahead. Two crops are two views of 224²; multi-crop adds eight of 96². Beside the time of a step stands how much of it the GPU is idle.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import timing
from benchmarks.images import photographs
from benchmarks.machine import commit, machine
from benchmarks.models import MODELS, make
from degrade import Pipeline, banks
from degrade.storing import write_whole

STEPS, ROUNDS = 8, 3
SIZE, LOCAL = 224, 3 / 7  # a local crop's side is that part of a global one's: 96 of 224
CROPS = {"two": (2, 0), "multi": (2, 8)}  # global and local crops of each image
Views = list[torch.Tensor]  # all global crops, then all local ones


class Training:
    """Steps of one network on one batch of uint8 images that is on the device."""

    def __init__(self, model: str, crops: str, batch: int, device: str, size: int = SIZE) -> None:
        self.device, self.batch = torch.device(device), batch
        net, self.source = make(model)
        self.net = net.to(self.device, memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(self.net.parameters(), 1e-3)
        self.pipe = Pipeline(banks.arniqa().recipe, seed=1)
        x = photographs(batch, size).to(self.device)
        small = max(16, round(size * LOCAL / 16) * 16)
        self.crops: Views = [
            (x if side == size else x[:, :, :side, :side]).repeat(count, 1, 1, 1) for count, side in zip(CROPS[crops], (size, small)) if count
        ]
        self.on_gpu = self.device.type == "cuda"
        if self.on_gpu:
            self.side = torch.cuda.Stream()
            self.ahead = self.degraded(0)

    def degraded(self, number: int) -> Views:
        """Every crop is a sample of its own; those of one size run in one call."""
        return [self.pipe(x, ids=np.arange(len(x)) + number * len(x), view=view) for view, x in enumerate(self.crops)]

    def step(self, views: Views) -> None:
        """InfoNCE between the two global crops, and of each local one with the first."""
        with torch.autocast("cuda", torch.bfloat16) if self.on_gpu else nullcontext():
            dtype = torch.bfloat16 if self.on_gpu else torch.float32
            found = [
                torch.nn.functional.normalize(self.net(x.to(memory_format=torch.channels_last).to(dtype) / 255)).split(self.batch) for x in views
            ]
            first, *others = itertools.chain.from_iterable(found)
            target = torch.arange(self.batch, device=self.device)
            loss = sum(torch.nn.functional.cross_entropy(first @ other.T / 0.1, target) for other in others)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        self.optimiser.step()

    def plain(self, number: int) -> None:
        self.step(self.crops)

    def in_line(self, number: int) -> None:
        self.step(self.degraded(number))

    def beside(self, number: int) -> None:
        """The next batch is degraded while this one trains."""
        main = torch.cuda.current_stream()
        main.wait_stream(self.side)
        views = self.ahead
        for view in views:
            view.record_stream(main)
        self.step(views)
        with torch.cuda.stream(self.side):
            self.ahead = self.degraded(number + 1)

    def ways(self) -> dict[str, Callable[[int], None]]:
        return {"plain": self.plain, "in line": self.in_line, **({"side stream": self.beside} if self.on_gpu else {})}

    def milliseconds(self, step: Callable[[int], None], number: int, steps: int) -> float:
        """Of one step, over several without waiting in between."""
        if self.on_gpu:
            torch.cuda.synchronize()
        start = time.perf_counter()
        for i in range(steps):
            step(number * steps + i)
        if self.on_gpu:
            torch.cuda.synchronize()
        return (time.perf_counter() - start) * 1e3 / steps


def idle(step: Callable[[int], None], steps: int) -> float | None:
    """The part of the time in which nothing runs on the GPU, by CUPTI; None where that cannot be seen. Profiling itself makes it greater."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    try:
        with torch.profiler.profile(activities=activities) as profile:
            for number in range(steps):
                step(number)
            torch.cuda.synchronize()
        spans = [(e.time_range.start, e.time_range.end) for e in profile.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    except RuntimeError:
        return None
    return gaps(spans) if spans else None


def gaps(spans: list[tuple[float, float]]) -> float:
    """The part between the first begin and the last end that no span covers."""
    spans = sorted(spans)
    busy, until = 0.0, spans[0][0]
    for begin, end in spans:
        busy += max(0.0, end - max(begin, until))
        until = max(until, end)
    return 1.0 - busy / (until - spans[0][0])


def measure(training: Training, steps: int = STEPS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Step times of each way, in turns, and on a GPU how much of them it is idle."""
    ways = training.ways()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for step in ways.values():
        training.milliseconds(step, 0, steps)
    for number in range(1, rounds + 1):
        for name, step in ways.items():
            taken[name].append(training.milliseconds(step, number, steps))
    out: dict[str, Any] = {"step_ms": {name: timing.summary(values) for name, values in taken.items()}}
    if training.on_gpu:
        out["idle"] = {name: idle(step, steps) for name, step in ways.items()}
    return out


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=MODELS, default="resnet50", help="tiny: to try the benchmark itself")
    parser.add_argument("--crops", choices=CROPS, default="two", help="two views of 224², or those and eight of 96²")
    parser.add_argument("--batch", type=int, default=128, help="images")
    parser.add_argument("--size", type=int, default=SIZE, help="side of a global crop, in pixels; for ViTs a multiple of 16")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of a round")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the JSON")
    args = parser.parse_args(arguments)
    if args.device == "cuda" and not torch.cuda.is_available():
        print("torch sees no GPU here; with --device cpu the step runs on the processor.", file=sys.stderr)
        return 1
    training = Training(args.model, args.crops, args.batch, args.device, args.size)
    found = measure(training, args.steps)
    if args.out:
        about = {"machine": machine("timm", "torchvision"), "commit": commit(), "date": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        said = {name: value for name, value in vars(args).items() if name != "out"}
        result = {**about, **said, "source": training.source, "views": sum(CROPS[args.crops]), "pipeline": "banks.arniqa()", **found}
        write_whole(args.out, json.dumps(result, indent=1) + "\n")
    base = found["step_ms"]["plain"]["median"]
    for name, stats in found["step_ms"].items():
        share = found.get("idle", {}).get(name)
        said = "" if share is None else f", GPU idle {share:.1%} of it"
        print(f"{name:<12}{stats['median']:8.2f} ms{stats['median'] / base - 1:+8.1%}{said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

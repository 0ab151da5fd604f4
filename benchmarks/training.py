"""What the engine costs a training step: `python -m benchmarks.training`, on a GPU, with torchvision.

A step of two views through a ResNet-50 in bfloat16, forward and backward, with no degradation, with it in line, and with it on a side
stream one batch ahead.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import timing
from benchmarks.run import commit, machine, photographs
from degrade import Pipeline, banks
from degrade.storing import write_whole

STEPS, ROUNDS = 8, 3


class Training:
    """Steps of one network on one batch of uint8 images that is on the device."""

    def __init__(self, batch: int) -> None:
        import torchvision

        self.x = photographs().repeat(-(-batch // 32), 1, 1, 1)[:batch].cuda()
        self.net = torchvision.models.resnet50().cuda().to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.SGD(self.net.parameters(), 1e-3)
        self.pipe = Pipeline(banks.arniqa().recipe, seed=1, backend="triton")
        self.side = torch.cuda.Stream()
        self.ids = np.arange(batch)
        self.ahead = self.degraded(0)

    def degraded(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        ids = self.ids + number * len(self.ids)
        return self.pipe(self.x, ids=ids, view=0), self.pipe(self.x, ids=ids, view=1)

    def step(self, views: tuple[torch.Tensor, torch.Tensor]) -> None:
        x = torch.cat(views).to(memory_format=torch.channels_last)
        with torch.autocast("cuda", torch.bfloat16):
            a, b = torch.nn.functional.normalize(self.net(x.to(torch.bfloat16) / 255)).chunk(2)
            loss = torch.nn.functional.cross_entropy(a @ b.T / 0.1, torch.arange(len(a), device=x.device))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def plain(self, number: int) -> None:
        self.step((self.x, self.x))

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


def milliseconds(step: Callable[[int], None], number: int) -> float:
    """Of one step, over several without waiting in between."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    for i in range(STEPS):
        step(number * STEPS + i)
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / STEPS


def measure(batch: int) -> dict[str, Any]:
    training = Training(batch)
    ways = {"plain": training.plain, "in line": training.in_line, "side stream": training.beside}
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for step in ways.values():
        milliseconds(step, 0)
    for number in range(1, ROUNDS + 1):
        for name, step in ways.items():
            taken[name].append(milliseconds(step, number))
    return {name: timing.summary(values) for name, values in taken.items()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.split("\n")[0])
    parser.add_argument("--batch", type=int, default=128, help="images, of which each gives two views")
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write the JSON")
    args = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("a training step is measured on a GPU; torch sees none here.", file=sys.stderr)
        return 1
    found = measure(args.batch)
    if args.out:
        result = {"machine": machine(), "commit": commit(), "batch": args.batch, "views": 2, "pipeline": "banks.arniqa()", "step_ms": found}
        write_whole(args.out, json.dumps(result, indent=1) + "\n")
    base = found["plain"]["median"]
    for name, stats in found.items():
        print(f"{name:<12}{stats['median']:8.2f} ms{stats['median'] / base - 1:+8.1%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

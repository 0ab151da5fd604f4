"""The suite `banks`: every type of ARNIQA and ImageNet-C, and ARNIQA as a whole, beside the code that they replace, on one CPU thread."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from benchmarks import checks, timing
from benchmarks.text import checked
from degrade import Pipeline, backends, banks

BATCHES = (1, 32)
LEVELS = range(1, 6)
SECONDS, QUICK_SECONDS = 0.5, 0.0  # timed per level, at least; three rounds in any case
WHOLE_SECONDS = 10.0  # until the clock or timing.CPU_MOST samples end it
COLUMNS = ("bank", "type", "op", "ms, batch 1", "ms, batch 32", "ms, theirs", "× batch 1", "× batch 32", "worst level", "check")
RIGHT = COLUMNS[3:9]
CAPTION = "ms per image, the mean of five levels; × is how many times faster this package is, below 1 slower"
# Whose fixed profile costs something else than the faithful one, which does what the published code does.
TWICE = ("jitter", "jpeg2000", "quantization")
WHOLE = "whole bank"  # no type, but what the bank draws: for ARNIQA one to four types per image


@dataclass(frozen=True)
class Setting:
    """One type. ARNIQA's are those of the faithful profile, so that both sides do the same."""

    bank: str
    type: str
    profile: str
    backend: str = "auto"

    def make(self) -> banks.Bank:
        options = {"seed": 1, "backend": self.backend}
        return banks.imagenet_c(**options) if self.bank == "imagenet_c" else banks.arniqa(self.profile, **options)

    def pipeline(self, level: int | None = None, backend: str = "") -> Pipeline:
        """The type at one level, or at any."""
        bank = self.make()
        if self.type != WHOLE:
            return bank.single(self.type, level, backend=backend or self.backend)
        bank.backend = backend or self.backend
        return bank

    @property
    def label(self) -> str:
        return f"{self.type} ({self.profile})" if self.type in TWICE and self.bank == "arniqa" else self.type


def settings(pattern: str, backend: str = "auto") -> list[Setting]:
    """The types whose name matches."""
    found = [Setting("arniqa", name, "faithful", backend) for name in (WHOLE, *banks.arniqa().types)]
    found += [Setting("arniqa", name, "fixed", backend) for name in TWICE]
    found += [Setting("imagenet_c", name, "", backend) for name in banks.imagenet_c().types]
    return sorted((s for s in found if fnmatch.fnmatch(s.type, pattern)), key=lambda s: (s.bank, s.label))


def run(wanted: list[Setting], images: torch.Tensor, seconds: float = SECONDS) -> Iterator[dict[str, Any]]:
    """A row for each; one that fails has no time, and the others go on."""
    for setting in wanted:
        row: dict[str, Any] = {**asdict(setting), "label": setting.label, "device": "cpu"}
        try:
            with timing.one_thread():
                yield {**row, **measure(setting, images, seconds)}
        except Exception as error:
            yield {**row, "op": "", "checks": {"run": f"{type(error).__name__}: {error}"}, "ok": False}


def measure(setting: Setting, images: torch.Tensor, seconds: float) -> dict[str, Any]:
    """Milliseconds of one image at each level: ours alone and in a batch, and theirs, in turns and by the process's own clock."""
    pipe = setting.pipeline()
    found = check(setting, pipe, images[: max(BATCHES) // 4])
    kind = WHOLE if setting.type == WHOLE else setting.make().types[setting.type].op.name
    out = {"op": kind, "checks": found, "ok": not checks.red(found), "ran_on": backends.choose(images, setting.backend)[0]}
    if not out["ok"]:
        return out
    levels, middle = ([None], "mean") if setting.type == WHOLE else (LEVELS, "median")  # samples of a whole bank differ in cost
    seconds = max(seconds, WHOLE_SECONDS) if setting.type == WHOLE else seconds
    calls = [contestants(setting, level, images) for level in levels]
    for number in range(timing.CPU_MOST if setting.type == WHOLE else 0):
        calls[0]["1"](number)  # builds what only some samples of a bank need
    taken = [timing.on_cpu(own, seconds, time.process_time) for own in calls]
    per_image = {name: [stats[name][middle] / (int(name) if name != "theirs" else 1) for stats in taken] for name in taken[0]}
    out["levels_ms"] = per_image
    out["ms"] = {name: float(np.mean(values)) for name, values in per_image.items()}
    out["speed"] = {str(b): out["ms"]["theirs"] / out["ms"][str(b)] for b in BATCHES}
    out["worst_level"] = min(theirs / own for b in BATCHES for theirs, own in zip(per_image["theirs"], per_image[str(b)]))
    out["rounds"] = [stats["theirs"]["repeats"] for stats in taken]
    return out


def check(setting: Setting, pipe: Pipeline, x: torch.Tensor) -> dict[str, str]:
    """A batch of all levels, shuffled and sample by sample, and by the twins."""
    ids = np.arange(len(x))
    y = pipe(x, ids=ids)
    twin = torch.equal(y, setting.pipeline(backend="torch")(x, ids=ids))
    return {"alone": checks.alone(pipe, x, y, ids), "twin": checks.OK if twin else "another result than the twins'"}


def contestants(setting: Setting, level: int | None, images: torch.Tensor) -> dict[str, timing.Call]:
    """Ours takes and returns uint8, drawing included; theirs takes one image in its own type."""
    pipe = setting.pipeline(level)

    def own(batch: int) -> timing.Call:
        starts = len(images) - batch + 1
        return lambda number: pipe(images[number % starts : number % starts + batch], ids=np.arange(number * batch, (number + 1) * batch))

    return {**{str(b): own(b) for b in BATCHES}, "theirs": theirs(setting, level, images)}


def theirs(setting: Setting, level: int | None, images: torch.Tensor) -> timing.Call:
    from benchmarks import baselines

    if setting.bank == "imagenet_c":
        arrays = images.permute(0, 2, 3, 1).contiguous().numpy()
        return lambda number: baselines.IMAGENET_C[setting.type](arrays[number % len(arrays)], level or 1)
    ready = images.to(torch.float32) / 255
    drawn = chains(setting) if level is None else [[(setting.type, level)]]

    def chain(number: int) -> torch.Tensor:
        x = ready[number % len(ready)]
        for name, strength in drawn[number % len(drawn)]:
            x = baselines.ARNIQA[name](x, strength)
        return x

    return chain


def chains(setting: Setting) -> list[list[tuple[str, int]]]:
    """For each of many samples the types and levels that the bank draws, for the code that has no programs."""
    bank = setting.make()
    by_op = {t.op.name: t.name for t in bank.types.values()}
    program = bank.sample(np.arange(timing.CPU_MOST + 1), (224, 224))
    drawn = [[(program.ops[c], level) for c, level in zip(*own) if c >= 0] for own in zip(program.code, program.level)]
    return [[(by_op[op], int(level)) for op, level in own if op in by_op] for own in drawn]


# ---- as a table ----------------------------------------------------------------------------------------------------------


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS."""
    head = [row["bank"], row["label"], row["op"]]
    if not row["ok"]:
        return [*head, *["—"] * 6, checked(row)]
    times = [f"{row['ms'][name]:.2f}" for name in (*map(str, BATCHES), "theirs")]
    return [*head, *times, *(f"{row['speed'][str(b)]:.2f}" for b in BATCHES), f"{row['worst_level']:.2f}", checked(row)]


def lost(row: dict[str, Any]) -> bool:
    """Whether the published code is faster, alone or in a batch."""
    return min(row["speed"].values()) < 1

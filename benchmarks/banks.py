"""The suite `banks`: every type of ARNIQA and ImageNet-C beside the code that it replaces, on one CPU thread."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks import checks, timing
from degrade import banks

if TYPE_CHECKING:
    from rich.table import Table

BATCHES = (1, 32)
LEVELS = range(1, 6)
SECONDS, QUICK_SECONDS = 0.5, 0.0  # timed per level, at least; three rounds in any case
COLUMNS = ("bank", "type", "op", "ms, batch 1", "ms, batch 32", "ms, theirs", "× batch 1", "× batch 32", "worst level", "check")
# Whose fixed profile costs something else than the faithful one, which does what the published code does.
TWICE = ("jitter", "jpeg2000", "quantization")


@dataclass(frozen=True)
class Setting:
    """One type. ARNIQA's are those of the faithful profile, so that both sides do the same."""

    bank: str
    type: str
    profile: str

    def make(self) -> banks.Bank:
        options = {"seed": 1, "backend": "torch"}
        return banks.imagenet_c(**options) if self.bank == "imagenet_c" else banks.arniqa(self.profile, **options)

    @property
    def label(self) -> str:
        return f"{self.type} ({self.profile})" if self.type in TWICE and self.bank == "arniqa" else self.type


def settings(pattern: str) -> list[Setting]:
    """The types whose name matches."""
    found = [Setting("arniqa", name, "faithful") for name in banks.arniqa().types]
    found += [Setting("arniqa", name, "fixed") for name in TWICE]
    found += [Setting("imagenet_c", name, "") for name in banks.imagenet_c().types]
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
    bank = setting.make()
    found = {"alone": alone(bank, setting.type, images[: max(BATCHES) // 4])}
    out = {"op": bank.types[setting.type].op.name, "checks": found, "ok": not checks.red(found)}
    if not out["ok"]:
        return out
    taken = [timing.on_cpu(contestants(bank, setting, level, images), seconds, time.process_time) for level in LEVELS]
    per_image = {name: [stats[name]["median"] / (int(name) if name != "theirs" else 1) for stats in taken] for name in taken[0]}
    out["levels_ms"] = per_image
    out["ms"] = {name: float(np.mean(values)) for name, values in per_image.items()}
    out["speed"] = {str(b): out["ms"]["theirs"] / out["ms"][str(b)] for b in BATCHES}
    out["worst_level"] = min(theirs / own for b in BATCHES for theirs, own in zip(per_image["theirs"], per_image[str(b)]))
    out["rounds"] = [stats["theirs"]["repeats"] for stats in taken]
    return out


def alone(bank: banks.Bank, name: str, x: torch.Tensor) -> str:
    """A batch of all levels, shuffled and sample by sample."""
    pipe = bank.single(name)
    return checks.alone(pipe, x, pipe(x, ids=np.arange(len(x))), np.arange(len(x)))


def contestants(bank: banks.Bank, setting: Setting, level: int, images: torch.Tensor) -> dict[str, timing.Call]:
    """Ours takes and returns uint8, drawing included; theirs takes one image in its own type."""
    pipe = bank.single(setting.type, level)

    def own(batch: int) -> timing.Call:
        starts = len(images) - batch + 1
        return lambda number: pipe(images[number % starts : number % starts + batch], ids=np.arange(number * batch, (number + 1) * batch))

    return {**{str(b): own(b) for b in BATCHES}, "theirs": theirs(setting, level, images)}


def theirs(setting: Setting, level: int, images: torch.Tensor) -> timing.Call:
    from benchmarks import baselines

    if setting.bank == "arniqa":
        ready: Any = images.to(torch.float32) / 255
        function: Callable[[Any, int], Any] = baselines.ARNIQA[setting.type]
    else:
        ready, function = images.permute(0, 2, 3, 1).contiguous().numpy(), baselines.IMAGENET_C[setting.type]
    return lambda number: function(ready[number % len(ready)], level)


# ---- as a table ----------------------------------------------------------------------------------------------------------


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS."""
    from benchmarks.report import checked

    head = [row["bank"], row["label"], row["op"]]
    if not row["ok"]:
        return [*head, *["—"] * 6, checked(row)]
    times = [f"{row['ms'][name]:.2f}" for name in (*map(str, BATCHES), "theirs")]
    return [*head, *times, *(f"{row['speed'][str(b)]:.2f}" for b in BATCHES), f"{row['worst_level']:.2f}", checked(row)]


def console_table(result: dict[str, Any], title: str) -> Table:
    """Types where the published code is faster are marked."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, caption="ms per image, the mean of five levels; × is how many times faster this package is, below 1 slower")
    for i, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if 3 <= i <= 8 else "left", overflow="fold")
    for row in result["rows"]:
        lost = row["ok"] and min(row["speed"].values()) < 1
        table.add_row(*(Text(c) for c in cells(row)), style="yellow" if lost else None if row["ok"] else "red")
    return table


def markdown(result: dict[str, Any], title: str) -> str:
    rule = ["--:" if 3 <= i <= 8 else "---" for i in range(len(COLUMNS))]
    lines = [COLUMNS, rule, *(cells(row) for row in result["rows"])]
    return "\n".join([f"**{title}**", "", *("| " + " | ".join(line) + " |" for line in lines)])

"""Pretraining on local degradations: `python -m examples.slide.train PHOTOS --out runs/local --steps 2000`.

Baselines are arguments: `--degradations whole` has the same types on whole frames, `--objective simclr` the usual pairs. `torchrun --nproc-per-node 2 -m
examples.slide.train …` spreads a batch over processes, with the loss of one. The same command continues a run that was cut off, exactly.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import typer
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from . import checkpoint, parallel
from .data import Crops, Photographs, Steps, degrade_batch, loader, pipeline
from .model import Shape, Slide
from .objective import Thresholds
from .step import Objective, loss, targets

AMP = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Config:
    """Everything that a result depends on, beside the photographs; a run is continued only by one that is equal."""

    steps: int
    batch: int = 64
    seed: int = 0
    degradations: str = "local"
    k: int = 3
    short_side: int | None = None
    lr: float = 5e-4
    weight_decay: float = 0.05
    warmup: int = 100
    clip: float = 1.0
    amp: str = "off"
    shape: Shape = field(default_factory=Shape)
    objective: Objective = field(default_factory=Objective)

    def __post_init__(self) -> None:
        for name, value in (("steps", self.steps), ("batch", self.batch)):
            if value < 1:
                raise ValueError(f"{name}={value} is not accepted; accepted: a whole number from 1.")
        if self.amp not in AMP:
            raise ValueError(f"amp={self.amp!r} is not accepted; accepted: auto, {', '.join(AMP)}.")

    def rate(self, step: int) -> float:
        """The share of the learning rate: a linear warm-up, then half a cosine down to 0."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        return 0.5 * (1 + math.cos(math.pi * (step - self.warmup) / max(self.steps - self.warmup, 1)))


class Clock:
    """Seconds by part of a step."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.spent = device, dict.fromkeys(("data", "degrade", "targets", "forward", "backward"), 0.0)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.spent[part] += time.perf_counter() - start

    def take(self) -> dict[str, float]:
        out = {f"s_{part}": round(seconds, 4) for part, seconds in self.spent.items()}
        self.spent = dict.fromkeys(self.spent, 0.0)
        return out


def run(
    photographs: Photographs,
    config: Config,
    out: Path,
    place: parallel.Place | None = None,
    stop_after: int | None = None,
    every: int = 200,
    workers: int = 0,
    fresh: bool = False,
    progress: bool = True,
) -> Slide:
    """Train, or go on where `out` was left; `out` gets `last.pt` and `log.jsonl`.

    Args:
        stop_after: leave off after that many steps, as if cut off there.
        every: steps between checkpoints.
        fresh: begin anew whatever is in `out`.
    """
    place = place or parallel.join()
    if config.batch % place.world:
        raise ValueError(f"batch={config.batch} is not accepted; accepted: a multiple of the {place.world} processes.")
    torch.manual_seed(config.seed)
    model = Slide(config.shape).to(place.device)
    optimiser = torch.optim.AdamW(groups(model, config.weight_decay), lr=config.lr)
    kind = AMP[config.amp]
    scaler = torch.amp.GradScaler(place.device.type, enabled=kind == torch.float16)
    parts = {"model": model, "optimizer": optimiser, "scaler": scaler}
    written, log = {**asdict(config), "images": fingerprint(photographs)}, out / "log.jsonl"
    out.mkdir(parents=True, exist_ok=True)
    start = checkpoint.restore(out / "last.pt", written, parts) if (out / "last.pt").exists() and not fresh else 0
    if place.rank == 0:
        keep_rows(log, start)
    pipe = pipeline(config.degradations, config.seed, config.k)
    net: nn.Module = DistributedDataParallel(model, [place.device] if place.device.type == "cuda" else None) if place.world > 1 else model
    stop = config.steps if stop_after is None else min(stop_after, config.steps)
    steps = Steps(start, stop, config.batch, config.objective.swap, place.rank, place.world)
    batches = iter(loader(Crops(photographs, config.seed), steps, workers, place.device.type == "cuda"))
    clock, skipped, own = Clock(place.device), skipped_before(log), config.objective
    model.train()
    for step in tqdm(range(start, stop), initial=start, total=stop, disable=not progress or place.rank > 0, unit="step"):
        for group in optimiser.param_groups:
            group["lr"] = config.lr * config.rate(step)
        with clock("data"):
            crops, numbers, programs = next(batches)
            crops = crops.to(place.device, non_blocking=True)
        with clock("degrade"):
            batch = degrade_batch(pipe, crops, numbers, programs)
        with clock("targets"):
            aim = targets(batch, own, config.shape.grid, config.seed, place.device)
        with clock("forward"):
            with torch.autocast(place.device.type, kind or torch.bfloat16, enabled=kind is not None):
                seen = net(batch.x.float() / 255)
            value, numbers_told = loss(seen, aim, own)
        with clock("backward"):
            if value is None:
                skipped += 1
                if skipped == 1:
                    warnings.warn(
                        f"step {step} is skipped: exclusion={own.exclusion!r} leaves no pair of its batch; further ones are counted in the log.",
                        stacklevel=1,
                    )
            else:
                optimise(value, model, optimiser, scaler, config.clip)
        if place.rank == 0:
            told = {"step": step, "loss": None if value is None else value.item(), "lr": optimiser.param_groups[0]["lr"], "skipped": skipped}
            with log.open("a") as file:
                file.write(json.dumps({**told, **numbers_told, **clock.take()}) + "\n")
        if place.rank == 0 and ((step + 1) % every == 0 or step + 1 == stop):
            checkpoint.save(out / "last.pt", written, step + 1, parts)
    return model


def optimise(value: Tensor, model: nn.Module, optimiser: torch.optim.Optimizer, scaler: torch.amp.GradScaler, clip: float) -> None:
    optimiser.zero_grad(set_to_none=True)
    scaler.scale(value).backward()  # type: ignore[no-untyped-call]
    scaler.unscale_(optimiser)
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    scaler.step(optimiser)
    scaler.update()


def groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms and position embeddings do not."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    free = [p for name, p in named if p.dim() < 2 or name.endswith("pos_embed")]
    decaying = [p for name, p in named if not (p.dim() < 2 or name.endswith("pos_embed"))]
    return [{"params": decaying, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def fingerprint(photographs: Photographs) -> str:
    """Which photographs, by their names."""
    names = "\n".join(entry.key for entry in photographs.found)
    return f"{len(photographs)} images, {hashlib.sha256(names.encode()).hexdigest()[:12]}"


def keep_rows(log: Path, start: int) -> None:
    """Drop what was logged after the checkpoint from which a run goes on."""
    rows = log.read_text().splitlines(keepends=True) if log.exists() and start else []
    log.write_text("".join(row for row in rows if row.endswith("\n") and json.loads(row)["step"] < start))


def skipped_before(log: Path) -> int:
    rows = log.read_text().splitlines() if log.exists() else []
    return json.loads(rows[-1])["skipped"] if rows else 0


def main(
    images: list[str] = typer.Argument(..., help="Folders, files, globs, tar or Parquet with photographs."),
    out: Path = typer.Option(..., help="Where last.pt and log.jsonl go; the same command continues there."),
    steps: int = typer.Option(0, help="Steps of training; or --epochs."),
    epochs: float = typer.Option(0, help="Passes over the photographs, in place of --steps."),
    batch: int = typer.Option(64, help="Photographs in a step, of all processes together; two crops of each."),
    seed: int = 0,
    size: int = typer.Option(128, help="Side of the crops, in pixels."),
    short_side: int = typer.Option(0, help="Reduce larger photographs to this short side first; 0 leaves them."),
    preset: str = typer.Option("mini", help="toy, mini, tiny or small."),
    grid: int = 4,
    local: str = typer.Option("tokens", help="What the local branch sees: tokens or crops."),
    trunks: str = typer.Option("shared", help="shared or separate."),
    pool: str = typer.Option("max", help="Of regions, in the embedding: max, mean or gem."),
    stem: str = typer.Option("patches", help="patches, or lite0: frozen stages of an ImageNet network, for short trainings."),
    degradations: str = typer.Option("local", help="local, whole or arniqa."),
    k: int = typer.Option(3, help="The most degradations of one image."),
    objective: str = typer.Option("slide", help="slide or simclr."),
    exclusion: str = typer.Option("both", help="Doubtful pairs leave: off (none), negatives, or both."),
    area: float = Thresholds.area,
    visible: float = Thresholds.visible,
    overlap: float = Thresholds.overlap,
    severity: tuple[float, float] = Thresholds.severity,
    scale: tuple[float, float] = Thresholds.scale,
    coverage: tuple[float, float] = Thresholds.coverage,
    temperature: float = 0.1,
    local_weight: float = 0.5,
    regions: int = 4,
    lr: float = 5e-4,
    weight_decay: float = 0.05,
    warmup: int = 100,
    clip: float = 1.0,
    amp: str = typer.Option("auto", help="auto (bf16 or fp16 on a GPU, off on a CPU), off, bf16 or fp16."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    workers: int = typer.Option(0, help="Processes that load photographs."),
    every: int = typer.Option(200, help="Steps between checkpoints."),
    stop_after: int = typer.Option(0, help="Leave off after so many steps, as if cut off; 0 goes on to the end."),
    fresh: bool = typer.Option(False, help="Begin anew, whatever is in --out."),
    progress: bool = True,
) -> None:
    """Pretrain a dual-branch ViT on degraded photographs."""
    try:
        place = parallel.join(device)
        if (steps > 0) == (epochs > 0):
            raise ValueError(f"--steps {steps} and --epochs {epochs:g}: accepted: one of them, above 0.")
        photographs = Photographs(images, size, short_side or None)
        thresholds = Thresholds(area, coverage, visible, severity, scale, overlap)
        config = Config(
            steps or math.ceil(epochs * len(photographs) / batch), batch, seed, degradations, k, short_side or None, lr, weight_decay, warmup, clip,
            chosen_amp(amp, place.device), Shape(preset, size, grid, local, trunks, pool, stem=stem),
            Objective(objective, exclusion, thresholds, temperature, local_weight, regions),
        )  # fmt: skip
        run(photographs, config, out, place, stop_after or None, every, workers, fresh, progress)
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    finally:
        parallel.leave()


def chosen_amp(amp: str, device: torch.device) -> str:
    if amp != "auto":
        return amp
    return "off" if device.type == "cpu" else "bf16" if torch.cuda.is_bf16_supported() else "fp16"


if __name__ == "__main__":
    typer.run(main)

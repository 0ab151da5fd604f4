"""Does pretraining on local degradations raise local sensitivity, and at what cost? `python -m examples.slide.experiment photos --out result`.

`photos` is what `photographs.py` made. Equal trainings but for where degradations are put, each with several seeds; then the blind-spot probe and the synthetic
evaluation of all of them, of their common beginning, and of statistics made by hand. Run again, it goes on where it was cut off.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import typer

import degrade
from degrade.probing import pictures
from degrade.probing.encoders import encoder

from . import evaluate, parallel, synthetic, train
from .data import Photographs
from .embed import Embedder
from .model import Shape, load, untrained

SHAPE = Shape("mini", size=96, grid=3, stem="lite0")
KINDS, SEEDS = ("local", "whole"), (0, 1, 2)
PROBE: dict[str, Any] = {"levels": (4,), "areas": (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0), "positions": ("random",)}


def config(kind: str, seed: int, steps: int) -> train.Config:
    """A training: one type an image, so that all that is seen is what one degradation does."""
    return train.Config(steps, batch=32, seed=seed, degradations=kind, k=1, lr=1e-3, warmup=50, shape=SHAPE)


def encoders(photos: Path, out: Path, steps: int) -> dict[str, Any]:
    """Trained where they are not yet; by name."""
    made: dict[str, Any] = {}
    for seed in SEEDS:
        for kind in KINDS:
            run = out / "runs" / f"{kind}-{seed}"
            train.run(Photographs([str(photos / "train")], SHAPE.size), config(kind, seed, steps), run, parallel.Place(0, 1, torch.device("cpu")))
            made[f"{kind} {seed}"] = load(run / "last.pt")
    made["untrained"] = untrained(SHAPE)
    made["statistics"] = encoder("statistics")
    return made


def probed(photos: Path, out: Path, made: dict[str, Any]) -> dict[str, Any]:
    """The probe's numbers over all types, and the main ones of each; out/probe has all of them."""
    images = pictures.read([str(photos / "held_out")], SHAPE.size, 1000).images
    data = degrade.probe(made, images, out / "probe", **PROBE).data
    kept = {name: data[name] for name in ("versions", "settings", "encoders", "unchanged", "controls", "overall")}
    return {
        **kept,
        "images": len(images),
        "types": {kind: {name: main_numbers(own) for name, own in of.items()} for kind, of in data["types"].items()},
    }


def main_numbers(own: dict[str, Any]) -> dict[str, Any]:
    return {"sensitivity": own["sensitivity"]["euclidean"], "auc": own["auc"]["local"], "threshold": own["threshold"]["local"]}


def rounded(value: Any) -> Any:
    """Numbers to five digits, wherever they are."""
    if isinstance(value, dict):
        return {key: rounded(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def told(photos: Path, out: Path, made: dict[str, Any]) -> dict[str, Any]:
    """What linear probes read from the embeddings."""
    settings = synthetic.Settings(SHAPE.size, count=1000, repeats=1)
    loaders = {name: (lambda name=name, one=one: Embedder(name, one, "cpu")) for name, one in made.items()}
    return evaluate.of_synthetic([str(photos / "held_out")], settings, evaluate.Common(loaders, 64, out / "embeddings", True))


def main(photos: Path, out: Path = typer.Option(...), steps: int = 1000) -> None:
    """Write out/experiment.json, and out/probe/ with the probe's figures."""
    made = encoders(photos, out, steps)
    result = {"training": asdict(config("local", 0, steps)), "probe": probed(photos, out, made), "synthetic": told(photos, out, made)}
    (out / "experiment.json").write_text(json.dumps(rounded(result)) + "\n")


if __name__ == "__main__":
    typer.run(main)

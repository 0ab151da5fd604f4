"""What encoders know of degradations: `python -m examples.slide.evaluate --checkpoint runs/local/last.pt --encoder timm:resnet18 synthetic photos/held_out
--out synthetic.json`, or `… scores --dataset kadid10k --root KADID/ --out kadid10k.json`.

Encoders stay as they are; probes on their embeddings are linear. All encoders of a command get the same images, splits and probes.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import typer

import degrade
from degrade.storing import write_whole

from . import embed, model, regress, synthetic
from . import scores as datasets

app = typer.Typer(add_completion=False, no_args_is_help=True)
NONE = "-"  # in place of a file of weights: none is given
LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "timm", "torchvision")
Loader = Callable[[], embed.Embedder]


class Common(NamedTuple):
    """What both commands share: encoders by name, loaded when it is their turn, and how they are called."""

    encoders: dict[str, Loader]
    batch: int
    cache: Path | None
    progress: bool


# ---- encoders ----------------------------------------------------------------------------------------------------------------------


def loaders(specs: Sequence[str], weights: Sequence[str], checkpoints: Sequence[Path], device: str) -> dict[str, Loader]:
    """Encoders by name: checkpoints of `train.py` by their paths, others as `degrade probe` names them, with the files of their weights.

    Raises:
        ValueError: none, two of one name, or weights that are neither none nor one for each spec.
    """
    if weights and len(weights) != len(specs):
        raise ValueError(f"--weights was given {len(weights)} times for {len(specs)} encoders; accepted: none, or one for each, {NONE} for none.")
    out: dict[str, Loader] = {}
    files = [None if file == NONE else Path(file) for file in weights] or [None] * len(specs)
    of_specs = [(called(spec, file), loader(spec, file, device)) for spec, file in zip(specs, files)]
    for name, one in [*((str(path), of_checkpoint(path, device)) for path in checkpoints), *of_specs]:
        if name in out:
            raise ValueError(f"encoder {name!r} is given twice; accepted: each once.")
        out[name] = one
    if not out:
        raise ValueError("no encoder is given; accepted: at least one --checkpoint or --encoder.")
    return out


def called(spec: str, weights: Path | None) -> str:
    """What an encoder is called in results: as its spec says, or by all of it."""
    name, given, _ = spec.partition("=")
    return name if given else f"{spec} {weights}" if weights else spec


def of_checkpoint(path: Path, device: str) -> Loader:
    def load() -> embed.Embedder:
        return embed.Embedder(str(path), model.load(path, device), device)

    return load


def loader(spec: str, weights: Path | None, device: str) -> Loader:
    def load() -> embed.Embedder:
        from degrade.probing.encoders import encoder

        return embed.Embedder(called(spec, weights), encoder(spec, weights, device), device)

    return load


# ---- both evaluations --------------------------------------------------------------------------------------------------------------


def of_synthetic(sources: Sequence[str], settings: synthetic.Settings, common: Common) -> dict[str, Any]:
    """What `synthetic.py` measures, by encoder and place."""
    given = synthetic.photographs(sources, settings)
    done = {place: synthetic.describe(given, place, settings) for place in synthetic.PLACES}
    found: dict[str, Any] = {}
    for name, load in common.encoders.items():
        encoder = load()
        found[name] = {}
        for place in synthetic.PLACES:
            x = synthetic.embed(given, place, settings, encoder, common.batch, common.cache, common.progress)
            found[name][place] = {"dimensions": x.shape[1], **synthetic.measure(done[place], x, settings)}
    counts = {"frames": len(given.x), "photographs": len(set(given.names)), "images": {place: len(rows.type) for place, rows in done.items()}}
    return report("synthetic", {"sources": list(sources), **asdict(settings)}, found, counts)


def of_scores(
    dataset: str, root: Path, common: Common, view: str = "crops", short_side: int = 0, splits: int = 10, seed: int = 0, workers: int = 0
) -> dict[str, Any]:
    """Correlations with human scores, by encoder: over random splits by reference, and in the authors' own split where there is one."""
    given = datasets.load(dataset, root)
    parts = regress.splits(given.groups, splits, seed=seed)
    own = None if given.split is None else [regress.published(given.split, given.groups, seed=seed)]
    found: dict[str, Any] = {}
    for name, load in common.encoders.items():
        x = embed.embed(given.files, load(), view, common.batch, common.cache, workers, common.progress, short_side)
        published = None if own is None else regress.probe(x, given.scores, own)["splits"][0]
        found[name] = {"dimensions": x.shape[1], **regress.probe(x, given.scores, parts), "published_split": published}
    counts = {"images": len(given), "groups": len(set(given.groups))}
    return report(
        "scores", {"dataset": given.name, "sign": given.sign, "view": view, "short_side": short_side, "splits": splits, "seed": seed}, found, counts
    )


def report(task: str, settings: dict[str, Any], encoders: dict[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
    return {"task": task, "settings": settings, "counts": counts, "versions": versions(), "encoders": encoders}


def versions() -> dict[str, str]:
    found = {"degrade": degrade.__version__, "stream": str(degrade.STREAM)}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The main numbers, a line for each encoder."""
    for name, rows in found["encoders"].items():
        if found["task"] == "scores":
            yield f"{name}: " + ", ".join(f"{key.upper()} {rows['median'][key]:.3f} ± {rows['std'][key]:.3f}" for key in regress.CORRELATIONS)
            continue
        for place, row in rows.items():
            told = (
                f"{key} {row[key]['mean']:.3f} ± {row[key]['std']:.3f}" for key in ("type_accuracy", "severity_srcc", "log_area_srcc") if row[key]
            )
            yield f"{name}, {place}: " + ", ".join(told)


# ---- the command line --------------------------------------------------------------------------------------------------------------


@contextmanager
def one_sentence() -> Iterator[None]:
    """What is wrong in one sentence, without a traceback."""
    try:
        yield
    except (ValueError, OSError, ModuleNotFoundError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None


@app.callback()
def main(
    context: typer.Context,
    encoder: list[str] = typer.Option(
        [], help="As for degrade probe: timm:NAME, torchvision:NAME, module:callable, statistics; NAME=… to call it so. Repeat it for several."
    ),
    weights: list[str] = typer.Option(
        [], help="A file of weights for each --encoder, in their order; random for random ones, - for the library's own."
    ),
    checkpoint: list[Path] = typer.Option([], help="last.pt of examples.slide.train. Repeat it for several."),
    device: str = typer.Option("auto", help="auto, cpu or cuda."),
    batch: int = typer.Option(16, min=1, help="Images embedded at once; of --view crops each makes ten."),
    cache: str = typer.Option("", help="A folder that keeps embeddings, so that a rerun is immediate."),
    progress: bool = True,
) -> None:
    """Evaluate frozen encoders by linear probes."""
    from degrade.datasets.generate import device_of

    # Asked for by the command, so that its --help needs no encoder.
    context.obj = lambda: Common(loaders(encoder, weights, checkpoint, device_of(device)), batch, Path(cache) if cache else None, progress)


@app.command("synthetic")
def command_synthetic(
    context: typer.Context,
    photographs: list[str] = typer.Argument(..., help="Folders, files, globs, tar or Parquet with photographs that no encoder was trained on."),
    out: Path = typer.Option(..., help="The JSON file to write."),
    size: int = typer.Option(synthetic.Settings.size, help="Side of the frames, in pixels, for every encoder; smaller photographs are left out."),
    count: int = typer.Option(synthetic.Settings.count, help="Photographs at most."),
    repeats: int = typer.Option(synthetic.Settings.repeats, help="Images of each photograph and type."),
    severity: str = typer.Option(synthetic.Settings.severity, help="What levels mean: perceptual or published."),
    folds: int = typer.Option(synthetic.Settings.folds, help="Of photographs."),
    seed: int = 0,
) -> None:
    """Type, level and area of known degradations, without human scores."""
    with one_sentence():
        finish(of_synthetic(photographs, synthetic.Settings(size, count, repeats, severity, folds, seed), context.obj()), out)


@app.command("scores")
def command_scores(
    context: typer.Context,
    dataset: str = typer.Option(..., help=", ".join(datasets.SOURCES)),
    root: Path = typer.Option(..., help="The folder that its authors' files were unpacked into."),
    out: Path = typer.Option(..., help="The JSON file to write."),
    view: str = typer.Option("crops", help="crops (five of the frame, five at half its size) or whole."),
    short_side: int = typer.Option(0, help="Reduce larger images to this short side first, as SPAQ's authors do to 512; 0 leaves them."),
    splits: int = typer.Option(10, help="Random splits of 80 to 20 % by reference."),
    seed: int = 0,
    workers: int = typer.Option(0, help="Processes that read images."),
) -> None:
    """Correlation with human scores."""
    with one_sentence():
        finish(of_scores(dataset, root, context.obj(), view, short_side, splits, seed, workers), out)


def finish(found: dict[str, Any], out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, json.dumps(found, indent=1) + "\n")
    for line in lines(found):
        typer.echo(line)


if __name__ == "__main__":
    app()

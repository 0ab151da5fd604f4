"""Degrade whole data sets: `degrade generate` as a function."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from degrade import banks
from degrade.banks.base import Bank
from degrade.errors import unknown
from degrade.masks.base import Mask
from degrade.pipeline import Pipeline
from degrade.recipe import Local, masks_of

from . import manifest
from .decode import MOST_PIXELS, Decoder
from .encode import check_format
from .job import PER_SHARD, Job, claimed, is_draft, to_text, variants
from .shard import Shard, part_of
from .sources import SUFFIXES, entries, names

ENGINES = ("local", "ray")


@dataclass(frozen=True)
class Summary:
    """What a run came to, with what earlier runs of the same job had done."""

    out: Path
    images: int
    errors: int
    skipped: int


def generate(
    sources: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    pipeline: Pipeline,
    out: str | os.PathLike[str],
    per_image: int = 1,
    all_levels: bool = False,
    shards: int | None = None,
    format: str = "png",
    workers: int | None = None,
    device: str = "auto",
    color: str = "srgb",
    alpha: str = "white",
    min_quality: int = 0,
    max_pixels: int = MOST_PIXELS,
    strict: bool = False,
    mask: Mask | None = None,
    engine: str = "local",
    address: str | None = None,
    progress: Callable[..., None] | None = None,
) -> Summary:
    """Degrade every image of the sources and write results, masks and a manifest. Run again, it goes on where it was cut off.

    Args:
        sources: images, folders, globs, `.tar` and `.parquet` files, saved Hugging Face data sets.
        pipeline: what is done; masks that a call gives cannot be part of it.
        out: a folder: `images/`, `masks/` where there are masks, `manifest.parquet`, `errors.parquet`, `job.json`.
        per_image: results of each image, each drawn by itself.
        all_levels: of a bank, every type at every level in place of what it draws.
        shards: parts that are committed one after the other; by default one for each 256 images. Results do not depend on it.
        format: "png", "jpg" (quality 95: degrades once more), "webp" (without loss).
        workers: threads that decode and encode, by default one more than there are processors; of a cluster shards at once, one for each.
        device: "auto", "cpu", "cuda", …
        color: "srgb" converts by ICC profiles, "raw" does not.
        alpha: "white" or "black" paper shows through, or "drop".
        min_quality: JPEG sources of a lower estimated quality are skipped, 0 to 100.
        max_pixels: larger sources are refused.
        strict: stop at the first source that cannot be read, in place of listing it.
        mask: confine all that is done to such a mask, drawn for each result: localized variants of a bank.
        engine: "local" does one shard after the other; "ray" as many at once as there are workers, here or on a cluster. Same bits.
        address: for "ray", of a cluster that runs; None begins one on this machine.
        progress: called with the numbers of images written and of errors since the last call; once, before, with how many images there
            will be at most as `total=`, those of earlier runs not counted.

    Raises:
        ValueError: bad input, naming the argument; with `strict`, a source that cannot be read. OSError: results that cannot be written.
    """
    if engine not in ENGINES:
        raise ValueError(unknown("engine", engine, ENGINES))
    threads, folder = workers_of(workers, engine), Path(out)
    where = device if engine == "ray" else device_of(device)  # on a cluster each worker finds its own
    sources = [sources] if isinstance(sources, (str, os.PathLike)) else sources
    for source in sources:
        if os.path.isdir(source) and folder.resolve().is_relative_to(Path(source).resolve()):
            raise ValueError(
                f"--out {str(out)!r} lies in SRC {os.fspath(source)!r}, where results would become sources; accepted: a folder elsewhere."
            )
    job = plan(sources, pipeline, per_image, all_levels, shards, format, Decoder(color, alpha, max_pixels, min_quality), strict, mask)
    with claimed(folder):
        job.settle(folder)
        if engine == "ray":
            from .cluster import run_on_ray

            run_on_ray(folder, todo(job, folder), threads, where, address, progress)
        else:
            run(job, folder, threads, where, progress)
        return finish(job, folder)


def plan(
    sources: Any,
    pipeline: Pipeline,
    per_image: int,
    all_levels: bool,
    shards: int | None,
    format: str,
    decoder: Decoder,
    strict: bool,
    mask: Mask | None = None,
) -> Job:
    """The job of these arguments, which are checked."""
    if not isinstance(pipeline, Pipeline):
        raise TypeError(f"pipeline is a {type(pipeline).__name__}; accepted: degrade.Pipeline.")
    if per_image < 1:
        raise ValueError(f"per_image={per_image} is not positive; accepted: 1 or more.")
    if waits_for_call(pipeline):
        raise ValueError(
            "pipeline holds masks that a call gives (FromTensor without a tensor, Segments); accepted: masks that are drawn, stored or made of the image."
        )
    found, refused = entries(sources)
    if strict and refused:
        raise ValueError(f"{refused[0][0]!r} cannot be looked into: {refused[0][1]}.")
    if not found:
        why = f" ({refused[0][0]!r}: {refused[0][1]})" if refused else ""
        raise ValueError(f"SRC holds no image{why}; accepted: files that end in {', '.join(SUFFIXES)}, or tables of them.")
    pipelines, given = levels(pipeline) if all_levels else ([pipeline], None)
    if mask is not None:
        pipelines = [Pipeline(Local(own.recipe, mask), seed=own.seed) for own in pipelines]
    count = shards if shards is not None else -(-len(found) // PER_SHARD)
    if not 1 <= count:
        raise ValueError(f"shards={count} is not positive; accepted: 1 or more.")
    return Job(
        tuple(found), tuple(names(found)), tuple(map(to_text, pipelines)), variants(pipelines, per_image, given), check_format(format), decoder.check(),
        min(count, len(found)), strict, tuple(refused),
    )  # fmt: skip


def waits_for_call(pipeline: Pipeline) -> bool:
    """Whether some mask is neither drawn, stored, nor made of the image."""
    return any(mask.name == "segments" or (mask.name == "from_tensor" and mask.bank is None) for mask, _ in masks_of(pipeline.recipe))


def levels(pipeline: Pipeline) -> tuple[list[Pipeline], list[str]]:
    """Every type of a bank at every level, and how files are called: by the numbers of both, as those of KADID-10k are."""
    if not isinstance(pipeline, Bank):
        raise ValueError(f"all_levels goes with a bank; accepted: one of {', '.join(banks.__all__)}.")
    made, called = [], []
    for number, name in enumerate(pipeline.types, start=1):
        for level in range(1, 6):
            made.append(pipeline.single(name, level, seed=pipeline.seed))
            called.append(f"{number:02d}_{level:02d}")
    return made, called


def workers_of(workers: int | None, engine: str = "local") -> int:
    """How many threads decode and encode; of a cluster, how many shards are done at once."""
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers} is not positive; accepted: 1 or more.")
    processors = os.cpu_count() or 1
    return workers or (processors + 1 if engine == "local" else processors)  # one of them waits for the disk, most of the time


def device_of(device: str) -> str:
    """Where images are degraded."""
    where = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=where)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # by the kind of device, torch raises one or another
        raise ValueError(f"device={device!r} cannot be used: {str(error).splitlines()[0]}; accepted: auto, cpu, cuda where there is a GPU.") from None
    return where


def run(job: Job, out: Path, workers: int, device: str, progress: Callable[..., None] | None) -> None:
    """All shards that are not done yet, one after the other."""
    pipelines, left = job.made(), todo(job, out)
    if progress:
        progress(0, 0, total=sum(len(job.shard(number)) for number in left) * len(job.variants))
    for number in left:
        Shard(job, number, out, pipelines, workers, device).run(*([progress] if progress else []))


def todo(job: Job, out: Path) -> list[int]:
    """The shards that are not committed."""
    return [number for number in range(job.shards) if not part_of(out, number).exists()]


def finish(job: Job, out: Path) -> Summary:
    """Join the parts of the manifest; drafts that a killed run left are removed."""
    for draft in filter(is_draft, out.rglob(".*.part")):
        draft.unlink()
    rows = manifest.join(out, (part_of(out, n) for n in range(job.shards)), manifest.FILE, manifest.schema())
    refused = [{"key": path, "source": path, "kind": "error", "reason": reason} for path, reason in job.refused]
    manifest.join(out, (part_of(out, n, "errors") for n in range(job.shards)), manifest.ERRORS, manifest.error_schema(), refused)
    kinds = Counter(error["kind"] for error in manifest.read(out / manifest.ERRORS))
    return Summary(out, rows, kinds["error"], kinds["skipped"])

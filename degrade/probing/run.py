"""`degrade.probe`: how well an encoder sees what is wrong in a part of an image."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from degrade import backends
from degrade.datasets.generate import device_of
from degrade.distributions import Array
from degrade.errors import unknown
from degrade.inputs import Images, check_values, content_ids
from degrade.stream import STREAM

from . import bootstrap, summary
from .conditions import AREAS, LEVELS, POSITIONS, settings
from .detection import FEWEST, FOLDS, SHRINKAGE
from .embedding import NULL, check_sizes, named
from .measure import SMALLEST, WINDOW
from .store import Store
from .sweep import Sweep


@dataclass(frozen=True)
class Probe:
    """What a probe found, as plain data; `save` writes it with figures and a page."""

    data: dict[str, Any]

    def save(self, out: str | os.PathLike[str]) -> list[Path]:
        """Write probe.json, the figures, and probe.html into a folder, which is made; returns the files.

        Raises:
            ModuleNotFoundError: if matplotlib is not installed. OSError: if a file cannot be written.
        """
        from .page import write

        return write(self.data, Path(out))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One dict for each condition."""
        out: list[dict[str, Any]] = self.data["rows"]
        return out

    def __repr__(self) -> str:
        return f"Probe of {', '.join(self.data['encoders'])} with {len(self.rows)} conditions of {self.data['images']['count']} images"


def probe(
    encoder: Any,
    images: torch.Tensor | Sequence[torch.Tensor],
    out: str | os.PathLike[str] | None = None,
    *,
    types: Sequence[str] | str | None = None,
    levels: Sequence[float] | float = LEVELS,
    areas: Sequence[float] | float = AREAS,
    positions: Any = POSITIONS,
    feather: float = 0.0,
    tolerance: float = 0.1,
    threshold: float = 0.75,
    resamples: int = bootstrap.RESAMPLES,
    seed: int = 0,
    batch: int = 32,
    device: str = "auto",
    backend: str = "auto",
    progress: Callable[..., None] | None = None,
) -> Probe:
    """Measure how an encoder's sensitivity and detection fall with the area that a degradation covers, against whole frames of equal error.

    Every type at every level is applied under discs of every area at every position, and for each image over the whole frame twice: as strongly
    as gives the same MSE, and the same 1 − SSIM. An encoder that sees a small degradation as well as a large one of equal error has local
    sensitivity 1; the pixels themselves, which always run as the null, have it by definition against equal MSE. docs/probe.md has the formulas.

    Args:
        encoder: a callable from images b 3 h w, float32 in 0…1, to embeddings b d; several in a list, or in a dict by name. A name
            such as "timm:resnet18" is loaded, and a module called in eval mode, by `degrade.probing.encoders.encoder`.
        images: n 3 h w, uint8 or float in 0…1, all different, or a list of 3 h w of one size; at least 4, and 24 or more for narrow intervals.
        out: a folder where embeddings are kept, so that a run that was cut off goes on there; results are then saved there, too.
        types: names of KADID-10k's types; by default all 25.
        levels: of the types, 1 to 5; fractions interpolate. Levels that change nothing are named and left out.
        areas: fractions of the frame, 0.001 to 1.
        positions: "centre", "random" (an image's own place), "grid" (3 x 3), or pairs (y, x) of fractions.
        feather: full width of the masks' ramp in √(h·w), 0 for the thinnest.
        tolerance: a control is left out if its error is farther than this from the condition's, as a part of it.
        threshold: the AUC whose area is looked for, above 0.5 to 1.
        resamples: of the bootstrap over images.
        seed: of noise, places and resamples.
        batch: images rendered and embedded at once.
        device: where images are rendered and encoders called: "auto", "cpu", "cuda", …
        backend: of the engine: "auto", "torch" or "triton".
        progress: called with how many images were done since the last call; once, before, with how many there are as `total=`.

    Raises:
        ValueError, TypeError: bad input, naming the argument, the value and what is accepted; a folder of another configuration.
    """
    chosen = settings(types, levels, areas, positions, feather, seed, tolerance)
    if not isinstance(batch, int) or batch < 1:
        raise ValueError(f"batch={batch!r} is not accepted; accepted: a whole number from 1.")
    if not isinstance(resamples, int) or resamples < 1:
        raise ValueError(f"resamples={resamples!r} is not accepted; accepted: a whole number from 1.")
    if not 0.5 < threshold <= 1.0:
        raise ValueError(f"threshold={threshold!r} is out of range; accepted: above 0.5, to 1.")
    if backend not in backends.NAMES:
        raise ValueError(unknown("backend", backend, backends.NAMES))
    where = device_of(device)
    encoders = named(encoder, where)
    x, ids = prepared(images)
    size = int(x.shape[2]), int(x.shape[3])
    check_sizes(encoders, size)
    about: dict[str, Any] = {"settings": chosen.to_dict(), "images": [str(i) for i in ids], "size": list(size), "encoders": list(encoders)}
    store = Store(None if out is None else Path(out), about)
    sweep = Sweep(chosen, x.to(where), ids, encoders, store, batch, backend)
    sweep.run(progress)

    known, unchanged = summary.table(chosen, store)
    weight = bootstrap.weights(len(ids), resamples, seed)
    names = [*encoders, NULL]
    found = {name: summary.measured(i, name == NULL, chosen, store, known, weight) for i, name in enumerate(names)}
    of_type = np.array([c.type for c in known.conditions])
    present = [name for name in chosen.types if (of_type == name).any()]
    data = {
        "made_by": "degrade probe",
        "versions": _versions(),
        "settings": {
            **about["settings"], "threshold": threshold, "resamples": resamples, "interval": f"{bootstrap.COVERAGE:g} % percentile, over images",
            "ssim": f"Gaussian window of {WINDOW} pixels, sigma 1.5, data range 1", "detector": f"ridge, {SHRINKAGE:g} of the mean eigenvalue, {FOLDS} folds of images",
        },
        "images": {"count": len(ids), "size": list(size), "ids": about["images"]},
        "encoders": names,
        "null": NULL,
        "unchanged": unchanged,
        "controls": summary.mismatches(known, present),
        "overall": {name: summary.by_area(one, np.ones(len(of_type), dtype=bool), known, chosen.areas, threshold) for name, one in found.items()},
        "types": {
            kind: {name: summary.by_area(one, of_type == kind, known, chosen.areas, threshold) for name, one in found.items()} for kind in present
        },
        "rows": summary.rows(known, found),
    }  # fmt: skip
    done = Probe(data)
    if out is not None:
        done.save(out)
    return done


def prepared(images: Any) -> tuple[torch.Tensor, Array]:
    """Images as n 3 h w float32 in 0…1 and their ids, made of what they hold, in order of the ids: nothing depends on the order given.

    Raises:
        ValueError, TypeError: too few, too small, equal ones, several sizes, or none at all.
    """
    if not isinstance(images, torch.Tensor):
        several = [one if isinstance(one, torch.Tensor) else torch.as_tensor(one) for one in images]
        if len({one.shape for one in several}) > 1:
            raise ValueError(f"images have shapes {', '.join(str(tuple(s)) for s in sorted({one.shape for one in several}))}; accepted: one size.")
        if not several:
            raise ValueError(f"images is empty; accepted: at least {FEWEST} images.")
        images = torch.stack(several)
    x = Images(images).batch.detach().cpu()
    check_values(x)
    if len(x) < FEWEST:
        raise ValueError(f"images holds {len(x)}; accepted: at least {FEWEST}, for no image may be in both training and test of the detector.")
    if min(x.shape[2:]) < SMALLEST:
        raise ValueError(f"images have {x.shape[2]}x{x.shape[3]} pixels; accepted: at least {SMALLEST} a side, for SSIM's window.")
    x = x.to(torch.float32).div(255.0) if x.dtype == torch.uint8 else x.to(torch.float32).clamp(0.0, 1.0)
    ids = content_ids(x)
    order = ids.argsort(kind="stable")
    equal = np.flatnonzero(np.diff(ids[order]) == 0)
    if len(equal):
        first, second = sorted(order[equal[0] : equal[0] + 2].tolist())
        raise ValueError(f"images {first} and {second} are equal; accepted: different ones, which can be resampled.")
    return x[torch.from_numpy(order)].contiguous(), ids[order]


def _versions() -> dict[str, str | int]:
    from importlib.metadata import version

    import degrade

    return {
        "degrade": degrade.__version__, "stream": STREAM, "torch": torch.__version__, "numpy": np.__version__, "kornia": version("kornia"),
        "python": platform.python_version(),
    }  # fmt: skip

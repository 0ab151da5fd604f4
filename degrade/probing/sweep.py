"""Rendering and embedding: every condition, and for each image the two whole frames that have its error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch

from degrade.distributions import Array
from degrade.labels import Labels
from degrade.pipeline import apply
from degrade.program import Program

from .conditions import Condition, Settings
from .embedding import NULL, Call, embed, pooled
from .matching import insert, invert, mismatch
from .measure import ERRORS, mse
from .programs import Degradation, discs
from .store import CLEAN, Part, Store, name_of

ROUNDS = 3  # a control is rendered at most so often until its error is near enough
FINE = 0.1  # of the tolerance: what is not refined further
KINDS = ("local", *ERRORS)  # what is embedded: the condition, and the control for each error

Progress = Callable[..., None]


class Sweep:
    """All parts of a probe.

    Args:
        settings: what is probed.
        x: (n, 3, h, w) float32 in 0…1, the clean images on the device where all is done.
        ids: (n,) of the images.
        encoders: by name; the null is added.
        store: where parts are kept.
        batch: images rendered and embedded at once.
        backend: of the engine.
    """

    def __init__(self, settings: Settings, x: torch.Tensor, ids: Array, encoders: Mapping[str, Call], store: Store, batch: int, backend: str) -> None:
        self.settings, self.x, self.ids, self.encoders, self.store, self.batch, self.backend = settings, x, ids, encoders, store, batch, backend
        self.size = (int(x.shape[2]), int(x.shape[3]))
        self.counts = {"rendered": 0, "embedded": 0}

    def run(self, progress: Progress | None = None) -> None:
        """Make what the store lacks. progress: called with how many images were done since; once, before, with `total=`."""
        left = [(name, level) for name, level in self.settings.parts() if not self.store.has(name_of(name, level))]
        if progress:
            progress(0, total=sum(len(self.settings.of(*part)) for part in left) * len(KINDS) * len(self.ids))
        self._clean()
        curves: dict[tuple[str, float], tuple[Array, dict[str, Array]]] = {}
        for name, level in left:
            of = Degradation(name, level, self.ids, self.size, self.settings.seed)
            conditions = self.settings.of(name, level)
            if not of.unchanged:
                if (name, of.side) not in curves:
                    curves = {(name, of.side): self._curves(of)}  # shared by the levels, of which one type's follow each other
                self.store.write(name_of(name, level), self._part(of, conditions, *curves[name, of.side], progress))
            else:
                self.store.write(name_of(name, level), {})
                if progress:
                    progress(len(conditions) * len(KINDS) * len(self.ids))

    def _clean(self) -> None:
        """Embed the clean images, or see that the encoders are those of the run that goes on here."""
        images, out = np.arange(len(self.ids)), Part()
        for rows in self._batches(len(images)):
            self._embed(images[rows], self.x[rows[0] : rows[-1] + 1], rows, "clean", np.zeros(len(rows)), out, len(images))
        if not self.store.has(CLEAN):
            self.store.write(CLEAN, out)
            return
        before = self.store.read(CLEAN)
        for i, name in enumerate(self.encoders):
            old, new = before[f"clean/{i}"], out[f"clean/{i}"]
            if old.shape != new.shape or not np.allclose(old, new, rtol=1e-2, atol=1e-2 * float(new.std()) + 1e-12):
                raise ValueError(
                    f"encoder {name!r} gives other embeddings than in the run that was begun in out={str(self.store.out)!r}; "
                    "accepted: the same weights, or an empty folder."
                )

    # ---- one type at one level -------------------------------------------------------------------------------------------

    def _curves(self, of: Degradation) -> tuple[Array, dict[str, Array]]:
        """Strengths (g,), and of each kind the errors (n, g) of whole frames at them."""
        strengths, n = of.strengths(), len(self.ids)
        errors = {kind: np.zeros((n, len(strengths))) for kind in ERRORS}
        images, steps = np.repeat(np.arange(n), len(strengths)), np.tile(np.arange(len(strengths)), n)
        for rows, x, y, _ in self._rendered(of, images, strengths[steps]):
            for kind, measure in ERRORS.items():
                errors[kind][images[rows], steps[rows]] = measure(x, y)
        return strengths, errors

    def _part(self, of: Degradation, conditions: list[Condition], strengths: Array, errors: dict[str, Array], progress: Progress | None) -> Part:
        """All conditions of one type at one level and their controls: arrays (c, n, …).

        `area` is what the masks cover. `local/…` are of the condition, `mse/…` and `ssim/…` of the whole frames matched in that; of each the
        embeddings of the encoders by number, and the distances of the null.
        """
        c, n = len(conditions), len(self.ids)
        out: Part = {"local/mse": np.zeros(c * n), "local/ssim": np.zeros(c * n), "area": np.zeros(c * n)}
        masks = discs(conditions, self.ids, self.size, self.settings.feather, self.settings.seed).reshape(c * n, -1)
        images = np.tile(np.arange(n), c)
        for rows, x, y, program in self._rendered(of, images, np.full(c * n, of.strength), masks):
            for kind, measure in ERRORS.items():
                out[f"local/{kind}"][rows] = measure(x, y)
            out["area"][rows] = Labels(program).area[:, 0].numpy()
            self._embed(images[rows], y, rows, "local", out["local/mse"][rows], out, c * n)
            if progress:
                progress(len(rows))
        for kind in ERRORS:
            self._controls(of, kind, images, masks[:, 0] < 0.0, strengths, errors[kind], out)
            if progress:
                progress(c * n)
        return {key: value.reshape(c, n, *value.shape[1:]) for key, value in out.items()}

    def _controls(self, of: Degradation, kind: str, images: Array, whole: Array, strengths: Array, errors: Array, out: Part) -> None:
        """The whole frames that have the conditions' errors of one kind. What covers the whole frame is its own control.

        The strength is read off the image's own curve, rendered and measured, and the curve refined with what was measured, up to three times.
        What comes as near as the tolerance asks is embedded, the rest stays NaN.
        """
        target, count = out[f"local/{kind}"], len(images)
        best, off, got = np.zeros(count), np.full(count, np.inf), np.zeros(count)
        best[whole], off[whole], got[whole] = of.strength, np.where(target[whole] > 0.0, 0.0, np.inf), target[whole]
        for key in self.kept:
            own = out[f"{kind}/{key}"] = np.full_like(out[f"local/{key}"], np.nan)
            own[whole] = out[f"local/{key}"][whole]
        done = whole.copy()
        left = np.flatnonzero(~done & (target > 0.0))
        x_axis, y_axis = np.tile(strengths, (len(left), 1)), errors[images[left]]
        for _ in range(ROUNDS):
            tried = of.stored(invert(x_axis, y_axis, target[left]))
            fresh = (tried > 0.0) & (tried != best[left])  # a parameter that counts may have nothing nearer
            left, tried, x_axis, y_axis = left[fresh], tried[fresh], x_axis[fresh], y_axis[fresh]
            error = np.zeros(len(left))
            for rows, x, y, _ in self._rendered(of, images[left], tried):
                error[rows] = ERRORS[kind](x, y)
                near = mismatch(error[rows], target[left[rows]]) <= FINE * self.settings.tolerance
                self._keep(images, left[rows][near], x[near], y[near], kind, out)
                done[left[rows][near]] = True
            away = mismatch(error, target[left])
            better = away < off[left]
            at = left[better]
            off[at], best[at], got[at] = away[better], tried[better], error[better]
            still = ~done[left]
            x_axis, y_axis = insert(x_axis[still], y_axis[still], tried[still], error[still])
            left = left[still]
        rest = np.flatnonzero(~done & (off <= self.settings.tolerance))
        for rows, x, y, _ in self._rendered(of, images[rest], best[rest]):
            self._keep(images, rest[rows], x, y, kind, out)
        out[f"{kind}/mismatch"], out[f"{kind}/error"], out[f"{kind}/strength"] = off, got, best

    # ---- batches ---------------------------------------------------------------------------------------------------------

    @property
    def kept(self) -> list[str]:
        """What is kept of each image: embeddings by the number of the encoder, the null's last, and the null's distances."""
        return [*(str(i) for i in range(len(self.encoders) + 1)), NULL]

    def _batches(self, count: int) -> Iterator[Array]:
        return (np.arange(begin, min(begin + self.batch, count)) for begin in range(0, count, self.batch))

    def _rendered(
        self, of: Degradation, images: Array, strength: Array, masks: Array | None = None
    ) -> Iterator[tuple[Array, torch.Tensor, torch.Tensor, Program]]:
        """Batches of m samples: which they are, the clean and the degraded images, and what was done."""
        for rows in self._batches(len(images)):
            x = self._images(images[rows])
            program = of.program(images[rows], strength[rows], None if masks is None else masks[rows])
            self.counts["rendered"] += len(rows)
            yield rows, x, apply(program, x, backend=self.backend, check="never").clamp(0.0, 1.0), program

    def _images(self, which: Array) -> torch.Tensor:
        return self.x[torch.from_numpy(which).to(self.x.device)]

    def _keep(self, images: Array, at: Array, x: torch.Tensor, y: torch.Tensor, kind: str, out: Part) -> None:
        """Embed controls that are near enough: rows `at` of all."""
        if len(at):
            self._embed(images[at], y, at, kind, mse(x, y), out, len(images))

    def _embed(self, images: Array, y: torch.Tensor, rows: Array, kind: str, error: Array, out: Part, count: int) -> None:
        """Write embeddings of a batch to their rows of `count`, and the null's distances, which are measured on all pixels."""
        made = [embed(name, encoder, y) for name, encoder in self.encoders.items()] + [pooled(y)]
        flat, clean = y.flatten(1).double(), self._images(images).flatten(1).double()
        cosine = 1.0 - (clean * flat).sum(1) / (clean.norm(dim=1) * flat.norm(dim=1)).clamp(min=1e-12)
        far = np.stack([np.sqrt(error * flat.shape[1]), cosine.clamp(min=0.0).cpu().numpy()], 1)
        for key, values in zip(self.kept, [*made, far]):
            table = out.setdefault(f"{kind}/{key}", np.full((count, values.shape[1]), np.nan, dtype=values.dtype))
            table[rows] = values
        self.counts["embedded"] += len(rows)

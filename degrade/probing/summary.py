"""From what was embedded to numbers with intervals: distances, local sensitivities, detection, and the area at which it sets in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from degrade.distributions import Array

from . import bootstrap
from .conditions import Condition, Settings
from .detection import FEWEST, held_out, wins
from .embedding import METRICS, NULL, distances
from .measure import ERRORS, NOISE
from .store import CLEAN, Part, Store, name_of
from .sweep import KINDS


class Measured(NamedTuple):
    """One encoder's numbers in every resample: axis 0 is the estimate, then the resamples; the last axis the conditions.

    distance  (w, 2, 3, k)  metric; local, matched in MSE, matched in 1 − SSIM: means over images
    local, control  (w, 2, 2, k)  metric; against which: sums over the images that have the control, whose ratio is the local sensitivity
    auc       (w, 3, k)
    """

    distance: Array
    local: Array
    control: Array
    auc: Array


class Table(NamedTuple):
    """All conditions that change something, and what is known of them for each of n images."""

    conditions: list[Condition]
    area: Array  # (k,) as measured
    error: Array  # (2, k, n) of the local condition, by kind
    mismatch: Array  # (2, k, n) of its controls
    used: Array  # (3, k, n) which are there, near enough, and of an error that is not rounding; of local all


def table(settings: Settings, store: Store) -> tuple[Table, list[str]]:
    """The conditions, and the names of the parts that change nothing."""
    conditions: list[Condition] = []
    parts: list[Part] = []
    unchanged = []
    for name, level in settings.parts():
        part = store.read(name_of(name, level))
        if not part:
            unchanged.append(f"{name}, level {level:g}")
            continue
        conditions += settings.of(name, level)
        parts.append({key: part[key] for key in ("area", *(f"local/{e}" for e in ERRORS), *(f"{e}/mismatch" for e in ERRORS))})
    if not parts:
        raise ValueError(
            f"nothing is changed at levels {', '.join(f'{v:g}' for v in settings.levels)} of {', '.join(settings.types)}; accepted: others."
        )

    def joined(key: str) -> Array:
        return np.concatenate([part[key] for part in parts])

    mismatch, error = (np.stack([joined(key.format(e)) for e in ERRORS]) for key in ("{}/mismatch", "local/{}"))
    real = error > np.array([NOISE[e] for e in ERRORS])[:, None, None]
    near = (mismatch <= settings.tolerance) & real & real[0]  # without an error in pixels there is none in SSIM
    used = np.concatenate([np.ones((1, *mismatch.shape[1:]), dtype=bool), near])
    return Table(conditions, joined("area").mean(1), error, mismatch, used), unchanged


def measured(number: int, null: bool, settings: Settings, store: Store, known: Table, weight: Array) -> Measured:
    """The numbers of one encoder.

    Args:
        number: of the encoder in the store; that of the null is the last.
        weight: (w, n) of the images in the resamples.
    """
    clean = store.read(CLEAN)[f"clean/{number}"]
    far, won = [], []
    at = 0
    for name, level in settings.parts():
        part = store.read(name_of(name, level))
        if not part:
            continue
        embeddings = np.stack([part[f"{kind}/{number}"] for kind in KINDS])  # (3, c, n, d)
        if null:
            far.append(np.stack([part[f"{kind}/{NULL}"] for kind in KINDS]).transpose(3, 0, 1, 2))
        else:
            far.append(np.stack([distances(clean, own) for own in embeddings], 1))
        used = known.used[:, at : at + embeddings.shape[1]]
        won.append(np.stack([[_won(clean, e, u) for e, u in zip(*kind)] for kind in zip(embeddings, used)]))
        at += embeddings.shape[1]
    distance, table = np.concatenate(far, 2), np.concatenate(won, 1)  # (2, 3, k, n), (3, k, n, n)
    enough = np.isfinite(table).any((2, 3))
    return Measured(
        np.stack([[bootstrap.means(weight, own, known.used[i]) for i, own in enumerate(metric)] for metric in distance]).transpose(2, 0, 1, 3),
        np.stack([[bootstrap.sums(weight, metric[0], known.used[i]) for i in (1, 2)] for metric in distance]).transpose(2, 0, 1, 3),
        np.stack([[bootstrap.sums(weight, metric[i], known.used[i]) for i in (1, 2)] for metric in distance]).transpose(2, 0, 1, 3),
        np.stack([bootstrap.auc(weight, own, known.used[i] & enough[i][:, None]) for i, own in enumerate(table)], 1),
    )


def _won(clean: Array, degraded: Array, used: Array) -> Array:
    """Which scores win among the images that are used, as in `detection.wins`; NaN for the others, and for all where they are too few."""
    out = np.full((len(used), len(used)), np.nan)
    rows = np.flatnonzero(used)
    if len(rows) >= FEWEST:
        out[np.ix_(rows, rows)] = wins(*held_out(clean[rows], degraded[rows]))
    return out


# ---- as plain data ---------------------------------------------------------------------------------------------------


def told(values: Array) -> list[Any]:
    """Each number of (w, …) with its interval: [estimate, low, high], or None where there is none; nested lists."""
    low, high = bootstrap.interval(values[1:])
    out = np.stack([values[0], low, high], -1)
    flat = [None if not np.isfinite(row[0]) else [float(v) if np.isfinite(v) else None for v in row] for row in out.reshape(-1, 3)]
    nested: Any = flat
    for size in reversed(out.shape[1:-1]):
        nested = [nested[i : i + size] for i in range(0, len(nested), size)]
    return nested if out.ndim > 1 else nested[0]  # type: ignore[no-any-return]


def threshold(areas: Array, curves: Array, at: float) -> dict[str, Any]:
    """The area at which detection reaches a value, with its interval: numbers, "always" or "never"."""
    found = bootstrap.crossing(areas, curves, at)
    low, high = bootstrap.interval(found[1:])
    return {name: _area(float(v)) for name, v in (("area", found[0]), ("low", low), ("high", high))}


def _area(value: float) -> float | str | None:
    if np.isnan(value):
        return None
    return "never" if value == bootstrap.NEVER else "always" if value == bootstrap.ALWAYS else value


def by_area(one: Measured, chosen: Array, known: Table, areas: Sequence[float], at: float) -> dict[str, Any]:
    """What some conditions come to, area by area: means of distances and AUC, and sensitivities.

    Of a type at a level and an area, distances are summed over positions before the ratio is taken, so that one place that is not seen at all
    does not make it 0; of these ratios it is the geometric mean.

    Args:
        chosen: (k,) which conditions.
        at: AUC of the threshold.
    """
    nominal = np.array([c.area for c in known.conditions])
    groups = [chosen & (nominal == area) for area in areas]
    distance = np.stack([bootstrap.mean_of(one.distance[..., g]) for g in groups], -1)
    ratios = [_pooled(one, g, known) for g in groups]
    sensitivity = np.stack([bootstrap.geometric(r) for r in ratios], -1)
    auc = np.stack([bootstrap.mean_of(one.auc[..., g]) for g in groups], -1)
    local = np.concatenate([r[..., :0] if area == 1.0 else r for r, area in zip(ratios, areas)], -1)
    return {
        "areas": [float(known.area[g].mean()) if g.any() else area for g, area in zip(groups, areas)],
        "distance": {m: dict(zip(KINDS, told(distance[:, i]))) for i, m in enumerate(METRICS)},
        "sensitivity": {m: dict(zip(ERRORS, told(sensitivity[:, i]))) for i, m in enumerate(METRICS)},
        "sensitivity_local": {m: dict(zip(ERRORS, told(bootstrap.geometric(local[:, i])))) for i, m in enumerate(METRICS)},
        "auc": dict(zip(KINDS, told(auc))),
        "threshold": {kind: threshold(np.array(areas), auc[:, i], at) for i, kind in enumerate(KINDS)},
    }


def _pooled(one: Measured, chosen: Array, known: Table) -> Array:
    """The sensitivities of conditions of one area, (w, 2, 2, g), one for each type and level."""
    groups: dict[tuple[str, float], list[int]] = {}
    for k in np.flatnonzero(chosen).tolist():
        groups.setdefault((known.conditions[k].type, known.conditions[k].level), []).append(k)
    pairs = [(one.local[..., own].sum(-1), one.control[..., own].sum(-1)) for own in groups.values()]
    return bootstrap.ratio(np.stack([a for a, _ in pairs], -1), np.stack([b for _, b in pairs], -1))


def rows(known: Table, encoders: Mapping[str, Measured]) -> list[dict[str, Any]]:
    """One dict for each condition."""
    told_of = {name: (told(one.distance), told(bootstrap.ratio(one.local, one.control)), told(one.auc)) for name, one in encoders.items()}
    out = []
    for k, condition in enumerate(known.conditions):
        row: dict[str, Any] = {
            "type": condition.type, "level": condition.level, "area": condition.area, "area_measured": float(known.area[k]),
            "position": condition.position.name, "mse": float(known.error[0, k].mean()), "one_minus_ssim": float(known.error[1, k].mean()),
            "controls": {e: _control(known.mismatch[i, k], known.used[i + 1, k]) for i, e in enumerate(ERRORS)}, "encoders": {},
        }  # fmt: skip
        for name, (distance, sensitivity, auc) in told_of.items():
            row["encoders"][name] = {
                "distance": {m: {kind: distance[i][j][k] for j, kind in enumerate(KINDS)} for i, m in enumerate(METRICS)},
                "sensitivity": {m: {e: sensitivity[i][j][k] for j, e in enumerate(ERRORS)} for i, m in enumerate(METRICS)},
                "auc": {kind: auc[j][k] for j, kind in enumerate(KINDS)},
            }
        out.append(row)
    return out


def _control(mismatch: Array, used: Array) -> dict[str, Any]:
    return {"matched": int(used.sum()), "unmatched": int((~used).sum()), "mismatch": float(np.median(mismatch[used])) if used.any() else None}


def mismatches(known: Table, names: Sequence[str]) -> dict[str, Any]:
    """How many controls were matched and how many left out, of images in local conditions; for each type, and all."""
    local = np.array([c.area < 1.0 for c in known.conditions])
    out = {}
    for name in ("all", *names):
        own = local & np.array([name in ("all", c.type) for c in known.conditions])
        out[name] = {e: _control(known.mismatch[i, own].ravel(), known.used[i + 1, own].ravel()) for i, e in enumerate(ERRORS)}
    return out

"""Results as figures: throughput against batch, time against the masked area, cost against size, ops and regions, and the roofline."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from degrade.explain import H100


class Point(NamedTuple):
    """One row, or one point of a row of the suite `scaling`, on the axis that it varies."""

    axis: str
    series: str
    x: float
    seconds: float
    images: int
    bytes: float


# Figures by axis: what stands along it, and what is drawn.
LABELS = {
    "batch": ("images in a batch", "images / s"),
    "area": ("masked area, fraction of the frame", "ms of a call"),
    "pixels": ("pixels of an image", "ms of an image"),
    "ops": ("ops of a sample", "ms of a call"),
    "regions": ("cells of the frame", "ms of a call"),
}
AXES = {"batch": "batch", "area": "area", "sizes": "pixels", "partitions": "regions", "per_sample": "ops"}


def points(result: dict[str, Any]) -> list[Point]:
    """What a result says of any axis; of rows with no axis only the bytes."""
    found: list[Point] = []
    for row in result.get("rows", ()):
        if not row["ok"] or not ("points" in row or "bytes" in row):
            continue
        if "points" in row:
            for point in row["points"]:
                series, seconds = f"{row['op']}, {row['backend']}", point["ms"]["q1"] / 1e3
                found.append(Point(row["axis"], series, point["x"], seconds, point["images"], point["bytes"]))
            continue
        axis = AXES.get(result["args"]["suite"], "")
        name, _, count = row["op"].partition(": ") if axis == "ops" else (row["op"], "", "0")
        x = {"batch": row["batch"], "area": row["area"], "pixels": row["size"] ** 2, "ops": int(count)}.get(axis, 0)
        if axis == "regions":
            x = int(row["region"].split()[1])
        own = [name, row["region"].split()[0] if row.get("region") else "", row["backend"], row["dtype"] if row["dtype"] != "uint8" else ""]
        own += [f"{row['size']}²"] if axis == "regions" else []
        ms = row.get("device_ms", row["ms"])["median"]
        found.append(Point(axis, ", ".join(part for part in own if part), x, ms / 1e3, row["batch"], row["bytes"]))
    return found


def draw(results: list[dict[str, Any]], folder: Path) -> list[Path]:
    """One PNG for each axis that the results hold, on each device, and the roofline; the paths. No window opens."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    devices: dict[str, list[Point]] = defaultdict(list)
    for result in results:
        devices[result["machine"]["device"]] += points(result)
    paths = []
    for device, found in devices.items():
        for axis, (along, up) in {**LABELS, "roofline": ("bytes of a call, by `explain`", "bytes / s")}.items():
            chosen = [p for p in found if p.axis == axis or axis == "roofline"]
            if not chosen:
                continue
            figure = Figure(figsize=(7, 5), layout="constrained")
            axes = figure.subplots()
            for series in dict.fromkeys(p.series for p in chosen):
                own = sorted(value(axis, p) for p in chosen if p.series == series)
                axes.plot(*zip(*own), "o" if axis == "roofline" else "o-", label=series)
            if axis == "roofline" and "H100" in device:
                axes.axhline(H100, color="black", linestyle="--", label="a copy on an H100")
            axes.set(xscale="log", yscale="log", xlabel=along, ylabel=up, title=device)
            axes.grid(True, which="both", alpha=0.3)
            axes.legend(fontsize="x-small")
            name = "".join(c if c.isalnum() else "-" for c in device.lower())
            paths.append(folder / f"{axis}-{name}.png")
            figure.savefig(paths[-1], dpi=150)
    return paths


def value(axis: str, p: Point) -> tuple[float, float]:
    """Where a point stands in a figure."""
    if axis == "roofline":
        return p.bytes, p.bytes / p.seconds
    return p.x, p.images / p.seconds if axis == "batch" else p.seconds * 1e3 / (p.images if axis == "pixels" else 1)

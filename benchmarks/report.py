"""Results as tables: `python -m benchmarks.report FILE…` prints Markdown for people to paste; `--plots DIR` draws them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import banks, beside, build, generate, host, loading, memory, regions, scaling
from benchmarks.text import checked, significant, spread, table, title

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("op", "backend", "dtype", "batch", "area", "images/s", "× copy floor", "vs cv2", "check")
GPU_COLUMNS = (
    "op",
    "dtype",
    "batch",
    "area",
    "ms",
    "of it host",
    "ms of the device",
    "images/s",
    "images/s of the device",
    "beside it, ms",
    "memory",
    "check",
)
TIMED = *COLUMNS[:5], "ms (quartiles)", "host ms", *COLUMNS[5:]
NO_GPU = "Not measured on a GPU yet."
TABLES: dict[str, Any] = {  # modules with COLUMNS, RIGHT, those of figures, and cells(row)
    "banks": banks, "area": regions, "partitions": regions, "cpu": beside, "peers": beside, "memory": memory, "build": build, "scaling": scaling,
    "loading": loading, "generate": generate, "host": host,
}  # fmt: skip
WHOLE, LARGEST = ("banks", "targets", "cpu", "loading", "training"), ("ops",)


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS; no figures if its check is red."""
    head = [row["op"], row["backend"], row["dtype"], str(row["batch"]), f"{row['area']:.0%}"]
    if not row["ok"]:
        return [*head, "—", "—", "—", checked(row)]
    beside = f"{row['cv2']['speed']:.2f}×" if "cv2" in row else ""
    return [*head, significant(row["images_per_s"]), significant(row["times_copy"]), beside, checked(row)]


def markdown(results: Sequence[dict[str, Any] | None]) -> str:
    """A table for each result, under the machine it was measured on."""
    found = [result for result in results if result]
    parts = [_markdown(result) for result in found]
    if not any(row["device"] != "cpu" for result in found for row in result.get("rows", ())):
        parts.append(NO_GPU)
    return "\n\n".join(parts)


def _markdown(result: dict[str, Any]) -> str:
    if "step_ms" in result:
        return training(result)
    if result.get("brief"):
        return table(title(result), *TABLES[result["args"]["suite"]].brief(result["rows"]))
    columns, right, line = shown(result)
    head, note = title(result), result.get("note")
    if result["args"]["suite"] == "loading":
        head = f"{loading.heading(result['args'])}; {head}"
    shown_rows = table(head, columns, right, [line(row) for row in result["rows"]])
    return f"{shown_rows}\n\n{note}" if note else shown_rows


def shown(result: dict[str, Any]) -> tuple[Sequence[str], Sequence[str], Callable[[dict[str, Any]], list[str]]]:
    """Under which columns a result is shown, which of them hold figures, and how a row becomes cells."""
    own = TABLES.get(result["args"]["suite"])
    if own:
        return own.COLUMNS, own.RIGHT, own.cells
    if result["rows"] and all("device_ms" in row for row in result["rows"]):
        return GPU_COLUMNS, [*GPU_COLUMNS[2:9], "memory"], gpu_cells
    return COLUMNS, COLUMNS[3:8], cells


def gpu_cells(row: dict[str, Any]) -> list[str]:
    """One row of the Triton backend on a GPU under GPU_COLUMNS."""
    device, peers = row["device_ms"]["median"], row.get("peers", {})
    each = row["batch"] * 3 * row["size"] ** 2 * (1 if row["dtype"] == "uint8" else 4 if row["dtype"] == "float32" else 2)
    return [
        row["op"], row["dtype"], str(row["batch"]), f"{row['area']:.0%}", f"{row['ms']['median']:.3g}", f"{row['host_ms']['median']:.2f}", f"{device:.3g}",
        significant(row["images_per_s"]), significant(row["batch"] / device * 1e3),
        ", ".join(f"{name} {peer['ms']['median']:.3g}" for name, peer in peers.items()),
        f"{row['peak_bytes'] / each:.1f} × the batch", checked(row),
    ]  # fmt: skip


def training(result: dict[str, Any]) -> str:
    """What degradation adds to a training step."""
    steps, machine, idle = result["step_ms"], result["machine"], result.get("idle", {})
    plain = steps["plain"]["median"]
    said = ", ".join(
        f"{name} {s['median']:.1f} ms ({s['median'] / plain - 1:+.1%}{f', GPU idle {idle[name]:.1%}' if idle.get(name) is not None else ''})"
        for name, s in steps.items()
    )
    model = {"vit_small": "ViT-S/16", "tiny": "a tiny ViT"}.get(result.get("model", ""), "ResNet-50")
    dtype = "float32" if result.get("device") == "cpu" else "bfloat16"
    return (
        f"A training step of {model} in {dtype} on {machine['device']}, {result['batch']} images in {result['views']} views of "
        f"`{result['pipeline']}`: {said}. Commit {result['commit']}."
    )


def console_table(result: dict[str, Any]) -> Table:
    """The same for a terminal, with times; rows that lose are marked."""
    from rich.table import Table
    from rich.text import Text

    own = TABLES.get(result["args"]["suite"])
    caption = getattr(own, "CAPTION", None) or (None if any(row["device"] != "cpu" for row in result["rows"]) else NO_GPU)
    columns, right, line = (own.COLUMNS, own.RIGHT, own.cells) if own else (TIMED, TIMED[3:10], timed)
    table = Table(title=title(result), caption=caption)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in result["rows"]:
        lost = row["ok"] and getattr(own, "lost", lambda _: False)(row)
        table.add_row(*(Text(c) for c in line(row)), style="yellow" if lost else None if row["ok"] else "red")
    return table


def timed(row: dict[str, Any]) -> list[str]:
    """One row under TIMED."""
    line = cells(row)
    return [*line[:5], *([spread(row["ms"]), f"{row['host_ms']['median']:.2f}"] if row["ok"] else ["—", "—"]), *line[5:]]


def headline(result: dict[str, Any]) -> dict[str, Any] | None:
    """What the README shows: whole suites that compare, of `ops` the largest uint8 batch, and nothing of suites that are read in the notes."""
    suite = result["args"]["suite"] if "rows" in result else "training"
    if suite in WHOLE:
        return {**result, "brief": True} if hasattr(TABLES.get(suite), "brief") else result
    if suite not in LARGEST:
        return None
    largest = max(row["batch"] for row in result["rows"])
    return {**result, "rows": [row for row in result["rows"] if row["batch"] == largest and row["dtype"] == "uint8"]}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="what `benchmarks.run --out` or `benchmarks.training --out` wrote")
    parser.add_argument("--headline", action="store_true", help="only what the README shows")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw what the files hold into this folder, as PNG, in place of tables")
    args = parser.parse_args(arguments)
    results = [json.loads(path.read_text(encoding="utf-8")) for path in args.files]
    if args.plots:
        from benchmarks import plots

        drawn = plots.draw(results, args.plots)
        print("\n".join(map(str, drawn)) or "nothing to plot: no file holds rows of batch, area, partitions, sizes, ops_per_sample or targets.")
        return 0 if drawn else 1
    print(markdown([headline(r) for r in results] if args.headline else results))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Results as tables: `python -m benchmarks.report FILE…` prints Markdown for people to paste."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import banks, regions

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
NO_GPU = "Not measured on a GPU yet."


def checked(row: dict[str, Any]) -> str:
    """Names of the checks passed, or what failed."""
    failed = [f"{name}: {said}" for name, said in row["checks"].items() if said not in ("ok", "n/a")]
    return "RED " + "; ".join(failed) if not row["ok"] else "ok: " + ", ".join(n for n, said in row["checks"].items() if said == "ok")


def cells(row: dict[str, Any]) -> list[str]:
    """One row under COLUMNS; no figures if its check is red."""
    head = [row["op"], row["backend"], row["dtype"], str(row["batch"]), f"{row['area']:.0%}"]
    if not row["ok"]:
        return [*head, "—", "—", "—", checked(row)]
    beside = f"{row['cv2']['speed']:.2f}×" if "cv2" in row else ""
    return [*head, significant(row["images_per_s"]), significant(row["times_copy"]), beside, checked(row)]


def significant(value: float) -> str:
    """Three digits, thousands separated."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def title(result: dict[str, Any]) -> str:
    machine = result["machine"]
    on_gpu = any(row["device"] != "cpu" for row in result["rows"])
    where = machine["device"] if on_gpu else f"{machine['cpu']}, {machine['cores_used']} thread{'s' if machine['cores_used'] > 1 else ''}"
    driver = f", driver {machine['driver']}" if machine["driver"] else ""
    triton = f", Triton {machine['triton']}" if on_gpu and machine["triton"] else ""
    return f"{where}{driver}, torch {machine['torch']}{triton}, {result['date'][:10]}, commit {result['commit'] or 'none'}"


def markdown(results: list[dict[str, Any]]) -> str:
    """A table for each result, under the machine it was measured on."""
    parts = [_markdown(result) for result in results]
    if not any(row["device"] != "cpu" for result in results for row in result.get("rows", ())):
        parts.append(NO_GPU)
    return "\n\n".join(parts)


def _markdown(result: dict[str, Any]) -> str:
    if "step_ms" in result:
        return training(result)
    if result["args"]["suite"] == "banks":
        return banks.markdown(result, title(result))
    if result["args"]["suite"] == "loading":
        from benchmarks import loading  # which needs `run`, which needs this module

        return loading.markdown(result, title(result))
    if result["args"]["suite"] in regions.SUITES:
        head = ["--:" if name not in ("op", "region", "backend", "check") else "---" for name in regions.COLUMNS]
        return table(title(result), [regions.COLUMNS, head, *(regions.cells(row, checked(row), significant) for row in result["rows"])])
    if all("device_ms" in row for row in result["rows"]):
        lines = [GPU_COLUMNS, ["---", "---", *["--:"] * 7, "---", "--:", "---"], *(gpu_cells(row) for row in result["rows"])]
        return table(title(result), lines)
    numbers = COLUMNS.index("batch"), COLUMNS.index("vs cv2")
    rule = ["--:" if numbers[0] <= i <= numbers[1] else "---" for i in range(len(COLUMNS))]
    return table(title(result), [COLUMNS, rule, *(cells(row) for row in result["rows"])])


def table(head: str, lines: Sequence[Sequence[str]]) -> str:
    return "\n".join([f"**{head}**", "", *("| " + " | ".join(c.replace("|", "/") for c in line) + " |" for line in lines)])


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
    steps, machine = result["step_ms"], result["machine"]
    plain = steps["plain"]["median"]
    said = ", ".join(f"{name} {s['median']:.1f} ms ({s['median'] / plain - 1:+.1%})" for name, s in steps.items())
    return (
        f"A training step of ResNet-50 in bfloat16 on {machine['device']}, {result['batch']} images in {result['views']} views of "
        f"`{result['pipeline']}`: {said}. Commit {result['commit']}."
    )


def console_table(result: dict[str, Any]) -> Table:
    """The same for a terminal, with times."""
    from rich.table import Table
    from rich.text import Text

    if result["args"]["suite"] == "banks":
        return banks.console_table(result, title(result))
    caption = None if any(row["device"] != "cpu" for row in result["rows"]) else NO_GPU
    table = Table(title=title(result), caption=caption)
    if result["args"]["suite"] in regions.SUITES:
        for name in regions.COLUMNS:
            table.add_column(name, overflow="fold")
        for row in result["rows"]:
            table.add_row(*(Text(c) for c in regions.cells(row, checked(row), significant)), style=None if row["ok"] else "red")
        return table
    for name in (*COLUMNS[:5], "ms (quartiles)", "host ms", *COLUMNS[5:]):
        table.add_column(name, justify="left" if name in ("op", "backend", "dtype", "check") else "right", overflow="fold")
    for row in result["rows"]:
        line = cells(row)
        times = [spread(row["ms"]), f"{row['host_ms']['median']:.2f}"] if row["ok"] else ["—", "—"]
        table.add_row(*(Text(c) for c in (*line[:5], *times, *line[5:])), style=None if row["ok"] else "red")
    return table


def spread(stats: dict[str, float]) -> str:
    return f"{stats['median']:.3g} ({stats['q1']:.3g}–{stats['q3']:.3g})"


def main(arguments: list[str]) -> int:
    """Print the files as tables; with --headline, only the rows that the README shows."""
    paths = [a for a in arguments if a != "--headline"]
    if not paths:
        print("usage: python -m benchmarks.report [--headline] FILE…", file=sys.stderr)
        return 2
    results = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    print(markdown([headline(r) for r in results] if "--headline" in arguments else results))
    return 0


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """The result with its largest uint8 batch only; of banks, loading, targets and training, all."""
    if "rows" not in result or result["args"]["suite"] in ("banks", "loading", "targets"):
        return result
    largest = max(row["batch"] for row in result["rows"])
    return {**result, "rows": [row for row in result["rows"] if row["batch"] == largest and row["dtype"] == "uint8"]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

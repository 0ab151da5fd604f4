"""Results as tables: `python -m benchmarks.report FILE…` prints Markdown for people to paste."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import banks

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("op", "backend", "dtype", "batch", "area", "images/s", "× copy floor", "vs cv2", "check")
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
    if not any(row["device"] != "cpu" for result in results for row in result["rows"]):
        parts.append(NO_GPU)
    return "\n\n".join(parts)


def _markdown(result: dict[str, Any]) -> str:
    if result["args"]["suite"] == "banks":
        return banks.markdown(result, title(result))
    numbers = COLUMNS.index("batch"), COLUMNS.index("vs cv2")
    rule = ["--:" if numbers[0] <= i <= numbers[1] else "---" for i in range(len(COLUMNS))]
    lines = [COLUMNS, rule, *(cells(row) for row in result["rows"])]
    return "\n".join([f"**{title(result)}**", "", *("| " + " | ".join(c.replace("|", "/") for c in line) + " |" for line in lines)])


def console_table(result: dict[str, Any]) -> Table:
    """The same for a terminal, with times."""
    from rich.table import Table
    from rich.text import Text

    if result["args"]["suite"] == "banks":
        return banks.console_table(result, title(result))
    caption = None if any(row["device"] != "cpu" for row in result["rows"]) else NO_GPU
    table = Table(title=title(result), caption=caption)
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
    """The result with its largest uint8 batch only; of banks, all."""
    if result["args"]["suite"] == "banks":
        return result
    largest = max(row["batch"] for row in result["rows"])
    return {**result, "rows": [row for row in result["rows"] if row["batch"] == largest and row["dtype"] == "uint8"]}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

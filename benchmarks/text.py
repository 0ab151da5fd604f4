"""Figures and tables as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def checked(row: dict[str, Any]) -> str:
    """Names of the checks passed, or what failed."""
    failed = [f"{name}: {said}" for name, said in row["checks"].items() if said not in ("ok", "n/a")]
    return "RED " + "; ".join(failed) if not row["ok"] else "ok: " + ", ".join(n for n, said in row["checks"].items() if said == "ok")


def significant(value: float) -> str:
    """Three digits, thousands separated."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 100 else f"{value:.3g}"


def spread(stats: dict[str, float]) -> str:
    """Median and quartiles."""
    return f"{stats['median']:.3g} ({stats['q1']:.3g}–{stats['q3']:.3g})"


def megabytes(count: float) -> str:
    return f"{count / 1e6:.3g} MB"


def title(result: dict[str, Any]) -> str:
    """Where and when, of which code."""
    machine = result["machine"]
    on_gpu = any(row["device"] != "cpu" for row in result["rows"])
    where = machine["device"] if on_gpu else f"{machine['cpu']}, {machine['cores_used']} thread{'s' if machine['cores_used'] > 1 else ''}"
    driver = f", driver {machine['driver']}" if machine["driver"] else ""
    triton = f", Triton {machine['triton']}" if on_gpu and machine["triton"] else ""
    return f"{where}{driver}, torch {machine['torch']}{triton}, {result['date'][:10]}, commit {result['commit'] or 'none'}"


def table(head: str, columns: Sequence[str], right: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Markdown, with figures of some columns to the right."""
    rule = ["--:" if name in right else "---" for name in columns]
    return "\n".join([f"**{head}**", "", *("| " + " | ".join(c.replace("|", "/") for c in line) + " |" for line in (columns, rule, *lines))])

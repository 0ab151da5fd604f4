"""`degrade list`: every registered op, with what it accepts and which banks hold it."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from degrade.op import Op, Param


def run(
    pattern: Annotated[str, typer.Argument(help="A name, a class or a group; * and ? stand for any text, e.g. '*blur*'.", show_default=False)] = "*",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table, as in the README.")] = False,
) -> None:
    """List the degradations: parameters, units, accepted ranges, banks."""
    if markdown:
        typer.echo(markdown_table(matching(pattern)))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = matching(pattern)
    banks = banks_of()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold", title_justify="left")
    table.add_column("op", no_wrap=True)
    table.add_column("parameters", min_width=22)
    table.add_column("what it does")
    for op in sorted(found, key=lambda op: (op.group, op.name)):
        holders = banks.get(op.name, [])
        what = Text(op.caption)
        what.append(f"\nbanks: {', '.join(holders) if holders else 'none'}", style="dim")
        what.append(f"\ngradient: {op.gradients()}", style="dim")
        name = Text(op.name, style="bold")
        name.append(f"\n{op.group}\n{op.kind}", style="not bold dim")
        table.add_row(name, Text("\n").join(parameter(n, q) for n, q in op.parameters.items()), what)
        table.add_section()
    console = Console(highlight=False)
    console.print(table)
    console.print(f"{len(found)} {'op' if len(found) == 1 else 'ops'}. Every op also takes p, severity (0 to 1), level and direction.", style="dim")


def markdown_table(ops: Sequence[type[Op]]) -> str:
    """The ops as a Markdown table."""
    banks = banks_of()
    lines = ["| op | group | kind | parameters | what it does | banks |", "| --- | --- | --- | --- | --- | --- |"]
    for op in sorted(ops, key=lambda op: (op.group, op.name)):
        given = "<br>".join(f"`{name}` {accepted(q)}".replace("|", "or") for name, q in op.parameters.items())
        lines.append(f"| `{op.__name__}` | {op.group} | {op.kind} | {given} | {op.caption} | {', '.join(banks.get(op.name, []))} |")
    return "\n".join(lines)


def accepted(param: Param) -> str:
    """What a parameter accepts, in words."""
    if param.choices is not None:
        return " | ".join(param.choices)
    return f"{param.low:g} to {param.high:g} {param.unit}".rstrip() + (", whole" if param.integer else "")


def matching(pattern: str) -> list[type[Op]]:
    """The ops whose name, class or group the pattern fits.

    Raises:
        ValueError: if none does, with the nearest names.
    """
    from degrade import REGISTRY

    wanted = pattern.lower()
    found = [op for op in REGISTRY.values() if any(fnmatchcase(known.lower(), wanted) for known in (op.name, op.__name__, op.group))]
    if not found:
        names = sorted({*REGISTRY, *(op.group for op in REGISTRY.values())})
        near = difflib.get_close_matches(wanted.strip("*?"), names, n=3, cutoff=0.4)
        hint = f"nearest: {', '.join(near)}" if near else "`degrade list` shows all"
        raise ValueError(f"pattern {pattern!r} fits no op; {hint}.")
    return found


def parameter(name: str, param: Param) -> Any:
    """One parameter as text: name, then what is accepted."""
    from rich.text import Text

    text = Text(name)
    text.append(f"  {accepted(param)}", style="cyan")
    return text


@functools.cache
def banks_of() -> dict[str, list[str]]:
    """The banks that hold each op, by the op's name."""
    from degrade import banks

    out: dict[str, list[str]] = {}
    for name in banks.__all__:
        for op in sorted(getattr(banks, name)().ops):
            out.setdefault(op, []).append(name)
    return out

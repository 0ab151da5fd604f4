"""Tables of scores as their authors publish them, by the names of their columns; and the files that they list, whatever the case of their names."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def rows(path: Path, columns: Sequence[str], sheet: str | None = None) -> list[dict[str, str]]:
    """The rows of a CSV file or of a sheet of a workbook, as text by the names of all its columns.

    The head is the first row that has all of `columns`; what stands above it, and rows that have nothing in them, are no data.

    Args:
        sheet: of a workbook; by default its first.

    Raises:
        ValueError: a table without these columns, without rows, or with a row that lacks one. ModuleNotFoundError: a workbook without openpyxl. OSError: an unreadable file.
    """
    cells = [[_text(cell) for cell in row] for row in (_sheet(path, sheet) if path.suffix == ".xlsx" else _csv(path))]
    at = next((i for i, row in enumerate(cells) if set(columns) <= set(row)), None)
    if at is None:
        raise ValueError(f"{str(path)!r} has no row that names its columns; accepted: a table with the columns {', '.join(columns)}.")
    named = [dict(zip(cells[at], row)) for row in cells[at + 1 :]]
    out = [row for row in named if any(row.get(column) for column in columns)]
    for row in out:
        lacking = next((column for column in columns if not row.get(column)), None)
        if lacking is not None:
            raise ValueError(f"{str(path)!r} has no {lacking!r} in its row {', '.join(v for v in row.values() if v)!r}; accepted: a value in each.")
    if not out:
        raise ValueError(f"{str(path)!r} has no rows; accepted: a table with at least one.")
    return out


def _csv(path: Path) -> Iterable[Sequence[Any]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.reader(file))


def _sheet(path: Path, sheet: str | None) -> Iterable[Sequence[Any]]:
    try:
        import openpyxl
    except ModuleNotFoundError:
        csv_file = path.with_suffix(".csv")
        raise ModuleNotFoundError(
            f"{str(path)!r} needs openpyxl, which is not installed: pip install openpyxl, or export its sheet as {csv_file.name!r} beside it."
        ) from None
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise ValueError(f"{str(path)!r} has no sheet {sheet!r}, but {', '.join(book.sheetnames)}; accepted: the workbook as published.")
        return list((book[sheet] if sheet else book.worksheets[0]).iter_rows(values_only=True))
    finally:
        book.close()


def _text(cell: Any) -> str:
    """Spreadsheets hold whole numbers as floats, and an image's name may be one."""
    if cell is None:
        return ""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def number(text: str, path: Path, row: str) -> float:
    """Raises: ValueError: what is no finite number, naming the row."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise ValueError(f"{str(path)!r} has {text!r} as the score of {row!r}; accepted: a number.")
    return value


def look_up(folder: Path, names: Sequence[str]) -> tuple[Path, ...]:
    """The files of these names, which may have folders in them, under a folder. Where there is none of a name, one that differs in case counts.

    Raises:
        FileNotFoundError: naming the first that is not there, and how many are not.
    """
    wanted = [folder / name for name in names]
    listed = {parent: _listed(parent) for parent in {path.parent for path in wanted}}
    paths = [listed[path.parent].get(path.name) or listed[path.parent].get(path.name.lower()) for path in wanted]
    missing = [name for name, path in zip(names, paths) if path is None]
    if missing:
        raise FileNotFoundError(
            f"{str(folder)!r} lacks {len(missing)} of the {len(names)} images that the table lists, first {missing[0]!r}; accepted: a folder with all of them."
        )
    return tuple(path for path in paths if path is not None)


def _listed(folder: Path) -> dict[str, Path]:
    """The files in a folder by name, and by name in lower case; names as they are come first."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return {**{file.name.lower(): file for file in files}, **{file.name: file for file in files}}

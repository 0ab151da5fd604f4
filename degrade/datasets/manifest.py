"""The manifest: one row for every file written, from which it can be made again. A part for each shard, joined when all are done."""

from __future__ import annotations

import importlib
import io
import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from degrade.label_table import params_of
from degrade.labels import Labels
from degrade.ops import find

FILE, ERRORS, PARTS = "manifest.parquet", "errors.parquet", "parts"


def schema() -> Any:
    """Columns of the manifest. Lists have an entry for each slot that was taken, in the order applied."""
    pa = arrow()
    text, number = pa.string(), pa.float32()
    return pa.schema(
        [
            ("key", text), ("source", text), ("codec", text), ("jpeg_quality", pa.int16()), ("height", pa.int32()), ("width", pa.int32()),
            ("variant", text), ("pipeline", pa.int32()), ("id", pa.int64()), ("seed", pa.int64()), ("stream", pa.int16()),
            ("program", text), ("types", pa.list_(text)), ("severities", pa.list_(number)), ("levels", pa.list_(number)),
            ("areas", pa.list_(number)), ("params", text), ("coverage", number), ("psnr", number), ("file", text), ("sha256", text),
            ("mask", text), ("mask_sha256", text),
        ]
    )  # fmt: skip


def error_schema() -> Any:
    pa = arrow()
    return pa.schema([("key", pa.string()), ("source", pa.string()), ("kind", pa.string()), ("reason", pa.string())])


def told(labels: Labels) -> list[dict[str, Any]]:
    """The columns of each sample that say what was done to it."""
    program, area, level = labels.program, labels.area.tolist(), labels.level.tolist()
    out: list[dict[str, Any]] = []
    for i, codes in enumerate(program.code.tolist()):
        taken = [slot for slot, code in enumerate(codes) if code >= 0]
        ops = [find(program.ops[codes[slot]]) for slot in taken]
        out.append(
            {
                "types": [op.name for op in ops],
                "severities": [float(program.severity[i, slot]) for slot in taken],
                "levels": [None if math.isnan(level[i][slot]) else level[i][slot] for slot in taken],
                "areas": [area[i][slot] for slot in taken],
                "params": json.dumps([params_of(op, program.theta[i, slot]) for op, slot in zip(ops, taken)]),
            }
        )
    return out


def write(path: Path, rows: Sequence[dict[str, Any]], columns: Any) -> None:
    """A table that is on the disk before it has its name."""
    data = io.BytesIO()
    arrow("pyarrow.parquet").write_table(arrow().Table.from_pylist(list(rows), schema=columns), data, compression="zstd")
    write_durably(path, data.getvalue())


def read(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = arrow("pyarrow.parquet").read_table(path).to_pylist()
    return rows


def join(out: Path, parts: Iterable[Path], name: str, columns: Any) -> int:
    """All parts as one table, in order; how many rows it has. One part is held at a time."""
    parquet, target = arrow("pyarrow.parquet"), out / name
    draft, count = target.with_name(f".{name}.part"), 0
    with parquet.ParquetWriter(draft, columns, compression="zstd") as writer:
        for part in parts:
            table = parquet.read_table(part, schema=columns)
            count += len(table)
            writer.write_table(table, row_group_size=1 << 16)
    sync(draft)
    draft.replace(target)
    sync(out)
    return count


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that under its name there is all of it or nothing, even if the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(draft, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def psnr(a: Any, b: Any) -> float | None:
    """Of two uint8 images, in dB; None where they are equal."""
    error = float(np.square(a.astype(np.float32) - b.astype(np.float32)).mean())
    return None if error == 0 else float(10 * np.log10(255.0**2 / error))


def arrow(name: str = "pyarrow") -> Any:
    """A module of pyarrow."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ModuleNotFoundError("data sets need pyarrow, which is not installed: pip install 'degrade[datasets]'.") from None

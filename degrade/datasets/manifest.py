"""The manifest: one row for every file written, from which it can be made again. A part for each shard, joined when all are done."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from degrade.distributions import Array
from degrade.label_table import params_of
from degrade.labels import Labels
from degrade.ops import find

FILE, ERRORS, PARTS = "manifest.parquet", "errors.parquet", "parts"
GROUP = 4096  # rows of a joined table that are written at once


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
    """The rows of a table.

    Raises:
        FileNotFoundError: if it is not there. ValueError: if it is damaged.
    """
    path.stat()  # which says what is missing; arrow repeats the name and no more
    rows: list[dict[str, Any]] = arrow("pyarrow.parquet").read_table(path).to_pylist()
    return rows


def join(out: Path, parts: Iterable[Path], name: str, columns: Any, first: Sequence[dict[str, Any]] = ()) -> int:
    """Some rows and all parts as one table, in order; how many rows it has.

    The same bytes however the rows are parted: they are written in groups of one length. A part and a group are held at a time.
    """
    pa, parquet, target = arrow(), arrow("pyarrow.parquet"), out / name
    draft, count = target.with_name(f".{name}.part"), 0
    with parquet.ParquetWriter(draft, columns, compression="zstd") as writer:
        held = pa.Table.from_pylist(list(first), schema=columns)
        for part in (*parts, None):
            if part is not None:
                held = pa.concat_tables([held, parquet.read_table(part, schema=columns)])
            while len(held) >= GROUP or (part is None and len(held)):
                writer.write_table(held.slice(0, GROUP).combine_chunks())
                count, held = count + min(GROUP, len(held)), held.slice(GROUP)
    sync(draft)
    draft.replace(target)
    sync(out)
    return count


def write_durably(path: Path, data: bytes) -> None:
    """Write a file so that under its name there is all of it or nothing, even if the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of one length: the longest name that a file can have leaves no room for more.
    draft = path.with_name(f".{hashlib.blake2b(os.fsencode(path.name), digest_size=8).hexdigest()}.{os.getpid()}.part")
    try:
        with open(draft, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error  # a write that fails does not know its file
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def psnr(a: Array, b: Array) -> float | None:
    """Of two uint8 images, in dB; None where they are equal."""
    import cv2  # here, so that importing the package stays light

    error = cv2.norm(a, b, cv2.NORM_L2SQR) / a.size
    return None if error == 0 else 10 * math.log10(255.0**2 / error)


def arrow(name: str = "pyarrow") -> Any:
    """A module of pyarrow."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ModuleNotFoundError("data sets need pyarrow, which is not installed: pip install 'degrade[datasets]'.") from None

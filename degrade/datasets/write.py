"""Where results go: files in folders, tar shards as WebDataset reads them, or Parquet files as Hugging Face reads them.

Files in folders are written by whichever thread made them; a container takes them one after the other, in an order that does not depend on
threads, and has its name when it is whole.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from . import manifest
from .encode import FORMATS

IMAGES, MASKS, SHARDS, TABLES = "images", "masks", "shards", "data"
FOLDERS = IMAGES, MASKS, SHARDS, TABLES
ROWS = 64  # of a Parquet file that are held before they are written


class Made(NamedTuple):
    """A result: its row of the manifest, and the bytes of its files."""

    row: dict[str, Any]
    name: str
    image: bytes
    mask: bytes | None


class Folder:
    """Each image and each mask a file."""

    def __init__(self, out: Path, shard: int, format: str) -> None:
        self.out, self.suffix = out, FORMATS[format]

    def early(self, made: Made) -> None:
        """What a thread does when it has made a result."""
        made.row["file"] = f"{IMAGES}/{made.name}{self.suffix}"
        manifest.write_durably(self.out / made.row["file"], made.image)
        if made.mask is not None:
            made.row["mask"] = f"{MASKS}/{made.name}.png"
            manifest.write_durably(self.out / made.row["mask"], made.mask)

    def add(self, made: Made) -> None:
        """What is done in order."""

    def close(self) -> None:
        """Nothing is held back."""


class Container:
    """A file that holds many, under a draft's name until it is whole."""

    def __init__(self, out: Path, shard: int, folder: str, suffix: str) -> None:
        self.out, self.file = out, f"{folder}/{shard:06d}{suffix}"
        self.draft = out / folder / f".{shard:06d}{suffix}.part"
        self.draft.parent.mkdir(parents=True, exist_ok=True)

    def early(self, made: Made) -> None:
        """Nothing: threads would mix the order."""

    def _name(self) -> None:
        manifest.sync(self.draft)
        self.draft.replace(self.out / self.file)
        manifest.sync(self.draft.parent)


class WebDataset(Container):
    """A tar with `name.png`, `name.mask.png` and `name.json` for each result."""

    def __init__(self, out: Path, shard: int, format: str) -> None:
        super().__init__(out, shard, SHARDS, ".tar")
        self.tar = tarfile.open(self.draft, "w", format=tarfile.PAX_FORMAT)

    def add(self, made: Made) -> None:
        name = made.name.replace("%", "%25").replace(".", "%2E")  # what follows the first dot is a kind of file there
        made.row["file"] = f"{self.file}#{name}.png"
        if made.mask is not None:
            made.row["mask"] = f"{self.file}#{name}.mask.png"
        told = {key: value for key, value in made.row.items() if key != "program"}
        parts = {".png": made.image, ".mask.png": made.mask, ".json": json.dumps(told).encode()}
        for suffix, data in parts.items():
            if data is not None:
                member = tarfile.TarInfo(name + suffix)  # of time 0 and no user: equal runs give equal bytes
                member.size = len(data)
                self.tar.addfile(member, io.BytesIO(data))

    def close(self) -> None:
        self.tar.close()
        self._name()


class Table(Container):
    """A Parquet file with `image` and `mask` as structs of bytes and path, and the labels beside them."""

    def __init__(self, out: Path, shard: int, format: str) -> None:
        super().__init__(out, shard, TABLES, ".parquet")
        self.arrow, self.parquet = manifest.arrow(), manifest.arrow("pyarrow.parquet")
        image = self.arrow.struct([("bytes", self.arrow.binary()), ("path", self.arrow.string())])
        labels = [manifest.schema().field(name) for name in LABELS]
        self.schema = self.arrow.schema([("image", image), ("mask", image), *labels])
        self.writer = self.parquet.ParquetWriter(self.draft, self.schema)
        self.held: list[dict[str, Any]] = []
        self.count = 0

    def add(self, made: Made) -> None:
        made.row["file"] = f"{self.file}#{self.count}"
        made.row["mask"] = None if made.mask is None else f"{self.file}#{self.count}"
        files = {
            "image": {"bytes": made.image, "path": f"{made.name}.png"},
            "mask": {"bytes": made.mask, "path": f"{made.name}.png"} if made.mask else None,
        }
        self.held.append({**files, **{name: made.row[name] for name in LABELS}})
        self.count += 1
        if len(self.held) == ROWS:
            self._write()

    def _write(self) -> None:
        if self.held:
            self.writer.write_table(self.arrow.Table.from_pylist(self.held, schema=self.schema))
            self.held = []

    def close(self) -> None:
        self._write()
        self.writer.close()
        self._name()


LABELS = ("key", "variant", "id", "types", "severities", "levels", "areas", "params")
WRITERS: dict[str, Any] = {**dict.fromkeys(FORMATS, Folder), "webdataset": WebDataset, "parquet": Table}


def read_file(out: Path, file: str, column: str = "image") -> bytes:
    """The bytes of a file that a manifest names, in a folder or in a container.

    Raises:
        OSError: if it cannot be read. KeyError: if it is not in its container.
    """
    path, name = parted(file)
    if name is None:
        return (out / path).read_bytes()
    changed = os.stat(out / path).st_mtime_ns
    if path.endswith(".tar"):
        offset, size = _members(str(out / path), changed)[name]
        with open(out / path, "rb") as tar:
            tar.seek(offset)
            return tar.read(size)
    data: bytes = _column(str(out / path), column, changed)[int(name)].as_py()["bytes"]
    return data


def parted(file: str) -> tuple[str, str | None]:
    """The file that a manifest names, and which of its members if it is a container. A file in a folder may have any name."""
    if file.startswith((f"{SHARDS}/", f"{TABLES}/")):
        path, _, name = file.partition("#")
        return path, name
    return file, None


# What a container holds is kept, as long as it is the same file.


@lru_cache(maxsize=8)
def _members(path: str, changed: int) -> dict[str, tuple[int, int]]:
    with tarfile.open(path, "r:") as tar:
        return {member.name: (member.offset_data, member.size) for member in tar}


@lru_cache(maxsize=4)
def _column(path: str, column: str, changed: int) -> Sequence[Any]:
    values: Sequence[Any] = manifest.arrow("pyarrow.parquet").read_table(path, columns=[column]).column(0)
    return values

"""Where images come from: files, folders, globs, tar shards, Parquet files and Hugging Face data sets, as one ordered list of entries."""

from __future__ import annotations

import glob
import importlib
import os
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

SUFFIXES = (".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
COLUMN = "image"  # of tables


@dataclass(frozen=True)
class Entry:
    """One image, wherever it lies."""

    key: str  # its name among all, with / between folders: what its sample ids are made of
    path: str  # of the file that holds it
    kind: str = "file"  # or "tar", "parquet", "huggingface"
    offset: int = 0  # in a tar, of its bytes; else its row
    length: int = 0  # in a tar, of its bytes

    def read(self) -> bytes:
        """The image file's bytes.

        Raises:
            OSError: if they cannot be read. ValueError: if there is no image there.
        """
        if self.kind == "file":
            return Path(self.path).read_bytes()
        if self.kind == "tar":
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                return file.read(self.length)
        return _bytes_of(_rows(self.path, self.kind)[self.offset], self)

    def to_dict(self) -> dict[str, Any]:
        return vars(self)


def entries(sources: Sequence[str | os.PathLike[str]]) -> tuple[list[Entry], list[tuple[str, str]]]:
    """All images of the sources in order of their keys, and what could not be looked into: pairs of a path and a reason.

    Args:
        sources: images, folders (all images in them, links followed once), globs, `.tar` files, `.parquet` files, folders that
            `datasets.Dataset.save_to_disk` wrote.

    Raises:
        ValueError: a source that is nothing, or two images of one key.
    """
    refused: list[tuple[str, str]] = []
    found: list[Entry] = []
    for source in sources:
        text = os.fspath(source)
        paths = [text] if os.path.exists(text) else sorted(glob.glob(text, recursive=True))
        if not paths:
            raise ValueError(f"SRC {text!r} does not exist; accepted: images, folders, globs, .tar, .parquet, and saved Hugging Face data sets.")
        for path in map(os.path.abspath, paths):
            own = list(_under(Path(path), refused))
            several = len(sources) > 1 and os.path.isdir(path)
            found += [Entry(**{**e.to_dict(), "key": f"{Path(path).name}/{e.key}"}) if several else e for e in own]
    found.sort(key=lambda entry: entry.key)
    twice = [key for key, count in Counter(e.key for e in found).items() if count > 1]
    if twice:
        raise ValueError(f"SRC holds two images called {twice[0]!r}; accepted: one of each name.")
    return found, refused


def _under(path: Path, refused: list[tuple[str, str]]) -> Iterator[Entry]:
    if path.is_dir():
        if (path / "dataset_info.json").exists() and (path / "state.json").exists():
            yield from (Entry(f"{path.name}/{row:08d}", str(path), "huggingface", row) for row in range(len(_rows(str(path), "huggingface"))))
            return
        for file in _walk(path, refused):
            yield Entry(file.relative_to(path).as_posix(), str(file))
    elif path.suffix == ".tar":
        yield from _members(path, refused)
    elif path.suffix == ".parquet":
        yield from (Entry(f"{path.stem}/{row:08d}", str(path), "parquet", row) for row in range(len(_rows(str(path), "parquet"))))
    else:
        yield Entry(path.name, str(path))


def _walk(root: Path, refused: list[tuple[str, str]]) -> Iterator[Path]:
    """The images under a folder. Links to folders are followed, but no folder is entered twice."""
    seen = set()
    for folder, inside, files in os.walk(root, followlinks=True, onerror=lambda e: refused.append((str(e.filename), e.strerror or str(e)))):
        real = os.path.realpath(folder)
        if real in seen:
            inside.clear()
            continue
        seen.add(real)
        inside.sort()
        yield from (Path(folder, name) for name in sorted(files) if name.lower().endswith(SUFFIXES) and not name.startswith("."))


def _members(path: Path, refused: list[tuple[str, str]]) -> Iterator[Entry]:
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.isfile() and member.name.lower().endswith(SUFFIXES):
                    name = PurePosixPath(member.name)
                    if name.is_absolute() or ".." in name.parts:
                        refused.append((f"{path}#{name}", "its name leads out of the tar"))
                        continue
                    yield Entry(f"{path.stem}/{name.as_posix()}", str(path), "tar", member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        refused.append((str(path), f"the tar cannot be read to its end: {error}"))


@lru_cache(maxsize=4)
def _rows(path: str, kind: str) -> Any:
    """The rows of a table, of which each holds an image."""
    if kind == "huggingface":
        datasets = _needed("datasets", "integrations")
        table = datasets.load_from_disk(path)
        if not hasattr(table, "features"):
            raise ValueError(f"SRC {path!r} holds several splits; accepted: one of them, {', '.join(str(Path(path) / name) for name in table)}.")
        return table.cast_column(COLUMN, datasets.Image(decode=False)) if COLUMN in table.features else table
    table = _needed("pyarrow.parquet", "datasets").read_table(path)
    if COLUMN not in table.column_names:
        raise ValueError(f"SRC {path!r} has no column {COLUMN!r}; accepted: image files as bytes, or as structs of bytes and path, under that name.")
    return table.column(COLUMN)


def _bytes_of(row: Any, entry: Entry) -> bytes:
    value = row[COLUMN] if isinstance(row, dict) else row.as_py()
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is None and isinstance(value, dict) and value.get("path"):
        return Path(value["path"]).read_bytes()
    if not isinstance(data, bytes):
        raise ValueError(f"row {entry.offset} holds a {type(value).__name__}; accepted: an image file as bytes")
    return data


def _needed(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"this source needs {module.split('.')[0]}, which is not installed: pip install 'degrade[{extra}]'.") from None


def names(found: Sequence[Entry]) -> list[str]:
    """What each image's files are called: its key without suffix, where no other image then has the same name, on any file system."""
    stems = [str(PurePosixPath(entry.key).with_suffix("")) if entry.kind in ("file", "tar") else entry.key for entry in found]
    count = Counter(stem.casefold() for stem in stems)
    return [stem if count[stem.casefold()] == 1 else entry.key for stem, entry in zip(stems, found)]

"""Where images come from: files, folders, globs, tar shards, Parquet files and Hugging Face data sets, as one ordered list of entries."""

from __future__ import annotations

import glob
import hashlib
import importlib
import os
import tarfile
import unicodedata
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
                data = file.read(self.length)
            if len(data) < self.length:
                raise ValueError("the tar ends within it")
            return data
        return _bytes_of(_rows(self.path, self.kind, _changed(self.path, self.kind))[self.offset], self)

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
            found += _under(Path(path), refused)
    found = [entry for entry in found if _sayable(entry, refused)]
    found.sort(key=lambda entry: entry.key)
    refused.sort()
    twice = [key for key, count in Counter(e.key for e in found).items() if count > 1]
    if twice:
        raise ValueError(f"SRC holds two images called {twice[0]!r}; accepted: one of each name.")
    return found, refused


def _under(path: Path, refused: list[tuple[str, str]]) -> Iterator[Entry]:
    if path.is_dir():
        if (path / "dataset_dict.json").exists():
            splits = ", ".join(str(file.parent) for file in sorted(path.glob("*/state.json")))
            raise ValueError(f"SRC {str(path)!r} holds several splits; accepted: one of them, {splits}.")
        if (path / "dataset_info.json").exists() and (path / "state.json").exists():
            count = len(_rows(str(path), "huggingface", _changed(str(path), "huggingface")))
            yield from (Entry(f"{path.name}/{row:08d}", str(path), "huggingface", row) for row in range(count))
            return
        for file in _walk(path, refused):  # under the folder's name: ids are the same whatever other sources there are
            yield Entry(file.relative_to(path.parent).as_posix(), str(file))
    elif path.suffix.lower() == ".tar":
        yield from _members(path, refused)
    elif path.suffix.lower() == ".parquet":
        yield from (Entry(f"{path.stem}/{row:08d}", str(path), "parquet", row) for row in range(_table(str(path)).metadata.num_rows))
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
            # At a damaged header tarfile stops as if nothing came after it.
            with open(path, "rb") as file:
                file.seek(tar.offset)
                if file.read(tarfile.BLOCKSIZE) != tarfile.NUL * tarfile.BLOCKSIZE:
                    raise tarfile.TarError(f"it is damaged or cut off at byte {tar.offset}")
    except (tarfile.TarError, OSError) as error:
        refused.append((str(path), f"the tar cannot be read to its end: {error}"))


def _sayable(entry: Entry, refused: list[tuple[str, str]]) -> bool:
    """Whether a name can stand in a manifest. On Linux the name of a file may be any bytes."""
    try:
        f"{entry.key}{entry.path}".encode()
    except UnicodeEncodeError:
        refused.append((os.fsencode(entry.path).decode(errors="backslashreplace"), "its name is not UTF-8"))
        return False
    return True


@lru_cache(maxsize=4)
def _rows(path: str, kind: str, changed: int) -> Any:
    """The rows of a table, of which each holds an image. Kept as long as it has not changed."""
    if kind == "huggingface":
        datasets = _needed("datasets", "integrations")
        table = datasets.load_from_disk(path)
        _has_images(path, table.column_names)
        return table.cast_column(COLUMN, datasets.Image(decode=False))
    return _table(path).read([COLUMN]).column(0)


def _table(path: str) -> Any:
    """A Parquet file with images, of which nothing but the end is read yet."""
    try:
        table = _needed("pyarrow.parquet", "datasets").ParquetFile(path)
    except ValueError as error:  # arrow's own kind of it
        raise ValueError(f"SRC {path!r} is no Parquet file, or damaged: {error}.") from None
    _has_images(path, table.schema_arrow.names)
    return table


def _has_images(path: str, columns: Sequence[str]) -> None:
    if COLUMN not in columns:
        raise ValueError(f"SRC {path!r} has no column {COLUMN!r}; accepted: image files as bytes, or as structs of bytes and path, under that name.")


def _changed(path: str, kind: str) -> int:
    return os.stat(Path(path, "state.json") if kind == "huggingface" else path).st_mtime_ns


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
    """What each image's files are called: its key without suffix, else the key, else that and a hash of it: the first that no other
    image can be called, on any file system."""
    stems = [str(PurePosixPath(entry.key).with_suffix("")) if entry.kind in ("file", "tar") else entry.key for entry in found]
    claims = Counter(claim for stem, entry in zip(stems, found) for claim in {_folded(stem), _folded(entry.key)})
    return [next((name for name in (stem, entry.key) if claims[_folded(name)] == 1), _hashed(entry.key)) for stem, entry in zip(stems, found)]


def _folded(name: str) -> str:
    """As file systems that ignore case or the composition of letters see it."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _hashed(key: str) -> str:
    return f"{key}~{hashlib.blake2b(key.encode(), digest_size=4).hexdigest()}"

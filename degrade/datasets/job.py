"""A job: all that decides what a data set will hold. Written beside it, so that a run that was cut off goes on as the same one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from degrade.files import node_from_dict, node_to_dict
from degrade.pipeline import Pipeline
from degrade.stream import STREAM, check_stream

from . import manifest
from .decode import Decoder
from .sources import Entry

FILE, LOCK = "job.json", ".lock"
PER_SHARD = 256  # images of the source in each, unless asked otherwise


@dataclass(frozen=True)
class Variant:
    """What is done to every image once: a pipeline, its name in the names of files, and the number that its sample ids are made with."""

    name: str
    pipeline: int  # which of the job's
    number: int


@dataclass(frozen=True)
class Job:
    """What is made of what."""

    entries: tuple[Entry, ...]
    names: tuple[str, ...]  # of the files of each entry
    pipelines: tuple[str, ...]  # as JSON
    variants: tuple[Variant, ...]
    format: str
    decoder: Decoder
    shards: int
    strict: bool = False
    refused: tuple[tuple[str, str], ...] = ()  # what could not be looked into, and why

    def shard(self, number: int) -> range:
        """Which entries a shard holds: as many in each as can be, one after the other."""
        return range(number * len(self.entries) // self.shards, (number + 1) * len(self.entries) // self.shards)

    @cached_property
    def by_key(self) -> dict[str, Entry]:
        return {entry.key: entry for entry in self.entries}

    def made(self) -> list[Pipeline]:
        return [from_text(text) for text in self.pipelines]

    def outputs(self, entry: int) -> Iterator[tuple[Variant, str]]:
        """The variants of an entry and what their files are called, without suffix."""
        name = self.names[entry]
        yield from ((variant, f"{name}_{variant.name}" if variant.name else name) for variant in self.variants)

    def to_json(self) -> str:
        data = {**asdict(self), "decoder": self.decoder._asdict(), "stream": STREAM, "made_by": "degrade generate"}
        return json.dumps(data, indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, name: str) -> Job:
        """Raises: ValueError: another STREAM, or no job."""
        try:
            data: dict[str, Any] = json.loads(text)
            check_stream(data.pop("stream"), name)
            data.pop("made_by")
            data["entries"] = tuple(Entry(**e) for e in data["entries"])
            data["variants"] = tuple(Variant(**v) for v in data["variants"])
            data["decoder"] = Decoder(**data["decoder"])
            data["names"], data["pipelines"] = tuple(data["names"]), tuple(data["pipelines"])
            data["refused"] = tuple((path, reason) for path, reason in data["refused"])
            return cls(**data)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"{name} is no job of degrade generate: {error}; accepted: the folder that it wrote.") from None

    def settle(self, out: Path) -> None:
        """Write the job, or find that the folder is of the same one.

        Raises:
            ValueError: if the folder holds another job's results, or files of something else.
        """
        path, text = out / FILE, self.to_json()
        if path.exists():
            if path.read_text(encoding="utf-8") != text:
                raise ValueError(f"--out {str(out)!r} holds the results of another job; accepted: the same sources and options, or an empty folder.")
            return
        if out.exists() and any(file.name != LOCK and not is_draft(file) for file in out.iterdir()):  # a run may have been killed before it had a job
            raise ValueError(f"--out {str(out)!r} is not empty, and holds no job; accepted: an empty folder, or one that does not exist.")
        manifest.write_durably(path, text.encode())


def is_draft(file: Path) -> bool:
    """Whether a file was being written when a run was killed."""
    return file.name.startswith(".") and file.name.endswith(".part") and file.is_file()


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Keep other runs out of a folder. The claim ends with the process, however that ends; a file system without locks has none.

    Raises:
        ValueError: if another run writes there, or it is no folder.
    """
    from filelock import FileLock, Timeout

    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(f"--out {str(out)!r} is a file; accepted: a folder.") from None
    lock = FileLock(out / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"--out {str(out)!r} is being written by another run; accepted: a folder of its own, or this one when that run is done."
        ) from None
    except NotImplementedError:
        yield
        return
    try:
        yield
    finally:
        (out / LOCK).unlink(missing_ok=True)
        lock.release()


def read_job(out: Path) -> Job:
    """The job of a folder.

    Raises:
        ValueError: if it holds none.
    """
    path = out / FILE
    if not path.exists():
        raise ValueError(f"{str(out)!r} holds no {FILE}; accepted: a folder that degrade generate wrote.")
    return Job.from_json(path.read_text(encoding="utf-8"), str(path))


def sample_id(key: str, number: int) -> int:
    """The sample id of an image and a variant: by its name, so that it is the same whatever lies beside the image."""
    return int.from_bytes(hashlib.blake2b(f"{key}\0{number}".encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big") >> 1


def to_text(pipeline: Pipeline) -> str:
    """A pipeline as one line of JSON."""
    return json.dumps({"seed": pipeline.seed, "recipe": node_to_dict(pipeline.recipe)})


def from_text(text: str) -> Pipeline:
    """The inverse of `to_text`."""
    data = json.loads(text)
    return Pipeline(node_from_dict(data["recipe"]), data["seed"], check="never")


def variants(pipelines: list[Pipeline], per_image: int, names: list[str] | None = None) -> tuple[Variant, ...]:
    """So many variants of each image by every pipeline, which has a name or is the only one."""
    made: list[Variant] = []
    for i, name in enumerate(names or [""] * len(pipelines)):
        for k in range(per_image):
            number = str(k) if per_image > 1 else ""
            made.append(Variant("_".join(part for part in (name, number) if part), i, len(made)))
    return tuple(made)

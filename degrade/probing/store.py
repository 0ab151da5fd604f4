"""What was rendered and embedded so far, one file for each type at each level: a run that was cut off goes on there."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from degrade.distributions import Array
from degrade.storing import write_whole
from degrade.stream import STREAM

FILE = "settings.json"
FOLDER = "parts"
CLEAN = "clean"

Part = dict[str, Array]


class Store:
    """Parts in a folder, or in memory where there is none.

    Args:
        out: the folder; made if it is not there.
        settings: what parts depend on; those of another run in the same folder must be equal.

    Raises:
        ValueError: a folder of other settings, or of something else.
    """

    def __init__(self, out: Path | None, settings: Mapping[str, Any]) -> None:
        self.out, self._held = out, dict[str, Part]()
        if out is None:
            return
        text = json.dumps({"made_by": "degrade probe", "stream": STREAM, **settings}, indent=1, sort_keys=True) + "\n"
        path = out / FILE
        if path.exists():
            _check_equal(path.read_text(encoding="utf-8"), text, out)
        elif out.exists() and (not out.is_dir() or any(not f.name.startswith(".") for f in out.iterdir())):
            raise ValueError(f"out={str(out)!r} is not empty, and holds no probe; accepted: an empty folder, or one that does not exist.")
        (out / FOLDER).mkdir(parents=True, exist_ok=True)
        for draft in (out / FOLDER).glob(".*.part"):  # of a run that was killed
            draft.unlink()
        write_whole(path, text)

    def has(self, name: str) -> bool:
        return name in self._held if self.out is None else self._file(name).exists()

    def write(self, name: str, part: Part) -> None:
        """Keep a part; its file appears whole or not at all."""
        if self.out is None:
            self._held[name] = part
            return
        file = io.BytesIO()
        np.savez(file, **part)  # type: ignore[arg-type]
        write_whole(self._file(name), file.getvalue())

    def read(self, name: str) -> Part:
        """A part as it was written.

        Raises:
            ValueError: a file that is damaged.
        """
        if self.out is None:
            return self._held[name]
        try:
            with np.load(self._file(name), allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
            raise ValueError(f"{str(self._file(name))!r} cannot be read: {error}; delete it, and it is made again.") from None

    def _file(self, name: str) -> Path:
        assert self.out is not None
        return self.out / FOLDER / f"{name}.npz"


def name_of(type: str, level: float) -> str:
    """What the part of a type at a level is called."""
    return f"{type}-{level:g}"


def _check_equal(there: str, wanted: str, out: Path) -> None:
    try:
        old, new = json.loads(there), json.loads(wanted)
        differ = sorted(key for key in {*old, *new} if old.get(key) != new.get(key))
    except (json.JSONDecodeError, AttributeError):
        differ = [FILE]
    if differ:
        raise ValueError(
            f"out={str(out)!r} holds a probe of another configuration, which differs in {', '.join(differ)}; accepted: the same one, or an empty folder."
        )

"""Read back what was saved, whichever it is."""

from __future__ import annotations

import os
from pathlib import Path

from .pipeline import Pipeline
from .program import Program


def load(path: str | os.PathLike[str]) -> Pipeline | Program:
    """A pipeline from YAML (.yaml, .yml) or a program from JSON (.json).

    Raises:
        ValueError: another suffix, a file that is neither, another STREAM, or an unknown op or key.
        OSError: if the file cannot be read.
    """
    suffix = Path(path).suffix.lower()
    if suffix in (".yaml", ".yml"):
        return Pipeline.load(path)
    if suffix == ".json":
        return Program.load(path)
    raise ValueError(f"path={str(path)!r} has suffix {suffix!r}; accepted: .yaml or .yml (a pipeline), .json (a program).")

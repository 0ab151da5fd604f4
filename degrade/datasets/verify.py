"""Whether a data set is as its manifest says."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from . import manifest
from .write import FOLDERS, parted, read_file


def verify(out: str | os.PathLike[str]) -> list[tuple[str, str]]:
    """Hash every file again; pairs of a file and what is wrong with it: missing, changed, or not in the manifest.

    Raises:
        OSError: if there is no manifest.
    """
    root, wrong = Path(out), []
    known = set()
    for row in manifest.read(root / manifest.FILE):
        for column, hashed in (("image", row["sha256"]), ("mask", row["mask_sha256"])):
            file = row["file" if column == "image" else "mask"]
            if file is None:
                continue
            known.add(parted(file)[0])
            if said := _fault(root, file, column, hashed):
                wrong.append((file, said))
    for folder in FOLDERS:
        files = (path.relative_to(root).as_posix() for path in sorted((root / folder).rglob("*")) if path.is_file())
        wrong += [(file, "not in the manifest") for file in files if file not in known]
    return wrong


def _fault(root: Path, file: str, column: str, hashed: str) -> str:
    try:
        data = read_file(root, file, column)
    except (FileNotFoundError, LookupError):  # a folder's, a container's
        return "missing"
    except Exception as error:  # whatever a damaged container raises
        return f"unreadable: {error}"
    return "" if hashlib.sha256(data).hexdigest() == hashed else "changed"

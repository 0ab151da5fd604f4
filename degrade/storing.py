"""How things are stored: tensors inside text files, and files that appear whole or not at all."""

from __future__ import annotations

import base64
import contextlib
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch


def pack(tensor: torch.Tensor) -> dict[str, Any]:
    """A float32 tensor as plain data."""
    raw = np.ascontiguousarray(tensor.detach().float().cpu().numpy(), dtype="<f4").tobytes()
    return {"shape": list(tensor.shape), "float32_zlib_base64": base64.b64encode(zlib.compress(raw)).decode()}


def unpack(data: Any) -> torch.Tensor:
    """The inverse of `pack`.

    Raises:
        ValueError: if it is not what `pack` gives.
    """
    try:
        raw = zlib.decompress(base64.b64decode(data["float32_zlib_base64"], validate=True))
        return torch.from_numpy(np.frombuffer(raw, dtype="<f4").astype(np.float32).reshape(data["shape"]))
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"a stored tensor cannot be read: {error}; accepted: shape and float32_zlib_base64, as they were saved.") from error


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a file so that nothing half-written is ever seen under its name."""
    path = Path(path)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        draft.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise OSError(f"path={str(path)!r} cannot be written: {error.strerror}.") from error

"""Checkpoints: written whole or not at all, and continued only by the run that they belong to."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from degrade.storing import write_whole

from .model import read


def save(path: Path, config: dict[str, Any], step: int, parts: dict[str, Any]) -> None:
    """Everything that the next step depends on: the parts' states, the random numbers, and the configuration.

    Args:
        step: the first that is still to be done.
        parts: what has a `state_dict`, by name; None is left out.
    """
    states = {name: part.state_dict() for name, part in parts.items() if part is not None}
    random = {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}
    held = io.BytesIO()
    torch.save({"config": config, "step": step, "random": random, **states}, held)
    write_whole(path, held.getvalue())


def restore(path: Path, config: dict[str, Any], parts: dict[str, Any]) -> int:
    """Continue from a checkpoint: the first step that is still to be done.

    Raises:
        ValueError: what is no checkpoint, or one of another configuration, naming the first argument that differs.
    """
    saved = read(path)
    differing = difference(saved["config"], config)
    if differing:
        raise ValueError(f"{str(path)!r} was written with {differing}; accepted: the arguments of that run, another --out, or --fresh.")
    for name, part in parts.items():
        if part is not None:
            part.load_state_dict(saved[name])
    torch.set_rng_state(saved["random"]["cpu"])
    if torch.cuda.is_available() and len(saved["random"]["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(saved["random"]["cuda"])
    return int(saved["step"])


def difference(saved: dict[str, Any], own: dict[str, Any], prefix: str = "") -> str:
    """The first argument that is not equal in both, in words; "" if there is none."""
    for name in [*own, *(n for n in saved if n not in own)]:
        ours, theirs = own.get(name), saved.get(name)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            found = difference(theirs, ours, f"{prefix}{name}.")
            if found:
                return found
        elif ours != theirs:
            return f"{prefix}{name}={theirs!r}, not {ours!r}"
    return ""

"""Programs as plain data, for files, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import unknown
from .kernels import rng
from .masks import find as find_mask
from .masks.combine import mask_numbers
from .op import MAX_PARAMETERS
from .ops import find
from .program import CALL_MASK, NOISES, PHASES, Program, columns_of, groups
from .storing import pack, unpack
from .stream import STREAM, check_stream


def to_data(program: Program) -> dict[str, Any]:
    """Plain data, exact: floats are written so that they read back to the same bits."""
    return {
        "degrade": "program",
        "stream": STREAM,
        "size": list(program.size),
        "key": program.key,
        "parent": program.parent.tolist(),
        "fold": program.fold.tolist(),
        "partition": program.partition.tolist(),
        "slots": program.slots,
        "ops": list(program.ops),
        "families": list(program.families),
        "noise": program.noise,
        "samples": [_sample(program, i) for i in range(len(program))],
        "maps": None if program.maps is None else pack(program.maps),
    }


def _sample(program: Program, i: int) -> dict[str, Any]:
    """One sample of it."""
    slots = [
        {
            "slot": s,
            "op": program.ops[program.code[i, s]],
            "theta": program.theta[i, s, : len(find(program.ops[program.code[i, s]]).parameters)].tolist(),
            "severity": float(program.severity[i, s]),
            "level": None if np.isnan(program.level[i, s]) else float(program.level[i, s]),
            **({"phase": program.phase[i, s].tolist()} if program.phase[i, s].any() else {}),
        }
        for s in np.flatnonzero(program.code[i] >= 0).tolist()
    ]
    regions = [
        {
            "region": r,
            "mask": program.families[program.family[i, r]],
            "first": int(program.first[i, r]),
            "last": int(program.last[i, r]),
            "numbers": program.numbers[i, r, : find_mask(program.families[program.family[i, r]]).columns].tolist(),
            **({"velocity": program.velocity[i, r].tolist()} if program.velocity[i, r].any() else {}),
        }
        for r in np.flatnonzero(program.family[i] >= 0).tolist()
    ]
    frame = {"frame": int(program.frame[i])} if program.frame[i] else {}
    return {"id": int(program.ids[i]), **frame, "slots": slots, "regions": regions}


def from_data(data: dict[str, Any]) -> Program:
    """The inverse of `to_data`.

    Raises:
        ValueError: if it is not a program, is of another STREAM, or names an unknown op or mask.
    """
    if not isinstance(data, dict) or data.get("degrade") != "program":
        raise ValueError("this file is not a degrade program; accepted: what Program.save wrote.")
    check_stream(data.get("stream"), "program")
    try:
        program = _read(data)
        check(program)
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, MemoryError, AttributeError) as error:
        raise ValueError(f"this program is damaged: {error or type(error).__name__}; accepted: what Program.save wrote.") from error
    return program


def check(program: Program) -> None:
    """Refuse what no pipeline draws.

    Raises:
        ValueError: naming what is wrong.
    """
    for i, name in enumerate(program.ops):
        find(name).check(program.theta[program.code == i])
    used = program.family >= 0
    if program.noise not in NOISES:
        raise ValueError(unknown("noise", program.noise, NOISES))
    if not np.isfinite(program.velocity).all() or program.velocity[program.reads_map()].any():
        raise ValueError("velocities are not finite, or those of masks that do not move.")
    if not ((program.phase >= 0) & (program.phase < PHASES)).all():
        raise ValueError("a phase is out of range.")
    if not ((program.frame >= 0) & (program.frame < rng.FRAMES)).all():
        raise ValueError("a frame is out of range.")
    if not np.isfinite(program.numbers).all() or not ((program.severity >= 0) & (program.severity <= 1)).all():
        raise ValueError("numbers or severities are not finite or out of range.")
    if not ((0 <= program.first) & (program.first <= program.last) & (program.last < program.slots))[used].all():
        raise ValueError("a region spans slots that are not there.")
    if not (program.parent < np.arange(len(program.parent))).all() or not 0 <= program.key < 1 << 64:
        raise ValueError("parent or key is out of range.")
    if not len(program.fold) == len(program.parent) == len(program.partition):
        raise ValueError("fold, parent and partition are not of one length.")
    for _, same in groups(np.array(mask_numbers(program.fold.tolist()), dtype=np.int64)):
        if (used[:, same] != used[:, same[:1]]).any():
            raise ValueError("a mask lacks some of its parts.")
    rows = program.numbers[..., 0][program.reads_map()]
    stored = 0 if program.maps is None else len(program.maps)
    if not ((rows == CALL_MASK) | ((rows >= 0) & (rows < stored) & (rows == np.floor(rows)))).all():
        raise ValueError("a mask's map is not among those stored.")
    if program.maps is not None and tuple(program.maps.shape[1:]) != program.size:
        raise ValueError("the stored maps are not of the program's size.")


def _read(data: dict[str, Any]) -> Program:
    """A program that was not checked."""
    ops, families, samples = tuple(data["ops"]), tuple(data["families"]), data["samples"]
    for name in ops:
        find(name)
    for name in families:
        find_mask(name)
    b, s, r = len(samples), data["slots"], len(data["parent"])
    if not isinstance(s, int) or not 0 <= s < 1 << 12:
        raise ValueError(f"slots={s!r}")
    out: dict[str, Any] = {
        "code": np.full((b, s), -1, np.int16),
        "theta": np.zeros((b, s, MAX_PARAMETERS), np.float32),
        "severity": np.zeros((b, s), np.float32),
        "level": np.full((b, s), np.nan, np.float32),
        "family": np.full((b, r), -1, np.int16),
        "numbers": np.zeros((b, r, columns_of(families)), np.float32),
        "first": np.full((b, r), -1, np.int16),
        "last": np.full((b, r), -1, np.int16),
        "velocity": np.zeros((b, r, 2), np.float32),
        "phase": np.zeros((b, s, 2), np.int16),
    }
    for i, sample in enumerate(samples):
        for slot in sample["slots"]:
            at = i, _index(slot["slot"])
            count = len(find(slot["op"]).parameters)
            out["code"][at], out["severity"][at] = ops.index(slot["op"]), slot["severity"]
            out["theta"][at][:count] = _exactly(slot["theta"], count)
            out["level"][at] = np.nan if slot["level"] is None else slot["level"]
            out["phase"][at] = _exactly(slot.get("phase", [0, 0]), 2)
        for region in sample["regions"]:
            at = i, _index(region["region"])
            count = find_mask(region["mask"]).columns
            out["family"][at], out["numbers"][at][:count] = families.index(region["mask"]), _exactly(region["numbers"], count)
            out["first"][at], out["last"][at] = region["first"], region["last"]
            out["velocity"][at] = _exactly(region.get("velocity", [0.0, 0.0]), 2)
    return Program(
        ops=ops,
        families=families,
        size=(_index(data["size"][0]), _index(data["size"][1])),
        key=_index(data["key"]),
        ids=np.asarray([_whole(sample["id"]) for sample in samples], dtype=np.int64),
        parent=np.asarray(data["parent"], dtype=np.int16),
        fold=np.asarray(data["fold"], dtype=np.int32),
        partition=np.asarray(data["partition"], dtype=np.int16),
        frame=np.asarray([_index(sample.get("frame", 0)) for sample in samples], dtype=np.int32),
        noise=data.get("noise", "fresh"),
        maps=None if data["maps"] is None else unpack(data["maps"]),
        **out,
    )


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _index(value: Any) -> int:
    if _whole(value) < 0:
        raise ValueError(f"{value!r} is negative")
    return int(value)


def _exactly(values: Any, count: int) -> Any:
    if not isinstance(values, list) or len(values) != count:
        raise ValueError(f"{values!r} is not a list of {count} numbers")
    return values

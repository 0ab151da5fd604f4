"""Labels as rows of a table and as numbers for a logger: what was done, one occupied slot a row."""

from __future__ import annotations

import importlib
import io
import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .distributions import Array
from .op import Op
from .ops import find
from .storing import write_whole

if TYPE_CHECKING:
    from .labels import Labels


def rows(labels: Labels) -> list[dict[str, Any]]:
    """One dict for each occupied slot, sample by sample, in the order applied; see `Labels.rows`."""
    program = labels.program
    ids, level, box, area, identity = (value.cpu() for value in (labels.ids, labels.level, labels.boxes, labels.area, labels.identity))
    out = []
    for i, slot in np.argwhere(program.code >= 0).tolist():
        op = find(program.ops[program.code[i, slot]])
        at = i, slot
        out.append(
            {
                "id": int(ids[i]),
                "slot": slot,
                "type": op.name,
                "group": op.group,
                "severity": float(program.severity[at]),
                "level": None if math.isnan(level[at]) else float(level[at]),
                "area": float(area[at]),
                "box": box[at].tolist(),
                "identity": bool(identity[at]),
                "params": params_of(op, program.theta[at]),
            }
        )
    return out


def params_of(op: type[Op], theta: Array) -> dict[str, str | int | float]:
    """Drawn parameters (8,) by name."""
    return {name: _read(param, value) for (name, param), value in zip(op.parameters.items(), theta)}


def _read(param: Any, value: Any) -> str | int | float:
    """A parameter as people give it: an option by its name."""
    return param.choices[int(value)] if param.choices else int(value) if param.integer else float(value)


def write_parquet(labels: Labels, path: str | os.PathLike[str]) -> None:
    """Write the rows as Parquet; the file appears whole or not at all."""
    arrow = _pyarrow("pyarrow")
    columns = {
        "id": arrow.int64(),
        "slot": arrow.int16(),
        "type": arrow.string(),
        "group": arrow.string(),
        "severity": arrow.float32(),
        "level": arrow.float32(),
        "area": arrow.float32(),
        "box": arrow.list_(arrow.int32()),
        "identity": arrow.bool_(),
        "params": arrow.string(),
    }
    # Each type has parameters of its own: one column of JSON reads back as dicts, where a struct would hold those of every type.
    table = arrow.Table.from_pylist(
        [{**row, "params": json.dumps(row["params"])} for row in rows(labels)], schema=arrow.schema(list(columns.items()))
    )
    data = io.BytesIO()
    _pyarrow("pyarrow.parquet").write_table(table, data)
    write_whole(path, data.getvalue())


def _pyarrow(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ModuleNotFoundError("writing Parquet needs pyarrow, which is not installed: pip install 'degrade[labels]'.") from None


def summary(labels: Labels, prefix: str) -> dict[str, float]:
    """Means over a batch by name; see `Labels.summary`."""
    if not len(labels):
        return {}
    type, severity, area = labels.type.cpu(), labels.severity.cpu(), labels.area.cpu()
    taken = type >= 0
    touched = (~labels.identity.cpu() & (area > 0)).any(1)
    out = {"slots": taken.sum(1), "severity": severity[taken], "area": area[taken], "untouched": ~touched}
    for code, name in enumerate(labels.types):
        own = type == code
        out[f"share/{name}"], out[f"severity/{name}"] = own.any(1), severity[own]
    return {prefix + name: float(values.to(torch.float64).mean()) for name, values in out.items() if len(values)}

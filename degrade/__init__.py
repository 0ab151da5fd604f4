"""degrade: image degradations under soft masks, a different one for every image of a batch."""

import os as _os
from typing import Any as _Any

# A bare checkout has `kernels/` beside the package, an installation inside it.
if not _os.path.isdir(_os.path.join(__path__[0], "kernels")):
    __path__.append(_os.path.dirname(__path__[0]))

from . import banks, cells, data, datasets, effect, functional, masks, perceptual
from .distributions import Choice, HalfNormal, Levels, LogUniform, Normal, Uniform
from .errors import unknown as _unknown
from .labels import Labels
from .loading import load
from .op import CodecOp, Context, Frame, Op, Param, PointOp, Stroke, TwoStrokeOp
from .ops import REGISTRY, register
from .partition import Partition
from .phase import Phase
from .pipeline import Pipeline, apply
from .prepared import Prepared, prepare
from .probing import probe
from .program import Program
from .recipe import Compose, Local, OneOf, Relative, SomeOf
from .stream import STREAM
from .together import Together

__version__ = "0.2.0"

# Every registered op is an attribute: degrade.GaussianBlur.
globals().update({op.__name__: op for op in REGISTRY.values()})

__all__ = [
    "REGISTRY",
    "STREAM",
    "Choice",
    "CodecOp",
    "Compose",
    "Context",
    "Frame",
    "HalfNormal",
    "Labels",
    "Levels",
    "Local",
    "LogUniform",
    "Normal",
    "OneOf",
    "Op",
    "Param",
    "Partition",
    "Phase",
    "Pipeline",
    "PointOp",
    "Prepared",
    "Program",
    "Relative",
    "SomeOf",
    "Stroke",
    "Together",
    "TwoStrokeOp",
    "Uniform",
    "apply",
    "banks",
    "cells",
    "data",
    "datasets",
    "effect",
    "functional",
    "load",
    "masks",
    "perceptual",
    "prepare",
    "probe",
    "register",
    *(op.__name__ for op in REGISTRY.values()),
]


def __getattr__(name: str) -> _Any:
    """Type checkers learn from this that the ops are here; at run time only an unknown name leads to it."""
    raise AttributeError(_unknown("degrade name", name, __all__))

"""Banks: published sets of degradations as ready pipelines. Each module of this folder but `base` is one."""

from typing import Any

from degrade.errors import unknown

from .kadid10k import kadid10k

__all__ = ["kadid10k"]


def __getattr__(name: str) -> Any:
    """Reached only by an unknown name."""
    raise AttributeError(unknown("bank", name, __all__))

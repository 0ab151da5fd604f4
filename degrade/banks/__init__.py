"""Banks: published sets of degradations as ready pipelines. Each module of this folder but `base` is one."""

from .kadid10k import kadid10k

__all__ = ["kadid10k"]

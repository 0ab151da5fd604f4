"""Degradations where images are loaded."""

from .indexed import Indexed

__all__ = ["Indexed"]

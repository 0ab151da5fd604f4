"""Distorted data sets: whole folders of images degraded once, written with a manifest from which every bit can be made again."""

from .generate import Summary, generate
from .images import DegradedImages
from .rebuild import rebuild
from .verify import verify

__all__ = ["DegradedImages", "Summary", "generate", "rebuild", "verify"]

"""Banks: published sets of degradations as ready pipelines. Each module of this folder but `base` is one."""

from typing import Any

from degrade.errors import unknown

from .arniqa import arniqa
from .bsrgan import bsrgan
from .imagenet_c import imagenet_c
from .kadid10k import kadid10k
from .realesrgan import realesrgan
from .reiqa import reiqa
from .shamisa import shamisa
from .slide import slide
from .tid2013 import tid2013
from .xdistortion import xdistortion

__all__ = ["arniqa", "bsrgan", "imagenet_c", "kadid10k", "realesrgan", "reiqa", "shamisa", "slide", "tid2013", "xdistortion"]


def __getattr__(name: str) -> Any:
    """Reached only by an unknown name."""
    raise AttributeError(unknown("bank", name, __all__))

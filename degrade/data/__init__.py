"""Degradations where images are loaded.

`degrade.data.lightning` and `degrade.data.albumentations` need the libraries of their names, and are imported by name.
"""

from . import views
from .batches import Collate, Numbered, Prepare
from .device import DeviceLoader
from .indexed import Indexed
from .transform import Transform

__all__ = ["Collate", "DeviceLoader", "Indexed", "Numbered", "Prepare", "Transform", "views"]

"""How well an encoder sees degradations that cover a part of an image: a probe for its blind spot, with controls of equal error."""

from .run import Probe, probe

__all__ = ["Probe", "probe"]

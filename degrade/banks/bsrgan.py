"""BSRGAN: blur, blur, resize, noise, JPEG and a camera in random order."""

from __future__ import annotations

from typing import Any

from degrade.distributions import Choice, Uniform
from degrade.errors import unknown
from degrade.ops import find
from degrade.recipe import Compose, Node, OneOf, SomeOf

from .base import Bank

CITATION = """@inproceedings{bsrgan,
  author    = {Kai Zhang and Jingyun Liang and Luc Van Gool and Radu Timofte},
  title     = {Designing a Practical Degradation Model for Deep Blind Image Super-Resolution},
  booktitle = {Proceedings of the IEEE/CVF International Conference on Computer Vision (ICCV)},
  year      = {2021},
  pages     = {4791--4800}
}"""

SCALE = 4  # the published super-resolution factor
FILTERS = Choice(["bilinear", "bicubic", "area"])
QUALITY = (30, 95)
VERSIONS = ("bsrgan", "plus")


def blur(p: float = 1.0) -> Node:
    """An isotropic or an anisotropic Gaussian, a coin's flip."""
    op, size = find("anisotropic_gaussian_blur"), Choice(range(7, 26, 2))
    low, high = 0.1, (4 + SCALE) ** 0.5  # the published eigenvalues U(0, 4 + scale) are variances
    aniso = op(sigma_x=(low, high), sigma_y=(low, high), angle=(0.0, 180.0), size=size)
    return OneOf(aniso, op(sigma_x=(low, 2 + 0.2 * SCALE), isotropic="on", size=size), p=p)


def noise() -> Node:
    """Colour, grey or channel-correlated Gaussian noise, 2 to 25 of 255."""
    std = (2 / 255, 25 / 255)
    return OneOf(
        find("gaussian_noise")(std=std),
        find("gaussian_noise")(std=std, colour="grey"),
        find("channel_correlated_noise")(std=std),
        weights=[0.4, 0.4, 0.2],
    )


def camera() -> Node:
    """A sensor's noise and mosaic, for the learned camera model of the original."""
    return Compose(find("bayer_mosaic")(1.0), find("camera_noise")(gain=(0.5, 4.0)))


def recipe() -> Node:
    """Version "bsrgan": seven steps in random order, JPEG last."""
    resize, jpeg = find("resize"), find("jpeg")(quality=QUALITY)
    shrink = OneOf(
        resize(factor=Uniform(1.0, 2.0 * SCALE), filter=FILTERS),
        Compose(find("gaussian_blur")(sigma=(0.1, 0.6 * SCALE)), resize(factor=float(SCALE), filter="nearest")),
        weights=[0.75, 0.25],
    )
    to_size = resize(factor=float(SCALE), filter=FILTERS)
    steps = SomeOf(blur(), blur(), shrink, to_size, noise(), find("jpeg")(quality=QUALITY, p=0.9), _sometimes(camera(), 0.25), n=7)
    return Compose(resize(factor=2.0, filter=FILTERS, p=0.25), steps, jpeg)


def recipe_plus() -> Node:
    """Version "plus": two stages of eight steps, each stage shuffled half of the time, JPEG at the end of both."""
    resize = find("resize")
    stages = []
    for _ in range(2):
        change = OneOf(
            resize(factor=Uniform(0.5, 1.0), filter=FILTERS), resize(factor=Uniform(1.0, 2.0 * SCALE), filter=FILTERS), weights=[0.2, 0.7], p=0.9
        )  # fmt: skip
        poisson = find("poisson_noise")(gain=Uniform(1e-4, 1e-2), colour=Choice(["colour", "grey"]), p=0.1)
        speckle = find("speckle_noise")(std=(2 / 255, 25 / 255), p=0.1)
        kinds = [noise(), poisson, speckle, _sometimes(camera(), 0.1)]
        shuffled = SomeOf(blur(), change, *kinds, n=6)
        ordered = Compose(blur(), change, SomeOf(*kinds, n=4))
        stages.append(Compose(OneOf(shuffled, ordered), find("jpeg")(quality=QUALITY)))
    return Compose(*stages)


def bsrgan(version: str = "bsrgan", reference_size: int | None = None, **options: Any) -> Bank:
    """BSRGAN's degradation process, with every draw a sample's own, at the size of the image.

    Every resize returns to the frame's size (the published process ends at a quarter of it), so the order of the two
    down-samplings does not matter here. A sensor model stands for the learned camera pipeline. Borders repeat the last pixel.

    Args:
        version: "bsrgan", or "plus" with two stages.
        reference_size: the short side, in pixels, for which lengths hold; None leaves them as published.
        **options: `seed`, `backend` and `check`, as for `Pipeline`.

    Raises:
        ValueError: an unknown version.

    It has no single types. Source: Zhang et al., ICCV 2021, and its published code (Apache-2.0).
    """
    if version not in VERSIONS:
        raise ValueError(unknown("version", version, VERSIONS))
    return Bank("bsrgan", (), recipe() if version == "bsrgan" else recipe_plus(), CITATION, reference_size, **options)


def _sometimes(node: Node, p: float) -> Node:
    return Compose(node, p=p)

"""Peers that take one image a call: OpenCV, NumPy, Pillow, torchvision and albumentations. t: the parameters of one image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks import checks
from benchmarks.peers_torch import motion_kernel
from degrade.distributions import Array


def each(call: Callable[[Any, Array], Any]) -> Callable[..., Any]:
    """One image at a time, with its parameters (slots, parameters)."""
    return lambda images, theta: lambda: [call(image, own) for image, own in zip(images, theta)]


def _cv2() -> Any:
    import cv2

    return cv2


def cv_table(image: Array, values: Array) -> Array:
    """Each byte by a table of 256 values from 0 to 255."""
    return _cv2().LUT(image, np.clip(np.rint(values), 0, 255).astype(np.uint8))


def cv_noise(image: Array, t: Array) -> Array:
    noise = np.empty(image.shape, np.float32)
    _cv2().randn(noise, (0, 0, 0), (255 * float(t[0, 0]),) * 3)  # one number is of the first channel alone
    return _cv2().add(image, noise, dtype=_cv2().CV_8U)


def numpy_noise(image: Array, t: Array) -> Array:
    noise = np.random.default_rng().standard_normal(image.shape, np.float32)
    return np.clip(np.rint(image + 255 * t[0, 0] * noise), 0, 255).astype(np.uint8)


def cv_blur(image: Array, t: Array) -> Array:
    sigma = float(t[0, 0])
    width = 2 * int(np.ceil(2 * sigma)) + 1
    return _cv2().GaussianBlur(image, (width, width), sigma, borderType=_cv2().BORDER_REPLICATE)


def cv_jpeg(image: Array, t: Array) -> Array:
    return checks.opencv_jpeg_bgr(image, int(t[0, 0]), "4:2:0")


def cv_contrast(image: Array, t: Array) -> Array:
    mean = np.floor(_cv2().mean(_cv2().cvtColor(image, _cv2().COLOR_BGR2GRAY))[0] + 0.5)
    return cv_table(image, mean + t[0, 0] * (np.arange(256) - mean))


def cv_saturation(image: Array, t: Array) -> Array:
    grey = _cv2().cvtColor(_cv2().cvtColor(image, _cv2().COLOR_BGR2GRAY), _cv2().COLOR_GRAY2BGR)
    return _cv2().addWeighted(image, float(t[0, 0]), grey, 1 - float(t[0, 0]), 0)


def cv_motion(image: Array, t: Array) -> Array:
    return _cv2().filter2D(image, -1, motion_kernel(*t[0, :2].tolist()), borderType=_cv2().BORDER_REPLICATE)


def torchvision(call: Callable[[Any, torch.Tensor, list[float]], torch.Tensor]) -> Callable[..., Any]:
    def prepare(images: list[torch.Tensor], theta: Array) -> Callable[[], Any]:
        from torchvision.transforms.v2 import functional

        drawn = theta[:, 0].tolist()
        return lambda: [call(functional, image, own) for image, own in zip(images, drawn)]

    return prepare


def albumentations(make: Callable[[Any, list[float]], Any]) -> Callable[..., Any]:
    """A transform for each sample, made beforehand, with the seed of its place: one Compose draws by place as well."""

    def prepare(images: list[Array], theta: Array) -> Callable[[], Any]:
        import albumentations as library

        transforms = [make(library, own) for own in theta[:, 0].tolist()]
        for place, transform in enumerate(transforms):
            transform.set_random_seed(place)
        return lambda: [transform(image=image)["image"] for transform, image in zip(transforms, images)]

    return prepare


def a_jitter(library: Any, **fixed: float) -> Any:
    neutral = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}
    return library.ColorJitter(**{name: (value, value) for name, value in {**neutral, **fixed}.items()}, p=1.0)


def a_blur(library: Any, t: list[float]) -> Any:
    width = 2 * int(np.ceil(2 * t[0])) + 1
    return library.GaussianBlur(blur_limit=(width, width), sigma_limit=(t[0], t[0]), p=1.0)


def a_motion(library: Any, t: list[float]) -> Any:
    width = max(3, int(t[0]) | 1)  # odd
    return library.MotionBlur(blur_limit=(width, width), angle_range=(t[1], t[1]), direction_range=(0.0, 0.0), allow_shifted=False, p=1.0)


OPENCV = {
    "mean_shift": each(lambda image, t: cv_table(image, np.arange(256) + 255 * t[0, 0])),
    "gaussian_noise": each(cv_noise),
    "gaussian_blur σ 0.5–5": each(cv_blur),
    "jpeg 4:2:0": each(cv_jpeg),
    "contrast of grey": each(cv_contrast),
    "motion_blur 3–21": each(cv_motion),
    "saturation": each(cv_saturation),
    "median_blur 3×3": each(lambda image, t: _cv2().medianBlur(image, 3)),
    "blur, noise, jpeg": each(lambda image, t: cv_jpeg(cv_noise(cv_blur(image, t[:1]), t[1:2]), t[2:3])),
}
NUMPY = {"gaussian_noise": each(numpy_noise)}
PILLOW = {"jpeg 4:2:0": each(lambda image, t: checks.pillow_jpeg(image, int(t[0, 0]), "4:2:0"))}
TORCHVISION = {
    "gaussian_noise": torchvision(lambda f, image, t: f.gaussian_noise(image, 0.0, t[0])),
    "gaussian_blur σ 0.5–5": torchvision(lambda f, image, t: f.gaussian_blur(image, 2 * int(np.ceil(2 * t[0])) + 1, t[0])),
    "jpeg 4:2:0": torchvision(lambda f, image, t: f.jpeg(image, int(t[0]))),
    "contrast of grey": torchvision(lambda f, image, t: f.adjust_contrast(image, t[0])),
    "saturation": torchvision(lambda f, image, t: f.adjust_saturation(image, t[0])),
}
ALBUMENTATIONS = {
    "mean_shift": albumentations(lambda a, t: a.RandomBrightnessContrast((t[0], t[0]), (0.0, 0.0), brightness_by_max=True, p=1.0)),
    "gaussian_noise": albumentations(lambda a, t: a.GaussNoise(std_range=(t[0], t[0]), mean_range=(0.0, 0.0), p=1.0)),
    "gaussian_blur σ 0.5–5": albumentations(a_blur),
    "jpeg 4:2:0": albumentations(lambda a, t: a.ImageCompression("jpeg", (int(t[0]), int(t[0])), p=1.0)),
    "contrast of grey": albumentations(lambda a, t: a_jitter(a, contrast=t[0])),
    "motion_blur 3–21": albumentations(a_motion),
    "saturation": albumentations(lambda a, t: a_jitter(a, saturation=t[0])),
    "median_blur 3×3": albumentations(lambda a, t: a.MedianBlur((3, 3), p=1.0)),
}

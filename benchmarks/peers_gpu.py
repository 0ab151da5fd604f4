"""Peers that run on NVIDIA GPUs alone: DALI, CV-CUDA and triton-augment. Each is imported when it is first called.

CV-CUDA's blurs take parameters of each image for lists of images only, DALI's contrast knows no mean of the image, and triton-augment has colour alone, with
contrast about the middle grey: these are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from degrade.distributions import Array

LUMA = 0.299, 0.587, 0.114


def dali(op: Callable[[Any, Any, Any], Any], parameter: Callable[[Array], Array]) -> Callable[..., Any]:
    """A pipeline fed by external sources, one batch at a time; its output is copied to a tensor of torch's, as a training loop gets it."""

    def prepare(x: torch.Tensor, theta: Array) -> Callable[[], torch.Tensor]:
        from nvidia.dali import fn, pipeline_def
        from nvidia.dali.plugin.pytorch import feed_ndarray

        own, target = parameter(theta[:, 0]), torch.empty_like(x)

        @pipeline_def(batch_size=len(x), num_threads=1, device_id=x.device.index or 0, seed=1)
        def made() -> Any:
            images = fn.external_source(source=lambda: x, device="gpu", layout="HWC")
            return op(fn, images, fn.external_source(source=lambda: own))

        pipe = made()
        pipe.build()

        def call() -> torch.Tensor:
            feed_ndarray(pipe.run()[0].as_tensor(), target, cuda_stream=torch.cuda.current_stream())
            return target

        return call

    return prepare


def cvcuda(op: Callable[[Any, Any, torch.Tensor], Any], parameter: Callable[[torch.Tensor], torch.Tensor]) -> Callable[..., Any]:
    def prepare(x: torch.Tensor, theta: Array) -> Callable[[], torch.Tensor]:
        import cvcuda as library

        images, own = library.as_tensor(x, "NHWC"), parameter(torch.from_numpy(theta[:, 0]).to(x.device)).contiguous()
        return lambda: torch.as_tensor(op(library, images, own).cuda(), device=x.device)

    return prepare


def cv_noise(library: Any, images: Any, std: torch.Tensor) -> Any:
    mean = library.as_tensor(torch.zeros_like(std), "N")
    return library.gaussiannoise(images, mean, library.as_tensor(std, "N"), True, int(torch.randint(1 << 30, (1,))))


def twist(t: torch.Tensor, saturates: bool) -> torch.Tensor:
    """b 3 4: what each channel takes of all, and what is added, in steps of 8 bits."""
    own = t[:, :1, None]
    eye = torch.eye(3, device=t.device).expand(len(t), 3, 3)
    if saturates:
        return torch.cat([own * eye + (1 - own) * t.new_tensor(LUMA).expand(len(t), 3, 3), torch.zeros_like(eye[:, :, :1])], 2)
    return torch.cat([eye, (255 * own).expand(len(t), 3, 1)], 2)


def triton_augment(name: str) -> Callable[..., Any]:
    def prepare(x: torch.Tensor, theta: Array) -> Callable[[], torch.Tensor]:
        from triton_augment import functional

        own, (height, width) = torch.from_numpy(theta[:, 0, 0].copy()).to(x.device), x.shape[2:]

        def call() -> torch.Tensor:
            y = functional.fused_augment(x.to(torch.float32) / 255, top=0, left=0, height=height, width=width, **{name: own})
            return (y.clamp(0, 1) * 255 + 0.5).to(torch.uint8)

        return call

    return prepare


DALI = {
    "mean_shift": dali(lambda fn, x, p: fn.brightness(x, brightness_shift=p), lambda t: t[:, 0].astype(np.float32)),
    "gaussian_noise": dali(lambda fn, x, p: fn.noise.gaussian(x, mean=0.0, stddev=p), lambda t: (255 * t[:, 0]).astype(np.float32)),
    "gaussian_blur σ 0.5–5": dali(lambda fn, x, p: fn.gaussian_blur(x, sigma=p, window_size=21), lambda t: t[:, 0].astype(np.float32)),
    "jpeg 4:2:0": dali(lambda fn, x, p: fn.jpeg_compression_distortion(x, quality=p), lambda t: t[:, 0].astype(np.int32)),
}
CVCUDA = {
    "mean_shift": cvcuda(lambda c, x, p: c.color_twist(x, c.as_tensor(p, "NHW")), lambda t: twist(t, False)),
    "gaussian_noise": cvcuda(cv_noise, lambda t: 255 * t[:, 0]),
    "jpeg 4:2:0": cvcuda(lambda c, x, p: c.jpeg_compression_distortion(x, c.as_tensor(p, "N")), lambda t: t[:, 0].to(torch.int32)),
    "saturation": cvcuda(lambda c, x, p: c.color_twist(x, c.as_tensor(p, "NHW")), lambda t: twist(t, True)),
}
TRITON_AUGMENT = {"saturation": triton_augment("saturation_factor")}

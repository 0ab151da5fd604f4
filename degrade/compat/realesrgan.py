"""Real-ESRGAN: the two-order degradation of `RealESRGANModel.feed_data` (and `RealESRNetModel`'s), over the parts of `degrade.banks.realesrgan`.

Images change their size on the way as they do there: every resize is one draw for the batch, from `random` and `numpy.random`. Kernels, noise and
JPEG are a sample's own, drawn on the host from one id per image; the kernels that a data set drew are not needed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from degrade.banks.realesrgan import FAMILY, SIZES, blur, noise
from degrade.inputs import check_ids
from degrade.ops import find
from degrade.pipeline import Pipeline
from degrade.recipe import Compose, Node

KERNELS = {"kernel_list": list(FAMILY), "kernel_prob": list(FAMILY.values()), "sinc_prob": 0.1, "betag_range": [0.5, 4], "betap_range": [1, 2]}
# The options of train_realesrgan_x4plus.yml that are read here, the data set's first.
DEFAULTS: dict[str, Any] = {
    **KERNELS, **{f"{name}2": value for name, value in KERNELS.items()}, "blur_sigma": [0.2, 3], "blur_sigma2": [0.2, 1.5], "final_sinc_prob": 0.8,
    "scale": 4, "gt_size": 256, "queue_size": 180, "gt_usm": True,
    "resize_prob": [0.2, 0.7, 0.1], "resize_range": [0.15, 1.5], "gaussian_noise_prob": 0.5, "noise_range": [1, 30],
    "poisson_scale_range": [0.05, 3], "gray_noise_prob": 0.4, "jpeg_range": [30, 95],
    "second_blur_prob": 0.8, "resize_prob2": [0.3, 0.4, 0.3], "resize_range2": [0.3, 1.2], "gaussian_noise_prob2": 0.5, "noise_range2": [1, 25],
    "poisson_scale_range2": [0.05, 2.5], "gray_noise_prob2": 0.4, "jpeg_range2": [30, 95],
}  # fmt: skip
FILTERS = ("area", "bilinear", "bicubic")
USM_SIDE, USM_SIGMA, USM_WEIGHT, USM_THRESHOLD = 51, 8.0, 0.5, 10 / 255


class Degradation(nn.Module):
    """What `feed_data` makes of a batch of ground truths: `self.lq, self.gt, self.gt_usm = degradation(data["gt"].to(device))`.

    Args:
        opt: options by their names in the YAML files, those of `datasets: train:` there or beside the others; what is missing is as published for
            ×4, and what is not known is left alone. `queue_size: 0` goes without the pool of training pairs; `gt_usm: False`, an option of
            RealESRNet, degrades gt as it is, where else it is sharpened first.
        backend: "auto", "torch" or "triton".
    """

    def __init__(self, opt: Mapping[str, Any] | None = None, backend: str = "auto") -> None:
        super().__init__()
        given = dict(opt or {})
        self.opt = {**DEFAULTS, **given.get("datasets", {}).get("train", {}), **{k: v for k, v in given.items() if k != "datasets"}}
        o = self.opt
        sinc = find("sinc_filter")(cutoff=(np.pi / 3, np.pi), size=SIZES, p=o["final_sinc_prob"])
        jpeg, round_ = find("jpeg")(quality=tuple(o["jpeg_range2"])), find("eight_bit")(1.0, mode="round")

        def stage(*nodes: Node) -> Pipeline:
            return Pipeline(Compose(*nodes), backend=backend, check="never")  # values are in 0…1 by construction, and a check waits for the device

        self.blurred = stage(self._blur(""))
        self.first = stage(self._noise(""), find("jpeg")(quality=tuple(o["jpeg_range"])), self._blur("2", o["second_blur_prob"]))
        # JPEG comes after the last resize and its sinc filter, or before it.
        self.second = nn.ModuleList([stage(self._noise("2")), stage(self._noise("2"), jpeg)])
        self.final = nn.ModuleList([stage(sinc, jpeg, round_), stage(sinc, round_)])
        self.pool = Pool(o["queue_size"]) if o["queue_size"] else None

    def _blur(self, n: str, p: float = 1.0) -> Node:
        o = self.opt
        family = {name: weight for name, weight in zip(o[f"kernel_list{n}"], o[f"kernel_prob{n}"]) if weight > 0}
        return blur(tuple(o[f"blur_sigma{n}"]), p, o[f"sinc_prob{n}"], family, tuple(o[f"betag_range{n}"]), tuple(o[f"betap_range{n}"]))

    def _noise(self, n: str) -> Node:
        o = self.opt
        return noise(tuple(o[f"noise_range{n}"]), tuple(o[f"poisson_scale_range{n}"]), o[f"gaussian_noise_prob{n}"], o[f"gray_noise_prob{n}"])

    @torch.no_grad()
    def forward(self, gt: torch.Tensor, ids: Any = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Degrade a batch.

        Args:
            gt: b 3 h w, float32 in 0…1, on any device; h and w are multiples of `scale`.
            ids: (b,) sample ids on the host, in place of ids from torch's generator. Resizes, crops and the pool stay with the global ones.

        Returns:
            lq, gt, gt_usm: crops of `gt_size` / `scale` and `gt_size` pixels, from the pool once it is full; gt_usm is gt sharpened.

        Raises:
            ValueError: a batch of another shape or dtype, or one that does not fit the pool.
        """
        scale, size = self.opt["scale"], self.opt["gt_size"]
        if gt.dim() != 4 or gt.shape[1] != 3 or gt.dtype != torch.float32 or gt.shape[2] % scale or gt.shape[3] % scale:
            raise ValueError(f"gt is {tuple(gt.shape)} of {gt.dtype}; accepted: b 3 h w of float32 in 0…1, with sides that are multiples of {scale}.")
        least = max(size, USM_SIDE // 2 + 1)
        if min(gt.shape[2:]) < least:
            raise ValueError(f"gt has {gt.shape[2]}x{gt.shape[3]} pixels; accepted: at least {least} a side, for crops of gt_size={size}.")
        lq = self.degraded(usm(gt) if self.opt["gt_usm"] else gt, ids)
        lq, gt = cropped(lq, gt, size, scale)
        if self.pool is not None:
            lq, gt = self.pool(lq, gt)
        return lq.contiguous(), gt, usm(gt)

    def degraded(self, x: torch.Tensor, ids: Any = None) -> torch.Tensor:
        """The two degradations of b 3 h w, at 1 / scale of the size, rounded to 8 bits."""
        o = self.opt
        own = torch.randint(1 << 62, (len(x),), device="cpu") if ids is None else check_ids(ids, len(x))
        h, w = x.shape[2] // o["scale"], x.shape[3] // o["scale"]
        x = self.blurred(x, ids=own)
        factor, mode = resizing(o["resize_prob"], o["resize_range"])
        x = resized(x, (int(x.shape[2] * factor), int(x.shape[3] * factor)), mode)
        x = self.first(x, ids=own, view=1)
        factor, mode = resizing(o["resize_prob2"], o["resize_range2"])
        x = resized(x, (int(h * factor), int(w * factor)), mode)
        order = int(np.random.uniform() >= 0.5)
        x = resized(self.second[order](x, ids=own, view=2), (h, w), random.choice(FILTERS))
        y: torch.Tensor = self.final[order](x, ids=own, view=3)
        return y


class Pool:
    """Training pairs that are kept and mixed, since a batch shares its resizes: full, it gives pairs at random and takes the batch's in their place."""

    def __init__(self, size: int) -> None:
        self.size, self.lq, self.gt = size, torch.empty(0), torch.empty(0)

    def __call__(self, lq: torch.Tensor, gt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A batch of pairs for a batch of pairs."""
        b = len(lq)
        if self.size % b or (len(self.lq) and self.lq.shape[1:] != lq.shape[1:]):
            raise ValueError(f"a batch of {b} does not fit queue_size={self.size}; accepted: batches of one size that divides it.")
        if len(self.lq) < self.size:
            self.lq, self.gt = (torch.cat([kept.to(new), new]) if len(kept) else new.clone() for kept, new in ((self.lq, lq), (self.gt, gt)))
            return lq, gt
        chosen = torch.randperm(self.size)[:b].to(lq.device, non_blocking=True)
        out = self.lq[chosen], self.gt[chosen]
        self.lq[chosen], self.gt[chosen] = lq, gt
        return out


def usm(x: torch.Tensor) -> torch.Tensor:
    """Unsharp masking of b 3 h w where it matters: x + ½ (x − its Gaussian), blended in where they differ by more than 10 of 255, softly."""

    def smooth(v: torch.Tensor) -> torch.Tensor:
        v = F.pad(v, [USM_SIDE // 2] * 4, mode="reflect")
        return F.conv2d(F.conv2d(v, taps[:, None, :, None].repeat(3, 1, 1, 1), groups=3), taps[:, None, None, :].repeat(3, 1, 1, 1), groups=3)

    at = torch.arange(USM_SIDE, device=x.device, dtype=x.dtype) - USM_SIDE // 2
    taps = torch.softmax(-(at**2) / (2 * USM_SIGMA**2), 0)[None]
    detail = x - smooth(x)
    soft = smooth((detail.abs() > USM_THRESHOLD).to(x.dtype))
    return torch.lerp(x, (x + USM_WEIGHT * detail).clamp(0, 1), soft).clamp(0, 1)


def resizing(probabilities: list[float], span: list[float]) -> tuple[float, str]:
    """One draw for the batch: a factor, larger, smaller or 1, and a filter."""
    kind = random.choices(("up", "down", "keep"), probabilities)[0]
    factor = {"up": (1, span[1]), "down": (span[0], 1), "keep": (1, 1)}[kind]
    return (1.0 if kind == "keep" else np.random.uniform(*factor)), random.choice(FILTERS)


def resized(x: torch.Tensor, size: tuple[int, int], mode: str) -> torch.Tensor:
    """torch's filter without antialias; what overshoots is clamped."""
    return F.interpolate(x, size=size, mode=mode).clamp(0, 1)


def cropped(lq: torch.Tensor, gt: torch.Tensor, size: int, scale: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same crop of all pairs, of `size` pixels in gt."""
    side = size // scale
    top, left = (random.randint(0, n - side) for n in lq.shape[2:])
    return lq[:, :, top : top + side, left : left + side], gt[:, :, top * scale : top * scale + size, left * scale : left * scale + size]

"""References for deterministic ops, one per op, on 3 h w float64 in 0..1, with the parameters by name: the largest difference of a value."""

from __future__ import annotations

import dataclasses
import math

import cv2
import kornia
import numpy as np
import scipy.interpolate
import scipy.ndimage
import skimage.color
import test_ops_blur as blurs
import test_ops_brightness as brightness
import test_ops_colour as colours
import torch
from conformance_types import CROP, GREY_LEVEL, LEVELS, Way, as_float, double, run

from degrade.banks.base import Type


def channels_last(change):
    """A function of h w 3 as one of 3 h w."""
    return lambda x, p: change(x.transpose(1, 2, 0), p).transpose(2, 0, 1)


def gaussian_blur(x, p):
    radius = math.ceil(p["cut"] * p["sigma"] - 1e-6) if p["rule"] == "up" else math.floor(p["cut"] * p["sigma"] + 0.5)
    return scipy.ndimage.gaussian_filter(x, p["sigma"], mode="nearest", axes=(1, 2), radius=radius)


def correlated(x, kernel, mode="nearest"):
    return np.stack([scipy.ndimage.correlate(c, kernel, mode=mode) for c in x])


def lens_blur(x, p):
    kernel = blurs.disk(p["radius"]) if p["kernel"] == "exact" else blurs.clipped(int(p["radius"]))
    return correlated(x, kernel)


def directional_blur(x, p):
    """Copies of the image, each moved by whole pixels, the border repeated; imagecorruptions' angle is clockwise."""
    width, h, w = 2 * p["radius"] + 1, *x.shape[1:]
    weights = np.exp(-(np.arange(width) ** 2) / (2 * p["sigma"] ** 2))
    down, across = math.sin(math.radians(-p["angle"])), math.cos(math.radians(-p["angle"]))
    out = np.zeros_like(x)
    for i, weight in enumerate(weights / weights.sum()):
        dy, dx = -math.ceil(i * down - 0.5), -math.ceil(i * across - 0.5)
        out += weight * x[:, np.clip(np.arange(h) - dy, 0, h - 1)][:, :, np.clip(np.arange(w) - dx, 0, w - 1)]
    return out


def box_motion_blur(x, p):
    length = p["length"]
    kernel = np.zeros((length, length))
    line = (length - 1) // 2
    kernel[(slice(None), line) if p["axis"] == "vertical" else (line, slice(None))] = 1 / length
    return np.stack([scipy.ndimage.convolve(c, kernel, mode="nearest") for c in x])


def colour_diffusion(x, p):
    lab = colours.to_lab(x, p["order"])
    sigma = 1.5 * p["amount"] + 2
    lab[..., 1:] = p["amount"] * colours.gaussian(lab[..., 1:], sigma, math.ceil(p["cut"] * sigma - 1e-6))
    return colours.to_rgb(lab, p["order"])


def saturation_hsv(x, p):
    if p["factor"] < 0:
        hsv = kornia.color.rgb_to_hsv(torch.from_numpy(x)[None])
        hsv[:, 1] *= p["factor"]
        return kornia.color.hsv_to_rgb(hsv)[0].numpy()
    hsv = skimage.color.rgb2hsv(x.transpose(1, 2, 0))
    hsv[..., 1] = np.clip(hsv[..., 1] * p["factor"] + p["offset"], 0, 1)
    return skimage.color.hsv2rgb(hsv).transpose(2, 0, 1)


def saturation_lab(x, p):
    return colours.to_rgb(colours.to_lab(x, p["order"]) * [1, p["factor"], p["factor"]], p["order"])


def saturation_ycbcr(x, p):
    ycbcr = kornia.color.rgb_to_ycbcr(torch.from_numpy(x)[None])
    ycbcr[:, 1:] = (ycbcr[:, 1:] - 0.5) * p["factor"] + 0.5
    return kornia.color.ycbcr_to_rgb(ycbcr)[0].numpy()


def brighten(x, p):
    def lift(planes):
        planes[..., 0] = brightness.parabola(planes[..., 0] / 100, p["amount"]) * 100

    flip = slice(None, None, -1 if p["order"] == "bgr" else 1)
    through = np.clip(brightness.through("lab", lift)(x[flip])[flip], 0, 1)
    return (1 - p["lab"]) * brightness.parabola(x, p["amount"]) + p["lab"] * through


def mean_shift(x, p):
    def shift(planes):
        planes[..., 2] = np.clip(planes[..., 2] + p["amount"], 0, 1)

    return brightness.through("hsv", shift)(x) if p["space"] == "hsv" else x + p["amount"]


def gamma(x, p):
    def bend(planes):
        planes[..., 2] **= p["gamma"]

    return brightness.through("hsv", bend)(x) if p["space"] == "hsv" else x ** p["gamma"]


def contrast_curve(x, p):
    a = p["amount"]
    return scipy.interpolate.CubicSpline([0, 0.3, 0.5, 0.7, 1], [0, 0.25 - a / 4, 0.5, 0.75 + a / 4, 1], bc_type="not-a-knot")(x)


def contrast(x, p):
    mean = x.mean((1, 2), keepdims=True)
    return mean + p["factor"] * (x - mean)


def contrast_sigmoid(x, p):
    with np.errstate(divide="ignore"):
        return 1 / (1 + (x.mean((1, 2), keepdims=True) / x) ** p["k"])


def unsharp_mask(x, p):
    half = (p["size"] - 1) // 2
    if p["space"] == "rgb":
        blurred = scipy.ndimage.gaussian_filter(x, p["sigma"], mode="nearest", axes=(1, 2), radius=half)
        return x + p["amount"] * (x - blurred)
    lab = colours.to_lab(x.transpose(1, 2, 0), p["order"])
    lab[..., 0] += p["amount"] * (lab[..., 0] - colours.gaussian(lab[..., 0], p["sigma"], half))
    return colours.to_rgb(lab, p["order"]).transpose(2, 0, 1)


def pixelate(x, p):
    """torch's resizing: "nearest" reads at corners, "nearest-exact" at centres."""
    whole = math.ceil if p["rounding"] == "ceil" else math.floor
    small = [max(1, whole(round(p["scale"], 6) * n)) for n in x.shape[1:]]
    mode = "nearest" if p["coordinates"] == "corner" else "nearest-exact"
    resize = torch.nn.functional.interpolate
    return resize(resize(torch.from_numpy(x)[None], size=small, mode=mode), size=x.shape[1:], mode=mode)[0].numpy()


def chromatic_aberration(x, p):
    out = x.copy()
    for channel, columns in ((0, round(p["shift"])), (1, round(p["green"] * p["shift"]))):
        out[channel] = out[channel][:, np.maximum(np.arange(x.shape[2]) - columns, 0)]
    return cv2.GaussianBlur(out.transpose(1, 2, 0), (3, 3), p["sigma"], borderType=cv2.BORDER_REPLICATE).transpose(2, 0, 1)


def formula(t: Type, reference, image=CROP, inner: int = 0) -> float:
    """The largest difference to a reference, rounded as the type is; `inner` pixels of the border are left out."""
    worst = 0.0
    for level in LEVELS:
        x = as_float(image)
        y, p = run(t, level, x, rounded=True)
        want = np.clip(reference(double(x), p), 0, 1)
        for op in t.after:
            want = np.floor(want * 255) / 255 if op.name == "eight_bit" and op.to_dict().get("mode") != "round" else want
        inside = (slice(None), *(slice(inner, n - inner) for n in want.shape[1:]))
        worst = max(worst, float(np.abs(double(y) - want)[inside].max()))
    return worst


def by_formula(against, limit, reference, **more):
    return lambda t: Way(
        against + (", then cut to 8 bits" if _truncates(t) else ""),
        limit + (1.001 * GREY_LEVEL if _truncates(t) else 0.0),
        "",
        lambda t: formula(_without_jpeg(t), reference, **more),
    )


def _truncates(t: Type) -> bool:
    return [op.name for op in t.after] == ["eight_bit"]


def _without_jpeg(t: Type) -> Type:
    return dataclasses.replace(t, after=t.after if _truncates(t) else ())

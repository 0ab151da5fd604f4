"""What the banks' own code costs: their types as its users run them, one image at a time, with the libraries that it calls.

Written from the types' definitions, for their cost and not for their results to the bit. ARNIQA's take and return a float32
tensor (3, h, w) in 0..1; those of imagecorruptions take and return uint8 arrays (h, w, 3). Each takes the level, 1 to 5. What
ARNIQA computes and throws away (a Lab conversion in darken) and files that imagecorruptions reads for every call (the
photographs of frost) are left out, and so is numba, which imagecorruptions uses for glass blur where it is installed.
"""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable
from typing import Any

import cv2
import kornia
import numpy as np
import scipy.interpolate
import scipy.ndimage
import skimage.color
import skimage.filters
import skimage.util
import torch
import torch.nn.functional as F
from PIL import Image

Tensor = torch.Tensor
Pixels = np.ndarray[Any, Any]

ARNIQA: dict[str, Callable[[Tensor, int], Tensor]] = {}
IMAGENET_C: dict[str, Callable[[Pixels, int], Pixels]] = {}


def arniqa(*levels: float) -> Callable[[Callable[[Tensor, float], Tensor]], Callable[[Tensor, float], Tensor]]:
    """Register a type of ARNIQA under the function's name; every result is clipped."""

    def register(function: Callable[[Tensor, float], Tensor]) -> Callable[[Tensor, float], Tensor]:
        ARNIQA[function.__name__] = lambda x, level: function(x, levels[level - 1]).to(torch.float32).clamp(0, 1)
        return function

    return register


def imagenet_c(*levels: Any) -> Callable[[Callable[[Pixels, Any], Pixels]], Callable[[Pixels, Any], Pixels]]:
    """Register a type of imagecorruptions; the function returns values in 0..255."""

    def register(function: Callable[[Pixels, Any], Pixels]) -> Callable[[Pixels, Any], Pixels]:
        IMAGENET_C[function.__name__] = lambda x, level: np.uint8(function(x, levels[level - 1]))
        return function

    return register


# ---- ARNIQA --------------------------------------------------------------------------------------------------------------


def filtered(x: Tensor, kernel: Pixels) -> Tensor:
    return kornia.filters.filter2d(x[None], torch.from_numpy(kernel).to(torch.float32)[None], border_type="replicate")[0]


def gauss(sigma: float, radius: int) -> Pixels:
    i = np.arange(-radius, radius + 1)
    kernel = np.exp(-(i[:, None] ** 2 + i**2) / (2 * sigma**2))
    return kernel / kernel.sum()


def lab(x: Tensor) -> Tensor:
    return kornia.color.rgb_to_lab(x[None])[0]


def rgb(x: Tensor) -> Tensor:
    return kornia.color.lab_to_rgb(x[None])[0]


def curve(x: Tensor, at: tuple[float, ...], values: tuple[float, ...]) -> Tensor:
    return torch.from_numpy(scipy.interpolate.CubicSpline(at, values)(x.numpy()))


@arniqa(0.1, 0.5, 1, 2, 5)
def gaublur(x, sigma):
    return filtered(x, gauss(sigma, math.ceil(2 * sigma)))


@arniqa(1, 2, 4, 6, 8)
def lensblur(x, radius):
    i = np.arange(-math.ceil(radius - 0.5), math.ceil(radius - 0.5) + 1)
    kernel = np.clip(radius + 0.5 - np.hypot(i[:, None], i), 0, 1)
    return filtered(x, kernel / kernel.sum())


@arniqa(1, 2, 4, 6, 10)
def motionblur(x, length):
    half, angle = (length - 1) / 2, math.radians(np.random.randint(0, 181))
    i = np.arange(-math.ceil(half), math.ceil(half) + 1)
    along, beside = i * math.cos(angle) + i[:, None] * math.sin(angle), i[:, None] * math.cos(angle) - i * math.sin(angle)
    kernel = np.clip(1 - np.hypot(np.maximum(np.abs(along) - half, 0), beside), 0, 1)
    return filtered(x, kernel / kernel.sum())


@arniqa(1, 3, 6, 8, 12)
def colordiff(x, amount):
    sigma = 1.5 * amount + 2
    kernel, out = gauss(sigma, math.ceil(2 * sigma)), lab(x)
    for channel in (1, 2):
        out[channel] = filtered(out[channel][None], kernel)[0] * amount
    return torch.trunc(rgb(out).clamp(0, 1) * 255) / 255


@arniqa(1, 3, 6, 8, 12)
def colorshift(x, amount):
    edges = kornia.filters.sobel(kornia.color.rgb_to_grayscale(x[None]))[0]
    edges = filtered(edges, gauss(4, 8))
    ordered = edges.flatten().sort()[0]
    edges = edges.clamp(ordered[len(ordered) // 100], ordered[-1 - len(ordered) // 100])
    edges = (edges - edges.min()) / (edges.max() - edges.min())
    angle = np.random.uniform(0, math.pi / 2)
    shift = round(amount * math.sin(angle)), round(amount * math.cos(angle))
    green = F.pad(x[1:2][None], (shift[1], shift[1], shift[0], shift[0]), mode="replicate")[0].roll(shift, (1, 2))
    green = green[:, shift[0] : shift[0] + x.shape[1], shift[1] : shift[1] + x.shape[2]]
    out = x.clone()
    out[1:2] = edges * green + (1 - edges) * x[1:2]
    return out


@arniqa(0.4, 0.2, 0.1, 0, -0.4)
def colorsat1(x, factor):
    out = kornia.color.rgb_to_hsv(x[None])
    out[:, 1] *= factor
    return kornia.color.hsv_to_rgb(out)[0]


@arniqa(1, 2, 3, 6, 9)
def colorsat2(x, factor):
    out = lab(x)
    out[1:] *= factor
    return torch.trunc(rgb(out).clamp(0, 1) * 255) / 255


def through_file(x: Tensor, **options: Any) -> Tensor:
    file = io.BytesIO()
    Image.fromarray((x * 255).to(torch.uint8).permute(1, 2, 0).numpy()).save(file, **options)
    return torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1).to(torch.float32) / 255


@arniqa(16, 32, 45, 120, 170)
def jpeg2000(x, ratio):
    return through_file(x, format="JPEG2000", quality_mode="rates", quality_layers=[ratio], num_resolutions=8)


@arniqa(43, 36, 24, 7, 4)
def jpeg(x, quality):
    return through_file(x, format="JPEG", quality=quality)


@arniqa(0.001, 0.002, 0.003, 0.005, 0.01)
def whitenoise(x, variance):
    return x + math.sqrt(variance) * torch.randn(x.shape)


@arniqa(0.0001, 0.0005, 0.001, 0.002, 0.003)
def whitenoiseCC(x, variance):
    out = kornia.color.rgb_to_ycbcr(x[None])
    return kornia.color.ycbcr_to_rgb(out + math.sqrt(variance) * torch.randn(out.shape))[0]


@arniqa(0.001, 0.005, 0.01, 0.02, 0.03)
def impulsenoise(x, density):
    count = int(density * x.numel())
    at = tuple(np.random.randint(0, size, count) for size in x.shape)
    out = x.clone()
    out[tuple(i[: count // 2] for i in at)] = 1
    out[tuple(i[count // 2 :] for i in at)] = 0
    return out


@arniqa(0.001, 0.005, 0.01, 0.02, 0.05)
def multnoise(x, variance):
    return x + x * (math.sqrt(variance) * torch.randn(x.shape))


@arniqa(0.1, 0.2, 0.4, 0.7, 1.1)
def brighten(x, amount):
    at, values = (0.0, 0.5, 1.0), (0.0, 0.5 + amount / 2, 1.0)
    out = lab(x)
    out[0] = curve(out[0] / 100, at, values) * 100
    return (2 * curve(x, at, values) + rgb(out).clamp(0, 1)) / 3


@arniqa(0.05, 0.1, 0.2, 0.4, 0.8)
def darken(x, amount):
    return curve(x, (0.0, 0.5, 1.0), (0.0, 0.5 - amount / 2, 1.0))


@arniqa(0, 0.08, -0.08, 0.15, -0.15)
def meanshift(x, amount):
    return x + amount


@arniqa(0.05, 0.1, 0.2, 0.5, 1)
def jitter(x, sigma):
    h, w = x.shape[1:]
    y, across = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    for _ in range(5):
        dy, dx = torch.randn(h, w) * sigma, torch.randn(h, w) * sigma
        pad_y, pad_x = math.ceil(dy.max().abs()), math.ceil(dx.max().abs())
        padded = F.pad(x[None], (pad_x, pad_x, pad_y, pad_y), mode="replicate")
        grid = torch.stack([(across + dx + pad_x) * (2 / (w + 2 * pad_x - 1)) - 1, (y + dy + pad_y) * (2 / (h + 2 * pad_y - 1)) - 1], -1)
        x = F.grid_sample(padded, grid[None], mode="bilinear", padding_mode="zeros", align_corners=True)[0]
    return x


@arniqa(20, 40, 60, 80, 100)
def noneccpatch(x, count):
    out, (h, w) = x.clone(), x.shape[1:]
    for _ in range(count):
        y, across = np.random.randint(16, h - 32), np.random.randint(16, w - 32)
        to_y, to_x = (round(v + (np.random.rand() - 0.5) * 16) for v in (y, across))
        out[:, to_y : to_y + 16, to_x : to_x + 16] = out[:, y : y + 16, across : across + 16].clone()
    return out


@arniqa(*(0.95 - s**0.6 for s in (0.01, 0.05, 0.1, 0.2, 0.5)))
def pixelate(x, scale):
    small = F.interpolate(x[None], size=(int(scale * x.shape[1]), int(scale * x.shape[2])), mode="nearest")
    return F.interpolate(small, size=x.shape[1:], mode="nearest")[0]


@arniqa(20, 16, 13, 10, 7)
def quantization(x, thresholds):
    at = torch.tensor([int(k * 255 / thresholds) for k in range(thresholds)])
    bins = torch.bucketize((x * 255).to(torch.int64), at).to(torch.float32)
    return (bins - bins.min()) / (bins.max() - bins.min())


@arniqa(2, 4, 6, 8, 10)
def colorblock(x, count):
    out, (h, w) = x.clone(), x.shape[1:]
    for _ in range(count):
        y, across = np.random.randint(0, h - 32), np.random.randint(0, w - 32)
        out[:, y : y + 32, across : across + 32] = torch.rand(3)[:, None, None]
    return out


@arniqa(1, 2, 3, 6, 12)
def highsharpen(x, amount):
    out = lab(x)
    out[0] += amount * (out[0] - filtered(out[:1], gauss(6, 6))[0])
    return rgb(out)


@arniqa(0, 0.15, -0.4, 0.3, -0.6)
def lincontrchange(x, amount):
    return curve(x, (0, 0.3, 0.5, 0.7, 1), (0, 0.25 - amount / 4, 0.5, 0.75 + amount / 4, 1))


@arniqa(0.4, 0.3, 0.2, 0.1, 0.05)
def nonlincontrchange(x, half_width):
    return 0.5 - half_width + x * (2 * half_width)


# ---- imagecorruptions ----------------------------------------------------------------------------------------------------


def full(x: Pixels) -> Pixels:
    return np.clip(x, 0, 1) * 255


def smooth(x: Pixels, sigma: float, **options: Any) -> Pixels:
    return skimage.filters.gaussian(x, sigma=sigma, **options)


def zoomed(x: Pixels, factor: float) -> Pixels:
    """A central crop, enlarged to at least the image's size, and cropped to it."""
    h, w = x.shape[:2]
    inner_h, inner_w = math.ceil(h / factor), math.ceil(w / factor)
    top, left = (h - inner_h) // 2, (w - inner_w) // 2
    out = scipy.ndimage.zoom(x[top : top + inner_h, left : left + inner_w], (factor, factor, *[1] * (x.ndim - 2)), order=1)
    top, left = (out.shape[0] - h) // 2, (out.shape[1] - w) // 2
    return out[top : top + h, left : left + w]


def shifted(x: Pixels, dy: int, dx: int) -> Pixels:
    """Rolled, with the border's values in what came in from the other side."""
    out = np.roll(x, (dy, dx), (0, 1))
    if dy > 0:
        out[:dy] = out[dy : dy + 1]
    elif dy < 0:
        out[dy:] = out[dy - 1 : dy]
    if dx > 0:
        out[:, :dx] = out[:, dx : dx + 1]
    elif dx < 0:
        out[:, dx:] = out[:, dx - 1 : dx]
    return out


def smeared(x: Pixels, radius: int, sigma: float, angle: float) -> Pixels:
    weights = np.exp(-(np.arange(2 * radius + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    out = np.zeros_like(x, dtype=np.float32)
    for i, weight in enumerate(weights):
        dy, dx = -math.ceil(i * math.sin(math.radians(angle)) - 0.5), -math.ceil(i * math.cos(math.radians(angle)) - 0.5)
        if abs(dy) >= x.shape[0] or abs(dx) >= x.shape[1]:
            break
        out += weight * shifted(x, dy, dx)
    return out


@imagenet_c(0.08, 0.12, 0.18, 0.26, 0.38)
def gaussian_noise(x, std):
    x = x / 255.0
    return full(x + np.random.normal(size=x.shape, scale=std))


@imagenet_c(60, 25, 12, 5, 3)
def shot_noise(x, peak):
    return full(np.random.poisson(x / 255.0 * peak) / peak)


@imagenet_c(0.03, 0.06, 0.09, 0.17, 0.27)
def impulse_noise(x, amount):
    return full(skimage.util.random_noise(x / 255.0, mode="s&p", amount=amount))


@imagenet_c(0.15, 0.2, 0.35, 0.45, 0.6)
def speckle_noise(x, std):
    x = x / 255.0
    return full(x + x * np.random.normal(size=x.shape, scale=std))


@imagenet_c(1, 2, 3, 4, 6)
def gaussian_blur(x, sigma):
    return full(smooth(x / 255.0, sigma, channel_axis=-1))


@imagenet_c((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
def defocus_blur(x, level):
    radius, alias = level
    i = np.arange(-max(8, radius), max(8, radius) + 1)
    kernel = np.array(i[:, None] ** 2 + i**2 <= radius**2, dtype=np.float32)
    side = 3 if radius <= 8 else 5
    kernel = cv2.GaussianBlur(kernel / kernel.sum(), (side, side), alias)
    x = x / 255.0
    return full(np.stack([cv2.filter2D(x[:, :, c], -1, kernel) for c in range(3)], 2))


@imagenet_c((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
def glass_blur(x, level):
    sigma, delta, passes = level
    out = np.uint8(smooth(x / 255.0, sigma, channel_axis=-1) * 255)
    for _ in range(passes):
        for y in range(x.shape[0] - delta, delta, -1):
            for across in range(x.shape[1] - delta, delta, -1):
                dx, dy = np.random.randint(-delta, delta, size=2)
                out[y, across], out[y + dy, across + dx] = out[y + dy, across + dx], out[y, across]
    return full(smooth(out / 255.0, sigma, channel_axis=-1))


@imagenet_c((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
def motion_blur(x, level):
    return np.clip(smeared(x, *level, np.random.uniform(-45, 45)), 0, 255)


@imagenet_c((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
def zoom_blur(x, level):
    x = (x / 255.0).astype(np.float32)
    factors = np.arange(1, *level)
    out = np.zeros_like(x)
    for factor in factors:
        out += zoomed(x, factor)
    return full((x + out) / (len(factors) + 1))


def plasma(size: int, decay: float) -> Pixels:
    """Diamond-square on a grid that wraps around."""
    out = np.zeros((size, size))
    step, wibble = size, 100.0
    while step >= 2:
        half = step // 2
        corners = out[0:size:step, 0:size:step]
        total = corners + np.roll(corners, -1, 0)
        total = total + np.roll(total, -1, 1)
        out[half:size:step, half:size:step] = total / 4 + wibble * np.random.uniform(-1, 1, total.shape)
        centres = out[half:size:step, half:size:step]
        beside = centres + np.roll(centres, 1, 0) + corners + np.roll(corners, -1, 1)
        out[0:size:step, half:size:step] = beside / 4 + wibble * np.random.uniform(-1, 1, beside.shape)
        below = centres + np.roll(centres, 1, 1) + corners + np.roll(corners, -1, 0)
        out[half:size:step, 0:size:step] = below / 4 + wibble * np.random.uniform(-1, 1, below.shape)
        step, wibble = half, wibble / decay
    out -= out.min()
    return out / out.max()


@imagenet_c((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))
def fog(x, level):
    amount, decay = level
    x = x / 255.0
    most, (h, w) = x.max(), x.shape[:2]
    size = 1 << (max(h, w) - 1).bit_length()
    return full((x + amount * plasma(size, decay)[:h, :w, None]) * most / (most + amount))


@functools.cache
def ice(h: int, w: int) -> Pixels:
    return np.random.randint(0, 256, (2 * h, 2 * w, 3), dtype=np.uint8)


@imagenet_c((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
def frost(x, level):
    keep, amount = level
    h, w = x.shape[:2]
    y, across = np.random.randint(0, h), np.random.randint(0, w)
    return np.clip(keep * x + amount * ice(h, w)[y : y + h, across : across + w], 0, 255)


@imagenet_c((0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7), (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55))  # fmt: skip
def snow(x, level):
    mean, std, zoom, threshold, radius, sigma, keep = level
    x = np.float32(x) / 255
    layer = zoomed(np.random.normal(size=x.shape[:2], loc=mean, scale=std)[..., None], zoom)
    layer[layer < threshold] = 0
    layer = np.uint8(np.clip(layer, 0, 1) * 255)
    layer = smeared(layer, radius, sigma, np.random.uniform(-135, -45)) / 255
    grey = cv2.cvtColor(x, cv2.COLOR_RGB2GRAY)[..., None]
    x = keep * x + (1 - keep) * np.maximum(x, grey * 1.5 + 0.5)
    return full(x + layer + np.rot90(layer, 2))


@imagenet_c(
    (0.65, 0.3, 4, 0.69, 0.6, 0),
    (0.65, 0.3, 3, 0.68, 0.6, 0),
    (0.65, 0.3, 2, 0.68, 0.5, 0),
    (0.65, 0.3, 1, 0.65, 1.5, 1),
    (0.67, 0.4, 1, 0.65, 1.5, 1),
)
def spatter(x, level):
    mean, std, sigma, threshold, strength, mud = level
    x = np.float32(x) / 255
    layer = smooth(np.random.normal(size=x.shape[:2], loc=mean, scale=std), sigma)
    layer[layer < threshold] = 0
    if mud:
        mask = np.where(layer > threshold, 1.0, 0.0)
        mask = smooth(mask.astype(np.float32), strength)
        mask[mask < 0.8] = 0
        colour = np.array([63, 42, 20], dtype=np.float32) / 255
        return full(x * (1 - mask[..., None]) + colour * mask[..., None])
    layer = np.uint8(layer * 255)
    distance = 255 - cv2.Canny(layer, 50, 150)
    distance = cv2.distanceTransform(distance, cv2.DIST_L2, 5)
    distance = cv2.threshold(distance, 20, 20, cv2.THRESH_TRUNC)[1]
    distance = cv2.equalizeHist(np.uint8(cv2.blur(distance, (3, 3))))
    distance = cv2.filter2D(distance, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    distance = np.float32(cv2.blur(distance, (3, 3)))
    mask = cv2.cvtColor(layer * distance, cv2.COLOR_GRAY2RGB)
    mask *= strength / max(mask.max(), 1e-6)
    return full(x + mask * (np.array([175, 238, 238], dtype=np.float32) / 255))


def in_hsv(x: Pixels, channel: int, factor: float, offset: float) -> Pixels:
    out = skimage.color.rgb2hsv(x / 255.0)
    out[..., channel] = np.clip(out[..., channel] * factor + offset, 0, 1)
    return full(skimage.color.hsv2rgb(out))


@imagenet_c(0.1, 0.2, 0.3, 0.4, 0.5)
def brightness(x, amount):
    return in_hsv(x, 2, 1.0, amount)


@imagenet_c(0.4, 0.3, 0.2, 0.1, 0.05)
def contrast(x, factor):
    x = x / 255.0
    mean = x.mean((0, 1), keepdims=True)
    return full((x - mean) * factor + mean)


@imagenet_c((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))
def saturate(x, level):
    return in_hsv(x, 1, *level)


@imagenet_c(25, 18, 15, 10, 7)
def jpeg_compression(x, quality):
    file = io.BytesIO()
    Image.fromarray(x).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def blocks(x: Pixels, scale: float) -> Pixels:
    h, w = x.shape[:2]
    return np.array(Image.fromarray(x).resize((int(w * scale), int(h * scale)), Image.Resampling.BOX).resize((w, h), Image.Resampling.NEAREST))


SCALES = (0.6, 0.5, 0.4, 0.3, 0.25)
IMAGENET_C["pixelate"] = lambda x, level: blocks(x, SCALES[level - 1])  # ARNIQA has a function of this name


@imagenet_c(12.5, 16.25, 21.25, 25, 30)
def elastic_transform(x, amount):
    h, w, c = x.shape
    across, down = (smooth(np.random.uniform(-0.005 * h, 0.005 * h, (h, w)), 0.01 * h, mode="reflect", truncate=3) * amount for _ in range(2))
    y, columns, channel = np.meshgrid(np.arange(h), np.arange(w), np.arange(c), indexing="ij")
    at = y + down[..., None], columns + across[..., None], channel
    return full(scipy.ndimage.map_coordinates(x / 255.0, at, order=1, mode="reflect"))

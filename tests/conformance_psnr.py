"""References for results that can only be as good as another's: the difference in PSNR to the source."""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
import scipy.ndimage
import skimage.filters
import test_ops_blur as blurs
import test_ops_quantization as quantization
import test_ops_warp as warps
from conformance_formulas import directional_blur
from conformance_types import LEVELS, PUBLISHED_CROP, UNSEEN, Way, as_float, double, psnr, run
from PIL import Image, ImageFilter

import degrade
from degrade.banks.base import Type


def gap(t: Type, reference, image=PUBLISHED_CROP, seeds: int = 1, levels=LEVELS) -> float:
    """The largest difference in mean PSNR, in dB; the reference takes 3 h w float64, the parameters and a random generator."""
    worst = 0.0
    for level in levels:
        x, generator, found = as_float(image), np.random.default_rng(7), []
        for seed in range(seeds):
            y, p = run(t, level, x, seed=seed)
            want = np.clip(reference(double(x), p, generator), 0, 1)
            found.append([min(psnr(v, double(x)), UNSEEN) for v in (double(y), want)])
        worst = max(worst, abs(float(np.subtract(*np.mean(found, 0)))))
    return worst


def by_gap(against, limit, reference, **more):
    return lambda t: Way(against, limit, "dB", lambda t: gap(t, reference, **more), heavy=more.get("seeds", 1) > 1)


def of_bytes(reference):
    """A function of h w 3 uint8 as one of 3 h w floats."""

    def convert(x, p, generator):
        return reference(np.round(x * 255).astype(np.uint8).transpose(1, 2, 0), p).transpose(2, 0, 1) / 255

    return convert


def pillow_blur(image, p):
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(p["sigma"])))


def openjpeg(image, p):
    file, image = io.BytesIO(), Image.fromarray(image)
    mode, layer = ("dB", p["psnr"]) if p["target"] == "psnr" else ("rates", p["ratio"])
    options = dict(irreversible=p["wavelet"] == "9/7", num_resolutions=p["resolutions"], mct=int(p["colour"] == "ycc"))
    image.save(file, "JPEG2000", quality_mode=mode, quality_layers=[layer], **options)
    return np.asarray(Image.open(io.BytesIO(file.getvalue())))


def floyd_steinberg(image, p):
    """Pillow's error diffusion with the colours of the result without dither."""
    plain = degrade.functional.palette(as_float(np.ascontiguousarray(image.transpose(2, 0, 1))), colours=p["colours"], dither="none")
    found, table = quantization.palette_of(plain).T, Image.new("P", (1, 1))
    table.putpalette(np.concatenate([found, np.tile(found[:1], (256 - len(found), 1))]).astype(np.uint8).tobytes())
    return np.asarray(Image.fromarray(image).quantize(palette=table, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB"))


def channel_median_cut(image, p):
    method = Image.Quantize.MEDIANCUT
    return np.stack([np.asarray(Image.fromarray(c).quantize(colors=p["levels"], method=method).convert("L")) for c in image.transpose(2, 0, 1)], 2)


def coarse_otsu(image, p):
    """scikit-image's thresholds on 30 bins, channel by channel, to a ramp over the range of the values."""
    n, out = p["thresholds"] + 1, np.zeros(image.shape)
    for c in range(3):
        plane = image[..., c].astype(np.float32)
        found = skimage.filters.threshold_multiotsu(plane, classes=n, nbins=30)
        out[..., c] = np.digitize(plane, found) * (plane.max() - plane.min()) / n + plane.min()
    return out.clip(0, 255)


def lens_mask(height, width, exponent):
    """DepictQA's, from the pixel at the middle and half the diagonal."""
    y, x = np.mgrid[:height, :width]
    return (1 - np.hypot(y - height // 2, x - width // 2) / (math.hypot(height, width) / 2)) ** exponent


def lens_mask_blur(x, p, generator):
    m = lens_mask(*x.shape[1:], p["gamma"])
    return m * x + (1 - m) * scipy.ndimage.gaussian_filter(x, p["sigma"], mode="nearest", axes=(1, 2))


def unclipped_value(x, p, generator):
    hsv = cv2.cvtColor(x.transpose(1, 2, 0).astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 2] += p["amount"]
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).transpose(2, 0, 1)


def zooms(zoom):
    """The mean of the image and its enlargements; the first factor is 1."""

    def mean(x, p, generator):
        steps = round((p["amount"] + 1e-6) // p["step"])
        return (2 * x + sum(zoom(x, 1 + p["step"] * i) for i in range(1, steps + 1))) / (steps + 2)

    return mean


def zoom_from_the_corner(x, factor):
    """A centred crop, enlarged, of which the top left part is kept: imagecorruptions' and DepictQA's."""
    h, w = x.shape[1:]
    crop = [math.ceil(n / factor) for n in (h, w)]
    top, left = (h - crop[0]) // 2, (w - crop[1]) // 2
    return scipy.ndimage.zoom(x[:, top : top + crop[0], left : left + crop[1]], (1, factor, factor), order=1)[:, :h, :w]


def scanned(x, delta, passes, generator):
    return warps.scan(x, delta, generator.integers(-delta, delta, (passes, 2, *x.shape[1:])))


def glass_blur(x, p, generator):
    blurred = scipy.ndimage.gaussian_filter(x, p["sigma"], mode="nearest", axes=(1, 2))
    return scipy.ndimage.gaussian_filter(scanned(blurred, p["delta"], p["passes"], generator), p["sigma"], mode="nearest", axes=(1, 2))


def diamond_square(side, decay, generator):
    """A cyclic map, from corners to middles, then to the edges; the step, squared, falls by decay². 0..1."""
    heights, step, size = np.zeros((side, side)), side, 1.0
    while step > 1:
        half = step // 2
        corners = heights[::step, ::step]
        middle = (corners + np.roll(corners, -1, 0) + np.roll(corners, -1, 1) + np.roll(corners, (-1, -1), (0, 1))) / 4
        middle = middle + size**2 * generator.uniform(-1, 1, corners.shape)
        heights[half::step, half::step] = middle
        for axis, (rows, columns) in ((0, (0, half)), (1, (half, 0))):
            along = corners + np.roll(corners, -1, 1 - axis) + middle + np.roll(middle, 1, axis)
            heights[rows::step, columns::step] = along / 4 + size**2 * generator.uniform(-1, 1, corners.shape)
        step, size = half, size / decay
    return (heights - heights.min()) / np.ptp(heights)


def fog(x, p, generator):
    cloud = diamond_square(1 << (max(x.shape) - 1).bit_length(), p["decay"], generator)[: x.shape[1], : x.shape[2]]
    return (x + p["amount"] * cloud) * x.max() / (x.max() + p["amount"])


def snow(x, p, generator):
    h, w = x.shape[1:]
    flakes = generator.normal(p["mean"], p["std"], (1, h, w))
    flakes = blurs.clipped_zoom(flakes, p["zoom"])
    flakes = np.where(flakes < p["threshold"], 0, flakes).clip(0, 1)
    flakes = directional_blur(flakes, {"radius": p["length"], "sigma": p["sigma"], "angle": generator.uniform(-135, -45)})
    grey = np.tensordot([0.299, 0.587, 0.114], x, 1)
    white = p["keep"] * x + (1 - p["keep"]) * np.maximum(x, 1.5 * grey + 0.5)
    return white + flakes + flakes[:, ::-1, ::-1]


def spline_jitter(image, p, generator):
    y, x = np.mgrid[: image.shape[1], : image.shape[2]]
    for _ in range(p["iterations"]):
        dy, dx = p["sigma"] * generator.standard_normal((2, *image.shape[1:]))
        image = np.stack([scipy.ndimage.map_coordinates(c, [y + dy, x + dx], order=3, mode="reflect") for c in image]).clip(0, 1)
    return image

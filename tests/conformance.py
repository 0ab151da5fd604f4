"""What every type of every bank is checked against, and how far it is off: `python tests/conformance.py` prints the table.

A type's op runs at the bank's five levels, and the largest deviation counts. The references are SciPy, scikit-image, OpenCV,
Pillow, kornia or formulas written out, here or in the tests of the ops; never the op's own code. JPEG at the end of a type is
left out: `test_banks` shows that it is Pillow's.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import math
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import kornia
import numpy as np
import PIL.ImageEnhance
import scipy.interpolate
import scipy.ndimage
import scipy.stats
import skimage.color
import skimage.data
import skimage.filters
import torch
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).parent.parent))

import test_ops as general
import test_ops_blur as blurs
import test_ops_brightness as brightness
import test_ops_colour as colours
import test_ops_quantization as quantization
import test_ops_spatial as spatial
import test_ops_warp as warps

import degrade
from degrade import banks
from degrade.banks.base import Type
from degrade.banks.tid2013 import PSNR

warnings.filterwarnings("ignore", ".*negative Z")

SOURCES = {
    ("kadid10k", "fixed"): lambda: banks.kadid10k(),
    ("arniqa", "fixed"): lambda: banks.arniqa(),
    ("arniqa", "faithful"): lambda: banks.arniqa("faithful"),
    ("shamisa", "fixed"): lambda: banks.shamisa(),
    ("shamisa", "faithful"): lambda: banks.shamisa("faithful"),
    ("reiqa", "fixed"): lambda: banks.reiqa(),
    ("reiqa", "faithful"): lambda: banks.reiqa("faithful"),
    ("imagenet_c", "imagecorruptions"): lambda: banks.imagenet_c(),
    ("imagenet_c", "dataset"): lambda: banks.imagenet_c("dataset"),
    ("xdistortion", "fixed"): lambda: banks.xdistortion(),
    ("tid2013", "fixed"): lambda: banks.tid2013(),
}
LEVELS = range(1, 6)
GREY_LEVEL = 1 / 255
UNSEEN = 60.0  # dB: where a PSNR says nothing more
NUDGE = 1.02  # an error of the parameter that has to show


@dataclass(frozen=True)
class Check:
    """One type of a bank against something else.

    kind      what is claimed, as in `Type.conformance`
    against   what it is checked against
    limit     the most that `measure` may give, in `unit`
    measure   the largest deviation over the five levels
    heavy     takes seconds
    """

    bank: str
    profile: str
    name: str
    kind: str
    note: str
    against: str
    limit: float
    unit: str
    measure: Callable[[], float]
    heavy: bool = False

    @property
    def id(self) -> str:
        return f"{self.bank}-{self.profile}-{self.name}"


@dataclass(frozen=True)
class Way:
    """How a type is measured; the function takes the type."""

    against: str
    limit: float
    unit: str
    measure: Callable[[Type], float]
    heavy: bool = False


# ---- running a type --------------------------------------------------------------------------------------------------------


def photo(height=48, width=64, top=60, left=170):
    """A crop of a photograph, 3 h w uint8."""
    return np.ascontiguousarray(skimage.data.astronaut()[top : top + height, left : left + width].transpose(2, 0, 1))


CROP = photo()
PUBLISHED_CROP = photo(224, 224, 100, 150)


def as_float(image):
    return torch.from_numpy(image)[None].to(torch.float32) / 255


def run(t: Type, level: float, x: torch.Tensor, ids=(0,), seed: int = 0, rounded: bool = False) -> tuple[torch.Tensor, dict[str, Any]]:
    """The type at a level, and the parameters of the first image. What follows the op is left out, but for rounding if asked."""
    pipe = degrade.Pipeline(dataclasses.replace(t, after=t.after if rounded else ()).at(level), seed=seed, backend="torch")
    program = pipe.sample(list(ids), tuple(x.shape[-2:]))
    parameters = {
        name: q.choices[int(v)] if q.choices else int(v) if q.integer else float(v)
        for (name, q), v in zip(t.op.parameters.items(), program.theta[0, len(t.before)])
    }
    return degrade.apply(program, x.expand(len(ids), -1, -1, -1), backend="torch"), parameters


def double(y):
    return y[0].numpy().astype(np.float64)


def psnr(a, b):
    return -10 * math.log10(max(float(np.mean((np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)) ** 2)), 1e-12))


# ---- deterministic ops: a reference per op, on 3 h w float64 in 0..1, with the parameters by name --------------------------


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


def lens_mask(height, width, exponent):
    """DepictQA's, from the pixel at the middle and half the diagonal."""
    y, x = np.mgrid[:height, :width]
    return (1 - np.hypot(y - height // 2, x - width // 2) / (math.hypot(height, width) / 2)) ** exponent


def lens_mask_blur(x, p, generator):
    m = lens_mask(*x.shape[1:], p["gamma"])
    return m * x + (1 - m) * scipy.ndimage.gaussian_filter(x, p["sigma"], mode="nearest", axes=(1, 2))


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


# ---- 8-bit images through another codec or library ---------------------------------------------------------------------------


def through_bytes(t: Type, reference, image=CROP, inner: int = 0) -> float:
    """The largest difference in grey levels, of 8-bit images; the reference takes and gives h w 3 uint8."""
    worst = 0
    for level in LEVELS:
        y, p = run(t, level, torch.from_numpy(image)[None])
        want = reference(image.transpose(1, 2, 0), p).transpose(2, 0, 1)
        inside = (slice(None), *(slice(inner, n - inner) for n in want.shape[1:]))
        worst = max(worst, int(np.abs(y[0].numpy().astype(int) - want)[inside].max()))
    return float(worst)


def by_bytes(against, limit, reference, image=CROP, **more):
    return lambda t: Way(against, limit, "grey levels", lambda t: through_bytes(t, reference, image, **more))


def pillow_jpeg(image, p):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=p["quality"], subsampling=p["subsampling"])
    return np.asarray(Image.open(file))


def pillow_contrast(image, p):
    return np.asarray(PIL.ImageEnhance.Contrast(Image.fromarray(image)).enhance(p["factor"]))


def pillow_blur(image, p):
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(p["sigma"])))


def oversharpen(image, p):
    return cv2.addWeighted(image, 1 + p["amount"], cv2.GaussianBlur(image, (5, 5), 0), -p["amount"], 0)


def unclipped_value(x, p, generator):
    hsv = cv2.cvtColor(x.transpose(1, 2, 0).astype(np.float32), cv2.COLOR_RGB2HSV)
    hsv[..., 2] += p["amount"]
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).transpose(2, 0, 1)


def pillow_resize(image, p):
    method = {**spatial.RESAMPLING, "nearest": Image.Resampling.NEAREST}[p["filter"]]
    small = spatial.other_size(image.shape[:2], p["factor"])[::-1]
    return np.asarray(Image.fromarray(image).resize(small, method).resize(image.shape[1::-1], method))


def nearest_resize(t: Type) -> float:
    """Where no centre falls on the edge between two pixels: there Pillow's running sum takes either."""
    worst, image = 0, photo(97, 101)
    for level in LEVELS:
        y, p = run(t, level, torch.from_numpy(image)[None])
        want = pillow_resize(image.transpose(1, 2, 0), p).transpose(2, 0, 1)
        clear = []
        for n, small in zip(image.shape[1:], spatial.other_size(image.shape[1:], p["factor"])):
            twice = (2 * np.arange(n) + 1) * small
            clear.append((twice % (2 * n) != 0) & ((2 * (twice // (2 * n)) + 1) * n % (2 * small) != 0))
        worst = max(worst, int(np.abs(y[0].numpy().astype(int) - want)[:, clear[0]][:, :, clear[1]].max()))
    return float(worst)


def pixelate_by_boxes(t: Type) -> float:
    """Where no centre of a pixel lies on the edge between two cells: there Pillow takes either, both or none of them."""
    worst, image = 0, photo(97, 101)
    for level in LEVELS:
        y, p = run(t, level, torch.from_numpy(image)[None])
        small = tuple(max(1, int(round(p["scale"], 6) * n)) for n in image.shape[:0:-1])
        picture = Image.fromarray(image.transpose(1, 2, 0)).resize(small, Image.Resampling.BOX)
        want = np.asarray(picture.resize(image.shape[:0:-1], Image.Resampling.NEAREST)).transpose(2, 0, 1)
        rows, columns = (spatial.clear_of_edges(n, m) for n, m in zip(image.shape[1:], small[::-1]))
        worst = max(worst, int(np.abs(y[0].numpy().astype(int) - want)[:, rows][:, :, columns].max()))
    return float(worst)


def equalised(image, p):
    """The published rule: the cumulative histogram of L bins, stretched and cut to 8 bits, as a table of L entries."""
    cdf = np.cumsum(np.histogram(image, bins=p["levels"], range=(0, 255))[0])
    used = cdf > 0
    low, high = cdf[used].min(), cdf.max()
    table = np.where(used, np.floor((cdf - low) * 255 / max(high - low, 1)), 0)
    return table[np.round(image / 255 * (p["levels"] - 1)).astype(int)]


def uniform_bins(image, p):
    """ARNIQA's thresholds, cut to whole numbers, and the stretch of the bins' indices."""
    index = np.digitize(image, np.linspace(0, 255, p["thresholds"] + 1)[:-1].astype(int), right=True).astype(np.float64)
    return np.floor((index - index.min()) / (index.max() - index.min()) * 255 + 0.5)


def otsu_thresholds(histogram, n):
    """The optimum by a dynamic programme over the occupied values: the upper end of every class but the last."""
    v = np.flatnonzero(histogram)
    count, total = (np.concatenate([[0.0], np.cumsum(a[v]).astype(float)]) for a in (histogram, histogram * np.arange(256)))
    size = len(v)
    weight = count[None, :] - count[:, None]
    gain = np.where(weight > 0, (total[None, :] - total[:, None]) ** 2 / np.where(weight > 0, weight, 1), -np.inf)
    best, back = gain[0], []
    for _ in range(n):
        through = best[:, None] + gain
        back.append(through.argmax(0))
        best = through.max(0)
    ends, end = [], size
    for choice in reversed(back):
        end = choice[end]
        ends.append(v[end - 1])
    return ends[::-1]


def otsu(image, p):
    ends = otsu_thresholds(np.bincount(image.ravel(), minlength=256), p["thresholds"])
    return np.array([0, *ends[1:], 255])[np.searchsorted(ends, image, side="left")]


# ---- results that can only be as good as another's: differences in PSNR to the source ------------------------------------------


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


# ---- noise: against NumPy's, as the error of the parameter ------------------------------------------------------------------------


def additive(x, p, generator):
    return x + p["std"] * generator.standard_normal(x.shape)


def multiplicative(x, p, generator):
    return x * (1 + p["std"] * generator.standard_normal(x.shape))


def in_ycbcr(x, p, generator):
    """x is b 3 h w; the studio range is clipped inside it."""
    n = p["std"] * generator.standard_normal(x.shape) * np.array([1, p["chroma"], p["chroma"]])[:, None, None]
    if p["range"] == "studio":
        planes = skimage.color.rgb2ycbcr(x, channel_axis=1) / 255 + n
        return skimage.color.ycbcr2rgb(planes.clip(0, 1) * 255, channel_axis=1)
    planes = kornia.color.rgb_to_ycbcr(torch.from_numpy(x)) + torch.from_numpy(n)
    return kornia.color.ycbcr_to_rgb(planes).numpy()


def poisson_error(t: Type, value: float = 0.2) -> float:
    """The deviation of counts times the gain, clipped at 1, against the exact one."""

    def exact(gain):
        counts = np.arange(400)
        weight, result = scipy.stats.poisson.pmf(counts, value / gain), np.minimum(counts * gain, 1)
        return math.sqrt(weight @ result**2 - (weight @ result) ** 2)

    worst, x = 0.0, torch.full((1, 3, 256, 256), value)
    for level in LEVELS:
        y, p = run(t, level, x, ids=range(4))
        slope = math.log(exact(p["gain"] * NUDGE) / exact(p["gain"])) / (NUDGE - 1)
        worst = max(worst, abs(math.log(float(y.double().std()) / exact(p["gain"])) / slope))
    return 100 * worst


def box_of_noise(x, p, generator):
    return scipy.ndimage.uniform_filter(additive(x, p, generator), 2 * p["window"] + 1, mode="nearest", axes=(2, 3))


def deviations(y):
    return y.std((0, 2, 3))


def ycbcr_deviations(y):
    return kornia.color.rgb_to_ycbcr(torch.from_numpy(y)).numpy().std((0, 2, 3))


def parameter_error(t: Type, simulate, statistic=deviations, value=0.5, shape=(4, 256, 256)) -> float:
    """By how many per cent the first parameter would have to be wrong to explain the difference in a statistic.

    The simulation with the parameter 2 % higher, from the same random numbers, shows what such an error does.
    """
    worst, (count, h, w) = 0.0, shape
    first = next(iter(t.op.parameters))
    for level in LEVELS:
        x = torch.full((1, 3, h, w), value)
        y, p = run(t, level, x, ids=range(count))
        flat = np.full((count, 3, h, w), np.float64(np.float32(value)))
        right, wrong = (
            statistic(simulate(flat, {**p, first: p[first] * k}, np.random.default_rng(3)).clip(0, 1)) for k in (1.0, NUDGE)
        )  # fmt: skip
        error = (statistic(y.numpy().astype(np.float64)) - right) / (wrong - right) * (NUDGE - 1)
        worst = max(worst, float(np.abs(error).max()))
    return 100 * worst


def by_noise(against, simulate, **more):
    return lambda t: Way(against, 1.5, "% of the parameter", lambda t: parameter_error(t, simulate, **more))


def impulse_error(t: Type) -> float:
    """Impulses are counted until the density and the share of salt are known to half a per cent."""
    worst = 0.0
    for level in LEVELS:
        x = torch.full((1, 3, 1024, 1024), 0.25)
        hit = white = values = 0
        for id_ in itertools.count():
            y, p = run(t, level, x, ids=(id_,))
            y = y[:, :1] if p["per"] == "pixel" else y
            hit, white, values = hit + int((y != 0.25).sum()), white + int((y == 1).sum()), values + y.numel()
            if hit > 40_000 or values > 4e7:
                break
        worst = max(worst, abs(hit / values / p["density"] - 1), abs(white / hit - p["salt"]))
    return 100 * worst


def warp_error(t: Type, read) -> float:
    """The deviation of the displacements of repeated warps, from ramps, against the same warps of NumPy's normals."""
    worst, size, inside = 0.0, (220, 220), (slice(24, -24), slice(24, -24))
    x = warps.ramps(*size)
    for level in LEVELS:
        y, p = run(t, level, x)
        found = []
        for k in (1.0, NUDGE):
            generator, image = np.random.default_rng(5), double(x)
            for _ in range(p["iterations"]):
                dy, dx = k * p["sigma"] * generator.standard_normal((2, *size))
                image = read(image, dy, dx)
            found.append(_spread(warps.displacement(torch.from_numpy(image)[None], x.double()), inside))
        ours = _spread(warps.displacement(y.double(), x.double()), inside)
        worst = max(worst, abs((ours - found[0]) / (found[1] - found[0])) * (NUDGE - 1))
    return 100 * worst


def _spread(field, inside):
    return math.sqrt(sum(d[inside].var() for d in field) / 2)


def spline_jitter(image, p, generator):
    y, x = np.mgrid[: image.shape[1], : image.shape[2]]
    for _ in range(p["iterations"]):
        dy, dx = p["sigma"] * generator.standard_normal((2, *image.shape[1:]))
        image = np.stack([scipy.ndimage.map_coordinates(c, [y + dy, x + dx], order=3, mode="reflect") for c in image]).clip(0, 1)
    return image


def elastic_error(t: Type) -> float:
    """The deviation of the field, less the affine map, against SciPy's filter of uniforms: amount / √3 · Σ taps²."""
    worst, side, margin = 0.0, 120, 30
    x = warps.ramps(side, side)
    rows, columns = np.mgrid[margin : side - margin, margin : side - margin]
    basis = np.stack([rows.ravel(), columns.ravel(), np.ones(rows.size)], 1)
    for level in LEVELS:
        sums = []
        for id_ in range(60):
            y, p = run(t, level, x, ids=(id_,))
            if p["sigma"] > 0.03:  # a field as smooth as the frame is large is a shift
                break
            for d in warps.displacement(y, x):
                d = d[margin : side - margin, margin : side - margin].ravel()
                sums.append((d - basis @ np.linalg.lstsq(basis, d, rcond=None)[0]).var())
        if sums:
            sigma, reach = p["sigma"] * side, math.floor(3 * p["sigma"] * side + 0.5)
            taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
            taps /= taps.sum()
            want = p["amount"] * side / math.sqrt(3) * (taps**2).sum()
            worst = max(worst, abs(math.sqrt(np.mean(sums)) / want - 1))
    return 100 * worst


def residue_error(t: Type) -> float:
    """The deviation of filtered noise: the root of the sum of the squared taps."""
    worst = 0.0
    for level in LEVELS:
        x, found = torch.full((1, 3, 256, 256), 0.5), {}
        for id_ in range(24):
            y, p = run(t, level, x, ids=(id_,))
            found.setdefault((p["filter"], p["sigma"]), []).append(float(y[..., 16:-16, 16:-16].double().var()))
        for (kind, sigma), variances in found.items():
            taps = np.exp(-(np.arange(-9, 10) ** 2) / (2 * 3.0**2)) if kind == "gaussian" else np.ones(5)
            assert sigma == (3.0 if kind == "gaussian" else 2.0)
            want = p["std"] ** 2 * ((taps / taps.sum()) ** 2).sum() ** 2
            worst = max(worst, abs(math.sqrt(np.mean(variances) / want) - 1))
    return 100 * worst


def boxes(t: Type, level: int, size, count: int) -> np.ndarray:
    """The tables of many samples: the boxes of patches or blocks."""
    program = degrade.Pipeline(dataclasses.replace(t, after=()).at(level), backend="torch").sample(range(count), size)
    return t.op.tables(program.theta[:, 0], t.op.frame(program.key, program.ids, 0, *size))


def patches_error(t: Type) -> float:
    """Numbers, corners uniform over 16 … size − 32, and shifts round((u − 1/2) · 16)."""
    worst, size = 0.0, (224, 200)
    shifts = np.abs(np.arange(-8, 9)) @ np.where(np.abs(np.arange(-8, 9)) == 8, 1 / 32, 1 / 16)
    for level in LEVELS:
        rows = boxes(t, level, size, int(60_000 / t.arguments["count"].table[level - 1]))
        place, shift = np.split(rows[:, 2:].reshape(-1, 4), 2, 1)
        corner = (place - shift - 16) / (np.asarray(size) - 48)
        found = [
            rows[:, 0].mean() / t.arguments["count"].table[level - 1],
            *(corner.mean(0) * 2),
            *(corner.std(0) * math.sqrt(12)),
            *(np.abs(shift).mean(0) / shifts),
        ]
        worst = max(worst, float(np.abs(np.asarray(found) - 1).max()))
    return 100 * worst


def blocks_error(t: Type) -> float:
    """Numbers, places uniform over the frame, and uniform colours."""
    worst, size = 0.0, (224, 200)
    for level in LEVELS:
        rows = boxes(t, level, size, int(60_000 / t.arguments["count"].table[level - 1]))
        found = rows[:, 3:].reshape(-1, 5)
        found = found / np.array([size[0] - 32, size[1] - 32, 1, 1, 1])
        moments = [rows[:, 0].mean() / t.arguments["count"].table[level - 1], *(found.mean(0) * 2), *(found.std(0) * math.sqrt(12))]
        worst = max(worst, float(np.abs(np.asarray(moments) - 1).max()))
    return 100 * worst


# ---- reconstructions with a measure of their own -------------------------------------------------------------------------------------


def colour_shift(t: Type) -> float:
    """Green is one of the displacements of this length, blended by the edge map."""
    worst, image, variant = 0.0, photo(64, 90), t.arguments.get("variant", "kadis")
    for level in LEVELS:
        y, p = run(t, level, as_float(image))
        rgb = double(as_float(image)).transpose(1, 2, 0)
        e, green = colours.edge_map(rgb, variant), rgb[..., 1]
        shifts = {(round(p["amount"] * math.cos(a)), round(p["amount"] * math.sin(a))) for a in np.linspace(0, np.pi / 2, 4001)}
        worst = max(worst, min(np.abs(double(y)[1] - (e * colours.displaced(green, *s, variant) + (1 - e) * green)).max() for s in shifts))
    return float(worst)


def residue(t: Type) -> float:
    """gaussian_noise of the same seed, then SciPy's filter."""
    worst = 0.0
    for level in LEVELS:
        y, p = run(t, level, as_float(CROP))
        noisy = double(degrade.functional.gaussian_noise(as_float(CROP), std=p["std"]))
        worst = max(worst, np.abs(double(y) - scipy.ndimage.gaussian_filter(noisy, p["sigma"], mode="nearest", axes=(1, 2), radius=9)).max())
    return float(worst)


def at_target(t: Type, targets) -> float:
    """How far the PSNR of a grey image is from its target, in dB."""
    found = []
    for level in LEVELS:
        x = torch.full((1, 3, 256, 256), 0.5)
        found.append(psnr(run(t, level, x, ids=range(4))[0].numpy(), 0.5) - targets[level - 1])
    return float(np.abs(found).max())


def noise_by_activity(t: Type) -> float:
    """The PSNR against SciPy's map of local variance, in dB."""
    worst, x = 0.0, as_float(photo(96, 96)) * 0.4 + 0.3
    luma = np.tensordot([0.2989, 0.5870, 0.1140], double(x), 1)
    v = np.lib.stride_tricks.sliding_window_view(np.pad(luma, 1, mode="edge"), (3, 3)).var((2, 3))
    for level in LEVELS:
        y, p = run(t, level, x, ids=range(16))
        m = scipy.ndimage.minimum_filter(v / (v + p["half"] ** 2), 3, mode="nearest")
        worst = max(worst, abs(psnr(y.numpy(), x.expand(16, -1, -1, -1).numpy()) + 10 * math.log10(p["std"] ** 2 * (m**2).mean())))
    return worst


def decoded(t: Type, targets) -> float:
    """How far the PSNR is from its target, in dB, against what was compressed."""
    worst, x = 0.0, as_float(PUBLISHED_CROP)
    coded = degrade.Pipeline(degrade.Compose(*t.before), backend="torch")(x, ids=[0]) if t.before else x
    for level in LEVELS:
        worst = max(worst, abs(psnr(double(run(t, level, x)[0]), double(coded)) - targets[level - 1]))
    return worst


def patches_from_the_original(t: Type) -> float:
    """A loop over the boxes, each read from the image before."""
    worst, image = 0.0, photo(97, 101)
    for level in LEVELS:
        y, p = run(t, level, torch.from_numpy(image)[None])
        table = boxes(t, level, image.shape[1:], 1)[0].astype(int)
        want, side = image.copy(), table[1]
        for top, left, down, across in table[2:].reshape(-1, 4)[: p["count"]]:
            assert (down, across) == (-5, -5) and side == 15  # from further down and right
            want[:, top : top + side, left : left + side] = image[:, top - down : top - down + side, left - across : left - across + side]
        worst = max(worst, int(np.abs(y[0].numpy().astype(int) - want).max()))
    return float(worst)


def near_the_mean(t: Type) -> float:
    """A loop over the boxes."""
    worst, image = 0.0, photo(97, 101)
    for level in LEVELS:
        y, p = run(t, level, as_float(image))
        table, real = boxes(t, level, image.shape[1:], 1)[0], double(as_float(image))
        want, (high, wide) = real.copy(), table[1:3].astype(int)
        for top, left, *shift in table[3:].reshape(-1, 5)[: p["count"]][::-1]:
            box = slice(None), slice(int(top), int(top) + high), slice(int(left), int(left) + wide)
            assert np.abs(shift).max() <= p["offset"]
            want[box] = real.mean((1, 2), keepdims=True) + np.asarray(shift)[:, None, None]
        worst = max(worst, np.abs(double(y) - want.clip(0, 1)).max())
    return float(worst)


def laplacian(t: Type) -> float:
    """The share of values that are off by more than a grey level; where L is clipped to 0 or 100, none is."""
    off, x = [], as_float(CROP)
    for level in LEVELS:
        y, p = run(t, level, x)
        want = colours.laplacian_sharpened(double(x).transpose(1, 2, 0), p["amount"], 255).clip(0, 1)
        off.append((np.abs(double(y).transpose(1, 2, 0) - want) > GREY_LEVEL).mean())
    return 100 * float(max(off))


def frost(t: Type) -> float:
    """keep · x + the crystals, which a black image shows."""
    worst, x = 0.0, as_float(CROP)
    for level in LEVELS:
        (y, p), (crystals, _) = run(t, level, x), run(t, level, torch.zeros_like(x))
        worst = max(worst, np.abs(double(y) - np.clip(p["keep"] * double(x) + double(crystals), 0, 1)).max())
    return float(worst)


def spatter_share(t: Type) -> float:
    """The share of the frame above the threshold: a normal tail, less the rim of what the mud's edge loses."""
    worst, x = 0.0, torch.zeros(1, 3, 192, 192)
    for level in LEVELS:
        y, p = run(t, level, x, ids=range(16))
        generator, share = np.random.default_rng(2), []
        for _ in range(16):
            liquid = skimage.filters.gaussian(generator.normal(p["mean"], p["std"], (192, 192)), p["sigma"], mode="nearest")
            over = liquid > p["threshold"]
            share.append((over if p["mud"] == 0 else skimage.filters.gaussian(over.astype(float), p["opacity"], mode="nearest") >= 0.8).mean())
        worst = max(worst, abs(float((y[:, 0] > 0).double().mean()) / np.mean(share) - 1))
    return 100 * worst


# ---- ARNIQA's published values ---------------------------------------------------------------------------------------------------------

# PSNR in dB of the published functions on the crop [100:324, 150:374] of the astronaut; None where rounding alone shows.
GOLDEN = {
    "gaublur": (None, 38.4, 29.6, 25.1, 20.8),
    "lensblur": (33.3, 28.8, 24.4, 22.4, 21.2),
    "colordiff": (33.8, 17.0, 12.8, 11.1, 8.8),
    "colorsat1": (18.7, 16.2, 15.2, 14.3, 11.9),
    "colorsat2": (None, 20.5, 17.0, 13.6, 10.8),
    "brighten": (29.4, 23.4, 17.4, 13.0, 10.6),
    "darken": (35.8, 29.7, 23.7, 17.7, 12.0),
    "pixelate": (22.3, 21.8, 21.3, 20.7, 18.5),
    "quantization": (30.8, 28.8, 26.8, 24.5, 21.3),
    "highsharpen": (22.9, 18.6, 16.4, 13.5, 11.5),
    "lincontrchange": (27.2, 22.3, 27.2, 19.3, 21.2),
    "nonlincontrchange": (23.7, 17.7, 14.2, 11.7, 10.7),
}


def golden(t: Type) -> float:
    worst, x = 0.0, as_float(PUBLISHED_CROP)
    for level, want in zip(LEVELS, GOLDEN[t.name]):
        if want is not None:
            worst = max(worst, abs(psnr(double(run(t, level, x, rounded=True)[0]), double(x)) - want))
    return worst


# ---- the table ----------------------------------------------------------------------------------------------------------------------------

MAKE = {
    "gaussian_blur": by_formula("SciPy's gaussian_filter of the same radius", 1e-6, gaussian_blur),
    "lens_blur": lambda t: by_formula(
        "SciPy's correlate with the areas of the pixels in the circle"
        if t.arguments.get("kernel", "exact") == "exact"
        else "SciPy's correlate with the faulty taps, written out",
        2e-6,
        lens_blur,
    )(t),
    "motion_blur": by_formula(
        "SciPy's correlate with fspecial's taps, written out", 2e-6, lambda x, p: correlated(x, general.motion_kernel(p["length"], p["angle"]))
    ),
    "directional_blur": by_formula("copies moved by whole pixels, as imagecorruptions adds them", 2e-6, directional_blur),
    "box_motion_blur": by_formula("SciPy's convolve with a line of ones", 2e-6, box_motion_blur),
    "defocus_blur": by_formula(
        "OpenCV's filter2D with the disk, smoothed by OpenCV; 11 pixels inside the border", 5e-6,
        channels_last(lambda x, p: cv2.filter2D(x, -1, blurs.aliased(p["radius"], round(p["smoothing"], 6)))), inner=11,
    ),
    "zoom_blur": by_gap("SciPy's zooms, of which the top left part is kept: the PSNR", 1.0, zooms(zoom_from_the_corner)),
    "lens_mask_blur": by_gap("SciPy's Gaussian under DepictQA's mask: the PSNR", 0.2, lens_mask_blur),
    "vignette": by_gap("DepictQA's mask: the PSNR", 0.2, lambda x, p, generator: x * lens_mask(*x.shape[1:], p["gamma"])),
    "colour_diffusion": by_formula("scikit-image's CIELAB and SciPy's gaussian_filter", 1e-4, channels_last(colour_diffusion)),
    "saturation_hsv": by_formula("scikit-image's HSV; kornia's for negative factors", 1e-5, saturation_hsv),
    "saturation_lab": by_formula("scikit-image's CIELAB", 1e-4, channels_last(saturation_lab)),
    "saturation_ycbcr": by_formula("kornia's YCbCr", 2e-5, saturation_ycbcr),
    "brighten": by_formula("the parabola, and scikit-image's CIELAB", 5e-6, brighten),
    "darken": by_formula("the parabola", 1e-6, lambda x, p: brightness.parabola(x, -p["amount"])),
    "mean_shift": lambda t: by_formula("scikit-image's HSV" if t.arguments.get("space") == "hsv" else "NumPy", 5e-6, mean_shift)(t),
    "gamma": lambda t: by_formula("NumPy's power on scikit-image's HSV" if t.arguments.get("space") == "hsv" else "NumPy's power", 5e-6, gamma)(t),
    "contrast_curve": by_formula("SciPy's spline through the five knots", 1e-6, contrast_curve),
    "contrast_squeeze": by_formula("NumPy's interp", 1e-6, lambda x, p: np.interp(x, [0, 1], [0.5 - p["half_width"], 0.5 + p["half_width"]])),
    "contrast": lambda t: (
        by_bytes("Pillow's ImageEnhance, which cuts fractions off", 1.0, pillow_contrast)
        if t.arguments.get("mean") == "grey"
        else by_formula("NumPy's mean of each channel", 1e-5, contrast)
    )(t),
    "contrast_sigmoid": by_formula("NumPy's power", 5e-5, contrast_sigmoid),
    "unsharp_mask": by_formula("scikit-image's CIELAB and SciPy's gaussian_filter", 1e-4, unsharp_mask),
    "pixelate": lambda t: (
        Way("Pillow's BOX, then NEAREST, off the edges of cells", 1.0, "grey levels", pixelate_by_boxes)
        if t.arguments.get("down") == "box"
        else by_formula("torch's interpolate, nearest and nearest-exact", 1e-6, pixelate)(t)
    ),
    "resize": lambda t: (
        Way("Pillow, off the edges of pixels", 0.0, "grey levels", nearest_resize)
        if t.arguments["filter"] == "nearest"
        else by_bytes("Pillow, which rounds to 8 bits four times", 2.0, pillow_resize, photo(97, 101))(t)
    ),
    "jpeg": by_bytes("Pillow's libjpeg-turbo", 0.0, pillow_jpeg, photo(97, 101)),
    "jpeg2000": by_gap("OpenJPEG through Pillow: the PSNR", 1.0, of_bytes(openjpeg)),
    "palette": by_gap("Pillow's Floyd-Steinberg diffusion of the same colours: the PSNR", 2.0, of_bytes(floyd_steinberg)),
    "otsu_quantization": lambda t: (
        by_gap("scikit-image's thresholds on 30 bins: the PSNR", 2.0, of_bytes(coarse_otsu), image=photo(128, 128), levels=(2, 3, 4, 5))
        if t.arguments.get("output") == "ramp"
        else by_bytes("the optimum by a dynamic programme", 0.0, otsu)
    )(t),
    "histogram_quantization": lambda t: (
        by_bytes("the published rule with NumPy's histogram", 0.0, equalised)
        if t.arguments.get("output") == "equalised"
        else by_gap("Pillow's median cut of each channel: the PSNR", 2.0, of_bytes(channel_median_cut))
    )(t),
    "uniform_quantization": by_bytes("NumPy's digitize, stretched", 0.0, uniform_bins),
    "gaussian_noise": by_noise("NumPy's normals: the deviation", additive),
    "speckle_noise": by_noise("NumPy's normals times the image: the deviation", multiplicative),
    "ycbcr_noise": lambda t: by_noise(
        f"NumPy's normals in {'kornia' if t.arguments.get('range') == 'full' else 'scikit-image'}'s YCbCr: the deviations of Y, Cb, Cr", in_ycbcr,
        statistic=ycbcr_deviations,
    )(t),
    "poisson_noise": lambda t: Way("SciPy's Poisson law: the deviation", 1.5, "% of the parameter", poisson_error),
    "spatially_correlated_noise": by_noise("SciPy's box filter of NumPy's normals: the deviation", box_of_noise),
    "impulse_noise": lambda t: Way("binomial counts: density, share of salt", 1.5, "%", impulse_error, heavy=True),
    "denoise_residue": lambda t: (
        Way("the taps of both filters: the deviation", 1.5, "%", residue_error, heavy=True)
        if t.conformance == "statistical"
        else Way("SciPy's Gaussian of gaussian_noise", 2e-6, "", residue)
    ),
    "jitter": lambda t: Way(
        "NumPy's normals, read by Keys' kernel" if t.arguments.get("interpolation") != "bilinear" else "NumPy's normals, read by SciPy",
        1.5, "% of the parameter",
        lambda t: warp_error(t, warps.read_linear if t.arguments.get("interpolation") == "bilinear" else warps.read_cubic), heavy=True,
    ),
    "non_eccentricity_patches": lambda t: (
        Way("a loop over the boxes", 0.0, "grey levels", patches_from_the_original)
        if t.arguments.get("source") == "original"
        else Way("uniform laws: number, places, shifts", 1.5, "%", patches_error)
    ),
    "colour_blocks": lambda t: Way("uniform laws: number, places, colours", 1.5, "%", blocks_error),
    "elastic_transform": lambda t: Way("the law of SciPy's filtered uniforms, less an affine map: the deviation", 1.5, "%", elastic_error, heavy=True),
    "glass_blur": by_gap("the sequential scan on 48x48, 8 draws: the PSNR", 0.5, glass_blur, image=photo(48, 48), seeds=8),
    "pixel_scatter": by_gap(
        "the sequential scan on 48x48, 8 draws: the PSNR", 1.5, lambda x, p, g: scanned(x, p["distance"], 1, g), image=photo(48, 48), seeds=8
    ),
    "colour_shift": lambda t: Way(
        "NumPy's gradient and percentiles, SciPy's gaussian_filter; the best of all shifts of this length", 3e-3, "", colour_shift
    ),
    "laplacian_sharpen": lambda t: Way("scikit-image's CIELAB and NumPy's gradients: values off by a grey level", 1.0, "%", laplacian),
    "chromatic_aberration": by_formula("moved columns, and OpenCV's GaussianBlur", 5e-6, chromatic_aberration),
    "mean_blocks": lambda t: Way("a loop over the boxes", 1e-5, "", near_the_mean),
    "fog": by_gap("a diamond-square map, 24 draws: the PSNR", 1.5, fog, image=photo(64, 64), seeds=24),
    "frost": lambda t: Way("its formula, with the crystals of a black image", 1e-5, "", frost),
    "snow": by_gap("SciPy's zoom and moved copies of NumPy's normals, 12 draws: the PSNR", 1.0, snow, image=photo(96, 96), seeds=12),
    "spatter": lambda t: Way("scikit-image's blur of NumPy's normals: the share that is covered", 25.0, "%", spatter_share, heavy=True),
}  # fmt: skip

TARGET = "the target PSNR"


def noise_at_target(t):
    return Way(f"{TARGET}, on grey", 0.1, "dB", lambda t: at_target(t, PSNR))


# Types that are measured in another way than others with their op.
SPECIAL = {
    ("tid2013", "additive_gaussian_noise"): noise_at_target,
    ("tid2013", "colour_noise"): noise_at_target,
    ("tid2013", "spatially_correlated_noise"): noise_at_target,
    ("tid2013", "high_frequency_noise"): noise_at_target,
    ("tid2013", "masked_noise"): lambda t: Way("SciPy's map of local variance: the PSNR", 0.1, "dB", noise_by_activity),
    ("tid2013", "jpeg2000"): lambda t: Way(TARGET, 0.7, "dB", lambda t: decoded(t, PSNR)),
    ("tid2013", "compression_of_noisy_image"): lambda t: Way(f"{TARGET} against the noisy image", 1.0, "dB", lambda t: decoded(t, PSNR)),
    ("xdistortion", "oversharpen"): by_bytes("OpenCV's GaussianBlur and addWeighted, which round to 8 bits; 2 pixels inside the border", 8.0, oversharpen, inner=2),
    ("xdistortion", "brighten_shift_hsv"): by_gap("OpenCV's HSV, clipped after the way back: the PSNR", 1.0, unclipped_value),
    ("imagenet_c", "dataset", "zoom_blur"): by_gap("SciPy's zooms of the middle, cut at whole pixels: the PSNR", 0.5, zooms(blurs.clipped_zoom)),
    ("reiqa", "faithful", "gaussian_blur"): by_gap("Pillow's GaussianBlur: the PSNR", 0.5, of_bytes(pillow_blur)),
    ("reiqa", "jitter"): by_gap("warps by NumPy's normals through SciPy's cubic spline, 6 draws: the PSNR", 2.0, spline_jitter, image=photo(64, 64), seeds=6),
}  # fmt: skip


def way(bank: str, profile: str, t: Type) -> Way:
    if (bank, profile) == ("arniqa", "faithful") and t.name in GOLDEN:
        return Way("the PSNR of the published functions on a known crop", 0.1, "dB", golden)
    return (SPECIAL.get((bank, profile, t.name)) or SPECIAL.get((bank, t.name)) or MAKE[t.op.name])(t)


@functools.cache
def checks() -> tuple[Check, ...]:
    """One per bank, profile and type; equal types are measured once."""
    out, measured = [], {}
    for (bank, profile), make in SOURCES.items():
        for t in make().types.values():
            w = way(bank, profile, t)
            key = (
                w.against,
                t.op.name,
                *map(repr, (sorted(t.arguments.items()), t.before, t.after, t.variants)),
                t.name if w.measure is golden else "",
            )
            run_once = measured.setdefault(key, functools.cache(functools.partial(w.measure, t)))
            against = w.against + (", before its JPEG" if profile == "dataset" else "")
            out.append(Check(bank, profile, t.name, t.conformance, t.note, against, w.limit, w.unit, run_once, w.heavy))
    return tuple(out)


def measured(check: Check) -> str:
    """The deviation and its limit, as the table shows them."""
    unit = f" {check.unit}" if check.unit else ""
    return f"{check.measure():.2g} / {check.limit:.2g}{unit}"


HEAD = "| bank | profile | type | conformance | checked against | largest deviation / limit | note |\n|---|---|---|---|---|---|---|"


def table() -> str:
    """The Markdown table."""
    return "\n".join([HEAD, *(f"| {c.bank} | {c.profile} | {c.name} | {c.kind} | {c.against} | {measured(c)} | {c.note} |" for c in checks())])


if __name__ == "__main__":
    print(table())

"""References for ops on 8-bit images, on h w 3 uint8: other codecs and libraries, and published rules; the largest difference in grey levels."""

from __future__ import annotations

import io

import cv2
import numpy as np
import PIL.ImageEnhance
import test_ops_spatial as spatial
import torch
from conformance_types import CROP, LEVELS, Way, photo, run
from PIL import Image

from degrade.banks.base import Type


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


def oversharpen(image, p):
    return cv2.addWeighted(image, 1 + p["amount"], cv2.GaussianBlur(image, (5, 5), 0), -p["amount"], 0)


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

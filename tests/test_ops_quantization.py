"""Quantisers against direct formulas, NumPy, scikit-image, Pillow and SciPy."""

import functools
import itertools

import numpy as np
import pytest
import scipy.fft
import scipy.ndimage
import skimage.data
import skimage.filters
import torch
from PIL import Image

from degrade import functional as F
from degrade.backends.engine import launch_on
from degrade.backends.native import interpreted
from degrade.kernels.lang import jit, tl
from degrade.ops.compression.otsu_quantization import _gain

SIZES = ((1, 1), (1, 9), (7, 13), (33, 48))


@functools.cache
def crop(height=33, width=48, top=60, left=170, name="astronaut"):
    """(3, h, w) uint8 of a photograph."""
    return np.ascontiguousarray(getattr(skimage.data, name)()[top : top + height, left : left + width].transpose(2, 0, 1))


def as_float(image):
    return torch.from_numpy(image)[None].to(torch.float32) / 255


def bytes_of(y):
    """The 8-bit values of a result that has no others."""
    k = y[0] * 255
    assert (k - k.round()).abs().max() < 1e-4
    return k.round().to(torch.int64).numpy()


def psnr(x, y):
    return -10 * np.log10(float(((x - y) ** 2).mean()))


@jit
def _gains(p, s, out, N: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    tl.store(out + at, _gain(tl.load(p + at), tl.load(s + at)))


@pytest.mark.device
@pytest.mark.skipif(interpreted(), reason="the interpreter rounds a product before it adds")
def test_otsu_gains_are_rounded_as_by_a_division(device):
    g = np.random.default_rng(0)
    p = np.concatenate([np.arange(4096), 2 ** g.uniform(0, 30, 12288) // 1, 2.0 ** np.arange(30) + 1, 2.0 ** np.arange(1, 31) - 1, np.zeros(4)])
    s = g.integers(0, 256, len(p)) * p // g.integers(1, 9, len(p))
    out = torch.zeros(len(p), dtype=torch.float64, device=device)
    launch_on(out, _gains, (len(p) // 64,), (torch.from_numpy(p).to(device), torch.from_numpy(s).to(device), out), {}, N=64)
    assert np.array_equal(out.cpu().numpy(), np.where(p > 0, s * s / np.maximum(p, 1), 0.0))


# ---- uniform -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("n", [1, 3, 7, 20, 64])
def test_uniform_rounds_to_the_nearest_of_n_plus_1_levels(n, size):
    x = as_float(crop(*size))
    levels = np.arange(n + 1) / n
    nearest = levels[np.abs(x[0].numpy().astype(np.float64)[..., None] - levels).argmin(-1)]
    np.testing.assert_allclose(F.uniform_quantization(x, thresholds=n)[0].numpy(), nearest, atol=1e-7)


@pytest.mark.parametrize("size", SIZES[1:], ids=str)
@pytest.mark.parametrize("n", [1, 2, 7, 10, 13, 16, 20, 64])
def test_uniform_arniqa_is_bins_then_min_max(n, size):
    image = crop(*size)
    edges = np.linspace(0, 255, n + 1)[:-1].astype(int)
    index = np.digitize(image, edges, right=True).astype(np.float64)
    want = (index - index.min()) / (index.max() - index.min()) if index.max() > index.min() else index / n
    np.testing.assert_allclose(F.uniform_quantization(as_float(image), thresholds=n, variant="arniqa")[0].numpy(), want, atol=1e-7)


def test_uniform_arniqa_published_values():
    """PSNR and mean brightness of ARNIQA's own code."""
    x = as_float(crop(224, 224, 100, 150))
    got = [round(psnr(x, F.uniform_quantization(x, thresholds=n, variant="arniqa")), 1) for n in (20, 16, 13, 10, 7)]
    assert got == [30.8, 28.8, 26.8, 24.5, 21.3]
    assert round(float(F.uniform_quantization(x, thresholds=7, variant="arniqa").mean()), 3) == 0.568


def test_uniform_arniqa_leaves_an_image_of_one_level_unstretched():
    for k, want in ((0, 0.0), (1, 0.25), (255, 1.0)):
        x = torch.full((1, 3, 5, 6), k / 255)
        assert (F.uniform_quantization(x, thresholds=4, variant="arniqa") == want).all()


# ---- Otsu ----------------------------------------------------------------------------------------------------------------


def otsu_gain(histogram, thresholds):
    """Between-class variance but for a constant: Σ (sum of a class)² / its count, over classes that end at the thresholds."""
    v = np.arange(256)
    total = 0.0
    for low, high in zip([-1, *thresholds], [*thresholds, 255]):
        inside = (v > low) & (v <= high)
        if histogram[inside].sum():
            total += float((histogram * v)[inside].sum()) ** 2 / histogram[inside].sum()
    return total


def otsu_best(histogram, n):
    """The largest gain with n thresholds: a dynamic programme over the occupied values alone."""
    v = np.flatnonzero(histogram)
    count, total = np.cumsum(histogram[v]).astype(float), np.cumsum(histogram[v] * v).astype(float)
    later = np.tri(len(v), k=-1, dtype=bool)  # [end, end of the class before]
    gain = np.where(later, (total[:, None] - total) ** 2 / np.where(later, count[:, None] - count, 1), -np.inf)
    best = total**2 / count
    for _ in range(n):
        best = np.maximum(best, (gain + best).max(1))
    return best[-1]


def classes(image, y):
    """The upper end of every class but the last, from what the values became."""
    pairs = sorted(set(zip(image.ravel().tolist(), y.ravel().tolist())))
    assert len({k for k, _ in pairs}) == len(pairs), "one value, two results"
    return [a[0] for a, b in itertools.pairwise(pairs) if a[1] != b[1]]


@pytest.mark.parametrize("n, name", [(1, "astronaut"), (2, "astronaut"), (3, "astronaut"), (3, "coffee"), (4, "coffee")])
def test_otsu_thresholds_are_scikit_images(n, name):
    image = crop(33, 48, name=name)
    got = classes(image, F.otsu_quantization(as_float(image), thresholds=n, output="means")[0].numpy())
    wanted = skimage.filters.threshold_multiotsu(image, classes=n + 1)
    # A threshold inside a gap of the histogram parts the values alike wherever it lies.
    if not np.array_equal(np.searchsorted(got, image, side="left"), np.searchsorted(wanted, image, side="left")):
        histogram = np.bincount(image.ravel(), minlength=256)  # scikit-image compares in float32
        ours, theirs = otsu_gain(histogram, got), otsu_gain(histogram, wanted)
        assert theirs < ours < theirs * (1 + 1e-6)


@pytest.mark.parametrize("n", [1, 5, 7, 13, 20, 24])
@pytest.mark.parametrize("size", [(7, 13), (33, 48)], ids=str)
def test_otsu_is_the_optimum(size, n):
    image = crop(*size)
    histogram = np.bincount(image.ravel(), minlength=256)
    got = classes(image, F.otsu_quantization(as_float(image), thresholds=n, output="means")[0].numpy())
    assert len(got) <= n
    np.testing.assert_allclose(otsu_gain(histogram, got), otsu_best(histogram, n), rtol=1e-12)


@pytest.mark.parametrize("n", [3, 7, 20])
def test_otsu_values(n):
    image = crop()
    parts = classes(image, F.otsu_quantization(as_float(image), thresholds=n, output="means")[0].numpy())
    assert len(parts) == n
    index = np.searchsorted(parts, image, side="left")
    edges = np.array([0, *parts[1:], 255])[index]
    assert np.array_equal(bytes_of(F.otsu_quantization(as_float(image), thresholds=n)), edges)
    means = np.array([image[index == i].mean() for i in range(n + 1)])[index]
    np.testing.assert_allclose(F.otsu_quantization(as_float(image), thresholds=n, output="means")[0].numpy() * 255, means, atol=0.51 / 257)
    low, high = int(image.min()), int(image.max())
    ramp = low + index * (high - low) / (n + 1)
    np.testing.assert_allclose(F.otsu_quantization(as_float(image), thresholds=n, output="ramp")[0].numpy() * 255, ramp, atol=0.51 / 257)


@pytest.mark.parametrize("op", ["otsu_quantization", "histogram_quantization"])
def test_each_channel_by_itself(op):
    """A channel quantised with the others apart is the joint result of an image of that channel three times."""
    x = as_float(crop())
    for output in ("means", {"otsu_quantization": "ramp", "histogram_quantization": "equalised"}[op]):
        apart = getattr(F, op)(x, 6, output=output, channels="each")
        for c in range(3):
            alone = getattr(F, op)(x[:, c : c + 1].expand(-1, 3, -1, -1).contiguous(), 6, output=output)
            assert torch.equal(apart[:, c], alone[:, 0])


@pytest.mark.parametrize("output", ["edges", "means", "ramp"])
def test_otsu_of_few_values(output):
    """More classes than values: each value is its own class."""
    for k in ((0,), (255,), (13,), (0, 255), (40, 41, 200)):
        x = torch.tensor(k, dtype=torch.float32).repeat(3, 4, 2)[None] / 255
        y = F.otsu_quantization(x, thresholds=9, output=output)
        assert torch.isfinite(y).all() and len(y.unique()) <= len(k)
        if output == "means":
            torch.testing.assert_close(y, x, atol=1e-6, rtol=0)


# ---- by the histogram ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("levels", [2, 4, 6, 8, 16, 24, 64])
def test_histogram_classes_are_quantiles_and_become_their_means(levels, size):
    image = crop(*size)
    cuts = np.quantile(image, np.arange(1, levels) / levels, method="inverted_cdf")
    index = np.digitize(image, cuts, right=True)
    want = np.array([image[index == i].mean() if (index == i).any() else 0 for i in range(levels)])[index]
    np.testing.assert_allclose(F.histogram_quantization(as_float(image), levels=levels)[0].numpy() * 255, want, atol=0.51 / 257)


@pytest.mark.parametrize("levels", [2, 4, 6, 8, 16, 24, 64])
@pytest.mark.parametrize("size", SIZES[1:], ids=str)
def test_histogram_equalised(size, levels):
    """The published rule: the cumulative histogram of L bins, stretched and cut to 8 bits, as a table of L entries."""
    image = crop(*size)
    cdf = np.cumsum(np.histogram(image, bins=levels, range=(0, 255))[0])
    used = cdf > 0
    low, high = cdf[used].min(), cdf.max()
    table = np.where(used, np.floor((cdf - low) * 255 / max(high - low, 1)), 0)
    want = table[np.round(image / 255 * (levels - 1)).astype(int)]
    assert np.array_equal(bytes_of(F.histogram_quantization(as_float(image), levels=levels, output="equalised")), want)


# ---- the device's other options, and the block transform -----------------------------------------------------------------


@pytest.mark.device
@pytest.mark.parametrize(
    "op, first, options",
    [
        ("uniform_quantization", [7, 20], {"variant": ["arniqa", "nearest"]}),
        ("otsu_quantization", [3, 2], {"output": ["means", "ramp"], "channels": ["each", "joint"]}),
        ("palette", [5, 16], {"dither": ["none", "ordered"]}),
        ("histogram_quantization", [6, 24], {"output": ["means", "equalised"], "channels": ["joint", "each"]}),
    ],
)
def test_device_equals_twin_with_other_options(op, first, options, device):
    size = (19, 35) if interpreted() else (67, 70)
    x = torch.from_numpy(np.stack([crop(*size), crop(*size, top=10)])).to(device)
    fast, slow = (getattr(F, op)(x, first, **options, backend=b) for b in ("triton", "torch"))
    assert torch.equal(fast, slow)


def zigzag():
    """JPEG's order of the 64 coefficients, walked step by step: (row, column) pairs."""
    v = u = 0
    path = []
    for _ in range(64):
        path.append((v, u))
        if (u + v) % 2 == 0:
            v, u = (v + 1, u) if u == 7 else (v, u + 1) if v == 0 else (v - 1, u + 1)
        else:
            v, u = (v, u + 1) if v == 7 else (v + 1, u) if u == 0 else (v + 1, u - 1)
    return path


@pytest.mark.parametrize("kept", [1, 2, 3, 6, 10, 28, 63])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_dct_drop_is_scipys_transform(size, kept):
    image = crop(*size)
    h, w = size
    padded = np.pad(image, ((0, 0), (0, -h % 8), (0, -w % 8)), mode="edge").astype(np.float64)
    blocks = padded.reshape(3, padded.shape[1] // 8, 8, -1, 8).swapaxes(2, 3)
    coefficients = scipy.fft.dctn(blocks, axes=(3, 4), norm="ortho")
    keep = np.zeros((8, 8))
    keep[tuple(np.transpose(zigzag()[:kept]))] = 1
    want = scipy.fft.idctn(coefficients * keep, axes=(3, 4), norm="ortho").swapaxes(2, 3).reshape(padded.shape)[:, :h, :w].clip(0, 255)
    error = bytes_of(F.dct_drop(as_float(image), kept=kept)) - want
    # Rounding each kept coefficient to a whole number errs by up to ½ · Σ|basis|, about 1/√12 in the root mean square, and then the pixel is rounded.
    assert np.abs(error).max() < 2.5 and np.sqrt((error**2).mean()) < 0.75


def test_dct_drop_flattens_blocks_and_64_is_the_identity():
    image = crop(33, 48)
    assert torch.equal(F.dct_drop(as_float(image), kept=64), as_float(image))
    y = bytes_of(F.dct_drop(as_float(image), kept=1))
    assert all(len(np.unique(y[c, i : i + 8, j : j + 8])) == 1 for c in range(3) for i in range(0, 33, 8) for j in range(0, 48, 8))
    means = image[:, :32].reshape(3, 4, 8, 6, 8).mean((2, 4))
    assert np.abs(y[:, :32:8, ::8] - means).max() <= 0.57  # a step of the mean coefficient is 1/8 of a level


def test_dct_drop_has_one_count_per_image():
    x = as_float(crop()).expand(3, -1, -1, -1)
    y = F.dct_drop(x, kept=torch.tensor([1.0, 10.0, 64.0]))
    for i, kept in enumerate((1, 10, 64)):
        assert torch.equal(y[i], F.dct_drop(x[i], kept=kept))


# ---- palette -------------------------------------------------------------------------------------------------------------


def split_palette(image, n):
    """The documented palette, box by box: (n, 3) colours and their spacing."""
    h, w = image.shape[1:]
    y, x = (2 * np.arange(32) + 1) * h // 64, (2 * np.arange(64) + 1) * w // 128
    boxes = [image[:, y][:, :, x].reshape(3, -1).T.astype(np.int64)]

    def spread(box):
        return len(box) * (box**2).sum(0) - box.sum(0) ** 2

    def error(box):
        return int(spread(box).sum()) // len(box)

    while len(boxes) < n:
        i = int(np.argmax([error(box) for box in boxes]))
        box = boxes[i]
        channel = box[:, spread(box).argmax()]
        above = channel * len(box) > channel.sum()
        if not above.any():
            break
        boxes[i] = box[~above]
        boxes.append(box[above])
    colours = np.array([np.floor(box.mean(0) + 0.5) for box in boxes])
    return colours, np.floor(np.sqrt(4 * sum(error(box) for box in boxes) // 2048) + 0.5)


def bayer(side):
    if side == 1:
        return np.zeros((1, 1))
    b = 4 * bayer(side // 2)
    return np.block([[b, b + 2], [b + 3, b + 1]])


def nearest(image, colours):
    distance = ((image[:, None] - colours.T[:, :, None, None]) ** 2).sum(0)
    return colours[distance.argmin(0)].transpose(2, 0, 1)


@pytest.mark.parametrize("n", [2, 3, 8, 15, 64, 200])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_palette_is_split_where_the_error_is(size, n):
    image = crop(*size)
    colours, spacing = split_palette(image, n)
    assert np.array_equal(bytes_of(F.palette(as_float(image), colours=n, dither="none")), nearest(image.astype(int), colours))
    pattern = np.tile((bayer(8) + 0.5) / 64 - 0.5, (5, 6))[: size[0], : size[1]]
    shifted = (image + np.floor(pattern * spacing + 0.5)).clip(0, 255)
    assert np.array_equal(bytes_of(F.palette(as_float(image), colours=n, dither="ordered")), nearest(shifted, colours))


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
def test_palette_is_as_good_as_pillows_median_cut(name):
    """At the published sizes, KADIS's, DepictQA's and TID's."""
    image = crop(200, 224, name=name)
    picture, x = Image.fromarray(image.transpose(1, 2, 0)), as_float(image)
    for n in (64, 48, 32, 20, 16, 15, 10, 8, 6, 3):
        theirs = np.asarray(picture.quantize(n, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB"))
        ours = F.palette(x, colours=n, dither="none")
        assert psnr(x, ours) > psnr(x, as_float(np.ascontiguousarray(theirs.transpose(2, 0, 1)))) - 0.1, n
        assert len(palette_of(ours)[0]) == n


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
@pytest.mark.parametrize("n", [64, 32, 16, 8])
def test_palette_ordered_dither_is_as_strong_as_error_diffusion(n, name):
    """Pillow's Floyd–Steinberg with the same palette. Of few colours, dither is nearer to the image than none when seen from afar."""
    image = crop(200, 224, name=name)
    x = as_float(image)
    plain, ordered = (F.palette(x, colours=n, dither=d) for d in ("none", "ordered"))
    table = Image.new("P", (1, 1))
    colours = palette_of(plain).T
    table.putpalette(np.concatenate([colours, np.tile(colours[:1], (256 - len(colours), 1))]).astype(np.uint8).tobytes())
    diffused = np.asarray(Image.fromarray(image.transpose(1, 2, 0)).quantize(palette=table, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB"))
    diffused = as_float(np.ascontiguousarray(diffused.transpose(2, 0, 1)))
    assert abs(psnr(x, ordered) - psnr(x, diffused)) < 2

    def afar(y):
        return torch.from_numpy(scipy.ndimage.gaussian_filter(y[0].numpy(), (0, 2, 2)))

    assert n > 32 or psnr(afar(x), afar(ordered)) > psnr(afar(x), afar(plain))
    assert set(map(tuple, palette_of(ordered).T)) <= set(map(tuple, colours))


@pytest.mark.parametrize("dither", ["none", "ordered"])
def test_palette_of_few_colours_is_the_image(dither):
    few = np.array([[0, 10, 20], [255, 255, 255], [3, 200, 90]], np.uint8)[np.arange(63).reshape(7, 9) % 3].transpose(2, 0, 1)
    for image in (few, np.full((3, 4, 5), 77, np.uint8)):
        for n in (3, 16, 256):
            assert np.array_equal(bytes_of(F.palette(as_float(np.ascontiguousarray(image)), colours=n, dither=dither)), image)


def palette_of(y):
    """The colours of a result: (3, count)."""
    return np.unique(bytes_of(y).reshape(3, -1), axis=1)


@pytest.mark.parametrize("form, option", [("webp", "IMWRITE_WEBP_QUALITY"), ("avif", "IMWRITE_AVIF_QUALITY")])
def test_codec_is_the_file_of_that_quality(form, option):
    """Against Pillow's reading of the same file, and of the two qualities the lower is worse."""
    import io

    import cv2
    from PIL import Image, features

    if form == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    x = torch.from_numpy(skimage.data.astronaut()[60:93, 170:218].transpose(2, 0, 1).copy())[None]
    errors = []
    for quality in (80, 10):
        file = cv2.imencode(f".{form}", x[0].permute(1, 2, 0).flip(2).contiguous().numpy(), [getattr(cv2, option), quality])[1]
        want = np.asarray(Image.open(io.BytesIO(file.tobytes())).convert("RGB")).transpose(2, 0, 1)
        got = F.codec(x, quality=quality, format=form)[0]
        assert np.abs(got.numpy().astype(int) - want).max() <= 2  # the decoders' own rounding
        errors.append(float((got.int() - x[0].int()).abs().float().mean()))
    assert errors[0] < errors[1]

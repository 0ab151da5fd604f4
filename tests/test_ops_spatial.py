"""Pixelation, resizing, patches, blocks and mosaics against Pillow, torch, SciPy and plain loops."""

import numpy as np
import pytest
import scipy.ndimage
import skimage.data
import torch
import torch.nn.functional as TF
from PIL import Image, ImageFilter

from degrade import functional as F
from degrade.kernels import rng
from degrade.op import MAX_PARAMETERS
from degrade.ops.spatial._grid import cell, nearest
from degrade.ops.spatial.colour_blocks import ColourBlocks
from degrade.ops.spatial.mean_blocks import MeanBlocks
from degrade.ops.spatial.patches import NonEccentricityPatches

SIZES = ((1, 1), (1, 9), (7, 13), (33, 48), (97, 101))
ASTRONAUT = skimage.data.astronaut()[100:324, 150:374]


def photo(h, w):
    """A crop of a real photograph, uint8."""
    return torch.from_numpy(skimage.data.astronaut()[60 : 60 + h, 170 : 170 + w].transpose(2, 0, 1).copy())[None]


def psnr(x, y):
    return 10 * np.log10(255**2 / (x.to(torch.float64) - y.to(torch.float64)).square().mean().item())


def chosen(source, target, shift):
    size = torch.tensor([[source]]), torch.tensor([[target]]), torch.tensor([[shift]])
    return nearest(torch.arange(target)[None], *size)[0].numpy()


def test_nearest_takes_torchs_and_pillows_pixels():
    """Legacy nearest at every size; nearest-exact and Pillow wherever a centre does not fall on the edge between two pixels."""
    for source in range(1, 513):
        line = torch.arange(source, dtype=torch.float32)[None, None]
        picture = Image.fromarray(np.arange(source, dtype=np.int32)[None])
        for target in {*range(1 + source % 97, 513, 97), source, -(-source * 2 // 3), source // 2 + 1}:
            corner, centre = chosen(source, target, 0.0), chosen(source, target, 0.5)
            assert np.array_equal(corner, TF.interpolate(line, size=target, mode="nearest")[0, 0].numpy())
            clear = (2 * np.arange(target) + 1) * source % (2 * target) != 0
            for want in (TF.interpolate(line, size=target, mode="nearest-exact")[0, 0].numpy(), np.asarray(picture.resize((target, 1), 0))[0]):
                assert np.array_equal(centre[clear], want[clear]), (source, target)
                assert np.abs(centre - want).max() <= 1


def test_cells_share_the_pixels_by_their_centres():
    for source in (1, 7, 100, 101, 512, 65535):
        for target in (1, 2, 3, 64, source):
            if target <= source:
                i = torch.arange(target + 1)
                first = cell(i, torch.tensor(source), torch.tensor(target)).tolist()
                assert first == [(2 * k * source + target) // (2 * target) for k in range(target + 1)]
                assert first[0] == 0 and first[-1] == source and (np.diff(first) > 0).all()


LEVELS = (0.01, 0.05, 0.1, 0.2, 0.5)


@pytest.mark.parametrize(
    "coordinates, mode, golden", [("corner", "nearest", (22.3, 21.8, 21.3, 20.7, 18.5)), ("centre", "nearest-exact", (31.3, 28.3, 27.0, 25.6, 22.6))]
)
def test_pixelate_at_kadids_levels(coordinates, mode, golden):
    x = torch.from_numpy(ASTRONAUT.transpose(2, 0, 1).copy())[None]
    for s, want in zip(LEVELS, golden):
        scale = 0.95 - s**0.6
        small = TF.interpolate(x, size=int(scale * 224), mode=mode)
        y = F.pixelate(x, scale=scale, coordinates=coordinates, rounding="floor")
        assert torch.equal(y, TF.interpolate(small, size=224, mode=mode))
        assert abs(psnr(x, y) - want) < 0.06
        up = TF.interpolate(TF.interpolate(x, size=int(np.ceil(scale * 224)), mode=mode), size=224, mode=mode)
        assert torch.equal(F.pixelate(x, scale=scale, coordinates=coordinates), up)


def clear_of_edges(n, m):
    """Which of n pixels do not lie on the edge of a cell, of m, nor in one whose edge is the centre of a pixel."""
    sharp = np.asarray([(2 * i * n + m) % (2 * m) != 0 or i in (0, m) for i in range(m + 1)])
    twice = (2 * np.arange(n) + 1) * m
    return (sharp[:-1] & sharp[1:])[twice // (2 * n)] & (twice % (2 * n) != 0)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("scale", [0.6, 0.5, 0.4, 0.3, 0.25, 0.05])
def test_pixelate_with_boxes_is_pillows(scale, size):
    """Pillow rounds to 8 bits between its two passes."""
    x = photo(*size)
    small = tuple(max(1, int(scale * n)) for n in size[::-1])
    picture = Image.fromarray(x[0].permute(1, 2, 0).numpy())
    want = np.asarray(picture.resize(small, Image.Resampling.BOX).resize(size[::-1], Image.Resampling.NEAREST)).transpose(2, 0, 1)
    y = F.pixelate(x, scale=scale, down="box", rounding="floor")[0].numpy()
    # A pixel whose centre lies on the edge between two cells goes to either, both or none of them in Pillow.
    rows, columns = (clear_of_edges(n, m) for n, m in zip(size, small[::-1]))
    assert (np.abs(y.astype(int) - want)[:, rows][:, :, columns] <= 1).all()
    real = x[0].to(torch.float64).numpy() / 255
    for axis, (n, m) in enumerate(zip(size, small[::-1]), start=1):
        means = [real.take(range((2 * i * n + m) // (2 * m), (2 * (i + 1) * n + m) // (2 * m)), axis).mean(axis) for i in range(m)]
        real = np.stack(means, axis).take((2 * np.arange(n) + 1) * m // (2 * n), axis)
    z = F.pixelate(x.to(torch.float32) / 255, scale=scale, down="box", rounding="floor")[0].numpy()
    np.testing.assert_allclose(z[:, rows][:, :, columns], real[:, rows][:, :, columns], atol=1e-6)


def test_pixelate_reads_scale_as_a_decimal():
    """0.6 · 225 is 135, though the float32 next to 0.6 is larger."""
    x = photo(225, 100)
    y = F.pixelate(x, scale=0.6)
    assert torch.equal(y, F.pixelate(x, scale=0.6, rounding="floor"))
    assert len(np.unique(chosen(135, 225, 0.5))) == 135


RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR, "lanczos": Image.Resampling.LANCZOS}


def other_size(size, factor):
    return tuple(max(1, int(n / factor + 1e-4)) for n in size)


def pillow_one_axis(channels, n, axis, filter):
    """Pillow's float32 resize of each channel along one axis; values are clamped as its 8-bit images clamp them."""
    out = []
    for c in channels:
        size = (n, c.shape[0]) if axis == 1 else (c.shape[1], n)
        out.append(np.asarray(Image.fromarray(c).resize(size, filter)).clip(0, 1))
    return np.stack(out)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("filter", RESAMPLING)
def test_resize_with_antialias_is_pillows(filter, size):
    """To float32 where Pillow works in it, and to 8 bits, which Pillow rounds to in each of its four passes."""
    x = photo(*size)
    for factor in (2, 3, 4, 8, 16, 5.3):
        height, width = other_size(size, factor)
        y = x[0].to(torch.float32).numpy() / 255
        for n, axis in ((width, 1), (height, 0), (size[1], 1), (size[0], 0)):
            y = pillow_one_axis(y, n, axis, RESAMPLING[filter])
        np.testing.assert_allclose(F.resize(x.to(torch.float32) / 255, factor=factor, filter=filter)[0].numpy(), y, atol=1e-5)
        picture = Image.fromarray(x[0].permute(1, 2, 0).numpy())
        want = np.asarray(picture.resize((width, height), RESAMPLING[filter]).resize(size[::-1], RESAMPLING[filter])).transpose(2, 0, 1)
        off = np.abs(F.resize(x, factor=factor, filter=filter)[0].numpy().astype(int) - want)
        assert off.max() <= 2 and (off > 1).mean() < (2e-3 if off.size > 9000 else 0.02)


@pytest.mark.parametrize("factor", [2, 3, 4, 5, 6])
def test_resize_with_nearest_is_pillows(factor):
    """Where no centre falls on the edge between two pixels: there Pillow's running sum takes either."""
    for h, w in ((33, 48), (97, 101), (7, 13)):
        x, (m, k) = photo(h, w), other_size((h, w), factor)
        want = np.asarray(Image.fromarray(x[0].permute(1, 2, 0).numpy()).resize((k, m), 0).resize((w, h), 0)).transpose(2, 0, 1)
        y = F.resize(x, factor=factor, filter="nearest")[0].numpy()
        clear = []
        for n, small in ((h, m), (w, k)):
            twice = (2 * np.arange(n) + 1) * small
            clear.append((twice % (2 * n) != 0) & ((2 * (twice // (2 * n)) + 1) * n % (2 * small) != 0))
        assert np.array_equal(y[:, clear[0]][:, :, clear[1]], want[:, clear[0]][:, :, clear[1]])
        assert clear[0].any() or factor % 2 == 0


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("factor", [1 / 1.5, 0.8, 1.0, 1.3, 2.0, 1 / 0.15])
@pytest.mark.parametrize("filter", ["bicubic", "bilinear", "area"])
def test_resize_without_antialias_is_torchs(filter, factor, size):
    x = photo(*size).to(torch.float32) / 255
    options = {} if filter == "area" else {"align_corners": False}
    y = TF.interpolate(x, size=other_size(size, factor), mode=filter, **options)
    want = TF.interpolate(y, size=size, mode=filter, **options).clamp(0, 1)
    if factor < 1:  # what overshoots along the rows is clamped before the columns are resampled
        y = TF.interpolate(TF.interpolate(x, size=(size[0], y.shape[3]), mode=filter, **options), size=size, mode=filter, **options).clamp(0, 1)
        want = TF.interpolate(
            TF.interpolate(y, size=(other_size(size, factor)[0], size[1]), mode=filter, **options), size=size, mode=filter, **options
        )
    torch.testing.assert_close(F.resize(x, factor=factor, filter=filter, antialias="off"), want.clamp(0, 1), atol=4e-6, rtol=0)


def test_resize_with_one_factor_and_filter_per_image():
    x = photo(33, 48).expand(5, -1, -1, -1)
    factor, filters = torch.tensor([1.0, 2.0, 0.7, 5.0, 2.0]), ["bicubic", "lanczos", "bilinear", "area", "nearest"]
    y = F.resize(x, factor=factor, filter=filters)
    for i in range(5):
        assert torch.equal(y[i], F.resize(x[i], factor=float(factor[i]), filter=filters[i]))
    assert torch.equal(y[0], x[0])


# ---- patches and blocks: plain loops over the boxes of the ops' own tables -----------------------------------------------


def table_of(op, frame, seed=0, ids=(0,), **parameters):
    """The table that a functional call of this op uses."""
    theta = np.zeros((len(ids), MAX_PARAMETERS), dtype=np.float32)
    for i, (name, q) in enumerate(op.parameters.items()):
        value = parameters.get(name, q.default if q.default is not None else q.neutral)
        theta[:, i] = q.choices.index(value) if q.choices else value
    return op.tables(theta, op.frame(rng.fold(seed, 0, 0), np.asarray(ids), 0, *frame))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    "count, side, offset, source, shift",
    [
        (20, 16, 16, "current", "random"),
        (100, 16, 16, "current", "random"),
        (400, 7, 30.5, "current", "random"),
        (300, 15, 5, "original", "diagonal"),
        (60, 15, 5, "current", "diagonal"),
    ],
)
def test_patches_are_copied_one_after_the_other(count, side, offset, source, shift, size):
    x = photo(*size)
    given = dict(count=count, size=side, offset=offset, source=source, shift=shift)
    table = table_of(NonEccentricityPatches, size, seed=5, **given)[0].astype(int)
    assert table[0] == count
    side = table[1]
    want = x[0].clone()
    for y, left, dy, dx in table[2:].reshape(-1, 4):
        image = want if source == "current" else x[0]
        assert min(y, left, y - dy, left - dx) >= 0 and max(y, y - dy) + side <= size[0] and max(left, left - dx) + side <= size[1]
        want[:, y : y + side, left : left + side] = image[:, y - dy : y - dy + side, left - dx : left - dx + side].clone()
    assert torch.equal(F.non_eccentricity_patches(x, seed=5, **given)[0], want)


def test_patches_stand_where_kadis_puts_them():
    """Corners are uniform over 16 … size − 32 of 224, shifts round((u − 1/2) · 16), the outermost half as likely."""
    rows = table_of(NonEccentricityPatches, (224, 200), ids=range(200), count=400)
    assert (rows[:, :2] == (400, 16)).all()
    place, shift = rows[:, 2:].reshape(-1, 4)[:, :2], rows[:, 2:].reshape(-1, 4)[:, 2:]
    corner, n = place - shift, len(place)
    for axis, size in enumerate((224, 200)):
        values, counts = np.unique(corner[:, axis], return_counts=True)
        assert np.array_equal(values, np.arange(16, size - 31))
        assert np.abs(counts * len(values) / n - 1).max() < 5 * np.sqrt(len(values) / n)
        values, counts = np.unique(shift[:, axis], return_counts=True)
        assert np.array_equal(values, np.arange(-8, 9))
        want = np.where(np.abs(values) == 8, 1 / 32, 1 / 16)
        assert (np.abs(counts / n - want) < 5 * np.sqrt(want / n)).all()
    assert np.abs(np.corrcoef(np.concatenate([corner, shift], 1).T) - np.eye(4)).max() < 5 / np.sqrt(n)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("count, side", [(2, 32), (10, 32), (64, 5)])
def test_colour_blocks_cover_each_other(count, side, size):
    x = photo(*size).to(torch.float32) / 255
    table = table_of(ColourBlocks, size, seed=3, count=count, size=side)[0]
    want = x[0].numpy().copy()
    high, wide = min(side, size[0]), min(side, size[1])
    assert tuple(table[:3]) == (count, high, wide)
    for y, left, *colour in table[3:].reshape(-1, 5)[::-1]:
        assert 0 <= y <= size[0] - high and 0 <= left <= size[1] - wide
        want[:, int(y) : int(y) + high, int(left) : int(left) + wide] = np.asarray(colour)[:, None, None]
    assert np.array_equal(F.colour_blocks(x, count=count, size=side, seed=3)[0].numpy(), want)


def test_blocks_are_uniform_over_the_frame_and_the_colours():
    rows = table_of(ColourBlocks, (64, 50), ids=range(1000), count=64)[:, 3:].reshape(-1, 5)
    n = len(rows)
    for axis, places in ((0, 33), (1, 19)):
        values, counts = np.unique(rows[:, axis], return_counts=True)
        assert np.array_equal(values, np.arange(places))
        assert np.abs(counts * places / n - 1).max() < 5 * np.sqrt(places / n)
    for c in (2, 3, 4):
        assert abs(rows[:, c].mean() - 0.5) < 5 / np.sqrt(12 * n) and abs(rows[:, c].var() * 12 - 1) < 0.02
    assert np.abs(np.corrcoef(rows.T) - np.eye(5)).max() < 5 / np.sqrt(n)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mean", ["image", "block"])
@pytest.mark.parametrize("count, side, offset", [(2, 32, 0.1), (16, 32, 0.1), (64, 9, 0.0), (8, 32, 0.6)])
def test_mean_blocks_are_near_the_mean(count, side, offset, mean, size):
    x = photo(*size).to(torch.float32) / 255
    given = dict(count=count, size=side, offset=offset, mean=mean)
    table = table_of(MeanBlocks, size, seed=3, **given)[0]
    real = x[0].numpy().astype(np.float64)
    want, (high, wide) = real.copy(), table[1:3].astype(int)
    for y, left, *shift in table[3:].reshape(-1, 5)[::-1]:
        box = slice(None), slice(int(y), int(y) + high), slice(int(left), int(left) + wide)
        assert np.abs(shift).max() <= offset
        want[box] = (real[box] if mean == "block" else real).mean((1, 2), keepdims=True) + np.asarray(shift)[:, None, None]
    np.testing.assert_allclose(F.mean_blocks(x, seed=3, **given)[0].numpy(), want.clip(0, 1), atol=1e-5)  # sums have 16 bits


def test_mean_blocks_shift_uniformly():
    rows = table_of(MeanBlocks, (64, 50), ids=range(500), count=64, offset=0.3)[:, 3:].reshape(-1, 5)
    assert np.abs(rows[:, 2:]).max() <= 0.3 and abs(rows[:, 2:].var() / (0.6**2 / 12) - 1) < 0.02 and abs(rows[:, 2:].mean()) < 0.003


# ---- mosaic --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [0.3, 1.0])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "grbg", "gbrg"])
@pytest.mark.parametrize("size", [(2, 2), (2, 9), (7, 13), (33, 48)], ids=str)
def test_bayer_mosaic_is_two_convolutions(size, pattern, strength):
    x = photo(*size).to(torch.float32) / 255
    real = x[0].numpy().astype(np.float64)
    y, column = np.mgrid[: size[0], : size[1]]
    stands = np.asarray(["rgb".index(c) for c in pattern]).reshape(2, 2)[y % 2, column % 2]
    cross, square = np.asarray([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4, np.asarray([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    for c, kernel in enumerate((square, cross, square)):
        full = scipy.ndimage.convolve(np.where(stands == c, real[c], 0.0), kernel, mode="mirror")
        want = real[c] + np.float32(strength) * (full - real[c])
        np.testing.assert_allclose(F.bayer_mosaic(x, strength=strength, pattern=pattern)[0, c].numpy(), want, atol=1e-6)


def test_bayer_mosaic_leaves_grey_alone_and_takes_lines():
    grey = torch.full((1, 3, 9, 8), 0.3)
    torch.testing.assert_close(F.bayer_mosaic(grey, strength=1.0), grey)
    for size in ((1, 1), (1, 9), (6, 1)):
        assert torch.isfinite(F.bayer_mosaic(photo(*size).to(torch.float32) / 255, strength=1.0)).all()


# ---- residue of a denoiser -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("variance", [0.001, 0.01, 0.05, 0.15])
def test_denoise_residue_is_noise_then_a_filter(variance, size):
    """White noise of this seed is gaussian_noise's; the filters are SciPy's."""
    x, std = photo(*size).to(torch.float32) / 255, variance**0.5
    noisy = F.gaussian_noise(x, std=std, seed=4)[0].numpy().astype(np.float64)
    want = scipy.ndimage.gaussian_filter(noisy, 3.0, mode="nearest", axes=(1, 2), radius=9)
    np.testing.assert_allclose(F.denoise_residue(x, std=std, filter="gaussian", sigma=3.0, seed=4)[0].numpy(), want, atol=2e-6)
    want = scipy.ndimage.uniform_filter(noisy, (0, 5, 5), mode="nearest")
    np.testing.assert_allclose(F.denoise_residue(x, std=std, filter="box", sigma=2.0, seed=4)[0].numpy(), want, atol=2e-6)


def test_the_box_has_pillows_radius():
    """Rounded to 8 bits between its passes and after them; a fraction of a pixel counts at the rim."""
    noisy = F.gaussian_noise(photo(33, 48), std=0.1, seed=4)
    picture = Image.fromarray(noisy[0].permute(1, 2, 0).numpy())
    for radius in (1.0, 2.0, 2.3, 4.75):
        want = np.asarray(picture.filter(ImageFilter.BoxBlur(radius))).transpose(2, 0, 1)
        y = F.denoise_residue(photo(33, 48), std=0.1, filter="box", sigma=radius, seed=4)[0].numpy()
        assert np.abs(y.astype(int) - want).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 13), (24, 30)], ids=str)
def test_the_bilateral_filter_weighs_pixels_by_their_colour(size):
    x, std, sigma = photo(*size).to(torch.float32) / 255, 0.08, 1.5
    image = F.gaussian_noise(x, std=std, seed=4)[0].numpy().astype(np.float64)
    for axis in (2, 1):
        out, n = np.zeros_like(image), image.shape[axis]
        for i in range(n):
            here, total = image.take(i, axis), 0.0
            value = np.zeros_like(here)
            for d in range(-5, 6):
                there = image.take(min(max(i + d, 0), n - 1), axis)
                weight = np.exp(-((d / sigma) ** 2) / 2) * np.maximum(1 - ((there - here) ** 2).sum(0) / (5 * std) ** 2, 0) ** 2
                value, total = value + weight * there, total + weight
            out[(slice(None),) * axis + (i,)] = value / total
        image = out
    np.testing.assert_allclose(F.denoise_residue(x, std=std, filter="bilateral", sigma=sigma, seed=4)[0].numpy(), image, atol=5e-6)

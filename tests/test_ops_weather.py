"""Weather, and the moiré of screens: each op against its formula in float64, with the random numbers drawn here once more."""

import math

import numpy as np
import pytest
import scipy.ndimage
import skimage.data
import torch

from degrade import functional as F
from degrade.backends.native import interpreted
from degrade.kernels import rng
from degrade.ops import REGISTRY

SIZES = ((1, 1), (1, 9), (7, 13), (33, 48))
KEY = rng.fold(0, 0, 0)  # of seed 0

FOG = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))
SNOW = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7), (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)  # fmt: skip
FROST = ((0.4, 1), (0.6, 0.8), (0.7, 0.7), (0.7, 0.65), (0.75, 0.6))
SPATTER = (
    (0.65, 0.3, 4, 0.69, 0.6, 0),
    (0.65, 0.3, 3, 0.68, 0.6, 0),
    (0.65, 0.3, 2, 0.68, 0.5, 0),
    (0.65, 0.3, 1, 0.65, 1.5, 1),
    (0.67, 0.4, 1, 0.65, 1.5, 1),
)


def photo(h, w):
    crop = skimage.data.astronaut()[60 : 60 + h, 170 : 170 + w]
    return torch.from_numpy(crop.transpose(2, 0, 1).copy()).to(torch.float32)[None] / 255


def call(name, x, values, **options):
    return getattr(F, name)(x, **dict(zip(REGISTRY[name].parameters, values)), **options)


def host(name, size):
    """The uniforms of sample 0 that the op's tables take."""
    return REGISTRY[name].frame(KEY, np.array([0]), 0, *size).u[0]


def uniforms(level, rows, columns):
    """Four uniforms (4, rows, columns) at the places of a lattice, of sample 0 in slot 0."""
    y, x = np.mgrid[:rows, :columns].astype(np.int64)
    zero = np.zeros_like(y)
    return (np.stack(rng.philox(KEY, level << 28 | y << 14 | x, zero, zero, zero)).astype(np.int64) // 512 + 0.5) / 2**23


def points(level, rows, columns, normal=False):
    """One number at each point of a lattice: those of a square of two by two points come from one call."""
    u = uniforms(level, rows // 2 + 1, columns // 2 + 1)
    if normal:
        near, far = np.sqrt(-2 * np.log(u[0])), np.sqrt(-2 * np.log(u[2]))
        turn = 2 * np.pi * u
        u = np.stack([near * np.cos(turn[1]), near * np.sin(turn[1]), far * np.cos(turn[3]), far * np.sin(turn[3])])
    out = np.zeros((2 * u.shape[1], 2 * u.shape[2]))
    for k in range(4):
        out[k // 2 :: 2, k % 2 :: 2] = u[k]
    return out[:rows, :columns]


def spread(level, size, scale, shift=(0.0, 0.0), change=lambda v: v, **options):
    """Lattice noise at every pixel of a frame, interpolated by SciPy."""
    y, x = np.mgrid[: size[0], : size[1]] * scale + np.reshape(shift, (2, 1, 1))
    lattice = points(level, int(y.max()) + 2, int(x.max()) + 2, **options)
    return scipy.ndimage.map_coordinates(change(lattice), [y, x], order=1)


def smeared(layer, weights, angle):
    """ImageNet-C's motion blur, with its y pointing down: the layer shifted along the trail, borders repeated."""
    y, x = np.mgrid[: layer.shape[0], : layer.shape[1]]
    total = 0.0
    for i, weight in enumerate(weights):
        dy, dx = -math.ceil(i * math.sin(math.radians(angle)) - 0.5), -math.ceil(i * math.cos(math.radians(angle)) - 0.5)
        total = total + weight / sum(weights) * layer[(y - dy).clip(0, len(layer) - 1), (x - dx).clip(0, layer.shape[1] - 1)]
    return total


def assert_same(got, want, atol=2e-5, stray=0.0):
    """`stray` of the pixels may lie on the other side of a threshold."""
    wrong = np.abs(got[0].numpy() - want.clip(0, 1)) > atol
    assert wrong.mean() <= stray, wrong.mean()


# ---- fog -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("amount, decay", [*FOG, (8, 1), (0.1, 4)])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_fog_is_its_formula(size, amount, decay):
    side = 2 ** math.ceil(math.log2(max(*size, 2)))
    u, cloud, weights = host("fog", size).reshape(2, 14), np.zeros(size), []
    for octave in range(int(math.log2(side))):
        cell, weight = side / 2 ** (octave + 1), float(decay) ** (-2 * octave)
        if weight >= 0.01:
            cloud += weight * spread(octave, size, 1 / cell, np.floor(u[:, octave] * cell) / cell)
            weights.append(weight)
    cloud /= sum(weights)
    cloud = (cloud - cloud.min()) / np.ptp(cloud) if np.ptp(cloud) else cloud * 0 + 0.5
    x = photo(*size)
    image, top = x[0].double().numpy(), float(x.max())
    assert_same(call("fog", x, (amount, decay)), (image + amount * cloud) * top / (top + amount), atol=1e-4)  # the extremes have 16 bits


@pytest.mark.device
def test_fog_has_all_its_octaves_on_the_device(device):
    """From the ninth on, the top bit of a lattice place is set."""
    x = torch.rand(1, 3, 2 if interpreted() else 40, 300, generator=torch.Generator().manual_seed(0))
    want = F.fog(x, amount=2.0, decay=1.0, backend="torch")
    got = F.fog(x.to(device), amount=2.0, decay=1.0, backend="triton")
    torch.testing.assert_close(got.cpu(), want, atol=0.0 if device == "cpu" else REGISTRY["fog"].tolerance, rtol=0)


def diamond_square(side, decay, source):
    """The toroidal map of ImageNet-C: the mean of four neighbours plus the step times a uniform number of that width."""
    m, step, width = np.zeros((side, side)), side, 100.0
    while step >= 2:
        h, corner = step // 2, m[::step, ::step]
        right = np.roll(corner, -1, 1)
        middle = (corner + right + np.roll(corner, -1, 0) + np.roll(right, -1, 0)) / 4 + width * source.uniform(-width, width, corner.shape)
        m[h::step, h::step] = middle
        m[::step, h::step] = (middle + np.roll(middle, 1, 0) + corner + right) / 4 + width * source.uniform(-width, width, corner.shape)
        m[h::step, ::step] = (middle + np.roll(middle, 1, 1) + corner + np.roll(corner, -1, 0)) / 4 + width * source.uniform(
            -width, width, corner.shape
        )
        step, width = h, width / decay
    return (m - m.min()) / np.ptp(m)


def spectrum(fields):
    """The mean power of fields (n, side, side) over rings of whole frequencies from 1 on."""
    side = fields.shape[1]
    window = np.hanning(side)[:, None] * np.hanning(side)
    power = (np.abs(np.fft.fft2((fields - fields.mean((1, 2), keepdims=True)) * window)) ** 2).mean(0)
    k = np.fft.fftfreq(side, 1 / side)
    ring = np.hypot(k[:, None], k).round().astype(int)
    return np.asarray([power[ring == i].mean() for i in range(1, side // 2)])


@pytest.mark.parametrize("decay, deviation", [(2, 0.08), (1.7, 0.06), (1.5, 0.04), (1.4, 0.03)])
def test_clouds_are_like_those_of_diamond_square(decay, deviation):
    """Mean, range, standard deviation, and the slope of the spectrum from 3 to 40 cycles per frame."""
    source, count, side, amount = np.random.default_rng(0), 48, 128, 4.0
    want = np.stack([diamond_square(side, decay, source) for _ in range(count)])
    x = torch.zeros(count, 3, side, side)
    x[:, 0, 0, 0] = 1.0  # the rest is amount · cloud / (1 + amount)
    got = F.fog(x, amount=amount, decay=decay)[:, 1].double().numpy() * (1 + amount) / amount
    assert got.min() < 1e-4 and got.max() > 1 - 1e-4
    assert abs(got.mean() - want.mean()) < 0.04  # one cloud's mean varies by 0.09
    assert abs(got.std((1, 2)).mean() - want.std((1, 2)).mean()) < deviation
    k = np.log(np.arange(3, 41))
    slopes = [np.polyfit(k, np.log(spectrum(f)[2:40]), 1)[0] for f in (got, want)]
    assert abs(slopes[0] - slopes[1]) < 0.45, slopes


# ---- snow ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [*SNOW, (0.3, 1.0, 1, 0.2, 0, 0.5, 0), (1.0, 0.05, 20, 0, 40, 20, 1)])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_snow_is_its_formula(size, values):
    mean, std, zoom, threshold, length, sigma, keep = values
    layer = mean + std * spread(0, size, 1 / zoom, normal=True)
    layer = np.where(layer < threshold, 0, layer).clip(0, 1)
    weights = np.exp(-0.5 * (np.arange(2 * length + 1) / sigma) ** 2)
    layer = smeared(layer, weights, -45 - 90 * host("snow", size)[0])
    x = photo(*size)
    image = x[0].double().numpy()
    grey = np.tensordot([0.299, 0.587, 0.114], image, 1)
    want = keep * image + (1 - keep) * np.maximum(image, 1.5 * grey + 0.5) + layer + np.rot90(layer, 2)
    assert_same(call("snow", x, values), want)


def test_snow_falls_with_these_moments():
    """Without a trail, threshold or image: the sum of two layers, each N(mean, std²)."""
    y = F.snow(torch.zeros(2, 3, 256, 256), mean=0.2, std=0.03, zoom=1, threshold=0, length=0, sigma=1, keep=1, seed=4).double()
    assert torch.equal(y, y.flip((2, 3))) and torch.equal(y[:, 0], y[:, 2])
    half = (y[:, 0, :128] - 0.4) / (0.03 * math.sqrt(2))
    assert half.mean().abs() < 0.02 and (half.std() - 1).abs() < 0.012
    assert abs((half[0] * half[1]).mean()) < 0.03


# ---- frost -----------------------------------------------------------------------------------------------------------------


def drawn_frost(size):
    """The formula in float64, with every feather of a lattice tried at every pixel."""
    height, width = size
    u = host("frost", size).reshape(2, 5)
    scale = np.array([4, 9, 20, 3, 11]) / max(size)
    ice = np.zeros(size)
    for level in range(3):
        y, x = np.mgrid[:height, :width] * scale[level] + u[:, level, None, None]
        rows, columns = int(y.max()) + 2, int(x.max()) + 2
        a, b, c, d = uniforms(level, rows, columns)
        for i in range(rows):
            for j in range(columns):
                dy, dx = y - i - (a[i, j] / 2 - 0.25), x - j - (b[i, j] / 2 - 0.25)
                cos, sin = math.cos(2 * math.pi * c[i, j]), math.sin(2 * math.pi * c[i, j])
                along, aside = (dx * cos + dy * sin) * 1.5, np.abs(dy * cos - dx * sin) * 4
                t = (9 * along - 4 * aside) % 1 - 0.5
                value = np.maximum(0.1 + 3.2 * t * t, 1 - 7 * aside) * (1 - along**2 - aside**2) * (0.5 + d[i, j] / 2)
                ice = np.maximum(ice, value)
    coarse, fine = (spread(i, size, scale[i], u[:, i]) for i in (3, 4))
    y, x = np.mgrid[:height, :width]
    inward = np.minimum(np.minimum(y, height - 1 - y), np.minimum(x, width - 1 - x)) * 2 / min(size)
    return (0.75 + coarse - 0.6 * inward).clip(0.35, 1) * (0.75 * ice + 0.3 * fine + 0.2 * coarse + 0.15)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_frost_is_its_formula(size):
    frost, x = drawn_frost(size), photo(*size)
    for amount, keep in (*FROST, (1, 0)):
        want = keep * x[0].double().numpy() + amount * frost * np.reshape([0.88, 0.95, 1.0], (3, 1, 1))
        assert_same(call("frost", x, (amount, keep)), want, atol=1e-4, stray=0.01)  # barbs have edges


def test_frost_is_bluish_and_grows_from_the_border():
    frost = F.frost(torch.zeros(8, 3, 128, 128), amount=1.0, keep=1.0)
    r, g, b = frost.mean((0, 2, 3))
    assert 0.4 < g < 0.65 and r < g < b < 1.2 * r
    border = torch.cat([frost[:, :, :8].flatten(), frost[:, :, -8:].flatten(), frost[..., :8].flatten(), frost[..., -8:].flatten()])
    assert border.mean() > 1.25 * frost[:, :, 44:84, 44:84].mean()
    assert frost.std((2, 3)).min() > 0.1


# ---- spatter ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [*SPATTER, (0.7, 0.5, 0.7, 0.7, 1.0, 0.4), (0.9, 1.0, 16, 0.85, 0.0, 1.0)])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_spatter_is_its_formula(size, values):
    mean, std, sigma, threshold, opacity, mud = values
    noise = scipy.ndimage.gaussian_filter(points(0, *size, normal=True), sigma, mode="nearest", truncate=4)
    response = np.zeros((129, 129))
    response[64, 64] = 1
    kept = math.sqrt((scipy.ndimage.gaussian_filter(response, sigma, truncate=4) ** 2).sum())
    over = mean + std * noise - threshold
    height = 1 - (1 - (over / (2 * std * kept)).clip(0, 1)) ** 2
    relief = scipy.ndimage.correlate(height, [[-2, -1, 0], [-1, 0, 1], [0, 1, 2]], mode="nearest")
    water = opacity * (0.2 * height + 0.3 * relief).clip(0, 1) * (1 - mud)
    splash = scipy.ndimage.gaussian_filter((over > 0).astype(float), opacity, mode="nearest", truncate=4) if opacity else (over > 0) * 1.0
    splash = np.where(splash < 0.8, 0, splash) * mud
    x = photo(*size)
    colour = np.reshape([175, 238, 238], (3, 1, 1)) / 255 * water + np.reshape([63, 42, 20], (3, 1, 1)) / 255 * splash
    assert_same(call("spatter", x, values), x[0].double().numpy() * (1 - splash) + colour, stray=0.002)


@pytest.mark.parametrize("mean", [0.62, 0.66, 0.7])
def test_spatter_covers_what_the_normal_distribution_says(mean):
    """Mud with a hard edge: the part of the frame where the noise is above the threshold."""
    y = F.spatter(torch.ones(4, 3, 256, 256), mean=mean, std=0.3, sigma=1, threshold=0.68, opacity=0, mud=1)
    line = scipy.ndimage.gaussian_filter(np.eye(1, 33, 16)[0], 1.0)
    expected = 0.5 * math.erfc((0.68 - mean) / (0.3 * (line @ line)) / math.sqrt(2))
    assert abs((y[:, 0] < 0.5).double().mean() - expected) < 0.01


# ---- rain ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [(0.5, 20, 80, 1), (1, 9, -130, 1.7), (0.1, 1, 0, 8), (1, 96, 90, 4)])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_rain_is_its_formula(size, values):
    amount, length, angle, width = values
    density = 0.6 * amount * min(width / length, 1)
    drops = spread(0, size, 1 / width, change=lambda u: np.maximum(1 - u / density, 0))
    weights = np.sin(np.pi * (np.arange(length) + 0.5) / length)
    streaks = (0.45 * length / min(1.5 * width, length) * smeared(drops, weights, -angle)).clip(0, 0.8)
    x = photo(*size)
    veiled = x[0].double().numpy() * (1 - 0.2 * amount) + 0.7 * 0.2 * amount
    assert_same(call("rain", x, values), 1 - (1 - veiled) * (1 - streaks), atol=1e-4)


def test_rain_runs_along_its_angle():
    """The structure tensor of the streaks."""
    for angle in (60, 90, 130):
        y = F.rain(torch.zeros(1, 3, 128, 128), amount=0.3, length=24, angle=angle, width=1.5)[0, 0].numpy()
        dy, dx = np.gradient(scipy.ndimage.gaussian_filter(y, 1))
        across = 0.5 * math.atan2(2 * (dx * -dy).sum(), (dx * dx - dy * dy).sum())
        assert abs((math.degrees(across) + 90 - angle + 90) % 180 - 90) < 4


def test_rain_covers_alike_at_every_size():
    """A quarter of the frame and more has streaks, of any length and width."""
    covered = [
        float((F.rain(torch.zeros(2, 3, 256, 256), amount=1.0, length=n, angle=90, width=w)[:, 0] > 0.2).double().mean())
        for n, w in ((12, 1), (32, 1), (32, 2))
    ]
    assert min(covered) > 0.25 and max(covered) < 0.65 and max(covered) < 1.6 * min(covered)


# ---- dirt ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [(0.9, 3, 0.5, 0.1), (1, 9, 1, 0.5), (0.4, 1, 0.3, 0.05)])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_dirt_is_its_formula(size, values):
    """With every speck tried at every pixel."""
    opacity, side, density, softness = values
    shift, scale = host("dirt", size), 0.4 / side
    y, x = np.mgrid[: size[0], : size[1]] * scale + shift[:, None, None]
    rows, columns = int(y.max()) + 2, int(x.max()) + 2
    a, b, c, d = uniforms(0, rows, columns)
    edge = np.full(size, -1.0)
    for i, j in np.ndindex(rows, columns):
        if c[i, j] < density:
            distance = np.hypot(y - i - (a[i, j] / 2 - 0.25), x - j - (b[i, j] / 2 - 0.25))
            edge = np.maximum(edge, 0.2 + 0.2 * d[i, j] - distance)
    edge -= 0.2 * (spread(1, size, 4 * scale, 4 * shift) - 0.5)
    t = (edge / (0.4 * softness) + 0.5).clip(0, 1)
    m = opacity * t * t * (3 - 2 * t)
    image = photo(*size)
    assert_same(call("dirt", image, values), image[0].double().numpy() * (1 - m) + m * np.reshape([0.12, 0.1, 0.08], (3, 1, 1)), atol=5e-5)


# ---- moiré -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength, period, angle, grid", [(0.5, 17, 30, 0), (1, 4, -170, 1), (0.2, 256, 90, 0.5)])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_moire_is_its_formula(size, strength, period, angle, grid):
    y, x = np.mgrid[: size[0], : size[1]]
    u, turn = host("moire", size), 2 * np.pi
    a, image = math.radians(angle), photo(*size)
    p = (x * math.cos(a) - y * math.sin(a)) / period
    q = (x * math.cos(a + np.pi / 2) - y * math.sin(a + np.pi / 2)) / period
    want = []
    for c in range(3):
        p1 = np.cos(turn * (0.3 * x + u[0] + c / 6)) * np.cos(turn * (0.3 * x + p + u[1]))
        q1 = np.cos(turn * (0.3 * y + u[2] + c / 6)) * np.cos(turn * (0.3 * y + q + u[3]))
        want.append(image[0, c].double().numpy() * (1 - strength * (0.5 - (p1 + q1) / 4)))
    lines = np.where((y % 3 == 0) | (x % 3 == 0), 1 - strength * grid, 1)
    assert_same(call("moire", image, (strength, period, angle, grid)), np.stack(want) * lines, atol=5e-5)


def test_moire_beats_with_its_period():
    """Below the screen's frequency, the two strongest waves have the period, along the angle and across it."""
    size, period, angle = 256, 16, 30
    y = F.moire(torch.full((1, 3, size, size), 0.8), strength=0.5, period=period, angle=angle, grid=0.0)[0, 1].double().numpy()
    power = np.abs(np.fft.fft2((y - y.mean()) * np.hanning(size)[:, None] * np.hanning(size)))
    fy, fx = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size), indexing="ij")
    low = np.where((np.hypot(fy, fx) < 0.2) & (fx > 0), power, 0)
    for wanted in (angle, angle - 90):
        near = np.where(np.abs(np.degrees(np.arctan2(-fy, fx)) - wanted) < 30, low, 0)
        at = np.unravel_index(near.argmax(), near.shape)
        assert abs(np.hypot(fy[at], fx[at]) - 1 / period) < 1.5 / size
        assert abs(math.degrees(math.atan2(-fy[at], fx[at])) - wanted) < 6


# ---- against ImageNet-C ----------------------------------------------------------------------------------------------------

# Mean PSNR in dB over 20 draws of imagecorruptions 1.1.2 on the photograph below, at its five severities.
MEASURED = {
    "fog": (FOG, (13.62, 12.44, 11.81, 11.59, 11.20), 1.5),
    "snow": (SNOW, (15.11, 11.38, 11.33, 9.78, 8.78), 0.8),
    "frost": (FROST, (12.82, 10.40, 11.68, 10.08, 10.23), 3.2),  # its photographs differ by 2 dB
    "spatter": (SPATTER, (33.52, 24.81, 22.36, 17.51, 15.35), 3.0),  # the first level varies by 2.5 dB from draw to draw
}


@pytest.mark.parametrize("name", MEASURED)
def test_levels_change_images_as_much_as_imagenet_c_does(name):
    levels, wanted, within = MEASURED[name]
    x = torch.from_numpy(skimage.data.astronaut()[:448:2, :448:2].transpose(2, 0, 1).copy())[None].expand(6, -1, -1, -1)
    for values, psnr in zip(levels, wanted):
        error = ((call(name, x, values).double() - x.double()) ** 2).mean((1, 2, 3)) / 255**2
        assert abs(float((-10 * error.log10()).mean()) - psnr) < within


def test_parameters_of_the_tests_are_the_ops_own():
    assert [list(REGISTRY[n].parameters) for n in ("fog", "snow", "frost", "spatter")] == [
        ["amount", "decay"],
        ["mean", "std", "zoom", "threshold", "length", "sigma", "keep"],
        ["amount", "keep"],
        ["mean", "std", "sigma", "threshold", "opacity", "mud"],
    ]

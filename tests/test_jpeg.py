"""JPEG against independent codecs: Pillow's and OpenCV's libjpeg-turbo, every bit of every pixel."""

import functools
import io

import numpy as np
import pytest
import torch

from degrade.backends.engine import launch_on
from degrade.backends.native import interpreted
from degrade.kernels.codec import quantisation_tables
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS, narrow
from degrade.kernels.lang import HAS_TRITON, jit, tl
from degrade.op import Context
from degrade.ops.compression.jpeg import SUBSAMPLINGS, Jpeg

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea")
SIZES = ((1, 1), (1, 17), (17, 1), (2, 2), (3, 4), (7, 9), (7, 13), (5, 5), (18, 3), (33, 48), (37, 50), (225, 223))


@functools.cache
def whole_photograph(name):
    return getattr(pytest.importorskip("skimage.data"), name)()


def photograph(name, height, width, top=40, left=60):
    """(h, w, 3) uint8."""
    return np.ascontiguousarray(whole_photograph(name)[top : top + height, left : left + width])


def extremes(height, width):
    """Images of the largest possible coefficients, and none."""
    rng = np.random.default_rng(7)
    board = np.indices((height, width)).sum(0) % 2 * 255
    return {
        "black": np.zeros((height, width, 3), np.uint8),
        "white": np.full((height, width, 3), 255, np.uint8),
        "red": np.tile(np.uint8([255, 0, 0]), (height, width, 1)),
        "board": np.repeat(board[:, :, None], 3, 2).astype(np.uint8),
        "colour board": np.stack((board, 255 - board, board.T if height == width else board), 2).astype(np.uint8),
        "noise": rng.integers(0, 2, (height, width, 3)).astype(np.uint8) * 255,
        "bytes": rng.integers(0, 256, (height, width, 3)).astype(np.uint8),
    }


def pillow(image, quality, subsampling):
    """(h, w, 3) uint8 through Pillow."""
    pil = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    if subsampling == "grey":
        pil.fromarray(image).convert("L").save(file, "JPEG", quality=quality)
    else:
        pil.fromarray(image).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.asarray(pil.open(file).convert("RGB"))


def opencv(image, quality, subsampling):
    """(h, w, 3) uint8 through OpenCV."""
    cv2 = pytest.importorskip("cv2")
    factors = {"4:4:4": 0x111111, "4:2:2": 0x211111, "4:2:0": 0x221111}[subsampling]
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factors]
    file = cv2.imencode(".jpg", np.ascontiguousarray(image[:, :, ::-1]), options)[1]
    return cv2.imdecode(file, cv2.IMREAD_COLOR)[:, :, ::-1]


def as_tensor(images):
    """(n, 3, h, w) float32 as the engine reads 8-bit images."""
    bytes_ = torch.from_numpy(np.ascontiguousarray(np.stack(images).transpose(0, 3, 1, 2)))
    return (bytes_.to(torch.int32) * 257).to(torch.float32) * (1.0 / 65535.0)


def as_theta(qualities, subsamplings):
    """(n, 4) float32."""
    theta = np.zeros((len(qualities), 8), np.float32)
    theta[:, 0] = qualities
    theta[:, 1] = [SUBSAMPLINGS.index(s) for s in subsamplings]
    return theta


def run(function, images, qualities, subsamplings):
    """A batch through the twin or the CPU path: (n, h, w, 3) bytes, after a check that they are the engine's 8-bit values."""
    theta = as_theta(qualities, subsamplings)
    columns = tuple(torch.from_numpy(theta[:, i]).view(-1, 1, 1, 1) for i in range(4))
    x = as_tensor(images)
    before = x.clone()
    if function is Jpeg.twin:
        out = Jpeg.twin(x, columns, Context(None, torch.from_numpy(Jpeg.tables(theta, None)), lambda v: v))
    else:
        out = function(x, columns)
    assert torch.equal(x, before)
    assert out.dtype == torch.float32 and out.shape == x.shape and out.is_contiguous()
    bytes_ = torch.floor(out * 255.0 + 0.5).permute(0, 2, 3, 1).numpy().astype(np.uint8)
    assert torch.equal(out, as_tensor(bytes_))
    return bytes_


def assert_equal(ours, images, qualities, subsamplings, judge):
    for i, (image, quality, subsampling) in enumerate(zip(images, qualities, subsamplings)):
        np.testing.assert_array_equal(ours[i], judge(image, quality, subsampling), err_msg=f"sample {i}: quality {quality}, {subsampling}")


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_every_quality_in_one_batch(subsampling):
    images = [photograph(PHOTOGRAPHS[q % 3], 41, 51, 40 + q, 60 + q) for q in range(100)]
    qualities, modes = list(range(1, 101)), [subsampling] * 100
    ours = run(Jpeg.twin, images, qualities, modes)
    assert_equal(ours, images, qualities, modes, pillow)
    if subsampling != "grey":
        assert_equal(ours, images, qualities, modes, opencv)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_at_every_size(name, size):
    qualities = [q for q in (1, 10, 50, 75, 95, 100) for _ in SUBSAMPLINGS]
    modes = list(SUBSAMPLINGS) * 6
    images = [photograph(name, *size)] * len(modes)
    assert_equal(run(Jpeg.twin, images, qualities, modes), images, qualities, modes, pillow)


@pytest.mark.parametrize("size", ((16, 16), (31, 37)), ids=lambda s: f"{s[0]}x{s[1]}")
def test_extremes(size):
    images = [image for image in extremes(*size).values() for _ in range(3 * len(SUBSAMPLINGS))]
    qualities = [q for q in (1, 50, 100) for _ in SUBSAMPLINGS] * (len(images) // 12)
    modes = list(SUBSAMPLINGS) * (len(images) // 4)
    assert_equal(run(Jpeg.twin, images, qualities, modes), images, qualities, modes, pillow)


def test_every_width_and_height_to_seventeen():
    for n in range(1, 18):
        for size in ((n, 6), (6, n)):
            images = [photograph("coffee", *size)] * 4
            assert_equal(run(Jpeg.twin, images, [60] * 4, SUBSAMPLINGS), images, [60] * 4, SUBSAMPLINGS, pillow)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
def test_cpu_path_equals_the_twin(size):
    pytest.importorskip("cv2")
    qualities = [q for q in (1, 37, 90, 100) for _ in SUBSAMPLINGS]
    modes = list(SUBSAMPLINGS) * 4
    images = [photograph("chelsea", *size)] * len(modes)
    np.testing.assert_array_equal(run(Jpeg.cpu, images, qualities, modes), run(Jpeg.twin, images, qualities, modes))


def test_input_between_bytes_is_rounded_first():
    image = photograph("astronaut", 20, 30)
    x = as_tensor([image])
    theta = as_theta([80], ["4:2:0"])
    columns = tuple(torch.from_numpy(theta[:, i]).view(-1, 1, 1, 1) for i in range(4))
    context = Context(None, torch.from_numpy(Jpeg.tables(theta, None)), lambda v: v)
    nudged = (x + (torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) - 0.5) * 0.0038).clamp(0, 1)
    assert torch.equal(Jpeg.twin(nudged, columns, context), Jpeg.twin(x, columns, context))


def test_a_sample_does_not_see_its_batch():
    images = [photograph(PHOTOGRAPHS[i % 3], 30, 40, 10 * i, 12 * i) for i in range(8)]
    qualities, modes = [5, 20, 35, 50, 65, 80, 95, 100], list(SUBSAMPLINGS) * 2
    together = run(Jpeg.twin, images, qualities, modes)
    for i in range(8):
        np.testing.assert_array_equal(together[i : i + 1], run(Jpeg.twin, images[i : i + 1], qualities[i : i + 1], modes[i : i + 1]))


def test_tables_are_those_in_the_file():
    pil = pytest.importorskip("PIL.Image")
    ours = quantisation_tables(np.arange(1, 101)).reshape(100, 2, 64)
    for quality in range(1, 101):
        file = io.BytesIO()
        pil.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
        theirs = pil.open(file).quantization
        np.testing.assert_array_equal(ours[quality - 1], [theirs[0], theirs[1]])


def test_hooks():
    theta = as_theta([1, 100], ["4:4:4", "grey"])
    assert not Jpeg.identity(theta).any()
    assert (Jpeg.radius(theta) == 2).all()
    assert Jpeg.tables(theta, None).shape == (2, 128) and Jpeg.tables(theta, None).dtype == np.float32
    assert Jpeg.describe(theta[1]) == {"quality": 100, "subsampling": "grey"}
    assert Jpeg.name == "jpeg" and Jpeg.group == "compression"


# ---- the device functions, in two launches over the tiles of one image ----------------------------------------------------

if HAS_TRITON:
    jpeg_reach, jpeg_settle = Jpeg.reach, Jpeg.settle
    ROWS, COLUMNS = tl.constexpr(TILE_ROWS), tl.constexpr(TILE_COLUMNS)


@jit
def _tile(height, width):
    wide = (width + COLUMNS - 1) // COLUMNS
    y = tl.program_id(0) // wide * ROWS + tl.arange(0, ROWS)[:, None]
    x = tl.program_id(0) % wide * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (y < height) & (x < width)
    return tl.minimum(y, height - 1), tl.minimum(x, width - 1), inside


@jit
def _store(pointer, y, x, height, width, r, g, b, inside):
    at = pointer + y * width + x
    tl.store(at, narrow(r, pointer), mask=inside)
    tl.store(at + height * width, narrow(g, pointer), mask=inside)
    tl.store(at + 2 * height * width, narrow(b, pointer), mask=inside)


@jit
def reach_kernel(canvas, scratch, height, width, theta, table):
    y, x, inside = _tile(height, width)
    r, g, b = jpeg_reach((canvas, height, width), (canvas, height, width), y, x, (tl.load(theta), tl.load(theta + 1)), table, None, None, 0, inside)
    _store(scratch, y, x, height, width, r, g, b, inside)


@jit
def settle_kernel(canvas, scratch, height, width, theta, table):
    y, x, inside = _tile(height, width)
    zero = tl.zeros((ROWS, COLUMNS), tl.float32)
    r, g, b = jpeg_settle((scratch, height, width), y, x, zero, zero, zero, (tl.load(theta), tl.load(theta + 1)), table, None, None)
    _store(canvas, y, x, height, width, r, g, b, inside)


@pytest.mark.device
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize(
    "height, width, dtype",
    [
        (1, 1, torch.uint16),
        (1, 17, torch.uint16),
        (17, 1, torch.float32),
        (18, 3, torch.uint16),
        (7, 13, torch.float32),
        (19, 34, torch.uint16),
        (37, 50, torch.uint16),
        (34, 31, torch.float32),
        *([] if interpreted() else [(225, 223, torch.uint16), (225, 223, torch.float32)]),
    ],
)
def test_device_equals_pillow(device, height, width, dtype, subsampling):
    images = (photograph("astronaut", height, width, 40, 150), extremes(height, width)["bytes"])
    for image, quality in zip(images, (30, 100) if height % 2 else (1, 85)):
        values = as_tensor([image])[0]
        canvas = (values * 65535.0 + 0.5).to(torch.int32).to(torch.uint16) if dtype == torch.uint16 else values
        canvas = canvas.to(device)
        scratch = torch.zeros_like(canvas)
        theta = as_theta([quality], [subsampling])
        table = torch.from_numpy(Jpeg.tables(theta, None)[0]).to(device)
        theta = torch.from_numpy(theta[0]).to(device)
        tiles = -(-width // TILE_COLUMNS) * -(-height // TILE_ROWS)
        for kernel in (reach_kernel, settle_kernel):
            launch_on(canvas, kernel, (tiles,), (canvas, scratch, height, width, theta, table), {"num_warps": 4})
        expected = as_tensor([pillow(image, quality, subsampling)])[0]
        out = canvas.cpu()
        if dtype == torch.uint16:
            expected = (expected * 65535.0 + 0.5).to(torch.int32)
            out = out.to(torch.int32)
        assert torch.equal(out, expected), f"quality {quality}"

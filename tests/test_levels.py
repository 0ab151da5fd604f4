"""blend="modulate" of ops whose parameter cannot differ from pixel to pixel: several levels of it, mixed by the mask."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_engine import photo
from test_jpeg import pillow

import degrade
from degrade import (
    Compose,
    Exposure,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    LensBlur,
    Local,
    MeanShift,
    MedianBlur,
    OneOf,
    Partition,
    Pipeline,
    cells,
    masks,
)
from degrade.backends.levels import at_level, levels_of
from degrade.kernels.levels import position, share
from degrade.ops import REGISTRY

SIZE, IDS = (37, 50), (4, 9, 2)
LEVELLED = sorted(name for name, op in REGISTRY.items() if not op.modulates)


def by(op, seed=1):
    return Pipeline(Local(op, masks.FromTensor(), blend="modulate"), seed=seed)


def ramp(count=3, size=SIZE, top=1.0):
    """0 in the first columns, then rising, and the top in the last ones."""
    m = ((torch.arange(size[1]) - 4.0) / (size[1] - 12)).clamp(0, 1) * top
    return m.expand(count, 1, *size).clone()


def at_strength(program, x, c):
    """What the op does at the parameter of one strength, over the whole frame."""
    op = REGISTRY[program.ops[0]]
    neutral = np.float32(next(iter(op.parameters.values())).neutral)
    theta = program.theta.copy()
    theta[..., 0] = neutral + c * (theta[..., 0] - neutral)
    return degrade.apply(replace(program, theta=theta, family=np.full_like(program.family, -1)), x)


# ---- accuracy -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [GaussianBlur(sigma=2.0), GaussianBlur(sigma=6.0), LensBlur(radius=6.0)], ids=repr)
def test_a_blur_is_within_three_hundredths_of_one_for_each_pixel(op):
    """Against the blur of each pixel's own parameter, as L2 of what the blur changes."""
    data = pytest.importorskip("skimage.data")
    image = data.astronaut()[100:228, 150:278].copy()
    x = torch.from_numpy(image).permute(2, 0, 1)[None].to(torch.float32) / 255
    size = x.shape[2:]
    y, w = np.mgrid[: size[0], : size[1]]
    # A round mask, in steps so fine that no step is seen, since each takes a blur of its own here.
    strength = torch.from_numpy(np.clip(1 - np.hypot(y - 60, w - 64) / 64, 0, 1)).to(torch.float32)
    strength = torch.round(strength * 160) / 160
    program = by(op).sample([0], size)
    got = degrade.apply(program, x, strength[None, None])
    exact = x.clone()
    for c in strength.unique().tolist():
        exact = torch.where(strength == c, at_strength(program, x, c) if c else x, exact)
    error = (got - exact).norm() / (exact - x).norm()
    assert error < 0.03, float(error)


def test_jpeg_is_libjpeg_at_the_quality_of_each_unit():
    """Units of 16 x 16, cut together from whole images coded at each quality. Strength 1 is quality 20, 0 quality 100."""
    image = photo(1, 64, 96)[0].permute(1, 2, 0).numpy()
    wanted = np.random.default_rng(0).integers(20, 100, (4, 6))
    strength = torch.from_numpy((100 - wanted) / 80).to(torch.float32).repeat_interleave(16, 0).repeat_interleave(16, 1)
    # What differs within a unit does not count, only its mean.
    tilt = 1 + 0.2 * ((torch.arange(96) % 16) - 7.5) / 7.5 * (strength < 0.8)
    y = degrade.functional.jpeg(torch.from_numpy(image).permute(2, 0, 1)[None], 20, mask=(strength * tilt)[None, None], blend="modulate")
    expected = image.copy()
    for quality in np.unique(wanted):
        own = np.repeat(np.repeat(wanted == quality, 16, 0), 16, 1)
        expected[own] = pillow(image, int(quality), "4:2:0")[own]
    np.testing.assert_array_equal(y[0].permute(1, 2, 0).numpy(), expected)


def test_whole_parameters_are_taken_as_they_are():
    x = photo(3, *SIZE)
    program = by(MedianBlur(half_width=3)).sample(IDS, SIZE)
    m = ramp()
    y, nearest = degrade.apply(program, x, m), torch.floor(m * 3 + 0.5)
    for half_width in (1, 2, 3):
        there = (nearest == half_width).expand_as(x)
        assert torch.equal(y[there], degrade.functional.median_blur(x, half_width)[there])
    assert torch.equal(y[(nearest == 0).expand_as(x)], x[(nearest == 0).expand_as(x)])


@pytest.mark.parametrize("name", LEVELLED)
def test_ends_are_exact(name):
    """Where the mask is 0 the image is copied, where it is 1 the op is itself; so it is at each level."""
    op = REGISTRY[name]
    x = photo(3, *SIZE, torch.float32)
    block = getattr(op, "block", 1)
    m = torch.zeros(3, 1, *SIZE)
    m[..., 16:] = 1.0  # whole blocks
    program = by(op(severity=0.6, direction="up")).sample(IDS, SIZE)
    y, full = degrade.apply(program, x, m), degrade.apply(replace(program, family=np.full_like(program.family, -1)), x)
    assert torch.equal(y[..., :16], x[..., :16])
    assert torch.equal(y[..., 16:], full[..., 16:])
    count, hard = levels_of(op, program.theta[:, 0, 0])
    if (count == 12).all() and not hard and block == 1:
        theta = program.theta.copy()
        theta[:, 0, 0] = at_level(op, theta[:, 0, 0], 5, count)
        part = degrade.apply(replace(program, theta=theta, family=np.full_like(program.family, -1)), x)
        got = degrade.apply(program, x, torch.full_like(m, (5 / 12) ** 2))
        assert (got - part).abs().max() < 1e-5


def test_positions_and_shares():
    m = torch.rand(2, 35, 41, generator=torch.Generator().manual_seed(0))
    count = torch.tensor([7.0, 12.0])[:, None, None]
    for block in (8, 16):
        got = position(m, count, True, block)
        for y in range(0, 35, block):
            for x in range(0, 41, block):
                mean = m[:, y : y + block, x : x + block].mean((1, 2), dtype=torch.float64)
                away = (got[:, y : y + block, x : x + block] - (mean * count[:, 0, 0])[:, None, None]).abs()
                assert away.max() <= 0.5 + 1e-3
    at = position(m, count, False, 1)
    assert torch.allclose(at, m.sqrt() * count)
    total = torch.zeros_like(at)
    for level in range(13):  # mixed in the order in which they run
        total = total if level % 2 else torch.where(share(at, level) > 0, float(level), total)
    for level in range(1, 13, 2):
        total = total + share(at, level) * (level - total)
    assert (total - at).abs().max() < 1e-4


# ---- on every path ------------------------------------------------------------------------------------------------------


def mixed():
    """Among other ops, with masks that are drawn, combined and given, by chance."""
    return Compose(
        GaussianNoise(std=0.1, p=0.5),
        Local(
            OneOf(GaussianBlur(sigma=(1.0, 5.0)), Jpeg(quality=(80, 95)), MeanShift(0.3), MedianBlur(half_width=2), Exposure(ev=1.5)),
            masks.Union(masks.Ellipse(area=0.3, feather=0.5), masks.FromTensor()),
            p=0.8,
            blend="modulate",
        ),
        Local(Compose(GaussianBlur(sigma=1.0), MeanShift(0.1)), masks.Gradient(), p=0.5),
        Local(GaussianBlur(sigma=3.0), masks.Gradient(feather=1.0), blend="modulate", p=0.5),
    )


@pytest.mark.device
@pytest.mark.parametrize(
    "dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy), pytest.param(torch.float16, marks=pytest.mark.heavy)], ids=str
)
def test_kernels_equal_the_twin(dtype, device):
    ids = np.arange(12)
    x, m = photo(12, *SIZE, dtype).to(device), ramp(12, top=0.9).to(device)
    program = Pipeline(mixed(), seed=5).sample(ids, SIZE)
    got, want = (degrade.apply(program, x, m, backend=backend) for backend in ("triton", "torch"))
    assert torch.equal(got, want) and not torch.equal(got, x)
    order = np.array([7, 0, 11])
    assert torch.equal(degrade.apply(program[order], x[order], m[order], backend="triton"), got[order])


@pytest.mark.device
@pytest.mark.heavy
@pytest.mark.parametrize("name", sorted(name for name in LEVELLED if REGISTRY[name].kind != "codec"))
def test_every_op(name, device):
    x, m = photo(3, *SIZE).to(device), ramp().to(device)
    program = by(REGISTRY[name](severity=(0.2, 0.4))).sample(IDS, SIZE)
    got, want = (degrade.apply(program, x, m, backend=backend) for backend in ("triton", "torch"))
    assert torch.equal(got, want)


def test_alone_and_in_a_batch():
    x, m, pipe = photo(6, *SIZE), ramp(6), Pipeline(mixed(), seed=5)
    whole = pipe(x, ids=range(6), mask=m)
    for i in (0, 3, 5):
        assert torch.equal(pipe(x[i], ids=[i], mask=m[i]), whole[i])


def test_what_no_mask_covers_is_left_alone():
    x = photo(4, *SIZE)
    for op in (GaussianBlur(sigma=3.0), Jpeg(quality=10)):
        y, labels = Pipeline(Local(op, masks.Ellipse(area=0.2, feather=0.3), blend="modulate"), seed=3)(x, ids=range(4), labels=True)
        outside = (labels.masks[:, 0] == 0)[:, None].expand_as(x)
        assert torch.equal(y[outside], x[outside]) and not torch.equal(y, x)
        assert torch.equal(degrade.apply(labels.program, x), y)
        assert "by ellipse" in labels.program.describe(0)


def test_explained():
    pipe = Pipeline(Compose(MeanShift(0.1), Local(GaussianBlur(sigma=3.0), masks.Ellipse(), blend="modulate")), seed=3)
    assert [row.kind for row in pipe.explain((64, 64), 2).rows].count("copy") == 1


def test_it_stands_in_no_other_mask():
    inner = Local(GaussianBlur(sigma=3.0), masks.Ellipse(), blend="modulate")
    for make in (lambda: Local(Compose(inner, MeanShift(0.1)), masks.Ellipse()), lambda: Local(inner, masks.Ellipse())):
        with pytest.raises(ValueError, match="blend='modulate' of GaussianBlur inside Local is not accepted; accepted: blend='alpha'"):
            make()
    with pytest.raises(ValueError, match="blend='modulate' of GaussianBlur inside Partition is not accepted"):
        Partition(inner, cells.Grid())
    Local(Local(MeanShift(0.1), masks.Ellipse(), blend="modulate"), masks.Ellipse())


@pytest.mark.device
def test_a_level_that_changes_nothing_leaves_every_bit(device):
    """Green moved by less than half a pixel, though its blend of equal values rounds."""
    x = photo(3, *SIZE, torch.float32).to(device)
    program = by(degrade.ColourShift(6.0)).sample(IDS, SIZE)
    weak = ramp(top=0.05).to(device)  # up to an amount of 0.3
    for backend in ("torch", "triton"):
        assert torch.equal(degrade.apply(program, x, mask=weak, backend=backend), x)

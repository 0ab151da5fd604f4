"""Parts of larger frames, `origin=`: what is done to a part is what the whole frame gets there."""

import numpy as np
import pytest
import torch
from test_engine import photo

import degrade
from degrade import Compose, Contrast, GaussianBlur, GaussianNoise, Jpeg, Local, MeanShift, OneOf, Partition, Pipeline, SomeOf, Vignette, cells, masks

FRAME = (120, 150)
IDS = np.arange(6)
REACH = 48  # more than what the ops here read around a pixel, all together


def recipe():
    """Noise, geometry of the frame, blocks, blurs in chains, and masks of many kinds."""
    bank = torch.rand(2, *FRAME, generator=torch.Generator().manual_seed(0))
    return Compose(
        SomeOf(
            GaussianNoise(std=0.1),
            Local(GaussianBlur(sigma=(0.5, 2.0)), masks.Ellipse(area=0.6)),
            Local(Compose(Jpeg(quality=20), GaussianBlur(sigma=1.0)), masks.Union(masks.Clouds(area=0.4), masks.FromTensor(bank))),
            Vignette(),
            Local(MeanShift(0.3), masks.Gradient(), blend="modulate"),
            n=(1, 3),
        ),
        OneOf(MeanShift(0.1), GaussianNoise(std=0.05), p=0.5),
    )


def pipeline():
    return Pipeline(recipe(), seed=3)


def inner(part, top, left, reach=REACH):
    """The pixels of a part, b 3 h w, that do not read beyond it: all that is not near an edge inside the frame."""
    height, width = part.shape[2:]
    y0, x0 = (0 if at == 0 else reach for at in (top, left))
    y1, x1 = (size if at + size == whole else size - reach for at, size, whole in ((top, height, FRAME[0]), (left, width, FRAME[1])))
    return part[:, :, y0:y1, x0:x1]


PARTS = [(0, 0, 70, 90), (50, 60, 70, 90), (0, 0, *FRAME), (7, 13, 110, 130), (0, 60, 120, 90)]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
@pytest.mark.parametrize("part", PARTS, ids=str)
def test_a_part_is_that_of_the_whole(part, dtype):
    top, left, height, width = part
    x = photo(6, *FRAME, dtype)
    program = pipeline().sample(IDS, FRAME)
    whole = degrade.apply(program, x)
    window = (slice(None), slice(None), slice(top, top + height), slice(left, left + width))
    got = degrade.apply(program, x[window], origin=(top, left))
    assert got.shape == (6, 3, height, width)
    assert inner(got, top, left).numel() and torch.equal(inner(got, top, left), inner(whole[window], top, left))


def test_noise_and_values_are_right_to_the_edge():
    x = photo(6, *FRAME)
    pipe = Pipeline(Compose(Local(GaussianNoise(std=0.2), masks.Blob()), Vignette(), MeanShift(0.1)), seed=1)
    whole = pipe(x, ids=IDS)
    got = pipe(x[:, :, 31:72, 17:100], ids=IDS, origin=(31, 17), frame=FRAME)
    assert torch.equal(got, whole[:, :, 31:72, 17:100])


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
def test_kernels_equal_the_whole_and_the_twin(dtype, device):
    x = photo(6, *FRAME, dtype).to(device)
    program = pipeline().sample(IDS, FRAME).to(device)
    whole = degrade.apply(program, x, backend="triton")
    for top, left, height, width in PARTS:
        window = (slice(None), slice(None), slice(top, top + height), slice(left, left + width))
        fast, slow = (degrade.apply(program, x[window], origin=(top, left), backend=backend) for backend in ("triton", "torch"))
        assert torch.equal(inner(fast, top, left), inner(whole[window], top, left))
        assert torch.equal(inner(fast, top, left), inner(slow, top, left))


def test_each_image_has_its_own_place():
    x = photo(6, *FRAME)
    origin = np.array([[0, 0], [20, 30], [50, 60], [0, 60], [50, 0], [11, 7]])
    parts = torch.stack([image[:, t : t + 70, s : s + 90] for image, (t, s) in zip(x, origin.tolist())])
    got, labels = pipeline()(parts, ids=IDS, origin=origin, frame=FRAME, labels=True)
    _, all_of_it = pipeline()(x, ids=IDS, labels=True)
    for i, (top, left) in enumerate(origin.tolist()):
        alone = pipeline()(parts[i], ids=[i], origin=(top, left), frame=FRAME)
        assert torch.equal(alone, got[i])
        assert torch.equal(labels.masks[i], all_of_it.masks[i, :, top : top + 70, left : left + 90])
    assert torch.equal(pipeline()(parts, ids=IDS, origin=torch.from_numpy(origin), frame=FRAME), got)


def test_a_frame_in_tiles():
    """Tiles that overlap by what ops read, put together."""
    x, reach = photo(1, 96, 128), 16
    pipe = Pipeline(Compose(GaussianNoise(std=0.1), GaussianBlur(sigma=2.0)), seed=5)
    program, out = pipe.sample([4], (96, 128)), torch.zeros(1, 3, 96, 128, dtype=torch.uint8)
    for top in range(0, 96, 32):
        for left in range(0, 128, 32):
            y0, x0, y1, x1 = max(top - reach, 0), max(left - reach, 0), min(top + 32 + reach, 96), min(left + 32 + reach, 128)
            tile = degrade.apply(program, x[:, :, y0:y1, x0:x1], origin=(y0, x0))
            out[:, :, top : top + 32, left : left + 32] = tile[:, :, top - y0 : top - y0 + 32, left - x0 : left - x0 + 32]
    assert torch.equal(out, pipe(x, ids=[4]))


def test_refused():
    x = photo(6, 40, 50)
    plain = Pipeline(MeanShift(0.1), seed=1)
    for call, message in (
        (
            lambda: plain(x, ids=IDS, origin=(90, 0), frame=FRAME),
            r"origin=\(90, 0\) puts 40x50 pixels beyond the frame of 120x150; .* from \(0, 0\) to \(80, 100\)",
        ),
        (lambda: plain(x, ids=IDS, origin=(-1, 0), frame=FRAME), r"origin=\(-1, 0\) puts"),
        (lambda: plain(x, ids=IDS, origin=(0.5, 0), frame=FRAME), r"origin=\(0\.5, 0\) is not accepted"),
        (lambda: plain(x, ids=IDS, origin=[(0, 0)] * 5, frame=FRAME), r"or \(6, 2\) with one pair for each image"),
        (lambda: plain(x, ids=IDS, origin=(0, 0)), "go together"),
        (lambda: plain(x, ids=IDS, origin=(0, 0), frame=99), "frame=99 is not accepted"),
        (lambda: plain(x, ids=IDS, origin=(0, 0), frame=(30, 30)), "beyond the frame of 30x30"),
        (
            lambda: Pipeline(Contrast(0.4), seed=1)(x, ids=IDS, origin=(0, 0), frame=FRAME),
            "origin= does not go with contrast, which read the whole frame",
        ),
        (
            lambda: Pipeline(Partition(MeanShift(0.1), cells.Grid()), seed=1)(x, ids=IDS, origin=(0, 0), frame=FRAME),
            "does not go with partitions and phases",
        ),
        (lambda: Pipeline(Local(MeanShift(0.1), masks.Edges()), seed=1)(x, ids=IDS, origin=(0, 0), frame=FRAME), "masks that are given or made"),
        (
            lambda: Pipeline(Local(GaussianBlur(2.0), masks.Ellipse(), blend="modulate"), seed=1)(x, ids=IDS, origin=(0, 0), frame=FRAME),
            "gaussian_blur",
        ),
        (lambda: plain(x, ids=IDS, mask=torch.ones(6, 1, 40, 50), origin=(0, 0), frame=FRAME), "do not go with origin="),
        (lambda: degrade.apply(plain.sample(IDS, FRAME), x[:2], origin=(0, 0)), "the program holds 6 samples and x 2"),
    ):
        with pytest.raises(ValueError, match=message):
            call()

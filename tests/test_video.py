"""Clips: one program for all frames, noise of each frame or of the first, masks that stay or move."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from mask_weights import DRAWN, family, uniforms
from test_engine import DEVICE_OPS, photo
from test_partition import child

import degrade
from degrade import (
    Choice,
    Compose,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    Labels,
    Local,
    MeanShift,
    Normal,
    OneOf,
    Partition,
    Pipeline,
    Program,
    Together,
    cells,
    masks,
)
from degrade.backends.plan import make_plan
from degrade.backends.twin import Rng
from degrade.kernels import rng

SIZE = (37, 50)
DRIFT = ((-0.15, 0.15), (-0.15, 0.15))


def clips(b, t, size=SIZE, dtype=torch.uint8, seed=0):
    return photo(b * t, *size, dtype, seed).view(b, t, 3, *size)


def recipe(velocity=None):
    """Noise, by pixel and of tables that are drawn; blurs, blocks, chains, chance, and masks of several kinds."""
    return Compose(
        Local(OneOf(GaussianBlur(sigma=(0.5, 3)), Jpeg(quality=(5, 60))), masks.Blob(area=(0.1, 0.4)), velocity=velocity),
        Local(
            Compose(MeanShift(0.1), GaussianNoise(0.1), GaussianBlur(1.0)), masks.Union(masks.Ellipse(), masks.Stripes()), p=0.8, velocity=velocity
        ),
        degrade.PinkNoise(p=0.5),
        degrade.Fog(p=0.5),
        Local(GaussianNoise(std=(0.05, 0.2)), masks.Gradient(), blend="modulate", velocity=velocity),
    )


# ---- frames against single images ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32], ids=str)
def test_the_first_frame_is_the_image_of_that_id(dtype):
    x, ids = clips(3, 4, dtype=dtype), np.array([9, -4, 2**40])
    y = Pipeline(recipe(DRIFT), seed=1)(x, ids=ids)
    assert y.shape == x.shape and y.dtype == x.dtype
    assert torch.equal(y[:, 0], Pipeline(recipe(DRIFT), seed=1)(x[:, 0], ids=ids))


def test_frozen_frames_are_images_of_one_id():
    """Without masks that move, nothing tells a frame from another."""
    x, ids = clips(2, 3), np.array([5, 6])
    pipe = Pipeline(recipe(), seed=2, noise="frozen")
    want = torch.stack([pipe(x[:, f], ids=ids) for f in range(3)], 1)
    assert torch.equal(pipe(x, ids=ids), want)
    fresh = Pipeline(recipe(), seed=2)(x, ids=ids)
    assert torch.equal(fresh[:, 0], want[:, 0])
    assert all((fresh[b, f] != want[b, f]).float().mean() > 0.05 for b in range(2) for f in (1, 2))


def test_each_frame_draws_noise_of_its_own():
    """Of one pipeline on still images: as frames and samples, all differ, and no two are alike in part."""
    x = torch.full((2, 5, 3, 20, 30), 0.5)
    y = Pipeline(GaussianNoise(0.1), seed=1)(x, ids=[1, 2])
    noise = (y - x).flatten(2).flatten(0, 1)
    assert np.abs(np.corrcoef(noise.numpy()) - np.eye(10)).max() < 0.1
    frozen = Pipeline(GaussianNoise(0.1), seed=1, noise="frozen")(x, ids=[1, 2])
    assert torch.equal(frozen, frozen[:, :1].expand_as(frozen)) and torch.equal(frozen[:, 0], y[:, 0])


def test_what_is_drawn_once_for_an_image_is_a_clips_own():
    """Where a flare's source is, say, whatever the noise."""
    x = torch.full((2, 3, 3, 20, 30), 0.25)
    y = Pipeline(degrade.Flare(0.8), seed=1)(x, ids=[1, 2])
    assert torch.equal(y, y[:, :1].expand_as(y)) and not torch.equal(y[0], y[1])


def test_the_stream_is_slot_and_frame():
    """Word 1 of the counters, by an independent road: Philox called pixel by pixel."""
    ids, frame = np.array([3, 4]), np.array([0, 40_000])
    draws = Rng(123, ids, 17, 5, 7, torch.device("cpu"), frame).uniform4(2)
    for n in range(2):
        for y, x in ((0, 0), (4, 6)):
            words = rng.philox(123, y << 16 | x, 17 << 20 | int(frame[n]) << 4 | 2, *rng.halves(int(ids[n])))
            assert [float(u[n, y, x]) for u in draws] == [((w >> 9) + 0.5) * 2.0**-23 for w in words]


# ---- a clip among others ---------------------------------------------------------------------------------------------------


def test_a_clip_alone_equals_itself_in_a_batch():
    x, ids = clips(4, 3), np.array([9, -4, 2**40, 1])
    pipe = Pipeline(recipe(DRIFT), seed=3)
    y, order = pipe(x, ids=ids), [2, 0, 3, 1]
    assert torch.equal(pipe(x[order], ids=ids[order]), y[order])
    for b in range(4):
        assert torch.equal(pipe(x[b : b + 1], ids=ids[b : b + 1])[0], y[b])


def test_a_long_clip_in_pieces():
    x, pipe = clips(2, 7), Pipeline(recipe(DRIFT), seed=4)
    program = pipe.sample([3, 4], SIZE)
    whole = degrade.apply(program, x)
    pieces = [degrade.apply(program.from_frame(f), x[:, f : f + 3]) for f in (0, 3, 6)]
    assert torch.equal(torch.cat(pieces, 1), whole) and torch.equal(whole, pipe(x, ids=[3, 4]))
    for f in range(7):
        assert torch.equal(degrade.apply(program.from_frame(f), x[:, f]), whole[:, f])


def test_programs_remember(tmp_path):
    for noise in ("fresh", "frozen"):
        pipe = Pipeline(recipe(DRIFT), seed=5, noise=noise)
        x = clips(2, 3)
        y, labels = pipe(x, ids=[3, 4], labels=True)
        path = tmp_path / f"{noise}.json"
        labels.program.from_frame(2).save(path)
        again = Program.load(path)
        still = pipe.sample([3], SIZE).to_dict()["samples"][0]
        assert "frame" not in still and any("velocity" in region for region in still["regions"])
        assert again.equals(labels.program.from_frame(2)) and again.noise == noise
        assert torch.equal(degrade.apply(again, x[:, 2]), y[:, 2])
        yaml = tmp_path / f"{noise}.yaml"
        pipe.save(yaml)
        loaded = degrade.load(yaml)
        assert loaded.noise == noise and loaded.sample([3, 4], SIZE).equals(pipe.sample([3, 4], SIZE))
        assert degrade.Pipeline.load(yaml, noise="frozen").noise == "frozen"
        assert repr(loaded.recipe) == repr(pipe.recipe)


# ---- masks that move -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DRAWN)
def test_weights_are_those_of_the_first_frame_moved(name):
    """By whole pixels: every pixel whose origin lies in the frame has its weight. A shape enters the frame as it leaves it."""
    size = (33, 48)
    pipe = Pipeline(Local(MeanShift(0.2), family(name, size, area=(0.1, 0.5)), velocity=(0.0, 0.0)), seed=2)
    program = pipe.sample(range(12), size)
    speed = np.random.default_rng(1).integers(-9, 10, (12, 1, 2)).astype(np.float32)
    program = replace(program, velocity=speed)
    first = Labels(program).masks[:, 0]
    for f in (1, 2):
        moved = Labels(program).frame(f).masks[:, 0]
        for n in range(12):
            dy, dx = (speed[n, 0] * f).astype(int)
            to = tuple(slice(max(d, 0), length + min(d, 0)) for d, length in zip((dy, dx), size))
            of = tuple(slice(max(-d, 0), length + min(-d, 0)) for d, length in zip((dy, dx), size))
            assert torch.allclose(moved[n][to], first[n][of], atol=2e-4), (name, n, f)


@pytest.mark.parametrize("name", DRAWN)
def test_supports_move_too(name):
    """By fractions of a pixel, far and near: nothing outside the rectangle."""
    for size in ((33, 48), (7, 13)):
        mask = family(name, size, area=(0.02, 0.6))
        numbers = mask.draw(uniforms(mask, 200), *size)
        shift = (np.random.default_rng(2).normal(0, 12, (200, 2)) * (np.arange(200) % 5 > 0)[:, None]).astype(np.float32)
        still = mask.support(numbers, *size)
        rect = mask.moved(still, shift, *size)
        y, x = (
            torch.arange(length, dtype=torch.float32)[None].expand(200, -1) + 0.5 - torch.from_numpy(shift[:, i, None])
            for i, length in enumerate(size)
        )
        weight = mask.weight(y[:, :, None], x[:, None], tuple(torch.from_numpy(numbers.T.copy())[:, :, None, None]), None)
        for n, (y0, y1, x0, x1) in enumerate(rect):
            inside = weight[n].clone()
            inside[y0:y1, x0:x1] = 0
            assert not inside.any(), (name, n, shift[n])
        assert np.array_equal(rect[::5], still[::5])
        if name in ("rectangle", "ellipse", "blob", "boxes"):
            area = (rect[:, 1] - rect[:, 0]) * (rect[:, 3] - rect[:, 2])
            assert area.mean() < 0.8 * size[0] * size[1]  # they are worth something


def test_velocity_is_drawn_per_clip_in_its_unit():
    """A fraction of √(h · w) per frame, down and to the right; other draws stay as they are."""
    mask = masks.Ellipse(area=0.2)
    pipe = Pipeline(Local(MeanShift((0.1, 0.3)), mask, velocity=((0.1, 0.3), Choice([-0.25]))), seed=3)
    program = pipe.sample(range(400), (25, 100))
    assert program.velocity.shape == (400, 1, 2) and (program.velocity[:, 0, 1] == -12.5).all()
    down = program.velocity[:, 0, 0] / 50
    assert 0.1 <= down.min() < 0.11 and 0.29 < down.max() <= 0.3 and abs(down.mean() - 0.2) < 0.01
    assert program[7].equals(pipe.sample([7], (25, 100)))
    still = Pipeline(Local(MeanShift((0.1, 0.3)), mask), seed=3).sample(range(400), (25, 100))
    assert still.equals(replace(program, velocity=np.zeros_like(program.velocity)))
    other = Pipeline(Local(MeanShift(0.1), mask, velocity=(Normal(0.0, 0.1), -0.0)), seed=1).sample(range(5), (25, 100))
    assert Program.from_dict(other.to_dict()).equals(other) and (other.velocity[..., 0] != 0).all()


def test_a_mask_that_is_not_there_has_no_velocity():
    pipe = Pipeline(Compose(Local(MeanShift(0.2, p=0.5), masks.Ellipse(), velocity=(0.1, 0.1), p=0.7)), seed=3)
    program = pipe.sample(range(60), SIZE)
    gone = program.family < 0
    assert 10 < gone.sum() < 50 and not program.velocity[gone].any() and program.velocity[~gone].all()


def test_all_parts_of_a_mask_move_as_one_and_each_mask_by_itself():
    recipe = Compose(
        Local(Local(MeanShift(0.1), masks.Difference(masks.Ellipse(), masks.Boxes()), velocity=(0.1, 0.2)), masks.Rectangle(), velocity=(0.0, -0.1)),
        Local(MeanShift(0.1), masks.Blob()),
    )
    velocity = Pipeline(recipe, seed=1).sample([0], (100, 100)).velocity[0]
    assert np.allclose(velocity, [[0, -10], [10, 20], [10, 20], [0, 0]])


def test_a_mask_leaves_the_frame():
    pipe = Pipeline(Local(MeanShift(0.3), masks.Ellipse(area=0.1), velocity=(1.0, 0.0)), seed=1)
    x = torch.full((1, 3, 3, 30, 40), 0.25)
    y, labels = pipe(x, ids=[0], labels=True)
    assert not torch.equal(y[:, 0], x[:, 0]) and torch.equal(y[:, 1:], x[:, 1:])
    assert labels.area > 0.08 and labels.frame(1).area == 0 and (labels.frame(2).boxes == 0).all()


def test_frames_show_what_labels_say():
    """Where the weight is 1 the shift is whole, elsewhere it is mixed."""
    pipe = Pipeline(Local(MeanShift(0.25), masks.Ellipse(area=0.3), velocity=DRIFT), seed=1)
    x = torch.full((3, 4, 3, *SIZE), 0.5)
    y, labels = pipe(x, ids=[0, 1, 2], labels=True)
    for f in range(4):
        of = labels.frame(f)
        assert torch.allclose(y[:, f] - 0.5, 0.25 * of.masks, atol=1e-6)
        assert torch.allclose((y[:, f, 0] - 0.5).mean((1, 2)) * 4, of.area[:, 0], atol=1e-5)
    assert torch.equal(labels.masks, labels.frame(0).masks) and labels.masks.shape == (3, 1, *SIZE)
    assert torch.equal(labels[1].frame(2).masks[0], labels.frame(2).masks[1])


def test_together_holds_for_the_first_frame():
    pair = Together(
        Local(MeanShift(0.2), masks.Ellipse(area=0.1), velocity=(0.1, 0.0)),
        Local(MeanShift(0.2), masks.Ellipse(area=0.1)),
        overlap="disjoint",
    )
    labels = Labels(Pipeline(pair, seed=1).sample(range(8), (60, 60)))
    assert labels.overlap[:, 0, 1].max() < 0.05
    assert torch.equal(labels.frame(2).masks[:, 1], labels.masks[:, 1]) and not torch.equal(labels.frame(2).masks[:, 0], labels.masks[:, 0])


# ---- shapes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
def test_strides_and_channels(dtype):
    """Frames after channels, channels last, slices, one grey channel: the same values, in the memory format they came in."""
    x, ids = clips(2, 3, dtype=dtype), [1, 2]
    pipe = Pipeline(recipe(DRIFT), seed=1)
    want = pipe(x, ids=ids)
    for other in (
        x.transpose(1, 2).contiguous().transpose(1, 2),
        x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3),
        x.transpose(0, 1).contiguous().transpose(0, 1),
    ):
        y = pipe(other, ids=ids)
        assert torch.equal(y, want) and y.stride() == other.stride() == torch.empty_like(other).stride()
    wide = torch.cat([x, x], 1)[:, :3]
    assert torch.equal(pipe(wide, ids=ids), want)
    grey = x[:, :, :1]
    y = pipe(grey, ids=ids)
    assert y.shape == grey.shape and torch.equal(y, pipe(grey.expand(-1, -1, 3, -1, -1), ids=ids)[:, :, :1])


@pytest.mark.parametrize("shape", [(2, 0, 3, 7, 13), (0, 4, 3, 7, 13), (2, 0, 1, 7, 13)], ids=str)
def test_no_frames(shape):
    x = torch.zeros(shape)
    pipe = Pipeline(Compose(recipe(DRIFT), Local(MeanShift(0.1), masks.Edges(area=0.2))))
    y, labels = pipe(x, labels=True)
    assert y.shape == x.shape and len(labels) == shape[0] and labels.masks.shape[2:] == (7, 13)
    assert pipe(x, ids="content").shape == shape


@pytest.mark.parametrize("size", [(1, 1), (7, 13)], ids=str)
def test_one_frame_is_an_image(size):
    x = clips(3, 1, size)
    pipe = Pipeline(recipe(DRIFT), seed=1)
    for ids in ([1, 2, 3], "content"):
        (y, a), (z, b) = pipe(x, ids=ids, labels=True), pipe(x[:, 0], ids=ids, labels=True)
        assert torch.equal(y[:, 0], z) and a.program.equals(b.program)


def test_without_ids_a_clip_counts_once():
    pipe = Pipeline(recipe())
    _, first = pipe(clips(2, 5), labels=True)
    _, second = pipe(clips(2, 5), labels=True)
    assert (torch.cat([first.ids, second.ids]).diff() == 1).all()


def test_masks_of_the_call_and_of_the_image_stay():
    """A mask that is given serves every frame; one that is made of the image is made of the first."""
    x = clips(2, 3, dtype=torch.float32)
    given = torch.rand(2, 1, *SIZE)
    pipe = Pipeline(Compose(Local(MeanShift(0.2), masks.FromTensor()), Local(GaussianBlur(1.0), masks.Edges(area=0.3))), seed=1)
    y, labels = pipe(x, ids=[1, 2], mask=given, labels=True)
    first, of_image = pipe(x[:, 0], ids=[1, 2], mask=given, labels=True)
    assert torch.equal(y[:, 0], first) and torch.equal(labels.masks, of_image.masks)
    for f in range(3):
        assert torch.equal(degrade.apply(labels.program, x[:, f], mask=given), y[:, f])
    segments = (torch.arange(SIZE[1]) // 9).expand(2, *SIZE)
    pipe = Pipeline(Local(MeanShift(0.2), masks.Segments()), seed=1)
    y, labels = pipe(x, ids=[1, 2], segments=segments, labels=True)
    assert torch.equal(degrade.apply(labels.program, x[:, 2]), y[:, 2]) and torch.equal(
        y, degrade.apply(pipe.sample([1, 2], SIZE), x, segments=segments)
    )


def test_one_op_as_a_call():
    x, strong = clips(2, 3), torch.tensor([0.1, 0.3])
    y = degrade.functional.gaussian_noise(x, strong, seed=4)
    assert torch.equal(y[:, 0], degrade.functional.gaussian_noise(x[:, 0], strong, seed=4)) and y.shape == x.shape
    frozen = degrade.functional.gaussian_noise(x, strong, seed=4, noise="frozen", mask=torch.ones(2, 1, *SIZE))
    for f in range(3):
        assert torch.equal(frozen[:, f], degrade.functional.gaussian_noise(x[:, f], strong, seed=4))


def test_gradients_pass():
    x = clips(2, 2, dtype=torch.float32).transpose(1, 2).contiguous().transpose(1, 2).requires_grad_()
    y = Pipeline(Local(MeanShift(0.01), masks.Ellipse(), velocity=(0.1, 0.1)), seed=1)(x, ids=[0, 1])
    y.sum().backward()
    assert x.grad.shape == x.shape and x.grad.count_nonzero() > 0.8 * x.numel()


def test_compiled_as_it_is():
    x, ids = clips(2, 3), torch.tensor([1, 2])
    pipe = Pipeline(recipe(DRIFT), seed=1)
    step = torch.compile(lambda x, ids: pipe(x, ids=ids), fullgraph=True, backend="aot_eager")
    assert torch.equal(step(x, ids), pipe(x, ids=ids))


# ---- bad input -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda p: p(torch.zeros(1, 1, 2, 3, 9, 11)), r"x has shape \(1, 1, 2, 3, 9, 11\); accepted: b 3 h w or 3 h w, or clips b t 3 h w"),
        (lambda p: p(torch.zeros(1, 3, 2, 9, 11)), r"x has shape \(1, 3, 2, 9, 11\); accepted: .*clips b t 3 h w"),
        (lambda p: p(torch.zeros(2, 3, 3, 9, 11), ids=range(6)), r"ids has shape \(6,\); accepted: \(2,\)"),
        (lambda p: p(torch.zeros(2, 3, 3, 9, 11), mask=torch.zeros(2, 3, 1, 9, 11)), "mask"),
        (lambda p: Pipeline(p.recipe, noise="sometimes"), "noise 'sometimes' is unknown; accepted: fresh, frozen"),
        (lambda p: Pipeline(p.recipe, noise=True), "noise True is unknown; accepted: fresh, frozen"),
        (lambda p: degrade.functional.mean_shift(torch.zeros(3, 9, 11), 0.1, noise="fozen"), "noise 'fozen' is unknown; did you mean 'frozen'"),
        (
            lambda p: Local(p.recipe, masks.Ellipse(), velocity=0.1),
            r"velocity=0.1 is not understood; accepted: a pair \(y, x\) of fractions of √\(h·w\)",
        ),
        (lambda p: Local(p.recipe, masks.Ellipse(), velocity=(0.1, 0.2, 0.3)), r"velocity=.* is not understood"),
        (lambda p: Local(p.recipe, masks.Ellipse(), velocity=((0, 2), 0)), r"velocity y=2 is out of range; accepted: -1 to 1 of √\(h·w\) per frame"),
        (lambda p: Local(p.recipe, masks.Ellipse(), velocity=(0, -1.5)), "velocity x=-1.5 is out of range"),
        (lambda p: Local(p.recipe, masks.FromTensor(), velocity=(0, 0.1)), "velocity=.*from_tensor.*accepted: None"),
        (lambda p: Local(p.recipe, masks.Union(masks.Ellipse(), masks.Edges()), velocity=(0, 0.1)), "velocity=.*edges.*accepted: None"),
        (lambda p: Labels(p.sample([0], SIZE)).frame(-1), "frame=-1 is not accepted; accepted: a whole number from 0 to 65535"),
        (lambda p: p.sample([0], SIZE).from_frame(9).from_frame(65_530), "frame=65530 is not accepted; accepted: a whole number from 0 to 65526"),
        (lambda p: p.sample([0], SIZE).from_frame(0.5), "frame=0.5 is not accepted"),
        (lambda p: p(torch.zeros(1, 65_537, 3, 1, 1)), "x has clips of 65537 frames; accepted: at most 65536"),
        (
            lambda p: Labels(p.sample([0], (9, 11))).effect(torch.zeros(1, 2, 3, 9, 11)),
            r"x has shape \(1, 2, 3, 9, 11\); accepted: b 3 h w or 3 h w, or one",
        ),
        (lambda p: Labels.collate([Labels(Pipeline(p.recipe, noise=n).sample([0], SIZE)) for n in ("fresh", "frozen")]), "noise frozen"),
    ],
)
def test_one_clear_sentence(call, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        call(Pipeline(MeanShift(0.1)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(noise="often"),
        lambda d: d["samples"][0].update(frame=-1),
        lambda d: d["samples"][0].update(frame=65_536),
        lambda d: d["samples"][0]["regions"][0].update(velocity=[0.0]),
        lambda d: d["samples"][0]["regions"][0].update(velocity=[0.0, float("inf")]),
        lambda d: d["samples"][0]["regions"][1].update(velocity=[0.0, 1.0]),  # of a mask that reads a map
    ],
)
def test_damaged_programs_are_refused(change):
    pipe = Pipeline(Compose(Local(MeanShift(0.1), masks.Ellipse()), Local(MeanShift(0.1), masks.FromTensor(torch.rand(SIZE)))))
    data = pipe.sample([0], SIZE).to_dict()
    assert Program.from_dict(data).equals(pipe.sample([0], SIZE))
    change(data)
    with pytest.raises(ValueError, match="damaged"):
        Program.from_dict(data)


# ---- the kernels -----------------------------------------------------------------------------------------------------------


def equal(program, x, device, **given):
    got, want = (degrade.apply(program, x.to(device), backend=backend, **given) for backend in ("triton", "torch"))
    assert torch.equal(got, want) and not torch.equal(got, x.to(device))
    return want


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
@pytest.mark.parametrize("noise", ["fresh", "frozen"])
@pytest.mark.parametrize("size", [(7, 13), (37, 50), pytest.param((67, 96), marks=pytest.mark.heavy)], ids=str)
def test_kernels_equal_the_twin(size, noise, dtype, device):
    x = clips(3, 3, size, dtype)
    program = Pipeline(recipe(DRIFT), seed=6, noise=noise).sample([3, 2**40, -5], size)
    want = equal(program, x, device)
    for f in range(3):
        assert torch.equal(equal(program.from_frame(f), x[:, f], device), want[:, f])


@pytest.mark.device
def test_every_moving_mask_on_the_device(device):
    """A blur under each, so that supports count; near and far, by fractions of pixels."""
    each = [
        Local(Compose(GaussianBlur(1.5), MeanShift(0.2)), family(name, SIZE, area=(0.05, 0.5)), velocity=((-0.3, 0.3), (-0.3, 0.3))) for name in DRAWN
    ]
    program = Pipeline(OneOf(*each), seed=1).sample(range(80), SIZE)
    assert {program.families[f] for f in program.family[program.family >= 0]} == set(DRAWN)
    equal(program, clips(80, 4), device)


@pytest.mark.device
def test_random_ops_draw_alike_in_every_frame(device):
    """Ops that draw in kernels by pixel, and in tables."""
    names = ("gaussian_noise", "camera_noise", "jitter", "rain")
    program = Pipeline(OneOf(*(DEVICE_OPS[name]() for name in names)), seed=2).sample(range(12), SIZE).from_frame(300)
    x = clips(12, 2)
    assert len(np.unique(program.code)) == len(names)
    want = equal(program, x, device)
    assert all(not torch.equal(a, b) for a, b in zip(want, x.to(device)))


@pytest.mark.device
def test_moving_masks_in_cells(device):
    x = clips(2, 3, (67, 90))
    inner = Local(GaussianNoise(0.2), masks.Ellipse(area=0.4), velocity=DRIFT)
    program = Pipeline(Compose(inner, Partition(OneOf(inner, child()), cells.Grid(rows=2, columns=2))), seed=3).sample([3, 4], (67, 90))
    want = equal(program, x, device)
    assert torch.equal(degrade.apply(program.from_frame(1), x[:, 1].to(device), backend="torch"), want[:, 1])


@pytest.mark.device
def test_equal_batches_of_other_frames(device):
    """Without masks the layout of an earlier batch serves again; frames are a part of it."""
    x = clips(2, 2)
    program = Pipeline(GaussianNoise(0.2), seed=3).sample([3, 4], SIZE)
    results = [equal(program.from_frame(f), x, device) for f in (0, 7, 0)]
    assert torch.equal(results[0], results[2]) and not torch.equal(results[0], results[1])


def test_images_keep_their_kernels():
    """Masks that could move and have not: what is built is what was."""
    program = Pipeline(Local(MeanShift(0.2), masks.Ellipse(), velocity=(0.1, 0.1))).sample(range(4), SIZE)
    assert not make_plan(program, program.numbers).moves
    later = program.from_frame(1)
    assert make_plan(later, later.numbers).moves


def test_cost_follows_the_mask_as_it_moves():
    """A small mask launches few tiles wherever it is, and none when it has left."""
    size = (256, 256)
    recipe = Local(Compose(GaussianBlur(1.0), GaussianBlur(1.0)), masks.Ellipse(area=0.02, centre=(0.5, 0.5)), velocity=(0.0, 0.4))
    program = Pipeline(recipe).sample([0], size)
    tiles = []
    for f in range(3):
        at = program.from_frame(f)
        tiles.append([launch.tiles for launch in make_plan(at, at.numbers).launches])
    (frame, *middle), (_, *aside), (_, *gone) = tiles
    assert 0 < max(middle) < 0.25 * frame and 0 < max(aside) <= 1.5 * max(middle) and not any(gone)

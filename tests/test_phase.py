"""Phase: block grids that begin anywhere."""

import numpy as np
import pytest
import torch
from test_engine import photo
from test_jpeg import pillow

import degrade
from degrade import (
    Compose,
    DctDrop,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    Local,
    MeanShift,
    OneOf,
    Partition,
    Phase,
    Pipeline,
    Pixelate,
    SomeOf,
    cells,
    masks,
)
from degrade.program import Program

SIZE = (37, 50)


def test_jpeg_is_libjpeg_of_the_image_in_a_larger_one():
    """The border is repeated up to where the grid begins, that is coded by Pillow, and cut off again."""
    x = photo(8, *SIZE)
    program = Pipeline(Phase(Jpeg(quality=15)), seed=1).sample(range(8), SIZE)
    y = degrade.apply(program, x)
    for image, got, (top, left) in zip(x.numpy(), y.numpy(), program.phase[:, 0].tolist()):
        around = np.pad(image, ((0, 0), (top, 16 - top), (left, 16 - left)), mode="edge").transpose(1, 2, 0)
        coded = pillow(np.ascontiguousarray(around), 15, "4:2:0").transpose(2, 0, 1)
        np.testing.assert_array_equal(got, coded[:, top : top + SIZE[0], left : left + SIZE[1]])


def test_blocks_begin_where_the_program_says():
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (20, 3, 64, 64), dtype=np.uint8))
    program = Pipeline(Phase(DctDrop(kept=1)), seed=1).sample(range(20), (64, 64))
    y = degrade.apply(program, x).to(torch.int32)
    for image, (top, left) in zip(y, program.phase[:, 0].tolist()):
        rows, columns = ((image.diff(dim=dim).abs().sum(dim=(0, 3 - dim)) > 0).nonzero()[:, 0] + 1 for dim in (1, 2))
        assert {int(v) % 8 for v in rows} == {-top % 8} and {int(v) % 8 for v in columns} == {-left % 8}


def test_phases_are_uniform_and_independent():
    phase = Pipeline(Phase(Jpeg()), seed=2).sample(range(4000), SIZE).phase[:, 0]
    counts = np.bincount(phase[:, 0] * 16 + phase[:, 1], minlength=256)
    assert phase.min() == 0 and phase.max() == 15 and abs(counts.mean() - 4000 / 256) < 1e-9 and counts.std() < 1.3 * np.sqrt(counts.mean())


def mixed():
    bank = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(0))
    return Compose(
        GaussianNoise(std=0.05, p=0.5),
        OneOf(
            Phase(OneOf(Jpeg(quality=10), DctDrop(kept=5), Pixelate(scale=0.2), p=0.9)),
            Local(Phase(Jpeg(quality=10)), masks.FromTensor(bank)),
            Local(Phase(DctDrop(kept=4)), masks.Difference(masks.Gradient(), masks.Ellipse(area=0.1))),
            Local(Phase(Jpeg(quality=20)), masks.FromTensor()),
        ),
        Local(Compose(GaussianNoise(std=0.1), MeanShift(0.1)), masks.Ellipse(area=0.4), p=0.6),
    )


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
def test_kernels_equal_the_twin(dtype, device):
    x, mask = photo(24, *SIZE, dtype).to(device), photo(24, *SIZE, torch.float32)[:, :1].to(device)
    program = Pipeline(mixed(), seed=3).sample(range(24), SIZE).to(device)
    assert {program.ops[code] for code in program.code[program.phase.any(2)]} == {"jpeg", "dct_drop", "pixelate"}
    got, want = (degrade.apply(program, x, mask, backend=backend) for backend in ("triton", "torch"))
    assert torch.equal(got, want) and not torch.equal(got, x)
    order = np.array([20, 3, 11])
    assert torch.equal(degrade.apply(program[order], x[order], mask[order], backend="triton"), got[order])


@pytest.mark.device
def test_without_any_mask(device):
    for x in (photo(3, *SIZE), photo(3, 1, 1), photo(1, 40, 5)):
        program = Pipeline(Phase(DctDrop(kept=3)), seed=4).sample(range(len(x)), tuple(x.shape[2:]))
        got, want = (degrade.apply(program, x.to(device), backend=backend) for backend in ("triton", "torch"))
        assert program.phase.any() and torch.equal(got, want)


def test_alone_and_in_a_batch_and_from_files(tmp_path):
    x, mask, pipe = photo(12, *SIZE), photo(12, *SIZE, torch.float32)[:, :1], Pipeline(mixed(), seed=3)
    whole = pipe(x, ids=range(12), mask=mask)
    for i in (0, 5, 7):
        assert torch.equal(pipe(x[i], ids=[i], mask=mask[i]), whole[i])
    program = pipe.sample(range(12), SIZE)
    program.save(tmp_path / "program.json")
    assert Program.load(tmp_path / "program.json").equals(program)
    pipe.save(tmp_path / "pipe.yaml")
    again = Pipeline.load(tmp_path / "pipe.yaml")
    assert repr(again) == repr(pipe) and "Phase(" in repr(pipe)
    assert torch.equal(again(x, ids=range(12), mask=mask), whole)


def test_next_to_the_same_op_by_levels():
    """One op in one slot, shifted for some samples and by levels of a strength for others: none knows of the others."""
    x = photo(16, *SIZE, torch.float32)
    inner = Local(Phase(DctDrop(kept=4)), masks.Ellipse(area=0.3)), Local(DctDrop(kept=3), masks.Gradient(), blend="modulate")
    pipe = Pipeline(SomeOf(*inner, Local(DctDrop(kept=2), masks.Boxes(area=0.3)), n=(1, 2)), seed=1)
    whole = pipe(x, ids=range(16))
    for i in range(16):
        assert torch.equal(pipe(x[i], ids=[i]), whole[i])


def test_what_no_mask_covers_is_left_alone():
    x = photo(6, *SIZE)
    y, labels = Pipeline(Local(Phase(Jpeg(quality=10)), masks.Ellipse(area=0.2)), seed=3)(x, ids=range(6), labels=True)
    outside = (labels.masks[:, 0] == 0)[:, None].expand_as(x)
    assert torch.equal(y[outside], x[outside]) and not torch.equal(y, x)
    assert "jpeg(quality=10) at (" in labels.program.describe(0)


def test_clips_keep_their_phase():
    x = photo(2, *SIZE)
    clip = x[:, None].expand(2, 3, 3, *SIZE)
    pipe = Pipeline(Phase(Jpeg(quality=10)), seed=3)
    y = pipe(clip, ids=[4, 5])
    for frame in range(3):
        assert torch.equal(y[:, frame], pipe(x, ids=[4, 5]))


def test_refused():
    for make, message in (
        (lambda: Phase(GaussianBlur()), "Phase of GaussianBlur is not accepted; accepted: an op with a block grid"),
        (lambda: Phase(Compose(Jpeg(), Jpeg())), "Phase of Compose is not accepted"),
        (lambda: Local(Compose(MeanShift(0.1), Phase(Jpeg())), masks.Ellipse()), "Phase inside Local is not accepted"),
        (lambda: Partition(Phase(Jpeg()), cells.Grid()), "Phase inside Partition is not accepted"),
        (lambda: Local(Phase(Jpeg()), masks.Ellipse(), blend="modulate"), "blend='modulate' of Phase is not accepted"),
        (lambda: Pipeline(Phase(Jpeg()), seed=1)(photo(1, *SIZE), ids=[0], origin=(0, 0), frame=SIZE), "origin= does not go with"),
    ):
        with pytest.raises(ValueError, match=message):
            make()

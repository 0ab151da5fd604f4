"""Partition: each cell as if it were alone, on every path."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from test_engine import DEVICE_OPS, photo

import degrade
from degrade import (
    Compose,
    Contrast,
    GaussianBlur,
    GaussianNoise,
    Jpeg,
    Labels,
    Local,
    MeanShift,
    OneOf,
    Partition,
    Pipeline,
    Relative,
    SomeOf,
    cells,
    masks,
    sheet,
)
from degrade.masks import _cells
from degrade.program import Program, occupied

SIZE = (67, 90)
IDS = np.arange(4)


def child(p=0.9):
    """Point ops, a blur, blocks, noise, a statistic of the whole frame, chains, and a mask inside the cell."""
    return OneOf(
        MeanShift(0.2),
        GaussianBlur(sigma=(0.5, 3.0)),
        Jpeg(quality=10),
        Contrast(0.4),
        Compose(GaussianNoise(std=0.2), GaussianBlur(sigma=1.5), Jpeg(quality=20)),
        Local(Compose(GaussianBlur(sigma=2.0), GaussianNoise(std=0.1)), masks.Ellipse(area=0.6)),
        p=p,
    )


def segments(size=SIZE, count=4):
    """A label map of a few shapes; some labels are missing in some images."""
    y, x = np.mgrid[: size[0], : size[1]]
    maps = [((y + i * 3) // 24 * 3 + (x + y // 2) // 31) * 2 for i in range(count)]
    return torch.from_numpy(np.stack(maps).astype(np.int64))


KINDS = {
    "voronoi": cells.Voronoi(count=(2, 9)),
    "grid": cells.Grid(rows=(2, 3), columns=(1, 4)),
    "segments": cells.Segments(most=14, ignore=[2]),
}


def given(kind):
    return {"segments": segments()} if kind == "segments" else {}


def pipeline(kind, seed=5, **options):
    return Pipeline(Partition(child(), KINDS[kind]), seed=seed, **options)


# ---- what it means ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_each_cell_as_if_it_were_alone(kind, dtype):
    """Cell by cell on private copies of the image, then cut together."""
    x = photo(4, *SIZE, dtype)
    y, labels = pipeline(kind)(x, ids=IDS, labels=True, **given(kind))
    program, expected = labels.program, x.clone()
    done = torch.zeros(4, *SIZE, dtype=torch.int64)
    for i in range(4):
        for cell in np.flatnonzero((program.family[i] >= 0) & (program.partition >= 0)).tolist():
            one = program.select([i])
            inside = cell_mask(one, cell)
            alone = one.between(one.first[:, cell], one.last[:, cell] + 1)
            family = alone.family.copy()
            family[:, cell] = -1
            result = degrade.apply(replace(alone, family=family), x[i : i + 1])[0]
            expected[i] = torch.where(inside, result, expected[i])
            done[i] += inside
    assert torch.equal(y, expected) and not torch.equal(y, x)
    assert done.amax() == 1


def cell_mask(program, region):
    """Where a cell lies, (h, w) bool."""
    row, index = program.numbers[0, region, :2]
    return program.maps[int(row)] == index


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
def test_kernels_equal_the_twin(dtype, device):
    ids = np.arange(12)
    x, given = photo(12, *SIZE, dtype).to(device), segments(count=12).to(device)
    program = Pipeline(OneOf(*(Partition(child(), kind) for kind in KINDS.values())), seed=5).sample(ids, SIZE)
    assert {"voronoi_cell", "grid_cell", "segment_cell"} == {
        program.families[f] for f in np.unique(program.family[:, program.partition >= 0]) if f >= 0
    }
    got, want = (degrade.apply(program, x, segments=given, backend=backend) for backend in ("triton", "torch"))
    assert torch.equal(got, want) and not torch.equal(got, x)
    last = x.to(memory_format=torch.channels_last)
    assert torch.equal(degrade.apply(program, last, segments=given, backend="triton"), want)


@pytest.mark.device
@pytest.mark.heavy
@pytest.mark.parametrize("group", sorted({op.group for op in DEVICE_OPS.values()}))
def test_every_op_in_its_window(group, device):
    """Of each cell only a part of the frame is stored: every op has to find its way there."""
    own = [op for op in DEVICE_OPS.values() if op.group == group]
    x = photo(3, *SIZE).to(device)
    for op in own:
        program = Pipeline(Partition(op(), cells.Grid(rows=2, columns=3)), seed=1).sample(range(3), SIZE)
        got, want = (degrade.apply(program, x, backend=backend) for backend in ("triton", "torch"))
        assert torch.equal(got, want), op.name


@pytest.mark.device
def test_cells_without_a_pixel(device):
    """No accepted segment anywhere: nothing is launched, and nothing changes."""
    x, nothing = photo(2, *SIZE).to(device), torch.zeros(2, *SIZE, dtype=torch.int64, device=device)
    pipe = Pipeline(Partition(GaussianBlur(sigma=2.0), cells.Segments(most=3, ignore=[0])), seed=1, backend="triton")
    assert torch.equal(pipe(x, ids=range(2), segments=nothing), x)


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
def test_before_after_and_between(dtype, device):
    """Partitions among other ops, by chance and in any order, next to masks that are given and made."""
    recipe = Compose(
        GaussianBlur(sigma=1.0, p=0.5),
        SomeOf(
            Partition(child(), cells.Voronoi(count=(2, 5)), p=0.7),
            Local(GaussianNoise(std=0.2), masks.FromTensor()),
            OneOf(Partition(child(0.5), cells.Grid(rows=2, columns=2)), GaussianNoise(std=0.1)),
            n=(1, 3),
        ),
        Local(Jpeg(quality=20), masks.Edges(area=0.3), p=0.6),
    )
    ids = np.arange(24)
    program = Pipeline(recipe, seed=3).sample(ids, SIZE)
    mask = photo(24, *SIZE, torch.float32)[:, :1].to(device)
    x = photo(24, *SIZE, dtype).to(device)
    got, want = (degrade.apply(program, x, mask, backend=backend) for backend in ("triton", "torch"))
    assert torch.equal(got, want) and not torch.equal(got, x)
    order = np.array([7, 3, 20])
    assert torch.equal(degrade.apply(program[order], x[order], mask[order], backend="triton"), got[order])


def test_cells_draw_independently():
    """Each by its own chance, and noise of one is not that of another."""
    pipe = Pipeline(Partition(MeanShift(0.2, p=0.3), cells.Grid(rows=4, columns=8)), seed=1)
    taken = pipe.sample(range(300), SIZE).code >= 0
    assert abs(taken.mean() - 0.3) < 0.01
    counts = np.bincount(taken.sum(1), minlength=33)
    expected = scipy.stats.binom.pmf(np.arange(33), 32, 0.3) * 300
    assert np.abs(counts - expected).max() < 25
    x = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
    y = Pipeline(Partition(GaussianNoise(std=0.1), cells.Grid(rows=1, columns=2)), seed=1)(x, ids=[0])
    left, right = (part.to(torch.float64).flatten() for part in (y[0, :, :, :32], y[0, :, :, 32:]))
    assert abs(np.corrcoef(left, right)[0, 1]) < 0.05


def test_a_cell_reads_the_image_as_it_was():
    """What a blur brings across an edge is the original, whatever the neighbour gets."""
    x = torch.zeros(1, 3, 32, 64, dtype=torch.uint8)
    x[..., 32:] = 200
    bright = OneOf(MeanShift(0.9), GaussianBlur(sigma=3.0))
    pipe = Pipeline(Partition(bright, cells.Grid(rows=1, columns=2)), seed=0)
    program = pipe.sample(range(40), (32, 64))
    both = [i for i in range(40) if [program.ops[c] for c in program.code[i]] == ["mean_shift", "gaussian_blur"]]
    y = pipe(x, ids=both[:1])
    assert (y[0, :, :, :32] > 220).all()
    whole = Pipeline(GaussianBlur(sigma=3.0), seed=0)(x, ids=[0])
    assert torch.equal(y[0, :, :, 32:], whole[0, :, :, 32:])


# ---- cells --------------------------------------------------------------------------------------------------------------


def maps_of(program):
    return program.maps.to(torch.int64)


@pytest.mark.parametrize("size", [(40, 55), (1, 1), (3, 200)], ids=str)
def test_voronoi_cells_are_nearest_points(size):
    pipe = Pipeline(Partition(MeanShift(0.2), cells.Voronoi(count=(1, 12))), seed=2)
    x = photo(6, *size)
    program = pipe(x, ids=range(6), labels=True)[1].program
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    for i in range(6):
        points_y, points_x, real = _cells.VoronoiCell.points(program.numbers[i, :1], *size)
        away = (y[..., None] - points_y[0, real[0]]) ** 2 + (x[..., None] - points_x[0, real[0]]) ** 2
        found = program.maps[int(program.numbers[i, 0, 0])].numpy().astype(int)
        nearest = np.take_along_axis(away, found[..., None], 2)[..., 0]
        assert np.allclose(nearest, away.min(2), rtol=1e-5)
        assert 0 <= points_y.min() and points_y[real].max() < size[0] and real.sum() == program.numbers[i, 0, 2]


def test_voronoi_points_are_uniform():
    numbers = np.zeros((200, 16), dtype=np.float32)
    numbers[:, 2:5] = np.column_stack([np.full(200, 128), np.random.default_rng(0).integers(0, 1 << 24, (200, 2))])
    y, x, _ = _cells.VoronoiCell.points(numbers, 10, 20)
    assert scipy.stats.kstest(y.ravel() / 10, "uniform").pvalue > 1e-4 and scipy.stats.kstest(x.ravel() / 20, "uniform").pvalue > 1e-4
    assert abs(np.corrcoef(y.ravel(), x.ravel())[0, 1]) < 0.03


@pytest.mark.parametrize("size", [(60, 90), (7, 5), (1, 1)], ids=str)
def test_grids_part_evenly(size):
    pipe = Pipeline(Partition(MeanShift(0.2), cells.Grid(rows=5, columns=3)), seed=2)
    found = maps_of(pipe(photo(1, *size), ids=[0], labels=True)[1].program)[0].numpy()
    rows, columns = ([np.floor(i * length / n) for i in range(n + 1)] for length, n in zip(size, (5, 3)))
    for r in range(5):
        for c in range(3):
            part = found[int(rows[r]) : int(rows[r + 1]), int(columns[c]) : int(columns[c + 1])]
            assert (part == r * 3 + c).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(67, 90), (5, 3), (200, 9)], ids=str)
def test_boxes_hold_their_cells(kind, size):
    """And are not much larger than they have to be."""
    pipe = Pipeline(Partition(MeanShift(0.2), KINDS[kind]), seed=7)
    extra = {"segments": segments(size, 12)} if kind == "segments" else {}
    program = pipe(photo(12, *size), ids=range(12), labels=True, **extra)[1].program
    slack = []
    for i in range(12):
        for region in np.flatnonzero(program.family[i] >= 0):
            inside = cell_mask(program[[i]], region).numpy()
            ((y0, y1, x0, x1),) = masks.find(program.families[program.family[i, region]]).support(program.numbers[i, region][None], *size)
            outside = inside.copy()
            outside[y0:y1, x0:x1] = False
            assert not outside.any()
            if inside.any():
                y, x = inside.nonzero()
                slack.append((y1 - y0) * (x1 - x0) / ((np.ptp(y) + 1) * (np.ptp(x) + 1)))
    if min(size) > 60:
        assert np.median(slack) < (2.5 if kind == "voronoi" else 1.01)


def test_segments_are_cells_in_the_order_of_their_labels():
    given = segments()
    pipe = Pipeline(Partition(MeanShift(0.2), cells.Segments(most=3, ignore=[2])), seed=2)
    program = pipe(photo(4, *SIZE), ids=IDS, labels=True, segments=given)[1].program
    for i in range(4):
        found = program.maps[int(program.numbers[i, 0, 0])]
        labels = [label for label in given[i].unique().tolist() if label != 2]
        for index, label in enumerate(labels):
            assert (found[given[i] == label] == index).all()
        assert (found[given[i] == 2] == -1).all()
    hot = torch.stack([given == label for label in range(60)], 1)
    again = Pipeline(Partition(MeanShift(0.2), cells.Segments(most=3, ignore=[2])), seed=2)(photo(4, *SIZE), ids=IDS, labels=True, segments=hot)[
        1
    ].program
    assert torch.equal(again.maps, program.maps)


def test_of_masks_that_overlap_the_first_counts():
    soft = torch.zeros(1, 3, 4, 4)
    soft[0, 0, :2], soft[0, 1, 1:3], soft[0, 2, 3] = 0.6, 1.0, 0.4
    program = Pipeline(Partition(MeanShift(0.2), cells.Segments()), seed=2)(photo(1, 4, 4), ids=[0], labels=True, segments=soft)[1].program
    assert program.maps[0, :, 0].tolist() == [0, 0, 1, -1]


# ---- programs and labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_alone_and_in_a_batch(kind):
    x, pipe = photo(4, *SIZE), pipeline(kind)
    whole, labels = pipe(x, ids=IDS, labels=True, **given(kind))
    order = np.array([2, 0])
    part = {name: value[order] for name, value in given(kind).items()}
    some, own = pipe(x[order], ids=IDS[order], labels=True, **part)
    assert torch.equal(some, whole[order]) and torch.equal(own.masks, labels.masks[order])
    joined = Labels.collate([pipe(x[i], ids=[i], labels=True, **{n: v[i] for n, v in given(kind).items()})[1] for i in range(4)])
    assert torch.equal(joined.masks, labels.masks)


@pytest.mark.parametrize("kind", KINDS)
def test_replay_and_files(kind, tmp_path):
    x = photo(4, *SIZE)
    y, labels = pipeline(kind)(x, ids=IDS, labels=True, **given(kind))
    labels.program.save(tmp_path / "program.json")
    loaded = Program.load(tmp_path / "program.json")
    assert loaded.equals(labels.program) and torch.equal(degrade.apply(loaded, x), y)
    pipeline(kind).save(tmp_path / "pipe.yaml")
    again = Pipeline.load(tmp_path / "pipe.yaml")
    assert repr(again) == repr(pipeline(kind)) and "Partition(" in repr(again)
    assert torch.equal(again(x, ids=IDS, **given(kind)), y)


def test_labels():
    x = photo(4, *SIZE)
    y, labels = pipeline("voronoi")(x, ids=IDS, labels=True)
    program = labels.program
    changed = (y != x).any(1)
    assert not (changed & (labels.masks.amax(1) == 0)).any()
    for i in range(4):
        for slot in np.flatnonzero(program.code[i] >= 0):
            (cell,) = np.flatnonzero((program.partition >= 0) & (program.first[i] <= slot) & (slot <= program.last[i]))
            weight = labels.masks[i, slot]
            assert (weight[~cell_mask(program[[i]], cell)] == 0).all()
    assert labels.effect(x).change.shape == program.code.shape
    assert "in voronoi_cell" in program.describe(0)


def test_chance_of_the_whole():
    pipe = Pipeline(Partition(MeanShift(0.2), cells.Grid(rows=2, columns=2), p=0.4), seed=1)
    assert abs((pipe.sample(range(2000), SIZE).code >= 0).all(1).mean() - 0.4) < 0.04


def test_as_many_cells_as_there_can_be():
    x = photo(2, 64, 64)
    pipe = Pipeline(Partition(MeanShift(0.2), cells.Voronoi(count=128)), seed=1)
    y, labels = pipe(x, ids=range(2), labels=True)
    assert (labels.area.sum(1) - 1.0).abs().max() < 1e-5 and labels.program.slots == 128
    assert torch.equal(y, Pipeline(MeanShift(0.2), seed=1)(x, ids=range(2)))


@pytest.mark.parametrize("most", [1, 7, 100])
def test_what_is_drawn_together_is_as_if_drawn_apart(monkeypatch, most):
    """The same op or mask in many places, at two scales of lengths, by chance; `most` samples at once, or all."""
    noise, blob = GaussianNoise(std=(0.1, 0.3), p=0.7), masks.Blob()
    inner = OneOf(child(), Relative(GaussianBlur(sigma=(0.5, 3.0)), 256), Local(Compose(noise, MeanShift(severity=(0.0, 1.0))), blob))
    pipe = Pipeline(Compose(noise, Partition(inner, cells.Voronoi(count=(1, 40)), p=0.9), Local(noise, blob), Relative(noise, 100)), seed=2)
    together = pipe.sample(range(30), SIZE)
    monkeypatch.setattr(sheet, "TOGETHER", most)
    assert pipe.sample(range(30), SIZE).equals(together) and (together.code >= 0).sum() > 300


@pytest.mark.parametrize("size", [(1, 1), (67, 90), (33, 7), (200, 31)])
def test_voronoi_cells_are_painted_where_they_may_lie(size):
    """As if every pixel were held against every point; of points at one distance the first."""
    numbers, count = cells.Voronoi(count=(1, 128)).cells(np.random.default_rng(0).random((12, 3)), *size)
    numbers = numbers[:, 0]
    made = _cells.VoronoiCell.paint(numbers, *size, torch.device("cpu"), None)
    ys, xs, _ = _cells.VoronoiCell.points(numbers, *size)
    y, x = (np.arange(length, dtype=np.float32) + np.float32(0.5) for length in size)
    for i in range(12):
        down, across = y[:, None] - ys[i, : count[i], None, None], x - xs[i, : count[i], None, None]
        assert np.array_equal(made[i].numpy(), (down * down + across * across).argmin(0))


def test_occupied_slots_of_regions():
    """Held against each region looked at by itself."""
    random = np.random.default_rng(0)
    for slots, regions in ((1, 1), (5, 3), (12, 7), (6, 0)):
        code = random.integers(-3, 3, (40, slots))
        first = random.integers(-1, slots, (40, regions))
        last = np.where(first < 0, -1, random.integers(np.maximum(first, 0), slots))
        begin, end, empty = occupied(code, first, last)
        for b, r in np.ndindex(40, regions):
            own = [s for s in range(max(first[b, r], 0), last[b, r] + 1) if code[b, s] >= 0]
            assert (begin[b, r], end[b, r], empty[b, r]) == ((own[0], own[-1], False) if own else (-1, -1, True))


def test_expected_and_explain():
    pipe = pipeline("voronoi")
    assert pipe.expected(50, (32, 32)).samples == 50
    told = pipe.explain(SIZE, 4)
    assert [row.kind for row in told.rows][:2] == ["copy", "settle"] and told.bytes > 0
    # A quarter of the frame is no more than a quarter of the work of point ops, but for tiles that stick out.
    part, whole = (Pipeline(Partition(MeanShift(0.2), cells.Grid(rows=n, columns=n)), seed=1).explain((512, 512), 2) for n in (8, 1))
    assert part.rows[1].tiles <= 1.01 * whole.rows[1].tiles


# ---- bad input ----------------------------------------------------------------------------------------------------------


def test_bad_cells():
    for make, error, message in (
        (lambda: cells.Voronoi(count=0), ValueError, "count=0 is out of range; accepted: 1 to 128"),
        (lambda: cells.Voronoi(count=(2, 200)), ValueError, "count=200 is out of range"),
        (lambda: cells.Grid(rows=20, columns=10), ValueError, "make up to 200 cells; accepted: at most 128"),
        (lambda: cells.Grid(rows="many"), (TypeError, ValueError), "rows"),
        (lambda: cells.Voronio(), AttributeError, "cells 'Voronio' is unknown; did you mean 'Voronoi'"),
        (lambda: cells.Segments(most=0), ValueError, "most=0 is not accepted"),
        (lambda: cells.Segments(ignore=range(0, 400, 2)), ValueError, "accepted: labels that form 1 to 7 runs"),
        (lambda: Partition(MeanShift(0.2), masks.Voronoi()), TypeError, "cells=.* accepted: cells.Voronoi"),
        (lambda: Partition("blur", cells.Grid()), TypeError, "child 'blur' is not understood"),
        (lambda: Partition(Partition(MeanShift(0.2), cells.Grid()), cells.Grid()), ValueError, "Partition inside Partition is not accepted"),
        (lambda: Local(Compose(Partition(MeanShift(0.2), cells.Grid())), masks.Ellipse()), ValueError, "Partition inside Local is not accepted"),
        (lambda: Pipeline(Partition(Compose(*[MeanShift(0.2)] * 40), cells.Voronoi(count=128))), ValueError, "recipe has 5120 slots"),
    ):
        with pytest.raises(error, match=message):
            make()


def test_a_cell_is_no_mask():
    with pytest.raises(ValueError, match=r"mask=GridCell\(\) is a part of a partition"):
        Pipeline(Local(MeanShift(0.2), _cells.GridCell())).sample([0], SIZE)
    assert "GridCell" not in masks.__all__


def test_segments_are_missing():
    with pytest.raises(ValueError, match=r"segments=None, but the pipeline holds .*cells\.Segments"):
        pipeline("segments")(photo(4, *SIZE), ids=IDS)


def test_views_share_their_cells():
    """Masks drawn with equal ids are equal cells; each view's ops are its own."""
    pipe = pipeline("voronoi")
    first, second = (pipe.sample(ids, SIZE, mask_ids=[7, 8, 9, 10]) for ids in (range(4), range(50, 54)))
    both = (first.family >= 0) & (second.family >= 0) & (first.partition >= 0)
    assert both.any() and np.array_equal(first.numbers[both], second.numbers[both]) and not np.array_equal(first.code, second.code)

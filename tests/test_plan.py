"""The planner, on the host: how many launches, and which tiles of whom."""

import itertools

import numpy as np
import pytest
import torch
from test_engine import DEVICE_OPS, mixed

import degrade
from degrade import Compose, Local, OneOf, Pipeline, SomeOf, masks
from degrade.backends import rectangles, tiles
from degrade.backends.plan import make_plan
from degrade.kernels import plan as layout
from degrade.kernels.fetch import TILE_COLUMNS, TILE_ROWS
from degrade.ops import REGISTRY, TwoStrokeOp, find

SIZE = (224, 256)
FRAME = (224 // TILE_ROWS) * (256 // TILE_COLUMNS)


def planned(recipe, count=64, size=SIZE):
    program = Pipeline(recipe, seed=1).sample(range(count), size)
    return program, make_plan(program, program.numbers)


def items(plan, launch):
    """The work items of a launch, and the item of each tile."""
    tiles = launch.item_of_tiles(plan.arena)
    count = tiles.max(initial=-1) + 1
    return plan.arena[launch.items : launch.items + count * layout.ITEM].reshape(count, layout.ITEM), tiles


def two_stroke(program):
    return np.isin(program.code, [i for i, name in enumerate(program.ops) if issubclass(find(name), TwoStrokeOp)]) & ~program.identity()


@pytest.mark.parametrize("seed", range(3))
def test_launches_are_twice_the_deepest_chain_plus_one(seed):
    """With ops of one pass each, whatever the mixture."""
    simple = [op() for op in DEVICE_OPS.values() if not getattr(op, "several", False)]
    program = Pipeline(SomeOf(*simple, n=(1, 4)), seed=seed).sample(range(40), (33, 48))
    plan = make_plan(program, program.numbers)
    depth = two_stroke(program).sum(1).max()
    assert [launch.kind for launch in plan.launches] == ["settle", *(["reach", "settle"] * depth)]


@pytest.mark.parametrize("seed", range(3))
def test_each_settle_follows_the_passes_of_every_kernel(seed):
    program = mixed(seed).sample(range(40), (33, 48))
    plan = make_plan(program, program.numbers)
    strokes = two_stroke(program)
    depth = strokes.sum(1)
    kinds = [launch.kind for launch in plan.launches]
    settles = [i for i, kind in enumerate(kinds) if kind == "settle"]
    assert len(settles) == depth.max() + 1 and kinds[0] == kinds[-1] == "settle"
    for k, (before, after) in enumerate(itertools.pairwise(settles), start=1):
        slot = np.where(strokes.cumsum(1) == k, strokes, False).argmax(1)
        passes = {}  # of each kernel, the most that a sample at its k-th two-stroke op takes
        for n in np.flatnonzero(depth >= k):
            op, theta = find(program.ops[program.code[n, slot[n]]]), program.theta[n, slot[n]][None]
            count = int((op.schedule(theta, op.frame(program.key, program.ids[n : n + 1], slot[n : n + 1], 33, 48)) >= 0).sum())
            kernel = op.name if op.several else ""
            passes[kernel] = max(passes.get(kernel, 0), count)
        assert after - before - 1 == sum(passes.values())
        for launch in plan.launches[before + 1 : after + 1]:  # finished samples are not launched again
            assert set(items(plan, launch)[0][:, layout.SAMPLE]) <= set(np.flatnonzero(depth >= k))


def tiles_of(plan, launch):
    """Of every tile of a launch: its item, and its row and column."""
    work, of = items(plan, launch)
    item = work[of]
    tile = np.arange(len(of)) - item[:, layout.FIRST_TILE]
    return item, item[:, layout.TILE_Y] + tile // item[:, layout.TILES_WIDE], item[:, layout.TILE_X] + tile % item[:, layout.TILES_WIDE]


def meets(item, row, column, rect):
    y0, y1, x0, x1 = item[:, rect : rect + 4].T
    return (row * TILE_ROWS < y1) & ((row + 1) * TILE_ROWS > y0) & (column * TILE_COLUMNS < x1) & ((column + 1) * TILE_COLUMNS > x0)


@pytest.mark.parametrize("seed", range(3))
def test_each_tile_leaves_once_and_none_is_read_that_was_not_written(seed):
    """Tiles go to the result by the last settle that changes them; a reach finds all it reads on the canvas."""
    program = mixed(seed).sample(range(40), SIZE)
    plan = make_plan(program, program.numbers)
    left = np.zeros((40, SIZE[0] // TILE_ROWS, SIZE[1] // TILE_COLUMNS), dtype=int)
    written = np.zeros_like(left, dtype=bool)
    for number, launch in enumerate(plan.launches):
        if not launch.tiles:
            continue
        item, row, column = tiles_of(plan, launch)
        at = item[:, layout.SAMPLE], row, column
        if launch.kind == "reach":
            assert written[at][item[:, layout.SOURCE] == 0].all()
            continue
        assert number == 0 or (written[at].all() and (left[at] == 0).all()), "a settle works on what is not finished"
        np.add.at(left, at, ~meets(item, row, column, layout.CHANGES))
        written[at] |= meets(item, row, column, layout.READS)
    assert (left == 1).all()


def test_point_ops_take_one_launch():
    _, plan = planned(Compose(degrade.MeanShift(), degrade.GaussianNoise(), Local(degrade.ImpulseNoise(), masks.Blob())))
    assert [(launch.kind, launch.tiles) for launch in plan.launches] == [("settle", 64 * FRAME)]


def test_launches_over_whole_frames_need_no_list():
    """Of pipelines without masks all; else the first, so that no kernel is built twice for one pipeline."""
    _, plan = planned(Compose(degrade.GaussianBlur(), degrade.Jpeg(quality=30)))
    assert [launch.grid for launch in plan.launches] == [(256 // TILE_COLUMNS, 224 // TILE_ROWS, 64)] * 5
    _, plan = planned(Local(degrade.Jpeg(quality=30), masks.Gradient()))
    assert [launch.even is None for launch in plan.launches] == [False, True, True]
    _, plan = planned(degrade.Jpeg2000(ratio=80))
    assert {launch.even is None for launch in plan.launches if launch.kind == "reach"} == {True}, "its passes keep to parts of the frame"


def test_more_items_than_a_grid_is_deep_take_a_list(monkeypatch):
    monkeypatch.setattr(tiles, "MOST_ITEMS", 4)
    recipe = Compose(degrade.GaussianBlur(), degrade.Jpeg(quality=37))  # drawn by no other test: layouts are kept
    for count, grid in ((4, (8, 14, 4)), (5, (5 * FRAME, 1, 1))):
        _, plan = planned(recipe, count)
        assert {launch.grid for launch in plan.launches} == {grid}


def test_tiles_cover_their_rectangles_once():
    _, plan = planned(Local(OneOf(*(op() for op in DEVICE_OPS.values())), masks.Ellipse()), size=(225, 223))
    for launch in plan.launches:
        work, tiles = items(plan, launch)
        assert (np.diff(tiles) >= 0).all()
        for i, item in enumerate(work):
            mine = np.flatnonzero(tiles == i)
            if len(mine):
                assert mine[0] == item[layout.FIRST_TILE] and len(mine) % item[layout.TILES_WIDE] == 0
                assert item[layout.TILE_Y] + len(mine) // item[layout.TILES_WIDE] <= -(-225 // TILE_ROWS)
                assert item[layout.TILE_X] + item[layout.TILES_WIDE] <= -(-223 // TILE_COLUMNS)


@pytest.mark.parametrize("name", [n for n, op in REGISTRY.items() if issubclass(op, TwoStrokeOp) and not op.whole_frame])
def test_reach_is_the_support_dilated_by_the_radius(name):
    program, plan = planned(Local(REGISTRY[name](severity=0.3), masks.Ellipse(area=0.05, feather=0.02)))
    reach = plan.launches[1]
    work, tiles = items(plan, reach)
    support = masks.find("ellipse").support(program.numbers[:, 0], *SIZE)
    radius = REGISTRY[name].radius(program.theta[:, 0])
    for i, item in enumerate(work):
        n = item[layout.SAMPLE]
        high = (tiles == i).sum() // item[layout.TILES_WIDE]
        y0, y1, x0, x1 = support[n]
        wanted = max(y0 - radius[n], 0), min(y1 + radius[n], SIZE[0]), max(x0 - radius[n], 0), min(x1 + radius[n], SIZE[1])
        assert item[layout.TILE_Y] == wanted[0] // TILE_ROWS and item[layout.TILE_Y] + high == -(-wanted[1] // TILE_ROWS)
        assert item[layout.TILE_X] == wanted[2] // TILE_COLUMNS
        assert item[layout.TILE_X] + item[layout.TILES_WIDE] == -(-wanted[3] // TILE_COLUMNS)
    assert reach.tiles < 0.4 * 64 * FRAME


def test_a_statistic_reads_the_whole_frame():
    _, plan = planned(Local(degrade.Contrast(), masks.Ellipse(area=0.02)))
    assert plan.launches[1].tiles == 64 * FRAME


def test_only_the_first_settle_covers_the_frame():
    blur = Local(degrade.GaussianBlur(2.0), masks.Rectangle(area=0.05, feather=0.0))
    _, plan = planned(Compose(blur, blur, blur))
    tiles = [launch.tiles for launch in plan.launches]
    assert tiles[0] == 64 * FRAME
    # Each keeps to what is changed from there on: the last to its own region.
    assert tiles[2] > tiles[4] > tiles[6] and tiles[6] < 0.2 * 64 * FRAME


def test_everything_goes_up_in_one_array_of_int32():
    program, plan = planned(mixed().recipe)
    assert plan.arena.dtype == np.int32 and plan.arena.ndim == 1
    theta = program.theta.reshape(-1).view(np.int32)
    table = plan.arena[plan.sections["instructions"] :][: len(program) * plan.positions * layout.INSTRUCTION].reshape(
        len(program), -1, layout.INSTRUCTION
    )
    for n, position in zip(*np.nonzero(table[..., layout.CODE] >= 0)):
        step = table[n, position]
        assert np.array_equal(plan.arena[step[layout.THETA] :][:8], theta.reshape(len(program), -1, 8)[n, step[layout.STREAM] >> 16])


def test_nothing_is_launched_where_a_mask_lies_outside_the_frame():
    """An empty support leaves only the copy."""
    program = Pipeline(Local(degrade.GaussianBlur(2.0), masks.Rectangle(area=0.1))).sample([0], SIZE)
    program.numbers[0, 0, :2] = 10_000.0  # the centre
    plan = make_plan(program, program.numbers)
    assert plan.launches[1].tiles == 0
    x = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    assert torch.equal(degrade.apply(program, x), x)


def pixels(rect):
    """The pixels of rectangles (4, n), in a frame of 12 by 9: (n, 12, 9) bool."""
    y0, y1, x0, x1 = rectangles.bounds(rect).T[:, :, None, None]
    y, x = np.arange(12)[:, None], np.arange(9)
    return (y0 <= y) & (y < y1) & (x0 <= x) & (x < x1)


def test_rectangles_are_what_their_pixels_say():
    """Grown, intersected and covered; empty ones among them."""
    rng = np.random.default_rng(0)
    bounds = rng.integers(0, (12, 13, 9, 10), (400, 4), dtype=np.int32)
    rect = rectangles.outwards(bounds)
    assert np.array_equal(rectangles.bounds(rect), bounds)
    assert np.array_equal(rectangles.real(rect), pixels(rect).any((1, 2)))
    a, b = rect[:, :200], rect[:, 200:]
    assert np.array_equal(pixels(rectangles.intersect(a, b)), pixels(a) & pixels(b))
    assert np.array_equal(pixels(rectangles.shared(np.stack((a, b, a), 1))), pixels(a) & pixels(b))
    for common in (rectangles.intersect(a, b), rectangles.shared(np.stack((a, b), 1))):  # or a tile around an empty one would seem to meet it
        assert not common[:, ~pixels(common).any((1, 2))].any()
    frame = np.array([[0], [12], [0], [9]], dtype=np.int32)
    radius = rng.integers(0, 5, 400)
    for inside, by, grown in zip(pixels(rect), radius, pixels(rectangles.dilate(rect, radius, frame))):
        around = np.zeros((12, 9), dtype=bool)
        for y, x in np.argwhere(inside):
            around[max(y - by, 0) : y + by + 1, max(x - by, 0) : x + by + 1] = True
        assert np.array_equal(grown, around)
    cover = rectangles.cover_from(np.stack((a, b), 1))
    assert cover.shape == (4, 3, 200) and not cover[:, 2].any()
    for first, second, both, last in zip(pixels(a), pixels(b), pixels(cover[:, 0]), pixels(cover[:, 1])):
        assert np.array_equal(last, second)
        y, x = np.nonzero(first | second)
        wanted = np.zeros((12, 9), dtype=bool)
        wanted[y.min(initial=99) : y.max(initial=-1) + 1, x.min(initial=99) : x.max(initial=-1) + 1] = True
        assert np.array_equal(both, wanted)

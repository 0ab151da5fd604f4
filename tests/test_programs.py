"""Random programs: the kernels' results held against the twin's.

Every slot by itself: the twin is fed the kernels' own result of the slot before, so a difference shows where it arises, and none grows through a codec or a
strong contrast before it is looked at. Kernels are built for the ops that a program may hold, so 16 groups of ops stand in for all of them: 10,240 programs.
And whole programs of trees as deep as a user may build them, of which pixels outside all masks are as they came.
"""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from strategies import DEVICE_OPS
from test_engine import difference, photo, tolerance

import degrade
from degrade import Choice, Compose, Local, OneOf, Partition, Phase, Pipeline, SomeOf, Uniform, cells, masks
from degrade.backends.canvas import blend, round_float
from degrade.backends.masking import Masks
from degrade.backends.native import interpreted
from degrade.ops import REGISTRY, find

GROUPS, BATCH = 16, 128
# Of each batch of a group, its dtype and size. In float32 nothing is rounded between slots that a result does not show.
BATCHES = (
    (torch.float32, (40, 56)),
    (torch.float32, (17, 33)),
    (torch.float32, (67, 35)),
    (torch.uint8, (64, 48)),
    (torch.uint8, (1, 29)),
)
DRAWN = sorted(name for name, family in masks.FAMILIES.items() if not family.reads_map)
COMBINED = (masks.Union, masks.Intersection, masks.Difference, masks.Product)


def an_op(draw, name):
    """An op with parameters from all of their ranges, or with a severity; some leave a slot empty."""
    op, p = REGISTRY[name], draw.choice((1.0, 1.0, 0.8))
    if draw.random() < 0.3:
        return op(severity=Uniform(0.0, 1.0), p=p)
    spreads = {
        k: Choice(q.choices) if q.choices else Choice(range(int(q.low), int(q.high) + 1)) if q.integer else Uniform(q.low, q.high)
        for k, q in op.parameters.items()
    }
    return op(p=p, **{k: spread for k, spread in spreads.items() if draw.random() < 0.8})


def a_mask(draw, depth=1):
    if depth and draw.random() < 0.3:
        return draw.choice(COMBINED)(a_mask(draw, 0), a_mask(draw, 0))
    if draw.random() < 0.1:
        return masks.Invert(a_mask(draw, 0))
    return masks.FAMILIES[draw.choice(DRAWN)](area=Uniform(0.02, 0.9), feather=Uniform(0.0, 0.5))


def confined(draw, op):
    """An op over the frame, with a block grid that begins elsewhere, under a mask, or as strong as one."""
    kind = draw.random()
    if kind < 0.3:
        return Phase(op) if op.on_grid and kind < 0.2 else op
    if kind < 0.5:
        return Local(op, a_mask(draw, 0), blend="modulate")
    return Local(op, a_mask(draw), space=draw.choice(("gamma", "linear")))


def a_tree(draw, names, depth=3, chained=False):
    """Any recipe of these ops. chained: whether it stands in a chain or in a cell, where not everything may."""
    kind = draw.random()
    if not depth or kind < 0.15:
        op = an_op(draw, draw.choice(names))
        return (Local(op, a_mask(draw)) if draw.random() < 0.5 else op) if chained else confined(draw, op)
    if kind < 0.5:
        return Local(a_tree(draw, names, depth - 1, True), a_mask(draw), p=draw.choice((1.0, 0.8)), space=draw.choice(("gamma", "linear")))
    if kind < 0.55 and not chained:
        return Partition(a_tree(draw, names, depth - 1, True), draw.choice((cells.Grid(2, 3), cells.Voronoi(5))))
    children = [a_tree(draw, names, depth - 1, chained) for _ in range(draw.choice((2, 3)))]
    return draw.choice((Compose(*children), OneOf(*children), SomeOf(*children, n=Choice(range(len(children) + 1)))))


def recipe(draw, names):
    """Some of the ops in any order, then a chain of two under one mask, which spans the last two slots."""
    single = [confined(draw, an_op(draw, name)) for name in names]
    ends = [Local(an_op(draw, name), a_mask(draw, 0)) if draw.random() < 0.5 else an_op(draw, name) for name in draw.sample(names, 2)]
    chain = Local(Compose(*ends), a_mask(draw), space=draw.choice(("gamma", "linear")))
    return Compose(SomeOf(*single, n=Choice(range(3))), OneOf(*single), chain)


def every_slot(program, x):
    """The images after each slot by the kernels, from those before it; each is held against the twin's."""
    steps = [x]
    for slot in range(program.slots):
        own = program.between(np.full(len(x), slot), np.full(len(x), slot + 1))
        fast = degrade.apply(own, steps[-1], backend="triton")
        slow = degrade.apply(own, steps[-1].cpu(), backend="torch")
        for row, code in enumerate(own.code[:, slot].tolist()):
            off = difference(fast[row].cpu(), slow[row])
            allowed = 0.0 if code < 0 else tolerance(find(own.ops[code]), x.dtype, x.device.type)
            assert off <= allowed, f"slot {slot} differs by {off:.3g}, allowed {allowed:.3g}: {own.describe(row)}, id {own.ids[row]}"
        steps.append(fast)
    return steps


def without_chain(program):
    """The same with no mask around the last two slots together, and those masks: (b, r) bool, by their leader."""
    chain = (program.first < program.last) & (program.family >= 0)
    return replace(program, family=np.where(chain, np.int16(-1), program.family)), chain


def chained(program, before, x):
    """What the mask around the last two slots makes of the images before them, by the kernels' own."""
    bare, chain = without_chain(program)
    inside = degrade.apply(bare, x, backend="triton").cpu()
    out = inside.clone()
    rows = np.flatnonzero(chain.any(1))
    given = Masks(program, None, torch.device("cpu"))
    weight, _ = given.weights(rows, chain[rows])
    at = torch.from_numpy(rows)
    out[at] = blend(before.cpu()[at], inside[at], weight, given.in_linear_light(chain[rows]), round_float)
    return out


@pytest.mark.device
@pytest.mark.heavy
@pytest.mark.parametrize("group", range(GROUPS))
def test_every_slot_of_ten_thousand_programs(device, group):
    draw = random.Random(group)
    pipe = Pipeline(recipe(draw, DEVICE_OPS[group::GROUPS]), seed=group)
    for number, (dtype, size) in enumerate(BATCHES):
        ids = np.arange(number * BATCH, (number + 1) * BATCH)
        x, program = photo(BATCH, *size, dtype, seed=number).to(device), pipe.sample(ids, size)
        y = degrade.apply(program, x, backend="triton")
        order = np.random.default_rng(number).permutation(BATCH)
        half = BATCH // 2
        parts = [degrade.apply(program[rows], x[rows], backend="triton") for rows in (order[:half], order[half:])]
        assert torch.equal(torch.cat(parts), y[order]), "other batches, other results"
        steps = every_slot(program, x)
        if dtype == torch.float32:
            want, got = chained(program, steps[-3], x), y.cpu()
            # Decoded and encoded again, linear light differs on a card by as much as its roots do.
            assert difference(got, want) <= (0.0 if device == "cpu" else 1e-6), "slots together differ from one after the other"


@pytest.mark.device
@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.heavy) for seed in range(3, 40))])
def test_trees(device, seed):
    draw, (largest, count) = random.Random(seed), (16, 2) if interpreted() else (74, 24)
    size, dtype = (draw.randint(1, largest), draw.randint(1, largest)), draw.choice((torch.uint8, torch.float16, torch.float32))
    x = photo(count, *size, dtype, seed=seed).to(device)
    program = Pipeline(a_tree(draw, draw.sample(DEVICE_OPS, 3)), seed=seed).sample(np.arange(count), size)
    fast, slow = degrade.apply(program, x, backend="triton"), degrade.apply(program, x.cpu(), backend="torch")
    if device == "cpu":
        assert torch.equal(fast, slow)
    else:  # one flipped rounding before a codec may grow
        slack = {torch.uint8: 1.0, torch.float16: 2**-10, torch.float32: 1e-5}[dtype]
        assert ((fast.cpu().float() - slow.float()).abs() > slack).float().mean() < 0.01
    if not (program.partition >= 0).any():
        untouched = (degrade.Labels(program).masks == 0).all(1)[:, None].expand_as(x).to(device)
        assert torch.equal(fast[untouched], x[untouched])

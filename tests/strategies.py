"""Hypothesis strategies that draw whole pipelines. Ops and masks come from their registries, so later ones join by themselves."""

import torch
from hypothesis import strategies as st

from degrade import Choice, Compose, Local, OneOf, SomeOf, masks
from degrade.ops import REGISTRY

DEVICE_OPS = sorted(name for name, op in REGISTRY.items() if op.kind != "codec")  # those that run on both backends
DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32)
chance = st.sampled_from([1.0, 1.0, 0.5])


@st.composite
def ops(draw):
    """An op with its defaults, a severity, or numbers anywhere in its accepted ranges."""
    op = REGISTRY[draw(st.sampled_from(DEVICE_OPS))]
    p = draw(chance)
    how = draw(st.sampled_from(["default", "severity", "numbers"]))
    if how == "default":
        return op(p=p)
    if how == "severity":
        return op(p=p, severity=draw(st.floats(0, 1)), direction=draw(st.sampled_from(["up", "down", "both"])))
    given = {}
    for name, q in op.parameters.items():
        whole = st.integers(int(q.low), int(q.high))
        given[name] = draw(st.sampled_from(q.choices) if q.choices else whole if q.integer else st.floats(q.low, q.high))
    return op(p=p, **given)


@st.composite
def families(draw, size):
    """A mask family with a drawn area and feather; FromTensor with maps of the frame's size."""
    family = masks.FAMILIES[draw(st.sampled_from(sorted(masks.FAMILIES.keys() - {"segments"})))]
    if family.name == "from_tensor":
        generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
        maps = torch.rand(2, *size, generator=generator) * draw(st.sampled_from([0.0, 1.0, 1.0]))
        return family(maps)
    placed = draw(st.booleans()) and "centre" in family.others
    centre = {"centre": (draw(st.floats(0.0, 1.0)), (0.0, 1.0))} if placed else {}
    return family(area=draw(st.floats(0.01, 1.0)), feather=draw(st.floats(0.0, 1.0)), **centre)


@st.composite
def recipes(draw, size, depth=2):
    """A tree of combinators over ops."""
    kind = draw(st.sampled_from(["op", "op", "local", "local", "compose", "one", "some"])) if depth else "op"
    if kind == "op":
        return draw(ops())
    p = draw(chance)
    if kind == "local":
        return Local(draw(recipes(size, depth - 1)), draw(families(size)), p=p, space=draw(st.sampled_from(["gamma", "gamma", "linear"])))
    children = draw(st.lists(recipes(size, depth - 1), min_size=1, max_size=3))
    if kind == "compose":
        return Compose(*children, p=p)
    if kind == "one":
        return OneOf(*children, weights=draw(st.none() | st.just(range(1, len(children) + 1))), p=p)
    n = draw(st.integers(0, len(children)))
    return SomeOf(*children, n=Choice([n, len(children)]), order=draw(st.sampled_from(["random", "recipe"])), p=p)


@st.composite
def cases(draw, largest=40, batch=4):
    """(recipe, images, ids): everything a call needs."""
    size = draw(st.sampled_from([(1, 1), (1, 7), (7, 13), (16, 32), (17, 33), (largest, largest - 3)]))
    recipe = draw(recipes(size))
    dtype = draw(st.sampled_from(DTYPES))
    b = draw(st.integers(1, batch))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 9)))
    x = torch.randint(0, 256, (b, 3, *size), dtype=torch.uint8, generator=generator)
    if dtype != torch.uint8:
        x = (x / 255 * draw(st.sampled_from([1.0, 0.9973]))).to(dtype)
    if draw(st.booleans()):
        x = x.to(memory_format=torch.channels_last)
    ids = draw(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=b, max_size=b))
    return recipe, x, ids

"""The two backends against each other, and both against the contracts: batch order, untouched pixels, every dtype and layout."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import degrade
from degrade import Compose, Local, OneOf, Pipeline, SomeOf, masks
from degrade.backends import tiles
from degrade.backends.launches import _single
from degrade.backends.native import interpreted
from degrade.backends.vocabulary import vocabulary_of
from degrade.kernels.fetch import SLACK
from degrade.ops import REGISTRY, find

DEVICE_OPS = {name: op for name, op in REGISTRY.items() if op.kind != "codec"}  # those that run on both backends
DTYPES = (torch.uint8, torch.float16, torch.bfloat16, torch.float32)
INTERPRETED = interpreted()  # seconds for a tile, so small images only
SIZES = ((1, 1), (7, 13), (33, 48)) if INTERPRETED else ((1, 1), (7, 13), (37, 50), (67, 70), (225, 223))


def mostly(dtype):
    """A dtype, and at length all others: ops one by one are run in fixed point, all of them together in float32."""
    return [dtype, *(pytest.param(other, marks=pytest.mark.heavy) for other in DTYPES if other != dtype)]


def photo(b, h, w, dtype=torch.uint8, seed=0):
    """Smooth structure with noise on it: neighbours differ, nothing is symmetric."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    base = 120 + 80 * np.sin(y / 5 + rng.uniform(0, 6, (b, 3, 1, 1))) * np.cos(x / 7 + rng.uniform(0, 6, (b, 3, 1, 1)))
    image = torch.from_numpy(np.clip(base + rng.normal(0, 25, (b, 3, h, w)), 0, 255).astype(np.uint8))
    return image if dtype == torch.uint8 else (image / 255).to(dtype)


def tolerance(op, dtype, device):
    """On the CPU none: both sides round each operation alike, but for the interpreter's stores of bfloat16, which truncate.

    On a card the op's own, plus one step of whatever rounds after it.
    """
    step = {torch.uint8: 1, torch.float16: 2**-11, torch.bfloat16: 2**-8, torch.float32: 0.0}[dtype]
    if device == "cpu":
        return step if INTERPRETED and dtype == torch.bfloat16 else 0.0
    if op.tolerance == 0:
        return step if dtype == torch.bfloat16 else 0.0
    return step + (op.tolerance if dtype != torch.uint8 else 0.0)


# One op of each kind: of values, of noise, of neighbours, of a statistic, of units and of blocks.
KINDS = ("mean_shift", "gaussian_noise", "gaussian_blur", "contrast", "jpeg", "pixelate")


def difference(a, b):
    return float((a.to(torch.float32) - b.to(torch.float32)).abs().max()) if a.numel() else 0.0


def mixed(seed=3, names=tuple(DEVICE_OPS)):
    """Every op, or these; every mask family, chains, nesting, and chance."""
    ops = [DEVICE_OPS[name]() for name in names]
    families = [f(area=(0.1, 0.6)) for n, f in masks.FAMILIES.items() if n not in ("from_tensor", "segments")]
    local = [Local(op, families[i % len(families)]) for i, op in enumerate(ops)]
    chain = Local(
        Compose(degrade.MeanShift(), degrade.GaussianBlur(sigma=(0.5, 2)), Local(degrade.Contrast(), masks.Ellipse())), masks.Rectangle(area=0.3)
    )
    return Pipeline(Compose(SomeOf(*local, n=(1, 2)), OneOf(chain, Compose(*ops[:2]), p=0.8)), seed=seed)


def every_op(size):
    """A mixed program that holds every op: for each the first sample that has it."""
    program = mixed().sample(range(2000), size)
    codes, first = np.unique(program.code.T, return_index=True)
    samples = np.unique(first[codes >= 0] % len(program))
    program = program[samples]
    assert {program.ops[code] for code in np.unique(program.code) if code >= 0} == set(DEVICE_OPS)
    return program


@pytest.mark.parametrize("size", [(33, 48), (225, 223)], ids=str)
def test_twin_alone_equals_batch_and_shuffle(size):
    x, ids = photo(6, *size), np.array([5, 900, 7, 2**40, 11, 3])
    pipe = mixed()
    whole = pipe(x, ids=ids)
    order = np.array([4, 0, 5, 2, 1, 3])
    assert torch.equal(pipe(x[order], ids=ids[order]), whole[order])
    for i in range(6):
        assert torch.equal(pipe(x[i : i + 1], ids=ids[i : i + 1])[0], whole[i]), f"sample {i} alone differs"
    assert not torch.equal(whole, x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", REGISTRY)
def test_twin_alone_equals_batch_per_op(name, dtype):
    """Odd widths put every pixel at another place in a vector register when it is alone."""
    x = photo(5, 19, 23, dtype)
    pipe = Pipeline(Local(REGISTRY[name](), masks.Ellipse()), seed=1)
    whole = pipe(x, ids=range(5))
    for i in range(5):
        assert torch.equal(pipe(x[i], ids=[i]), whole[i])


def softly_or_fully(op, seed):
    """An op at random parameters under a soft mask, or at full severity over the whole frame: one set of kernels does both."""
    return Pipeline(OneOf(Local(op(), masks.Ellipse(area=0.4, feather=0.3)), op(severity=1.0)), seed=seed)


def compare(op, program, x):
    fast, slow = (degrade.apply(program, x, backend=b) for b in ("triton", "torch"))
    assert difference(fast, slow) <= tolerance(op, x.dtype, x.device.type), (tuple(x.shape), program.key)


def widened(program):
    """The same, as one among all ops and families of `mixed`, whose kernels serve it: an op by itself takes a build of its own."""
    whole = mixed().sample([0], program.size)
    code = np.array([*map(whole.ops.index, program.ops), -1], dtype=np.int16)[program.code]
    family = np.array([*map(whole.families.index, program.families), -1], dtype=np.int16)[program.family]
    return replace(program, ops=whole.ops, families=whole.families, code=code, family=family)


@pytest.mark.device
@pytest.mark.skipif(INTERPRETED, reason="the interpreter sees small images")
@pytest.mark.parametrize("dtype", mostly(torch.uint8), ids=str)
@pytest.mark.parametrize("name", DEVICE_OPS)
def test_device_equals_twin(name, dtype, device):
    """At several seeds, in frames of one pixel to six tiles, with sides that no tile or vector divides."""
    op = REGISTRY[name]
    for size, count, seeds in (((1, 1), 2, 1), ((7, 13), 8, 1), ((37, 50), 8, 3), ((67, 70), 6, 1)):
        x = photo(count, *size, dtype).to(device)
        for seed in range(seeds):
            program = softly_or_fully(op, seed).sample(range(count), size)
            compare(op, widened(program) if device == "cpu" else program, x)


@pytest.mark.device
@pytest.mark.heavy
@pytest.mark.skipif(INTERPRETED, reason="the interpreter sees small images")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", DEVICE_OPS)
def test_device_equals_twin_at_length(name, dtype, device):
    op = REGISTRY[name]
    x = photo(24, 225, 223, dtype).to(device)
    for seed in range(3, 6):
        compare(op, softly_or_fully(op, seed).sample(range(24), (225, 223)), x)


@pytest.mark.device
@pytest.mark.skipif(not INTERPRETED, reason="the small images of the interpreter")
@pytest.mark.parametrize(
    "size, dtype, masked",
    [
        ((7, 13), torch.float32, False),
        ((7, 35), torch.uint8, True),  # two tiles
        *(pytest.param(s, d, m, marks=pytest.mark.heavy) for s in SIZES for d in (torch.uint8, torch.float32) for m in (False, True)),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", DEVICE_OPS)
def test_interpreted_equals_twin(name, dtype, size, masked, device):
    program = softly_or_fully(REGISTRY[name], 2).sample(range(16), size)
    row = np.flatnonzero((program.family[:, 0] >= 0) == masked)[:1]
    compare(REGISTRY[name], program[row], photo(1, *size, dtype).to(device))


@pytest.mark.device
@pytest.mark.parametrize("dtype", mostly(torch.float32), ids=str)
def test_device_equals_twin_on_a_mixed_batch(dtype, device):
    """Every op; chains, nesting and several two-stroke ops per sample. In frames as wide as whole tiles, where ops one by one have others."""
    few = [((20, 34), mixed().sample([1, 2, 3, 8], (20, 34)))]
    for size, program in few if INTERPRETED else [((20, 64), every_op((20, 64))), ((67, 96), mixed().sample(range(64, 96), (67, 96)))]:
        x = photo(len(program), *size, dtype).to(device)
        fast, slow = (degrade.apply(program, x, backend=b) for b in ("triton", "torch"))
        assert not torch.equal(slow, x)
        agree(fast, slow)


def agree(fast, slow):
    """Results of whole batches, with chains in them."""
    dtype = fast.dtype
    if fast.device.type == "cpu" and not (INTERPRETED and dtype == torch.bfloat16):
        assert torch.equal(fast, slow)
        return
    slack = {torch.uint8: 1, torch.float16: 1e-3, torch.bfloat16: 8e-3, torch.float32: 1e-5}[dtype]
    # A contrast or codec after a float op may flip a rounding; the rest must agree.
    assert ((fast.to(torch.float32) - slow.to(torch.float32)).abs() > slack).float().mean() < 2e-3


@pytest.mark.parametrize("backend", ["torch", pytest.param("triton", marks=pytest.mark.device)])
@pytest.mark.parametrize("subsampling", degrade.Jpeg.parameters["subsampling"].choices)
def test_jpeg_through_the_whole_engine_equals_pillow(subsampling, backend, device):
    """uint8 in, uint8 out, and float16, which holds 8-bit values well enough to find them again."""
    x = photo(2, 19, 35) if INTERPRETED else photo(2, 67, 101)
    want = []
    for image in x.permute(0, 2, 3, 1).numpy():
        file, picture = io.BytesIO(), Image.fromarray(image)
        picture.convert("L").save(file, "JPEG", quality=23) if subsampling == "grey" else picture.save(
            file, "JPEG", quality=23, subsampling=subsampling
        )
        want.append(np.asarray(Image.open(file).convert("RGB")))
    want = torch.from_numpy(np.stack(want)).permute(0, 3, 1, 2)
    got = degrade.functional.jpeg(x.to(device), quality=23, subsampling=subsampling, backend=backend)
    assert torch.equal(got.cpu(), want)
    half = degrade.functional.jpeg((x / 255).half().to(device), quality=23, subsampling=subsampling, backend=backend)
    assert torch.equal((half.cpu().float() * 255).round().to(torch.uint8), want)


@pytest.mark.device
def test_device_alone_equals_batch_and_shuffle(device):
    size, ids = ((18, 35) if INTERPRETED else (67, 70)), np.array([4, 77, 2**33, 9])
    x = photo(4, *size).to(device)
    program = mixed(seed=5).sample(ids, size)
    whole = degrade.apply(program, x, backend="triton")
    order = np.array([2, 0, 3, 1])
    assert torch.equal(degrade.apply(program[order], x[order], backend="triton"), whole[order])
    for i in range(4):
        assert torch.equal(degrade.apply(program[i], x[i : i + 1], backend="triton")[0], whole[i])


@pytest.mark.parametrize("backend", ["torch", pytest.param("triton", marks=pytest.mark.device)])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_untouched_outside_the_mask_and_exact_inside(backend, dtype, device):
    """m = 0 leaves every value as it came, m = 1 gives what no mask gives."""
    x = photo(2, 18, 34, dtype).to(device)
    if dtype != torch.uint8:
        x = (x * 0.99713 + 0.0011).to(dtype)  # values that 16-bit fixed point does not hold
    mask = torch.zeros(2, 1, 18, 34)
    mask[0, :, 4:12, 3:20] = 1.0
    mask[1, :, :, 30:] = 0.5
    # On the device this is the engine's doing, not the op's: one op of each kind.
    some = KINDS if backend == "triton" else tuple(DEVICE_OPS)
    for name in some:
        op = DEVICE_OPS[name]
        first = next(iter(op.parameters.values()))
        value = float(first.at(np.float64(0.9), np.bool_(True)))
        value = round(value) if first.integer else value
        call = getattr(degrade.functional, name)
        y = call(x, value, mask=mask, backend=backend)
        whole = call(x, value, backend=backend)
        outside = (mask == 0).expand_as(x)
        assert torch.equal(y[outside], x[outside]), name
        assert torch.equal(y[0, :, 4:12, 3:20], whole[0, :, 4:12, 3:20]), name
        assert not torch.equal(y[0], x[0]), name


@pytest.mark.device
@pytest.mark.skipif(INTERPRETED, reason="the interpreter sees small images")
@pytest.mark.parametrize(
    "name, dtype",
    [("every op", torch.float32), *(pytest.param(n, d, marks=pytest.mark.heavy) for n in DEVICE_OPS for d in (torch.float32, torch.float16))],
    ids=str,
)
def test_what_no_image_holds_crashes_nothing(name, dtype, device):
    """Values are read in the first batch alone; what comes later must not become an index beyond a table."""
    size = (20, 64)
    program = every_op(size) if name == "every op" else softly_or_fully(DEVICE_OPS[name], 1).sample(range(4), size)
    for value in (float("nan"), float("inf"), -float("inf"), 300.0, -300.0):
        x = photo(len(program), *size, dtype).to(device)
        x[:, :, ::3] = value
        y = degrade.apply(program, x, backend="triton", check="never").float()
        came = x.float()
        same = (y == came) | (y.isnan() & came.isnan())  # as it came, where the op changes nothing in 16 bits
        assert ((y >= -SLACK) & (y <= 1.0 + SLACK) | same).all(), value


@pytest.mark.device
@pytest.mark.parametrize("dtype", mostly(torch.uint8), ids=str)
def test_rows_that_are_aligned_and_such_that_are_not(dtype, device):
    """Frames as wide as whole tiles are accessed in pieces of several pixels, if all rows begin at a multiple."""
    x = photo(2, 18, 64, dtype).to(device)
    program = mixed(names=KINDS).sample([1, 2], (18, 64))
    want = degrade.apply(program, x, backend="triton")
    for height, width, top, left in ((18, 96, 0, 32), (20, 96, 2, 5), (18, 65, 0, 0), (23, 80, 5, 16)):
        view = torch.zeros(2, 3, height, width, dtype=dtype, device=device)[:, :, top : top + 18, left : left + 64]
        view.copy_(x)
        assert torch.equal(degrade.apply(program, view, backend="triton"), want), (height, width, top, left)


@pytest.mark.device
def test_lists_in_place_of_grids_give_the_same(device, monkeypatch):
    x = photo(3, 17, 39).to(device)
    programs = [Pipeline(recipe, seed=1).sample([1, 2, 3], (17, 39)) for recipe in (degrade.MeanShift(0.2), degrade.GaussianBlur(sigma=2.0))]
    grids = [degrade.apply(program, x, backend="triton") for program in programs]
    monkeypatch.setattr(tiles, "MOST_ITEMS", 2)
    for program in programs:
        vocabulary_of(tuple(find(name) for name in program.ops)).layouts.clear()
    _single.cache_clear()
    assert all(torch.equal(degrade.apply(program, x, backend="triton"), want) for program, want in zip(programs, grids))


@pytest.mark.parametrize("backend", ["torch", pytest.param("triton", marks=pytest.mark.device)])
def test_layouts_give_equal_values_and_are_kept(backend, device):
    x = photo(2, 18, 34, torch.float32).to(device)
    program = mixed(names=KINDS).sample([1, 2], (18, 34))
    want = degrade.apply(program, x, backend=backend)
    last = x.to(memory_format=torch.channels_last)
    view = torch.zeros(4, 3, 20, 70, device=device)[::2, :, 1:19, 1:69:2]
    view.copy_(x)
    flipped = x.flip(3).contiguous().flip(3)
    for other in (last, view, flipped):
        got = degrade.apply(program, other, backend=backend)
        assert torch.equal(got, want)
        assert got.stride() == torch.empty_like(other).stride()
    before = x.clone()
    degrade.apply(program, x, backend=backend)
    assert torch.equal(x, before), "the input was changed"


def poison(monkeypatch, seed):
    """Memory that a kernel reads without having written it shows: allocations come filled with NaN, or with coloured noise."""
    generator = torch.Generator().manual_seed(seed)

    def filled(tensor):
        if tensor.is_floating_point() and seed % 2:
            return tensor.fill_(float("nan"))
        noise = torch.randint(0, 256, tensor.shape, generator=generator, dtype=torch.int32) * (257 if tensor.dtype == torch.uint16 else 1)
        return tensor.copy_(noise.to(tensor.dtype) / 255 if tensor.is_floating_point() else noise.to(tensor.dtype))

    for name in ("empty", "empty_like"):
        real = getattr(torch, name)
        monkeypatch.setattr(torch, name, lambda *args, real=real, **kwargs: filled(real(*args, **kwargs)))


@pytest.mark.device
@pytest.mark.parametrize("seed, dtype, width", [(0, torch.uint8, 70), (1, torch.float32, 96)], ids=str)
def test_every_value_is_written(device, monkeypatch, seed, dtype, width):
    size, count = ((21, 37), 3) if INTERPRETED else ((67, width), 48)
    x = photo(count, *size, dtype).to(device)
    program = mixed(seed=6).sample(range(count), size)
    want = degrade.apply(program, x, backend="triton")
    poison(monkeypatch, seed)
    got = degrade.apply(program, x, backend="triton")
    assert torch.isfinite(got.float()).all()
    assert torch.equal(got, want)


@pytest.mark.device
@pytest.mark.parametrize(
    "chain", [(degrade.GaussianBlur(1.5), degrade.Jpeg(30)), (degrade.MotionBlur(5.0), degrade.Jpeg(30), degrade.GaussianBlur(1.0))]
)
def test_chains_compute_all_that_a_codec_reads(device, monkeypatch, chain):
    """A codec reads whole units, so the ops before it must be right beyond the support and the radius."""
    size, count = ((40, 40), 5) if INTERPRETED else ((97, 101), 12)
    x = photo(1, *size).to(device).expand(count, -1, -1, -1).contiguous()
    program = Pipeline(Local(Compose(*chain), masks.Ellipse(area=0.05, feather=0.1)), seed=3).sample(range(count), size)
    want = degrade.apply(program, x, backend="torch")
    for seed in (2, 4):
        with monkeypatch.context() as patch:
            poison(patch, seed)
            got = degrade.apply(program, x, backend="triton")
        assert torch.equal(got, want) if device == "cpu" else (got != want).float().mean() < 1e-3


@pytest.mark.parametrize("backend", ["torch", pytest.param("triton", marks=pytest.mark.device)])
def test_nothing_to_do_returns_the_input(backend, device):
    for dtype in DTYPES:
        x = (photo(2, 9, 11, dtype).to(device) * (1 if dtype == torch.uint8 else 0.9971)).to(dtype)
        skipped = Pipeline(Compose(degrade.Jpeg(p=0.0), degrade.MeanShift(0.0), degrade.GaussianBlur(severity=0.0)), backend=backend)
        assert torch.equal(skipped(x, ids=[0, 1]), x)


def test_chain_blends_once_against_the_image_before():
    """Local(chain) is x + m (chain(x) − x), not each op blended in turn."""
    x = photo(1, 24, 30, torch.float32)
    mask = torch.linspace(0, 1, 30).expand(1, 1, 24, 30).contiguous()
    chain = Compose(degrade.MeanShift(0.2), degrade.GaussianBlur(2.0))
    y = Pipeline(Local(chain, masks.FromTensor()))(x, ids=[0], mask=mask)
    whole = Pipeline(chain)(x, ids=[0])
    torch.testing.assert_close(y, x + mask * (whole - x), atol=1e-6, rtol=0)


@pytest.mark.device
@pytest.mark.parametrize("depth", [1, 2])
def test_what_is_in_a_chain_stays_in_its_mask(device, depth):
    """Masks of a chain and of an op in it that share no pixel, in the middle of tiles: the op must not run where the chain is not blended."""
    x = photo(9, 41, 70, torch.float32).to(device)
    ends = [(u, v) for u in (0.2, 0.3, 0.45) for v in (0.6, 0.7, 0.85)]
    for i, (near, far) in enumerate(ends):
        inner = Local(degrade.MeanShift(0.5), masks.Rectangle(area=0.02, feather=0.0, aspect=1.0, centre=(far, far)))
        for _ in range(depth):
            inner = Local(Compose(inner, degrade.MeanShift(0.0, p=1.0)), masks.Rectangle(area=0.02, feather=0.0, aspect=1.0, centre=(near, near)))
        pipe = Pipeline(inner, seed=i)
        program = pipe.sample([i], (41, 70))
        y = degrade.apply(program, x[[i]], backend="triton")
        assert torch.equal(y, x[[i]]) and torch.equal(degrade.apply(program, x[[i]], backend="torch"), y)


def test_directly_nested_masks_multiply():
    x = photo(1, 24, 30, torch.float32)
    bank = torch.rand(2, 24, 30, generator=torch.Generator().manual_seed(0))
    inner, outer = masks.FromTensor(bank[:1]), masks.FromTensor(bank[1:])
    y, labels = Pipeline(Local(Local(degrade.MeanShift(0.3), inner), outer))(x, ids=[0], labels=True)
    product = bank[0] * bank[1]
    torch.testing.assert_close(labels.masks[0, 0], product)
    shifted = (x + 0.3).clamp(0, 1)
    torch.testing.assert_close(y, x + product * (shifted - x), atol=1e-6, rtol=0)


@pytest.mark.parametrize("backend", ["torch", pytest.param("triton", marks=pytest.mark.device)])
def test_values_just_beyond_the_range_stay_outside_the_mask(backend, device):
    """What a resize may leave, 1.0005, is accepted, and is not clamped where nothing is done."""
    x = torch.full((1, 3, 8, 8), 1.0005, device=device)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., 4:] = 1.0
    y = degrade.functional.mean_shift(x, amount=-0.1, mask=mask, backend=backend)
    assert torch.equal(y[..., :4], x[..., :4])
    chain = Pipeline(Local(Compose(degrade.MeanShift(-0.1), degrade.GaussianBlur(1.0)), masks.FromTensor()), backend=backend)
    assert torch.equal(chain(x, ids=[0], mask=mask)[..., :4], x[..., :4])
    x = torch.full((1, 3, 41, 70), 1.0005, device=device)
    near, far = (masks.Rectangle(area=0.02, feather=0.0, aspect=1.0, centre=(at, at)) for at in (0.3, 0.7))
    nested = Local(Compose(Local(Compose(degrade.MeanShift(0.5), degrade.MeanShift(-0.2)), far), degrade.MeanShift(0.1)), near)
    y, labels = Pipeline(nested, backend=backend)(x, ids=[0], labels=True)
    outside = (labels.masks[:, 2] == 0).expand_as(x[0])[None]
    assert torch.equal(y[outside], x[outside]) and not torch.equal(y, x)


def test_masks_pass_gradients():
    x, m = photo(1, 8, 8, torch.float32) * 0.5, torch.full((1, 1, 8, 8), 0.5, requires_grad=True)
    (got,) = torch.autograd.grad(degrade.functional.mean_shift(x, amount=0.2, mask=m).sum(), m)
    torch.testing.assert_close(got, torch.full_like(m, 0.6))
    with pytest.raises(TypeError, match="require gradients, and x is float16"):
        degrade.functional.mean_shift(x.half().requires_grad_(), amount=0.2)


def test_defaults_of_torch_change_nothing():
    x, pipe = photo(2, 20, 30, torch.float32), Pipeline(mixed().recipe)
    want, labels = pipe(x, ids=[1, 2], labels=True)
    torch.set_default_dtype(torch.float64)
    try:
        got, again = Pipeline(pipe.recipe)(x, ids=[1, 2], labels=True)
        assert torch.equal(got, want) and torch.equal(again.masks, labels.masks)
    finally:
        torch.set_default_dtype(torch.float32)


def test_explicit_triton_is_met_or_refused():
    x = torch.zeros(1, 3, 4, 4).requires_grad_()
    program = Pipeline(degrade.MeanShift(0.1)).sample([0], (4, 4))
    with pytest.raises(RuntimeError, match=r"require gradients|not installed"):
        degrade.apply(program, x, backend="triton")
    degrade.apply(program, x, backend="auto").sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))


@pytest.mark.device
def test_a_codec_runs_on_the_host(device):
    """The program goes to the torch backend, and says why; an explicit request for the other is refused."""
    x = photo(1, 19, 35).to(device)
    program = Pipeline(OneOf(degrade.Codec(20), degrade.GaussianBlur(1.0)), seed=1).sample(range(8), (19, 35))
    takes = program.code[:, 0] == program.ops.index("codec")
    coded, blurred = program[takes.argmax()], program[takes.argmin()]
    assert not torch.equal(degrade.apply(coded, x), x)
    with pytest.raises(RuntimeError, match="codec runs on the host alone"):
        degrade.apply(coded, x, backend="triton")
    compare(degrade.GaussianBlur, blurred, x)

"""What only a card can show: no synchronisation, side streams, steady memory, and integer ops equal to the CPU's bits."""

import numpy as np
import pytest
import torch
from strategies import DEVICE_OPS
from test_engine import mixed, photo

import degrade
from degrade import Compose, Local, Pipeline, masks
from degrade.ops import REGISTRY

pytestmark = [pytest.mark.device, pytest.mark.gpu]


def test_the_hot_path_never_waits():
    x = photo(8, 64, 96).cuda()
    pipe = Pipeline(Compose(mixed().recipe, Local(degrade.Jpeg(), masks.FromTensor(torch.rand(4, 64, 96)))), seed=1).cuda()
    want = pipe(x, ids=range(8))  # builds the kernels, checks values
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        got = pipe(x, ids=range(8))
        again, labels = pipe(x, ids=range(8), labels=True)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(got, want) and torch.equal(again, want) and labels.type.shape[0] == 8


def test_side_streams():
    """The default stream is kept busy, so work that lands there comes late and shows."""
    pipe = mixed(seed=2)
    batches = [photo(8, 64, 96, seed=s) for s in range(6)]
    want = [pipe(b.cuda(), ids=range(8)).cpu() for b in batches]
    stream = torch.cuda.Stream()
    torch.cuda._sleep(200_000_000)
    got = []
    with torch.cuda.stream(stream):
        for b in batches:
            got.append(pipe(b.pin_memory().cuda(non_blocking=True), ids=range(8)))
        copies = [g.cpu() for g in got]
    assert all(torch.equal(c, w) for c, w in zip(copies, want))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_images_on_a_device_that_is_not_current():
    x, pipe = photo(4, 40, 50), mixed(seed=2)
    assert torch.equal(pipe(x.to("cuda:1"), ids=range(4)).cpu(), pipe(x.to("cuda:0"), ids=range(4)).cpu())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32], ids=str)
@pytest.mark.parametrize("name", DEVICE_OPS)
def test_the_twin_is_the_same_on_the_card(name, dtype):
    """The oracle does not depend on where it runs."""
    x = photo(4, 65, 47, dtype)
    program = Pipeline(Local(REGISTRY[name](), masks.Blob(area=0.4)), seed=4).sample(range(4), (65, 47))
    assert torch.equal(degrade.apply(program, x.cuda(), backend="torch").cpu(), degrade.apply(program, x, backend="torch"))


def test_memory_is_steady():
    x = photo(16, 96, 96).cuda()
    pipe = mixed(seed=3)
    for _ in range(20):
        pipe(x, ids=range(16))
    torch.cuda.synchronize()
    held = torch.cuda.memory_reserved()
    for _ in range(1000):
        pipe(x, ids=range(16))
    torch.cuda.synchronize()
    assert torch.cuda.memory_reserved() <= held


@pytest.mark.parametrize("subsampling", degrade.Jpeg.parameters["subsampling"].choices)
@pytest.mark.parametrize("size", [(1, 1), (33, 48), (225, 223)], ids=str)
def test_jpeg_equals_the_cpu_at_all_qualities(size, subsampling):
    x = photo(100, *size)
    quality = torch.arange(1.0, 101.0)
    got = degrade.functional.jpeg(x.cuda(), quality=quality, subsampling=subsampling, backend="triton").cpu()
    assert torch.equal(got, degrade.functional.jpeg(x, quality=quality, subsampling=subsampling, backend="torch"))


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.float32, *(pytest.param(d, marks=pytest.mark.heavy) for d in (torch.float16, torch.bfloat16))], ids=str
)
@pytest.mark.parametrize("name", DEVICE_OPS)
def test_every_op_at_full_size(name, dtype):
    op = REGISTRY[name]
    x = photo(16, 225, 223, dtype)
    program = Pipeline(Local(op(), masks.Blob(area=0.3)), seed=4).sample(range(16), (225, 223))
    fast = degrade.apply(program, x.cuda(), backend="triton").cpu().float()
    slow = degrade.apply(program, x, backend="torch").float()
    step = {torch.uint8: 1, torch.float16: 2**-11, torch.bfloat16: 2**-8, torch.float32: 0}[dtype]
    assert (fast - slow).abs().max() <= (0 if op.tolerance == 0 else step + op.tolerance)


def test_alone_equals_batch_at_full_size():
    x = photo(32, 224, 224).cuda()
    ids = np.arange(32) * 977
    pipe = mixed(seed=5)
    whole = pipe(x, ids=ids)
    order = np.random.default_rng(0).permutation(32)
    assert torch.equal(pipe(x[order], ids=ids[order]), whole[order])
    for i in (0, 13, 31):
        assert torch.equal(pipe(x[i : i + 1], ids=ids[i : i + 1])[0], whole[i])

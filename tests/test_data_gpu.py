"""The loader on a real side stream: right bits while the card is busy, no waiting, steady memory."""

import pytest
import torch

from degrade import Compose, GaussianNoise, Jpeg, Local, MeanShift, Pipeline, masks
from degrade.data import DeviceLoader, Prepare

pytestmark = [pytest.mark.device, pytest.mark.gpu]


def batches(count, b=16):
    generator = torch.Generator().manual_seed(0)
    return [(torch.randint(0, 256, (b, 3, 96, 128), dtype=torch.uint8, generator=generator), torch.arange(b) + b * i) for i in range(count)]


def pipeline():
    return Pipeline(Compose(Local(MeanShift((0.1, 0.3)), masks.Saliency()), Jpeg((10, 40)), GaussianNoise((0.05, 0.1))), seed=3)


def test_batches_are_right_while_the_callers_stream_is_busy():
    """The caller reads each batch late, behind a long wait, and drops it: memory given away too early would be overwritten by the next ones."""
    given, pipe = batches(8), pipeline()
    want = [pipe(x.cuda(), ids=ids).sum((1, 2, 3), dtype=torch.int64).cpu() for x, ids in given]
    sums = []
    for y, ids in DeviceLoader(given, pipeline(), "cuda", ids=1):
        assert y.is_cuda and ids.is_cuda
        torch.cuda._sleep(50_000_000)
        sums.append(y.sum((1, 2, 3), dtype=torch.int64))
        del y
    assert all(torch.equal(a.cpu(), b) for a, b in zip(sums, want))


def test_tensors_that_the_loader_made_on_the_device():
    def made():
        for x, ids in batches(4):
            torch.cuda._sleep(50_000_000)
            yield x.cuda(non_blocking=True) // 2, ids

    got = [y for y, _ in DeviceLoader(made(), pipeline(), "cuda", ids=1)]
    assert all(torch.equal(y, pipeline()((x // 2).cuda(), ids=ids)) for y, (x, ids) in zip(got, batches(4)))


@pytest.mark.parametrize("prepares", [False, True], ids=["", "prepared"])
def test_the_host_waits_for_nothing(prepares):
    given, pipe = batches(6), Pipeline(Compose(Local(MeanShift((0.1, 0.3)), masks.Blob()), Jpeg((10, 40)), GaussianNoise((0.05, 0.1))), seed=3)
    want = [pipe(x.cuda(), ids=ids).cpu() for x, ids in given]
    prepare = Prepare(pipe, collate_fn=lambda items: items[0], ids=1)
    given = [prepare([batch]).pin_memory() for batch in given] if prepares else given
    got = list(DeviceLoader(given, pipe, "cuda", ids=1, labels=True))  # builds kernels, checks values, fills pools
    assert all(torch.equal(y.cpu(), w) for ((y, _), _), w in zip(got, want, strict=True))
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        count = sum(1 for _ in DeviceLoader(given, pipe, "cuda", ids=1, labels=True))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert count == 6


def test_memory_is_bounded():
    """The allocator may need another block or two, as the streams happen to run; not one for each loop."""
    given, pipe, used = batches(4), pipeline(), []
    for _ in range(30):
        for y, _ in DeviceLoader(given, pipe, "cuda", ids=1):
            y.float().mean()
        torch.cuda.synchronize()
        used.append(torch.cuda.memory_reserved())
    assert used[-1] - used[4] <= 8 * 1024 * 1024 + 4 * given[0][0].numel()

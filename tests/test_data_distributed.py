"""Two processes that train together, with gloo: other draws on each, and for the same samples what one process alone gives."""

import sys
import tempfile
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

from degrade import GaussianNoise, Local, Pipeline, masks
from degrade.data import DeviceLoader, Numbered

COUNT = 12


def pixels(index):
    return torch.randint(0, 256, (3, 10, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(index))


def loader_of(rank, ranks, ids):
    data = Numbered([pixels(i) for i in range(COUNT)])
    sampler = DistributedSampler(data, ranks, rank, seed=5)
    pipe = Pipeline(Local(GaussianNoise((0.1, 0.2)), masks.Blob()), seed=3, backend="torch")
    return DeviceLoader(DataLoader(data, batch_size=2, sampler=sampler), pipe, "cpu", ids=ids, labels=True)


def epoch_of(loader, epoch):
    """What an epoch gave: ids, indices of the images, and images."""
    loader.set_epoch(epoch)
    got = [(labels.ids, index, image) for (image, index), labels in loader]
    return [torch.cat(parts) for parts in zip(*got)]


def trained(rank, ranks, folder):
    """One process: two epochs by index, two by counter, the last one cut off after a batch and resumed."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=ranks)
    by_index = [epoch_of(loader_of(rank, ranks, 1), e) for e in (0, 1)]
    counted = loader_of(rank, ranks, None)
    by_counter = [epoch_of(counted, e) for e in (0, 1)]
    cut = loader_of(rank, ranks, None)
    epoch_of(cut, 0)
    cut.set_epoch(1)
    for _ in cut:
        state = cut.state_dict()
        break
    resumed = loader_of(rank, ranks, None)
    resumed.load_state_dict(state)
    torch.save([by_index, by_counter, epoch_of(resumed, 1)], Path(folder) / f"{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


@pytest.mark.skipif(sys.platform == "win32" or not torch.distributed.is_available(), reason="needs gloo")
def test_ranks_draw_apart_and_agree_with_one_process():
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(trained, (2, folder), nprocs=2)
        (first, second) = (torch.load(Path(folder) / f"{rank}.pt") for rank in (0, 1))
    for e in (0, 1):
        _, alone, images = epoch_of(loader_of(0, 1, 1), e)
        want = dict(zip(alone.tolist(), images))
        got = [(int(i), image) for by_index, _, _ in (first, second) for i, image in zip(*by_index[e][1:])]
        assert sorted(i for i, _ in got) == list(range(COUNT)) and all(torch.equal(image, want[i]) for i, image in got)
    seen = [int(i) for _, by_counter, _ in (first, second) for ids, _, _ in by_counter for i in ids]
    assert len(set(seen)) == 2 * COUNT
    assert not torch.equal(first[0][0][2], first[0][1][2])
    for _, by_counter, resumed in (first, second):
        ids, index, image = by_counter[1]
        assert all(torch.equal(a, b[2:]) for a, b in zip(resumed, (ids, index, image))) and len(resumed[0]) == COUNT // 2 - 2

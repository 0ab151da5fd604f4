"""WebDataset: images in tar files have keys and no index, so ids are made of the keys."""

import hashlib
import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

import degrade
from degrade import Compose, GaussianNoise, Local, masks
from degrade.data.indexed import to_tensor

wds = pytest.importorskip("webdataset")
pytestmark = pytest.mark.filterwarnings("ignore")


def pipeline():
    return degrade.Pipeline(Compose(Local(degrade.Jpeg(quality=(5, 30)), masks.Ellipse(area=(0.2, 0.5))), GaussianNoise(std=0.05)), seed=3)


def id_of(key):
    """A sample's id from its key, the same on every machine, as Python's `hash` is not."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 1


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Three tar files of four PNG each, and what is in them."""
    folder, images = tmp_path_factory.mktemp("shards"), {}
    pixels = np.random.default_rng(0).integers(0, 256, (12, 24, 28, 3), dtype=np.uint8)
    for shard in range(3):
        with tarfile.open(folder / f"{shard:04d}.tar", "w") as file:
            for i in range(4 * shard, 4 * shard + 4):
                images[f"photo{i}"] = pixels[i]
                data = io.BytesIO()
                Image.fromarray(pixels[i]).save(data, "PNG")
                for name, content in ((f"photo{i}.png", data.getvalue()), (f"photo{i}.cls", str(i).encode())):
                    entry = tarfile.TarInfo(name)
                    entry.size = len(content)
                    file.addfile(entry, io.BytesIO(content))
    return str(folder / "{0000..0002}.tar"), images


def degraded(url, pipe, shuffle=0):
    def degrade_one(sample):
        y = pipe(to_tensor(sample["png"]), ids=[id_of(sample["__key__"])])
        return {**sample, "png": y}

    dataset = wds.WebDataset(url, shardshuffle=3 if shuffle else False, seed=shuffle, nodesplitter=wds.split_by_node)
    return dataset.shuffle(shuffle).decode("pil").map(degrade_one).to_tuple("__key__", "png", "cls")


@pytest.mark.parametrize("workers, shuffle", [(0, 0), (0, 8), (2, 0)])
def test_a_key_s_image_is_the_same_in_any_order_and_worker(shards, workers, shuffle):
    url, images = shards
    pipe = pipeline()
    loader = wds.WebLoader(degraded(url, pipe, shuffle), batch_size=None, num_workers=workers)
    got = {key: y for key, y, _ in loader}
    assert set(got) == set(images)
    for key, y in got.items():
        want = pipe(torch.from_numpy(images[key]).permute(2, 0, 1), ids=[id_of(key)])
        assert torch.equal(y, want)
    assert len({id_of(key) for key in images}) == len(images) and all(0 <= id_of(key) < 1 << 63 for key in images)


def test_batches_with_ids_for_a_stage_in_the_training_step(shards):
    """Workers decode and stack, the ids of the keys travel along, and whole batches are degraded."""
    url, images = shards
    pipe = pipeline()
    dataset = wds.WebDataset(url, shardshuffle=False, nodesplitter=wds.split_by_node).decode("pil")
    dataset = dataset.map(lambda s: (to_tensor(s["png"]), id_of(s["__key__"]), s["__key__"])).batched(4)
    for x, ids, keys in wds.WebLoader(dataset, batch_size=None, num_workers=0):
        y = pipe(torch.as_tensor(np.stack([np.asarray(v) for v in x])), ids=np.asarray(ids))
        for key, image in zip(keys, y):
            assert torch.equal(image, pipe(torch.from_numpy(images[key]).permute(2, 0, 1), ids=[id_of(key)]))

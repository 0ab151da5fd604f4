"""HuggingFace datasets: `set_transform` calls with a dict of lists."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from degrade import GaussianNoise, Local, Pipeline, masks
from degrade.data import DeviceLoader, Transform

datasets = pytest.importorskip("datasets")
PIL = pytest.importorskip("PIL.Image")


def pixels(index):
    return np.random.default_rng(index).integers(0, 256, (12, 15, 3), dtype=np.uint8)


def pipeline():
    return Pipeline(Local(GaussianNoise((0.1, 0.2)), masks.Blob()), seed=3, backend="torch")


@pytest.fixture
def data():
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64"), "id": datasets.Value("int64")})
    columns = {"image": [PIL.fromarray(pixels(i)) for i in range(6)], "label": [0, 1] * 3, "id": list(range(100, 106))}
    return datasets.Dataset.from_dict(columns, features=features)


def want(index):
    x = torch.from_numpy(pixels(index)).permute(2, 0, 1).contiguous()
    return pipeline()(x, ids=[100 + index]).permute(1, 2, 0).numpy()


def test_set_transform_with_ids_from_a_column(data):
    data.set_transform(Transform(pipeline(), ids="id"))
    one = data[2]
    assert isinstance(one["image"], PIL.Image) and np.array_equal(np.asarray(one["image"]), want(2)) and one["label"] == 0
    some = data[1:4]
    assert all(np.array_equal(np.asarray(image), want(i)) for i, image in zip((1, 2, 3), some["image"])) and some["id"] == [101, 102, 103]


def test_with_transform_by_content_and_labels(data):
    plain = data.with_transform(Transform(pipeline(), ids="content"))
    assert np.array_equal(np.asarray(plain[4]["image"]), np.asarray(plain[3:5]["image"][1]))
    told = data.with_transform(Transform(pipeline(), ids="id", labels=True))
    assert told[4]["degradation"]["masks"].shape == (1, 12, 15) and len(told[:3]["degradation"]) == 3


def collated(items):
    return {
        "image": torch.stack([torch.from_numpy(np.asarray(item["image"]).copy()).permute(2, 0, 1) for item in items]),
        "id": torch.tensor([i["id"] for i in items]),
    }


def test_a_loader_of_it_gives_the_same_on_the_device(data):
    loader = DeviceLoader(DataLoader(data, batch_size=4, collate_fn=collated), pipeline(), "cpu", ids="id")
    got = torch.cat([batch["image"] for batch in loader])
    assert all(np.array_equal(y.permute(1, 2, 0).numpy(), want(i)) for i, y in enumerate(got))

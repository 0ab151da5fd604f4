"""albumentations: a transform among its own, stored and replayed by its own means."""

import importlib

import numpy as np
import pytest
import torch

from degrade import GaussianNoise, Local, MeanShift, Pipeline, masks

A = pytest.importorskip("albumentations")
Degrade = importlib.import_module("degrade.data.albumentations").Degrade


def pixels(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (14, 17, 3), dtype=np.uint8)


def pipeline(op=None):
    return Pipeline(op or Local(GaussianNoise((0.1, 0.2)), masks.Blob()), seed=3, backend="torch")


def as_array(y):
    return y.permute(1, 2, 0).numpy()


def test_only_the_image_is_touched():
    compose = A.Compose([A.HorizontalFlip(p=1.0), Degrade(pipeline(MeanShift(0.2)))], bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"]))
    mask = pixels(1)[..., 0]
    got = compose(image=pixels(), mask=mask, bboxes=[(1, 2, 5, 6)], labels=[4])
    want = pipeline(MeanShift(0.2))(torch.from_numpy(pixels()[:, ::-1].copy()).permute(2, 0, 1).contiguous(), ids=[0])
    assert np.array_equal(got["image"], as_array(want)) and got["image"].flags.c_contiguous
    assert np.array_equal(got["mask"], mask[:, ::-1]) and np.allclose(got["bboxes"], [(12, 2, 16, 6)])
    grey = A.Compose([Degrade(pipeline(MeanShift(0.2)))])(image=pixels()[..., 0])["image"]
    assert grey.shape == (14, 17)
    real = A.Compose([Degrade(pipeline(MeanShift(0.2)))])(image=pixels().astype(np.float32) / 255)["image"]
    assert real.dtype == np.float32 and np.allclose(real, np.minimum(pixels() / 255 + 0.2, 1), atol=1e-6)


def test_albumentations_own_seeds_decide_who_an_image_is():
    def run(seed):
        compose = A.Compose([Degrade(pipeline())], seed=seed)
        return [compose(image=pixels())["image"] for _ in range(3)]

    one, again, other = run(1), run(1), run(2)
    assert all(np.array_equal(a, b) for a, b in zip(one, again)) and not np.array_equal(one[0], other[0]) and not np.array_equal(one[0], one[1])
    two = A.Compose([Degrade(pipeline())], additional_targets={"image2": "image"}, seed=1)(image=pixels(), image2=pixels())
    assert np.array_equal(two["image"], two["image2"])
    replayed = A.ReplayCompose([Degrade(pipeline())])
    first = replayed(image=pixels())
    assert np.array_equal(A.ReplayCompose.replay(first["replay"], image=pixels())["image"], first["image"])
    p = A.Compose([Degrade(pipeline(), p=0.0)])(image=pixels())["image"]
    assert np.array_equal(p, pixels())


def test_by_content():
    compose = A.Compose([Degrade(pipeline(), ids="content")])
    x = torch.from_numpy(pixels()).permute(2, 0, 1).contiguous()
    assert np.array_equal(compose(image=pixels())["image"], as_array(pipeline()(x, ids="content")))


@pytest.mark.parametrize("form", ["json", "yaml", "dict"])
def test_round_trip(form, tmp_path):
    compose = A.Compose([A.HorizontalFlip(p=0.5), Degrade(pipeline(), ids="content", p=0.75)])
    if form == "dict":
        back = A.from_dict(A.to_dict(compose))
    else:
        A.save(compose, tmp_path / "t", data_format=form)
        back = A.load(tmp_path / "t", data_format=form)
    assert A.to_dict(back) == A.to_dict(compose)
    step = back.transforms[1]
    assert type(step) is Degrade and step.p == 0.75 and step.ids == "content" and step.pipeline.seed == 3 and step.pipeline.backend == "torch"
    assert "GaussianNoise" in repr(compose)
    for each in (compose, back):
        each.set_random_seed(5)
    assert np.array_equal(compose(image=pixels())["image"], back(image=pixels())["image"])


def test_bad_input():
    with pytest.raises(TypeError, match=r"pipeline is a int; accepted: degrade.Pipeline"):
        Degrade(3)
    with pytest.raises(ValueError, match=r"ids='index' is not accepted; accepted: None or 'content'"):
        Degrade(pipeline(), ids="index")
    with pytest.raises(ValueError, match=r"stream=99 of this transform is not the one"):
        Degrade({**Degrade(pipeline()).to_dict()["transform"]["pipeline"], "stream": 99})

"""Banks on images: the smallest, batches and samples alone, and the data set of ImageNet-C as it was saved."""

import dataclasses

import conformance
import numpy as np
import pytest
import skimage.data
import torch
from bank_programs import WITH_TYPES, make, names
from conformance_bytes import pillow_jpeg

import degrade
from degrade import Pipeline, banks

pytestmark = pytest.mark.filterwarnings("ignore:.*negative Z")


def unequal_types():
    """Every type of every profile, each once."""
    seen = {}
    for (bank, profile), source in conformance.SOURCES.items():
        for t in source().types.values():
            seen.setdefault(
                (t.op.name, repr(sorted(t.arguments.items())), repr(t.before), repr(t.after), repr(t.variants)), (f"{bank}-{profile}-{t.name}", t)
            )
    return seen.values()


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (5, 300)], ids=str)
def test_every_type_takes_small_images(size):
    shape = (2, 3, *size)
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    for name, t in unequal_types():
        pipe = Pipeline(t.at(t.levels), backend="torch")
        for images in (x, x.to(torch.float32) / 255):
            y = pipe(images, ids=[0, 1])
            assert y.shape == shape and torch.isfinite(y.float()).all(), name


@pytest.mark.parametrize("name", WITH_TYPES)
def test_a_bank_degrades_a_batch_as_its_samples_alone(name):
    x = torch.from_numpy(skimage.data.astronaut()[60:92, 170:210].transpose(2, 0, 1).copy())[None].expand(6, -1, -1, -1)
    bank = make(name, backend="torch", seed=2)
    y = bank(x, ids=range(6))
    for i in range(6):
        assert torch.equal(bank(x[i : i + 1], ids=[i])[0], y[i])


@pytest.mark.parametrize("name", banks.imagenet_c().types)
def test_the_data_set_of_imagenet_c_is_cut_to_8_bits_and_saved_at_quality_85(name):
    x = torch.from_numpy(skimage.data.astronaut()[60:108, 170:234].transpose(2, 0, 1).copy()).float()[None] / 255
    saved = banks.imagenet_c("dataset").single(name, 3)
    program = saved.sample([0], (48, 64))
    assert list(names(program)[0][1:]) == ["eight_bit", "jpeg"] and program.theta[0, -1, 0] == 85
    corrupted = degrade.apply(dataclasses.replace(program, code=np.where([[True, False, False]], program.code, -1).astype(np.int16)), x)
    eight = torch.floor(corrupted * 255 + 1e-3).to(torch.uint8)
    want = pillow_jpeg(eight[0].permute(1, 2, 0).numpy(), {"quality": 85, "subsampling": "4:2:0"})
    got = (saved(x, ids=[0]) * 255).round()[0].permute(1, 2, 0).numpy()
    assert np.mean(got != want) < 0.05 and np.abs(got - want).max() < 12  # a value on an edge between two bytes moves its block

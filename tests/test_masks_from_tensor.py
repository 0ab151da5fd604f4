"""Masks from maps that you bring: their values or ranks as weights, the tensors that are accepted, and the device's reading."""

import numpy as np
import pytest
import torch
from mask_weights import render, render_by_kernel, scores, uniforms

from degrade import masks


def test_from_tensor_values_are_weights():
    maps = scores(4, 20, 30)
    mask = masks.FromTensor(maps)
    numbers = mask.draw(uniforms(mask, 64), 20, 30)
    rows = numbers[:, 0].astype(int)
    assert set(rows) == {0, 1, 2, 3}
    assert torch.equal(render(mask, numbers, 20, 30), maps[rows])
    assert mask.draws == 1


@pytest.mark.parametrize("area", (0.02, 0.3, 0.5, 0.9, 1.0))
@pytest.mark.parametrize("feather", (0.0, 0.1, 2.0))
def test_from_tensor_area(area, feather):
    mask = masks.FromTensor(scores(4, 48, 50) ** 3 * 0.2, area=area, feather=feather)
    weight = render(mask, mask.draw(uniforms(mask, 8), 48, 50), 48, 50)
    assert np.abs(weight.mean((1, 2)).numpy() - area).max() <= 0.005
    assert bool((weight.amax((1, 2)) == 1.0).all())


def test_from_tensor_shares_ranks_between_equal_values():
    mask = masks.FromTensor(torch.tensor([[0.0, 0.5], [0.5, 1.0]]), area=0.5)
    assert torch.equal(mask.bank, torch.tensor([[[0.125, 0.5], [0.5, 0.875]]]))


def test_from_tensor_takes_a_plateau_whole():
    segment = torch.zeros(40, 40)
    segment[:20] = 1.0
    mask = masks.FromTensor(segment, area=0.1)
    assert torch.equal(render(mask, mask.draw(uniforms(mask, 4), 40, 40), 40, 40), segment.expand(4, -1, -1))


def test_from_tensor_accepts_bytes_bools_and_single_channels():
    assert torch.equal(masks.FromTensor(torch.full((2, 1, 3, 4), 255, dtype=torch.uint8)).bank, torch.ones(2, 3, 4))
    assert torch.equal(masks.FromTensor(np.eye(3, dtype=bool)).bank, torch.eye(3)[None])
    assert masks.FromTensor(torch.zeros(3, 4, dtype=torch.float16)).bank.dtype == torch.float32


def test_from_tensor_keeps_its_own_copy():
    given = torch.zeros(3, 4)
    mask = masks.FromTensor(given)
    given += 1
    assert float(mask.bank.max()) == 0.0


def test_from_tensor_without_a_tensor_reads_the_batch():
    mask = masks.FromTensor()
    numbers = mask.draw(uniforms(mask, 3), 20, 30)
    assert mask.bank is None and numbers[:, 0].tolist() == [0, 0, 0]
    numbers[:, 0] = [2, 0, 1]
    maps = scores(3, 20, 30)
    columns = tuple(torch.from_numpy(numbers[:, i].copy()).reshape(-1, 1, 1) for i in range(numbers.shape[1]))
    y, x = torch.arange(20)[:, None] + 0.5, torch.arange(30) + 0.5
    assert torch.equal(mask.weight(y, x, columns, maps), maps[[2, 0, 1]])


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"tensor": torch.zeros(2, 3, 4, 4)}, ValueError, ('"2 3 4 4"', '"h w", "k h w" or "k 1 h w"')),
        ({"tensor": torch.zeros(4)}, ValueError, ('"4"', "accepted")),
        ({"tensor": torch.zeros(0, 4, 4)}, ValueError, ('"0 4 4"', "accepted")),
        ({"tensor": torch.full((2, 2), 1.5)}, ValueError, ("tensor", "1.5", "from 0 to 1")),
        ({"tensor": torch.full((2, 2), -0.25)}, ValueError, ("-0.25", "from 0 to 1")),
        ({"tensor": torch.full((2, 2), float("nan"))}, ValueError, ("tensor", "NaN", "from 0 to 1")),
        ({"tensor": torch.zeros(2, 2, dtype=torch.int64)}, TypeError, ("int64", "uint8 or bool")),
        ({"tensor": "mask.png"}, TypeError, ("tensor=", "str", "accepted")),
        ({"tensor": {"shape": [2, 2]}}, ValueError, ("shape", "float32_zlib_base64")),
        ({"area": 0.2}, ValueError, ("area=0.2", "tensor=")),
        ({"tensor": torch.zeros(2, 2), "feather": 0.2}, ValueError, ("feather=0.2", "area=")),
        ({"tensor": torch.zeros(2, 2), "area": 1.2}, ValueError, ("area=1.2", "0.001 to 1")),
        ({"tensors": torch.zeros(2, 2)}, TypeError, ("'tensors'", "did you mean 'tensor'")),
    ],
    ids=str,
)
def test_from_tensor_refuses(given, error, words):
    with pytest.raises(error) as caught:
        masks.FromTensor(**given)
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_from_tensor_refuses_another_frame():
    with pytest.raises(ValueError, match="3x4 pixels and the images have 5x6"):
        masks.FromTensor(torch.zeros(3, 4)).draw(np.full((1, 1), 0.5), 5, 6)


@pytest.mark.device
def test_device_reads_plain_maps(device):
    mask = masks.FromTensor(scores(3, 20, 40))
    numbers = mask.draw(uniforms(mask, 6), 20, 40)
    assert torch.equal(render_by_kernel(mask, numbers, 20, 40, device), mask.bank[numbers[:, 0].astype(int)])

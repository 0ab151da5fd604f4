"""Labels tell what was done, and cost nothing until they are read."""

import pytest
import torch

import degrade
from degrade import Compose, Local, Pipeline, masks


def test_labels_tell_what_was_done():
    recipe = Compose(Local(degrade.GaussianBlur(3.0), masks.Ellipse(area=0.3)), degrade.MeanShift(0.0), degrade.Jpeg(quality=10, p=0.5))
    x = torch.rand(40, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    y, labels = Pipeline(recipe)(x, ids=range(40), labels=True)
    assert labels.type.dtype == torch.int16 and labels.type.shape == (40, 3)
    assert [labels.types[i] for i in labels.type[0, :2]] == ["gaussian_blur", "mean_shift"]
    skipped = labels.type[:, 2] == -1
    assert 5 < skipped.sum() < 35
    assert labels.identity[:, 1].all() and not labels.identity[:, 0].any() and torch.equal(labels.identity[:, 2], skipped)
    assert ((labels.area[:, 0] - 0.3).abs() < 0.01).all() and (labels.area[:, 1] == 1).all() and torch.equal(labels.area[:, 2] == 0, skipped)
    assert labels.params.shape == (40, 3, 8) and (labels.params[:, 0, 0] == 3).all() and labels.params[:, 0, 3:].isnan().all()
    assert labels.param_names["jpeg"] == ("quality", "subsampling")
    assert labels.masks.shape == (40, 3, 48, 64) and (labels.masks[skipped, 2] == 0).all()
    assert torch.allclose(labels.severity[:, 0], torch.tensor(0.5)) and labels.level.isnan().all()
    only = skipped & True
    changed = (y != x).any(1)
    assert not (changed[only] & (labels.masks[only, 0] == 0)).any()


def test_labels_keep_the_mask_that_was_applied():
    mask = torch.ones(1, 1, 8, 8)
    _, labels = Pipeline(Local(degrade.MeanShift(0.1), masks.FromTensor()))(torch.rand(1, 3, 8, 8), labels=True, mask=mask)
    mask.zero_()
    assert (labels.masks == 1).all() and labels.area.tolist() == [[1.0]]


def test_half_of_a_module_does_not_round_its_masks():
    bank = torch.rand(2, 8, 8, generator=torch.Generator().manual_seed(0))
    pipe = Pipeline(Local(degrade.MeanShift(0.3), masks.FromTensor(bank)))
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(pipe(x, ids=[0, 1]), pipe.bfloat16()(x, ids=[0, 1]))


def test_labels_render_nothing_until_read(monkeypatch):
    import degrade.labels

    monkeypatch.setattr(degrade.labels, "slot_weights", lambda *a: pytest.fail("rendered"))
    _, labels = Pipeline(Local(degrade.MeanShift(0.1), masks.Blob()))(torch.rand(1, 3, 8, 8), labels=True)
    assert labels.type.tolist() == [[0]]

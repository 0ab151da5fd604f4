"""Lightning: a real Trainer on the CPU, and what a module sees of its batches."""

import importlib

import pytest
import torch
from torch.utils.data import DataLoader

from degrade import GaussianNoise, Local, Pipeline, masks
from degrade.data import Numbered, Prepare

lightning = pytest.importorskip("lightning.pytorch")
DegradeCallback = importlib.import_module("degrade.data.lightning").DegradeCallback

XS = torch.rand(8, 3, 9, 11, generator=torch.Generator().manual_seed(0))


def pipeline():
    return Pipeline(Local(GaussianNoise((0.1, 0.2)), masks.Blob()), seed=3, backend="torch")


class Model(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer, self.seen, self.validated = torch.nn.Conv2d(3, 1, 1), [], []

    def training_step(self, batch, _):
        self.seen.append(batch)
        image = batch[0][0] if isinstance(batch[0], (list, tuple)) else batch[0]
        return self.layer(image).mean()

    def validation_step(self, batch, _):
        self.validated.append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


class Normalised(Model):
    """Hooks of its own, around the degradation."""

    def on_before_batch_transfer(self, batch, dataloader_idx):
        return [batch[0] * 0.5, batch[1]]

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return [batch[0] - 10.0, batch[1]]


class Data(lightning.LightningDataModule):
    def train_dataloader(self):
        return DataLoader(Numbered(XS), batch_size=4)

    def on_after_batch_transfer(self, batch, dataloader_idx):
        return [batch[0] + 20.0, batch[1]]


def loader(collate_fn=None):
    return DataLoader(Numbered(XS), batch_size=4, collate_fn=collate_fn)


def fit(model, callback, epochs=1, path=None, data=None, resume=None, collate_fn=None):
    trainer = lightning.Trainer(
        max_epochs=epochs, limit_train_batches=2, accelerator="cpu", devices=1, callbacks=[callback], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=1,
    )  # fmt: skip
    loaders = {"datamodule": data} if data else {"train_dataloaders": loader(collate_fn), "val_dataloaders": loader(collate_fn)}
    trainer.fit(model, ckpt_path=resume, **loaders)
    if path:
        trainer.save_checkpoint(path)
    return model


def test_training_batches_are_degraded_and_no_others():
    model = fit(Model(), DegradeCallback(pipeline(), ids=1), epochs=2)
    pipe = pipeline()
    assert len(model.seen) == 4
    for step, (image, ids) in enumerate(model.seen):
        pipe.set_epoch(step // 2)
        assert torch.equal(image, pipe(XS[ids], ids=ids))
    assert all(torch.equal(image, XS[ids]) for image, ids in model.validated) and len(model.validated) >= 3
    assert "on_after_batch_transfer" not in vars(model)  # the hooks are the module's own again


def test_a_modules_own_hooks_stand_around_it():
    model = fit(Normalised(), DegradeCallback(pipeline(), ids=1))
    assert all(torch.equal(image, pipeline()(XS[ids] * 0.5, ids=ids) - 10.0) for image, ids in model.seen)
    assert all(torch.equal(image, XS[ids] * 0.5 - 10.0) for image, ids in model.validated)


def test_batches_that_workers_prepared():
    for model in (Model(), Normalised()):
        fit(model, DegradeCallback(pipeline(), ids=1), epochs=2, collate_fn=Prepare(pipe := pipeline(), ids=1))
        half, less = (0.5, 10.0) if isinstance(model, Normalised) else (1.0, 0.0)
        assert len(model.seen) == 4 and len(model.validated) >= 3
        assert all(torch.equal(image, pipe(XS[ids] * half, ids=ids) - less) for image, ids in model.seen[:2])
        assert all(torch.equal(image, XS[ids] * half - less) for image, ids in model.validated)


@pytest.mark.filterwarnings("error:You have overridden")
def test_a_data_modules_own_hook_does_too():
    model = fit(Model(), DegradeCallback(pipeline(), ids=1), data=Data())
    assert len(model.seen) == 2 and all(torch.equal(image, pipeline()(XS[ids], ids=ids) + 20.0) for image, ids in model.seen)


def test_labels_come_beside_the_batch():
    model = fit(Model(), DegradeCallback(pipeline(), ids=1, labels=True))
    for (_, ids), labels in model.seen:
        assert torch.equal(labels.ids, ids) and labels.masks.shape == (4, 1, 9, 11)


def test_a_checkpoint_goes_on_with_the_same_stream(tmp_path):
    whole = fit(Model(), DegradeCallback(pipeline()), epochs=2)
    fit(Model(), DegradeCallback(pipeline()), path=tmp_path / "c.ckpt")
    rest = fit(Model(), DegradeCallback(pipeline()), epochs=2, resume=tmp_path / "c.ckpt")
    assert len(rest.seen) == 2 and all(torch.equal(a[0], b[0]) for a, b in zip(rest.seen, whole.seen[2:]))
    assert not torch.equal(whole.seen[0][0], whole.seen[2][0])


def test_bad_input():
    with pytest.raises(TypeError, match=r"pipeline is a GaussianNoise; accepted: degrade.Pipeline"):
        DegradeCallback(GaussianNoise())
    with pytest.raises(ValueError, match=r"ids='id' is not in the sample, which has a list of 2"):
        fit(Model(), DegradeCallback(pipeline(), ids="id"))

"""Labels tell what was done, and cost nothing until they are read."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

import degrade
from degrade import Compose, Labels, Local, OneOf, Pipeline, masks


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


# ---- what the masks say: held against loops over pixels ---------------------------------------------------------------

SIZE = (23, 37)


def given_mask(batch=5):
    """A call mask with holes, weights below and at the thresholds, one sample without any and one whole."""
    mask = torch.rand(batch, 1, *SIZE, generator=torch.Generator().manual_seed(3))
    mask = torch.where(mask < 0.4, 0.0, mask).round(decimals=1)
    mask[0], mask[1] = 0.0, 1.0
    mask[2, :, :5], mask[2, :, 9:] = 0.0, 0.0
    return mask


def recipes():
    nested = Local(Compose(Local(degrade.GaussianBlur(), masks.Ellipse(area=0.2)), degrade.MeanShift(severity=(0.0, 1.0))), masks.Blob(area=0.4))
    either = OneOf(degrade.Jpeg(quality=(5, 90)), Local(Compose(degrade.Jpeg(), degrade.GaussianNoise(p=0.6)), masks.Rectangle(area=0.1)), p=0.7)
    without = masks.Difference(masks.Ellipse(area=0.5), masks.Stripes(area=0.3))
    bank = torch.rand(3, *SIZE, generator=torch.Generator().manual_seed(1)) > 0.7
    return {
        "nested": Compose(nested, either),
        "given": Compose(
            Local(degrade.MeanShift(0.3), masks.FromTensor()), degrade.Jpeg(quality=20, p=0.5), Local(degrade.MeanShift(-0.2), masks.FromTensor())
        ),
        "bank": Compose(Local(either, masks.FromTensor(bank)), Local(degrade.Contrast(), masks.Gradient(), p=0.5)),
        "combined": Local(Compose(degrade.MeanShift(0.2, p=0.5), Local(degrade.Jpeg(), masks.Blob(area=0.3), p=0.5)), without),
        "whole": Compose(degrade.Jpeg(p=0.5), either.children[0], degrade.ColourDiffusion(0.5, p=0.5)),
    }


def labels_of(kind, batch=5):
    recipe = recipes()[kind]
    return Labels(Pipeline(recipe, seed=4).sample(range(batch), SIZE), given_mask(batch) if kind == "given" else None)


KINDS = list(recipes())


def by_pixel(labels):
    """Sample, slot, and its weights as a list of rows."""
    weights = labels.masks.numpy()
    return [(i, s, weights[i, s]) for i in range(weights.shape[0]) for s in range(weights.shape[1])]


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_and_areas_above_a_threshold(kind):
    labels = labels_of(kind)
    assert labels.boxes.dtype == torch.int32 and labels.boxes.shape == (5, labels.program.slots, 4)
    above = {t: labels.area_above(t) for t in (0.1, 0.5, 0.9, 1.0, 1)}
    empty = full = 0
    for i, s, weight in by_pixel(labels):
        at = [(x, y) for y in range(SIZE[0]) for x in range(SIZE[1]) if weight[y, x] > 0]
        box = [min(x for x, _ in at), min(y for _, y in at), max(x for x, _ in at) + 1, max(y for _, y in at) + 1] if at else [0, 0, 0, 0]
        assert labels.boxes[i, s].tolist() == box
        empty, full = empty + (not at), full + (box == [0, 0, 37, 23])
        for threshold, area in above.items():
            count = sum(bool(weight[y, x] >= np.float32(threshold)) for y in range(SIZE[0]) for x in range(SIZE[1]))
            assert area[i, s] == pytest.approx(count / (23 * 37), abs=1e-7) and area.dtype == torch.float32
    assert empty and (full or kind == "combined")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("patch", [1, 8, (5, 16), (23, 37), 64])
def test_coverage_averages_over_the_pixels_that_exist(kind, patch):
    labels = labels_of(kind)
    ph, pw = (patch, patch) if isinstance(patch, int) else patch
    got = labels.coverage(patch)
    assert got.shape == (5, labels.program.slots, -(-23 // ph), -(-37 // pw)) and got.dtype == torch.float32
    for i, s, weight in by_pixel(labels):
        for row in range(got.shape[2]):
            for column in range(got.shape[3]):
                part = [weight[y, x] for y in range(row * ph, min(23, row * ph + ph)) for x in range(column * pw, min(37, column * pw + pw))]
                assert float(got[i, s, row, column]) == pytest.approx(sum(map(float, part)) / len(part), abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_overlap_is_the_soft_intersection_over_union(kind):
    labels = labels_of(kind)
    weights, got = labels.masks.double().numpy(), labels.overlap
    assert torch.equal(got, got.transpose(1, 2)) and got.dtype == torch.float32
    for i in range(5):
        for a in range(labels.program.slots):
            for b in range(labels.program.slots):
                pixels = list(zip(weights[i, a].ravel(), weights[i, b].ravel()))
                either = weights[i, a].any() and weights[i, b].any()
                want = sum(min(p) for p in pixels) / sum(max(p) for p in pixels) if either else 0.0
                assert float(got[i, a, b]) == pytest.approx(want, abs=1e-6)
    assert torch.equal(got.diagonal(dim1=1, dim2=2), (labels.area > 0).float())


@pytest.mark.parametrize("kind", KINDS)
def test_maps_of_severity(kind):
    labels = labels_of(kind)
    b, slots, types = 5, labels.program.slots, len(labels.types)
    assert labels.severity_maps.shape == (b, types, *SIZE) and labels.composite_severity.shape == labels.dominant.shape == (b, *SIZE)
    assert labels.dominant.dtype == torch.int16 and labels.severity_maps.dtype == labels.composite_severity.dtype == torch.float32
    strength = labels.severity[:, :, None, None].numpy() * labels.masks.numpy()
    for i in range(b):
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                largest, spared, best, winner = [0.0] * types, 1.0, 0.0, -1
                for s in range(slots):
                    code, value = int(labels.type[i, s]), float(strength[i, s, y, x])
                    if code < 0:
                        continue
                    largest[code], spared = max(largest[code], value), spared * (1.0 - value)
                    if value > best:
                        best, winner = value, code
                assert labels.severity_maps[i, :, y, x].tolist() == largest
                assert float(labels.composite_severity[i, y, x]) == pytest.approx(1.0 - spared, abs=1e-6)
                assert int(labels.dominant[i, y, x]) == winner
    assert (labels.dominant >= 0).any()


def test_the_first_of_equally_severe_slots_dominates():
    recipe = Compose(degrade.MeanShift(0.1), degrade.GaussianBlur(severity=0.5, direction="up"), degrade.GaussianNoise(severity=0.5, direction="up"))
    labels = Labels(Pipeline(recipe).sample([0], (3, 4)))
    assert [labels.types[int(c)] for c in labels.dominant.unique()] == ["gaussian_blur"]


def test_a_change_on_the_side_that_has_no_harsh_end_has_no_severity():
    pipe = Pipeline(degrade.ColourDiffusion(0.0))
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    _, labels = pipe(x, labels=True)
    assert not labels.identity.any() and labels.severity.tolist() == [[0.0]]
    assert (labels.dominant == -1).all() and (labels.composite_severity == 0).all() and float(labels.effect(x).change) > 0


def test_groups():
    labels = labels_of("nested", 30)
    assert labels.groups == ("blur", "brightness", "compression", "noise") and labels.group.dtype == torch.int16
    for code, group in zip(labels.type.flatten().tolist(), labels.group.flatten().tolist()):
        assert group == -1 if code < 0 else labels.groups[group] == degrade.REGISTRY[labels.types[code]].group
    assert (labels.group == -1).any() and set(labels.group.unique().tolist()) == {-1, 0, 1, 2, 3}


FIELDS = (
    "type", "group", "severity", "level", "params", "identity", "area", "masks", "boxes", "overlap", "severity_maps", "composite_severity", "dominant", "ids",
)  # fmt: skip


def equal(a, b):
    assert a.types == b.types and len(a) == len(b)
    for name in FIELDS:
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype and x.shape == y.shape and torch.equal(torch.nan_to_num(x, -7), torch.nan_to_num(y, -7)), name
    return True


def test_nothing_is_rendered_where_there_is_no_mask(monkeypatch, tmp_path):
    import degrade.expected
    import degrade.labels

    monkeypatch.setattr(degrade.labels, "slot_weights", lambda *a: pytest.fail("rendered"))
    monkeypatch.setattr(degrade.expected, "Masks", lambda *a: pytest.fail("rendered"))
    labels = labels_of("whole")
    for name in set(FIELDS) - {"masks"}:
        getattr(labels, name)
    labels.area_above(0.5), labels.coverage(8), labels.summary(), labels.rows()
    labels.effect(torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(0)))
    Pipeline(recipes()["whole"]).expected(50)
    assert "masks" not in vars(labels)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_batch(kind, tmp_path):
    labels = labels_of(kind, 5)[:0]
    slots, types = labels.program.slots, len(labels.types)
    assert len(labels) == 0 and list(labels) == [] and labels.rows() == [] and labels.summary() == {}
    shapes = {"boxes": (0, slots, 4), "overlap": (0, slots, slots), "severity_maps": (0, types, *SIZE), "dominant": (0, *SIZE), "area": (0, slots)}
    assert {name: tuple(getattr(labels, name).shape) for name in shapes} == shapes
    assert labels.coverage(8).shape == (0, slots, 3, 5) and labels.area_above(0.5).shape == (0, slots)
    assert labels.effect(torch.zeros(0, 3, *SIZE)).change.shape == (0, slots)
    assert equal(Labels.collate([labels, labels]), labels)
    labels.to_parquet(tmp_path / "none.parquet")


@pytest.mark.parametrize("threshold", [0, -0.5, 1.01, float("nan"), "half", True])
def test_a_threshold_that_no_weight_has(threshold):
    with pytest.raises(ValueError, match=r"threshold=.* accepted: a number above 0, up to 1"):
        labels_of("whole").area_above(threshold)


@pytest.mark.parametrize("patch", [0, 2.5, (4,), (4, -1), True, None])
def test_a_patch_that_is_none(patch):
    with pytest.raises(ValueError, match=r"patch=.* accepted: a whole number of pixels"):
        labels_of("whole").coverage(patch)


# ---- samples and batches ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("read", [False, True], ids=["unread", "read"])
def test_labels_of_some_samples(kind, read):
    labels = labels_of(kind)
    if read:
        assert equal(labels, labels)
    for index in (
        slice(1, 4),
        [3, 0, 0],
        np.array([4, 2]),
        torch.tensor([1, 1, 3]),
        torch.tensor([True, False, False, True, True]),
        slice(None, None, -1),
        -1,
    ):
        rows = np.atleast_1d(np.arange(5)[np.asarray(index) if isinstance(index, torch.Tensor) else index]).copy()
        some, whole = labels[index], labels_of(kind)
        assert len(some) == len(rows) and some.ids.tolist() == rows.tolist()
        for name in FIELDS:
            want = getattr(whole, name)[torch.from_numpy(rows)]
            assert torch.equal(torch.nan_to_num(getattr(some, name), -7), torch.nan_to_num(want, -7)), name
    assert [len(one) for one in labels] == [1] * 5 and [int(one.ids) for one in labels] == [0, 1, 2, 3, 4]
    assert equal(Labels.collate(list(labels)), labels_of(kind))
    assert equal(Labels.collate([labels[3:], labels[:3]]), labels_of(kind)[[3, 4, 0, 1, 2]])
    with pytest.raises(IndexError):
        labels[5]


def test_labels_of_a_sample_replay_alone():
    """The sliced call mask goes with its sample."""
    labels = labels_of("given")
    x = torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    whole = labels.effect(x)
    for i, one in enumerate(labels):
        assert torch.equal(one.effect(x[i : i + 1]).change, whole.change[i : i + 1])


def test_collate_works_in_a_loader():
    pipe, x = Pipeline(recipes()["bank"], seed=4), torch.zeros(5, 3, *SIZE, dtype=torch.uint8)
    items = [pipe(x[i : i + 1], ids=[i], labels=True) for i in range(5)]
    loader = torch.utils.data.DataLoader(items, batch_size=3, collate_fn=lambda batch: Labels.collate([own for _, own in batch]))
    first, second = loader
    assert equal(first, labels_of("bank")[:3]) and equal(second, labels_of("bank")[3:])
    assert first.program.maps is items[0][1].program.maps


def test_collate_refuses_what_does_not_belong_together():
    one = labels_of("nested")

    def other(recipe="nested", size=SIZE, seed=4, view=0):
        return Labels(Pipeline(recipes()[recipe], seed=seed).sample(range(2), size, view))

    for wrong, message in (
        (other("whole"), "has types"),
        (other(size=(24, 37)), r"has size \(24, 37\) and number 0 has \(23, 37\)"),
        (other(seed=5), "has key"),
        (other(view=1), "has key"),
    ):
        with pytest.raises(ValueError, match=f"number 1 {message}.*accepted: what one pipeline drew"):
            Labels.collate([one, wrong])
    with pytest.raises(ValueError, match="nothing to join"):
        Labels.collate([])
    given = labels_of("given")
    with pytest.raises(ValueError, match="1 of 2 labels hold a mask"):
        Labels.collate([given, Labels(given.program)])


def test_collate_joins_stored_masks_that_differ():
    bank = labels_of("bank")
    changed = Labels(dataclasses.replace(bank.program, maps=torch.cat([bank.program.maps[:1], 1.0 - bank.program.maps[1:]])))
    both = Labels.collate([bank, changed, bank])
    assert len(both.program.maps) == 3 * len(bank.program.maps) - 2  # what all begin with is stored once
    assert torch.equal(both.masks, torch.cat([bank.masks, changed.masks, bank.masks])) and not torch.equal(bank.masks, changed.masks)


def test_labels_on_a_device():
    """Stands for a GPU: a device that holds no values still says where a tensor would be."""
    labels = labels_of("nested")
    rendered = labels.masks
    there = labels.to("meta")
    assert there.device.type == "meta" and labels.device.type == "cpu" and labels.masks is rendered
    for name in ("type", "group", "severity", "level", "params", "identity", "ids", "masks", "boxes", "area", "composite_severity"):
        assert getattr(there, name).device.type == "meta", name
    assert labels_of("nested").to("meta").masks.device.type == "meta"
    assert equal(labels.to("cpu"), labels) and equal(labels.to("cpu")[1:], labels[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_a_program_that_was_saved_are_equal(kind, tmp_path):
    labels = labels_of(kind)
    labels.program.save(tmp_path / "program.json")
    loaded = Labels(degrade.load(tmp_path / "program.json"), labels._mask)
    assert equal(loaded, labels) and loaded.rows() == labels.rows()


# ---- tables and numbers -------------------------------------------------------------------------------------------------


def test_rows_hold_what_was_drawn():
    labels = labels_of("nested")
    rows = iter(labels.rows())
    for i in range(5):
        for slot in range(labels.program.slots):
            if labels.type[i, slot] < 0:
                continue
            row, op = next(rows), degrade.REGISTRY[labels.types[int(labels.type[i, slot])]]
            assert (row["id"], row["slot"], row["type"], row["group"]) == (i, slot, op.name, op.group)
            assert row["severity"] == float(labels.severity[i, slot]) and row["level"] is None and row["area"] == float(labels.area[i, slot])
            assert row["box"] == labels.boxes[i, slot].tolist() and row["identity"] is bool(labels.identity[i, slot])
            assert list(row["params"]) == list(op.parameters)
            for value, (name, param), drawn in zip(row["params"].values(), op.parameters.items(), labels.params[i, slot].tolist()):
                assert (param.choices.index(value) if param.choices else value) == drawn, name
    assert next(rows, None) is None
    level = Labels(degrade.banks.kadid10k().single("jpeg", level=4).sample([7], (32, 32))).rows()[0]
    assert level["level"] == 4.0 and level["params"]["subsampling"] in degrade.Jpeg.parameters["subsampling"].choices


def test_parquet_reads_back(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    labels = labels_of("nested")
    labels.to_parquet(tmp_path / "labels.parquet")
    read = parquet.read_table(tmp_path / "labels.parquet").to_pylist()
    rows = [{**row, "params": json.loads(row["params"])} for row in read]
    assert rows == labels.rows() and len(rows) == int((labels.type >= 0).sum())
    assert [path.name for path in tmp_path.iterdir()] == ["labels.parquet"]


def test_parquet_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match=r"path=.* cannot be written"):
        labels_of("whole").to_parquet(tmp_path / "folder")
    with pytest.raises(OSError, match=r"path=.*nowhere.* cannot be written"):
        labels_of("whole").to_parquet(tmp_path / "nowhere" / "labels.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'degrade\[labels\]'"):
        labels_of("whole").to_parquet(tmp_path / "labels.parquet")


def test_summary_is_means_over_the_batch():
    recipe = Compose(Local(degrade.GaussianBlur(severity=0.5), masks.Rectangle(area=0.25)), degrade.Jpeg(severity=1.0, p=0.5), p=0.7)
    never = degrade.MeanShift(p=0.0)
    labels = Labels(Pipeline(Compose(recipe, never, degrade.GaussianNoise(0.0, p=0.5))).sample(range(40), (32, 32)))
    rows, ids = labels.rows(), range(40)
    jpeg = {row["id"] for row in rows if row["type"] == "jpeg"}
    blurred = {row["id"] for row in rows if row["type"] == "gaussian_blur"}
    noisy = {row["id"] for row in rows if row["type"] == "gaussian_noise"}
    want = {
        "slots": len(rows) / 40,
        "severity": sum(row["severity"] for row in rows) / len(rows),
        "area": sum(row["area"] for row in rows) / len(rows),
        "untouched": sum(i not in blurred for i in ids) / 40,
        "share/gaussian_blur": len(blurred) / 40,
        "share/gaussian_noise": len(noisy) / 40,
        "share/jpeg": len(jpeg) / 40,
        "share/mean_shift": 0.0,
        "severity/gaussian_blur": 0.5,
        "severity/gaussian_noise": 0.0,
        "severity/jpeg": 1.0,
    }
    got = labels.summary()
    assert jpeg < blurred and noisy - blurred and got == pytest.approx({f"degrade/{name}": value for name, value in want.items()}, abs=1e-6)
    assert all(type(value) is float for value in got.values()) and "x/slots" in labels.summary("x/")


def test_a_slot_without_weight_touches_nothing():
    assert labels_of("given")[[0]].summary()["degrade/untouched"] == float(not (labels_of("given").type[0, 1] >= 0))

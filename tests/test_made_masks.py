"""Masks that a call makes: of the images (Edges, Saliency) and of what comes with them (Segments)."""

import cv2
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch
from test_engine import photo

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, Labels, Local, MeanShift, OneOf, Pipeline, masks
from degrade.masks import _maps, edges, saliency
from degrade.program import Program

SIZE = (33, 47)
IDS = np.arange(6)
RANKED = (masks.Edges, masks.Saliency)
FORMATS = ("labels", "labels with a channel", "bool", "uint8", "float")


def weights(mask, x, ids=None, **given):
    """What the labels say was applied, (b, h, w)."""
    ids = range(len(x)) if ids is None else ids
    return Pipeline(Local(MeanShift(0.3), mask), seed=3)(x, ids=ids, labels=True, **given)[1].masks[:, 0]


def label_map(size=SIZE, count=6):
    """A few rectangles of labels 0, 1, 3, 7, 9 and 255 in each image; the second lacks 3, the third 7."""
    maps = torch.zeros((count, *size), dtype=torch.int64)
    h, w = size
    for image in maps:
        image[: h // 3, : w // 2] = 1
        image[h // 2 : h - 3, 4:19] = 3
        image[2:9, w // 2 + 3 : w - 4] = 7
        image[h // 2 :, w // 2 + 5 :] = 9
        image[-2:] = 255
    maps[1][maps[1] == 3] = 0
    maps[2][maps[2] == 7] = 9
    return maps


def segments(form, size=SIZE):
    """The same segmentation as a label map or as masks of all its labels."""
    maps = label_map(size)
    if form.startswith("labels"):
        return maps[:, None].to(torch.int16) if form.endswith("channel") else maps
    hot = torch.stack([maps == label for label in (0, 1, 3, 7, 9, 255)], 1)
    return hot if form == "bool" else hot.to(getattr(torch, "float32" if form == "float" else form))


# ---- what is ranked -----------------------------------------------------------------------------------------------------


def luma(x):
    r, g, b = x.numpy().astype(np.int64)
    return r * 77 + g * 150 + b * 29


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (1, 9), (64, 5)], ids=str)
def test_edges_are_means_of_sobel(size):
    x = photo(3, *size)
    numbers = torch.zeros(3, 16)
    numbers[:, 3] = torch.tensor([0.0, 1.0, 4.0])
    got = masks.Edges.scores(x, numbers).numpy()
    for image, own, radius in zip(x, got, (0, 1, 4)):
        values = luma(image).astype(np.float64)
        strength = sum(np.abs(cv2.Sobel(values, cv2.CV_64F, dx, 1 - dx, ksize=3, borderType=cv2.BORDER_REPLICATE)) for dx in (0, 1))
        mean = scipy.ndimage.uniform_filter(strength, 2 * radius + 1, mode="nearest")
        assert np.abs(own - np.floor(mean * 16 + 1e-6)).max() <= 1e-6


@pytest.mark.parametrize("size", [(33, 47), (1, 1), (1, 9), (64, 5)], ids=str)
def test_saliency_is_centre_minus_surround(size):
    x = photo(2, *size)
    got = masks.Saliency.scores(x, None).numpy()
    for image, own in zip(x, got):
        r, g, b = image.numpy().astype(np.float64)
        total = np.zeros(size)
        for channel in (luma(image).astype(np.float64), (r - g) * 256, (b - (r + g) / 2) * 256):
            radii = np.floor(2.0 ** np.arange(-6, 0) * np.sqrt(size[0] * size[1]) / 2 + 0.5).astype(int)
            means = [scipy.ndimage.uniform_filter(channel, 2 * radius + 1, mode="nearest") for radius in radii]
            for centre, surround in saliency.PAIRS:
                total += np.abs(means[centre] - means[surround])
        assert np.abs(own - total).max() <= 18  # each of 18 differences is of two means rounded down


def test_box_sums_repeat_the_border():
    values = torch.randint(-1000, 1000, (3, 9, 23), generator=torch.Generator().manual_seed(0))
    for radius in (0, 1, 5, 23):
        expected = np.stack([scipy.ndimage.uniform_filter(v.numpy().astype(np.float64), 2 * radius + 1, mode="nearest") for v in values])
        assert np.abs(_maps.box(values, torch.full((3,), radius)).numpy() - expected * (2 * radius + 1) ** 2).max() < 1e-3
        summed = saliency.summed_area(values, 23)
        assert np.abs(saliency.box_mean(summed, radius, 23).numpy() - np.floor(expected + 1e-9)).max() <= 1


def test_equal_scores_share_their_mean_rank():
    scores = torch.randint(0, 40, (3, 11, 17), generator=torch.Generator().manual_seed(0), dtype=torch.int32)
    scores[1] = 5
    expected = np.stack([(scipy.stats.rankdata(v.numpy()).reshape(11, 17) - 0.5) / (11 * 17) for v in scores])
    assert np.abs(_maps.ranks(scores).numpy() - expected).max() < 1e-6


def test_sobel_of_a_step():
    step = torch.zeros(1, 5, 6, dtype=torch.int64)
    step[:, :, 3:] = 10
    assert edges.sobel(step)[0, 2].tolist() == [0, 0, 40, 40, 0, 0]


@pytest.mark.parametrize("family", RANKED, ids=lambda f: f.name)
def test_area_is_met(family):
    x = photo(4, 96, 160, torch.float32)
    for area in (0.02, 0.1, 0.4, 0.65, 0.9):
        for feather in (0.0, 0.02, 0.2, 2.0):
            got = weights(family(area=area, feather=feather), x)
            assert (got.mean((1, 2)) - area).abs().max() <= 0.01, (area, feather)
            assert got.amax() == 1.0 and got.amin() < 1e-6


@pytest.mark.parametrize("family", RANKED, ids=lambda f: f.name)
def test_highest_scores_are_chosen(family):
    """A hard mask holds the pixels of the highest scores and no other."""
    x = photo(3, *SIZE)
    numbers = torch.zeros(3, 16)
    scores = family.scores(x, numbers)
    got = weights(masks.Edges(area=0.2, feather=0.0, window=0.0) if family is masks.Edges else family(area=0.2, feather=0.0), x)
    for own, weight in zip(scores, got):
        assert own[weight == 1].min() > own[weight < 1].max() and own[weight > 0].min() > own[weight == 0].max()
        assert len(own[(weight > 0) & (weight < 1)].unique()) <= 1  # equal scores at the cut share what is left of the area


@pytest.mark.parametrize("family", RANKED, ids=lambda f: f.name)
def test_an_image_without_any_is_taken_whole(family):
    x = torch.full((2, 3, 20, 31), 77, dtype=torch.uint8)
    assert (weights(family(area=0.1, feather=0.0), x) == 1.0).all()
    assert (weights(family(area=0.1), x[:, :, :1, :1]) == 1.0).all()


def test_half_precision_and_bytes_read_the_same_edges():
    x = photo(3, *SIZE)
    expected = weights(masks.Edges(), x)
    for dtype in (torch.float32, torch.float16):
        assert torch.equal(weights(masks.Edges(), (x / 255).to(dtype)), expected)
    assert torch.equal(weights(masks.Edges(), x.to(memory_format=torch.channels_last)), expected)


def test_edges_are_those_of_the_image_as_it_came():
    """Not of what the ops before have made of it."""
    x = photo(2, *SIZE)
    chain = Pipeline(Compose(GaussianBlur(sigma=4.0), Local(MeanShift(0.3), masks.Edges(area=0.2, feather=0.1))), seed=3)
    alone = Pipeline(Compose(GaussianNoise(std=0.3), Local(MeanShift(0.3), masks.Edges(area=0.2, feather=0.1))), seed=3)
    first, second = (pipe(x, ids=range(2), labels=True)[1] for pipe in (chain, alone))
    assert torch.equal(first.masks[:, 1], second.masks[:, 1])


# ---- segments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMATS)
def test_one_segment_of_each_image_whole(form):
    maps, x = label_map(), photo(6, *SIZE)
    got = weights(masks.Segments(), x, segments=segments(form))
    for own, image in zip(got, maps):
        inside = own > 0
        assert set(own.unique().tolist()) == {0.0, 1.0}
        (label,) = image[inside].unique().tolist()
        assert torch.equal(inside, image == label)


def picked(mask, maps, n=600, **given):
    """Which label each of n draws took of one map (h, w)."""
    x = torch.zeros((n, 3, *maps.shape), dtype=torch.uint8)
    got = weights(mask, x, segments=maps.expand(n, *maps.shape), **given)
    firsts = got.flatten(1).argmax(1)
    return maps.flatten()[firsts], got.amax((1, 2)) > 0


def test_every_segment_is_as_likely():
    labels, taken = picked(masks.Segments(), label_map((12, 20))[0])
    counts = torch.bincount(labels[taken], minlength=256)[[0, 1, 3, 7, 9, 255]]
    assert taken.all() and counts.sum() == 600
    assert scipy.stats.chisquare(counts.numpy()).pvalue > 1e-4


def test_classes_and_ignore():
    one = label_map()[0]
    assert set(picked(masks.Segments(classes=[3, 7, 40]), one, 60)[0].tolist()) == {3, 7}
    assert set(picked(masks.Segments(ignore=[0, 255]), one, 90)[0].tolist()) == {1, 3, 7, 9}
    assert set(picked(masks.Segments(classes=range(10), ignore=[0, 1]), one, 90)[0].tolist()) == {3, 7, 9}
    assert set(picked(masks.Segments(classes=torch.tensor([9])), one, 20)[0].tolist()) == {9}


@pytest.mark.parametrize("form", FORMATS)
def test_picks_by_area(form):
    maps, x = label_map(), photo(6, *SIZE)
    given, pixels = segments(form), SIZE[0] * SIZE[1]
    areas = [{label: int((image == label).sum()) for label in image.unique().tolist()} for image in maps]
    largest = weights(masks.Segments(pick="largest"), x, segments=given).sum((1, 2))
    assert largest.tolist() == [max(own.values()) for own in areas]
    for area in (0.001, 0.1, 0.2, 1.0):
        got = weights(masks.Segments(area=area), x, segments=given).sum((1, 2)).tolist()
        assert [abs(g - area * pixels) for g in got] == pytest.approx([min(abs(a - area * pixels) for a in own.values()) for own in areas], abs=1.0)


def test_labels_report_the_area_reached():
    x = photo(6, *SIZE)
    _, labels = Pipeline(Local(MeanShift(0.3), masks.Segments(area=0.3)), seed=3)(x, ids=IDS, labels=True, segments=label_map())
    assert torch.allclose(labels.area[:, 0], labels.masks[:, 0].mean((1, 2)), atol=1e-6)
    assert not torch.allclose(labels.area[:, 0], torch.tensor(0.3), atol=0.01)


def test_an_image_without_segments_is_left_alone():
    maps, x = label_map(), photo(6, *SIZE)
    pipe = Pipeline(Local(MeanShift(0.3), masks.Segments(classes=[3])), seed=3)
    y, labels = pipe(x, ids=IDS, labels=True, segments=maps)
    assert torch.equal(y[1], x[1]) and not torch.equal(y[0], x[0])
    assert labels.area[1] == 0 and labels.area[0] > 0 and labels.boxes[1, 0].tolist() == [0, 0, 0, 0]
    empty = torch.zeros((6, 4, *SIZE))
    y, labels = pipe(x, ids=IDS, labels=True, segments=empty)
    assert torch.equal(y, x) and (labels.area == 0).all()


def test_feather_is_a_ramp_outside_the_segment():
    maps = torch.zeros((1, 96, 96), dtype=torch.int64)
    maps[:, 30:70, 20:60] = 1
    x = photo(1, 96, 96)
    got = weights(masks.Segments(classes=[1], feather=0.125), x, segments=maps)[0]  # 12 pixels: boxes of 13
    inside = maps[0] == 1
    distance = torch.from_numpy(scipy.ndimage.distance_transform_cdt(~inside.numpy(), "chessboard"))
    assert (got[inside] == 1.0).all()
    assert (got[distance > 12] == 0.0).all()
    row = got[50, 60:74]
    assert (row[:-1] >= row[1:]).all() and row[0] < 1.0 and row[11] > 0.0 and row[12] == 0.0


def test_soft_masks_keep_their_softness():
    soft = photo(2, *SIZE, torch.float32)[:, :2]
    got = weights(masks.Segments(classes=[1]), photo(2, *SIZE), segments=soft)
    assert torch.equal(got, soft[:, 1])


def test_what_segments_do_not_hold():
    """Labels beyond those there can be and values beyond 0 and 1 that nobody checked, since reading them would wait for a GPU."""
    x, maps = photo(6, *SIZE), label_map()
    maps[maps == 9] = 70000
    maps[maps == 7] = -5
    got = weights_unchecked(masks.Segments(), x, maps)
    assert all(bool((image[own > 0] >= 0).all() and (image[own > 0] < 4096).all()) for own, image in zip(got, maps))
    soft = torch.full((6, 1, *SIZE), float("nan"))
    soft[:, :, 3:9] = 7.0
    got = weights_unchecked(masks.Segments(), x, soft)
    assert set(got.unique().tolist()) == {0.0, 1.0} and (got.sum((1, 2)) == 6 * SIZE[1]).all()


def weights_unchecked(mask, x, given):
    return Pipeline(Local(MeanShift(0.3), mask), seed=3, check="never")(x, ids=range(len(x)), labels=True, segments=given)[1].masks[:, 0]


# ---- programs -----------------------------------------------------------------------------------------------------------


def mixed():
    """Each family, alone and as a part of a mask, in chains and next to masks that are stored."""
    return Pipeline(
        Compose(
            OneOf(
                Local(MeanShift(0.2), masks.Edges()),
                Local(Compose(GaussianBlur(sigma=1.5), MeanShift(0.1)), masks.Saliency()),
                Local(GaussianNoise(std=0.1), masks.FromTensor(torch.eye(*SIZE))),
            ),
            Local(GaussianBlur(sigma=2.0), masks.Difference(masks.Segments(feather=0.1), masks.Edges(area=0.1)), p=0.8),
            Local(MeanShift(-0.2), masks.Segments(pick="largest", ignore=[0]), p=0.5),
        ),
        seed=11,
    )


def test_alone_and_in_a_batch():
    x, given = photo(6, *SIZE), label_map()
    y, labels = mixed()(x, ids=IDS, labels=True, segments=given)
    order = np.array([4, 1, 5, 0])
    some, own = mixed()(x[order], ids=IDS[order], labels=True, segments=given[order])
    assert torch.equal(some, y[order]) and torch.equal(own.masks, labels.masks[order])
    for i in range(6):
        alone, own = mixed()(x[i], ids=[i], labels=True, segments=given[i])
        assert torch.equal(alone, y[i]) and torch.equal(own.masks[0], labels.masks[i])


def test_pieces_change_nothing(monkeypatch):
    x, given = photo(6, *SIZE), label_map()
    whole = mixed()(x, ids=IDS, segments=given)
    monkeypatch.setattr(_maps, "PIECE", 2 * SIZE[0] * SIZE[1])
    assert torch.equal(mixed()(x, ids=IDS, segments=given), whole)


@pytest.mark.device
@pytest.mark.parametrize("dtype", [torch.uint8, pytest.param(torch.float32, marks=pytest.mark.heavy)], ids=str)
def test_kernels_equal_the_twin(dtype, device):
    x, given = photo(6, *SIZE, dtype).to(device), label_map().to(device)
    program = mixed().sample(IDS, SIZE).to(device)
    got, want = (degrade.apply(program, x, segments=given, backend=backend) for backend in ("triton", "torch"))
    assert torch.equal(got, want) and not torch.equal(got, x)


def test_replay(tmp_path):
    """The program of a call's labels knows its masks and needs no segments; the one that was drawn asks for them."""
    x, given = photo(6, *SIZE), label_map()
    y, labels = mixed()(x, ids=IDS, labels=True, segments=given)
    labels.program.save(tmp_path / "made.json")
    loaded = Program.load(tmp_path / "made.json")
    assert loaded.equals(labels.program) and not loaded.waiting().any()
    assert torch.equal(degrade.apply(loaded, x), y) and torch.equal(Labels(loaded).masks, labels.masks)
    drawn = mixed().sample(IDS, SIZE)
    drawn.save(tmp_path / "drawn.json")
    assert torch.equal(degrade.apply(Program.load(tmp_path / "drawn.json"), x, segments=given), y)


def test_labels_of_single_images_join():
    x, given = photo(6, *SIZE), label_map()
    _, labels = mixed()(x, ids=IDS, labels=True, segments=given)
    joined = Labels.collate([mixed()(x[i], ids=[i], labels=True, segments=given[i])[1] for i in range(6)])
    assert torch.equal(joined.masks, labels.masks) and torch.equal(joined.area, labels.area)
    assert torch.equal(joined[2:4].masks, labels.masks[2:4])


def test_recipes_are_saved(tmp_path):
    mask = masks.Union(masks.Segments(classes=[3, 1], ignore=[7], area=(0.1, 0.3)), masks.Edges(window=0.1), masks.Saliency(area=0.2))
    Pipeline(Local(MeanShift(0.3), mask), seed=5).save(tmp_path / "pipe.yaml")
    loaded = Pipeline.load(tmp_path / "pipe.yaml")
    x, given = photo(6, *SIZE), label_map()
    assert torch.equal(loaded(x, ids=IDS, segments=given), Pipeline(Local(MeanShift(0.3), mask), seed=5)(x, ids=IDS, segments=given))


def test_explained_and_expected_without_images():
    pipe = Pipeline(OneOf(Local(MeanShift(0.3), masks.Edges()), Local(GaussianBlur(sigma=1.0), masks.Ellipse())), seed=1)
    assert "settle" in str(pipe.explain(SIZE, 4))
    found = pipe.expected(200, SIZE)
    assert dict(zip(found.types, found.area.sum(1) > 0)) == {"gaussian_blur": True, "mean_shift": False}


def test_under_compile():
    x, given = photo(2, *SIZE), label_map()[:2]
    pipe, ids = mixed(), torch.arange(2)
    torch._dynamo.reset()
    compiled = torch.compile(lambda x, given: pipe(x, ids=ids, segments=given), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, given), pipe(x, ids=ids, segments=given))
    torch._dynamo.reset()


def test_shown():
    x = photo(2, 48, 64)
    pipe = Pipeline(Local(MeanShift(0.3), masks.Saliency()), seed=1)
    assert pipe.sample(range(2), (48, 64)).show(x, 1) is not None
    with pytest.raises(ValueError, match=r"segments=None, but the pipeline holds masks\.Segments"):
        Pipeline(Local(MeanShift(0.3), masks.Segments()), seed=1).sample([0], (48, 64)).show(x[0])


# ---- bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.zeros(6, 5, 47, dtype=torch.int64), r"segments of int64 has shape \(6, 5, 47\); accepted: a label map \(6, 33, 47\)"),
        (torch.zeros(6, *SIZE), r"segments of float32 has shape \(6, 33, 47\); accepted"),
        (torch.zeros(2, *SIZE, dtype=torch.int64), "to fit the images"),
        (torch.zeros(6, 0, *SIZE), r"masks \(6, k, 33, 47\), k up to 256"),
        (torch.zeros(6, 300, *SIZE, dtype=torch.bool), "k up to 256"),
        (torch.full((6, *SIZE), 5000), r"values from 5000 to 5000; accepted: labels from 0 to 4095"),
        (torch.full((6, *SIZE), -1), "labels from 0 to 4095"),
        (torch.full((6, 2, *SIZE), 255, dtype=torch.uint8), r"values from 255 to 255; accepted: masks of values in \[0, 1\]"),
        (torch.full((6, 2, *SIZE), float("nan")), r"masks of values in \[0, 1\]"),
    ],
)
def test_bad_segments(given, message):
    with pytest.raises(ValueError, match=message):
        weights(masks.Segments(), photo(6, *SIZE), segments=given)


def test_bad_types_of_segments():
    for given, message in (
        ([1], "segments is a list"),
        (torch.zeros(6, *SIZE, dtype=torch.complex64), "dtype complex64"),
        (torch.zeros(6, 2, *SIZE, dtype=torch.int64), "dtype int64 and 2 masks"),
    ):
        with pytest.raises(TypeError, match=message):
            weights(masks.Segments(), photo(6, *SIZE), segments=given)


def test_segments_missing_or_not_read():
    x = photo(6, *SIZE)
    with pytest.raises(
        ValueError, match=r"segments=None, but the pipeline holds masks\.Segments\(\) or cells\.Segments\(\); give segments= at the call"
    ):
        weights(masks.Segments(), x)
    with pytest.raises(ValueError, match="segments= was given, but no Local reads it"):
        weights(masks.Edges(), x, segments=label_map())
    with pytest.raises(ValueError, match="edges are made at a call, and this program has seen none"):
        Labels(Pipeline(Local(MeanShift(0.3), masks.Edges()), seed=1).sample(IDS, SIZE)).masks  # noqa: B018


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"pick": "biggest"}, ValueError, "'biggest' is unknown.*largest"),
        ({"pick": "largest", "area": 0.2}, ValueError, "does not go with area="),
        ({"classes": [5000]}, ValueError, r"classes holds 5000; accepted: whole numbers from 0 to 4095"),
        ({"classes": 3}, TypeError, "classes=3 is not understood"),
        ({"ignore": [True]}, ValueError, "ignore holds True"),
        ({"classes": [1], "ignore": [1]}, ValueError, "leave 0 runs of labels"),
        ({"classes": range(0, 4000, 2)}, ValueError, "leave 2000 runs of labels; accepted: labels that form 1 to 59 runs"),
        ({"class_": [1]}, TypeError, "'class_' is unknown"),
        ({"area": 1.5}, ValueError, r"area=1\.5 is out of range"),
        ({"feather": 0.9}, ValueError, r"feather=0\.9 is out of range"),
    ],
)
def test_bad_arguments_of_segments(arguments, error, message):
    with pytest.raises(error, match=message):
        masks.Segments(**arguments)


@pytest.mark.parametrize("family", RANKED, ids=lambda f: f.name)
def test_bad_arguments_of_ranked(family):
    with pytest.raises(ValueError, match=r"area=0 is out of range"):
        family(area=0.0)
    with pytest.raises(TypeError, match="'fether' is unknown; did you mean 'feather'"):
        family(fether=0.1)

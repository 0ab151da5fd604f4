"""examples/slide's readers of scores, on tiny data sets in the layouts of their authors; splits by reference; the ridge probe and correlations."""

import csv
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.stats

sys.path.insert(0, str(Path(__file__).parents[1]))
scores, regress, tables = (importlib.import_module(f"examples.slide.{name}") for name in ("scores", "regress", "tables"))


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write_csv(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def write_xlsx(path, sheets):
    openpyxl = pytest.importorskip("openpyxl")
    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)


# ---- layouts -----------------------------------------------------------------------------------------------------------------------


def kadid10k(root):
    write_csv(
        root / "dmos.csv",
        ["dist_img", "ref_img", "dmos", "var"],
        ["I01_01_01.png", "I01.png", "4.57", "0.6"],
        ["I02_01_05.png", "I02.png", "1.2", "0.4"],
    )
    touch(root, *(f"images/{name}.png" for name in ("I01", "I02", "I01_01_01", "I02_01_05")))
    return ["images/I01_01_01.png", "images/I02_01_05.png"], [4.57, 1.2], ["I01.png", "I02.png"], 1, None


def tid2013(root):
    root.mkdir(exist_ok=True)
    (root / "mos_with_names.txt").write_text("5.51429 I01_01_1.bmp\n2.5 i25_24_5.bmp\n\n")
    touch(root, "distorted_images/i01_01_1.bmp", "distorted_images/I25_24_5.BMP", "reference_images/I01.BMP")
    return ["distorted_images/i01_01_1.bmp", "distorted_images/I25_24_5.BMP"], [5.51429, 2.5], ["I01", "I25"], 1, None


CSIQ = (
    [None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"],
    [None, 1600.0, 1, "noise", 1.0, 0.05, 0.062],
    [None, "turtle", 5, "jpeg 2000", 5.0, 0.08, 0.9],
    [None] * 7,
)
CSIQ_FILES = ["dst_imgs/awgn/1600.AWGN.1.png", "dst_imgs/jpeg2000/turtle.jpeg2000.5.png"]
CSIQ_FOUND = CSIQ_FILES, [-0.062, -0.9], ["1600", "turtle"], -1, None


def csiq(root):
    write_csv(root / "csiq.DMOS.csv", *CSIQ)
    touch(root, *CSIQ_FILES, "src_imgs/1600.png")
    return CSIQ_FOUND


def csiq_workbook(root):
    """With something above the head, and other sheets."""
    write_xlsx(root / "csiq.DMOS.xlsx", {"all_by_distortion": [["nothing"]], "all_by_image": [["CSIQ"], [], *CSIQ]})
    touch(root, *CSIQ_FILES)
    return CSIQ_FOUND


def csiq_unpacked_beside(root):
    csiq(root)
    for folder in (root / "dst_imgs").iterdir():
        folder.rename(root / folder.name)
    (root / "dst_imgs").rmdir()
    return [name.removeprefix("dst_imgs/") for name in CSIQ_FILES], *CSIQ_FOUND[1:]


def live(root, file="dmos.mat", key="dmos"):
    """Two images in each folder, of which the second of wn is an original."""
    names = [f"{folder}/img{i}.bmp" for folder in scores.LIVE for i in (1, 2)]
    orgs = np.zeros((1, 10), np.uint8)
    orgs[0, 5] = 1
    references = np.empty((1, 10), object)
    references[0] = [f"{name}.bmp" for name in ("bikes", "house") * 5]
    root.mkdir(exist_ok=True)
    scipy.io.savemat(root / file, {key: np.arange(10.0)[None] * 7, "orgs": orgs, "dmos_std": np.ones((1, 10))})
    scipy.io.savemat(root / "refnames_all.mat", {"refnames_all": references})
    kept = [i for i in range(10) if i != 5]
    touch(root, *(names[i] for i in kept))
    return [names[i] for i in kept], [-7.0 * i for i in kept], [("bikes.bmp", "house.bmp")[i % 2] for i in kept], -1, None


def live_realigned(root):
    return live(root, "dmos_realigned.mat", "dmos_new")


def koniq10k(root, split=True):
    write_csv(
        root / "koniq10k_scores_and_distributions.csv",
        ["image_name", "c1", "c2", "c3", "c4", "c5", "c_total", "MOS", "SD", "MOS_zscore"],
        ["10.jpg", 0, 0, 25, 73, 7, 105, 3.83, 0.5, 76.9],
        ["11.jpg", 0, 9, 25, 73, 7, 105, 3.1, 0.5, 60.5],
        ["12.jpg", 50, 9, 25, 7, 7, 105, 1.9, 0.5, 21.25],
    )
    sets = [["11.jpg", "validation"], ["12.jpg", "test"], ["10.jpg", "training"]]
    if split:
        write_csv(root / "koniq10k_distributions_sets.csv", ["image_name", "MOS", "set"], *([name, 50, where] for name, where in sets))
    touch(root, *(f"512x384/{i}.jpg" for i in (10, 11, 12)))
    names = ["10.jpg", "11.jpg", "12.jpg"]
    return [f"512x384/{name}" for name in names], [76.9, 60.5, 21.25], names, 1, ["training", "validation", "test"] if split else None


def koniq10k_without_sets(root):
    return koniq10k(root, False)


def koniq10k_of_both_sizes(root):
    found = koniq10k(root)
    touch(root, *(name.replace("512x384", "1024x768") for name in found[0]))
    return [name.replace("512x384", "1024x768") for name in found[0]], *found[1:]


SPAQ = ["Image name", "MOS", "Brightness"], ["00001.jpg", 39.4, 37.0], ["00002.jpg", 64, 60.0]


def spaq(root):
    write_csv(root / "Annotations/MOS and Image attribute scores.csv", *SPAQ)
    touch(root, "TestImage/00001.jpg", "TestImage/00002.jpg")
    return ["TestImage/00001.jpg", "TestImage/00002.jpg"], [39.4, 64.0], ["00001.jpg", "00002.jpg"], 1, None


def spaq_workbook(root):
    write_xlsx(root / "Annotations/MOS and Image attribute scores.xlsx", {"Sheet1": SPAQ})
    touch(root, "TestImage/00001.jpg", "TestImage/00002.jpg")
    return ["TestImage/00001.jpg", "TestImage/00002.jpg"], [39.4, 64.0], ["00001.jpg", "00002.jpg"], 1, None


def flive(root, valid=None):
    names = ["voc_emotic_ava/AVA__149.jpg", "blur_dataset/motion0001.JPG"]
    rows = [["name", "mos"], [names[0], 79.1], [names[1].replace("JPG", "jpg"), 55]]
    for row, more in zip(rows, valid or ([], [], [])):
        row += more
    write_csv(root / "labels_image.csv", *rows)
    touch(root, *(f"database/{name}" for name in names))
    return [f"database/{name}" for name in names], [79.1, 55.0], [rows[1][0], rows[2][0]], 1, valid and ["training", "test"]


def flive_with_a_split(root):
    return flive(root, (["is_valid"], ["False"], ["True"]))


LAYOUTS = (
    kadid10k, tid2013, csiq, csiq_workbook, csiq_unpacked_beside, live, live_realigned, koniq10k, koniq10k_without_sets, koniq10k_of_both_sizes, spaq,
    spaq_workbook, flive, flive_with_a_split,
)  # fmt: skip


@pytest.fixture(autouse=True)
def small_live(monkeypatch):
    assert sum(scores.LIVE.values()) == 982
    monkeypatch.setattr(scores, "LIVE", dict.fromkeys(scores.LIVE, 2))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_published_layouts_are_read(tmp_path, layout):
    files, values, groups, sign, split = layout(tmp_path)
    found = scores.load(layout.__name__.split("_")[0], tmp_path)
    assert [file.relative_to(tmp_path).as_posix() for file in found.files] == files and all(file.is_file() for file in found.files)
    assert found.scores.tolist() == pytest.approx(values) and found.scores.dtype == np.float64
    assert found.groups.tolist() == groups and found.sign == sign and len(found) == len(files)
    assert (None if found.split is None else found.split.tolist()) == split


def test_every_source_has_a_layout():
    assert {layout.__name__.split("_")[0] for layout in LAYOUTS} == set(scores.SOURCES)


def test_a_realigned_table_comes_first(tmp_path):
    live(tmp_path)
    scipy.io.savemat(tmp_path / "dmos_realigned.mat", {"dmos_new": np.full((1, 10), 3.0), "orgs": np.zeros((1, 10))})
    touch(tmp_path, "wn/img2.bmp")
    assert scores.load("live", tmp_path).scores.tolist() == [-3.0] * 10


# ---- what is refused ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(scores.SOURCES))
def test_absent_data_is_named_with_its_origin(tmp_path, name):
    source = scores.SOURCES[name]
    with pytest.raises(FileNotFoundError) as caught:
        scores.load(name, tmp_path / "nowhere")
    message = str(caught.value)
    assert message.startswith(f"root='{tmp_path / 'nowhere'}' holds no ") and message.count("\n") == 0
    assert f"the folder of {source.name}, which is to be downloaded from its authors ({source.where}), with {source.holds}." in message


@pytest.mark.parametrize("layout", [layout for layout in LAYOUTS if "_" not in layout.__name__], ids=lambda layout: layout.__name__)
def test_images_that_are_not_there_are_counted(tmp_path, layout):
    files, *_ = layout(tmp_path)
    for file in files[-2:]:
        (tmp_path / file).unlink()
    with pytest.raises(FileNotFoundError, match=rf"lacks 2 of the {len(files)} images that the table lists, first '.*'; accepted: a folder with all"):
        scores.load(layout.__name__, tmp_path)


def kadid(root):
    """The layout of no data set that is known."""


KADID10K = ["dist_img", "ref_img", "dmos"]
CSIQ_HEAD = ["image", "dst_type", "dst_lev", "dmos"]


def rewritten(name, *rows):
    """A table with these rows in place of its own."""
    return lambda root: write_csv(root / name, *rows)


def overwritten(name, text):
    return lambda root: (root / name).write_text(text)


def rearranged(name, **arrays):
    return lambda root: scipy.io.savemat(root / name, arrays)


DAMAGES = {  # a layout, and the one thing that is wrong with it
    "another data set": (kadid, touch),
    "a score that is none": (kadid10k, rewritten("dmos.csv", KADID10K, ["I01_01_01.png", "I01.png", "good"])),
    "a score that is not finite": (kadid10k, rewritten("dmos.csv", KADID10K, ["I01_01_01.png", "I01.png", "nan"])),
    "other columns": (kadid10k, rewritten("dmos.csv", ["image", "score"], ["I01_01_01.png", "4"])),
    "no rows": (kadid10k, rewritten("dmos.csv", KADID10K)),
    "a row without a score": (kadid10k, rewritten("dmos.csv", KADID10K, ["I01_01_01.png", "I01.png", ""])),
    "a line too short": (tid2013, overwritten("mos_with_names.txt", "5.5 I01_01_1.bmp\nI01_01_2.bmp\n")),
    "an empty list": (tid2013, overwritten("mos_with_names.txt", "\n")),
    "an unknown type": (csiq, rewritten("csiq.DMOS.csv", CSIQ_HEAD, ["1600", "fog", 1, 0.1])),
    "arrays of another length": (live, rearranged("dmos.mat", dmos=np.zeros((1, 9)), orgs=np.zeros((1, 10)))),
    "arrays of another name": (live, rearranged("refnames_all.mat", names=np.zeros((1, 10)))),
    "no file of MATLAB": (live, overwritten("dmos.mat", "no file of MATLAB, whatever its name says " * 10)),
    "an unknown set": (
        koniq10k,
        rewritten("koniq10k_distributions_sets.csv", ["image_name", "set"], *([f"{i}.jpg", "train"] for i in (10, 11, 12))),
    ),
}


@pytest.mark.parametrize(
    "name, message",
    [
        ("another data set", r"dataset='kadid' is not accepted; accepted: kadid10k, tid2013, csiq, live, koniq10k, spaq, flive\."),
        ("a score that is none", r"dmos\.csv' has 'good' as the score of 'I01_01_01\.png'; accepted: a number\."),
        ("a score that is not finite", r"dmos\.csv' has 'nan' as the score of"),
        ("other columns", r"dmos\.csv' has no row that names its columns; accepted: a table with the columns dist_img, ref_img, dmos\."),
        ("no rows", r"dmos\.csv' has no rows; accepted: a table with at least one\."),
        ("a row without a score", r"dmos\.csv' has no 'dmos' in its row 'I01_01_01\.png, I01\.png'; accepted: a value in each\."),
        ("a line too short", r"mos_with_names\.txt' is not as published at line 2; accepted: lines of a score and a file's name\."),
        ("an empty list", r"mos_with_names\.txt' is not as published at line 1"),
        ("an unknown type", r"csiq\.DMOS\.csv' has dst_type 'fog'; accepted: noise, blur, contrast, fnoise, jpeg, jpeg 2000\."),
        ("arrays of another length", r"dmos\.mat' has 9 values of dmos; accepted: 10, one for each image of release 2\."),
        ("arrays of another name", r"refnames_all\.mat' has 0 values of refnames_all; accepted: 10"),
        ("no file of MATLAB", r"dmos\.mat' is no file of MATLAB: .*; accepted: the file as published\."),
        ("an unknown set", r"sets\.csv' has 'train' as the set of '10\.jpg'; accepted: training, validation, test\."),
    ],
)
def test_damaged_data_gets_one_sentence(tmp_path, name, message):
    layout, damage = DAMAGES[name]
    layout(tmp_path)
    damage(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        scores.load(layout.__name__, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_workbook_without_its_sheet_or_its_library_is_refused(tmp_path, monkeypatch):
    (tmp_path / "csiq.DMOS.xlsx").touch()
    (tmp_path / "dst_imgs").mkdir()
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"xlsx' needs openpyxl, .*: pip install openpyxl, or export its sheet as 'csiq\.DMOS\.csv' beside it\."
    ):
        scores.load("csiq", tmp_path)
    monkeypatch.undo()
    write_xlsx(tmp_path / "csiq.DMOS.xlsx", {"all": CSIQ})
    with pytest.raises(ValueError, match=r"has no sheet 'all_by_image', but all; accepted: the workbook as published\."):
        scores.load("csiq", tmp_path)


# ---- splits ------------------------------------------------------------------------------------------------------------------------

GROUPS = np.repeat([f"I{i:02d}" for i in range(1, 26)], np.arange(25) % 4 + 1)


def straddling(split, groups):
    parts = [set(groups[rows]) for rows in split]
    return any(parts[i] & parts[j] for i, j in ((0, 1), (0, 2), (1, 2)))


def test_splits_keep_references_together():
    found = regress.splits(GROUPS)
    assert len(found) == 10 and len({tuple(split.test) for split in found}) == 10
    for split in found:
        assert not straddling(split, GROUPS)
        assert sorted(np.concatenate(split)) == list(range(len(GROUPS)))
        assert [len(set(GROUPS[rows])) for rows in split] == [16, 4, 5]
    again, other = regress.splits(GROUPS), regress.splits(GROUPS, seed=1)
    assert all(np.array_equal(a, b) for one, two in zip(found, again) for a, b in zip(one, two))
    assert not np.array_equal(found[0].test, other[0].test)


def test_straddling_is_noticed():
    assert straddling(regress.Split(np.array([0, 1]), np.array([2]), np.array([3])), np.array(["a", "b", "c", "a"]))


def test_folds_test_every_group_once():
    found = regress.folds(GROUPS, 5)
    assert len(found) == 5 and not any(straddling(split, GROUPS) for split in found)
    assert sorted(np.concatenate([split.test for split in found])) == list(range(len(GROUPS)))
    assert all(sorted(np.concatenate(split)) == list(range(len(GROUPS))) for split in found)


@pytest.mark.parametrize("groups", [3, 4, 5, 7])
def test_few_groups_leave_no_part_empty(groups):
    names = np.repeat(np.arange(groups), 2)
    some = regress.splits(names) + [s for count in (2, 3, groups) if groups > 3 or count > 2 for s in regress.folds(names, count)]
    assert all(len(rows) for split in some for rows in split) and not any(straddling(split, names) for split in some)


def test_published_splits_are_kept():
    sets = np.array(["test", "training", "validation", "training", "training", "test"])
    names = np.array([f"{i}.jpg" for i in range(6)])
    assert [rows.tolist() for rows in regress.published(sets, names)] == [[1, 3, 4], [2], [0, 5]]
    two = regress.published(np.where(sets == "validation", "training", sets), names)
    assert two.test.tolist() == [0, 5] and sorted([*two.train, *two.validation]) == [1, 2, 3, 4] and len(two.validation) == 1


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: regress.splits(np.array([1, 1, 2])), r"groups has 2 of 3 images; accepted: at least 3 of them\."),
        (lambda: regress.folds(np.arange(4), 5), r"groups has 4 of 4 images; accepted: at least 5"),
        (lambda: regress.folds(np.arange(3), 2), r"accepted: at least 4"),
        (lambda: regress.splits(GROUPS, 1), r"count=1 is not accepted; accepted: a whole number from 2\."),
        (lambda: regress.splits(GROUPS, test=1.0), r"test=1\.0 is not accepted; accepted: a number between 0 and 1\."),
        (lambda: regress.published(np.array(["training", "test"]), np.array(["a", "b"])), r"split has 1 images to train on and 1 to test"),
    ],
)
def test_bad_splits_get_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- the probe ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n, d", [(40, 7), (12, 30)])
def test_ridge_solves_its_normal_equations(n, d):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(n, d)), rng.normal(size=n)
    x -= x.mean(0)
    weights, centre = regress.ridge(x, y, [0.01, 2.0])
    want = [np.linalg.solve(x.T @ x / n + alpha * np.eye(d), x.T @ (y - y.mean()) / n) for alpha in (0.01, 2.0)]
    np.testing.assert_allclose(weights, want, rtol=1e-8, atol=1e-10)
    assert centre == pytest.approx(y.mean())


@pytest.mark.parametrize("d", [6, 400])
def test_a_planted_score_is_recovered_and_noise_is_not(d):
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(25), 10)
    x = rng.normal(size=(250, d)) * 10.0 ** rng.integers(-3, 4, d) + 5
    x[:, 3] = 7.0  # carries nothing, and must not divide by 0
    planted = (x[:, 0] - 5) / x[:, 0].std() - (x[:, 1] - 5) / x[:, 1].std() + 0.05 * rng.normal(size=250) + 30
    found = regress.probe(x, planted, regress.splits(groups))
    noise = regress.probe(x, rng.normal(size=250), regress.splits(groups))
    least = 0.99 if d == 6 else 0.4
    assert all(found["median"][key] > least * (0.85 if key == "krcc" else 1) for key in ("srcc", "plcc", "krcc")), found["median"]
    assert abs(noise["median"]["srcc"]) < 0.25 and len(found["splits"]) == 10
    assert found["splits"][0].keys() == {"srcc", "plcc", "krcc", "alpha", "train", "validation", "test"}
    srcc = [row["srcc"] for row in found["splits"]]
    assert found["mean"]["srcc"] == pytest.approx(np.mean(srcc)) and found["std"]["srcc"] == pytest.approx(np.std(srcc))
    assert found["median"]["srcc"] == pytest.approx(np.median(srcc))


def test_predictions_do_not_depend_on_tested_scores():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, 5)), rng.normal(size=60)
    split = regress.splits(np.arange(60))[0]
    other = y.copy()
    other[split.test] = 99.0
    assert np.array_equal(regress.fit(x, y, split).predicted, regress.fit(x, other, split).predicted)
    moved = x.copy()
    moved[split.test[1:]] = 1e6  # nor on other tested images
    assert regress.fit(x, y, split).predicted[0] == regress.fit(moved, y, split).predicted[0]


@pytest.mark.parametrize("seed", range(6))
def test_the_strength_is_chosen_on_the_validation_part(seed):
    rng = np.random.default_rng(seed)
    x, signal = rng.normal(size=(80, 60)), rng.normal(size=80)
    x[:, 0] = signal
    y = signal + 2.0 * rng.normal(size=80)
    split = regress.splits(np.arange(80), seed=seed)[0]
    x[split.test, 1:] *= 1000.0  # which must not reach the scale of the validation part
    both = np.concatenate([split.train, split.validation])
    alphas = (1e-5, 0.1, 10.0)
    found = []
    for alpha in alphas:
        mean, std = x[split.train].mean(0), x[split.train].std(0)
        a = (x[split.train] - mean) / std
        w = np.linalg.solve(a.T @ a / len(a) + alpha * np.eye(60), a.T @ (y[split.train] - y[split.train].mean()) / len(a))
        found.append(scipy.stats.spearmanr((x[split.validation] - mean) / std @ w, y[split.validation])[0])
    chosen = regress.fit(x, y, split, alphas)
    assert chosen.alpha == alphas[int(np.argmax(found))]
    mean, std = x[both].mean(0), x[both].std(0)
    a = (x[both] - mean) / std
    w = np.linalg.solve(a.T @ a / len(a) + chosen.alpha * np.eye(60), a.T @ (y[both] - y[both].mean()) / len(a))
    np.testing.assert_allclose(chosen.predicted, (x[split.test] - mean) / std @ w + y[both].mean(), rtol=1e-6)


# ---- correlations ------------------------------------------------------------------------------------------------------------------


def test_correlations_are_scipys():
    rng = np.random.default_rng(4)
    a, noise = rng.normal(size=200), rng.normal(size=200)
    b = np.round(a + 0.7 * noise, 1)  # with ties
    found = regress.correlations(a, b)
    assert found["srcc"] == pytest.approx(scipy.stats.spearmanr(a, b)[0])
    assert found["krcc"] == pytest.approx(scipy.stats.kendalltau(a, b)[0])
    assert found["plcc"] == pytest.approx(scipy.stats.pearsonr(regress.mapped(a, b), b)[0])
    assert found["plcc"] >= scipy.stats.pearsonr(a, b)[0] - 1e-3  # a line is the limit of the logistic function


def test_the_mapping_undoes_a_saturating_scale_and_is_monotone():
    x = np.linspace(-4, 4, 100) * 30 + 500
    y = 20 + 60 / (1 + np.exp(-(x - 510) / 15))
    found = regress.mapped(x, y)
    np.testing.assert_allclose(found, y, atol=1e-3)
    assert (np.diff(found) >= 0).all() and regress.correlations(x, y)["plcc"] > 0.9999 > scipy.stats.pearsonr(x, y)[0] + 0.02


def test_wrong_directions_constants_and_few_images_get_numbers():
    x = np.arange(30.0)
    turned = regress.correlations(x, -x)
    assert turned["srcc"] == turned["krcc"] == pytest.approx(-1) and turned["plcc"] < -0.99
    assert (
        regress.correlations(np.ones(5), np.arange(5.0))
        == regress.correlations(np.arange(5.0), np.ones(5))
        == {"srcc": 0.0, "plcc": 0.0, "krcc": 0.0}
    )
    assert regress.correlations(np.array([1.0, 3.0, 2.0]), np.array([1.0, 2.0, 3.0]))["plcc"] == pytest.approx(0.5)

"""The blind-spot probe: its parts against brute force, and encoders whose results are known beforehand."""

import json
import sys
import types

import numpy as np
import pytest
import torch

import degrade
from degrade import Local, Pipeline, masks
from degrade.probing import bootstrap, detection, matching, programs, summary
from degrade.probing.conditions import GRID, settings
from degrade.probing.embedding import distances, named
from degrade.probing.measure import dissimilarity, mse
from degrade.probing.store import Store
from degrade.probing.sweep import Sweep

SIDE = 48
QUICK = dict(types=["white_noise", "mean_shift"], levels=5, areas=(0.05, 0.2, 1.0), resamples=50, device="cpu")


def photographs(count=5, low=0.3, high=0.7, seed=0):
    """Smooth images with some texture, far from black and white."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear")
    x = 0.8 * smooth + 0.2 * torch.rand(count, 3, SIDE, SIDE, generator=generator)
    return low + (high - low) * (x - x.min()) / (x.max() - x.min())


def flat(x):
    return x.flatten(1)


def mean_colour(x):
    return x.mean((2, 3))


def centre_pixel(x):
    return x[:, :, SIDE // 2, SIDE // 2]


# ---- parts ---------------------------------------------------------------------------------------------------------------


def test_auc_is_that_of_a_double_loop():
    generator = np.random.default_rng(0)
    clean, degraded = generator.integers(0, 5, 12).astype(float), generator.integers(1, 6, 12).astype(float)
    counted = np.mean([1.0 if d > c else 0.5 if d == c else 0.0 for d in degraded for c in clean])
    won = detection.wins(clean, degraded)
    assert won.mean() == counted and (won == 0.5).any()
    weight = bootstrap.weights(12, 40, seed=3)
    found = bootstrap.auc(weight, won[None], np.ones((1, 12), dtype=bool))[:, 0]
    for row, value in zip(weight.astype(int), found):
        a, b = np.repeat(degraded, row), np.repeat(clean, row)
        assert value == pytest.approx(np.mean([1.0 if d > c else 0.5 if d == c else 0.0 for d in a for c in b]))


@pytest.mark.parametrize("features", [3, 200])
def test_detector_is_ridge_regression_fitted_without_the_images_it_scores(features):
    generator = np.random.default_rng(1)
    clean = generator.normal(size=(11, features))
    degraded = clean + 0.3 * generator.normal(size=(11, features)) + 0.5
    scores = detection.held_out(clean, degraded, folds=4)
    for i in range(11):
        train = np.arange(11) % 4 != i % 4
        x = np.concatenate([clean[train], degraded[train]])
        mean, scale = x.mean(0), x.std(0)
        z, label = (x - mean) / scale, np.repeat([-1.0, 1.0], train.sum())
        ridge = detection.SHRINKAGE * np.trace(z @ z.T) / len(z)
        w = np.linalg.solve(z.T @ z + ridge * np.eye(features), z.T @ label)  # the primal form
        assert scores[0][i] == pytest.approx(((clean[i] - mean) / scale) @ w, abs=1e-9)
        assert scores[1][i] == pytest.approx(((degraded[i] - mean) / scale) @ w, abs=1e-9)


def test_an_image_is_not_in_training_and_test():
    generator = np.random.default_rng(2)
    clean = generator.normal(size=(10, 4))
    before = detection.held_out(clean, clean + 1)
    clean[0] += 100.0  # images 0 and 5 are in one fold
    after = detection.held_out(clean, clean + 1)
    assert before[0][5] == after[0][5] and before[0][1] != after[0][1]


def test_what_does_not_differ_is_not_detected():
    clean = np.random.default_rng(3).normal(size=(9, 30)).astype(np.float32)
    assert detection.wins(*detection.held_out(clean, clean.copy())).mean() == 0.5
    assert detection.wins(*detection.held_out(clean * 0, clean * 0)).mean() == 0.5


def test_resamples_are_of_images_and_the_first_row_is_the_estimate():
    weight = bootstrap.weights(7, 300, seed=1)
    assert weight.shape == (301, 7) and (weight[0] == 1).all() and (weight.sum(1) == 7).all()
    assert (weight == bootstrap.weights(7, 300, seed=1)).all() and (weight != bootstrap.weights(7, 300, seed=2)).any()
    assert weight[1:].mean(0) == pytest.approx(np.ones(7), abs=0.2) and weight[1:].var() == pytest.approx(6 / 7, abs=0.1)
    values, used = np.random.default_rng(0).normal(size=(2, 7)), np.ones((2, 7), dtype=bool)
    used[1, :3] = False
    drawn = np.repeat(np.arange(7), weight[5].astype(int))
    assert bootstrap.means(weight, values, used)[5] == pytest.approx([values[0, drawn].mean(), values[1, drawn[drawn >= 3]].mean()])


def test_interval_is_of_percentiles_and_takes_infinite_and_missing_values():
    values = np.arange(1000.0)[:, None] * [1.0, -1.0]
    low, high = bootstrap.interval(values)
    assert low.tolist() == [24.0, -975.0] and high.tolist() == [974.0, -25.0]
    low, high = bootstrap.interval(np.array([np.nan, 1.0, 2.0, np.inf, np.inf]))
    assert low == 1.0 and high == np.inf


@pytest.mark.parametrize("curve, area", [
    ([0.5, 0.7, 0.8], 0.1 * np.sqrt(10)),  # half way of the logarithm
    ([0.5, 0.75, 0.7], 0.1),
    ([0.8, 0.6, 0.9], bootstrap.ALWAYS),
    ([0.5, 0.6, 0.74], bootstrap.NEVER),
    ([0.5, np.nan, 1.0], 0.1),
    ([np.nan, np.nan, np.nan], bootstrap.NEVER),
])  # fmt: skip
def test_threshold_is_interpolated_over_the_logarithm_and_never_beyond_the_areas(curve, area):
    assert bootstrap.crossing(np.array([0.01, 0.1, 1.0]), np.array([curve]), 0.75)[0] == pytest.approx(area)


def test_curves_are_inverted():
    strength = np.geomspace(0.01, 1.0, 17)
    error = 3.0 * strength**2
    target = np.array([1e-6, 0.01, 0.3, 2.999, 99.0])
    found = matching.invert(np.tile(strength, (5, 1)), np.tile(error, (5, 1)), target)
    assert found == pytest.approx([*np.sqrt(target[:4] / 3.0), 1.0])
    bumpy = np.array([[0.0, 0.0, 0.4, 0.1, 0.9]])  # made monotone, and the mildest strength that does it
    assert 2 < matching.invert(np.arange(1.0, 6.0)[None], bumpy, np.array([0.3]))[0] < 3
    x, e = matching.insert(np.array([[1.0, 3.0]]), np.array([[0.1, 0.9]]), np.array([2.0]), np.array([0.5]))
    assert x.tolist() == [[1, 2, 3]] and e.tolist() == [[0.1, 0.5, 0.9]]
    assert matching.mismatch(np.array([1.1, 1.0]), np.array([1.0, 0.0])).tolist() == pytest.approx([0.1, np.inf])


def test_distances():
    a, b = np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 2.0]])
    assert distances(a, b).tolist() == [[0.0, 0.0, np.sqrt(5)], [0.0, 0.0, 1.0]]


def test_errors_are_those_of_loops():
    """SSIM as its paper has it, window by window over the mirrored image."""
    x = photographs(1)[:, :, :14, :17].double()
    y = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(taps, taps) / taps.sum() ** 2
    a, b = (np.pad(v[0].numpy(), ((0, 0), (5, 5), (5, 5)), mode="reflect") for v in (x, y))
    values = []
    for c, i, j in np.ndindex(3, 14, 17):
        p, q = a[c, i : i + 11, j : j + 11], b[c, i : i + 11, j : j + 11]
        mp, mq = (window * p).sum(), (window * q).sum()
        vp, vq, cov = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2, (window * p * q).sum() - mp * mq
        values.append((2 * mp * mq + 0.01**2) * (2 * cov + 0.03**2) / ((mp**2 + mq**2 + 0.01**2) * (vp + vq + 0.03**2)))
    assert dissimilarity(x.float(), y.float())[0] == pytest.approx(1 - np.mean(values), rel=1e-3)
    assert mse(x, y)[0] == pytest.approx(np.mean((x - y).numpy() ** 2)) and dissimilarity(x, x)[0] < 1e-6


# ---- rendering -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gaussian_blur", "motion_blur", "jpeg", "white_noise", "mean_shift", "jitter", "colour_block"])
def test_conditions_are_what_a_pipeline_does(name):
    """The degradation of the bank, under the mask as anyone would write it, and weaker over the whole frame with the same noise."""
    x, ids = photographs(3), np.array([5, -7, 1 << 40])
    of = programs.Degradation(name, 4, ids, (SIDE, SIDE), seed=3)
    chosen = settings(name, 4, 0.2, "centre", 0.0, 3, 0.1)
    numbers = programs.discs(chosen.of(name, 4.0), ids, (SIDE, SIDE), 0.0, 3)[0]
    program = of.program(np.arange(3), np.full(3, of.strength), numbers)
    program.check()
    mask = masks.Ellipse(area=0.2, feather=0.0, aspect=1.0, angle=0.0, centre=(0.5, 0.5))
    wanted = Pipeline(Local(degrade.banks.kadid10k().single(name, 4).recipe, mask), seed=3)(x, ids=ids)
    assert torch.equal(degrade.apply(program, x), wanted) and not torch.equal(wanted, x)
    whole = of.program(np.arange(3), np.full(3, of.strength))
    whole.check()
    # Parameters that are drawn, such as angles, are those of the local condition.
    assert (whole.theta == program.theta).all() and (whole.family == -1).all() and whole.key == program.key
    if name in ("white_noise", "mean_shift", "jpeg"):
        assert torch.equal(degrade.apply(whole, x), degrade.banks.kadid10k().single(name, 4, seed=3)(x, ids=ids))


def test_a_weaker_control_has_the_same_noise():
    x, ids = photographs(2), np.array([1, 2])
    of = programs.Degradation("white_noise", 5, ids, (SIDE, SIDE), seed=0)
    full, half = (degrade.apply(of.program(np.arange(2), np.full(2, s * of.strength)), x) - x for s in (1.0, 0.5))
    assert torch.allclose(half, 0.5 * full, atol=1e-6) and full.std() > 0.09


def swept(tmp_path, x, encoders=None, **more):
    chosen = settings(**{**dict(types=["white_noise", "gaussian_blur", "jpeg"], levels=4, areas=(0.03, 0.3, 1.0), positions=("centre", "random"),
                                feather=0.0, seed=0, tolerance=0.1), **more})  # fmt: skip
    ids = np.arange(len(x))
    store = Store(None, {})
    sweep = Sweep(chosen, x, ids, encoders or {"flat": flat}, store, 7, "auto")
    sweep.run()
    return chosen, store, sweep


def test_controls_have_the_errors_that_are_said(tmp_path):
    """Measured again, on what another way of rendering gives."""
    x = photographs(4)
    chosen, store, _ = swept(tmp_path, x)
    for name, op in (("white_noise", lambda s: degrade.GaussianNoise(std=s)), ("gaussian_blur", lambda s: degrade.GaussianBlur(sigma=s))):
        part = store.read(f"{name}-4")
        matched = 0
        for kind, measure in (("mse", mse), ("ssim", dissimilarity)):
            for c in range(5):
                for i in range(4):
                    y = Pipeline(op(float(part[f"{kind}/strength"][c, i])), seed=0)(x[i : i + 1], ids=[i])
                    error, target = measure(x[i : i + 1], y)[0], part[f"local/{kind}"][c, i]
                    assert error == pytest.approx(part[f"{kind}/error"][c, i], rel=1e-4)
                    off = part[f"{kind}/mismatch"][c, i]
                    assert abs(error / target - 1) == pytest.approx(off, abs=1e-3)
                    there = np.isfinite(part[f"{kind}/0"][c, i]).all()
                    assert there == (off <= 0.1)
                    if there:
                        assert part[f"{kind}/0"][c, i] == pytest.approx(y.flatten().numpy(), abs=1e-5)
                        matched += 1
        assert matched >= 30  # of 40


def test_masks_have_the_areas_that_are_said(tmp_path):
    chosen, store, _ = swept(tmp_path, photographs(4), positions="grid", types="white_noise", areas=(0.02, 0.1, 0.5))
    conditions = chosen.of("white_noise", 4.0)
    assert len(conditions) == 3 * len(GRID)
    for condition, area in zip(conditions, store.read("white_noise-4")["area"]):
        assert area == pytest.approx(np.full(4, condition.area), abs=0.002)


def test_every_condition_is_embedded_once(tmp_path):
    x, seen = photographs(4), []

    def count(batch):
        seen.append(len(batch))
        assert batch.shape[1:] == (3, SIDE, SIDE) and batch.dtype == torch.float32 and not batch.requires_grad
        assert 0.0 <= batch.min() and batch.max() <= 1.0
        return batch.mean((2, 3))

    chosen, store, sweep = swept(tmp_path, x, {"count": count})
    local = 3 * 5 * 4  # types, conditions, images
    controls = sum(
        int((store.read(f"{name}-4")[f"{kind}/mismatch"][:4] <= 0.1).sum()) for name in chosen.types for kind in ("mse", "ssim")
    )  # what covers the frame is its own control
    assert sum(seen) == sweep.counts["embedded"] == 4 + local + controls and max(seen) == 7


def test_what_cannot_be_matched_is_left_out_and_counted():
    """The denoiser's residue has its blur at every strength; the palette its colours in steps."""
    found = degrade.probe(
        flat, photographs(4), types=["denoise", "white_noise"], levels=3, areas=(0.01, 1.0), positions="centre", resamples=20, device="cpu"
    )
    assert found.data["controls"]["denoise"]["mse"]["matched"] == 0 and found.data["controls"]["denoise"]["mse"]["unmatched"] == 4
    assert found.data["controls"]["all"]["mse"] == {**found.data["controls"]["white_noise"]["mse"], "unmatched": 4}
    row = found.rows[0]
    assert row["type"] == "denoise" and row["encoders"]["flat"]["sensitivity"]["euclidean"]["mse"] is None
    assert row["encoders"]["flat"]["auc"]["mse"] is None and row["encoders"]["flat"]["auc"]["local"] is not None
    sensitivity = {name: found.data["types"][name]["flat"]["sensitivity"]["euclidean"]["mse"][0] for name in ("denoise", "white_noise")}
    assert sensitivity["denoise"] is None and found.data["overall"]["flat"]["sensitivity"]["euclidean"]["mse"][0] == sensitivity["white_noise"]


def disc(area):
    """The weights of a disc in the middle."""
    mask = masks.Ellipse(area=area, feather=0.0, aspect=1.0, angle=0.0, centre=(0.5, 0.5))
    return degrade.Labels(Pipeline(Local(degrade.Darken(0.5), mask)).sample([0], (SIDE, SIDE))).masks[0, 0].numpy()


def test_errors_of_rounding_have_no_controls():
    """Where nothing changes, 1 − SSIM is not quite 0, and a whole frame that changes nothing either has the same."""
    chosen = settings("white_noise", (5,), (0.1,), "centre", 0.0, 0, 0.1)
    part = {"area": np.full((1, 4), 0.1), "local/mse": np.array([[1e-10, 1e-4, 1e-4, 0.0]]), "local/ssim": np.array([[1e-2, 1e-2, 2e-6, 2e-6]])}
    part |= {"mse/mismatch": np.array([[0.0, 0.0, 0.0, np.inf]]), "ssim/mismatch": np.zeros((1, 4))}
    known, _ = summary.table(chosen, types.SimpleNamespace(read=lambda name: part))
    assert known.used[:, 0].tolist() == [[True] * 4, [False, True, True, False], [False, True, False, False]]


# ---- encoders whose results are known ------------------------------------------------------------------------------------


def test_the_null_and_what_keeps_distances_have_sensitivity_one_against_equal_mse():
    turn = torch.linalg.qr(torch.randn(3 * SIDE * SIDE // 4, 3 * SIDE * SIDE // 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[
        0
    ].float()

    def turned(x):
        return (x.flatten(1).reshape(len(x), 4, -1) @ turn).flatten(1)

    found = degrade.probe([flat, turned], photographs(), **QUICK)
    for name in ("pixels", "flat", "turned"):
        for value, low, high in found.data["overall"][name]["sensitivity"]["euclidean"]["mse"]:
            assert low <= value <= high and (low, value, high) == pytest.approx((1, 1, 1), abs=0.006)
    for row in found.rows:
        own = row["encoders"]["pixels"]["distance"]["euclidean"]
        assert own["local"][0] == pytest.approx(row["encoders"]["flat"]["distance"]["euclidean"]["local"][0], rel=1e-5)
        assert row["encoders"]["pixels"]["distance"]["cosine"]["local"][0] == pytest.approx(
            row["encoders"]["flat"]["distance"]["cosine"]["local"][0], rel=1e-2
        )


def test_an_average_over_the_frame_has_the_root_of_the_area():
    """A shift c of an area a moves the mean colour by a·c, and has MSE a·c². Over the whole frame the same MSE is a shift of √a·c."""
    found = degrade.probe(mean_colour, photographs(), **{**QUICK, "types": "mean_shift"})
    own = found.data["types"]["mean_shift"]["mean_colour"]
    for area, (value, *_) in zip((0.05, 0.2), own["sensitivity"]["euclidean"]["mse"]):
        rim = disc(area).mean() / np.sqrt((disc(area) ** 2).mean())  # √a, but for the rim of a pixel
        assert value == pytest.approx(rim, rel=0.006) and rim == pytest.approx(np.sqrt(area), rel=0.05)
    for area, (value, _, _) in zip(own["areas"], own["distance"]["euclidean"]["local"]):
        assert value == pytest.approx(np.sqrt(3) * 0.15 * area, rel=0.03)


def test_what_is_blind_outside_a_window():
    areas = (0.05, 0.2)
    options = {**QUICK, "types": "white_noise", "areas": areas, "positions": ["centre", (0.0, 0.0)]}
    found = degrade.probe(centre_pixel, photographs(12), **options)
    for row in found.rows:
        own = row["encoders"]["centre_pixel"]
        if row["position"] == "centre":  # the control is √a times as strong there
            assert own["sensitivity"]["euclidean"]["mse"][0] == pytest.approx(1 / np.sqrt((disc(row["area"]) ** 2).mean()), rel=0.01)
        else:
            assert own["distance"]["euclidean"]["local"] == [0, 0, 0] == own["sensitivity"]["euclidean"]["mse"]
            assert own["auc"]["local"] == [0.5, 0.5, 0.5]
    # Distances are summed over positions before the ratio: half of what the one place that is seen has.
    for area, (value, *_) in zip(areas, found.data["overall"]["centre_pixel"]["sensitivity"]["euclidean"]["mse"]):
        assert value == pytest.approx(0.5 / np.sqrt((disc(area) ** 2).mean()), rel=0.02)


def test_what_sees_everything_detects_everything():
    x = photographs(12)
    known = {one.sum().item() for one in x}

    def oracle(batch):
        return torch.tensor([[float(min(abs(one.sum().item() - k) for k in known) > 1e-4)] for one in batch])

    found = degrade.probe(oracle, x, **QUICK)
    own = found.data["overall"]["oracle"]
    assert all(v == [1, 1, 1] for v in own["auc"]["local"]) and own["threshold"]["local"] == {"area": "always", "low": "always", "high": "always"}
    blind = degrade.probe(lambda batch: torch.ones(len(batch), 2), x, **QUICK).data["overall"]["<lambda>"]
    assert all(v == [0.5, 0.5, 0.5] for v in blind["auc"]["mse"]) and blind["threshold"]["local"]["area"] == "never"
    assert blind["sensitivity_local"]["euclidean"]["mse"] is None  # 0 / 0


def test_all_encoders_see_the_same_resamples():
    found = degrade.probe({"once": flat, "twice": lambda x: 2 * flat(x)}, photographs(), **QUICK)
    for row in found.rows:
        once, twice = (row["encoders"][name] for name in ("once", "twice"))
        for kind in ("local", "mse", "ssim"):
            assert twice["distance"]["euclidean"][kind] == pytest.approx([2 * v for v in once["distance"]["euclidean"][kind]])
            assert twice["auc"][kind] == pytest.approx(once["auc"][kind])
    assert any(
        row["encoders"]["once"]["distance"]["euclidean"]["local"][1] < row["encoders"]["once"]["distance"]["euclidean"]["local"][0]
        for row in found.rows
    )


def test_summaries_are_those_of_the_rows():
    found = degrade.probe(flat, photographs(), **QUICK)
    for name, own in found.data["types"].items():
        for i, area in enumerate(found.data["settings"]["areas"]):
            rows = [row["encoders"]["flat"] for row in found.rows if row["type"] == name and row["area"] == area]
            assert len(rows) == (1 if area == 1 else 2)
            assert own["flat"]["auc"]["local"][i][0] == pytest.approx(np.mean([r["auc"]["local"][0] for r in rows]))
            distance = [[r["distance"]["euclidean"][kind][0] for r in rows] for kind in ("local", "mse")]
            assert own["flat"]["sensitivity"]["euclidean"]["mse"][i][0] == pytest.approx(np.sum(distance[0]) / np.sum(distance[1]), rel=1e-6)
    both = [own["flat"]["sensitivity"]["euclidean"]["ssim"][0][0] for own in found.data["types"].values()]
    assert found.data["overall"]["flat"]["sensitivity"]["euclidean"]["ssim"][0][0] == pytest.approx(np.sqrt(np.prod(both)))


def test_results_depend_on_neither_order_nor_batch():
    x = photographs(6)
    first = degrade.probe(mean_colour, x, **QUICK, batch=32).data
    assert json.dumps(degrade.probe(mean_colour, x.flip(0), **QUICK, batch=32).data) == json.dumps(first)
    other = degrade.probe(mean_colour, list(x), **QUICK, batch=5).data
    assert json.dumps(other) == json.dumps(first)
    as_bytes = degrade.probe(mean_colour, (x * 255).round().to(torch.uint8), **QUICK).data
    assert as_bytes["images"]["ids"] != first["images"]["ids"]


def test_types_do_not_depend_on_the_others():
    alone = degrade.probe(mean_colour, photographs(), **{**QUICK, "types": "mean_shift"}).data
    both = degrade.probe(mean_colour, photographs(), **QUICK).data
    assert alone["types"]["mean_shift"] == both["types"]["mean_shift"]


def test_levels_that_change_nothing_are_named():
    found = degrade.probe(mean_colour, photographs(), **{**QUICK, "types": ["mean_shift"], "levels": (3, 5)})
    assert found.data["unchanged"] == ["mean_shift, level 3"] and {row["level"] for row in found.rows} == {5.0}
    with pytest.raises(ValueError, match=r"nothing is changed at levels 3 of mean_shift; accepted: others\."):
        degrade.probe(mean_colour, photographs(), **{**QUICK, "types": "mean_shift", "levels": 3})


@pytest.mark.native
def test_the_same_on_kernels(monkeypatch):
    monkeypatch.delenv("DEGRADE_BACKEND", raising=False)
    found, twin = (degrade.probe([flat, mean_colour], photographs(), **QUICK, backend=backend).data for backend in ("auto", "torch"))
    for name in ("pixels", "flat"):
        assert [v[0] for v in found["overall"][name]["sensitivity"]["euclidean"]["mse"]] == pytest.approx([1, 1, 1], abs=0.006)
    for a, b in zip(found["rows"], twin["rows"]):
        assert a["mse"] == pytest.approx(b["mse"], rel=1e-3)
        assert a["encoders"]["mean_colour"]["distance"]["euclidean"]["local"] == pytest.approx(
            b["encoders"]["mean_colour"]["distance"]["euclidean"]["local"], rel=1e-2
        )


def test_every_type_can_be_probed():
    found = degrade.probe(mean_colour, photographs(4), levels=4, areas=(0.3, 1.0), positions="centre", resamples=5, device="cpu")
    assert len(found.data["types"]) == 25 and len(found.rows) == 50 and not found.data["unchanged"]
    json.dumps(found.data, allow_nan=False)
    assert repr(found) == "Probe of mean_colour, pixels with 50 conditions of 4 images"


# ---- bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options, said", [
    ({"types": ["jpg"]}, "types 'jpg' is unknown; did you mean 'jpeg'?"),
    ({"types": []}, "types is empty; accepted: at least one."),
    ({"types": ["jpeg", "jpeg"]}, "types holds 'jpeg' twice; accepted: each once."),
    ({"levels": (0, 3)}, "levels: 0 is out of range; accepted: 1 to 5."),
    ({"levels": "3"}, "levels='3' is not understood; accepted: numbers from 1 to 5."),
    ({"areas": (0.0001,)}, "areas: 0.0001 is out of range; accepted: 0.001 to 1."),
    ({"areas": (0.1, float("nan"))}, "areas: nan is not a finite number; accepted: 0.001 to 1."),
    ({"areas": (0.1, 0.1)}, "areas holds 0.1 twice"),
    ({"positions": "center"}, "positions: 'center' is not understood; accepted: 'centre', 'random', 'grid', or pairs (y, x)"),
    ({"positions": [(0.5, 1.5)]}, "positions: 1.5 is out of range; accepted: 0 to 1."),
    ({"positions": ["grid", (0.5, 0.5)]}, "positions holds '0.5:0.5' twice"),
    ({"tolerance": 0}, "tolerance=0 is out of range; accepted: above 0, to 1."),
    ({"feather": 3}, "feather=3 is out of range; accepted: 0 to 2, in √(h·w)."),
    ({"threshold": 0.5}, "threshold=0.5 is out of range; accepted: above 0.5, to 1."),
    ({"resamples": 0}, "resamples=0 is not accepted; accepted: a whole number from 1."),
    ({"batch": 0}, "batch=0 is not accepted; accepted: a whole number from 1."),
    ({"seed": -1}, "seed=-1 is not accepted; accepted: a whole number from 0 to 2**63 - 1."),
    ({"device": "cpuu"}, "device='cpuu' cannot be used"),
    ({"backend": "cuda"}, "backend 'cuda' is unknown; accepted: auto, torch, triton."),
    ({"images": photographs(3)}, "images holds 3; accepted: at least 4"),
    ({"images": []}, "images is empty; accepted: at least 4 images."),
    ({"images": photographs() * 255}, "x holds values from"),
    ({"images": photographs()[:, :, :5]}, "images have 5x48 pixels; accepted: at least 6 a side, for SSIM's window."),
    ({"images": torch.cat([photographs(), photographs()[1:2]])}, "images 1 and 5 are equal; accepted: different ones, which can be resampled."),
    ({"images": [*photographs(), torch.zeros(3, 8, 8)]}, "images have shapes (3, 8, 8), (3, 48, 48); accepted: one size."),
    ({"encoder": []}, "encoders is empty; accepted: at least one callable"),
    ({"encoder": 3}, "encoder is a int; accepted: callables from images b 3 h w to embeddings b d"),
    ({"encoder": {"a": lambda x: (x, x)}}, "encoder 'a' gave a tuple; accepted: a tensor of embeddings b d."),
    ({"encoder": {"a": lambda x: x}}, "encoder 'a' gave (5, 3, 48, 48) for 5 images; accepted: embeddings b d, such as the mean over a map."),
    ({"encoder": {"a": lambda x: x[:1, 0, 0]}}, "encoder 'a' gave (1, 48) for 5 images"),
    ({"encoder": {"a": lambda x: x[:, 0, 0] / 0}}, "encoder 'a' gave embeddings that are not finite."),
])  # fmt: skip
def test_bad_input_is_one_sentence(options, said):
    given = {"encoder": flat, "images": photographs(), **QUICK, **options}
    with pytest.raises((ValueError, TypeError)) as raised:
        degrade.probe(**given)
    assert said in str(raised.value) and "\n" not in str(raised.value)


def test_an_encoder_that_insists_on_a_size():
    def sized(x):
        return x.mean((2, 3))

    sized.size = (224, 224)
    with pytest.raises(ValueError, match="encoder 'sized' takes 224x224 alone, and the images have 48x48; accepted: equal sizes"):
        degrade.probe(sized, photographs(), **QUICK)
    sized.size = (48, 48)
    degrade.probe(sized, photographs(), **QUICK)


def test_names_of_encoders():
    class Known:
        name = "known"

        def __call__(self, x):
            return x

    assert list(named([flat, flat, Known()])) == ["flat", "flat #2", "known"]
    assert list(named({"a": flat, "pixels": flat})) == ["a"]  # the null runs anyway


def test_names_and_modules_are_loaded(monkeypatch):
    """By what loads encoders, which has tests of its own."""
    calls, module = [], types.ModuleType("degrade.probing.encoders")
    module.encoder = lambda one, device: calls.append((one, device)) or mean_colour
    monkeypatch.setitem(sys.modules, "degrade.probing.encoders", module)
    flatten = torch.nn.Flatten()
    assert named({"a": "timm:x", "b": flatten}, "cpu") == {"a": mean_colour, "b": mean_colour}
    assert calls == [("timm:x", "cpu"), (flatten, None)]  # a module stays where it is


def test_told_numbers():
    values = np.array([[1.0, np.nan], [0.5, 1.0], [2.0, np.inf]])
    assert summary.told(values) == [[1.0, 0.5, 2.0], None] and summary.told(np.array([1.0, 2.0, np.inf])) == [1.0, 2.0, None]

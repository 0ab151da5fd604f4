"""ARNIQA's functions under its own names: its tables, its draws, and what its types do."""

import inspect
import pickle
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

import degrade
from degrade import banks
from degrade.compat import arniqa

sys.path.insert(0, str(Path(__file__).parents[1]))  # benchmarks are run from a checkout and not installed


def photo(size=64, batch=None):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((batch or 1, 3, 9, 11), generator=generator)
    x = torch.nn.functional.interpolate(coarse, (size, size + 7), mode="bicubic").clamp(0.02, 0.98)
    return x if batch else x[0]


def seed(n):
    random.seed(n)
    np.random.seed(n)
    torch.manual_seed(n)


def test_signatures_are_the_published_ones():
    """Names, order and defaults; what is new comes after, by keyword alone."""
    found = {
        name: [(n, p.default) for n, p in inspect.signature(getattr(arniqa, name)).parameters.items() if p.kind is not p.KEYWORD_ONLY]
        for name in ("distort_images", "get_distortions_composition", "jpeg", "white_noise_cc")
    }
    empty = inspect.Parameter.empty
    assert found == {
        "distort_images": [("image", empty), ("distort_functions", None), ("distort_values", None), ("max_distortions", 4), ("num_levels", 5)],
        "get_distortions_composition": [("max_distortions", 7), ("num_levels", 5)],
        "jpeg": [("x", empty), ("quality", empty)],
        "white_noise_cc": [("x", empty), ("var", empty)],
    }


@pytest.mark.parametrize("profile", ["faithful", "fixed"])
def test_tables_are_the_bank_s(profile):
    """The values of the published table, as each op takes them, are the bank's levels."""
    types = banks.arniqa(profile).types
    assert list(arniqa.distortion_range) == list(arniqa.distortion_functions) == list(types) == list(arniqa.distortion_groups_mapping)
    for name, t in types.items():
        (levels,) = (v for v in t.arguments.values() if isinstance(v, degrade.Levels))
        assert np.allclose([arniqa.parameter(name, v, profile) for v in arniqa.distortion_range[name]], levels.table), name
    assert [sorted(names) for names in arniqa.distortion_groups.values()] == [sorted(names) for names in banks.arniqa().groups.values()]


def test_compositions_are_those_of_the_published_draws():
    """One count, then groups without replacement, a type of each, and a level of each, from the generators that ARNIQA uses."""
    seed(3)
    functions, values = arniqa.get_distortions_composition(5, 4)
    seed(3)
    count = random.randint(1, 5)
    kinds = [random.choice(arniqa.distortion_groups[g]) for g in random.sample(list(arniqa.distortion_groups.keys()), count)]
    p = np.array([np.exp(-((i / 2.5) ** 2) / 2) for i in range(4)])
    assert [f.distortion for f in functions] == kinds
    assert values == [np.random.choice(arniqa.distortion_range[k][:4], p=p / p.sum()) for k in kinds]


def test_compositions_have_the_published_frequencies():
    seed(0)
    drawn = [arniqa.get_distortions_composition(4) for _ in range(4000)]
    counts = Counter(len(functions) for functions, _ in drawn)
    assert set(counts) == {1, 2, 3, 4} and min(counts.values()) > 850
    levels = Counter(arniqa.distortion_range[f.distortion].index(v) for functions, values in drawn for f, v in zip(functions, values))
    total = sum(levels.values())
    assert np.allclose([levels[i] / total for i in range(5)], (0.293, 0.270, 0.213, 0.143, 0.081), atol=0.015)
    for functions, _ in drawn[:200]:
        groups = [arniqa.distortion_groups_mapping[f.distortion] for f in functions]
        assert len(set(groups)) == len(groups)


@pytest.mark.parametrize("name", list(arniqa.TYPES))
def test_a_function_is_the_bank_s_type(name):
    """At the level of the table, for one id, whatever the vocabulary it runs in; and it leaves its input as it is."""
    x = photo(96)
    before, level = x.clone(), 3
    y = arniqa.distortion_functions[name](x, arniqa.distortion_range[name][level - 1], ids=[5])
    assert torch.equal(y, banks.arniqa("faithful").single(name, level)(x, ids=[5])), name
    assert torch.equal(x, before) and y.dtype == torch.float32 and (name == "lincontrchange" or not torch.equal(x, y))


@pytest.mark.parametrize(
    "name, tolerance", [("jpeg", 1e-6), *((name, 1e-4) for name in "gaublur colorsat1 darken meanshift lincontrchange nonlincontrchange".split())]
)
def test_functions_without_chance_do_what_arniqa_s_libraries_do(name, tolerance):
    """kornia, SciPy and Pillow as ARNIQA calls them, by benchmarks/baselines.py."""
    baselines = pytest.importorskip("benchmarks.baselines")
    x = (photo(64) * 255).round() / 255
    for level, value in enumerate(arniqa.distortion_range[name], start=1):
        theirs = baselines.ARNIQA[name](x, level)
        assert (arniqa.distortion_functions[name](x, value) - theirs).abs().max() <= tolerance, level


def test_equal_seeds_give_equal_images():
    x, results = photo(), []
    for n in (1, 1, 2):
        seed(n)
        results.append([arniqa.distort_images(x)[0] for _ in range(3)])
    assert all(torch.equal(a, b) for a, b in zip(results[0], results[1]))
    assert not any(torch.equal(a, b) for a, b in zip(results[0], results[2]))


class Noisy(torch.utils.data.Dataset):
    """One image, eight times, with noise and a drawn level."""

    def __len__(self):
        return 8

    def __getitem__(self, index):
        level = random.choice(arniqa.distortion_range["whitenoise"])
        return arniqa.distort_images(photo(24), [arniqa.white_noise], [level])[0]


def test_the_seeds_of_a_loader_s_workers_count():
    """As torch gives them: equal for equal seeds of the loader, and different between workers."""
    epochs = []
    for n in (0, 0, 1):
        loader = torch.utils.data.DataLoader(Noisy(), batch_size=1, num_workers=2, generator=torch.Generator().manual_seed(n))
        epochs.append(torch.cat(list(loader)))
    assert torch.equal(epochs[0], epochs[1]) and not torch.equal(epochs[0], epochs[2])
    assert len({image.numpy().tobytes() for image in epochs[0]}) == 8


def test_a_given_composition_is_applied_with_other_noise():
    """As ARNIQA does to its second image: the same functions and values, and draws of its own."""
    x = photo()
    functions, values = [arniqa.white_noise, arniqa.jpeg], [0.01, 24]
    y, told, at = arniqa.distort_images(x, functions, values)
    z = arniqa.distort_images(x, functions, values)[0]
    assert told is functions and at is values and not torch.equal(y, z)
    assert torch.equal(*(arniqa.distort_images(x, functions, values, ids=[9])[0] for _ in range(2)))


def test_the_order_counts_and_each_step_draws_its_own():
    x, noise = torch.full((3, 64, 64), 0.5), arniqa.white_noise
    there = arniqa.distort_images(x, [noise, arniqa.gaussian_blur], [0.01, 2], ids=[0])[0]
    back = arniqa.distort_images(x, [arniqa.gaussian_blur, noise], [2, 0.01], ids=[0])[0]
    assert there.std() < 0.5 * back.std()
    twice = arniqa.distort_images(x, [noise, noise], [0.01, 0.01], ids=[0])[0]
    assert twice.std() == pytest.approx(0.02**0.5, rel=0.05)  # independent: twice the variance, not twice the deviation


def test_each_image_of_a_batch_has_noise_of_its_own():
    x = photo(48, 1).expand(3, -1, -1, -1)
    functions, values = [arniqa.white_noise, arniqa.color_shift], [0.01, 12]
    y = arniqa.distort_images(x, functions, values, ids=[4, 5, 4])[0]
    assert torch.equal(y[0], y[2]) and not torch.equal(y[0], y[1])
    assert torch.equal(y[1], arniqa.distort_images(x[1], functions, values, ids=[5])[0])


def test_functions_of_one_s_own_go_between():
    x = photo()
    y = arniqa.distort_images(x, [arniqa.mean_shift, lambda x, v: x * v, arniqa.mean_shift], [0.1, 2, -0.1])[0]
    assert (y - ((x + 0.1).clamp(0, 1) * 2).clamp(0, 1).sub(0.1).clamp(0, 1)).abs().max() < 1e-6


def test_profiles_differ_where_the_published_code_errs():
    x = photo()
    fixed, faithful = (arniqa.distort_images(x, [arniqa.linear_contrast_change], [0.0], profile=p)[0] for p in ("fixed", "faithful"))
    assert torch.equal(fixed, x) and not torch.equal(faithful, x)


def test_functions_have_names_and_travel_to_workers():
    f = arniqa.distortion_functions["colorsat1"]
    assert f.__name__ == "color_saturation1" and pickle.loads(pickle.dumps(f)) is f is arniqa.color_saturation1
    assert torch.equal(f(x=photo(), factor=0.2), f(photo(), 0.2))


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: arniqa.get_distortions_composition(8), "max_distortions=8 is out of range; accepted: whole numbers from 1 to 7"),
        (lambda: arniqa.get_distortions_composition(4, 0), "num_levels=0 is out of range; accepted: whole numbers from 1 to 5"),
        (lambda: arniqa.distort_images(torch.zeros(3, 32, 32, dtype=torch.uint8)), "accepted: float in 0…1"),
        (lambda: arniqa.jpeg(photo(), 0), "accepted"),
        (lambda: arniqa.jpeg(photo(), 20, profile="fxied"), "did you mean 'fixed'"),
        (lambda: arniqa.distort_images(photo() * 255), "Divide by 255"),
        (lambda: arniqa.distort_images(photo(), ids=[1, 2]), "one id per image"),
    ],
)
def test_bad_input_is_told(call, said):
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert said in str(caught.value), caught.value

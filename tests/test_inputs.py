"""Bad input gets one sentence that names the argument, the value and what is accepted; odd but good input works."""

import pytest
import torch

import degrade
from degrade import Choice, Compose, Local, LogUniform, Normal, OneOf, Pipeline, SomeOf, masks
from degrade import functional as F
from degrade.ops import REGISTRY

X = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))
PIPE = Pipeline(degrade.MeanShift(0.1), check="always")


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: PIPE(X[0, 0]), r"x has shape \(9, 11\); accepted: b 3 h w"),
        (lambda: PIPE(X[None, None]), r"x has shape \(1, 1, 2, 3, 9, 11\); accepted"),
        (lambda: PIPE(torch.zeros(2, 4, 5, 5)), r"x has shape \(2, 4, 5, 5\); accepted"),
        (lambda: PIPE(torch.zeros(1, 3, 0, 5)), "x has 0x5 pixels; accepted: 1 to 65535"),
        (lambda: PIPE(torch.zeros(1, 3, 1, 65536)), "x has 1x65536 pixels"),
        (lambda: PIPE(X.double()), "x has dtype float64; accepted: uint8, float16"),
        (lambda: PIPE((X * 255).int()), "x has dtype int32; accepted"),
        (lambda: PIPE(X.numpy()), "x is a ndarray; accepted: a torch tensor"),
        (lambda: PIPE(X * 255), r"x holds values from .* to 25\d.*accepted: float values in \[0, 1\]. Divide by 255"),
        (lambda: PIPE(X * 4 - 2), "Degrade before normalising"),
        (lambda: PIPE(X.clone().index_fill_(3, torch.tensor([2]), float("nan"))), "NaN or infinite"),
        (lambda: PIPE(X.clone().index_fill_(3, torch.tensor([2]), float("inf"))), "NaN or infinite"),
        (lambda: PIPE(X, ids=[1]), r"ids has shape \(1,\); accepted: \(2,\)"),
        (lambda: PIPE(X, ids=[1.5, 2.5]), "ids has dtype float64; accepted: whole numbers"),
        (lambda: PIPE(X, ids=torch.tensor([1.0, 2.0])), "ids has dtype float32; accepted: whole numbers"),
        (lambda: PIPE(X, ids=[1, 2**63]), "accepted: whole numbers that int64 holds"),
        (lambda: PIPE(X, ids=[1, 2**70]), "accepted: whole numbers that int64 holds"),
        (lambda: PIPE(X, ids=torch.zeros(2, dtype=torch.int64, device="meta")), "ids is on meta; accepted: a host tensor"),
        (lambda: PIPE(X, ids="name"), "ids='name' is not accepted; accepted: .*'content'"),
        (lambda: PIPE(X, ids=[1, 2], program_ids=[1]), "program_ids has shape"),
        (lambda: Pipeline(degrade.Jpeg(10), backend="cuda"), "backend 'cuda' is unknown; .*accepted: auto, torch, triton|Accepted: auto"),
        (lambda: Pipeline(degrade.Jpeg(10), check="often"), "check 'often' is unknown"),
        (lambda: Pipeline(degrade.Jpeg(10), seed="x"), "seed='x' is not accepted"),
        (lambda: Pipeline("jpeg"), "recipe='jpeg' is not understood"),
        (lambda: PIPE.set_epoch(-1), "epoch=-1 is not accepted"),
        (lambda: degrade.apply(PIPE.sample([1], (9, 11)), X), "program holds 1 samples and x 2"),
        (lambda: degrade.apply(PIPE.sample([1, 2], (9, 12)), X), "drawn for images of 9x12 and x has 9x11"),
        (lambda: degrade.GaussianBlur(sigma=65), "sigma=65 is out of range; accepted: 0 to 64 px"),
        (lambda: degrade.GaussianBlur(sigma=(1, 99)), "sigma=99 is out of range"),
        (lambda: degrade.GaussianBlur(sigma=(3, 1)), "the lower first"),
        (lambda: degrade.GaussianBlur(sigma=float("nan")), "not a finite number"),
        (lambda: degrade.GaussianBlur(sigma="big"), "sigma=.*must be numbers"),
        (lambda: degrade.GaussianBlur(sigma=object()), "sigma=.*is not understood; accepted"),
        (lambda: degrade.GaussianBlur(sigmas=1), "did you mean 'sigma'"),
        (lambda: degrade.GaussianBlur(1, 2), "one positional argument"),
        (lambda: degrade.GaussianBlur(1, sigma=2), "given twice"),
        (lambda: degrade.GaussianBlur(sigma=1, severity=0.5), "sigma= or severity=, not both"),
        (lambda: degrade.GaussianBlur(severity=1.5), "severity=1.5 is out of range; accepted: 0 to 1"),
        (lambda: degrade.GaussianBlur(p=2), "p=2 is not a probability"),
        (lambda: degrade.MeanShift(severity=1, direction="left"), "direction 'left' is unknown"),
        (lambda: degrade.Jpeg(subsampling="4:1:1"), "subsampling value '4:1:1' is unknown; did you mean"),
        (lambda: degrade.Jpeg(quality=0), "quality=0 is out of range; accepted: 1 to 100"),
        (lambda: LogUniform(0, 1), "0 < low"),
        (lambda: degrade.MeanShift(Choice([0.1, float("nan")])), "not a finite number"),
        (lambda: degrade.GaussianBlur(degrade.Levels(1, float("nan"))), "not a finite number"),
        (lambda: OneOf(degrade.Jpeg(), weights=[float("nan")]), "non-negative numbers"),
        (lambda: OneOf(degrade.Jpeg(), weights=3), "weights=3 is not understood"),
        (lambda: Choice(5), "values=5 is not understood"),
        (lambda: LogUniform("a", 2), "LogUniform low='a' is not a finite number"),
        (lambda: degrade.GaussianBlur(severity=degrade.Levels(0.1, 0.5)), "severity=.* is not accepted here"),
        (lambda: masks.Ellipse(area=degrade.Levels(0.1, 0.5)), "area=.* is not accepted here"),
        (lambda: degrade.Jpeg(quality=50.5), "quality=50.5 is not a whole number"),
        (lambda: degrade.Jpeg(subsampling=("4:4:4", "4:2:0")), "subsampling=.* is not understood"),
        (lambda: degrade.GaussianBlur(2, direction="up"), "give severity= too"),
        (lambda: SomeOf(degrade.Jpeg(), n="a"), "n='a' is out of range"),
        (lambda: SomeOf(degrade.Jpeg(), n=(0.5, 1.7)), r"n=\(0.5, 1.7\) is out of range"),
        (lambda: Local(degrade.Jpeg(), X), "mask is a Tensor, not a mask family"),
        (lambda: Pipeline(Compose(*[degrade.MeanShift(0.0)] * 4096)), "4096 slots; accepted: at most 4095"),
        (lambda: PIPE(X, mask=torch.zeros(2, 1, 9, 11)), "no Local of the recipe reads it"),
        (lambda: degrade.apply(PIPE.sample([1, 2], (9, 11)), X, mask=torch.zeros(2, 1, 9, 11)), "the program reads none"),
        (lambda: degrade.apply(None, X), "program is a NoneType"),
        (lambda: PIPE.sample([1], 5), "size=5 is not accepted"),
        (lambda: PIPE.sample([1], (0, 5)), r"size=\(0, 5\) is not accepted"),
        (lambda: PIPE.sample([1], (5.7, 5)), "whole numbers of pixels"),
        (lambda: PIPE.sample([1], (5, 5), view=-1), "view=-1 is not accepted"),
        (lambda: PIPE(X, view=1.5), "view=1.5 is not accepted"),
        (lambda: F.jpeg(X, quality=10, seed=1.5), "seed=1.5 is not accepted"),
        (lambda: F.jpeg(X, quality="a"), "quality='a' is not understood"),
        (lambda: F.jpeg(X, quality=10, mask=torch.ones(2, 1, 9, 11, dtype=torch.int64)), "mask has dtype int64"),
        (lambda: PIPE(torch.zeros(1, 3, 4, 4, device="meta")), "x is a meta tensor"),
        (lambda: Normal(0, 0), "std > 0"),
        (lambda: Choice([]), "at least one value"),
        (lambda: Choice([1, 2], weights=[1]), "2 non-negative numbers"),
        (lambda: Compose(), "needs at least one op"),
        (lambda: Compose(degrade.Jpeg), "is not understood"),
        (lambda: OneOf(degrade.Jpeg(), weights=[0]), "not all zero"),
        (lambda: SomeOf(degrade.Jpeg(), n=2), "n=2 is out of range; accepted: whole numbers from 0 to 1"),
        (lambda: SomeOf(degrade.Jpeg(), order="any"), "order 'any' is unknown"),
        (lambda: Local(degrade.Jpeg(), 0.5), "mask is a float, not a mask family"),
        (lambda: masks.Ellipse(area=0), "area=0 is out of range"),
        (lambda: masks.Ellipse(area=1.2), "area=1.2 is out of range; accepted: 0.001 to 1"),
        (lambda: masks.Ellipse(size=1), "Ellipse parameter 'size' is unknown"),
        (lambda: Pipeline(Compose(*(Local(degrade.Jpeg(), masks.FromTensor(torch.rand(4, n))) for n in (4, 5)))), "maps of 4x4 and 4x5 pixels"),
        (lambda: Pipeline(Local(degrade.Jpeg(), masks.FromTensor()))(X), "give mask= as b 1 h w at the call"),
        (lambda: Pipeline(Local(degrade.Jpeg(), masks.FromTensor(torch.rand(4, 4))))(X), "maps of 4.4 pixels and the images have 9x11"),
        (lambda: F.jpeg(X, quality=10, mask=torch.rand(2, 1, 9, 12)), r"mask has shape \(2, 1, 9, 12\); accepted: \(2, 1, 9, 11\)"),
        (lambda: F.jpeg(X, quality=10, mask=torch.rand(2, 3, 9, 11)), "mask has shape"),
        (lambda: F.jpeg(X, quality=10, mask=torch.full((2, 1, 9, 11), 1.5)), r"mask holds values from 1.5 to 1.5; accepted: values in \[0, 1\]"),
        (lambda: F.jpeg(X, quality=10, mask=torch.full((2, 1, 9, 11), float("nan"))), "mask holds values from nan"),
        (lambda: F.jpeg(X, quality=10, mask=masks.Ellipse()), "mask is a Ellipse; accepted: a torch tensor"),
        (lambda: F.jpeg(X, quality=[10, 200]), "quality=200 is out of range; accepted: 1 to 100"),
        (lambda: F.jpeg(X, quality=10.5), "quality=10.5 is not a whole number"),
        (lambda: F.jpeg(X, quality=torch.tensor([1.0, 2.0, 3.0])), r"quality has shape \(3,\); accepted: a number, or \(2,\)"),
        (lambda: F.jpeg(X, quality=torch.ones(2, device="meta")), "quality is on meta"),
        (lambda: F.jpeg(X, quality=float("nan")), "quality=nan is out of range"),
        (lambda: F.jpeg(X, quality=10, subsampling="4:2:1"), "did you mean '4:2:0'|did you mean"),
        (lambda: F.jpeg(X, qualty=10), "did you mean 'quality'"),
        (lambda: F.jpeg(X * 300, quality=10), "x holds values"),
    ],
)
def test_one_clear_sentence(call, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_unknown_functional_names_the_nearest():
    with pytest.raises(AttributeError, match="did you mean 'jpeg'"):
        F.jpg(X)
    with pytest.raises(AttributeError, match="snake_case"):
        F.Jpeg(X)
    assert set(dir(F)) == set(REGISTRY)


@pytest.mark.parametrize(
    "where, typo, meant", [(degrade, "GausianBlur", "GaussianBlur"), (masks, "Elipse", "Ellipse"), (degrade.banks, "kadid", "kadid10k")]
)
def test_unknown_attributes_name_the_nearest(where, typo, meant):
    with pytest.raises(AttributeError, match=f"did you mean '{meant}'"):
        getattr(where, typo)
    assert not hasattr(where, "__wrapped__")


@pytest.mark.parametrize("name", REGISTRY)
def test_empty_batches_and_single_pixels(name):
    pipe = Pipeline(Local(REGISTRY[name](), masks.Ellipse()))
    for dtype in (torch.uint8, torch.float16, torch.float32):
        empty = torch.zeros(0, 3, 8, 8, dtype=dtype)
        y, labels = pipe(empty, ids=[], labels=True)
        assert y.shape == empty.shape and y.dtype == dtype and labels.masks.shape == (0, 1, 8, 8)
        assert pipe(empty).shape == empty.shape
        pixel = torch.full((1, 3, 1, 1), 1, dtype=dtype)
        assert pipe(pixel).shape == pixel.shape


@pytest.mark.parametrize("name", REGISTRY)
def test_one_image_and_grey(name):
    pipe = Pipeline(REGISTRY[name](), seed=1)
    assert torch.equal(pipe(X[0], ids=[5]), pipe(X[:1], ids=[5])[0])
    grey = X[:, :1]
    y = pipe(grey, ids=[5, 6])
    assert y.shape == grey.shape
    assert torch.equal(y, pipe(grey.expand(-1, 3, -1, -1), ids=[5, 6])[:, :1])
    assert pipe(grey[0], ids=[5]).shape == (1, 9, 11)
    turned = grey.transpose(2, 3).contiguous().transpose(2, 3)
    assert pipe(turned, ids=[5, 6]).stride() == torch.empty_like(turned).stride()


def test_values_are_read_when_asked():
    bad = X * 2
    first = Pipeline(degrade.MeanShift(0.1))
    first(X)
    first(bad)  # the second batch is not read
    with pytest.raises(ValueError, match="holds values"):
        Pipeline(degrade.MeanShift(0.1))(bad)
    with pytest.raises(ValueError, match="holds values"):
        PIPE(bad)
    Pipeline(degrade.MeanShift(0.1), check="never")(bad)
    slack = X.clamp(0, 1)
    slack[0, 0, 0, 0] = 1.0005  # what a resize may leave
    assert Pipeline(degrade.MeanShift(0.0))(slack)[0, 0, 0, 0] == slack[0, 0, 0, 0]


def test_masks_of_one_image_serve_all():
    m = torch.rand(9, 11, generator=torch.Generator().manual_seed(1))
    want = F.mean_shift(X, amount=0.2, mask=m.expand(2, 1, 9, 11))
    nearly = m.clone()
    nearly[m.argmax() // 11, m.argmax() % 11] = 1.0000001
    assert F.mean_shift(X, amount=0.2, mask=nearly).isfinite().all()
    for mask in (m, m[None], m[None, None]):
        assert torch.equal(F.mean_shift(X, amount=0.2, mask=mask), want)
    binary = (m > 0.5).to(torch.uint8) * 255
    assert torch.equal(F.mean_shift(X, amount=0.2, mask=binary), F.mean_shift(X, amount=0.2, mask=(m > 0.5).float()))


def test_training_mode_changes_nothing():
    pipe = Pipeline(degrade.GaussianNoise(0.1))
    assert torch.equal(pipe.train()(X, ids=[1, 2]), pipe.eval()(X, ids=[1, 2]))


def test_autocast_changes_nothing():
    pipe = Pipeline(Compose(degrade.GaussianBlur(2.0), degrade.Contrast(0.5)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(pipe(X, ids=[1, 2]), Pipeline(pipe.recipe)(X, ids=[1, 2]))

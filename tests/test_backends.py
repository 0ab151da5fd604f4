"""Which backend runs: what is asked for at the call, what the environment says, and what is possible here."""

import pytest
import torch

import degrade
from degrade import Pipeline
from degrade.backends import VARIABLE, choose, native

X = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("TRITON_INTERPRET", "0")


def test_the_environment_says_what_auto_is(monkeypatch):
    monkeypatch.setenv(VARIABLE, "torch")
    assert choose(X) == ("torch", "asked for")
    monkeypatch.setenv(VARIABLE, "auto")
    assert choose(X)[1] != "asked for"


def test_an_unknown_name_in_the_environment_is_an_error(monkeypatch):
    monkeypatch.setenv(VARIABLE, "tritn")
    with pytest.raises(ValueError, match=r"DEGRADE_BACKEND 'tritn' is unknown; did you mean 'triton'"):
        Pipeline(degrade.MeanShift(0.1))(X)
    Pipeline(degrade.MeanShift(0.1), backend="torch")(X)  # which asks nobody


@pytest.mark.native
def test_auto_builds_kernels_for_the_cpu(monkeypatch):
    assert choose(X) == ("triton", "the images are on cpu")
    assert choose(X, "torch")[0] == "torch"
    monkeypatch.setenv(VARIABLE, "torch")
    assert choose(X, "triton")[0] == "triton"
    monkeypatch.setenv(VARIABLE, "triton")
    with pytest.raises(RuntimeError, match="require gradients"):
        Pipeline(degrade.MeanShift(0.1))(X.clone().requires_grad_())


def test_without_llvm_the_cpu_has_the_twins(monkeypatch):
    """Asked for, the kernels are refused in one sentence that names the extra."""
    monkeypatch.setattr(native, "_has_llvm", lambda: False)
    monkeypatch.setattr("degrade.backends.HAS_TRITON", True)
    missing = r"llvmlite is not installed \(pip install 'degrade\[cpu\]'\)"
    with pytest.raises(RuntimeError, match=rf"^backend='triton' cannot be used: {missing}\.$"):
        Pipeline(degrade.Jpeg(10), backend="triton")(X)
    assert choose(X) == ("torch", "llvmlite is not installed (pip install 'degrade[cpu]')")
    want = Pipeline(degrade.Jpeg(10), backend="torch")(X, ids=[1, 2])
    assert torch.equal(Pipeline(degrade.Jpeg(10))(X, ids=[1, 2]), want)


def test_a_processor_without_halves_has_the_twin_of_float16_alone(monkeypatch):
    monkeypatch.setattr(native, "_has_llvm", lambda: True)
    monkeypatch.setattr(native, "_converts_halves", lambda: False)
    monkeypatch.setattr("degrade.backends.HAS_TRITON", True)
    assert choose(X.half()) == ("torch", "this processor has no instructions for float16")
    assert choose(X)[0] == choose(X.bfloat16())[0] == "triton"


def test_the_interpreter_runs_only_when_asked_for(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(native, "HAS_TRITON", True)
    monkeypatch.setattr("degrade.backends.HAS_TRITON", True)
    assert choose(X) == ("torch", "Triton's interpreter is slow and runs only when asked for")
    assert choose(X, "triton")[0] == "triton"


@pytest.mark.parametrize(
    "recipe, name",
    [
        (degrade.MedianBlur(1), "torch"),
        (degrade.OneOf(degrade.MedianBlur((1, 3)), degrade.Jpeg()), "torch"),
        (degrade.Local(degrade.MedianBlur(1), degrade.masks.Ellipse()), "triton"),
        (degrade.Compose(degrade.MedianBlur(1), degrade.MeanShift(0.1)), "triton"),
        (degrade.Phase(degrade.Jpeg()), "triton"),
        (degrade.MeanShift(0.1, p=0.0), "triton"),
    ],
)
def test_auto_leaves_to_libraries_what_they_do_faster(recipe, name):
    """On the CPU, where all of a program is what a library does; kernels under masks keep to these, and mix."""
    pytest.importorskip("llvmlite")
    program = degrade.Pipeline(recipe, seed=1).sample(range(16), (20, 24))
    assert choose(torch.zeros(16, 3, 20, 24, dtype=torch.uint8), "auto", program)[0] == name

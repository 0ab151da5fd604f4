"""The scripts of examples/ run, at toy length, and what they print and give back holds together."""

import ast
import importlib.util
import math
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

pytest.importorskip("skimage")
pytest.importorskip("PIL")

FOLDER = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))
TOY = {
    "simclr_two_view": {"batch": 4},
    "restoration": {"batch": 4},
    "severity_regression": {"batch": 2},
    "arniqa_positives": {"pairs": 1, "size": 48},
}


@pytest.fixture(autouse=True)
def quiet():
    state = torch.get_rng_state()
    yield
    torch.set_rng_state(state)


def load(name):
    spec = importlib.util.spec_from_file_location(f"examples_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_script_is_run():
    assert set(SCRIPTS) == set(TOY)


@pytest.mark.parametrize("name", SCRIPTS)
def test_two_steps(name, capsys):
    losses = load(name).main(steps=2, **TOY[name])
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert len(losses) == len(printed) == 2 and all(math.isfinite(v) and v > 0 for v in losses)
    assert any(f"loss {losses[1]:.{digits}f}" in printed[1] for digits in (3, 5))


def test_equal_seeds_train_alike():
    main = load("restoration").main
    assert main(steps=2, batch=2, size=32) == main(steps=2, batch=2, size=32) != main(steps=2, batch=2, size=32, seed=1)


def test_training_helps():
    losses = load("restoration").main(steps=12, batch=4, size=32)
    assert sum(losses[-3:]) < 0.5 * sum(losses[:3])


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_short_and_start_from_the_command_line(name):
    source = (FOLDER / f"{name}.py").read_text()
    assert len(source.splitlines()) <= 60 and f"python examples/{name}.py --steps" in ast.get_docstring(ast.parse(source))
    app = typer.Typer()
    app.command()(load(name).main)
    assert "--steps" in CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120", "NO_COLOR": "1"}).output

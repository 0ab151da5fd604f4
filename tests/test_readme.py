"""The README says what is true: its tables are those that the commands print, and its code runs."""

import doctest
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from degrade.cli.list import markdown_table, matching

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(name):
    return re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.S)[1].strip()


def test_table_of_ops():
    assert block("ops") == markdown_table(matching("*")), "run: degrade list --markdown"


def test_table_of_speed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))  # benchmarks are run from a checkout and not installed
    from benchmarks.report import headline, markdown

    results = [headline(json.loads(p.read_text())) for p in sorted((ROOT / "benchmarks/results").glob("*.json"))]
    assert block("speed") == markdown(results), "run: python -m benchmarks.report --headline benchmarks/results/*.json"


def test_its_code_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (4, 3, 224, 224), dtype=torch.uint8, generator=generator)
    names = {
        "dataset": [(image, 0) for image in x],
        "x": x,
        "ids": np.arange(4),
        "q": torch.tensor([5.0, 10, 20, 40]),
        "m": torch.rand(4, 1, 224, 224, generator=generator),
    }
    snippets = re.findall(r"```python\n(.*?)```", README, re.S)
    exec(snippets[0], names)
    assert names["y"].shape == x.shape and names["labels"].masks.shape == (4, 2, 224, 224)
    assert names["train"][0][0].shape == (3, 224, 224)
    exec(snippets[1], names)
    assert names["y"].shape == x.shape and (tmp_path / "p.json").exists()
    exec(snippets[2], names)
    assert names["one"](x, ids=range(4)).shape == x.shape


def test_its_example_of_an_op_is_the_real_one():
    """Line by line, comments aside."""
    shown = re.findall(r"```python\n(.*?)```", README, re.S)[3]
    real = " ".join((ROOT / "degrade/ops/brightness/darken.py").read_text().split())
    for line in shown.splitlines():
        code = line.split("  #")[0].strip()
        if code:
            assert " ".join(code.split()) in real, code


@pytest.mark.parametrize("command", ['pip install -e ".[demo]" && degrade demo', 'pip install -e ".[test]" && pytest'])
def test_the_two_commands_are_those_that_ci_runs(command):
    assert f"    {command}\n" in README
    install, run = command.split(" && ")
    script = (ROOT / ".ci/run").read_text()
    assert install.removeprefix("pip install ") in script and run in script


@pytest.mark.parametrize("page, least", [("localization.md", 15), ("loaders.md", 25), ("views.md", 30)])
def test_pages_print_what_they_say(page, least):
    pytest.importorskip("skimage")
    failed, run = doctest.testfile(str(ROOT / "docs" / page), module_relative=False)
    assert failed == 0 and run > least

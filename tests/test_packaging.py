"""The package: how it is laid out, that it works without Triton, and what importing it does not bring along."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path

import pytest

import degrade

ROOT = Path(degrade.__file__).parents[1]


def run(code, *arguments):
    """Run Python code in a fresh process, from the checkout."""
    done = subprocess.run([sys.executable, *arguments, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_kernels_is_a_bare_folder():
    """With an __init__.py it would shadow another package of that name from the checkout's root."""
    if (ROOT / "setup.py").exists():
        assert not (ROOT / "kernels" / "__init__.py").exists()


def test_kernels_come_as_part_of_the_package():
    assert run("import degrade.kernels.rng as m; print(m.__name__)") == "degrade.kernels.rng"


def test_types_are_shipped():
    assert (Path(degrade.__file__).parent / "py.typed").exists()


def test_versions_agree():
    try:
        installed = metadata.version("degrade")
    except metadata.PackageNotFoundError:
        return  # a bare checkout
    assert installed == degrade.__version__


def test_changelog_names_the_stream():
    if (ROOT / "CHANGELOG.md").exists():
        assert f"STREAM {degrade.STREAM}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


HIDE_TRITON = """
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "triton":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hide())
"""


def test_works_without_triton():
    code = """
import torch, degrade
x = torch.arange(2 * 3 * 16 * 16).reshape(2, 3, 16, 16).remainder(256).to(torch.uint8)
pipe = degrade.Pipeline(degrade.Local(degrade.MeanShift(0.25), degrade.masks.Ellipse(area=0.3)))
y = pipe(x, ids=[0, 1])
assert y.shape == x.shape and not torch.equal(x, y)
assert not degrade.backends.HAS_TRITON
try:
    degrade.Pipeline(degrade.MeanShift(0.25), backend="triton")(x)
except RuntimeError as error:
    print(error)
"""
    assert "Triton is not installed" in run(HIDE_TRITON + code)


def test_importing_stays_light():
    """Codecs, colour libraries, readers and the command line come when they are used."""
    heavy = (
        *("kornia", "cv2", "skimage", "scipy", "PIL", "matplotlib", "yaml", "typer", "rich", "torchvision", "torch._inductor", "llvmlite"),
        *("lightning", "pytorch_lightning", "lightly", "timm", "datasets", "webdataset", "albumentations", "pandas", "pyarrow", "psutil", "IPython"),
    )
    code = f"import sys, degrade; print(*(name for name in {heavy!r} if name in sys.modules))"
    alone = f"import sys, torch; print(*(name for name in {heavy!r} if name in sys.modules))"
    assert run(code) == run(alone)


@pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="not a checkout")
@pytest.mark.skipif(importlib.util.find_spec("setuptools") is None, reason="setuptools is not installed")
def test_the_source_distribution_builds_without_the_repository(tmp_path):
    """What it holds is what the package is built from: what is built of it elsewhere degrades an image."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".git":
            shutil.copy(path, checkout)
    for name in ("degrade", "kernels", "tests"):
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    alone = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def call(folder, *arguments):
        done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder, env=alone)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    call(checkout, "setup.py", "-q", "sdist", "--formats", "gztar")
    with tarfile.open(checkout / f"dist/degrade-{degrade.__version__}.tar.gz") as file:
        file.extractall(tmp_path, filter="data")
    shutil.rmtree(checkout)
    unpacked = tmp_path / f"degrade-{degrade.__version__}"
    for name in ("LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "kernels/exact.py", "degrade/py.typed"):
        assert (unpacked / name).exists(), name
    call(unpacked, "setup.py", "-q", "build", "--build-base", str(tmp_path / "build"))
    lib = tmp_path / "build/lib"
    shipped, own = (
        {p.relative_to(d) for p in d.rglob("*") if p.is_file() and "__pycache__" not in p.parts} for d in (lib / "degrade", ROOT / "degrade")
    )
    assert own <= shipped and {p.name for p in (ROOT / "kernels").glob("*.py")} <= {p.name for p in (lib / "degrade/kernels").iterdir()}
    code = """
import torch, degrade
y = degrade.banks.kadid10k(severity="perceptual", backend="torch")(torch.rand(1, 3, 16, 16), ids=[1])
print(degrade.kernels.rng.__file__, tuple(y.shape))
"""
    found = call(lib, "-c", code)
    assert found.startswith(str(lib / "degrade" / "kernels")) and found.endswith("(1, 3, 16, 16)")

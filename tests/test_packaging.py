"""The package: how it is laid out, that it works without Triton, and what importing it does not bring along."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

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
    heavy = ("kornia", "cv2", "skimage", "scipy", "PIL", "matplotlib", "yaml", "typer", "rich", "torchvision", "torch._inductor")
    code = f"import sys, degrade; print(*(name for name in {heavy!r} if name in sys.modules))"
    alone = f"import sys, torch; print(*(name for name in {heavy!r} if name in sys.modules))"
    assert run(code) == run(alone)

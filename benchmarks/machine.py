"""What numbers hold for: the machine, the packages, the commit."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("torch", "triton", "numpy", "opencv", "pillow", "scipy", "scikit-image", "kornia")


def machine(*packages: str) -> dict[str, Any]:
    """Device, processor, and the versions of what is timed and of further packages."""
    cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if cuda else cpu_model(),
        "driver": said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") if cuda else None,
        "cuda": torch.version.cuda,
        "cpu": cpu_model(),
        "cores_used": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: version(name) for name in dict.fromkeys((*PACKAGES, *packages))},
    }


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def version(package: str) -> str | None:
    for name in (package, f"{package}-python-headless", f"{package}-python"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def commit() -> str | None:
    """The commit measured, with "dirty" if files differ from it; None outside a repository with commits."""
    head = said("git", "rev-parse", "--verify", "HEAD")
    return f"{head} dirty" if head and said("git", "status", "--porcelain") else head


def said(*command: str) -> str | None:
    """What a command prints, None if it cannot run or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None

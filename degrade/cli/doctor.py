"""`degrade doctor`: versions, devices, which backend runs where and why, and a short self-check."""

from __future__ import annotations

import importlib
import importlib.util
import io
import platform
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import torch

    from degrade.op import Op

KINDS = ("contrast", "gaussian_blur", "gaussian_noise", "jpeg", "mean_shift")  # what a processor may build wrongly shows in these
HEIGHT, WIDTH = 37, 50  # odd on purpose: partial tiles and partial codec blocks
PACKAGES = ("torch", "triton", "llvmlite", "numpy", "opencv-python-headless", "kornia", "pillow", "scikit-image")


def run() -> int:
    """Show versions and backends, and check every op on this machine. Exits with 1 if a check fails."""
    _section("versions")
    for name, value in versions():
        typer.echo(f"  {name:<24}{value}")
    _section("backends")
    for line in backends():
        typer.echo(f"  {line}")
    _section("self-check")
    failures = 0
    for name, check in checks():
        problems = _outcome(check)
        failures += bool(problems)
        typer.echo(f"  {'FAILED' if problems else 'ok':<8}{name}")
        for problem in problems:
            typer.echo(f"          {problem}")
    if not _gpu():
        typer.echo("  skipped no CUDA or ROCm GPU here: the kernels were not run on one")
    typer.echo(f"\n{failures} of the checks failed." if failures else "\nall checks passed.")
    return 1 if failures else 0


def _section(title: str) -> None:
    typer.echo(typer.style(title, bold=True))


def _gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _no_kernels() -> str:
    """Why the kernels do not run on the processor, or nothing."""
    import torch

    from degrade.backends import obstacle_to_triton

    return obstacle_to_triton(torch.empty(1), None)


# ---- what is here ----------------------------------------------------------------------------------------------------


def versions() -> Iterator[tuple[str, str]]:
    """Names and versions of everything results may depend on."""
    import torch

    import degrade

    yield "degrade", f"{degrade.__version__}, stream {degrade.STREAM}"
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            yield name, _unlisted(name)
    if torch.version.hip:
        yield "ROCm", str(torch.version.hip)
    else:
        yield "CUDA, built for", str(torch.version.cuda or "none")
    for i in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(i)
        yield f"GPU {i}", f"{about.name}, {about.total_memory / 2**30:.0f} GiB, capability {about.major}.{about.minor}"


def _unlisted(name: str) -> str:
    """OpenCV comes in several packages, of which any will do."""
    if name.startswith("opencv"):
        try:
            return f"{importlib.import_module('cv2').__version__} (from another package)"
        except ImportError:
            pass
    return "not installed"


def backends() -> Iterator[str]:
    """Which backend each op gets on each device, and why."""
    import torch

    from degrade import REGISTRY
    from degrade.backends import choose
    from degrade.backends.twin import cpu_path

    for device in ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]:
        backend, why = choose(torch.empty(1, 3, 1, 1, device=device))
        alone = sorted(name for name, op in REGISTRY.items() if op.kind == "codec" and backend == "triton")
        rest = f"; torch for {', '.join(alone)}" if alone else ""
        yield f"{device}: {backend} for {len(REGISTRY) - len(alone)} ops, because {why}{rest}"
        coded = [name for name in sorted(REGISTRY) if backend == "torch" and device == "cpu" and cpu_path(name)]
        if coded:
            yield f"{device}: through a faster codec, checked against the twin: {', '.join(coded)}"


# ---- the self-check --------------------------------------------------------------------------------------------------


def checks() -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """Names of the checks, and functions that return what is wrong."""
    from degrade import REGISTRY

    count = f"{len(REGISTRY)} ops"
    yield f"{count}: a sample alone equals the sample in a batch, bit for bit", lambda: _each(_alone)
    yield f"{count}: pixels outside the mask leave as they came", lambda: _each(_outside)
    if "jpeg" in REGISTRY:
        yield "jpeg: the twin equals OpenCV's libjpeg-turbo, bit for bit", lambda: _jpeg(_opencv)
        if importlib.util.find_spec("PIL") is not None:
            yield "jpeg: the twin equals Pillow's libjpeg, bit for bit", lambda: _jpeg(_pillow)
    if not _no_kernels():
        yield f"{', '.join(KINDS)}: the kernels built for this processor equal the twins, bit for bit", _on_processor
    if _gpu():
        yield f"{count}: Triton on the GPU equals the twin, within each op's tolerance", lambda: _each(_device)


def _outcome(check: Callable[[], list[str]]) -> list[str]:
    try:
        return check()
    except Exception as error:  # a failed check is a finding, whatever it raises
        return [f"{type(error).__name__}: {error}"]


def _each(check: Callable[[type[Op]], str]) -> list[str]:
    """What a check says about every op, where it says anything."""
    from degrade import REGISTRY

    out = []
    for name, op in sorted(REGISTRY.items()):
        try:
            problem = check(op)
        except Exception as error:  # likewise
            problem = f"{type(error).__name__}: {error}"
        if problem:
            out.append(f"{name}: {problem}")
    return out


def _images(dtype: torch.dtype) -> torch.Tensor:
    """Three small images: slopes, with texture on them."""
    import torch

    y, x = torch.arange(HEIGHT)[:, None], torch.arange(WIDTH)
    planes = [(y * (3 + c) + x * (4 - c) + (y * x * (7 + 2 * c + 5 * i)) % 61) % 256 for i in range(3) for c in range(3)]
    images = torch.stack(planes).reshape(3, 3, HEIGHT, WIDTH)
    return images.to(torch.uint8) if dtype == torch.uint8 else images.to(dtype) / 255


def _pipe(op: type[Op], backend: str = "torch") -> Any:
    from degrade import Local, Pipeline
    from degrade.masks import find

    return Pipeline(Local(op(severity=(0.3, 0.9)), find("ellipse")(area=0.3, feather=0.1)), seed=7, backend=backend)


IDS = (11, 5, 8)


def _alone(op: type[Op]) -> str:
    import torch

    pipe = _pipe(op)
    for dtype in (torch.uint8, torch.float32):
        x = _images(dtype)
        batch = pipe(x, ids=IDS)
        for i, sample in enumerate(IDS):
            if not torch.equal(pipe(x[i : i + 1], ids=[sample])[0], batch[i]):
                return f"sample {i} differs in {dtype}"
    return ""


def _outside(op: type[Op]) -> str:
    import torch

    x = _images(torch.uint8)
    y, labels = _pipe(op)(x, ids=IDS, labels=True)
    out = (labels.masks.amax(1) == 0)[:, None].expand_as(x)
    changed = int((x != y)[out].sum())
    return f"{changed} values changed" if changed else ""


def _on_processor() -> list[str]:
    import torch

    from degrade.ops import find

    out = []
    for op in map(find, KINDS):
        for dtype in (torch.uint8, torch.float32):
            x = _images(dtype)
            wrong = int((_pipe(op, "triton")(x, ids=IDS) != _pipe(op)(x, ids=IDS)).sum())
            if wrong:
                out.append(f"{op.name}: {wrong} values differ in {dtype}")
    return out


def _device(op: type[Op]) -> str:
    import torch

    x = _images(torch.float32).cuda()
    difference = (_pipe(op, "triton")(x, ids=IDS) - _pipe(op)(x, ids=IDS)).abs().amax().item()
    allowed = op.tolerance + 1 / 65535
    return "" if difference <= allowed else f"differs by {difference:.2g}, allowed {allowed:.2g}"


def _jpeg(codec: Callable[[Any, int, str], Any]) -> list[str]:
    """Compare the twin itself, not its faster path, with a codec."""
    import numpy as np
    import torch

    from degrade.backends.twin import from_canvas, round_fixed, to_canvas
    from degrade.op import MAX_PARAMETERS, Context
    from degrade.ops import find

    op, x = find("jpeg"), _images(torch.uint8)
    modes = op.parameters["subsampling"].choices or ()
    out = []
    for mode in ("4:4:4", "4:2:2", "4:2:0"):
        theta = np.zeros((len(x), MAX_PARAMETERS), dtype=np.float32)
        theta[:, 0], theta[:, 1] = (10, 50, 92), modes.index(mode)
        values = tuple(torch.from_numpy(theta[:, i].copy())[:, None, None, None] for i in range(MAX_PARAMETERS))
        canvas = op.twin(
            to_canvas(x), values, Context(None, torch.from_numpy(op.tables(theta, op.frame(0, np.arange(len(x)), 0, *x.shape[2:]))), round_fixed)
        )
        y = from_canvas(round_fixed(canvas), x)
        for i in range(len(x)):
            expected = codec(np.ascontiguousarray(x[i].permute(1, 2, 0).numpy()), int(theta[i, 0]), mode)
            wrong = int((y[i].permute(1, 2, 0).numpy() != expected).sum())
            if wrong:
                out.append(f"quality {int(theta[i, 0])}, {mode}: {wrong} of {expected.size} values differ")
    return out


def _opencv(image: Any, quality: int, mode: str) -> Any:
    import cv2

    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{mode.replace(':', '')}")
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
    file = cv2.imencode(".jpg", image[:, :, ::-1], options)[1]  # OpenCV's order of channels is blue, green, red
    decoded: Any = cv2.imdecode(file, cv2.IMREAD_COLOR)
    return decoded[:, :, ::-1]


def _pillow(image: Any, quality: int, mode: str) -> Any:
    import numpy as np
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling={"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}[mode])
    return np.asarray(Image.open(file).convert("RGB"))

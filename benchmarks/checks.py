"""What a row must pass, in the run that times it. A check returns "ok", "n/a", or what is wrong; that forbids the row."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import degrade
from degrade import Labels, Pipeline
from degrade.backends.twin import from_canvas, round_fixed, to_canvas
from degrade.kernels.codec import from_byte_twin, to_byte_twin
from degrade.ops import find

OK, ABSENT = "ok", "n/a"
ALONE = 3  # samples run alone, beside one shuffled run of the whole batch
TWIN = 32  # images held against the twin, which is slow
CODED = 8  # images held against a codec
SUBSAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
STEP = {torch.uint8: 1.0, torch.float16: 2**-11, torch.bfloat16: 2**-8, torch.float32: 0.0}  # of what rounds after the op


def all_checks(pipe: Pipeline, x: torch.Tensor, name: str, backend: str) -> dict[str, str]:
    """Run every check on one batch. What a check raises is a finding too."""
    ids = np.arange(len(x))
    try:
        y, labels = pipe(x, ids=ids, labels=True)
    except Exception as error:
        return {"run": f"{type(error).__name__}: {error}"}
    checks: dict[str, Callable[[], str]] = {
        "alone": lambda: alone(pipe, x, y, ids),
        "outside": lambda: outside(x, y, labels),
        "twin": lambda: twin(pipe, x, y) if backend == "triton" else ABSENT,
        "codec": lambda: codec(labels, x, y) if name.startswith("jpeg") and "2000" not in name else ABSENT,
    }
    return {key: outcome(check) for key, check in checks.items()}


def outcome(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def red(checks: dict[str, str]) -> dict[str, str]:
    """The checks that forbid the row."""
    return {name: said for name, said in checks.items() if said not in (OK, ABSENT)}


def alone(pipe: Pipeline, x: torch.Tensor, y: torch.Tensor, ids: Any) -> str:
    """Bit for bit the same result alone, in a batch, and in a shuffled batch."""
    order = np.random.default_rng(0).permutation(len(x))
    rows = torch.from_numpy(order).to(x.device)
    if not torch.equal(pipe(x[rows], ids=ids[order]), y[rows]):
        return "another result in a shuffled batch"
    for i in order[:ALONE].tolist():
        if not torch.equal(pipe(x[i : i + 1], ids=ids[i : i + 1])[0], y[i]):
            return f"sample {i} has another result alone"
    return OK


def outside(x: torch.Tensor, y: torch.Tensor, labels: Labels) -> str:
    """Pixels outside the mask leave as they came. Cells leave none."""
    if not labels.program.family.size or (labels.program.partition >= 0).any():
        return ABSENT
    out = (labels.masks.amax(1) == 0)[:, None].to(x.device)
    changed = int(((x != y) & out).sum())
    return f"{changed} values changed outside the mask" if changed else OK


def twin(pipe: Pipeline, x: torch.Tensor, y: torch.Tensor) -> str:
    """Equal to the torch twin, within the tolerance of its ops and one rounding step."""
    cells = int((pipe.sample([0], (x.shape[2], x.shape[3])).partition >= 0).sum())  # the twin runs each over the whole frame
    count = min(max(1, TWIN // max(1, cells)), len(x))
    program = pipe.sample(np.arange(count), (x.shape[2], x.shape[3]))
    tolerance = max(find(name).tolerance for name in program.ops)
    allowed = 0.0 if tolerance == 0 else STEP[x.dtype] + (0.0 if x.dtype == torch.uint8 else tolerance)
    slow = degrade.apply(program, x[:count], backend="torch")
    difference = float((y[:count].to(torch.float32) - slow.to(torch.float32)).abs().max())
    return OK if difference <= allowed else f"differs from the twin by {difference:.3g}, allowed {allowed:.3g}"


def codec(labels: Labels, x: torch.Tensor, y: torch.Tensor) -> str:
    """Where the mask is 1, equal to the libjpeg-turbo of Pillow (if it is installed) and of OpenCV, bit for bit."""
    x, y = x[:CODED].cpu(), y[:CODED].cpu()
    theta = labels.program.theta[:CODED, 0]
    full = (labels.masks[:CODED, 0] == 1.0)[:, None].expand_as(x)
    pixels = to_byte_twin(to_canvas(x)).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    coders = {"OpenCV": opencv_jpeg, **({"Pillow": pillow_jpeg} if importlib.util.find_spec("PIL") else {})}
    for who, coder in coders.items():
        coded = np.stack([coder(image, int(q), SUBSAMPLINGS[int(s)]) for image, (q, s, *_) in zip(pixels, theta)])
        canvas = from_byte_twin(torch.from_numpy(coded).permute(0, 3, 1, 2).contiguous().to(torch.int32))
        wrong = int(((from_canvas(round_fixed(canvas), x) != y) & full).sum())
        if wrong:
            return f"{wrong} values differ from {who}"
    return OK if full.any() else ABSENT


def opencv_jpeg(image: Any, quality: int, mode: str) -> Any:
    """RGB, height width 3 uint8, through a file in memory."""
    import cv2

    return opencv_jpeg_bgr(cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality, mode)[:, :, ::-1]


def opencv_jpeg_bgr(image: Any, quality: int, mode: str) -> Any:
    """The same in OpenCV's own order of channels."""
    import cv2

    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{mode.replace(':', '')}")
    file = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor])[1]
    return cv2.imdecode(file, cv2.IMREAD_COLOR)


def pillow_jpeg(image: Any, quality: int, mode: str) -> Any:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=SUBSAMPLINGS.index(mode))
    return np.asarray(Image.open(file).convert("RGB"))

"""Image files of every kind, and small data sets of them, made by hand or by Pillow."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from degrade import Compose, GaussianNoise, Local, MeanShift, Pipeline, masks

pytest.importorskip("pyarrow")
image_module = pytest.importorskip("PIL.Image")

PIPE = Pipeline(Compose(Local(MeanShift((0.1, 0.3)), masks.Ellipse(area=(0.2, 0.5)), p=0.7), GaussianNoise((0.01, 0.1), p=0.7)), seed=3)
SIZES = (17, 23), (7, 5), (24, 16), (1, 9)


def picture(seed=0, height=24, width=16):
    """Something smooth with noise, h w 3 uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    base = np.stack([y, x, (x + y) / 2], 2) * rng.uniform(80, 180) + rng.uniform(0, 60, 3)
    return (base + rng.uniform(0, 15, base.shape)).astype(np.uint8)


def save(path, seed=0, height=24, width=16, **options):
    """A picture as a file, of the kind that its suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image_module.fromarray(picture(seed, height, width)).save(path, **options)
    return path


def folder(path, count=8, sizes=SIZES):
    """So many PNG files of several sizes."""
    for i in range(count):
        save(path / f"{i:03d}.png", i, *sizes[i % len(sizes)])
    return path


def encoded(image, kind="PNG", **options):
    """A Pillow image, or an array, as a file's bytes."""
    data = io.BytesIO()
    (image if hasattr(image, "save") else image_module.fromarray(image)).save(data, kind, **options)
    return data.getvalue()


def tree(out):
    """Every file under a folder with its bytes."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}


def png_header(width, height):
    """A PNG file that says its size and holds next to nothing."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def icc(space, curve, colorants=()):
    """An ICC profile, version 2, of one gamma: "RGB " with three colorants, or "GRAY"."""

    def xyz(values):
        return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(v * 65536)) for v in values)

    trc = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(curve * 256)) + b"\0\0"
    tags = [(b"wtpt", xyz((0.9642, 1.0, 0.8249)))]
    if space == "GRAY":
        tags.append((b"kTRC", trc))
    for letter, values in zip(b"rgb", colorants):
        tags += [(bytes([letter]) + b"XYZ", xyz(values)), (bytes([letter]) + b"TRC", trc)]
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags:
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    head = (
        struct.pack(">I4sI4s4s4s", size, b"\0" * 4, 0x02400000, b"mntr", space.encode(), b"XYZ ") + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    )
    head = head.ljust(68, b"\0") + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


DISPLAY_P3 = icc("RGB ", 2.2, ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)))
GREY_LINEAR = icc("GRAY", 1.0)

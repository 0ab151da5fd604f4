"""Embeddings of image files of any size by one encoder, kept on disk, so that a rerun is immediate.

View "crops", the default, is ARNIQA's: five crops of the encoder's size, in the middle and the corners, of the image as it is and of the image at half
its size; the mean over the five of each, side by side. Crops keep pixels as they are, and scores depend on them. View "whole" embeds the frame at once,
resampled to the nearest multiples of the encoder's patch: only for encoders that take any size.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from degrade.datasets.decode import Decoder
from degrade.probing import embedding
from degrade.storing import write_whole

Array = np.ndarray[Any, Any]
VIEWS = ("crops", "whole")
SIZE, STEP = 224, 32  # of encoders that do not say theirs


class Embedder(NamedTuple):
    """An encoder and how it is called.

    name    in results
    call    images b 3 h w, float in 0…1, to embeddings b d
    device  where it is
    """

    name: str
    call: Callable[[Tensor], Tensor]
    device: str = "cpu"

    @property
    def size(self) -> int:
        """Side of its crops: the encoder's own `size`, or 224.

        Raises:
            ValueError: one that takes no squares.
        """
        own = getattr(self.call, "size", None) or SIZE
        height, width = own if isinstance(own, (tuple, list)) else (own, own)
        if height != width:
            raise ValueError(f"encoder {self.name!r} takes {height}x{width} alone; accepted: encoders of squares.")
        return int(height)

    @property
    def step(self) -> int:
        """What sides must be multiples of in view "whole": the encoder's own `step`, or 32."""
        return int(getattr(self.call, "step", None) or STEP)

    def __call__(self, x: Tensor) -> Array:
        """Embeddings b d float32 of images b 3 h w uint8.

        Raises:
            TypeError, ValueError: what is no embedding, naming the encoder.
        """
        return embedding.embed(self.name, self.call, x.to(self.device).float() / 255)

    def fingerprint(self, side: int) -> str:
        """Of what it makes of a fixed image: another after a change of its weights or its code, which its name does not tell."""
        x = torch.randint(0, 256, (1, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        z = self(x)
        return hashlib.sha256((z / max(float(np.abs(z).max()), 1e-12)).astype(np.float16).tobytes()).hexdigest()[:16]


# ---- views -------------------------------------------------------------------------------------------------------------------------


def crops(image: Tensor, size: int) -> Tensor:
    """The middle and the corners of an image 3 h w uint8, at its own size and at half of it: 10 3 size size. Smaller images are enlarged to fit."""
    height, width = image.shape[1:]
    out = []
    for scaled in (fitting(image, height, width, size), fitting(image, height // 2, width // 2, size)):
        down, right = (extent - size for extent in scaled.shape[1:])
        places = ((down // 2, right // 2), (0, 0), (0, right), (down, 0), (down, right))
        out += [scaled[:, top : top + size, left : left + size] for top, left in places]
    return torch.stack(out)


def fitting(image: Tensor, height: int, width: int, least: int) -> Tensor:
    """Resampled to height x width, or where that is too small to a short side of `least`."""
    factor = max(least / max(min(height, width), 1), 1.0)
    return resampled(image, max(round(height * factor), least), max(round(width * factor), least))


def whole(image: Tensor, step: int) -> Tensor:
    """The frame, 1 3 h w, with sides resampled to the nearest multiples of `step`."""
    height, width = (max(round(extent / step), 1) * step for extent in image.shape[1:])
    return resampled(image, height, width)[None]


def resampled(image: Tensor, height: int, width: int) -> Tensor:
    """3 h w uint8, by an antialiased bicubic filter; as it is where the size is right."""
    if tuple(image.shape[1:]) == (height, width):
        return image
    out = functional.interpolate(image[None].float(), (height, width), mode="bicubic", antialias=True, align_corners=False)
    return out[0].round().clamp(0, 255).to(torch.uint8)


# ---- files -------------------------------------------------------------------------------------------------------------------------


class Images(Dataset[Tensor]):
    """Views of image files, of which those with a longer short side are reduced to `short_side` first; 0 leaves them."""

    def __init__(self, files: Sequence[Path], view: str, size: int, short_side: int = 0) -> None:
        self.files, self.view, self.size, self.short_side, self.decoder = files, view, size, short_side, Decoder()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        try:
            pixels = self.decoder(self.files[index].read_bytes()).pixels
        except ValueError as error:
            raise ValueError(f"image {str(self.files[index])!r} cannot be used: {error}; accepted: image files that Pillow reads.") from None
        image = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)
        if 0 < self.short_side < min(pixels.shape[:2]):
            factor = self.short_side / min(pixels.shape[:2])
            image = resampled(image, *(round(extent * factor) for extent in pixels.shape[:2]))
        return crops(image, self.size) if self.view == "crops" else whole(image, self.size)


def embed(
    files: Sequence[Path],
    encoder: Embedder,
    view: str = "crops",
    batch: int = 16,
    cache: Path | None = None,
    workers: int = 0,
    progress: bool = True,
    short_side: int = 0,
) -> Array:
    """Embeddings of image files, (n, d) float32; with view "crops" d is twice the encoder's.

    Args:
        batch: images at once, of which "crops" makes ten each; "whole" takes one after the other, for their sizes differ.
        cache: a folder that keeps them; None keeps nothing.
        workers: processes that read files.
        short_side: reduce larger images to this short side first; 0 leaves them.

    Raises:
        ValueError: an unknown view, a negative short side, an image that cannot be read, or what is no embedding. OSError: a file that cannot be opened.
    """
    if view not in VIEWS:
        raise ValueError(f"view={view!r} is not accepted; accepted: {', '.join(VIEWS)}.")
    if short_side < 0:
        raise ValueError(f"short_side={short_side} is not accepted; accepted: a number of pixels, or 0 to leave images as they are.")
    size = encoder.size if view == "crops" else encoder.step

    def made() -> Array:
        images = DataLoader(Images(files, view, size, short_side), batch if view == "crops" else 1, num_workers=workers, generator=torch.Generator())
        rows = [_row(encoder, x) for x in tqdm(images, desc=encoder.name, disable=not progress)]
        return np.concatenate(rows)

    listed = [[str(file.absolute()), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return cached(cache, encoder, size, {"view": view, "short_side": short_side, "files": listed}, made)


def _row(encoder: Embedder, x: Tensor) -> Array:
    """Of b views of some crops each, b v 3 h w: with ten, means over each five, side by side."""
    found = encoder(x.flatten(0, 1)).reshape(*x.shape[:2], -1)
    return np.concatenate([found[:, :5].mean(1), found[:, 5:].mean(1)], 1) if x.shape[1] == 10 else found[:, 0]


# ---- the cache ---------------------------------------------------------------------------------------------------------------------


def cached(folder: Path | None, encoder: Embedder, side: int, settings: dict[str, Any], made: Callable[[], Array]) -> Array:
    """An array as it was made by an equal encoder under equal settings before, or made now and kept.

    Args:
        side: of square images that the encoder takes.

    Raises:
        ValueError: a file that is damaged.
    """
    if folder is None:
        return made()
    text = json.dumps({"encoder": encoder.name, "fingerprint": encoder.fingerprint(side), "side": side, **settings}, sort_keys=True)
    name = "".join(c if c.isalnum() else "-" for c in encoder.name)[-60:]
    path = folder / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.npz"
    if path.exists():
        try:
            with np.load(path, allow_pickle=False) as file:
                if str(file["key"]) == text:
                    out: Array = file["embeddings"]
                    return out
        except Exception as error:  # by the kind of damage, zipfile and numpy raise one or another
            raise ValueError(f"{str(path)!r} cannot be read: {error}; delete it, and it is made again.") from None
    made_now, held = made(), io.BytesIO()
    np.savez(held, embeddings=made_now, key=np.array(text))
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, held.getvalue())
    return made_now

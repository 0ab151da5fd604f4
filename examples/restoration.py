"""Restoration: from degraded to clean photographs, `python examples/restoration.py --steps 200`.

The degradation lies in soft regions, and the labels tell where, so the error is also printed for these regions alone. The photographs are
scikit-image's, the network is a small DnCNN, which predicts what is to be added, and a CPU is enough.
"""

import torch
import typer
from torch import nn

import degrade
from degrade import Compose, GaussianBlur, GaussianNoise, Jpeg, Local, OneOf, masks
from degrade.cli.demo import photograph


def network(channels: int = 32, depth: int = 5) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, 1, 1), nn.ReLU()]
    for _ in range(depth - 2):
        layers += [nn.Conv2d(channels, channels, 3, 1, 1), nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(channels, 3, 3, 1, 1))


def psnr(x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor) -> float:
    error = ((x - y).square().mean(1) * weight).sum() / weight.sum().clamp(min=1e-6)
    return float(-10 * error.clamp(min=1e-9).log10())


def main(steps: int = 200, batch: int = 8, size: int = 64, seed: int = 0) -> list[float]:
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    photos = torch.stack([torch.from_numpy(photograph(i, 2 * size)) for i in range(batch)]).permute(0, 3, 1, 2).to(device) / 255
    pipe = degrade.Pipeline(
        Compose(
            Local(OneOf(GaussianBlur(sigma=(0.5, 3)), GaussianNoise(std=(0.1, 0.3))), mask=masks.Ellipse(area=(0.2, 0.7))),
            Jpeg(quality=(20, 60), p=0.5),
        ),
        seed=seed,
    )
    net = network().to(device)
    optimiser, losses = torch.optim.Adam(net.parameters(), 2e-3), []
    for step in range(steps):
        top, left = torch.randint(0, size + 1, (2,)).tolist()
        clean = photos[:, :, top : top + size, left : left + size].contiguous()
        ids = range(step * batch, (step + 1) * batch)
        degraded, labels = pipe(clean, ids=ids, labels=True)
        restored = degraded + net(degraded)
        loss = (restored - clean).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        where = labels.composite_severity
        before, after = (psnr(x.detach(), clean, where) for x in (degraded, restored))
        print(f"step {step}  loss {losses[-1]:.5f}  in the regions {before:.2f} dB, restored {after:.2f} dB")
    return losses


if __name__ == "__main__":
    typer.run(main)

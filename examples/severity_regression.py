"""What was done, where, and how strongly: `python examples/severity_regression.py --steps 300`.

A frame is parted into Voronoi cells, each with a degradation of its own or none. A network tells for every patch of 8 pixels the type and the severity,
learning from maps that the labels give. The photographs are scikit-image's, and a CPU is enough.
"""

import torch
import torch.nn.functional as F
import typer
from torch import nn

import degrade
from degrade import GaussianBlur, GaussianNoise, Jpeg, OneOf, Partition, Pixelate, cells
from degrade.cli.demo import photograph

PATCH = 8


def network(outputs: int) -> nn.Sequential:
    """Eight times smaller than the image in three steps."""
    layers: list[nn.Module] = []
    for channels, out, stride in ((3, 24, 1), (24, 32, 2), (32, 48, 2), (48, 64, 2)):
        layers += [nn.Conv2d(channels, out, 3, stride, 1), nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(64, outputs, 1))


def main(steps: int = 300, batch: int = 8, size: int = 96, seed: int = 0) -> list[float]:
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    photos = torch.stack([torch.from_numpy(photograph(i, size)) for i in range(batch)]).permute(0, 3, 1, 2).contiguous().to(device)
    child = OneOf(
        GaussianBlur(severity=(0.1, 0.5)), GaussianNoise(severity=(0.2, 1)), Jpeg(severity=(0.4, 1)), Pixelate(severity=(0.3, 1)), p=0.8
    )  # fmt: skip
    pipe = degrade.Pipeline(Partition(child, cells.Voronoi(count=(2, 4))), seed=seed)
    net = network(1 + len(pipe.sample([0], (size, size)).ops) + 1).to(device)  # nothing, the types, and the severity
    optimiser, losses = torch.optim.Adam(net.parameters(), 4e-3), []
    for step in range(steps):
        y, labels = pipe(photos, ids=range(step * batch, (step + 1) * batch), labels=True)
        kind = labels.dominant[:, PATCH // 2 :: PATCH, PATCH // 2 :: PATCH].long() + 1  # in the middle of each patch; 0 for nothing
        severity = F.avg_pool2d(labels.composite_severity[:, None], PATCH)[:, 0]
        out = net(y.float() / 255 - 0.5)
        told, strength = out[:, :-1], out[:, -1].sigmoid()
        loss = F.cross_entropy(told, kind) + (strength - severity).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        right, off = (told.argmax(1) == kind).float().mean(), (strength - severity).abs().mean()
        print(f"step {step}  loss {losses[-1]:.3f}  types right {right:.0%}, severity off by {off:.3f}")
    return losses


if __name__ == "__main__":
    typer.run(main)

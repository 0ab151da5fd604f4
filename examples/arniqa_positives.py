"""ARNIQA's pretext task: `python examples/arniqa_positives.py --steps 200`.

Two different photographs with the same degradation are a positive pair, and the same at half the size another, harder to tell from the first:
`program_ids` shares what is done, and noise stays each image's own. The photographs are scikit-image's, and a CPU is enough.
Agnolucci et al., WACV 2024.
"""

import torch
import torch.nn.functional as F
import typer
from torch import nn

import degrade
from degrade.cli.demo import photograph


def network() -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels, out in ((3, 24), (24, 48), (48, 64)):
        layers += [nn.Conv2d(channels, out, 3, 2, 1), nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 64))


def nt_xent(a: torch.Tensor, b: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Each of a with its own of b among all others of both."""
    z = F.normalize(torch.cat([a, b]))
    likeness = (z @ z.T / temperature).fill_diagonal_(float("-inf"))
    return F.cross_entropy(likeness, torch.arange(len(z), device=z.device).roll(len(a)))


def main(steps: int = 200, pairs: int = 8, size: int = 64, seed: int = 0) -> list[float]:
    torch.manual_seed(seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    photos = torch.stack([torch.from_numpy(photograph(i, 2 * size)) for i in range(16)]).permute(0, 3, 1, 2).to(device) / 255
    pipe = degrade.banks.arniqa("faithful", max_distortions=4, seed=seed)
    net = network().to(device)
    optimiser, losses = torch.optim.SGD(net.parameters(), 0.02, momentum=0.9), []
    for step in range(steps):
        chosen = torch.randperm(len(photos))[: 2 * pairs]  # the first half with the second
        top, left = torch.randint(0, size + 1, (2,)).tolist()
        whole = photos[chosen.to(device), :, top : top + size, left : left + size]
        half = F.interpolate(photos[chosen.to(device)], size=size, mode="bilinear", antialias=True)
        programs = step * pairs + torch.arange(pairs).repeat(4)  # A, B, A at half the size, B at half the size
        ids = 4 * step * pairs + torch.arange(4 * pairs)
        seen = pipe(torch.cat([whole, half]).clamp(0, 1), ids=ids, program_ids=programs)
        a, b, small_a, small_b = net((seen - 0.45) / 0.23).chunk(4)
        loss = nt_xent(torch.cat([a, small_a]), torch.cat([b, small_b]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        print(f"step {step}  loss {losses[-1]:.3f}")
    return losses


if __name__ == "__main__":
    typer.run(main)

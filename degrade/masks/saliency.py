"""Saliency: what stands out from its surroundings in lightness or colour.

A pixel's score is Σ |centre − surround| over six pairs of squares around it and over three channels: luma, red − green, and
blue − yellow. Centre and surround are box means over squares of 1/64, 1/32, … 1/2 of √(h · w), two or three octaves apart. The rank of the
score within the image gives the weight as in Edges, with the same area and feather. The image is read as it came, in 8 bits.

Source: L. Itti, C. Koch, E. Niebur, "A model of saliency-based visual attention for rapid scene analysis", PAMI 1998: its centre-surround
differences of intensity and of opponent colours, without orientations and without its normalisation of maps.
"""

from __future__ import annotations

import torch

from ._maps import RankedMask, channels, luma, radius_of

SIDES = tuple(2.0**-i for i in range(6, 0, -1))  # of the squares, as fractions of √(h · w)
PAIRS = ((0, 2), (0, 3), (1, 3), (1, 4), (2, 4), (2, 5))  # centre and surround

MEAN_BITS = 38  # of a mean's divisor; sums have 25 more at most


class Saliency(RankedMask):
    """Weights from the image's own centre-surround contrast.

    Args:
        area: Σ weight / (h · w).
        feather: the ramp's width, as a fraction of the frame's area.
    """

    @staticmethod
    def scores(x: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        r, g, b = channels(x)
        radii = [int(radius_of(side, *x.shape[2:])) for side in SIDES]
        total = torch.zeros_like(r)
        for channel in (luma(r, g, b), (r - g) * 256, b * 256 - (r + g) * 128):
            summed = summed_area(channel, radii[-1])
            means = [box_mean(summed, radius, radii[-1]) for radius in radii]
            for centre, surround in PAIRS:
                total += (means[centre] - means[surround]).abs()
        return total.to(torch.int32)


def summed_area(values: torch.Tensor, margin: int) -> torch.Tensor:
    """Sums of all that is above and to the left, (n, h + 2 · margin + 1, …) int64; around the image its border pixels repeat."""
    y, x = (torch.arange(-margin, length + margin, device=values.device).clamp(0, length - 1) for length in values.shape[1:])
    down = values[:, y[:, None], x].to(torch.int64).cumsum(1)
    return torch.nn.functional.pad(down.to(torch.int64).cumsum(2), (1, 0, 1, 0))


def box_mean(summed: torch.Tensor, radius: int, margin: int) -> torch.Tensor:
    """Means over squares of 2 · radius + 1 pixels a side, as whole numbers, from what `summed_area` gave."""
    height, width = (length - 1 - 2 * margin for length in summed.shape[1:])
    near, far = margin - radius, margin + radius + 1
    top, bottom = (slice(at, at + height) for at in (near, far))
    left, right = (slice(at, at + width) for at in (near, far))
    side = far - near
    share = (1 << MEAN_BITS) // (side * side)  # a division of whole numbers takes as long as all else here
    return (summed[:, bottom, right] - summed[:, top, right] - summed[:, bottom, left] + summed[:, top, left]) * share >> MEAN_BITS

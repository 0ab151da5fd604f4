"""What the quantisers that choose their levels by the histogram share: counting on the device and in the twin, and tables of values.

A *block* of words belongs to the image, or to one channel: the histogram of its 8-bit values in words 0 to 255, and from
word `TABLE` on the new value of each, in 16-bit fixed point.
"""

import torch

from degrade.kernels.codec import to_byte, to_byte_twin
from degrade.kernels.fetch import fetch_column
from degrade.kernels.lang import jit, tl
from degrade.kernels.words import add

CHANNELS = ("joint", "each")
TABLE = 256


@jit
def count(image, y, x, words, each, inside, BLOCK: tl.constexpr):
    """Add a tile to the histogram of all channels, or of each."""
    r, g, b = fetch_column(image, y, x)
    r1, g1, b1 = tl.where(inside, to_byte(r), 0), tl.where(inside, to_byte(g), 0), tl.where(inside, to_byte(b), 0)
    outside = tl.sum(tl.sum(tl.where(inside, 0, 1), 1), 0)
    if each == 0:
        joined = tl.join(tl.join(r1, g1), tl.join(b1, tl.zeros_like(b1)))
        _count(tl.reshape(joined, (2048,)), words, 3 * outside + 512)
    else:
        _count(tl.reshape(r1, (512,)), words, outside)
        _count(tl.reshape(g1, (512,)), words + BLOCK, outside)
        _count(tl.reshape(b1, (512,)), words + 2 * BLOCK, outside)
    return r, g, b


@jit
def _count(values, words, excess):
    """Add values to a histogram; so many of the zeros are none, such as lanes outside the frame."""
    v = tl.arange(0, 256)
    found = tl.histogram(values, 256)
    found = tl.where(v == 0, found - excess, found)
    add(words + v, found, found > 0)


@jit
def look_up(r, g, b, words, each, BLOCK: tl.constexpr):
    """The new value of each channel."""
    return _look_up(r, words), _look_up(g, words + each * BLOCK), _look_up(b, words + 2 * each * BLOCK)


@jit
def _look_up(v, words):
    at = tl.max_contiguous(256 + to_byte(v), (1, 2))  # as in fetch.place
    return tl.load(words + at).to(tl.float32) * (1.0 / 65535.0)


def quantise_twin(x, each, rule):
    """Count, let `rule(histograms, rows)` make tables (m, 256) from histograms (m, 256) of the samples `rows`, and look up.

    `each` (n,) tells which samples have a histogram for each channel.
    """
    values = to_byte_twin(x).to(torch.int64).flatten(2)
    histograms = torch.zeros((len(x), 3, 256), dtype=torch.int64, device=x.device)
    histograms.scatter_add_(2, values, torch.ones_like(values))
    tables = torch.empty((len(x), 3, 256), dtype=torch.float32, device=x.device)
    for apart in (False, True):
        rows = (each == apart).nonzero().flatten()
        if len(rows):
            found = histograms[rows] if apart else histograms[rows].to(torch.int64).sum(1, keepdim=True)
            made = rule(found.flatten(0, 1), rows.repeat_interleave(found.shape[1]))
            tables[rows] = (made.to(torch.float32) * (1.0 / 65535.0)).reshape(len(rows), -1, 256).expand(-1, 3, -1)
    return tables.gather(2, values).reshape(x.shape)

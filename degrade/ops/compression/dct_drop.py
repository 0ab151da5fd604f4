"""DCT coefficient dropping: of every 8×8 block only the first `kept` cosine coefficients stay, which shows the blocks.

kept counts along JPEG's zigzag from the mean: 64 is the identity, 1 leaves flat blocks. The image is rounded to 8 bits; each
of R, G and B goes through JPEG's integer transform, with quantisation steps of 1 for what stays and none of the rest, so the
error of what stays is about one 8-bit step. Blocks start at the image's origin; the border pixel fills the last ones.
Source: the transform of ITU-T T.81; blockiness as in the block-transform artefacts of image-quality databases.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.codec import code_blocks, code_blocks_twin, code_pair, from_byte, from_byte_twin, grow_twin, to_byte, to_byte_twin
from degrade.kernels.fetch import fetch
from degrade.kernels.lang import jit
from degrade.op import Context, Frame, Param, Theta, TwoStrokeOp

# Rank of each coefficient along the zigzag: by diagonal, upwards on even ones and downwards on odd ones.
_V, _U = np.mgrid[:8, :8]
ZIGZAG = np.lexsort((np.where((_U + _V) % 2 == 0, _U, _V).ravel(), (_U + _V).ravel())).argsort()
_K = np.arange(8)
COSINES = (np.cos(np.pi / 8 * np.outer(_K, _K + 0.5)) * np.where(_K == 0, 8**-0.5, 0.5)[:, None]).astype(np.float32)  # orthonormal, rows of frequency
ERASE = 32768.0  # a step that every coefficient, below 2^14, rounds away


class DctDrop(TwoStrokeOp):
    """Set all but the first `kept` coefficients of every 8×8 block to zero."""

    kept = Param(1, 64, neutral=64, harsh=1, unit="coefficients", integer=True)
    tolerance = 0.0
    gradient = "straight-through"
    block = 8
    on_grid = True

    @classmethod
    def tables(cls, theta: Array, frame: Frame) -> Array:
        """The 64 quantisation steps, rows of vertical frequency."""
        return np.where(ZIGZAG < theta[:, :1], 1.0, ERASE).astype(np.float32)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        n, _, h, w = x.shape
        steps = context.table[:, :64].to(torch.int32).reshape(-1, 8, 8)
        planes = grow_twin(to_byte_twin(x).flatten(0, 1), 8, 8)
        coded = code_blocks_twin(planes, steps.repeat_interleave(3, 0))
        return from_byte_twin(coded[:, :h, :w].reshape(n, 3, h, w))

    @classmethod
    def smooth(cls, x: torch.Tensor, theta: Theta) -> torch.Tensor:
        """The same without rounding: a projection of every block."""
        n, _, h, w = x.shape
        grown = torch.nn.functional.pad(x, (0, -w % 8, 0, -h % 8), mode="replicate")
        blocks = grown.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)  # n 3 rows columns 8 8
        cosines = torch.from_numpy(COSINES).to(x.device)
        keep = torch.from_numpy(ZIGZAG.astype(np.float32).reshape(8, 8)).to(x.device) < theta[0][..., None, None]
        blocks = cosines.T @ ((cosines @ blocks @ cosines.T) * keep) @ cosines
        return blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)[:, :, :h, :w]

    @staticmethod
    @jit
    def reach(image, before, y, x, theta, table, words, rng, stage, inside):
        r, g, b = fetch(image, y, x)
        r, g = code_pair(to_byte(r), to_byte(g), table, 0, 0, 16, 32)
        b = code_blocks(to_byte(b), table, 0, 16, 32)
        return from_byte(r), from_byte(g), from_byte(b)

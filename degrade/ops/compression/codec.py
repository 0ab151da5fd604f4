"""Codec: WebP or AVIF, by the real encoders and decoders of OpenCV.

The image is rounded to 8 bits and coded in memory; quality is the encoder's own scale, from 1 to 100. Entropy coders are
sequential, so there is no device function, and the bits are those of the installed library. Source: APISR's codec mix.
"""

import numpy as np
import torch

from degrade.distributions import Array
from degrade.kernels.codec import from_byte_twin, to_byte_twin
from degrade.op import CodecOp, Context, Param, Theta


class Codec(CodecOp):
    """Compress and decompress as a WebP or AVIF file of this quality."""

    quality = Param(1, 100, neutral=100, harsh=1, unit="quality", integer=True)
    format = Param(choices=("webp", "avif"), default="webp")
    gradient = "straight-through"

    @classmethod
    def identity(cls, theta: Array) -> Array:
        return np.zeros(len(theta), dtype=bool)

    @staticmethod
    def twin(x, theta: Theta, context: Context):
        import cv2

        formats = ((".webp", cv2.IMWRITE_WEBP_QUALITY), (".avif", cv2.IMWRITE_AVIF_QUALITY))
        # Height, width, channel in memory; OpenCV's order of channels is blue, green, red.
        images = to_byte_twin(x).to(torch.uint8).permute(0, 2, 3, 1).flip(3).contiguous().cpu().numpy()
        decoded = np.empty_like(images)
        for i, (quality, kind) in enumerate(zip(theta[0].flatten().tolist(), theta[1].flatten().tolist())):
            extension, option = formats[int(kind)]
            done, file = cv2.imencode(extension, images[i], [option, int(quality)])
            if not done:
                raise RuntimeError(f"this OpenCV does not write {extension} files; install one that does, or choose another format.")
            decoded[i] = cv2.imdecode(file, cv2.IMREAD_COLOR)
        return from_byte_twin(torch.from_numpy(decoded).flip(3).permute(0, 3, 1, 2).contiguous()).to(x.device)

"""A small batch on the Triton backend under its interpreter, whose result another process compares.

Run as a script (TRITON_INTERPRET=1 python tests/interpret.py uint8 result.npy), since Triton decides when it is imported whether functions are interpreted.
"""

import json
import sys

import numpy as np
import torch

import degrade
from degrade import Local, OneOf, Pipeline, masks
from degrade.backends import native

SIZE = (7, 35)  # two tiles
OPS = ("mean_shift", "gaussian_noise", "gaussian_blur", "contrast", "jpeg", "pixelate")


def batch(dtype):
    """A program and images: every mask family, and every op, in turn."""
    maps = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(0))
    families = [
        family(maps) if name == "from_tensor" else family(area=0.5, feather=0.2)
        for name, family in sorted(masks.FAMILIES.items())
        if name != "segments"
    ]
    pairs = [(degrade.ops.find(OPS[i % len(OPS)]), families[i % len(families)]) for i in range(max(len(OPS), len(families)))]
    drawn = Pipeline(OneOf(*(Local(op(), family) for op, family in pairs)), seed=4).sample(range(400), SIZE)
    taken = [(drawn.ops[code], drawn.families[family]) for code, family in zip(drawn.code[:, 0], drawn.family.max(1))]
    program = drawn[np.array([taken.index((op.name, family.name)) for op, family in pairs])]
    assert {program.ops[c] for c in program.code[program.code >= 0]} == set(OPS)
    assert {program.families[f] for f in program.family[program.family >= 0]} == set(masks.FAMILIES) - {"segments"}
    x = torch.randint(0, 256, (len(program), 3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    return program, x if dtype == "uint8" else x / 255 * 0.9973


if __name__ == "__main__":
    np.save(sys.argv[2], degrade.apply(*batch(sys.argv[1]), backend="triton").numpy())
    print(json.dumps({"interpreted": native.interpreted()}))

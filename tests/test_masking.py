"""The twin renders masks piece by piece on a CPU: in whatever pieces, to the bits of the whole frame."""

import numpy as np
import pytest
import torch

from degrade import Local, MeanShift, Pipeline, masks
from degrade.backends import masking

DRAWN = sorted(name for name, cls in masks.FAMILIES.items() if not cls.reads_map)
SIZE = (37, 53)
WHOLE = 1 << 30


@pytest.mark.parametrize("frame", [0, 5], ids="frame {}".format)
@pytest.mark.parametrize("name", [*DRAWN, "from_tensor"])
def test_pieces_are_parts_of_the_whole(name, frame, monkeypatch):
    given = {"tensor": torch.rand((2, *SIZE), generator=torch.Generator().manual_seed(0))} if name == "from_tensor" else {}
    drifting = None if given else ((-0.2, 0.2), (-0.2, 0.2))
    recipe = Local(MeanShift(0.1), masks.FAMILIES[name](area=(0.02, 0.5), **given), velocity=drifting)
    program = Pipeline(recipe, seed=2).sample(range(7), SIZE).from_frame(frame)

    def rendered(piece):
        monkeypatch.setattr(masking, "PIECE", piece)
        return masking.Masks(program, None, torch.device("cpu")).region(0, np.arange(7))

    whole = rendered(WHOLE)
    assert whole.flatten(1).any(1).sum() > 3
    for piece in (1, 60, 1000, 2 * SIZE[0] * SIZE[1]):
        assert torch.equal(rendered(piece), whole), piece

"""Work that goes on side by side on a device: each task on a stream of its own, between what comes before and what comes after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch

Task = Callable[[torch.cuda.Stream], None]


@cache
def _side(device: torch.device, number: int) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def run_beside(tasks: Sequence[Task], device: torch.device) -> None:
    """Run the first task on the current stream and each other on one of its own. What the current stream does next waits for all.

    Memory that the tasks use must outlive this call alone: the current stream has waited for them when it is used again.
    """
    here = torch.cuda.current_stream(device)
    begin = here.record_event()
    ends = []
    for number, task in enumerate(tasks[1:]):
        side = _side(device, number)
        side.wait_event(begin)
        task(side)
        ends.append(side.record_event())
    tasks[0](here)
    for end in ends:
        here.wait_event(end)

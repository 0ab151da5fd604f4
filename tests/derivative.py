"""What tests of gradients share: images, and the comparison of a gradient with what it is the derivative of."""

import numpy as np
import torch


def random(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random(shape, dtype=np.float32))


def photo(count=1, height=13, width=17, seed=0):
    """Smooth images from 0.3 to 0.7 with a little noise, which most ops leave within 0 to 1."""
    smooth = torch.nn.functional.interpolate(random(count, 3, 3, 4, seed=seed), (height, width), mode="bilinear", align_corners=True)
    return smooth * 0.38 + 0.3 + 0.02 * random(count, 3, height, width, seed=seed + 1)


def harsh(op, part=0.5):
    """A value of the first parameter between neutral and harsh."""
    param = next(iter(op.parameters.values()))
    value = param.neutral + part * (np.max(param.harsh) - param.neutral)
    return float(round(value)) if param.integer else float(value)


def dot(a, b):
    return float((a.detach().double() * b.double()).sum())


def agree(function, start, end, weight, count=64, tolerance=0.02):
    """Whether weight · function changes from start to end as the gradient on the way says."""
    total = 0.0
    for i in range(count):
        at = torch.lerp(start.double(), end.double(), (i + 0.5) / count).to(start.dtype).requires_grad_()
        (gradient,) = torch.autograd.grad((function(at) * weight).sum(), at)
        total += dot(gradient, end - start) / count
    change = dot(function(end), weight) - dot(function(start), weight)
    assert abs(total - change) <= tolerance * max(abs(change), abs(total)) + 3e-6 * weight.numel(), (total, change)
    return total

"""Banks by name, what their programs hold, and whether what was drawn is likely."""

from collections import Counter

import numpy as np
import scipy.stats

from degrade import banks
from degrade.ops import find

COUNT = 20_000
WITH_TYPES = ("arniqa", "imagenet_c", "kadid10k", "reiqa", "shamisa", "tid2013", "xdistortion")
VARIANTS = [
    *((name, {}) for name in banks.__all__),
    *((name, {"profile": "faithful"}) for name in ("arniqa", "reiqa", "shamisa")),
    ("imagenet_c", {"version": "dataset", "held_out": True}),
    ("bsrgan", {"version": "plus"}),
    ("kadid10k", {"final_stretch": True}),
    ("shamisa", {"severities": "uniform"}),
]
VARIANT_IDS = ["-".join([name, *map(str, given.values())]) for name, given in VARIANTS]


def make(name, **given):
    return getattr(banks, name)(**given)


def names(program):
    """The op in each slot of each sample, "" where it is empty."""
    return np.asarray([*program.ops, ""])[program.code]


def parameter(program, name, op):
    """One parameter of an op at every slot, whatever the slot holds."""
    return program.theta[:, :, list(find(op).parameters).index(name)]


def option(op, name, value):
    return find(op).parameters[name].choices.index(value)


def likely(hits, p):
    """Whether this share of independent cases has the probability p, to 4.5 standard errors."""
    hits = np.asarray(hits)
    return abs(hits.mean() - p) <= 4.5 * np.sqrt(p * (1 - p) / len(hits))


def equally_likely(values, count):
    """Whether there are this many values, all as likely."""
    seen = np.asarray(list(Counter(values).values()))
    return len(seen) == count and scipy.stats.chisquare(seen).pvalue > 1e-4

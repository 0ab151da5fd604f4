"""How the many programs of a launch gather statistics in an op's words: sums and maxima of whole numbers, in any order.

Relaxed, for a later launch reads them, and launches are ordered. Triton's own choice, "acq_rel", would put a fence of all memory
around each, and empty the first cache after it.
"""

from __future__ import annotations

from .lang import jit, tl


@jit
def add(words, values, mask=None):
    """Add whole numbers to words, where `mask` says so."""
    tl.atomic_add(words, values.to(tl.int64), mask=mask, sem="relaxed")


@jit
def raise_to(words, values):
    """Make words no smaller than these."""
    tl.atomic_max(words, values.to(tl.int64), sem="relaxed")

"""log, cos, sin and sqrt that are equal bit for bit on every backend.

Libraries differ in the last bits of these. Here log, cos and sin are polynomials of single additions and multiplications
(coefficients: S. Moshier's Cephes, single precision), which IEEE 754 fixes exactly, so the twin and the device agree to the
bit as long as no fused multiply-add is made; and the square root is the correctly rounded one.
"""

from __future__ import annotations

import torch

from .lang import jit, tl

LOG = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
TWO_PI = 6.283185307179586


def sqrt(x: torch.Tensor) -> torch.Tensor:
    """The twin of `tl.sqrt_rn`: the float32 nearest to the root.

    On the CPU torch.sqrt comes from a vector library and is off by a unit in the last place for one number in five. A
    float64 root rounded to float32 is right: no root of a float32 lies near enough to the middle of two.
    """
    return torch.sqrt(x.double()).to(x.dtype) if x.device.type == "cpu" else torch.sqrt(x)


def log(u: torch.Tensor) -> torch.Tensor:
    """Natural logarithm of float32 values in (0, 1], error about one unit in the last place."""
    bits = u.view(torch.int32)
    exponent = ((bits >> 23) - 126).to(torch.float32)
    m = ((bits & 0x7FFFFF) | 0x3F000000).view(torch.float32)
    small = m < 0.70710677
    exponent = torch.where(small, exponent - 1.0, exponent)
    m = torch.where(small, m + m, m) - 1.0
    z = m * m
    y = torch.full_like(m, LOG[0])
    for c in LOG[1:]:
        y = y * m + c
    y = y * m * z + exponent * -2.12194440e-4 - z * 0.5
    return m + y + exponent * 0.693359375


def turn(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """cos(2πt) and sin(2πt) for float32 t in [0, 1]."""
    quarter = torch.floor(t * 4.0 + 0.5)
    a = (t - quarter * 0.25) * TWO_PI
    z = a * a
    s = ((z * -1.9515295891e-4 + 8.3321608736e-3) * z + -1.6666654611e-1) * z * a + a
    c = ((z * 2.443315711809948e-5 + -1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - z * 0.5 + 1.0
    odd, q = (quarter == 1.0) | (quarter == 3.0), quarter
    cos = torch.where(odd, s, c)
    sin = torch.where(odd, c, s)
    return torch.where((q == 1.0) | (q == 2.0), -cos, cos), torch.where((q == 2.0) | (q == 3.0), -sin, sin)


@jit
def device_log(u):
    """The device function of `log`."""
    bits = u.to(tl.int32, bitcast=True)
    exponent = ((bits >> 23) - 126).to(tl.float32)
    m = ((bits & 0x7FFFFF) | 0x3F000000).to(tl.float32, bitcast=True)
    small = m < 0.70710677
    exponent = tl.where(small, exponent - 1.0, exponent)
    m = tl.where(small, m + m, m) - 1.0
    z = m * m
    y = m * 7.0376836292e-2 + -1.1514610310e-1
    y = y * m + 1.1676998740e-1
    y = y * m + -1.2420140846e-1
    y = y * m + 1.4249322787e-1
    y = y * m + -1.6668057665e-1
    y = y * m + 2.0000714765e-1
    y = y * m + -2.4999993993e-1
    y = y * m + 3.3333331174e-1
    y = y * m * z + exponent * -2.12194440e-4 - z * 0.5
    return m + y + exponent * 0.693359375


@jit
def device_turn(t):
    """The device function of `turn`."""
    q = tl.floor(t * 4.0 + 0.5)
    a = (t - q * 0.25) * 6.283185307179586
    z = a * a
    s = ((z * -1.9515295891e-4 + 8.3321608736e-3) * z + -1.6666654611e-1) * z * a + a
    c = ((z * 2.443315711809948e-5 + -1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - z * 0.5 + 1.0
    odd = (q == 1.0) | (q == 3.0)
    cos = tl.where(odd, s, c)
    sin = tl.where(odd, c, s)
    return tl.where((q == 1.0) | (q == 2.0), -cos, cos), tl.where((q == 2.0) | (q == 3.0), -sin, sin)

"""log, exp, powers, cos, sin and sqrt that are equal bit for bit on every backend.

Libraries differ in the last bits of these. Here log, exp, cos and sin are polynomials of single additions and multiplications
(coefficients: S. Moshier's Cephes, single precision), which IEEE 754 fixes exactly, so the twin and the device agree to the
bit as long as no fused multiply-add is made; and the square root is the correctly rounded one.

On the CPU, where no gradient is asked for, the twins run on NumPy arrays, in place and a piece at a time: the same operations in
the same order, but temporaries stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
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
EXP = (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1)
TWO_PI = 6.283185307179586
PIECE = 30_000  # values: 120 kB, which the allocator keeps


def as_arrays(*planes: torch.Tensor) -> bool:
    """Whether these can be computed as NumPy arrays: float32 on the CPU, with no gradient to keep."""
    return all(p.device.type == "cpu" and p.dtype == torch.float32 and not p.requires_grad for p in planes)


def in_arrays(function: Callable[..., tuple[np.ndarray, ...]], *planes: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """A pixelwise function of arrays, which may overwrite nothing that it is given, on planes of one shape, piece by piece."""
    flat = [p.numpy().reshape(-1) for p in planes]
    if flat[0].size <= PIECE:
        return tuple(torch.from_numpy(a).view(planes[0].shape) for a in function(*flat))
    whole: list[np.ndarray] = []
    for i in range(0, flat[0].size, PIECE):
        pieces = function(*(a[i : i + PIECE] for a in flat))
        whole = whole or [np.empty_like(flat[0]) for _ in pieces]
        for a, piece in zip(whole, pieces):
            a[i : i + PIECE] = piece
    return tuple(torch.from_numpy(a).view(planes[0].shape) for a in whole)


def sqrt(x: torch.Tensor) -> torch.Tensor:
    """The twin of `tl.sqrt_rn`: the float32 nearest to the root.

    On the CPU torch.sqrt comes from a vector library and is off by a unit in the last place for one number in five. NumPy's is
    the processor's, and right. So is a float64 root rounded to float32: no root of a float32 lies near enough to the middle of two.
    """
    if as_arrays(x):
        values = x.numpy()
        with np.errstate(invalid="ignore"):
            return torch.from_numpy(np.sqrt(values, out=np.empty_like(values)))
    return torch.sqrt(x.double()).to(x.dtype) if x.device.type == "cpu" else torch.sqrt(x)


def log(u: torch.Tensor) -> torch.Tensor:
    """Natural logarithm of positive float32 values, error about one unit in the last place."""
    if as_arrays(u):
        return in_arrays(lambda a: (log_of_array(a),), u)[0]
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
    y = m + y + exponent * 0.693359375
    # The bits pass no gradient: add 0 with the slope 1/u.
    return y + (u - u.detach()) / u.detach() if u.requires_grad else y


def exp(x: torch.Tensor) -> torch.Tensor:
    """e to the power of float32 values, limited to [-87, 88]; error about one unit in the last place."""
    if as_arrays(x):
        return in_arrays(lambda a: (exp_of_array(a),), x)[0]
    x = x.clamp(-87.0, 88.0)
    n = torch.floor(x * 1.44269504088896341 + 0.5)
    x = x - n * 0.693359375
    x = x - n * -2.12194440e-4
    y = torch.full_like(x, EXP[0])
    for c in EXP[1:]:
        y = y * x + c
    y = y * (x * x) + x + 1.0
    return y * (n.to(torch.int32) + 127 << 23).view(torch.float32)


def power(x: torch.Tensor, g: torch.Tensor | float) -> torch.Tensor:
    """x to the power g for float32 x >= 0; 0 where x is not positive."""
    positive = x > 0.0
    return torch.where(positive, exp(log(torch.where(positive, x, 1.0)) * g), 0.0)


def turn(t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """cos(2πt) and sin(2πt) for float32 t in [0, 1]."""
    if as_arrays(t):
        cos, sin = in_arrays(turn_of_array, t)
        return cos, sin
    quarter = torch.floor(t * 4.0 + 0.5)
    a = (t - quarter * 0.25) * TWO_PI
    z = a * a
    s = ((z * -1.9515295891e-4 + 8.3321608736e-3) * z + -1.6666654611e-1) * z * a + a
    c = ((z * 2.443315711809948e-5 + -1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - z * 0.5 + 1.0
    odd, q = (quarter == 1.0) | (quarter == 3.0), quarter
    cos = torch.where(odd, s, c)
    sin = torch.where(odd, c, s)
    return torch.where((q == 1.0) | (q == 2.0), -cos, cos), torch.where((q == 2.0) | (q == 3.0), -sin, sin)


def log_of_array(u: np.ndarray) -> np.ndarray:
    """`log`. Counted from the bits of √½, the exponent is the one that leaves a mantissa from √½ to √2."""
    bits = u.view(np.int32)
    power_of_2 = bits - 0x3F3504F3
    power_of_2 >>= 23
    exponent = power_of_2.astype(np.float32)
    power_of_2 <<= 23
    m: np.ndarray = np.subtract(bits, power_of_2, out=power_of_2).view(np.float32)
    m -= 1.0
    z = m * m
    y = m * LOG[0]
    y += LOG[1]
    for c in LOG[2:]:
        y *= m
        y += c
    y *= m
    y *= z
    y += exponent * -2.12194440e-4
    z *= 0.5
    y -= z
    y += m
    exponent *= 0.693359375
    y += exponent
    return y


def exp_of_array(x: np.ndarray) -> np.ndarray:
    """`exp`."""
    x = np.clip(x, -87.0, 88.0)
    n = x * 1.44269504088896341
    n += 0.5
    np.floor(n, out=n)
    with np.errstate(invalid="ignore"):
        bits = n.astype(np.int32)
    x -= n * 0.693359375
    n *= -2.12194440e-4
    x -= n
    y = x * EXP[0]
    y += EXP[1]
    for c in EXP[2:]:
        y *= x
        y += c
    y *= x * x
    y += x
    y += 1.0
    bits += 127
    bits <<= 23
    y *= bits.view(np.float32)
    return y


def turn_of_array(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`turn`. In an odd quarter cos and sin change places; their signs are bits of the quarter's number."""
    quarter = t * 4.0
    quarter += 0.5
    np.floor(quarter, out=quarter)
    a = quarter * 0.25
    np.subtract(t, a, out=a)
    a *= TWO_PI
    z = a * a
    s = z * -1.9515295891e-4
    s += 8.3321608736e-3
    s *= z
    s += -1.6666654611e-1
    s *= z
    s *= a
    s += a
    c = z * 2.443315711809948e-5
    c += -1.388731625493765e-3
    c *= z
    c += 4.166664568298827e-2
    c *= z
    c *= z
    z *= 0.5
    c -= z
    c += 1.0
    q, cos, sin = quarter.astype(np.int32), c.view(np.int32), s.view(np.int32)
    swap = (cos ^ sin) & -(q & 1)
    sin ^= swap
    sin ^= (q & 2) << 30
    q += 1
    q &= 2
    q <<= 30
    cos ^= swap
    cos ^= q
    return c, s


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
def device_exp(x):
    """The device function of `exp`."""
    x = tl.minimum(tl.maximum(x, -87.0), 88.0)
    n = tl.floor(x * 1.44269504088896341 + 0.5)
    x = x - n * 0.693359375
    x = x - n * -2.12194440e-4
    y = x * 1.9875691500e-4 + 1.3981999507e-3
    y = y * x + 8.3334519073e-3
    y = y * x + 4.1665795894e-2
    y = y * x + 1.6666665459e-1
    y = y * x + 5.0000001201e-1
    y = y * (x * x) + x + 1.0
    return y * ((n.to(tl.int32) + 127) << 23).to(tl.float32, bitcast=True)


@jit
def device_power(x, g):
    """The device function of `power`."""
    return tl.where(x > 0.0, device_exp(device_log(tl.where(x > 0.0, x, 1.0)) * g), 0.0)


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

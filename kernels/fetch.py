"""How device functions read and write images: the working precision, and a fetch clamped to the frame.

An image is the tuple (pointer to its first plane, height, width); planes follow each other. Its element type tells its
precision: uint16 is 16-bit fixed point over 0..1, float32 is itself.

Where only a window of the frame is stored, four numbers more say which: its top and left pixel, and how many rows and columns it has.
Coordinates are the frame's all the same.
"""

from __future__ import annotations

from .lang import jit, tl

# One program works on one tile of one sample. Tiles start at the image's origin, so that a tile holds whole 16x16 codec
# units, and a program's y is [TILE_ROWS, 1] and its x [1, TILE_COLUMNS], both clamped to the frame at the door. Frames as wide as
# whole tiles need no clamping across, and their rows can be accessed in pieces of several pixels.
TILE_ROWS, TILE_COLUMNS = 16, 32
COLUMN_BITS = tl.constexpr(TILE_COLUMNS.bit_length() - 1)

SLACK = 1e-3  # beyond 0..1: what rounding in float16 or a resize may leave in a float image
LEAST, MOST = tl.constexpr(-SLACK), tl.constexpr(1.0 + SLACK)


@jit
def widen(raw):
    """Stored values to float32 in 0..1. 8-bit values k/255 are 257 k in 16 bits, exactly."""
    if raw.dtype == tl.uint16:
        return raw.to(tl.float32) * (1.0 / 65535.0)
    elif raw.dtype == tl.uint8:
        return (raw.to(tl.int32) * 257).to(tl.float32) * (1.0 / 65535.0)
    else:
        return raw.to(tl.float32)


@jit
def settle_value(v, FIXED: tl.constexpr):
    """Clamp to 0..1 and round to the working precision."""
    v = tl.minimum(tl.maximum(v, 0.0), 1.0)
    if FIXED:
        return tl.floor(v * 65535.0 + 0.5) * (1.0 / 65535.0)
    else:
        return v


@jit
def at_the_door(v, FIXED: tl.constexpr):
    """A value of a float image that may not have been checked: what no image holds, such as a NaN, must not become an index."""
    if FIXED:
        return settle_value(v, True)
    else:
        return tl.minimum(tl.maximum(v, LEAST), MOST)


@jit
def narrow(v, like):
    """float32 in 0..1 to the type of what `like` points to, rounding halves up."""
    if like.dtype.element_ty == tl.uint16:
        return tl.floor(v * 65535.0 + 0.5).to(tl.int32).to(tl.uint16)
    elif like.dtype.element_ty == tl.uint8:
        return tl.floor(v * 255.0 + 0.5).to(tl.int32).to(tl.uint8)
    else:
        return v.to(like.dtype.element_ty)


@jit
def place(image, y, x):
    """The offset of pixel (y, x), clamped to the frame, in a plane; coordinates broadcast."""
    if len(image) > 3:
        y, x, height, width = y - image[3], x - image[4], image[5], image[6]
    else:
        height, width = image[1], image[2]
    at = tl.minimum(tl.maximum(y, 0), height - 1) * width + tl.minimum(tl.maximum(x, 0), width - 1)
    if len(at.shape) == 2:
        # Lanes go along rows. Clamped coordinates do not show it, and Triton 3.6 then lays the lanes down the columns, where an access
        # of a warp touches 16 rows. As the alignment is unknown, nothing else follows from the claim.
        at = tl.max_contiguous(at, (1, 2))
    return at


@jit
def place_in_column(image, y, x):
    """The same for an x in the frame, as a program's own is: where rows are aligned, neighbours are accessed together."""
    if len(image) > 3:
        y, x, height, width = y - image[3], x - image[4], image[5], image[6]
    else:
        height, width = image[1], image[2]
    return tl.minimum(tl.maximum(y, 0), height - 1) * width + x


@jit
def raw(image, c, at):
    """One channel as it is stored."""
    if len(image) > 3:
        plane = image[5] * image[6]
    else:
        plane = image[1] * image[2]
    return tl.load(image[0] + at + c * plane)


@jit
def raw3(image, at):
    """The three channels as they are stored."""
    return raw(image, 0, at), raw(image, 1, at), raw(image, 2, at)


@jit
def widen3(values):
    return widen(values[0]), widen(values[1]), widen(values[2])


@jit
def fetch(image, y, x):
    """The three channels at (y, x), clamped to the frame; coordinates broadcast."""
    return widen3(raw3(image, place(image, y, x)))


@jit
def fetch_plane(image, c, y, x):
    """One channel at (y, x), clamped to the frame."""
    return widen(raw(image, c, place(image, y, x)))


@jit
def fetch_column(image, y, x):
    """The three channels at (y, x), y clamped to the frame and x the program's own."""
    return widen3(raw3(image, place_in_column(image, y, x)))


@jit
def fetch_column_plane(image, c, y, x):
    """One channel at (y, x), y clamped to the frame and x the program's own."""
    return widen(raw(image, c, place_in_column(image, y, x)))

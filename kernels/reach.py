"""Reach: the launch that reads the canvas anywhere and writes the scratch (pixels, or sums); never the canvas."""

from __future__ import annotations

from .fetch import COLUMN_BITS, narrow, settle_value
from .lang import jit, tl
from .plan import (
    N_HEAD,
    N_INSTRUCTION,
    N_ITEM,
    N_UNIT,
    N_WINDOW,
    OF_BASE,
    OF_BEGIN,
    OF_FIRST_TILE,
    OF_HIGH,
    OF_LEFT,
    OF_SOURCE,
    OF_STAGE,
    OF_STREAM,
    OF_STROKE,
    OF_TABLE,
    OF_TARGET,
    OF_THETA,
    OF_TILE_X,
    OF_TILE_Y,
    OF_TILES_WIDE,
    OF_TOP,
    OF_WIDE,
    OF_WORDS,
)


@jit
def whole(size, BITS: tl.constexpr):
    """A multiple of 2 ** BITS, in a form that shows it to the compiler and costs one instruction."""
    return size >> BITS << BITS


@jit
def tile_of(items, item_of, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr, WHOLE: tl.constexpr, EVEN: tl.constexpr):
    """This program's work item and its tile: y [ROWS, 1] and x [1, COLUMNS] clamped to the frame, and which lanes are inside.

    WHOLE: the frame is as wide as whole tiles. EVEN: every item covers the frame, and the grid is its tiles across and down, and the items.
    """
    if EVEN:
        item, top, left = items + tl.program_id(2) * N_ITEM, tl.program_id(1) * ROWS, tl.program_id(0) * COLUMNS
    else:
        program = tl.program_id(0)
        item = items + tl.load(item_of + program) * N_ITEM
        tile = (program - tl.load(item + OF_FIRST_TILE)).to(tl.uint32)  # unsigned division is shorter
        wide = tl.load(item + OF_TILES_WIDE).to(tl.uint32)
        top = (tl.load(item + OF_TILE_Y) + (tile // wide).to(tl.int32)) * ROWS
        left = (tl.load(item + OF_TILE_X) + (tile % wide).to(tl.int32)) * COLUMNS
    y = top + tl.arange(0, ROWS)[:, None]
    x = left + tl.arange(0, COLUMNS)[None, :]
    inside = (y < height) & (x < width)
    # Lanes outside the frame repeat the edge pixel through every op.
    y = tl.minimum(y, height - 1)
    if not WHOLE:
        x = tl.max_contiguous(tl.minimum(x, width - 1), (1, 2))  # as in fetch.place
    return item, y, x, inside, top, left


@jit
def stored(windows, n, samples, height, width, WINDOWED: tl.constexpr):
    """What of sample n's frame is stored: its top and left, rows and columns, where it begins, and the size of all samples' together."""
    if WINDOWED:
        own = windows + N_HEAD + n * N_WINDOW
        top, left, rows, columns = tl.load(own + OF_TOP), tl.load(own + OF_LEFT), tl.load(own + OF_HIGH), tl.load(own + OF_WIDE)
        return top, left, rows, columns, tl.load(own + OF_BASE).to(tl.int64) * N_UNIT, tl.load(windows).to(tl.int64) * N_UNIT
    else:
        plane = height * width
        return 0, 0, height, width, n.to(tl.int64) * 3 * plane, samples.to(tl.int64) * 3 * plane


@jit
def within(y, x, inside, window, WINDOWED: tl.constexpr):
    """Coordinates clamped to the window, and which lanes are inside it."""
    if WINDOWED:
        top, left, rows, columns, base, total = window
        inside = inside & (y >= top) & (y < top + rows) & (x >= left) & (x < left + columns)
        y = tl.minimum(tl.maximum(y, top), top + rows - 1)
        x = tl.max_contiguous(tl.minimum(tl.maximum(x, left), left + columns - 1), (1, 2))  # as in fetch.place
    return y, x, inside


@jit
def view(pointer, height, width, window, WINDOWED: tl.constexpr):
    """An image of the frame, at what is stored of it."""
    top, left, rows, columns, base, total = window
    if WINDOWED:
        return pointer, height, width, top, left, rows, columns
    else:
        return pointer, height, width


@jit
def scalars8(floats, at):
    """The parameters of an op. Loaded in its own branch, those that it does not use cost nothing."""
    a = floats + at
    return tl.load(a), tl.load(a + 1), tl.load(a + 2), tl.load(a + 3), tl.load(a + 4), tl.load(a + 5), tl.load(a + 6), tl.load(a + 7)


@jit
def buffer_at(scratch, which, window):
    """A sample in half 1 or 2 of the scratch."""
    return scratch + (which - 1).to(tl.int64) * window[5] + window[4]


@jit
def store3(base, at, plane, r, g, b, inside):
    """Three channels to contiguous planes."""
    tl.store(base + at, narrow(r, base), mask=inside)
    tl.store(base + at + plane, narrow(g, base), mask=inside)
    tl.store(base + at + 2 * plane, narrow(b, base), mask=inside)


@jit
def draws_of(ints, ids, n, stream):
    """The opened random state of one slot of one sample: key, counter word 1, id low and high."""
    key = tl.load(ints).to(tl.uint32, bitcast=True).to(tl.uint64) | (tl.load(ints + 1).to(tl.uint32, bitcast=True).to(tl.uint64) << 32)
    low = tl.load(ids + 2 * n).to(tl.uint32, bitcast=True)
    high = tl.load(ids + 2 * n + 1).to(tl.uint32, bitcast=True)
    return key, stream << 4, low, high


@jit(do_not_specialize=("positions", "samples", "height", "width"))
def reach(
    canvas,  # b 3 h w in the working precision
    scratch,  # one or two of the same
    words,  # int64, each op's own
    ints,  # the arena as int32
    floats,  # the arena as float32
    ids,  # id halves
    instructions,
    items,
    item_of,
    windows,  # which part of its frame of each sample is stored
    positions,  # instructions per sample
    samples,
    height,  # of the frame
    width,
    FIXED: tl.constexpr,  # 16-bit fixed point, else float32
    WHOLE: tl.constexpr,  # the frame is as wide as whole tiles
    EVEN: tl.constexpr,  # every item covers the frame
    WINDOWED: tl.constexpr,  # only windows are stored, else the whole frame of each sample
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    REACH,  # a tuple of device functions; never annotate it constexpr, or stale binaries are served
):
    """One stroke of one two-stroke op per work item."""
    if WHOLE:
        width = whole(width, COLUMN_BITS)
    item, y, x, inside, top, left = tile_of(items, item_of, height, width, ROWS, COLUMNS, WHOLE, EVEN)
    n = tl.load(item)
    step = instructions + (n * positions + tl.load(item + OF_BEGIN)) * N_INSTRUCTION
    stroke, stage, source, target = tl.load(item + OF_STROKE), tl.load(item + OF_STAGE), tl.load(item + OF_SOURCE), tl.load(item + OF_TARGET)
    window = stored(windows, n, samples, height, width, WINDOWED)
    y, x, inside = within(y, x, inside, window, WINDOWED)
    image = canvas + window[4]
    before = image
    if source > 0:
        before = buffer_at(scratch, source, window)
    table = floats + tl.load(step + OF_TABLE)
    own = words + tl.load(step + OF_WORDS)
    rng = draws_of(ints, ids, n, tl.load(step + OF_STREAM))
    for i in tl.static_range(len(REACH)):
        if stroke == i:
            theta = scalars8(floats, tl.load(step + OF_THETA))
            around, last = view(image, height, width, window, WINDOWED), view(before, height, width, window, WINDOWED)
            r, g, b = REACH[i](around, last, y, x, theta, table, own, rng, stage, inside)
            if target > 0:
                to, at, plane = buffer_at(scratch, target, window), (y - window[0]) * window[3] + (x - window[1]), window[2] * window[3]
                store3(to, at, plane, settle_value(r, FIXED), settle_value(g, FIXED), settle_value(b, FIXED), inside)

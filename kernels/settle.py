"""Settle: the launch that reads the scratch anywhere but the canvas only at its own pixel, and writes that pixel.

It finishes a two-stroke op, applies the masks, and goes on with any run of point ops in registers.
"""

from __future__ import annotations

from .colour import device_mix_linear
from .fetch import COLUMN_BITS, at_the_door, fetch_column, narrow, settle_value, widen
from .lang import jit, tl
from .levels import device_position, device_share
from .plan import (
    AN_OPERATION,
    IS_BLEND,
    IS_DIFFERENCE,
    IS_EMPTY,
    IS_INTERSECTION,
    IS_INVERT,
    IS_LINEAR,
    IS_MODULATE,
    IS_SAVE,
    IS_UNION,
    N_HEAD,
    N_INSTRUCTION,
    N_REGION,
    N_WINDOW,
    OF_BEGIN,
    OF_BLOCK,
    OF_CHANGES,
    OF_COUNT,
    OF_COVERS,
    OF_DEPTH,
    OF_DOWN,
    OF_END,
    OF_FOLD,
    OF_FROM_LEFT,
    OF_FROM_TOP,
    OF_HARD,
    OF_IMAGE_HIGH,
    OF_IMAGE_WIDE,
    OF_LEVEL,
    OF_LEVELS,
    OF_MASK_HIGH,
    OF_MASK_LEFT,
    OF_MASK_TOP,
    OF_MASK_WIDE,
    OF_MASKS,
    OF_NUMBERS,
    OF_ONLY,
    OF_OPERATIONS,
    OF_PARENT,
    OF_READS,
    OF_RIGHT,
    OF_SOURCE,
    OF_STREAM,
    OF_TABLE,
    OF_THETA,
    OF_WORDS,
    OF_Y0,
    TO_NEXT,
)
from .reach import buffer_at, draws_of, scalars8, store3, stored, tile_of, view, whole, within


@jit
def between(own, new, m, light, LINEAR: tl.constexpr):
    """From `own` to `new` by m, of encoded values or of linear light; exactly `own` where they are equal."""
    out = own + m * (new - own)
    if LINEAR:
        if light:
            out = tl.where(new == own, out, device_mix_linear(own, new, m))
    return out


@jit
def mix(own, new, m, light, FIXED: tl.constexpr, LINEAR: tl.constexpr):
    """Clamp, blend, round to the working precision; exactly `own` where m = 0, exactly `new` where m = 1."""
    new = tl.minimum(tl.maximum(new, 0.0), 1.0)
    return tl.where(m == 0.0, own, settle_value(tl.where(m == 1.0, new, between(own, new, m, light, LINEAR)), FIXED))


@jit
def numbers16(floats, at):
    """The first numbers of one mask."""
    a = floats + at
    return (
        tl.load(a), tl.load(a + 1), tl.load(a + 2), tl.load(a + 3), tl.load(a + 4), tl.load(a + 5), tl.load(a + 6), tl.load(a + 7),
        tl.load(a + 8), tl.load(a + 9), tl.load(a + 10), tl.load(a + 11), tl.load(a + 12), tl.load(a + 13), tl.load(a + 14), tl.load(a + 15),
    )  # fmt: skip


@jit
def times_weight(total, region, floats, maps, y, x, MASKS):
    """`total` times the weight of one mask."""
    family = tl.load(region)
    at = tl.load(region + OF_NUMBERS)
    numbers = numbers16(floats, at)
    for f in tl.static_range(len(MASKS)):
        if family == f:
            total = total * MASKS[f](y, x, numbers, floats + at, maps)
    return total


@jit
def moved(at, by, MOVES: tl.constexpr):
    """Coordinates as a mask that has moved sees them."""
    if MOVES:
        return at - tl.load(by).to(tl.float32, bitcast=True)
    else:
        return at


@jit
def combine(under, top, operation):
    """Two weights by an operation."""
    out = under * top
    if operation == IS_UNION:
        out = tl.maximum(under, top)
    if operation == IS_INTERSECTION:
        out = tl.minimum(under, top)
    if operation == IS_DIFFERENCE:
        out = tl.minimum(under, 1.0 - top)
    return out


@jit
def weight_of(regions, begin, count, floats, maps, y, x, MASKS, FOLDS: tl.constexpr, MOVES: tl.constexpr):
    """What `count` masks come to: their product, or what their folds say; 1 where there is none. Beside it the strength of the op."""
    yc, xc = y.to(tl.float32) + 0.5, x.to(tl.float32) + 0.5
    total = tl.full((y.shape[0], x.shape[1]), 1.0, tl.float32)
    strength = total
    if len(MASKS) == 0:
        pass
    elif FOLDS:
        # A stack, uppermost first. What lies below the lowest is never read; it differs, so that no two of them enter the loop alike.
        one, under, third, fourth = total, total + 1.0, total + 2.0, total + 3.0
        for j in range(begin, begin + count):
            region = regions + N_REGION * j
            fourth, third, under = third, under, total
            total = times_weight(one, region, floats, maps, moved(yc, region + OF_DOWN, MOVES), moved(xc, region + OF_RIGHT, MOVES), MASKS)
            fold = tl.load(region + OF_FOLD)
            for _ in range(0, tl.load(region + OF_OPERATIONS)):
                operation = fold & AN_OPERATION
                fold = fold >> TO_NEXT
                if operation == IS_INVERT:
                    total = 1.0 - total
                else:
                    if operation == IS_MODULATE:
                        strength = strength * total
                        total = tl.where(total > 0.0, 1.0, 0.0)
                    total = combine(under, total, operation)
                    under, third = third, fourth
    else:
        for j in range(begin, begin + count):
            region = regions + N_REGION * j
            total = times_weight(total, region, floats, maps, moved(yc, region + OF_DOWN, MOVES), moved(xc, region + OF_RIGHT, MOVES), MASKS)
    return total, strength


@jit
def in_linear_light(regions, begin, count):
    """Whether one of `count` masks that are blended together asks for linear light: the last operation of its fold says so."""
    light = begin < 0
    for j in range(begin, begin + count):
        region = regions + N_REGION * j
        last = tl.maximum(tl.load(region + OF_OPERATIONS), 1) - 1
        light = light | ((tl.load(region + OF_FOLD) >> last * TO_NEXT) == IS_LINEAR)
    return light


@jit
def modulated(theta, strength):
    """Parameters whose first goes from its neutral value, the last of the eight, to its own as the strength goes from 0 to 1."""
    neutral = theta[7]
    first = tl.where(strength == 1.0, theta[0], neutral + strength * (theta[0] - neutral))
    return first, theta[1], theta[2], theta[3], theta[4], theta[5], theta[6], neutral


@jit
def strided(n, y, x, s0, s2, s3, UNIT: tl.constexpr):
    """The offset of pixel (y, x) of channel 0 of sample n."""
    if UNIT:
        at = y.to(tl.int64) * s2 + x.to(tl.int64)
    else:
        at = tl.max_contiguous(y.to(tl.int64) * s2 + x.to(tl.int64) * s3, (1, 2))  # as in fetch.place
    return n.to(tl.int64) * s0 + at


@jit
def leave(r, came, out, ROUNDS: tl.constexpr):
    """The value to store: as it came, if it is still the same in the working precision."""
    new = narrow(r, out)
    if ROUNDS:
        return tl.where(r == settle_value(widen(came), True), came, new)
    else:
        return new


@jit
def level_at(keep, depth, total, base):
    """A sample among the images before the chains of one depth."""
    return keep + (depth.to(tl.int64) * total + base)


@jit
def meets(rect, top, left, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Whether this tile has a part in a rectangle Y0 Y1 X0 X1."""
    y0, y1, x0, x1 = tl.load(rect), tl.load(rect + 1), tl.load(rect + 2), tl.load(rect + 3)
    return (top < y1) & (top + ROWS > y0) & (left < x1) & (left + COLUMNS > x0)


@jit(do_not_specialize=("positions", "samples", "height", "width", "s0", "s1", "s2", "s3", "o0", "o1", "o2", "o3"))
def settle(
    source,  # the images as they came, b 3 h w, any strides
    out,  # the result, likewise
    canvas,  # b 3 h w in the working precision
    scratch,  # one or two of the same
    keep,  # depth b 3 h w: images before the chains under a mask
    words,  # int64, each op's own
    maps,  # k h w float32 mask maps
    ints,  # the arena as int32
    floats,  # the arena as float32
    ids,  # id halves
    instructions,
    regions,  # per mask its family, the offset of its numbers, its fold, how far it has moved
    items,
    item_of,
    windows,  # which part of its frame of each sample is stored, and of which image it is
    positions,  # instructions per sample
    samples,
    height,  # of the frame
    width,
    s0, s1, s2, s3,  # strides of source, in elements
    o0, o1, o2, o3,  # strides of out
    FIXED: tl.constexpr,  # 16-bit fixed point, else float32
    ROUNDS: tl.constexpr,  # source is float16 or bfloat16, which 16-bit fixed point does not hold
    DOOR: tl.constexpr,  # the first launch: reads the source, not the canvas
    UNIT: tl.constexpr,  # neighbours in a row of source and out are neighbours in memory
    WHOLE: tl.constexpr,  # the frame is as wide as whole tiles, and all rows are aligned
    EVEN: tl.constexpr,  # every item covers the frame
    STROKES: tl.constexpr,  # other launches follow or went before, which read and write the canvas
    FOLDS: tl.constexpr,  # masks may be combined by more than products
    MOVES: tl.constexpr,  # masks may have moved
    WINDOWED: tl.constexpr,  # only windows are stored, else the whole frame of each sample
    LEVELLED: tl.constexpr,  # and samples are levels of an op
    MODULATES: tl.constexpr,  # bits of the POINT and SETTLE functions whose strength a mask may be; 0 if no mask is one
    LINEAR: tl.constexpr,  # blends may be of linear light
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
    POINT,  # tuples of device functions; never annotate them constexpr, or stale binaries are served
    SETTLE,
    MASKS,
):  # fmt: skip
    """A run of instructions of one sample per work item."""
    MASKED: tl.constexpr = len(MASKS) > 0
    if WHOLE:
        width = whole(width, COLUMN_BITS)
        s0, s1, s2, o0, o1, o2 = whole(s0, 4), whole(s1, 4), whole(s2, 4), whole(o0, 4), whole(o1, 4), whole(o2, 4)  # the host asks for 16
    s1, o1 = tl.cast(s1, tl.int64), tl.cast(o1, tl.int64)
    item, y, x, inside, top, left = tile_of(items, item_of, height, width, ROWS, COLUMNS, WHOLE, EVEN)
    # What is loaded is loaded early: a program waits for a chain of loads, each of which tells where the next one reads.
    n, begin, end = tl.load(item), tl.load(item + OF_BEGIN), tl.load(item + OF_END)
    which = tl.load(item + OF_SOURCE)
    reads, changes = begin < 0, begin < 0
    if STROKES:
        reads, changes = meets(item + OF_READS, top, left, ROWS, COLUMNS), meets(item + OF_CHANGES, top, left, ROWS, COLUMNS)
    window = stored(windows, n, samples, height, width, WINDOWED)
    seen_y, seen_x, seen = y, x, inside  # of the frame, whatever is stored of it
    y, x, inside = within(y, x, inside, window, WINDOWED)
    plane, base, total = window[2] * window[3], window[4], window[5]
    at = (y - window[0]) * window[3] + (x - window[1])
    parent, down, across, written = n, y, x, inside
    around, mask_y, mask_x = (maps, height, width), y, x
    if WINDOWED:
        of = windows + N_HEAD + n * N_WINDOW
        parent, only, covers = tl.load(of + OF_PARENT), tl.load(of + OF_ONLY), tl.load(of + OF_COVERS)
        # Beyond the image its border is repeated.
        high, wide = tl.load(windows + OF_IMAGE_HIGH), tl.load(windows + OF_IMAGE_WIDE)
        down, across = y - tl.load(of + OF_FROM_TOP), x - tl.load(of + OF_FROM_LEFT)
        written = inside & (down >= 0) & (down < high) & (across >= 0) & (across < wide)
        down, across = tl.minimum(tl.maximum(down, 0), high - 1), tl.minimum(tl.maximum(across, 0), wide - 1)
        high, wide = tl.load(windows + OF_MASK_HIGH), tl.load(windows + OF_MASK_WIDE)
        mask_y, mask_x = y - tl.load(of + OF_MASK_TOP), x - tl.load(of + OF_MASK_LEFT)
        mask_y, mask_x = tl.minimum(tl.maximum(mask_y, 0), high - 1), tl.minimum(tl.maximum(mask_x, 0), wide - 1)
        around = (maps, high, wide)
    came = source + strided(parent, down, across, s0, s2, s3, UNIT)
    if DOOR:
        r, g, b = widen(tl.load(came)), widen(tl.load(came + s1)), widen(tl.load(came + 2 * s1))
        if source.dtype.element_ty != tl.uint8:
            r, g, b = at_the_door(r, FIXED), at_the_door(g, FIXED), at_the_door(b, FIXED)
    else:
        r, g, b = fetch_column(view(canvas + base, height, width, window, WINDOWED), y, x)
    for position in range(begin, end):
        step = instructions + (n * positions + position) * N_INSTRUCTION
        code, count, first = tl.load(step), tl.load(step + OF_COUNT), tl.load(step + OF_MASKS)
        stream, at_table, at_theta, at_words = tl.load(step + OF_STREAM), tl.load(step + OF_TABLE), tl.load(step + OF_THETA), tl.load(step + OF_WORDS)
        depth = tl.load(step + OF_DEPTH)
        runs, saves, blended = code != IS_EMPTY, False, False
        if MASKED:
            runs, saves, blended = runs & meets(step + OF_Y0, top, left, ROWS, COLUMNS), code == IS_SAVE, count != 0
        if runs:
            if saves:
                store3(level_at(keep, depth, total, base), at, plane, r, g, b, inside)
            else:
                r1, g1, b1 = r, g, b
                if MASKED:
                    if code == IS_BLEND:
                        tl.debug_barrier()  # what SAVE stored in this launch may have been another thread's
                        r, g, b = fetch_column(view(level_at(keep, depth, total, base), height, width, window, WINDOWED), y, x)
                table = floats + at_table
                rng = draws_of(ints, ids, n, stream)
                if MODULATES:
                    m, strength = weight_of(regions, first, count, floats, around, mask_y, mask_x, MASKS, True, MOVES)
                for i in tl.static_range(len(POINT)):
                    if code == i:
                        theta = scalars8(floats, at_theta)
                        if (MODULATES >> i) & 1:
                            theta = modulated(theta, strength)
                        r1, g1, b1 = POINT[i](r, g, b, theta, table, rng, (y << 16) | x)
                for i in tl.static_range(len(SETTLE)):
                    if code == len(POINT) + i:
                        theta = scalars8(floats, at_theta)
                        if (MODULATES >> (len(POINT) + i)) & 1:
                            theta = modulated(theta, strength)
                        before = view(buffer_at(scratch, which, window), height, width, window, WINDOWED)
                        r1, g1, b1 = SETTLE[i](before, y, x, r, g, b, theta, table, words + at_words, rng)
                if blended:
                    if not MODULATES:
                        m, _ = weight_of(regions, first, count, floats, around, mask_y, mask_x, MASKS, FOLDS, MOVES)
                    light = in_linear_light(regions, first, count) if LINEAR else False
                    r, g, b = mix(r, r1, m, light, FIXED, LINEAR), mix(g, g1, m, light, FIXED, LINEAR), mix(b, b1, m, light, FIXED, LINEAR)
                else:
                    r, g, b = settle_value(r1, FIXED), settle_value(g1, FIXED), settle_value(b1, FIXED)
    if STROKES:
        if reads:
            store3(canvas + base, at, plane, r, g, b, inside)
    if changes == 0:
        to = out + strided(parent, down, across, o0, o2, o3, UNIT)
        if WINDOWED:
            m, strength = weight_of(regions, only, covers, floats, around, seen_y, seen_x, MASKS, FOLDS, MOVES)
            if LEVELLED:
                level, levels, hard, block = tl.load(of + OF_LEVEL), tl.load(of + OF_LEVELS), tl.load(of + OF_HARD), tl.load(of + OF_BLOCK)
                m = device_share(device_position(strength, seen, levels, hard, block, ROWS, COLUMNS), level)
                r, g, b = (
                    mix(widen(tl.load(to)), r, m, False, FIXED, False),
                    mix(widen(tl.load(to + o1)), g, m, False, FIXED, False),
                    mix(widen(tl.load(to + 2 * o1)), b, m, False, FIXED, False),
                )
            written = written & (m > 0.0)
        tl.store(to, leave(r, tl.load(came), out, ROUNDS), mask=written)
        tl.store(to + o1, leave(g, tl.load(came + s1), out, ROUNDS), mask=written)
        tl.store(to + 2 * o1, leave(b, tl.load(came + 2 * s1), out, ROUNDS), mask=written)

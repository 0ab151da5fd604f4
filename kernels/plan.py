"""The layout of the tables that the host writes and the two kernels read, all int32 in one arena.

A sample's *instructions* stand at fixed positions, so that nothing is compacted on the host: per slot, one position per
nesting depth of chains to save the image, one for the op, and one per depth to blend. An empty position has code EMPTY.

The arena begins with the two halves of the Philox key.
"""

from .lang import tl

# One instruction. STREAM is slot << 16 | frame, what is above the draw in the counters of its random numbers.
CODE, STREAM, THETA, TABLE, WORDS, MASKS, COUNT, DEPTH, Y0, Y1, X0, X1 = range(12)
INSTRUCTION = 12
EMPTY, SAVE, BLEND = -1, -2, -3  # other codes: point ops from 0, then the settles of two-stroke ops

# One work item: a rectangle of tiles of one sample, and the positions to run there.
SAMPLE, BEGIN, END, FIRST_TILE, TILE_Y, TILE_X, TILES_WIDE, STROKE, STAGE, SOURCE, TARGET = range(11)
# SOURCE and TARGET name a buffer: 0 the canvas, 1 and 2 the halves of the scratch.
# Of a settle, two rectangles Y0 Y1 X0 X1: what later settles change, so that a tile outside is the result; and what later reaches
# read besides, so that a tile inside goes to the canvas.
CHANGES, READS = 11, 15
ITEM = 20  # a multiple of 16 bytes: the items of every launch are aligned alike

# What becomes of the weights of masks, which lie on a stack: each mask's fold is a sequence of these, the first in the lowest bits.
# MODULATE is a product with the mask's support alone; the weight itself becomes the strength of the op. LINEAR is a product that makes the
# blend one of linear light.
PRODUCT, UNION, INTERSECTION, DIFFERENCE, INVERT, MODULATE, LINEAR = range(1, 8)
FOLD_BITS, FOLD_MASK = 3, 7

# One mask: its family, where its numbers begin, its fold, how many operations that has, and how far it has moved, as float32.
FAMILY, NUMBERS, FOLD, OPERATIONS, DOWN, RIGHT = range(6)
REGION = 6

# Where only windows of the frame are stored: one for each sample, after a head of which TOTAL is the size of all of them together. PARENT is
# the image that the sample is read from and written to, whose first pixel is that of the frame at FROM_TOP, FROM_LEFT. BASE is where the
# window begins. Sizes and beginnings are in units of UNIT elements. Written are the pixels of COVERS masks from ONLY on, all if there are none;
# or, where the sample is a LEVEL of LEVELS, those that it has a share of: HARD if they take the nearest, by the mean of a BLOCK.
# The images have IMAGE_HIGH rows and IMAGE_WIDE columns, and the frame of the masks, which begins at MASK_TOP, MASK_LEFT, has MASK_HIGH and
# MASK_WIDE: where a block grid is shifted, the frame is larger than both.
TOTAL, IMAGE_HIGH, IMAGE_WIDE, MASK_HIGH, MASK_WIDE = range(5)
HEAD = 8
PARENT, TOP, LEFT, HIGH, WIDE, BASE, FROM_TOP, FROM_LEFT, ONLY, COVERS, LEVEL, LEVELS, HARD, BLOCK, MASK_TOP, MASK_LEFT = range(16)
WINDOW = 16
UNIT = 16

# The same numbers for device code, which sees no plain globals.
N_INSTRUCTION, N_ITEM = tl.constexpr(INSTRUCTION), tl.constexpr(ITEM)
IS_EMPTY, IS_SAVE, IS_BLEND = tl.constexpr(EMPTY), tl.constexpr(SAVE), tl.constexpr(BLEND)
OF_STREAM, OF_THETA, OF_TABLE, OF_WORDS = tl.constexpr(STREAM), tl.constexpr(THETA), tl.constexpr(TABLE), tl.constexpr(WORDS)
OF_MASKS, OF_COUNT, OF_DEPTH = tl.constexpr(MASKS), tl.constexpr(COUNT), tl.constexpr(DEPTH)
OF_Y0, OF_Y1, OF_X0, OF_X1 = tl.constexpr(Y0), tl.constexpr(Y1), tl.constexpr(X0), tl.constexpr(X1)
OF_BEGIN, OF_END, OF_FIRST_TILE = tl.constexpr(BEGIN), tl.constexpr(END), tl.constexpr(FIRST_TILE)
OF_TILE_Y, OF_TILE_X, OF_TILES_WIDE = tl.constexpr(TILE_Y), tl.constexpr(TILE_X), tl.constexpr(TILES_WIDE)
OF_CHANGES, OF_READS = tl.constexpr(CHANGES), tl.constexpr(READS)
OF_STROKE, OF_STAGE, OF_SOURCE, OF_TARGET = tl.constexpr(STROKE), tl.constexpr(STAGE), tl.constexpr(SOURCE), tl.constexpr(TARGET)
N_HEAD, N_WINDOW, N_UNIT = tl.constexpr(HEAD), tl.constexpr(WINDOW), tl.constexpr(UNIT)
OF_PARENT, OF_TOP, OF_LEFT, OF_HIGH, OF_WIDE = tl.constexpr(PARENT), tl.constexpr(TOP), tl.constexpr(LEFT), tl.constexpr(HIGH), tl.constexpr(WIDE)
OF_BASE, OF_FROM_TOP, OF_FROM_LEFT, OF_ONLY, OF_COVERS = (tl.constexpr(i) for i in (BASE, FROM_TOP, FROM_LEFT, ONLY, COVERS))
OF_IMAGE_HIGH, OF_IMAGE_WIDE, OF_MASK_HIGH, OF_MASK_WIDE = (tl.constexpr(i) for i in (IMAGE_HIGH, IMAGE_WIDE, MASK_HIGH, MASK_WIDE))
OF_MASK_TOP, OF_MASK_LEFT = tl.constexpr(MASK_TOP), tl.constexpr(MASK_LEFT)
OF_LEVEL, OF_LEVELS, OF_HARD, OF_BLOCK = tl.constexpr(LEVEL), tl.constexpr(LEVELS), tl.constexpr(HARD), tl.constexpr(BLOCK)
N_REGION, OF_NUMBERS, OF_FOLD, OF_OPERATIONS = tl.constexpr(REGION), tl.constexpr(NUMBERS), tl.constexpr(FOLD), tl.constexpr(OPERATIONS)
OF_DOWN, OF_RIGHT = tl.constexpr(DOWN), tl.constexpr(RIGHT)
IS_UNION, IS_INTERSECTION, IS_DIFFERENCE, IS_INVERT, IS_MODULATE, IS_LINEAR = (tl.constexpr(o) for o in range(UNION, LINEAR + 1))
AN_OPERATION, TO_NEXT = tl.constexpr(FOLD_MASK), tl.constexpr(FOLD_BITS)

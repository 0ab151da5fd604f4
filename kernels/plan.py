"""The layout of the tables that the host writes and the two kernels read, all int32 in one arena.

A sample's *instructions* stand at fixed positions, so that nothing is compacted on the host: per slot, one position per
nesting depth of chains to save the image, one for the op, and one per depth to blend. An empty position has code EMPTY.
"""

from .lang import tl

# One instruction.
CODE, SLOT, THETA, TABLE, WORDS, MASKS, COUNT, DEPTH, Y0, Y1, X0, X1 = range(12)
INSTRUCTION = 12
EMPTY, SAVE, BLEND = -1, -2, -3  # other codes: point ops from 0, then two-stroke ops

# One work item: a rectangle of tiles of one sample, and the positions to run there.
SAMPLE, BEGIN, END, FIRST_TILE, TILE_Y, TILE_X, TILES_WIDE, LEAVES = range(8)
ITEM = 8

# The head of the arena: the two halves of the Philox key.
HEAD = 2

N_INSTRUCTION = tl.constexpr(INSTRUCTION)
N_ITEM = tl.constexpr(ITEM)
N_HEAD = tl.constexpr(HEAD)
IS_SAVE = tl.constexpr(SAVE)
IS_BLEND = tl.constexpr(BLEND)

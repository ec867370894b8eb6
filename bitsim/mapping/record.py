"""One mapping: orientation, tile sizes and loop order, with no hardware in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bitsim.accelerators.seam import DIMENSIONS, INPUT, OUTPUT, WEIGHT
from bitsim.workload import Product

POSITIONS = ("batch", "rows", "cols")
# Loop orders worth trying, outer to inner.  Groups share nothing and stay outermost.  The three
# position loops stay together: what an operand is reused over is the loops innermost that do not
# touch it, and all three touch the same operands, so splitting them only shortens that run.
# Where edges are uneven it matters which is innermost: samples outside, then the same orders with samples inside.
ORDERS: tuple[tuple[str, ...], ...] = tuple(
    ("groups", *(d for block in order for d in (positions if block == "positions" else (block,))))
    for positions in (POSITIONS, ("rows", "cols", "batch"))
    for order in (
        ("positions", "outputs", "channels"),
        ("positions", "channels", "outputs"),
        ("outputs", "positions", "channels"),
        ("outputs", "channels", "positions"),
        ("channels", "positions", "outputs"),
        ("channels", "outputs", "positions"),
    )
)


# The same as numbers of dimensions, (orders, 6).
ORDER_DIMENSIONS = np.array([[DIMENSIONS.index(d) for d in order] for order in ORDERS], np.int64)


def touches(writes_filter: bool) -> dict[str, frozenset[str]]:
    """Dimensions each operand depends on: a tile of it changes when one of their loops moves."""
    maps = frozenset({"groups", *POSITIONS, "outputs"})
    filters = frozenset({"groups", "outputs", "channels"})
    return {
        INPUT: frozenset({"groups", *POSITIONS, "channels"}),
        WEIGHT: maps if writes_filter else filters,
        OUTPUT: filters if writes_filter else maps,
    }


def dimension_sizes(product: Product) -> dict[str, int]:
    """Size of each tiled dimension; the kernel is never tiled."""
    sizes = (
        product.groups,
        product.batch,
        product.rows.positions,
        product.cols.positions,
        product.outputs,
        product.channels,
    )
    return dict(zip(DIMENSIONS, sizes, strict=True))


@lru_cache(maxsize=4096)
def size_table(product: Product) -> np.ndarray:
    """(6,) int64: dimension_sizes for the kernels."""
    sizes = np.array(list(dimension_sizes(product).values()), np.int64)
    sizes.setflags(write=False)  # shared by all who ask
    return sizes


@dataclass(frozen=True)
class Mapping:
    """Tile size per dimension of DIMENSIONS, and the loops from outermost to innermost."""

    orientation: str
    tile: tuple[int, ...]
    order: tuple[str, ...]

    def trips(self, product: Product) -> dict[str, int]:
        """Tiles along each dimension."""
        sizes = dimension_sizes(product)
        return {d: -(-sizes[d] // t) for d, t in zip(DIMENSIONS, self.tile, strict=True)}

    def tiles(self, product: Product) -> int:
        """Tiles of the whole product."""
        return math.prod(self.trips(product).values())

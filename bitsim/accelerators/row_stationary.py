"""A tile on a row-stationary PE array: sets folded and replicated, windows, register blocks.

docs/microarchitecture.md, section 3, is the machine. Source: Chen et al., ISCA 2016 and JSSC 2017, Sec. IV-V.

All values may be integers or int64 arrays, one entry a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bitsim.accelerators.seam import Tile, ceil_div


@dataclass(frozen=True)
class Fold:
    """A set of R x E rows on the array: folds, segments and replicas (each int or array)."""

    height_folds: Any
    segments: Any
    replicas_vertical: Any
    replicas_horizontal: Any
    active_pes: Any


def fold_and_replicate(filter_rows: Any, output_rows: Any, array_rows: int, array_cols: int) -> Fold:
    """Fold a set of `filter_rows` x `output_rows` onto an array, and replicate it where it is smaller.

    active_pes: most PEs working in one pass when every replica is used (JSSC 2017, Table V).
    """
    filter_rows, output_rows = np.maximum(filter_rows, 1), np.maximum(output_rows, 1)
    height_folds = ceil_div(filter_rows, array_rows)
    vertical = np.maximum(array_rows // filter_rows, 1)
    segments = ceil_div(output_rows, array_cols)
    horizontal = np.maximum(array_cols // output_rows, 1)
    held = np.minimum(vertical, segments)
    segments, vertical = ceil_div(segments, held), vertical // held
    rows_at_once = ceil_div(output_rows, segments)
    active = ceil_div(filter_rows, height_folds) * rows_at_once * vertical * horizontal
    return Fold(height_folds, segments, vertical, horizontal, np.minimum(active, array_rows * array_cols))


@dataclass(frozen=True)
class Shape:
    """A tile as a row-stationary convolution: images, C input channels, M outputs, R x S filter, E x F output.

    *_stride: input rows (columns) between output rows; *_step: between filter rows.
    input_rows, input_cols: distinct ones that hold data.
    """

    groups: Any
    images: Any
    channels: Any
    outputs: Any
    filter_rows: Any
    filter_cols: Any
    output_rows: Any
    output_cols: Any
    row_stride: Any
    col_stride: Any
    row_step: Any
    col_step: Any
    input_rows: Any
    input_cols: Any


def shape_of(tile: Tile) -> Shape:
    """The convolution a tile is; wgrad has the output gradient as its filter and the batch as its channels."""
    steps = tile.row_stride, tile.col_stride, tile.row_step, tile.col_step
    box = tile.input_rows, tile.input_cols
    filters, maps = (tile.row_taps, tile.col_taps), (tile.rows, tile.cols)
    if tile.writes_filter:
        sizes = tile.groups, tile.channels, tile.batch, tile.outputs
        return Shape(*sizes, *maps, *filters, *steps[2:], *steps[:2], *box)
    return Shape(tile.groups, tile.batch, tile.channels, tile.outputs, *filters, *maps, *steps, *box)


def windows(positions: Any, taps: Any, stride: Any, step: Any) -> tuple[Any, Any]:
    """(starts, shift) of windows of `taps` inputs `step` apart, moved by `stride`.

    Positions a whole number of steps apart share inputs: `starts` of them read a whole window,
    each other one reads `shift` inputs that the one before it in its class did not.
    """
    common = np.gcd(stride, step)
    return np.minimum(step // common, positions), np.minimum(stride // common, taps)


def distinct(positions: Any, taps: Any, stride: Any, step: Any) -> Any:
    """Distinct inputs under all windows, padding included."""
    starts, shift = windows(positions, taps, stride, step)
    return starts * taps + (positions - starts) * shift


@dataclass(frozen=True)
class Spads:
    """Words a PE's spads hold, as slices of one datapath width; psums in accumulator words."""

    input_words: int
    weight_words: int
    psum_words: int

    def of_slices(self, slices: tuple[int, int]) -> tuple[int, int]:
        """(input, weight) words of `slices` slices in use at once: half a weight spad is being filled."""
        return self.input_words // slices[0], self.weight_words // (2 * slices[1])


@dataclass(frozen=True)
class Split:
    """Something cut into `blocks` of `size`, the last of them `last`."""

    blocks: Any
    size: Any
    last: Any


def split(total: Any, most: Any) -> Split:
    """The fewest blocks of at most `most`, as even as whole blocks and a rest can be."""
    blocks = ceil_div(total, most)
    size = ceil_div(total, blocks)
    return Split(blocks, size, total - (blocks - 1) * size)


@dataclass(frozen=True)
class Cut:
    """What the array alone decides: output rows of a pass, filter rows of a fold, pieces of the filter's columns."""

    rows: Split
    filter_rows: Split
    pieces: Split


@dataclass(frozen=True)
class Blocking:
    """How a tile runs on the array.

    channel_sets, output_sets: sets stacked over input channels, and stacks over outputs; groups_beside: groups
    at once. channels, outputs: of one PE, interleaved.
    """

    cuts: Cut
    channel_sets: Any
    output_sets: Any
    groups_beside: Any
    channels: Split
    outputs: Split

    @property
    def psum_rounds(self) -> Any:
        """Times every psum goes to the buffer."""
        return self.channels.blocks * self.cuts.pieces.blocks * self.cuts.filter_rows.blocks

    def replaced(self, where: Any, other: Blocking) -> Blocking:
        """Blockings of tiles, `other` where told."""

        def either(name: str) -> Any:
            """Entries of one field."""
            ours, theirs = getattr(self, name), getattr(other, name)
            if isinstance(ours, Split):
                return Split(
                    *(np.where(where, getattr(theirs, f), getattr(ours, f)) for f in ("blocks", "size", "last"))
                )
            return np.where(where, theirs, ours)

        return Blocking(
            self.cuts, *map(either, ("channel_sets", "output_sets", "groups_beside", "channels", "outputs"))
        )


def sets_at_once(shape: Shape, fold: Fold, channel_sets: Any) -> tuple[Any, Any, Any]:
    """(channels, outputs, groups) worked on at once, `channel_sets` vertical replicas given to input channels.

    A stack of channel sets sums up its column, so groups beside take stacks of their own.
    """
    output_sets = fold.replicas_vertical // channel_sets * fold.replicas_horizontal
    channels = np.minimum(channel_sets, np.maximum(shape.channels, 1))
    outputs = np.minimum(output_sets, np.maximum(shape.outputs, 1))
    beside = np.maximum(output_sets * (channel_sets // channels) // outputs, 1)
    return channels, outputs, np.minimum(beside, np.maximum(shape.groups, 1))


def cut(shape: Shape, fold: Fold, spads: Spads, slices: tuple[int, int]) -> Cut:
    """Rows as folded, columns in pieces that a PE's spads hold; slices of (input, weight) words."""
    rows, filter_rows = np.maximum(shape.output_rows, 1), np.maximum(shape.filter_rows, 1)
    return Cut(
        split(rows, ceil_div(rows, fold.segments)),
        split(filter_rows, ceil_div(filter_rows, fold.height_folds)),
        split(np.maximum(shape.filter_cols, 1), min(spads.of_slices(slices))),
    )


def blocking(
    shape: Shape, fold: Fold, channel_sets: Any, most_channels: bool, spads: Spads, slices: tuple[int, int], cuts: Cut
) -> Blocking:
    """Register blocks: one or the most channels in a PE, then the most outputs."""
    channels, outputs, beside = sets_at_once(shape, fold, channel_sets)
    input_words, weight_words = spads.of_slices(slices)
    fitting = np.maximum(min(input_words, weight_words) // cuts.pieces.size, 1) if most_channels else 1
    in_pe = split(ceil_div(np.maximum(shape.channels, 1), channels), fitting)
    psums = np.minimum(spads.psum_words, np.maximum(weight_words // (in_pe.size * cuts.pieces.size), 1))
    out_of_pe = split(ceil_div(np.maximum(shape.outputs, 1), outputs), psums)
    return Blocking(cuts, channels, outputs, beside, in_pe, out_of_pe)

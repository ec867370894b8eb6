"""The row-stationary machine of docs/microarchitecture.md, section 3, played position by position: slow and plain.

Every loop is a loop and every word is counted where it moves, so that the closed forms of
bitsim.accelerators.row_stationary have something to be equal to.
"""

import itertools
import math
from collections import Counter

import numpy as np

from bitsim.accelerators.row_stationary import Blocking, Cut, Shape, Split
from bitsim.accelerators.row_stationary_beats import Rates


def integers(record):
    """A Shape or Blocking of whole numbers, from one of arrays of one entry."""
    values = {
        name: integers(value) if isinstance(value, Split | Cut) else np.asarray(value).item()
        for name, value in record.__dict__.items()
    }
    return type(record)(**values)


def parts(split):
    """(first, count) of every block of a Split."""
    return [(i * split.size, split.last if i == split.blocks - 1 else split.size) for i in range(split.blocks)]


def column_order(positions, taps, stride, step):
    """(position, new taps) in the order a PE slides over them: positions a whole number of steps apart follow."""
    for first in range(min(step // math.gcd(stride, step), positions)):
        before = set()
        for at in range(first, positions, step // math.gcd(stride, step)):
            inputs = {at * stride + tap * step: tap for tap in range(taps)}
            yield at, [tap for place, tap in inputs.items() if place not in before]
            before = set(inputs)


def play(shape: Shape, block: Blocking, rates: Rates, slices, row_box, col_box, accumulates=False):
    """(cycles, Counter of words) of one tile.

    slices: of input and weight words; row_box, col_box: (input index under the first tap, step's sign
    taken out, indices that hold data); accumulates: onto psums already in the buffer.
    """
    passes = slices[0] * slices[1]
    words: Counter = Counter()

    def rows_under(outputs, filters):
        return {e * shape.row_stride + r * shape.row_step for e in range(outputs) for r in range(filters)}

    at_once = block.groups_beside * block.channel_sets * block.channels.size * slices[0]
    row_slots = len(rows_under(block.cuts.rows.size, block.cuts.filter_rows.size))
    most_new = {
        len(new) for _, new in column_order(shape.output_cols, block.cuts.pieces.size, shape.col_stride, shape.col_step)
    }

    def input_slots(first):
        return -(-at_once * row_slots * (max(most_new) if first else min(most_new)) // rates.input_words)

    outputs_at_once = block.groups_beside * block.output_sets * block.outputs.size
    weight_slots = at_once // slices[0] * outputs_at_once // block.groups_beside * block.cuts.filter_rows.size
    weight_slots = -(-weight_slots * block.cuts.pieces.size * slices[1] // rates.weight_words)
    psums = outputs_at_once * block.cuts.rows.size * rates.words_of_psum

    positions = []  # (block, whole window, MAC cycles, psum slots)
    blocks = 0
    rounds = itertools.product(parts(block.cuts.pieces), parts(block.channels), parts(block.cuts.filter_rows))
    for number, ((s0, s_count), (q0, q_count), (r0, r_count)) in enumerate(rounds):
        psum_slots = -(-(2 if number or accumulates else 1) * psums // rates.psum_words)
        group_blocks = range(0, shape.groups, block.groups_beside)
        for g0, (p0, p_count) in itertools.product(group_blocks, parts(block.outputs)):
            groups = min(block.groups_beside, shape.groups - g0)
            channels = min(q_count * block.channel_sets, shape.channels - q0 * block.channel_sets)
            outputs = min(p_count * block.output_sets, shape.outputs - p0 * block.output_sets)
            weights = groups * channels * outputs * r_count * s_count
            words["weight_reads"] += weights
            words["weight_copies"] += weights * block.cuts.rows.size
            for _, (e0, e_count) in itertools.product(range(shape.images), parts(block.cuts.rows)):
                pes = groups * channels * min(block.output_sets, outputs) * e_count * r_count
                rows = [y + e0 * shape.row_stride + r0 * shape.row_step for y in rows_under(e_count, r_count)]
                rows = [y for y in rows if row_box[0] + y in row_box[1]]
                for at, new in column_order(shape.output_cols, s_count, shape.col_stride, shape.col_step):
                    cols = [at * shape.col_stride + (s0 + tap) * shape.col_step for tap in new]
                    cols = [x for x in cols if col_box[0] + x in col_box[1]]
                    words["input_reads"] += groups * channels * len(rows) * len(cols)
                    words["input_copies"] += pes * len(new)
                    written = groups * outputs * e_count
                    words["psum_writes"] += written
                    words["psum_reads"] += written if number or accumulates else 0
                    words["psum_hops"] += written * (block.channel_sets * block.cuts.filter_rows.size - 1)
                    whole = at < shape.col_step // math.gcd(shape.col_stride, shape.col_step)
                    positions.append((blocks, whole, p_count * q_count * s_count * passes, psum_slots))
            blocks += 1

    now = block_start = max(input_slots(True), weight_slots)
    for k, (number, _, macs, psum_slots) in enumerate(positions):
        ends = now + max(macs, psum_slots)
        if k + 1 < len(positions):
            following, whole, _, _ = positions[k + 1]
            ends = max(ends, now + input_slots(whole))
            if following != number:
                ends = max(ends, block_start + weight_slots)
                block_start = ends
        now = ends
    return now + positions[-1][3], words

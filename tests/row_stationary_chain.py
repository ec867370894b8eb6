"""Builds and runs the RTL of tests/rtl/row_stationary: one tile with data in, cycles, counts and psums out."""

import math
import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from bitsim.accelerators.row_stationary import Blocking, Fold, Shape
from bitsim.accelerators.row_stationary_beats import Rates
from bitsim.workload import Product
from tests.rtl_tools import RTL, compile_bench, run, write_image

FOLDER = RTL / "row_stationary"
UNITS = ("records", "walker", "loops", "sequencer", "networks", "pe", "machine")
BITS = 8
LANES = 4  # most words a cycle of a network
DEPTH = 1 << 14  # words of each buffer
_STRUCT = re.search(r"struct packed \{(.*?)\} tile_t", (FOLDER / "records.sv").read_text(), re.DOTALL)
assert _STRUCT
FIELDS = re.findall(r"\b([a-z_]+)(?=[,;])", re.sub(r"//.*", "", _STRUCT[1]))
COUNTS = ("inputs_read", "weights_read", "psum_words_read", "psum_words_written")
PE_COUNTS = ("input_copies", "weight_copies", "macs", "input_reads", "weight_spad_reads", "psum_accesses", "psum_hops")


@dataclass(frozen=True)
class Run:
    """A tile as the hardware reads it: fields, slices of both operands, words of the psums before it."""

    fields: dict[str, int]
    inputs: np.ndarray
    filters: np.ndarray
    psums: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """What the RTL did with a tile: psums as signed numbers, in the order of the buffer."""

    issue_cycles: int
    drain_cycles: int
    counts: Counter
    psums: np.ndarray


def build(tool, rows, cols, folder):
    """The command that runs the test bench of an array of rows x cols."""
    sources = [FOLDER / f"{name}.sv" for name in (*UNITS, "tb_machine")]
    parameters = {"BITS": BITS, "ROWS": rows, "COLS": cols, "DEPTH": DEPTH, "IMAGE": 1 << 22, "FIELDS": len(FIELDS)}
    options = ["-Wno-MULTIDRIVEN", "-CFLAGS", "-O1"]
    return compile_bench(tool, "tb_machine", sources, parameters, folder, options)


def simulate(simulator, runs, folder):
    """Run tiles through a built test bench, one Outcome each."""
    image = [len(runs)]
    for one in runs:
        assert max(len(one.inputs), len(one.filters), len(one.psums)) <= DEPTH
        image += [one.fields[name] for name in FIELDS]
        image += [len(one.inputs), len(one.filters), len(one.psums)]
        for words in (one.inputs, one.filters, one.psums):
            image += words.tolist()
    source, target = folder / "tiles.hex", folder / "results.txt"
    write_image(source, image)
    run([*simulator, f"+tiles={source}", f"+results={target}"])
    outcomes, memory = [], []
    for line in target.read_text().splitlines():
        kind, *values = line.split()
        if kind == "T":
            done, issue, drain, *counts = map(int, values)
            assert done == 1, f"tile {len(outcomes)} did not finish"
            memory = []
            outcomes.append((issue, drain, Counter(dict(zip(COUNTS + PE_COUNTS, counts, strict=True))), memory))
        else:
            memory.append(int(values[0]) if values[0].isdigit() else 0)
    assert len(outcomes) == len(runs)
    return [
        Outcome(issue, drain, counts, joined(np.array(memory), one.fields["psum_words"]))
        for one, (issue, drain, counts, memory) in zip(runs, outcomes, strict=True)
    ]


def sliced(values, slices):
    """Signed numbers as words of BITS bits, lowest first, in the order of the array."""
    return np.stack([(values.ravel() >> (BITS * i)) & ((1 << BITS) - 1) for i in range(slices)], axis=1).ravel()


def joined(words, parts):
    """Words of BITS bits back to signed numbers."""
    words = words.reshape(-1, parts).astype(np.int64)
    words[:, -1] -= np.where(words[:, -1] >> (BITS - 1), 1 << BITS, 0)
    return sum(words[:, i] << (BITS * i) for i in range(parts))


def fields(
    product: Product, shape: Shape, fold: Fold, block: Blocking, rates: Rates, slices: tuple[int, int], cols: int
) -> dict[str, int]:
    """The tile that is a whole product, for the hardware: extents, blocks and placements (whole numbers all)."""
    assert all(list(axis.taps) == sorted(axis.taps) for axis in (product.rows, product.cols))
    values = {name: getattr(shape, name) for name in FIELDS if hasattr(shape, name)}
    for name, axis in (("row", product.rows), ("col", product.cols)):
        common = math.gcd(values[f"{name}_stride"], values[f"{name}_step"])
        values |= {f"{name}_first": axis.taps[0], f"{name}_hole": axis.hole}
        values[f"input_{name}s"] = -(-axis.extent // axis.hole)
        values |= {
            f"{name}_apart": values[f"{name}_step"] // common,
            f"{name}_shift": values[f"{name}_stride"] // common,
        }
    return values | {
        "channel_sets": block.channel_sets,
        "output_sets": block.output_sets,
        "groups_beside": block.groups_beside,
        "stacks_up": fold.replicas_vertical // block.channel_sets,
        "stacks_across": fold.replicas_horizontal,
        "segments_held": -(-block.cuts.rows.size // cols),
        "fold_rows": block.cuts.filter_rows.size,
        "pass_rows": block.cuts.rows.size,
        "piece_cols": block.cuts.pieces.size,
        "channels_in_pe": block.channels.size,
        "outputs_in_pe": block.outputs.size,
        "input_slices": slices[0],
        "weight_slices": slices[1],
        "psum_words": rates.words_of_psum,
        "input_rate": rates.input_words,
        "weight_rate": rates.weight_words,
        "psum_rate": rates.psum_words,
    }


def operands(rng, product: Product, bits: tuple[int, int]):
    """(inputs (G, B, C, H, W), weight operand, result) of a product by numpy, as the passes define them.

    The weight operand is (G, M, C, R, S), of a wgrad (G, B, M, rows, cols); the result the other of the two.
    """
    rows, cols = product.rows, product.cols
    low, high = [-(1 << (b - 1)) for b in bits], [(1 << (b - 1)) - 1 for b in bits]
    stored = [-(-axis.extent // axis.hole) for axis in (rows, cols)]
    inputs = rng.integers(low[0], high[0] + 1, (product.groups, product.batch, product.channels, *stored))
    at = [np.arange(axis.positions)[:, None] * axis.stride + np.array(axis.taps)[None, :] for axis in (rows, cols)]
    real = [(a >= 0) & (a < axis.extent) & (a % axis.hole == 0) for a, axis in zip(at, (rows, cols), strict=True)]
    y, x = (np.where(ok, a // axis.hole, 0) for a, ok, axis in zip(at, real, (rows, cols), strict=True))
    # (G, B, C, output rows, taps, output columns, taps)
    patches = inputs[:, :, :, y[:, :, None, None], x[None, None, :, :]]
    patches = patches * (real[0][:, :, None, None] & real[1][None, None, :, :])
    maps = (product.groups, product.batch, product.outputs, rows.positions, cols.positions)
    filters = (product.groups, product.outputs, product.channels, len(rows.taps), len(cols.taps))
    if product.writes_filter:
        weights = rng.integers(low[1], high[1] + 1, maps)
        return inputs, weights, np.einsum("gbcptqu,gbmpq->gmctu", patches, weights)
    weights = rng.integers(low[1], high[1] + 1, filters)
    return inputs, weights, np.einsum("gbcptqu,gmctu->gbmpq", patches, weights)


def as_convolution(product: Product, inputs, weights, result):
    """The three arrays as the machine's convolution sees them: (G, N, C, H, W), (G, M, C, R, S), (G, N, M, E, F)."""
    if product.writes_filter:
        return (array.swapaxes(1, 2) for array in (inputs, weights, result))
    return inputs, weights, result

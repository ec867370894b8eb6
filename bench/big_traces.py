"""Traces of whole training runs, row by row: ResNet-50 with per-sample widths, GPT-2 XL with widths per iteration.

Made, not recorded: shapes are those of the networks, widths are drawn (seed 0).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bitsim.networks import Network, known_network
from bitsim.trace.writer import write_trace

ROWS_OF_GROUP = 2**20
WIDTHS = ("activation_bits", "weight_bits", "gradient_bits")
# Candidates of DFQ on ImageNet, and PFQ's ladder (FracTrain, NeurIPS 2020).
CANDIDATES = np.array([(3, 6, 6), (4, 6, 8), (6, 6, 12)], np.uint8)
LADDER = np.array([(3, 3, 6), (4, 4, 6), (6, 6, 8), (8, 8, 8)], np.uint8)

# (iterations, generator) -> samples (None: blank) and widths of the rows of those iterations.
Draw = Callable[[int, np.random.Generator], tuple[np.ndarray | None, np.ndarray]]


def resnet50_trace(folder: Path, rows: int) -> int:
    """ResNet-50: samples choose between three candidates anew in each layer and iteration.  Rows written."""
    network = known_network("resnet50")
    layers, batch, candidates = len(network.layers), network.batch, len(CANDIDATES)

    def draw(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        cuts = np.sort(rng.integers(1, batch, (count, layers, candidates - 1)), axis=2)
        samples = np.diff(cuts, axis=2, prepend=0, append=batch)
        return samples.ravel(), np.tile(CANDIDATES, (count * layers, 1))

    return _write(folder, network, candidates, rows, draw)


def gpt2_xl_trace(folder: Path, rows: int) -> int:
    """GPT-2 XL: each layer draws its widths anew in each iteration.  Rows written."""
    network = known_network("gpt2-xl")
    layers = len(network.layers)

    def draw(count: int, rng: np.random.Generator) -> tuple[None, np.ndarray]:
        return None, LADDER[rng.integers(0, len(LADDER), count * layers)]

    return _write(folder, network, 1, rows, draw)


def _write(folder: Path, network: Network, rows_of_layer: int, rows: int, draw: Draw) -> int:
    """Write the trace, `rows` rounded up to whole iterations, in row groups of about a million rows."""
    names = [layer.name for layer in network.layers]
    rows_of_iteration = len(names) * rows_of_layer
    iterations = -(-rows // rows_of_iteration)
    run = {
        "schema": 1,
        "name": folder.name,
        "model": network.title,
        "dataset": network.dataset,
        "batch": network.batch,
        "iterations": iterations,
        "source": "widths drawn at random, for measurements of speed",
        "synthetic": True,
    }
    whole = {"iteration_start": 0, "iteration_end": iterations} | dict.fromkeys(WIDTHS, 8)
    write_trace(folder, run, network.layers, [whole | {"layer": name} for name in names])
    (folder / "precision.csv").unlink()
    numbers = [(name, pa.int64()) for name in ("iteration_start", "iteration_end", "samples")]
    numbers += [(name, pa.uint8()) for name in WIDTHS]
    schema = pa.schema([*numbers[:2], ("layer", pa.string()), *numbers[2:]])
    rng = np.random.default_rng(0)
    step = max(1, ROWS_OF_GROUP // rows_of_iteration)
    with pq.ParquetWriter(folder / "precision.parquet", schema, compression="zstd") as writer:
        for first in range(0, iterations, step):
            count = min(step, iterations - first)
            start = np.repeat(np.arange(first, first + count), rows_of_iteration)
            codes = np.tile(np.repeat(np.arange(len(names), dtype=np.int32), rows_of_layer), count)
            samples, widths = draw(count, rng)
            columns = [
                pa.array(start),
                pa.array(start + 1),
                pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names)).cast(pa.string()),
                pa.nulls(len(start), pa.int64()) if samples is None else pa.array(samples),
                *(pa.array(np.ascontiguousarray(widths[:, i])) for i in range(len(WIDTHS))),
            ]
            writer.write_table(pa.table(columns, schema=schema))
    return iterations * rows_of_iteration

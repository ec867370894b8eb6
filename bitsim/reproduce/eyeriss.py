"""`bitsim reproduce eyeriss`: the published 256-PE rows, and the exact engine beside them.

Held: every column of every row, exactly.  Reported: the exact engine.  The chip is in eyeriss_chip.py.

Assumption: pooling rows were published without dimensions.  Those of POOLING follow from the layers around
them; for VGG-7 and ResNet-18, of which no row was published, they are the ones at which the cycles of the
headline are met exactly and its energy to 1e-9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from bitsim.accelerators.registry import load_hardware
from bitsim.analytical.eyeriss_blocking import COUNTERS, Blocking, best_blocking, best_pooling
from bitsim.errors import InputError
from bitsim.reproduce.beside import Beside, beside
from bitsim.reproduce.published_rows import Difference, differences, given, shipped, whole_numbers
from bitsim.simulation.cost import CostModel
from bitsim.strict_yaml import raise_faults
from bitsim.workload import Widths

LAYERS_FILE = "eyeriss_256pe_layers.csv"
MACHINE = "eyeriss_16x16_128k"
DIMENSIONS = ("in_channels", "out_channels", "kernel", "out_size", "stride", "batch")
MOST = 2**24 - 1  # of any dimension
OPTIONAL = {"array_rows": 16, "array_cols": 16, "register_words": 256, "buffer_words": 65536}
# Pooling: channels, kernel, output side, stride.
POOLING = {
    ("AlexNet", "pool1_a"): (48, 3, 27, 2),
    ("AlexNet", "pool1_b"): (48, 3, 27, 2),
    ("AlexNet", "pool2_a"): (128, 3, 13, 2),
    ("AlexNet", "pool2_b"): (128, 3, 13, 2),
    ("AlexNet", "pool3_a"): (128, 3, 6, 2),
    ("AlexNet", "pool3_b"): (128, 3, 6, 2),
    ("SVHN", "pool1"): (64, 2, 16, 2),
    ("SVHN", "pool3"): (128, 2, 8, 2),
    ("SVHN", "pool5"): (256, 2, 4, 2),
    ("CIFAR10", "pool1"): (128, 2, 16, 2),
    ("CIFAR10", "pool3"): (256, 2, 8, 2),
    ("CIFAR10", "pool5"): (512, 2, 4, 2),
    ("LeNet-5", "pool0"): (32, 2, 16, 2),
    ("LeNet-5", "pool1"): (64, 2, 8, 2),
    ("VGG-7", "pool1_a"): (128, 3, 16, 2),
    ("VGG-7", "pool1_b"): (128, 3, 16, 2),
    ("VGG-7", "pool2_a"): (256, 3, 8, 2),
    ("VGG-7", "pool2_b"): (256, 3, 8, 2),
    ("VGG-7", "pool3_a"): (512, 3, 4, 2),
    ("VGG-7", "pool3_b"): (512, 3, 4, 2),
    ("RESNET-18", "pool1"): (64, 2, 56, 2),
}
# Psums cut to 16 bits, as the published rows have them.
TRUNCATED = {"accumulator.bits": 16, "accumulator.policy": "truncate"}
FREE_NETWORKS = {f"networks.{name}_words_per_cycle": 1024 for name in ("input", "weight", "psum")}
# What of the published model the exact engine is also run with.
AS_PUBLISHED = {
    "networks": "the networks on chip carry any number of words a cycle",
    "and memory": "the memory answers at once too",
}
FREE_MEMORY = {"memory.bits_per_cycle": 10**6, "memory.latency_cycles": 0}


@dataclass(frozen=True)
class Rows:
    """Ours beside the published.  left_out: pooling rows of a user's file, which have no dimensions."""

    names: list[str]
    dimensions: list[dict[str, int]]
    ours: list[Blocking]
    differences: list[Difference]
    left_out: int

    @property
    def exact(self) -> int:
        """Rows without a difference."""
        return len(self.names) - len({d.row for d in self.differences})


def rows(path: Path | None = None) -> Rows:
    """Every non-pooling row of the shipped file, or of a user's file in its format.

    A user's file may have the columns of OPTIONAL; rows without dimensions are pooling and left out.
    """
    listed = given(path, (*DIMENSIONS, "cycles")) if path else [(LAYERS_FILE, c) for c in shipped(LAYERS_FILE)]
    convolutions = [
        (where, cells) for where, cells in listed if any((cells.get(d) or "").strip() for d in DIMENSIONS[:4])
    ]
    least = dict.fromkeys((*DIMENSIONS, *OPTIONAL), 1)
    names: list[str] = []
    dimensions, ours, found, faults = [], [], [], []
    for where, cells in convolutions:
        names.append(" ".join(filter(None, (where if path else "", cells.get("network"), cells.get("layer")))))
        values, wrong = whole_numbers(where, cells, least, MOST, OPTIONAL)
        faults += wrong
        if wrong:
            continue
        try:
            ours.append(best_blocking(**values))
            dimensions.append(values)
            found += differences(names[-1], counters(ours[-1]), cells, COUNTERS)
        except InputError as error:
            faults += [fault if fault.startswith(where) else f"{where}: {fault}" for fault in error.faults]
    raise_faults(path or LAYERS_FILE, faults)
    return Rows(names, dimensions, ours, found, len(listed) - len(convolutions))


def pooling_rows() -> Rows:
    """The pooling rows of the shipped file."""
    listed = [cells for cells in shipped(LAYERS_FILE) if not cells["in_channels"]]
    names = [f"{cells['network']} {cells['layer']}" for cells in listed]
    names_of = ("channels", "kernel", "out_size", "stride")
    dimensions, ours, found = [], [], []
    for name, cells in zip(names, listed, strict=True):
        shape = POOLING[cells["network"], cells["layer"]]
        dimensions.append(dict(zip(names_of, shape, strict=True)) | {"batch": int(cells["batch"])})
        ours.append(best_pooling(**dimensions[-1]))
        found += differences(name, counters(ours[-1]), cells, COUNTERS)
    return Rows(names, dimensions, ours, found, 0)


def counters(blocking: Blocking) -> Mapping[str, int | float]:
    """The published columns: averages over folds are whole where they come out whole."""
    values: dict[str, int | Fraction] = {name: getattr(blocking, name) for name in COUNTERS}
    return {name: int(v) if v.denominator == 1 else float(v) for name, v in values.items()}


def exact_beside(found: Rows) -> list[Beside]:
    """The exact engine on every row: its own mapping and memory; also without its networks' and memory's limits."""
    variants = {"": {}, "networks": FREE_NETWORKS, "and memory": FREE_NETWORKS | FREE_MEMORY}
    models = {what: CostModel(load_hardware(MACHINE, TRUNCATED | keys)) for what, keys in variants.items()}
    listed = []
    for name, d, ours in zip(found.names, found.dimensions, found.ours, strict=True):
        shape = (d["in_channels"], d["out_channels"], d["kernel"], d["out_size"], d["stride"])
        listed.append(beside(name, models, shape, d["batch"], Widths(16, 16, 16, 16, 16), (ours.cycles, 0)))
    return listed

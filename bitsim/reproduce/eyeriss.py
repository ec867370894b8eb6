"""`bitsim reproduce eyeriss`: the published 256-PE rows, and the exact engine beside them.

Held: every column of every row, exactly; of a user's file those that are not blank.
Reported: the exact engine.  The chip is in eyeriss_chip.py.

Assumption: pooling rows were published without dimensions.  Those of POOLING follow from the layers around
them; for VGG-7 and ResNet-18, of which no row was published, they are the ones at which the cycles of the
headline are met exactly and its energy to 1e-9.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
SHAPE = ("in_channels", "out_channels", "kernel", "out_size", "stride")
DIMENSIONS = (*SHAPE, "batch")
MOST = 2**24 - 1  # of any dimension
OPTIONAL = {"array_rows": 16, "array_cols": 16, "register_words": 256, "buffer_words": 65536}
POOLING_SHAPE = ("channels", "kernel", "out_size", "stride")
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
    """Ours beside the published, a row each; differences: of any of them."""

    names: list[str] = field(default_factory=list)
    dimensions: list[dict[str, int]] = field(default_factory=list)
    ours: list[Blocking] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)

    @property
    def exact(self) -> int:
        """Rows without a difference."""
        return len(self.names) - len({d.row for d in self.differences})


def rows(path: Path | None = None) -> tuple[Rows, Rows]:
    """(convolutions, pooling) of the shipped file, or of a user's file in its format.

    A user's file may have the columns of OPTIONAL.  InputError naming line and column, also for a row without
    dimensions that is not in POOLING.
    """
    listed = given(path, (*DIMENSIONS, "cycles")) if path else [(LAYERS_FILE, c) for c in shipped(LAYERS_FILE)]
    convolutions, pooling = Rows(), Rows()
    faults: list[str] = []
    for where, cells in listed:
        pools = not any((cells.get(name) or "").strip() for name in SHAPE)
        try:
            _add(pooling if pools else convolutions, where if path else "", where, cells, pools)
        except InputError as error:
            faults += [fault if fault.startswith(where) else f"{where}: {fault}" for fault in error.faults]
    raise_faults(path or LAYERS_FILE, faults)
    return convolutions, pooling


def _add(found: Rows, name: str, where: str, cells: Mapping[str, str], pools: bool) -> None:
    """Block a row anew and hold it."""
    values = _pooling_dimensions(where, cells) if pools else _dimensions(where, cells, DIMENSIONS)
    ours = best_pooling(**values) if pools else best_blocking(**values)
    found.names.append(" ".join(filter(None, (name, cells.get("network"), cells.get("layer")))))
    found.dimensions.append(values)
    found.ours.append(ours)
    found.differences.extend(differences(found.names[-1], counters(ours), cells, COUNTERS))


def _dimensions(where: str, cells: Mapping[str, str], names: Iterable[str]) -> dict[str, int]:
    values, faults = whole_numbers(where, cells, dict.fromkeys((*names, *OPTIONAL), 1), MOST, OPTIONAL)
    if faults:
        raise InputError(faults)
    return values


def _pooling_dimensions(where: str, cells: Mapping[str, str]) -> dict[str, int]:
    key = ((cells.get("network") or "").strip(), (cells.get("layer") or "").strip())
    if key not in POOLING:
        raise InputError(
            f"{where}: {', '.join(SHAPE)}: blank, allowed: whole numbers; blank only in the published pooling rows, "
            "by their network and layer"
        )
    return dict(zip(POOLING_SHAPE, POOLING[key], strict=True)) | _dimensions(where, cells, ("batch",))


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

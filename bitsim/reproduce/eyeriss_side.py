"""Eyeriss's side of BitFusion's headline (ISCA 2018): the layers of each network with their cycles and units.

Assumption: VGG-7 and ResNet-18 have no published Eyeriss rows.  Their layers are BitFusion's, ResNet-18 at its
ordinary width, and the pooling of reproduce.eyeriss.POOLING; with them the published cycles are met exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bitsim.analytical.eyeriss_blocking import best_blocking, best_pooling
from bitsim.analytical.isca18_row import Row
from bitsim.reproduce.beside import Shape
from bitsim.reproduce.eyeriss import DIMENSIONS, LAYERS_FILE, POOLING
from bitsim.reproduce.published_rows import shipped

ARRAY, REGISTER_WORDS, BUFFER_WORDS = (16, 16), 256, 65536
DRAM_UNITS_PER_WORD, WORD_BITS = 200, 16
ON_CHIP = ("alu_units", "rf_units", "noc_units", "glb_units")
UNITS = (*ON_CHIP, "dram_units")
WIDE_NETWORKS = ("AlexNet", "RESNET-18")  # twice as wide on BitFusion
CLASSES_AND_COLOURS = (3, 1000)  # channel counts that are not a choice of width
# Shapes of networks without published Eyeriss rows that BitFusion's rows do not say: (in, out): (in, kernel).
MAPS_BEFORE_CLASSIFIER = {(8192, 1024): (512, 4)}


@dataclass(frozen=True)
class EyerissLayer:
    """One row of Eyeriss.  shape: in, out channels, kernel, output side, stride; of pooling in = out channels."""

    shape: Shape
    pools: bool
    batch: int
    cycles: int
    units: dict[str, float] = field(hash=False)

    def on(self, array: tuple[int, int]) -> EyerissLayer:
        """The same layer on another array."""
        return (pooled if self.pools else blocked)(self.shape, self.batch, array)

    def dram_bits(self, word_bits: int = WORD_BITS) -> float:
        """Bits to and from memory."""
        return self.units["dram_units"] / DRAM_UNITS_PER_WORD * word_bits


def blocked(shape: Shape, batch: int, array: tuple[int, int] = ARRAY) -> EyerissLayer:
    """A convolution as the published blocking runs it."""
    found = best_blocking(*shape, batch, *array, REGISTER_WORDS, BUFFER_WORDS)
    return EyerissLayer(shape, False, batch, found.cycles, {name: float(getattr(found, name)) for name in UNITS})


def pooled(shape: Shape, batch: int, array: tuple[int, int] = ARRAY) -> EyerissLayer:
    """A pooling layer as the published blocking runs it."""
    found = best_pooling(*shape[1:], batch, *array, REGISTER_WORDS, BUFFER_WORDS)
    return EyerissLayer(shape, True, batch, found.cycles, {name: float(getattr(found, name)) for name in UNITS})


def published_layers() -> dict[str, list[EyerissLayer]]:
    """Layers of the networks that have published rows, with what was published of them."""
    found: dict[str, list[EyerissLayer]] = {}
    for cells in shipped(LAYERS_FILE):
        pools = not cells["in_channels"]
        if pools:
            shape = _pooling_shape(cells["network"], cells["layer"])
        else:
            channels, outputs, kernel, size, stride, _ = (int(cells[name]) for name in DIMENSIONS)
            shape = (channels, outputs, kernel, size, stride)
        units = {name: float(cells[name]) for name in UNITS}
        one = EyerissLayer(shape, pools, int(cells["batch"]), int(cells["cycles"]), units)
        found.setdefault(cells["network"], []).append(one)
    return found


def _pooling_shape(network: str, name: str) -> Shape:
    channels, kernel, out_size, stride = POOLING[network, name]
    return channels, channels, kernel, out_size, stride


def layers_like(name: str, rows: list[Row]) -> list[EyerissLayer]:
    """BitFusion's layers of a network at their ordinary width, and the network's pooling."""
    layers = []
    for row in rows:
        channels, outputs = row.in_channels, row.out_channels
        if name in WIDE_NETWORKS:
            channels, outputs = halved(channels), halved(outputs)
        channels, kernel = MAPS_BEFORE_CLASSIFIER.get((channels, outputs), (channels, row.kernel))
        layers.append(blocked((channels, outputs, kernel, row.out_size, row.stride), row.batch))
    pools = (_pooling_shape(*key) for key in POOLING if key[0] == name)
    return layers + [pooled(shape, rows[0].batch) for shape in pools]


def halved(channels: int) -> int:
    """Channels of a layer at half its width."""
    return channels if channels in CLASSES_AND_COLOURS else channels // 2

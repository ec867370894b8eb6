"""A small result folder as `run --out` writes it, for tests of what is read from one."""

import bitsim
from bitsim.report.folder import write_folder
from tests.conftest import LAYERS, PRECISION, RUN

MACHINES = ("bitfusion_16x32_192b", "int8_16x32_192b", "eyeriss_12x14_108k")  # the last has a clock of its own


def simulated(place):
    """Results of the small trace, written to the new folder `place`, on each of MACHINES."""
    place.mkdir()
    for name, text in (("run.yaml", RUN), ("layers.csv", LAYERS), ("precision.csv", PRECISION)):
        (place / name).write_text(text.replace("synthetic: true", "synthetic: false"))
    trace = bitsim.open_trace(place)
    return [bitsim.simulate(trace, bitsim.load_hardware(name)) for name in MACHINES]


def written(results, path):
    """`path`, a new folder with `results`."""
    write_folder(path, results, about=bitsim.compare(results).about())
    return path

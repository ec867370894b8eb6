"""Builds and runs the RTL of tests/rtl: programs in, per-cycle state, counters and memory out.

A program here is a list of tiles as the hardware reads them (fields.svh): extents, addresses, widths.
`table` says what the cycle models are given for the same tiles, from the counts of
docs/microarchitecture.md.  Programs of whole products, with data, are made in rtl_layers.py.
"""

import re
from dataclasses import dataclass, field

import numpy as np

from bitsim.kernels.program import COLUMNS, FENCE, LOAD_INPUT, LOAD_WEIGHT, NEW_OUTPUT, STORE, SWITCH, PortTiming
from bitsim.kernels.stepped import stepped_cycles
from tests.rtl_tools import RTL, compile_bench, run, write_image

UNITS = ["bitbrick", "fusion_unit", "sequencer", "port", "array", "accelerator"]
SCALARS = dict(re.findall(r"\b([A-Z_]+) = (\d+)\b", (RTL / "fields.svh").read_text()))
FIELD = {name: int(value) for name, value in SCALARS.items()}
FIELDS = FIELD["FIELDS"]
DEPTH, MEMORY = 1024, 1 << 14  # words of a buffer half, and of the memory
VERILATOR_ARRAY = (4, 4)


@dataclass
class Program:
    """Tiles ({field name: value} each) with the machine's constants and the words of memory."""

    tiles: list
    timing: PortTiming
    rate: int
    memory: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    out: tuple[int, int] = (0, 0)  # first word and count of the memory that is read back
    stalls: tuple = ()


@dataclass
class Outcome:
    """What the RTL did.

    classes: (7,) cycles by class.  log: (cycles, 5) of class, tile, busy, transfers, tiles done.
    visible: (cycles,) words of the output buffer that are there from this cycle on.
    """

    classes: np.ndarray
    log: np.ndarray
    visible: np.ndarray
    counts: dict
    memory: np.ndarray


def words(tile):
    """Words of (input, weight, output) of a tile."""
    t = tile
    box = int(t["ROW_MASK"]).bit_count() * int(t["COL_MASK"]).bit_count()
    maps = t["G"] * t["B"] * t["R"] * t["C"] * t["O"]
    filters = t["G"] * t["O"] * t["CH"] * t["KR"] * t["KC"]
    inputs = t["G"] * t["B"] * box * t["CH"]
    return (inputs, maps, filters) if t["F_FILTER"] else (inputs, filters, maps)


def table(program, rows, cols):
    """(T, 7) tile table for the cycle models, by the counts of docs/microarchitecture.md."""
    tiles = np.zeros((len(program.tiles), COLUMNS), np.int64)
    for j, t in enumerate(program.tiles):
        x, y, z = words(t)

        def beats(count, bits):
            return -(-count * bits // program.rate)

        lanes = rows * (16 >> (t["X_MODE"] + t["Y_MODE"]))
        positions, taps = t["B"] * t["R"] * t["C"], t["KR"] * t["KC"]
        passes = t["X_SLICES"] * t["Y_SLICES"]
        steps = -(-positions // lanes) if t["F_FILTER"] else taps * -(-t["CH"] // lanes)
        if t["F_FILTER"]:
            across, stream = (t["CH"], t["O"] * taps) if t["F_SWAPPED"] else (t["O"], t["CH"] * taps)
        else:
            across, stream = (positions, t["O"]) if t["F_SWAPPED"] else (t["O"], positions)
        tiles[j] = (
            beats(x, t["X_BITS"]) if t["F_LOAD_X"] else 0,
            beats(y, t["Y_BITS"]) if t["F_LOAD_Y"] else 0,
            beats(z, t["PSUM_BITS"]) if t["F_LOAD_Z"] else 0,
            beats(z, t["STORE_BITS"]) if t["F_STORE"] else 0,
            t["G"] * -(-across // cols) * stream * steps * passes,
            rows + cols + 1,
            LOAD_INPUT * t["F_LOAD_X"]
            + LOAD_WEIGHT * t["F_LOAD_Y"]
            + NEW_OUTPUT * t["F_NEW"]
            + STORE * t["F_STORE"]
            + SWITCH * t["F_SWITCH"]
            + FENCE * t["F_FENCE"],
        )
    return tiles


def halves(tiles):
    """Fill in which half each tile uses: every load of an operand, every visit, turns its half over."""
    half = {"X": 1, "Y": 1, "Z": 1}
    for t in tiles:
        for operand, turns in (("X", t["F_LOAD_X"]), ("Y", t["F_LOAD_Y"]), ("Z", t["F_NEW"])):
            half[operand] ^= turns
            t[f"F_HALF_{operand}"] = half[operand]
    return tiles


def pack(tile):
    """A tile as the words of fields.svh."""
    out = [0] * FIELDS
    for name, value in tile.items():
        if name.startswith("F_"):
            out[FIELD["FLAGS"]] |= int(value) << FIELD[name]
        elif isinstance(value, tuple):
            for i, stride in enumerate(value):
                out[FIELD[name] + i] = stride
        else:
            out[FIELD[name]] = value
    return out


def build(tool, rows, cols, folder, most_tiles=64, slots=16):
    """The command that runs the test bench of an array of rows x cols.

    most_tiles: of one program; slots: words in one beat at most.
    """
    sources = [RTL / f"{name}.sv" for name in (*UNITS, "tb_accelerator")]
    parameters = {"N": rows, "M": cols, "DEPTH": DEPTH, "MAX_TILES": most_tiles, "SLOTS": slots, "MEMORY": MEMORY}
    options = ["-O3", "-Wno-UNOPTFLAT", "-CFLAGS", "-O2"]
    return compile_bench(tool, "tb_accelerator", sources, parameters | {"IMAGE": 1 << 22}, folder, options)


def simulate(simulator, programs, folder, log=True):
    """Run programs through a built test bench, one Outcome each."""
    image = [len(programs)]
    for p in programs:
        timing = p.timing
        image += [len(p.tiles), timing.latency_cycles, timing.turnaround_cycles, timing.setup_cycles]
        image += [timing.reconfigure_cycles, p.rate, len(p.stalls), len(p.memory), *p.out, int(log), *p.stalls]
        for tile in p.tiles:
            image += pack(tile)
        image += p.memory.tolist()
        assert len(p.memory) <= MEMORY
    source, result = folder / "programs.hex", folder / "results.txt"
    write_image(source, image)
    run([*simulator, f"+programs={source}", f"+results={result}"])
    return _outcomes(result.read_text(), len(programs))


def _outcomes(text, count):
    outcomes, log, memory = [], [], None
    for line in text.splitlines():
        kind, *rest = line.split()
        if kind == "C":
            log.append([int(v) for v in rest])
        elif kind == "P":
            values = [int(v) for v in rest]
            assert values[1] == 1, f"program {values[0]} did not finish: {values}"
            names = ("read_x", "read_y", "read_z", "written", "filled_x", "filled_y", "filled_z", "drained")
            names += ("x_bits", "y_bits", "products", "z_reads", "z_writes")
            memory = []
            counts = dict(zip(names, values[9:], strict=True))
            cycles = np.array(log).reshape(-1, 6)
            outcomes.append(Outcome(np.array(values[2:9]), cycles[:, :5], cycles[:, 5], counts, memory))
            log = []
        elif kind == "M":
            memory.append(int(rest[0]))
    assert len(outcomes) == count
    return outcomes


def random_control(rng, rows, cols):
    """A program of random tiles: any flags, extents, widths; its data mean nothing."""
    count = int(rng.integers(1, 9))
    reduce_p, load_p = rng.choice([0.0, 0.3, 0.9]), rng.choice([0.2, 0.5, 1.0])
    tiles, quiet = [], 0
    for j in range(count):
        new = j == 0 or rng.random() >= reduce_p
        load_x, load_y = (int(j == 0 or quiet >= 3 or rng.random() < load_p) for _ in range(2))
        swapped, filters = rng.random() < 0.3, rng.random() < 0.4
        taps = (1, 1) if swapped and not filters else rng.integers(1, 3, 2)
        empty = rng.random() < 0.05
        # Partial sums come back only where there are any: an empty filter has no words.
        load_z = int(new and j > 0 and not (empty and filters) and rng.random() < 0.3)
        quiet = 0 if load_x or load_y or load_z else quiet + 1
        extents = rng.integers(1, [3, 3, 3, 3, 6, 6])
        slices = (1 + (rng.random(2) < 0.15)).tolist()
        tile = dict(zip(("G", "B", "R", "C", "O", "CH"), extents.tolist(), strict=True))
        tile |= {"KR": 0 if empty else int(taps[0]), "KC": int(taps[1]), "ISSUE_EMPTY": int(empty)}
        tile |= {"X_MODE": int(rng.integers(0, 3)), "Y_MODE": int(rng.integers(0, 3))}
        tile |= {"X_SLICES": slices[0], "Y_SLICES": slices[1], "X_SIGNED": 1, "Y_SIGNED": 1}
        tile |= {"ROW_STRIDE": 1, "COL_STRIDE": 1, "ROW_STEP": 1, "COL_STEP": 1, "ROW_FIRST": -1, "COL_FIRST": 0}
        tile |= {"IN_ROWS": 5, "IN_COLS": 5, "BOX_ROWS": 5, "BOX_COLS": 5}
        # A load turns its half over even where nothing real is in the tile: masks may be empty.
        tile |= {"ROW_MASK": int(rng.integers(0, 32)), "COL_MASK": int(rng.integers(0, 32))}
        low = 4  # so that no beat brings more words than the port has slots
        tile |= {"X_BITS": int(rng.integers(low, 13)), "Y_BITS": int(rng.integers(low, 13))}
        tile |= {"PSUM_BITS": int(rng.choice([8, 16, 32])), "STORE_BITS": int(rng.choice([4, 8, 32]))}
        for operand in "XYZ":
            tile |= {f"{operand}_BASE": int(rng.integers(0, 999))}
            tile |= {f"{operand}_STRIDES": tuple(rng.integers(0, 9, 5).tolist())}
        tile |= {"F_LOAD_X": load_x, "F_LOAD_Y": load_y, "F_LOAD_Z": load_z, "F_NEW": int(new)}
        tile |= {"F_SWITCH": int(j == 0 or rng.random() < 0.15), "F_FILTER": int(filters), "F_SWAPPED": int(swapped)}
        tile |= {"F_ACCUMULATE": int(not new or load_z), "F_STORE": 0, "F_FENCE": int(new and rng.random() < 0.1)}
        tiles.append(tile)
    for j, tile in enumerate(tiles):
        tile["F_STORE"] = int(j == count - 1 or tiles[j + 1]["F_NEW"])
    stalls = () if rng.random() < 0.5 else (0, *(int(s) for s in rng.random(int(rng.integers(1, 9))) < 0.5))
    timing = PortTiming(*(int(rng.integers(low, high)) for low, high in ((0, 20), (0, 4), (1, 4), (0, 9))))
    return Program(halves(tiles), timing, int(rng.choice([2, 3, 5, 8, 11, 16])), np.arange(1280), stalls=stalls)


def check_states(programs, outcomes, rows, cols):
    """Class, tile, port and transfers of every cycle equal those of the per-cycle model."""
    for number, (program, outcome) in enumerate(zip(programs, outcomes, strict=True)):
        log = np.full((len(outcome.log) + 1, 5), -1, np.int64)
        stalls = np.array(program.stalls, np.uint8)
        classes = stepped_cycles(table(program, rows, cols), program.timing.array(), stalls, log)
        np.testing.assert_array_equal(outcome.log, log[:-1], err_msg=f"program {number}")
        np.testing.assert_array_equal(outcome.classes, classes, err_msg=f"program {number}")
        assert classes.sum() == len(outcome.log)

"""The published analytical model against a slow reference: plain loops over the equations as they are printed.

Equations: the closed-form tile model released with BitFusion (ISCA 2018); one row of the shipped file is one layer.
"""

import itertools
import math

import numpy as np
import pytest

from bitsim.analytical.bitfusion_isca18 import COUNTERS, layer
from bitsim.analytical.isca18_prices import prices
from bitsim.analytical.isca18_row import Row
from bitsim.errors import InputError

TOUCHES = {
    "batch": ("input", "output"),
    "cols": ("input", "output"),
    "rows": ("input", "output"),
    "in": ("input", "weight"),
    "out": ("weight", "output"),
}
NAMES = ("weight", "input", "output")
# pJ per 32-bit access, read and write, by bytes of a bank; nJ a cycle of 512 units of 8/2 bits: as printed.
PJ = {
    "weight": {128: (0.683701, 0.925317)},
    "input": {2048: (1.90318, 3.63853), 4096: (3.42953, 4.31011), 8192: (6.39163, 5.56268), 16384: (9.98170, 8.42090)},
    "output": {512: (1.06112, 2.33854)},
}
CORE_NJ = 0.235104


def unit_nj(row):
    """nJ of a compute cycle, and of a bit read and written of each buffer; what was not printed is the product's."""
    ours = prices(row.rows, row.cols, row.max_bits, row.min_bits, tuple(size(row, name) for name in NAMES))
    printed = (row.max_bits, row.min_bits) == (8, 2)
    core = CORE_NJ * row.rows * row.cols / 512 if printed else ours.core_nj_per_cycle
    buffers = {}
    for i, (name, banks) in enumerate(zip(NAMES, (row.rows * row.cols, row.rows, row.cols), strict=True)):
        found = PJ[name].get(size(row, name) / banks) if printed else None
        own = ours.read_nj_per_bit[i], ours.write_nj_per_bit[i]
        buffers[name] = tuple(pj / 32e3 for pj in found) if found else own
    return core, buffers


def size(row, name):
    return getattr(row, f"{name}_buffer_bytes")


def doubling(size, unit=1):
    """min(unit·2^k, size), k = 0 .. ceil(log2(ceil(size / unit)))."""
    steps = 0
    while unit << steps < size:
        steps += 1
    return sorted({min(unit << k, size) for k in range(steps + 1)})


def power_of_two(bits):
    """The least power of two that holds `bits`."""
    return 2 ** math.ceil(math.log2(bits))


def traffic(order, counts, tile, half):
    """(bits moved, most bits resident) of one operand, loops from the innermost outwards."""
    moved = most = tile["bits"]
    promoting = True
    for loop in order:
        if promoting:
            if tile["name"] in TOUCHES[loop]:
                moved *= counts[loop]
                if moved > half:
                    promoting = False
                else:
                    most = moved
        else:
            moved *= counts[loop]
    return moved, most


def schedules(row):
    """Every tiling that fits, in every order: (cycles, nJ, counters)."""
    p = row
    core, buffers = unit_nj(row)
    fused = [p.max_bits // power_of_two(max(bits, p.min_bits)) for bits in (p.input_bits, p.weight_bits)]
    lanes = p.rows * fused[0] * fused[1]
    taps = p.kernel**2
    outs = doubling(p.out_channels, 1 if p.im2col else p.cols)
    for b, o, ic, oc in itertools.product(doubling(p.batch), doubling(p.out_size), doubling(p.in_channels), outs):
        side = (o - 1) * p.stride + p.kernel
        bits = {
            "weight": -(-taps * ic // lanes) * lanes * oc * p.weight_bits,
            "input": (o * o * taps if p.im2col else side * side) * ic * b * p.input_bits,
            "output": o * o * -(-oc // p.cols) * p.cols * b * 32,
        }
        half = {name: size(p, name) * 8 // 2 for name in bits}
        if any(bits[name] > half[name] for name in bits):
            continue
        counts = {"batch": -(-p.batch // b), "cols": -(-p.out_size // o), "rows": -(-p.out_size // o)}
        counts |= {"in": -(-p.in_channels // ic), "out": -(-p.out_channels // oc)}
        tiles = math.prod(counts.values())
        steps = -(-taps * ic // lanes) if p.im2col else taps * -(-ic // lanes)
        compute = tiles * b * -(-oc // p.cols) * o * o * steps
        for order in itertools.permutations(TOUCHES):
            t, most = {}, {}
            for name in bits:
                t[name], most[name] = traffic(order, counts, {"name": name, "bits": bits[name]}, half[name])
            read, write = t["input"] + t["weight"] + t["output"], t["output"]
            first, last = sum(most.values()), most["output"]
            port = p.port_bits_per_cycle
            latency = -(-first // port) + -(-last // port)
            wait = max(0, -(-(read + write - first - last) // port) - compute) + latency
            macs = taps * ic * oc * o * o * b * tiles
            visits = oc * o * o * b * tiles * 32
            found = {"cycles": compute + wait, "memory_wait_cycles": wait, "compute_cycles": compute}
            found |= {"weight_buffer_read_bits": macs * p.weight_bits, "weight_buffer_write_bits": t["weight"]}
            found |= {"input_buffer_read_bits": macs * p.input_bits, "input_buffer_write_bits": t["input"]}
            found |= {"output_buffer_read_bits": visits + t["output"], "output_buffer_write_bits": visits + t["output"]}
            found |= {"dram_read_bits": read, "dram_write_bits": write}
            nj = compute * core + (read + write) * 15e-3
            for name in NAMES:
                nj += found[f"{name}_buffer_read_bits"] * buffers[name][0]
                nj += found[f"{name}_buffer_write_bits"] * buffers[name][1]
            yield found["cycles"], nj, found


PUBLISHED = {"rows": 16, "cols": 32, "max_bits": 8, "min_bits": 2}
PUBLISHED |= {"weight_buffer_bytes": 65536, "input_buffer_bytes": 32768, "output_buffer_bytes": 16384}


def random_row(rng, machine, largest):
    """A layer of up to `largest` in each dimension, at widths the machine has."""
    return Row(
        **machine,
        kernel=int(rng.choice([1, 2, 3, 5])),
        out_size=1 if rng.random() < 0.2 else int(rng.integers(1, 30)),
        stride=int(rng.choice([1, 1, 2, 4])),
        in_channels=int(largest ** rng.random()),
        out_channels=int(largest ** rng.random()),
        batch=int(rng.choice([1, 3, 16])),
        input_bits=int(rng.integers(1, machine["max_bits"] + 1)),
        weight_bits=int(rng.integers(1, machine["max_bits"] + 1)),
        im2col=int(rng.random() < 0.3),
        port_bits_per_cycle=int(rng.choice([1, 32, 192, 250])),
    )


def random_machine(rng):
    """Arrays of any size, odd buffers among them; half of them with banks of the sizes that were printed."""
    rows, cols = (int(n) for n in rng.integers(1, 40, 2))
    printed = rng.random() < 0.5
    max_bits = 8 if printed else int(rng.choice([4, 8, 16]))
    banks = {"weight": rows * cols, "input": rows, "output": cols}
    each = {name: int(rng.choice(list(PJ[name]))) for name in NAMES}
    sizes = {name: banks[name] * each[name] if printed else int(rng.integers(500, 100_000)) for name in NAMES}
    machine = {
        "rows": rows,
        "cols": cols,
        "max_bits": max_bits,
        "min_bits": 2 if printed else int(rng.choice([1, 2, 4])),
    }
    return machine | {f"{name}_buffer_bytes": sizes[name] for name in NAMES}


def check(row):
    listed = list(schedules(row))
    if not listed:
        with pytest.raises(InputError, match="no tile fits half its buffer"):
            layer(row)
        return
    cycles, nj, counters = min(listed, key=lambda found: (found[0], found[1]))
    ours = layer(row)
    assert {name: ours[name] for name in COUNTERS} == counters, row
    assert ours["total_nj"] == pytest.approx(nj, rel=1e-9)
    same = [found for found in listed if (found[0], found[1]) == (cycles, nj)]
    assert all(found[2] == counters for found in same)  # what still ties has equal counters


@pytest.mark.parametrize("seed", range(24))
def test_the_published_machine_finds_what_plain_loops_find(seed):
    check(random_row(np.random.default_rng(seed), PUBLISHED, 1024))


@pytest.mark.parametrize("seed", range(120))
def test_other_machines_find_what_plain_loops_find(seed):
    rng = np.random.default_rng(seed)
    check(random_row(rng, random_machine(rng), 128))


def test_sixteen_bit_units_round_widths_up_to_powers_of_two():
    """floor(16 / 3) = 5 lanes is nothing a fusion unit can do: 3 bits run as 4, 5 to 7 as 8, 9 and more as 16."""
    base = {"kernel": 1, "out_size": 1, "stride": 1, "in_channels": 64, "out_channels": 8, "batch": 1, "im2col": 0}
    base |= {"rows": 4, "cols": 4, "max_bits": 16, "min_bits": 2, "port_bits_per_cycle": 64}
    base |= {f"{name}_buffer_bytes": 8192 for name in NAMES}
    for bits, lanes in ((2, 8), (3, 4), (4, 4), (5, 2), (7, 2), (8, 2), (9, 1), (16, 1)):
        assert Row(**base, input_bits=bits, weight_bits=16).lanes == 4 * lanes

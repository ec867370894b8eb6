"""Whole layers with data through the RTL: outputs == numpy, every counter and cycle class == the result's row."""

import numpy as np

from bitsim.accelerators.registry import load_hardware
from bitsim.accelerators.seam import INPUT, OUTPUT, WEIGHT
from bitsim.errors import MappingError
from bitsim.kernels.program import CLASSES, FENCE, FLAGS
from bitsim.simulation.cost import CostModel
from bitsim.simulation.overlap import in_order, programs
from bitsim.simulation.rows import Row
from bitsim.workload import Layer, Widths, lower
from tests.rtl_chain import (
    MEMORY,
    VERILATOR_ARRAY,
    Program,
    check_states,
    halves,
    simulate,
    table,
)
from tests.rtl_layers import (
    conv_case,
    convolution,
    memory_of,
    operand_places,
    phases,
    product_tiles,
    random_case,
    random_values,
    random_widths,
    wrap,
)
from tests.rtl_tools import needs
from tests.strategies import random_layer

TWO_LAYER_MACHINE = {
    "array.rows": 4,
    "array.cols": 4,
    "weight_buffer": "256 B",
    "input_buffer": "256 B",
    "output_buffer": "512 B",
    "memory.bits_per_cycle": 16,
    "memory.latency_cycles": 9,
}


def random_machine(rng):
    """A small machine with tiny buffers, so that small layers take many tiles."""
    rows, cols = VERILATOR_ARRAY
    return load_hardware(
        "bitfusion_16x32_192b",
        {
            "array.rows": rows,
            "array.cols": cols,
            "precision.min_bits": int(rng.choice([2, 2, 8])),
            "weight_buffer": f"{rng.choice([128, 256, 512])} B",
            "input_buffer": f"{rng.choice([128, 256, 512])} B",
            "output_buffer": f"{rng.choice([128, 256, 512, 1024])} B",
            "memory.bits_per_cycle": int(rng.integers(1, 17)),
            "memory.latency_cycles": int(rng.integers(0, 30)),
            "memory.turnaround_cycles": int(rng.integers(0, 3)),
            "storage.dram": str(rng.choice(["raw", "unit"])),
            "outputs": str(rng.choice(["trace", "trace", "accumulator"])),
            "microarchitecture.setup_cycles": int(rng.integers(1, 4)),
            "microarchitecture.reconfigure_cycles": int(rng.integers(0, 6)),
        },
    )


@needs("verilator")
def test_whole_layers(tmp_path, four_by_four):
    """From memory to memory under the product's own mapping: outputs, every counter, classes of the result's row."""
    rng = np.random.default_rng(100)
    jobs, programs = [], []
    while len(jobs) < 100:
        machine, layer, samples = random_machine(rng), random_layer(rng, 20), int(rng.integers(1, 4))
        pass_name = str(rng.choice(layer.passes()))
        input_bits, weight_bits = random_widths(rng)
        widths = {
            "forward": Widths(input_bits, weight_bits, 8, 8, int(rng.choice([2, 4, 8]))),
            "dgrad": Widths(8, weight_bits, input_bits, 8, 8),
            "wgrad": Widths(input_bits, 8, 8, weight_bits, 8),
            "dgrad_second": Widths(weight_bits, 8, input_bits, 8, 8),
        }[pass_name]
        objective = str(rng.choice(["cycles", "energy"]))
        try:
            cost = CostModel(machine, objective).pass_cost(layer, pass_name, samples, widths)
        except MappingError:
            continue
        case = random_case(rng, layer, pass_name, samples, input_bits, weight_bits)
        made = layer_programs(case, machine, samples, widths, cost.mappings)
        if any(len(p.tiles) > 256 or len(p.memory) > MEMORY for p in made):
            continue
        jobs.append((case, machine, cost, len(made)))
        programs += made
    outcomes = simulate(four_by_four, programs, tmp_path)
    check_states(programs, outcomes, *VERILATOR_ARRAY)
    for case, machine, cost, count in jobs:
        parts, outcomes = outcomes[:count], outcomes[count:]
        check_layer(case, machine, cost, parts)
    kinds = {(case.layer.kind, case.pass_name) for case, *_ in jobs}
    assert len(kinds) == 9, kinds
    assert max(cost.values["tiles"] for _, _, cost, _ in jobs) > 60
    assert any(cost.values["passes"] > 1 for _, _, cost, _ in jobs)
    assert any(len(cost.mappings) > 1 and case.pass_name == "wgrad" for case, _, cost, _ in jobs), "no kernel was split"


def layer_programs(case, machine, samples, widths, mappings):
    """The programs of a pass, one for each of its products as they were mapped."""
    memory, firsts = memory_of(case)
    made = []
    for tiles, timed in zip(product_programs(case, machine, samples, widths, mappings, firsts), mappings, strict=True):
        assert machine.rate == int(machine.rate)
        program = Program(halves(tiles), machine.port, int(machine.rate), memory, (firsts["Z"], case.z.size))
        np.testing.assert_array_equal(table(program, *VERILATOR_ARRAY), timed.execution.tiles)
        made.append(program)
    return made


def product_programs(case, machine, samples, widths, mappings, firsts):
    """The tiles of each product of a pass; firsts: {operand: its first word in memory}."""
    products = lower(case.layer, case.pass_name, samples)
    at_phases = phases(case.layer, case.pass_name)
    if len(mappings) > len(products):  # a kernel that fits no output buffer: products with a part of its taps each
        products = next(parts for parts in products[0].kernel_parts() if len(parts) == len(mappings))
        at_phases *= len(products)
    of_products = []
    for product, phase, timed in zip(products, at_phases, mappings, strict=True):
        datapath = machine.accelerator.datapath(product, *widths.operands(case.pass_name))
        place = operand_places(case, product, phase)
        at = {o: (firsts[o] + base, steps) for o, (base, steps) in place.items()}
        spilled = machine.accelerator.config.outputs == "accumulator"
        of_products.append(product_tiles(product, datapath, timed.orientation, timed.mapping, at, spilled))
    return of_products


def check_layer(case, machine, cost, outcomes):
    """Output tensor, counters and classes of one pass, added over its products."""
    values, counts = cost.values, {}
    for outcome, timed in zip(outcomes, cost.mappings, strict=True):
        c, holds = outcome.counts, timed.orientation.holds
        for name, value in {
            "dram_read_bits": c["read_x"] + c["read_y"] + c["read_z"],
            "dram_write_bits": c["written"],
            "occupied_bit_ops": c["products"],
            f"{holds[INPUT]}_read_bits": c["x_bits"],
            f"{holds[WEIGHT]}_read_bits": c["y_bits"],
            f"{holds[INPUT]}_write_bits": c["filled_x"] * values["input_hw_bits"],
            f"{holds[WEIGHT]}_write_bits": c["filled_y"] * values["weight_hw_bits"],
            f"{holds[OUTPUT]}_read_bits": (c["z_reads"] + c["drained"]) * values["accumulator_bits"],
            f"{holds[OUTPUT]}_write_bits": (c["z_writes"] + c["filled_z"]) * values["accumulator_bits"],
        }.items():
            counts[name] = counts.get(name, 0) + value
    columns = [name for name in values if name.endswith(("_read_bits", "_write_bits")) or name == "occupied_bit_ops"]
    assert counts == {name: values[name] for name in columns}, (case.layer, case.pass_name)
    classes = sum(outcome.classes for outcome in outcomes)
    assert dict(zip(CLASSES, classes.tolist(), strict=True)) == {n: values[f"{n}_cycles"] for n in CLASSES}
    # Every word is written by one product only; the others leave it at zero.
    stored = sum(np.array(outcome.memory) for outcome in outcomes)
    np.testing.assert_array_equal(stored, wrap(case.z, values["output_bits"]).ravel())


@needs("verilator")
def test_overlapped_iteration(tmp_path, four_by_four):
    """Forward, dgrad and wgrad of two layers as one program: each row reads what rows before it wrote."""
    rng = np.random.default_rng(7)
    for samples in (1, 2):
        layers = [
            Layer("first", "conv", 1, 3, 4, 6, 6, 3, 3, 1, 1, 1, 1, 1, 1, needs_dgrad="false"),
            Layer("second", "conv", 2, 4, 6, 6, 6, 3, 3, 2, 2, 1, 1, 1, 1),
        ]
        machine = load_hardware("bitfusion_16x32_192b", TWO_LAYER_MACHINE)
        widths = [Widths(8, 4, 8, 6, 7), Widths(7, 3, 6, 6, 8)]
        program, expected, rows = iteration_program(rng, machine, layers, widths, samples)
        (outcome,) = simulate(four_by_four, [program], tmp_path)
        np.testing.assert_array_equal(outcome.memory, expected)
        check_states([program], [outcome], *VERILATOR_ARRAY)
        steps = in_order(rows)
        nests = [nest for own in programs(steps) for nest in own]
        np.testing.assert_array_equal(table(program, *VERILATOR_ARRAY), np.concatenate([n.tiles for n in nests]))
        classes = CostModel(machine).time(nests).sum(axis=0)
        np.testing.assert_array_equal(outcome.classes, classes)
        barriers = sum(row.cost.values["cycles"] for row in rows)
        assert classes.sum() < barriers


def iteration_program(rng, machine, layers, widths, samples):
    """(program, memory it leaves, rows) of one training iteration of two convolutions in a chain."""
    first, second = layers
    activations = random_values(rng, (samples, first.in_channels, first.in_h, first.in_w), widths[0].activation_bits)
    weights = [
        random_values(rng, (n.out_channels, n.in_channels // n.groups, n.kernel_h, n.kernel_w), w.weight_bits)
        for n, w in zip(layers, widths, strict=True)
    ]
    gradient = random_values(rng, (samples, second.out_channels, second.out_h, second.out_w), widths[1].gradient_bits)
    between = wrap(convolution(first, "forward", activations, weights[0], None), widths[0].output_bits)
    out = wrap(convolution(second, "forward", between, weights[1], None), widths[1].output_bits)
    back = wrap(convolution(second, "dgrad", between, weights[1], gradient), widths[1].gradient_bits)
    changes = [
        convolution(first, "wgrad", activations, None, back),
        convolution(second, "wgrad", between, None, gradient),
    ]
    tensors = dict(
        zip(
            ("x0", "w0", "x1", "w1", "x2", "g2", "g1", "dw1", "dw0"),
            (activations, weights[0], between, weights[1], out, gradient, back, changes[1], changes[0]),
            strict=True,
        )
    )
    given = {"x0", "w0", "w1", "g2"}
    at, memory, expected = {}, [], []
    for name, values in tensors.items():
        at[name] = sum(part.size for part in memory)
        memory.append(values.ravel() if name in given else np.zeros(values.size, np.int64))
        expected.append(values.ravel())
    # (layer, pass, its X, Y and Z): the rows in layer order, passes of a layer together
    jobs = [
        (0, "forward", ("x0", "w0", "x1")),
        (0, "wgrad", ("x0", "g1", "dw0")),
        (1, "forward", ("x1", "w1", "x2")),
        (1, "dgrad", ("g2", "w1", "g1")),
        (1, "wgrad", ("x1", "g2", "dw1")),
    ]
    model = CostModel(machine)
    rows = [
        Row(
            index,
            layers[index].name,
            name,
            samples,
            1,
            None,
            model.pass_cost(layers[index], name, samples, widths[index]),
        )
        for index, name, _ in jobs
    ]
    operands = {(index, name): names for index, name, names in jobs}
    steps, tiles = in_order(rows), []
    for step, nests in zip(steps, programs(steps), strict=True):
        row = step.row
        names = operands[row.layer_index, row.pass_name]
        firsts = {operand: at[name] for operand, name in zip("XYZ", names, strict=True)}
        layer, pass_name = layers[row.layer_index], row.pass_name
        case = conv_case(rng, layer, pass_name, samples, 2, 2)  # for where its operands lie
        of_products = product_programs(case, machine, samples, widths[row.layer_index], row.cost.mappings, firsts)
        of_products[0][0]["F_FENCE"] = int(nests[0].rows[0, FLAGS] & FENCE != 0)
        tiles += [tile for own in of_products for tile in own]
    memory = np.concatenate(memory)
    rate = int(machine.rate)
    return Program(halves(tiles), machine.port, rate, memory, (0, len(memory))), np.concatenate(expected), rows

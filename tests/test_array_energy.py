"""Array energy by precision and by how full it is; requantising; the copies a weight gradient reads."""

import pytest

import bitsim
from bitsim.simulation.cost import CostModel
from bitsim.technology import logic
from bitsim.technology.arithmetic import arithmetic
from bitsim.workload import Layer, Widths

FLEXIBLE, FIXED, INTEGER = "bitfusion_16x32_192b", "int8_16x32_192b", "eyeriss_12x14_108k"


def cost(machine, layer, pass_name, bits, samples=1, **keys):
    model = CostModel(bitsim.load_hardware(machine, keys))
    return model, model.pass_cost(layer, pass_name, samples, Widths(bits, bits, bits, bits, bits)).values


def full_layer(bits):
    """A linear layer that fills all lanes of 16 x 32 units of 8/2 bits and all columns."""
    return Layer("full", "linear", 1, 16 * (8 // bits) ** 2 * 4, 64, rows=64)


def test_fixed_units_lie_on_the_fit():
    found = arithmetic()
    for bits in (2, 4, 8, 16):
        unit_pj = logic.unit_price(bits, bits).active_pj_per_cycle
        assert found.multiply_add_pj(bits, bits) == pytest.approx(unit_pj, rel=3e-3)
    assert min(found.constant_pj, found.per_bit_pj, found.per_bit_product_pj) > 0
    assert "estimate" in found.source


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_a_full_array_takes_the_published_energy_beside_its_accumulators(bits):
    """0.235104 nJ a cycle for 512 fusion units (ISCA 2018), whatever the precision."""
    model, row = cost(FLEXIBLE, full_layer(bits), "forward", bits)
    assert row["column_steps"] == 32 * row["issue_cycles"]
    accumulators_pj = row["accumulated_bits"] * model.prices.price_pj("accumulated_bits")
    assert row["accumulated_bits"] == row["column_steps"] * 32
    assert row["array_pj"] - accumulators_pj == pytest.approx(235.104 * row["issue_cycles"])
    assert accumulators_pj < 0.04 * row["array_pj"]


def test_energy_a_product_falls_with_precision_and_rises_with_idle_lanes():
    per_mac = {}
    for bits in (2, 4, 8):
        _, row = cost(FLEXIBLE, full_layer(bits), "forward", bits)
        per_mac[bits] = row["array_pj"] / row["macs"]
    assert per_mac[4] == pytest.approx(per_mac[8] / 4, rel=0.02) and per_mac[2] == pytest.approx(
        per_mac[8] / 16, rel=0.05
    )
    # 3 of 16 rows filled: the products cost what they cost, and each column still passes its sums through 16 units.
    model, row = cost(FLEXIBLE, Layer("thin", "linear", 1, 3, 64, rows=8), "forward", 8)
    full_pj = model.prices.price_pj("bit_products") * 64 * row["macs"]
    passing_pj = model.prices.price_pj("column_steps") * row["macs"] / 3
    assert row["array_pj"] == pytest.approx(full_pj + passing_pj * (1 + 32 * 0.005549 / (16 * 0.100872)), rel=1e-4)
    assert row["array_pj"] / row["macs"] > 1.5 * per_mac[8]


def test_columns_without_an_output_take_nothing_but_leakage():
    """A convolution cannot swap its operands: of 32 columns 8 have an output."""
    conv = Layer("narrow", "conv", 1, 16, 8, 6, 6, 3, 3, 1, 1, 1, 1, 1, 1)
    _, row = cost(FLEXIBLE, conv, "forward", 8)
    assert row["column_steps"] == 8 * row["issue_cycles"]
    assert row["bit_products"] == 64 * row["real_macs"] < 64 * row["macs"]  # taps in the padding are gated


def test_fixed_units_pay_for_their_width():
    _, narrow = cost(FIXED, full_layer(8), "forward", 2)
    _, wide = cost(FIXED, full_layer(8), "forward", 8)
    assert narrow["array_pj"] == wide["array_pj"]
    assert wide["array_pj"] < cost(FLEXIBLE, full_layer(8), "forward", 8)[1]["array_pj"] / 2


def test_a_wider_accumulator_costs_more():
    parts = {}
    for bits in (32, 64):
        _, parts[bits] = cost(FLEXIBLE, full_layer(8), "forward", 8, **{"accumulator.bits": bits})
    assert parts[64]["accumulated_bits"] == 2 * parts[32]["accumulated_bits"]
    for column in ("array_pj", "output_buffer_pj", "vector_pj", "energy_pj"):
        assert parts[64][column] > parts[32][column], column


@pytest.mark.parametrize("machine", [FLEXIBLE, FIXED, INTEGER])
def test_each_finished_sum_is_requantised_once(machine):
    layer = Layer("conv", "conv", 1, 40, 48, 9, 9, 3, 3, 1, 1, 1, 1, 1, 1)
    for pass_name, words in (("forward", 2 * 48 * 81), ("dgrad", 2 * 40 * 81), ("wgrad", 0)):
        model, row = cost(machine, layer, pass_name, 4, samples=2)
        assert row["requantised_bits"] == words * row["accumulator_bits"], pass_name
        assert row["vector_pj"] == pytest.approx(row["requantised_bits"] * model.prices.price_pj("requantised_bits"))
    _, published = cost(machine, layer, "forward", 4, samples=2, outputs="accumulator")
    assert published["requantised_bits"] == 0  # stored as they were summed


def test_requantising_is_a_product_with_the_scale():
    found = arithmetic()
    price_pj = CostModel(bitsim.load_hardware(FLEXIBLE)).prices.price_pj("requantised_bits")
    assert price_pj * 32 == pytest.approx(found.multiply_add_pj(32, 16)) == pytest.approx(1.103, abs=1e-3)
    narrow = CostModel(bitsim.load_hardware(FLEXIBLE, {"vector.scale_bits": 8})).prices
    assert narrow.price_pj("requantised_bits") < price_pj


@pytest.mark.parametrize(("machine", "width"), [(FLEXIBLE, (3, 5)), (FIXED, (8, 8)), (INTEGER, (0, 0))])
def test_the_copies_a_weight_gradient_reads_are_written_once(machine, width):
    """X of 40 x 9 x 9 and dY of 48 x 9 x 9 words, at their width in memory; a row-stationary array reads one form."""
    layer = Layer("conv", "conv", 1, 40, 48, 9, 9, 3, 3, 1, 1, 1, 1, 1, 1)
    model = CostModel(bitsim.load_hardware(machine))
    rows = {p: model.pass_cost(layer, p, 2, Widths(3, 4, 5, 5, 4)).values for p in layer.passes()}
    assert rows["wgrad"]["wgrad_copy_bits"] == 2 * 81 * (40 * width[0] + 48 * width[1])
    assert rows["wgrad"]["wgrad_copy_pj"] == 8 * rows["wgrad"]["wgrad_copy_bits"]
    assert rows["forward"]["wgrad_copy_bits"] == rows["dgrad"]["wgrad_copy_bits"] == 0


def test_a_gradient_that_no_dgrad_reads_is_stored_once():
    layer = Layer("first", "conv", 1, 3, 48, 9, 9, 3, 3, 1, 1, 1, 1, 1, 1, needs_dgrad="false")
    assert cost(FLEXIBLE, layer, "wgrad", 4, samples=2)[1]["wgrad_copy_bits"] == 2 * 81 * 3 * 4


def test_a_split_kernel_does_not_copy_again():
    layer = Layer("patch", "conv", 1, 3, 64, 32, 32, 16, 16, 16, 16)
    model = CostModel(bitsim.load_hardware(FLEXIBLE, {"output_buffer": "1 KiB"}))
    found = model.pass_cost(layer, "wgrad", 2, Widths(4, 4, 8, 8, 4))
    assert len(found.mappings) > 1
    assert found.values["wgrad_copy_bits"] == 2 * (4 * 3 * 32 * 32 + 8 * 64 * 4)


def test_time_costs_leakage_and_static_power_of_the_dram():
    """A row's cycles at 500 MHz: 502 mW of DDR4, and of the array and the buffers what their tables list."""
    model, row = cost(FLEXIBLE, full_layer(8), "forward", 8, **{"memory.energy": "DDR4"})
    seconds = row["cycles"] / 500e6
    assert row["dram_static_pj"] == pytest.approx(502.0 * seconds * 1e9)
    leakage_mw = 512 * 949240e-6 / 16 + sum(p.leakage_mw for p in model.prices.buffers.values())
    assert row["leakage_pj"] == pytest.approx(leakage_mw * seconds * 1e9)
    assert pytest.approx(30.4, abs=0.1) == 512 * 949240e-6 / 16


def test_sums_cost_the_same_in_both_dataflows():
    """Full arrays of fixed units: a sum passes 16 units for each 16 products, whichever operand stands still."""
    rows = [cost(name, full_layer(8), "forward", 8)[1] for name in (FIXED, "weight_stationary_int8_16x32_192b")]
    for row in rows:
        assert row["column_steps"] * 16 == row["macs"]
        assert row["accumulated_bits"] == 32 * row["column_steps"]
    assert rows[0]["array_pj"] == pytest.approx(rows[1]["array_pj"])
    thin = Layer("thin", "conv", 1, 3, 64, 9, 9, 3, 3, 1, 1, 1, 1, 1, 1)
    for name in (FIXED, "weight_stationary_int8_16x32_192b"):
        for pass_name in thin.passes():
            row = cost(name, thin, pass_name, 8)[1]
            assert row["column_steps"] * 16 >= row["macs"] and row["array_pj"] > 0

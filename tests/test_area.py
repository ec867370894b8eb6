"""Areas: published and synthesised figures met, sums that add up, marks where a figure is no row of a table."""

import csv
import io
import json

import pytest

import bitsim
from bitsim import data
from bitsim.area import BUFFER, LOGIC, REGISTERS, area_of
from bitsim.errors import InputError
from bitsim.technology.logic import unit_price

MACHINES = data.names("hw_configs", ".yaml")
FLEXIBLE, FIXED, ROW_STATIONARY = "bitfusion_16x32_192b", "int8_16x32_192b", "eyeriss_12x14_108k"


def area(name, **overrides):
    return area_of(bitsim.load_hardware(name, {key.replace("__", "."): value for key, value in overrides.items()}))


def test_a_fusion_unit_beside_an_int8_unit():
    """Flexibility at 8x8 costs 3.40x the area and 2.26x the energy of a fixed unit (synthesis, 45 nm)."""
    flexible, fixed = unit_price(8, 2), unit_price(8, 8)
    assert flexible.area_mm2 / fixed.area_mm2 == pytest.approx(3.40, abs=5e-3)
    assert flexible.active_pj_per_cycle / fixed.active_pj_per_cycle == pytest.approx(2.26, abs=5e-3)
    assert area(FLEXIBLE).core_mm2 / area(FIXED).core_mm2 == pytest.approx(3.40, abs=5e-3)


def test_bitfusion_as_published():
    """2.14 mm2 with the high-performance cells of the released simulator, of which the buffers are 1.253."""
    published = area(FLEXIBLE, technology__sram_cells="itrs-hp")
    assert published.chip_mm2 == pytest.approx(2.14, abs=5e-3)
    assert published.buffers_mm2 == pytest.approx(1.253, abs=5e-4)


def test_the_spads_of_the_table_are_met():
    """A PE of the table's depths and width: 379.7 + 3634.7 + 414.7 um2 of registers."""
    depths = {"weight_spad": "192 words", "psum_spad": "16 words", "accumulator.bits": 16}
    found = area(ROW_STATIONARY, **depths)
    registers = [part for part in found.parts if part.kind == REGISTERS]
    assert [round(part.mm2_each * 1e6, 1) for part in registers] == [379.7, 3634.7, 414.7]
    assert found.marks == ()


@pytest.mark.parametrize("name", MACHINES)
def test_sums_add_up(name):
    found, machine = area(name), bitsim.load_hardware(name)
    of_kind = {kind: [p for p in found.parts if p.kind == kind] for kind in (LOGIC, REGISTERS, BUFFER)}
    assert found.chip_mm2 == pytest.approx(sum(part.mm2 for part in found.parts))
    assert found.core_mm2 == pytest.approx(sum(p.mm2 for p in of_kind[LOGIC] + of_kind[REGISTERS]))
    assert found.memory_bits == sum(b.capacity_bits for b in machine.accelerator.buffers())
    assert found.buffer_bits == sum(part.bits for part in of_kind[BUFFER])
    assert of_kind[LOGIC] and all(part.mm2 > 0 and part.count > 0 and part.source for part in found.parts)


def test_a_figure_between_rows_is_marked():
    assert area(FLEXIBLE).marks == ()
    assert area(FLEXIBLE, input_buffer="33 KiB").marks == ("interpolated",)
    assert area(FLEXIBLE, weight_buffer="62 KiB").marks == ("register file", "extrapolated")  # 31 words a bank
    assert area(ROW_STATIONARY).marks == ("extrapolated",)  # 224 words are above the table's 192


def test_all_faults_are_named_with_their_place():
    with pytest.raises(InputError) as caught:
        area(FLEXIBLE, precision__min_bits=1, input_buffer="64 MiB")
    assert len(caught.value.faults) == 2
    assert "allowed: 2/2" in caught.value.faults[0] and "input_buffer" in caught.value.faults[1]


def test_command(bitsim_command):
    status, out, _ = bitsim_command("hw", "area", FLEXIBLE, ROW_STATIONARY)
    assert status == 0 and "2.1410" in out and "left out" in out and "weight_spad* (extrapolated)" in out
    listed = json.loads(bitsim_command("hw", "area", FLEXIBLE, FIXED, "--format", "json")[1])["areas"]
    assert [one["hardware"] for one in listed] == [FLEXIBLE, FIXED]
    assert listed[0]["chip_mm2"] == area(FLEXIBLE).chip_mm2
    rows = list(csv.DictReader(io.StringIO(bitsim_command("hw", "area", FLEXIBLE, "--format", "csv")[1])))
    parts = [float(row["mm2"]) for row in rows if row["kind"] != "sum"]
    assert float(next(r["mm2"] for r in rows if r["part"] == "chip")) == pytest.approx(sum(parts))


def test_command_refuses_all_bad_machines_at_once(bitsim_command):
    status, out, err = bitsim_command("hw", "area", FLEXIBLE, FIXED, "--set", "technology.node_nm=7")
    assert (status, out) == (2, "") and err.count("node_nm 7") == 2 * 3
    assert bitsim_command("hw", "area", "nothing")[0] == 2

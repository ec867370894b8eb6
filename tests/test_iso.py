"""Machines at an equal size: budgets met within the granularity said, published ratios, equal machines exactly 1.0."""

import json
import math

import pytest

import bitsim
from bitsim.area import area_of
from bitsim.errors import InputError
from bitsim.iso import BOTH, BUFFERS, CHIP_AREA, CORE_AREA, GROWTHS, MEMORY, MODES, ROWS, resize

FLEXIBLE, FIXED = "bitfusion_16x32_192b", "int8_16x32_192b"
ROW_STATIONARY, NARROW = "eyeriss_12x14_108k_500mhz", "eyeriss_int8_12x14_108k_500mhz"
ALL = (FLEXIBLE, FIXED, ROW_STATIONARY, NARROW)
SIZE = {
    "array": lambda m: m.accelerator.config.array.rows * m.accelerator.config.array.cols,
    CORE_AREA: lambda m: area_of(m).core_mm2,
    CHIP_AREA: lambda m: area_of(m).chip_mm2,
    MEMORY: lambda m: area_of(m).memory_bits,
    BUFFERS: lambda m: area_of(m).buffer_bits,
}


def machines(*names, **overrides):
    return [bitsim.load_hardware(name, overrides) for name in names]


@pytest.mark.parametrize("baseline", [FLEXIBLE, ROW_STATIONARY])
@pytest.mark.parametrize("mode", MODES)
def test_budget_is_met_within_the_granularity(mode, baseline):
    budget = SIZE[mode](bitsim.load_hardware(baseline))
    for one in resize(machines(*ALL), mode, baseline):
        assert one.budget == budget
        assert one.used == SIZE[mode](one.machine) <= budget
        assert one.left_over == budget - one.used
        if mode == "array":
            assert one.left_over == 0
        else:
            assert one.left_over < one.granularity
        if one.given.name == baseline:
            assert one.changes == {} and one.machine is one.given


@pytest.mark.parametrize("grow", GROWTHS)
@pytest.mark.parametrize("mode", [CORE_AREA, CHIP_AREA])
def test_a_row_or_column_more_exceeds_the_area(mode, grow):
    for one in resize(machines(*ALL), mode, grow=grow)[1:]:
        array = one.machine.accelerator.config.array
        key, count = ("array.rows", array.rows) if grow == ROWS else ("array.cols", array.cols)
        more = bitsim.load_hardware(one.machine.source.path, one.machine.source.overrides | {key: count + 1})
        assert SIZE[mode](more) == pytest.approx(one.used + one.granularity) and SIZE[mode](more) > one.budget


def test_what_grows_is_what_was_asked_for():
    keys = {grow: set(resize(machines(FLEXIBLE, FIXED), CORE_AREA, grow=grow)[1].changes) for grow in GROWTHS}
    assert keys == {"cols": {"array.cols"}, "rows": {"array.rows"}, "both": {"array.cols", "array.rows"}}
    array = resize(machines(FLEXIBLE, FIXED), CORE_AREA, grow=BOTH)[1].machine.accelerator.config.array
    assert array.rows == math.floor(16 * math.sqrt(3.3962))  # of 3.40x the area


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_peak_throughput_of_fusion_units_at_equal_core_area(bits):
    """0.29x an int8 array at 8x8, 1.18x at 4x4, 4.7x at 2x2: from the synthesis of both."""
    flexible, fixed = (one.machine.accelerator for one in resize(machines(FLEXIBLE, FIXED), CORE_AREA, grow="cols"))
    products_a_cycle = flexible.peak_bit_products_per_cycle / bits**2
    macs_a_cycle = fixed.peak_bit_products_per_cycle / 8**2
    published = {8: 0.29, 4: 1.18, 2: 4.7}[bits]
    # One column of 108 is the granularity: the ratio is at most that much above the table's.
    assert published * 0.99 <= products_a_cycle / macs_a_cycle <= published * 1.02 * 109 / 108


@pytest.mark.parametrize("name", [FLEXIBLE, ROW_STATIONARY])
@pytest.mark.parametrize("mode", MODES)
def test_an_equal_machine_stays_as_it_is(mode, name, tmp_path):
    twin = tmp_path / "twin.yaml"
    twin.write_text(bitsim.load_hardware(name).source.path.read_text())
    for grow in GROWTHS if mode in (CORE_AREA, CHIP_AREA) else (BOTH,):
        one = resize([bitsim.load_hardware(name), bitsim.load_hardware(twin)], mode, grow=grow)[1]
        assert one.changes == {} and one.left_over == 0


def test_an_odd_capacity_of_the_same_size_is_left_alone(tmp_path):
    twin = tmp_path / "twin.yaml"
    twin.write_text(bitsim.load_hardware(FLEXIBLE).source.path.read_text())
    odd = {"input_buffer": "32 KiB", "output_buffer": "16393 B"}  # no whole number of words a bank
    given = [bitsim.load_hardware(FLEXIBLE, odd), bitsim.load_hardware(twin, odd)]
    assert [one.changes for one in resize(given, BUFFERS)] == [{}, {}]


def test_buffers_keep_their_proportions():
    (_, one) = resize(machines(ROW_STATIONARY, FLEXIBLE), MEMORY)
    before, after = ({b.name: b.capacity_bits for b in m.accelerator.buffers()} for m in (one.given, one.machine))
    factor = one.budget / sum(before.values())
    granules = {b.name: 2 * b.banks * b.access_bits for b in one.machine.accelerator.buffers()}
    for name, bits in after.items():
        assert bits % granules[name] == 0
        assert abs(bits - factor * before[name]) <= 2 * max(granules.values())


def test_memory_counts_registers_and_buffers_does_not():
    of_memory, of_buffers = (resize(machines(FLEXIBLE, ROW_STATIONARY), mode)[1].machine for mode in (MEMORY, BUFFERS))
    registers = area_of(bitsim.load_hardware(ROW_STATIONARY)).register_bits
    assert area_of(of_memory).register_bits == area_of(of_buffers).register_bits == registers > 0
    assert area_of(of_memory).buffer_bits < 112 * 8192 - registers + 256
    assert area_of(of_buffers).buffer_bits > 112 * 8192 - 256


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("memory.bandwidth", "48Gbit/s", "bandwidth"),
        ("memory.latency", "79ns", "memory latency"),
        ("memory.energy", "DDR4", "DRAM prices"),
        ("technology.node_nm", 32, "node"),
        ("technology.sram_cells", "itrs-hp", "SRAM cells"),
    ],
)
def test_unequal_conditions_are_refused(key, value, what):
    given = [bitsim.load_hardware(FLEXIBLE), bitsim.load_hardware(FIXED, {key: value})]
    with pytest.raises(
        InputError, match=f"--iso buffers: {what} not equal: .*allowed: the same for all.*{key}"
    ) as caught:
        resize(given, BUFFERS)
    assert len(caught.value.faults) == 1


def test_equal_memory_in_other_words_is_equal():
    """192 bits and 40 cycles at 500 MHz are 96 Gbit/s and 80 ns; the clock is the machine's own."""
    cycles = {"memory.bits_per_cycle": 192, "memory.latency_cycles": 40}
    given = [bitsim.load_hardware(FLEXIBLE), bitsim.load_hardware(FIXED, cycles)]
    assert resize(given, "array")[1].changes == {}
    slower = {"clock": "250 MHz"}
    assert resize([given[0], bitsim.load_hardware(FIXED, slower)], "array")[1].changes == {}
    with pytest.raises(InputError) as caught:
        resize([given[0], bitsim.load_hardware(FIXED, cycles | slower)], "array")
    assert [fault.split(": ")[1] for fault in caught.value.faults] == [
        "bandwidth not equal",
        "memory latency not equal",
    ]


def test_a_budget_nothing_fits_in_is_refused():
    small = bitsim.load_hardware(FLEXIBLE, {"array.rows": 1, "array.cols": 1, "weight_buffer": "4 KiB"})
    with pytest.raises(InputError, match="core-area: eyeriss_12x14_108k_500mhz: one column and what stays exceed"):
        resize([small, *machines(ROW_STATIONARY)], CORE_AREA)
    with pytest.raises(InputError, match=r"chip-area: .* or smaller buffers"):
        resize([small, *machines(ROW_STATIONARY)], CHIP_AREA)
    with pytest.raises(InputError, match=r"memory: .*registers counted .95424 B. .* above the 52 KiB .*--iso buffers"):
        resize([small, *machines(ROW_STATIONARY)], MEMORY)


def test_a_machine_without_logic_has_no_area_to_fill(monkeypatch):
    given = machines(FIXED, ROW_STATIONARY)
    monkeypatch.setattr(type(given[0].accelerator), "logic", lambda self: ())
    with pytest.raises(InputError, match="int8_16x32_192b: its accelerator declares no logic"):
        resize(given, CORE_AREA, ROW_STATIONARY)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("volume",), "--iso volume: is unknown, allowed: none, array"),
        ((CORE_AREA, None, "up"), "--grow up"),
        ((MEMORY, "no"), "--baseline no"),
    ],
)
def test_unknown_choices(arguments, message):
    with pytest.raises(InputError, match=message):
        resize(machines(FLEXIBLE, FIXED), *arguments)


HW = ("--hw", FLEXIBLE, "--hw", FIXED)


@pytest.mark.parametrize("mode", MODES)
def test_equal_machines_compare_as_one(trace_folder, bitsim_command, tmp_path, mode):
    twin = tmp_path / "twin.yaml"
    twin.write_text(bitsim.load_hardware(FLEXIBLE).source.path.read_text())
    arguments = ("compare", trace_folder(), "--hw", FLEXIBLE, "--hw", twin, "--iso", mode, "--format", "json")
    status, out, err = bitsim_command(*arguments)
    assert status == 0, err
    document = json.loads(out)
    assert all(row["speedup"] == row["energy_ratio"] == 1 for row in document["by_layer"])
    assert all(ratio == 1 for one in document["metrics"] for ratio in one["ratios"].values())
    assert document["disagreements"] == [] and [one["left_over"] for one in document["iso"]] == [0, 0]


def test_saved_machines_load_again(trace_folder, bitsim_command, tmp_path):
    saved = tmp_path / "saved"
    arguments = ("compare", trace_folder(), *HW, "--hw", ROW_STATIONARY, "--iso", "core-area", "--baseline", FLEXIBLE)
    status, out, err = bitsim_command(*arguments, "--save-resized", saved)
    assert status == 0, err
    assert "--iso core-area" in out and "left over" in out and "array.cols 32 ->" in out
    assert {p.name for p in saved.iterdir()} == {f"{n}_iso_core_area.yaml" for n in (FIXED, ROW_STATIONARY)}
    for one in resize(machines(FLEXIBLE, FIXED, ROW_STATIONARY), CORE_AREA)[1:]:
        again = bitsim.load_hardware(saved / f"{one.given.name}_iso_core_area.yaml")
        assert again.source.config_hash == one.machine.source.config_hash
        assert again.accelerator.config == one.machine.accelerator.config
    before = {p: p.read_bytes() for p in saved.iterdir()}
    status, out, err = bitsim_command(*arguments, "--save-resized", saved)
    assert (status, out) == (2, "") and f"--save-resized {saved}: is not empty" in err
    assert {p: p.read_bytes() for p in saved.iterdir()} == before


def test_bad_input_writes_nothing(trace_folder, bitsim_command, tmp_path):
    saved = tmp_path / "saved"
    for options, message in (
        (("--iso", "memory", "--set", f"{FIXED}:memory.energy=DDR4"), "DRAM prices not equal"),
        (("--iso", "none"), "--iso none resizes nothing"),
        (("--iso", "memory", "--grow", "rows"), "--grow rows: --iso memory grows no array"),
        (("--iso", "array", "--baseline", "nobody"), "nobody: is none of"),
    ):
        status, out, err = bitsim_command("compare", trace_folder(), *HW, *options, "--save-resized", saved)
        assert (status, out) == (2, "") and message in err
    assert list(tmp_path.glob("*saved*")) == list(tmp_path.glob(".bitsim-*")) == []


@pytest.mark.parametrize(("out", "saved"), [("made", "made"), ("made", "made/machines"), ("made/run", "made")])
def test_folders_of_two_options_are_apart(trace_folder, tmp_path, bitsim_command, out, saved):
    paths = "--out", tmp_path / out, "--save-resized", tmp_path / saved
    status, printed, err = bitsim_command("compare", trace_folder(), *HW, "--iso", "array", *paths)
    assert (status, printed) == (2, "") and "allowed: folders apart" in err
    assert not (tmp_path / "made").exists()


def test_a_folder_that_takes_nothing_is_refused_before_the_other_is_written(trace_folder, tmp_path, bitsim_command):
    """Permissions do not tell: /proc takes no files from anyone."""
    paths = "--out", tmp_path / "made", "--save-resized", "/proc/machines"
    status, printed, err = bitsim_command("compare", trace_folder(), *HW, "--iso", "array", *paths)
    assert (status, printed) == (2, "") and "--save-resized /proc/machines: /proc is not writable" in err
    assert not (tmp_path / "made").exists()

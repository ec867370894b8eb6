"""Faults a user reads: one line each, each said once."""

import re

import pytest

import bitsim
from bitsim import data
from bitsim.errors import MOST_SAID, InputError
from tests.conftest import RUN

MACHINE = data.find("hw_configs", "bitfusion_16x32_192b", ".yaml").read_text()
LONG = "many words " * 450 + "x" * 50


def test_a_fault_met_twice_is_said_once_in_the_order_met():
    # The resized machine of compare --iso is read for its area and for its prices.
    assert InputError(["b.yaml:8: slow", "a.yaml:1: odd", "b.yaml:8: slow"]).faults == (
        "b.yaml:8: slow",
        "a.yaml:1: odd",
    )


def test_line_ends_and_terminal_codes_are_escaped():
    assert InputError("a\nb\x1b[31m").faults == ("a\\nb\\x1b[31m",)


def _written(text, key, value):
    """`text` of YAML with another value of a key of its top level."""
    assert re.search(rf"(?m)^{key}: .*$", text)
    return re.sub(rf"(?m)^{key}: .*$", lambda _: f"{key}: {value}", text)


def _faults(folder, key, value):
    """What is said of a run.yaml or of a machine file with this value."""
    with pytest.raises(InputError) as told:
        if key in ("iterations", "synthetic", "name"):
            bitsim.open_trace(folder(run=_written(RUN, key, value)))
        else:
            path = folder().parent / "odd.yaml"
            path.write_text(_written(MACHINE, key, value))
            bitsim.simulate(bitsim.open_trace(folder()), bitsim.load_hardware(path))
    return told.value.faults


@pytest.mark.parametrize("value", ["x" * 5000, f"'{LONG}'", f"[{'y' * 5000}]"])
@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("iterations", "allowed: a whole number"),
        ("synthetic", "allowed: true or false"),
        ("clock", "write a number and a unit, e.g. 500 MHz; units: Hz, kHz, MHz, GHz"),
        ("array", "is not a section, allowed: rows, cols"),
    ],
)
def test_a_long_value_is_not_echoed_whole(trace_folder, key, value, allowed):
    (fault,) = _faults(trace_folder, key, value)
    assert fault.endswith(allowed) and "…" in fault
    assert len(fault.partition(f"{key}: ")[2]) <= MOST_SAID + len(": is not a frequency: ") + len(allowed)


@pytest.mark.parametrize("value", ["x" * 5000, LONG])
@pytest.mark.parametrize("key", ["accelerator", "technology", "memory"])
def test_a_long_name_of_a_table_is_not_echoed_whole(trace_folder, key, value):
    inside = {
        "accelerator": value,
        "technology": f"{{node_nm: 45, sram_cells: {value}}}",
        "memory": f"{{bandwidth: 96 Gbit/s, latency: 60 ns, energy: {value}}}",
    }
    for fault in _faults(trace_folder, key, inside[key]):
        assert len(fault) < 1000 and ("allowed: " in fault or "known: " in fault)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("iterations", "iterations: no value, allowed: a whole number"),
        ("name", "name: no value, allowed: text"),
        ("clock", "clock: no value, write a number and a unit, e.g. 500 MHz; units: Hz, kHz, MHz, GHz"),
        ("array", "array: no value, allowed: rows, cols"),
    ],
)
def test_a_blank_key_has_no_value(trace_folder, key, said):
    (fault,) = _faults(trace_folder, key, "")
    assert fault.endswith(f": {said}")

"""Faults a user reads: one line each, each said once."""

import re

import pytest
from pydantic import BaseModel, ValidationError

import bitsim
from bitsim import data
from bitsim.accelerators.registry import accelerator_class
from bitsim.errors import MOST_SAID, InputError, refusal
from bitsim.report.summary_file import MachineFacts, Metrics, Resizing, RunSummary, Summary
from bitsim.trace.run_file import RunInfo
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


ODD = (
    None,
    {},
    [],
    [1],
    [1, 2, 3],
    "",
    "a/b",
    "1" * 5000,
    "x",
    -1,
    0,
    1.5,
    2**70,
    float("nan"),
    float("inf"),
    True,
    b"x",
)


def _models(model):
    """A model and those of its sections."""
    inner = [info.annotation for info in model.model_fields.values()]
    sections = [one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)]
    return {model}.union(*(_models(one) for one in sections))


@pytest.mark.parametrize(
    "model",
    [
        *(RunInfo, Summary, RunSummary, MachineFacts, Resizing, Metrics),
        *(accelerator_class(name).config_model for name in ("bitfusion", "bit_serial", "eyeriss", "weight_stationary")),
    ],
)
def test_every_refusal_is_said_in_our_words(model):
    """Whatever a key is given: what is wrong and what is allowed, nothing of the library that found it."""
    told = set()
    for one in _models(model):
        for name, info in one.model_fields.items():
            for value in ODD:
                try:
                    one.model_validate({info.alias or name: value})
                except ValidationError as error:
                    told |= {refusal(item) for item in error.errors() if item["type"] != "extra_forbidden"}
    assert told - {"missing key"}
    foreign = re.compile("Input|[Vv]alid |validation|should|pattern|instance|items")
    assert [said for said in told if foreign.search(said)] == []
    assert [said for said in told if not re.search("missing key|allowed|write |give exactly", said)] == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("runs", {}, "{}: allowed: a list"),
        ("baseline", 3, "3: allowed: text"),
        ("metrics", None, "no value, allowed: a list"),
    ],
)
def test_a_refusal_of_a_summary(key, value, said):
    with pytest.raises(ValidationError) as error:
        Summary.model_validate({"bitsim": "1", "runs": [], key: value})
    (item,) = error.value.errors()
    assert refusal(item) == said


def test_a_number_too_small():
    facts = {"clock_hz": 1.0, "memory_bits_per_s": 1.0, "memory_latency_s": 0.0, "peak_bit_products_per_cycle": 0}
    with pytest.raises(ValidationError) as error:
        MachineFacts.model_validate(facts)
    (item,) = error.value.errors()
    assert refusal(item) == "0: allowed: more than 0"

"""Faults a user reads: one line each, each said once."""

from bitsim.errors import InputError


def test_a_fault_met_twice_is_said_once_in_the_order_met():
    # The resized machine of compare --iso is read for its area and for its prices.
    assert InputError(["b.yaml:8: slow", "a.yaml:1: odd", "b.yaml:8: slow"]).faults == (
        "b.yaml:8: slow",
        "a.yaml:1: odd",
    )


def test_line_ends_and_terminal_codes_are_escaped():
    assert InputError("a\nb\x1b[31m").faults == ("a\\nb\\x1b[31m",)

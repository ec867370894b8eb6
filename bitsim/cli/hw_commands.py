"""bitsim hw list|show|check|area."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bitsim.cli.options import Format, Settings, load_all, parse_overrides
from bitsim.errors import InputError

if TYPE_CHECKING:
    from bitsim.area import Area

app = typer.Typer(help="List, show, check and measure machine files.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Machine file, or the name of a shipped one.")]


@app.command("list")
def list_() -> None:
    """The shipped machines."""
    from bitsim import data
    from bitsim.accelerators.registry import load_hardware

    for name in data.names("hw_configs", ".yaml"):
        machine = load_hardware(name)
        config = machine.accelerator.config
        typer.echo(
            f"{name:36} {config.accelerator}, {config.array.rows}x{config.array.cols}, {config.clock / 10**6} MHz"
        )


@app.command()
def show(hw: Name, set_: Settings = None) -> None:
    """A machine as read: its keys, and where each of its prices comes from."""
    from bitsim.accelerators.registry import load_hardware
    from bitsim.energy import PriceList
    from bitsim.report.console import plain_console
    from bitsim.report.text import key_values
    from bitsim.units import show_size

    machine = load_hardware(hw, parse_overrides(set_ or [], [hw])[hw])
    prices = PriceList(machine)
    console = plain_console()
    console.print(key_values(str(machine.source.path), _flat(machine.source.content)))
    derived: list[tuple[str, object]] = [
        ("memory rate", f"{float(machine.rate):g} bits/cycle"),
        ("memory latency", f"{machine.port.latency_cycles} cycles"),
    ]
    for buffer in machine.accelerator.buffers():
        price = prices.buffers[buffer.name]
        derived.append(
            (
                buffer.name,
                f"{show_size(buffer.capacity_bits)} in {buffer.banks} banks, read {price.read_pj_per_bit:.4g} "
                f"write {price.write_pj_per_bit:.4g} pJ/bit, leakage {price.leakage_mw:.4g} mW",
            )
        )
    derived.append(("array", f"leakage {prices.array.leakage_mw:.4g} mW"))
    console.print(key_values("derived", derived))
    each = [(name, f"{prices.price_pj(name):.4g}") for name in prices.priced_counters]
    a_cycle_pj = prices.energy_pj({}, cycles=1)
    each += [(f"cycles, {name}", f"{a_cycle_pj[name]:.4g}") for name in ("leakage_pj", "dram_static_pj")]
    console.print(key_values("prices, pJ each", each))
    console.print(key_values("sources of prices", prices.sources().items()))


@app.command()
def check(hw: Name, set_: Settings = None) -> None:
    """Read a machine file with every check there is, prices included."""
    from bitsim.accelerators.registry import load_hardware
    from bitsim.energy import PriceList

    machine = load_hardware(hw, parse_overrides(set_ or [], [hw])[hw])
    PriceList(machine)
    typer.echo(f"{machine.source.path}: sound: {machine.accelerator.config.accelerator}")


@app.command()
def area(
    hw: Annotated[list[str], typer.Argument(help="Machine files, or names of shipped ones.")],
    set_: Settings = None,
    format_: Format = "table",
) -> None:
    """Area of machines, part by part, with where each figure comes from; core (the array) and chip."""
    from bitsim.area import area_of
    from bitsim.report import area_text

    areas: list[Area] = []
    faults: list[str] = []
    for machine in load_all(hw, set_):
        try:
            areas.append(area_of(machine))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    if format_ == "json":
        area_text.write_json(areas, sys.stdout)
    elif format_ == "csv":
        area_text.write_csv(areas, sys.stdout)
    else:
        from bitsim.report.console import plain_console

        area_text.print_areas(areas, plain_console())


def _flat(content: dict, prefix: str = "") -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    for key, value in content.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
    return pairs

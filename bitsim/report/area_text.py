"""Areas of machines as tables, CSV and JSON."""

from __future__ import annotations

import csv
import json
from typing import IO, Any

from bitsim import __version__
from bitsim.area import LEFT_OUT, Area, Part
from bitsim.units import show_size

CSV_COLUMNS = ("hardware", "part", "kind", "count", "bits", "mm2_each", "mm2", "marks", "source")


def print_areas(areas: list[Area], console: Any) -> None:
    """One table a machine, its sources below, then the machines beside the first one."""
    for area in areas:
        console.print(_parts_table(area))
        for part in area.parts:
            star = f"* ({', '.join(part.marks)})" if part.marks else ""
            console.print(f"  {part.name}{star}: {part.source}", highlight=False, soft_wrap=True)
        console.print()
    if len(areas) > 1:
        console.print(_sums_table(areas))
        console.print()
    console.print(f"left out for want of a source: {LEFT_OUT}", highlight=False, soft_wrap=True)


def write_csv(areas: list[Area], out: IO[str]) -> None:
    """One line a part, then core and chip of the machine; marks separated by semicolons."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for area in areas:
        for part in area.parts:
            values = _record(part)
            values["marks"] = ";".join(part.marks)
            writer.writerow([area.machine, *(values[name] for name in CSV_COLUMNS[1:])])
        for name, bits, mm2 in (
            ("core", area.register_bits, area.core_mm2),
            ("chip", area.memory_bits, area.chip_mm2),
        ):
            writer.writerow([area.machine, name, "sum", 1, bits, mm2, mm2, ";".join(area.marks), "sum of the parts"])


def write_json(areas: list[Area], out: IO[str]) -> None:
    """One object: {"bitsim", "left_out", "areas": [{hardware, parts, core_mm2, chip_mm2, ...}]}."""
    listed = [
        {
            "hardware": area.machine,
            "core_mm2": area.core_mm2,
            "buffers_mm2": area.buffers_mm2,
            "chip_mm2": area.chip_mm2,
            "register_bits": area.register_bits,
            "buffer_bits": area.buffer_bits,
            "marks": list(area.marks),
            "parts": [_record(part) for part in area.parts],
        }
        for area in areas
    ]
    out.write(json.dumps({"bitsim": __version__, "left_out": LEFT_OUT, "areas": listed}, indent=1) + "\n")


def _record(part: Part) -> dict[str, Any]:
    return {
        "part": part.name,
        "kind": part.kind,
        "count": part.count,
        "bits": part.bits,
        "mm2_each": part.mm2_each,
        "mm2": part.mm2,
        "marks": list(part.marks),
        "source": part.source,
    }


def _parts_table(area: Area) -> Any:
    table = _table(area.machine, 2, "part", "kind", "count", "holds", "mm2 each", "mm2", "", "of chip")
    for part in area.parts:
        holds = show_size(part.bits) if part.bits else ""
        share = f"{part.mm2 / area.chip_mm2:.1%}"
        star = "*" if part.marks else ""
        values = (holds, f"{part.mm2_each:.3g}", f"{part.mm2:.4f}", star, share)
        table.add_row(part.name, part.kind, str(part.count), *values)
    table.add_section()
    for name, bits, mm2 in (("core", area.register_bits, area.core_mm2), ("chip", area.memory_bits, area.chip_mm2)):
        holds = f"{bits / 8192:.1f} KiB" if bits else ""
        table.add_row(name, "", "", holds, "", f"{mm2:.4f}", "", f"{mm2 / area.chip_mm2:.1%}")
    return table


def _sums_table(areas: list[Area]) -> Any:
    first = areas[0]
    table = _table(
        f"beside {first.machine}", 1, "hardware", "core mm2", "ratio", "chip mm2", "ratio", "memory", "ratio"
    )
    for area in areas:
        table.add_row(
            area.machine,
            f"{area.core_mm2:.4f}",
            _ratio(area.core_mm2, first.core_mm2),
            f"{area.chip_mm2:.4f}",
            _ratio(area.chip_mm2, first.chip_mm2),
            f"{area.memory_bits / 8192:.1f} KiB",
            _ratio(area.memory_bits, first.memory_bits),
        )
    return table


def _table(title: str, left: int, *columns: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, box=SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left or not column else "right", overflow="fold")
    return table


def _ratio(value: float, to: float) -> str:
    return f"{value / to:.2f}x" if to else "-"

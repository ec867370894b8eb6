"""Tables of a report: machines and passes with ratios, and every layer in every pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bitsim.report.result_folder import ResultFolder
from bitsim.report.summary_file import RunSummary
from bitsim.report.text import si
from bitsim.simulation.compare import TOTAL
from bitsim.workload import FLOAT_BITS

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS = 1000


@dataclass(frozen=True)
class Cell:
    """What is shown, and what it is sorted by."""

    shown: str
    value: float | str


@dataclass(frozen=True)
class Table:
    """A sortable table.  columns: (title, is a number); note: what was left out, empty where nothing was."""

    name: str
    title: str
    columns: tuple[tuple[str, bool], ...]
    rows: list[list[Cell]]
    note: str = ""


def machines_table(folder: ResultFolder) -> Table:
    """One row a machine: time, energy and their product of an iteration, with ratios to the baseline."""
    base = folder.baseline
    columns = [("machine", False), ("time", True), ("energy", True), ("energy × delay", True), ("cycles", True)]
    columns += [("whole run, time", True), ("whole run, energy", True)]
    if len(folder.runs) > 1:
        columns += [("speed", True), ("energy ratio", True)]
    rows = []
    for run in folder.runs:
        time, energy = run.latency_s_per_iteration, run.energy_j_per_iteration
        row = [text_cell(run.hardware), si_cell(time, "s"), si_cell(energy, "J"), si_cell(time * energy, "Js")]
        row += [Cell(f"{run.cycles / run.iterations:,.0f}", run.cycles / run.iterations)]
        row += [si_cell(run.latency_s, "s"), si_cell(run.energy_j, "J")]
        if len(folder.runs) > 1:
            row += [_ratio(base.latency_s, run.latency_s), _ratio(base.energy_j, run.energy_j)]
        rows.append(row)
    note = f"Ratios are {base.hardware} over the machine: above 1 is better." if len(folder.runs) > 1 else ""
    return Table("machines", "Of an iteration, mean over the run", tuple(columns), rows, note)


def passes_table(folder: ResultFolder) -> Table:
    """One row a machine and pass: time, energy, utilisation, what bounds it, ratios to the baseline."""
    by_pass = {run.hardware: _by_pass(folder, run) for run in folder.runs}
    base = by_pass[folder.baseline.hardware]
    compared = len(folder.runs) > 1
    columns = [("machine", False), ("pass", False), ("time", True), ("energy", True), ("utilisation", True)]
    columns += [("speed", True), ("energy ratio", True)] if compared else []
    rows = []
    for name, table in by_pass.items():
        for pass_name, sums in table.items():
            row = [text_cell(name), text_cell(pass_name), si_cell(sums["seconds"], "s"), si_cell(sums["joules"], "J")]
            row.append(_share(sums["utilisation"]))
            if compared:
                has_base = pass_name in base
                row += [
                    _ratio(base[pass_name][column], sums[column]) if has_base else Cell("–", 0.0)
                    for column in ("seconds", "joules")
                ]
            rows.append(row)
    return Table("passes", "By pass, mean of an iteration", tuple(columns), rows)


def layers_table(folder: ResultFolder) -> Table:
    """One row a machine, layer and pass: widths, time, energy, utilisation, bound, MACs a byte."""
    columns = [("machine", False), ("layer", False), ("pass", False), ("bits", True), ("time", True)]
    columns += [("of time", True), ("energy", True), ("of energy", True), ("utilisation", True), ("bound", False)]
    columns += [("MACs a byte", True)]
    sums = _by_layer(folder)
    note = ""
    if len(sums) > MOST_ROWS:
        kept = sums.nlargest(MOST_ROWS, "time_share").index
        note = f"{MOST_ROWS:,} of {len(sums):,} rows, those that take the largest shares of time."
        sums = sums.loc[sums.index.isin(kept)]
    rows = [
        [
            text_cell(row["hardware"]),
            text_cell(row["layer"]),
            text_cell(row["pass_name"]),
            Cell(
                f"{_range(row['input_least'], row['input_most'])} × {_range(row['weight_least'], row['weight_most'])}",
                row["input_most"] * 100 + row["weight_most"],
            ),
            si_cell(row["seconds"], "s"),
            _share(row["time_share"]),
            si_cell(row["joules"], "J"),
            _share(row["energy_share"]),
            _share(row["utilisation"]),
            text_cell(row["bound"]),
            Cell(f"{row['intensity']:.3g}", row["intensity"]),
        ]
        for row in sums.to_dict("records")
    ]
    return Table("rows", "Every layer in every pass, mean of an iteration", tuple(columns), rows, note)


def _by_pass(folder: ResultFolder, run: RunSummary) -> dict[str, dict[str, float]]:
    """{pass in training order, and total: seconds, joules of an iteration, utilisation}."""
    import pandas as pd

    costs = folder.costs[folder.costs["hardware"] == run.hardware]
    sums = costs.groupby("pass")[["cycles", "energy_pj", "weighted_utilisation"]].sum()
    sums = sums.reindex([name for name in folder.passes if name in sums.index])
    sums = pd.concat([sums, pd.DataFrame([sums.sum()], index=[TOTAL])])
    sums["seconds"] = sums["cycles"] / run.machine.clock_hz / run.iterations
    sums["joules"] = sums["energy_pj"] * 1e-12 / run.iterations
    sums["utilisation"] = sums["weighted_utilisation"] / sums["cycles"]
    return {str(name): {str(k): float(v) for k, v in row.items()} for name, row in sums.to_dict("index").items()}


def _by_layer(folder: ResultFolder) -> pd.DataFrame:
    """Sums of each machine, layer and pass, in the order they run; the bound is that of most cycles."""
    costs = folder.costs
    keys = ["hardware", "layer", "pass"]
    clocks = {run.hardware: run.machine.clock_hz for run in folder.runs}
    totals = costs.groupby("hardware")[["cycles", "energy_pj"]].sum()
    groups = costs.groupby(keys, sort=False)
    sums = groups[["cycles", "energy_pj", "weighted_utilisation", "macs", "dram_read_bits", "dram_write_bits"]].sum()
    for operand in ("input", "weight"):
        sums[f"{operand}_least"] = groups[f"{operand}_bits"].min()
        sums[f"{operand}_most"] = groups[f"{operand}_bits"].max()
    votes = costs.groupby([*keys, "bound"], sort=False)["cycles"].sum().reset_index()
    votes = votes.sort_values("cycles", ascending=False, kind="stable").drop_duplicates(keys).set_index(keys)
    sums["bound"] = votes["bound"]
    sums = sums.reset_index().rename(columns={"pass": "pass_name"})
    sums["seconds"] = sums["cycles"] / sums["hardware"].map(clocks) / folder.runs[0].iterations
    sums["joules"] = sums["energy_pj"] * 1e-12 / folder.runs[0].iterations
    sums["time_share"] = sums["cycles"] / sums["hardware"].map(totals["cycles"])
    sums["energy_share"] = sums["energy_pj"] / sums["hardware"].map(totals["energy_pj"])
    sums["utilisation"] = sums["weighted_utilisation"] / sums["cycles"]
    moved_bytes = (sums["dram_read_bits"] + sums["dram_write_bits"]) / 8
    sums["intensity"] = (sums["macs"] / moved_bytes).where(moved_bytes > 0, 0.0)
    return sums


def text_cell(text: str) -> Cell:
    return Cell(text, text)


def si_cell(value: float, unit: str) -> Cell:
    return Cell(si(value, unit).replace(" u", " µ"), float(value))


def _share(value: float) -> Cell:
    return Cell(f"{value:.1%}", float(value))


def _ratio(base: Any, own: Any) -> Cell:
    return Cell(f"{base / own:.3f}×", float(base / own)) if own else Cell("–", 0.0)


def _range(least: int, most: int) -> str:
    words = ["float" if bits == FLOAT_BITS else str(bits) for bits in dict.fromkeys((least, most))]
    return "–".join(words)

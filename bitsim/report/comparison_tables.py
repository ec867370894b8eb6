"""Tables of what `compare` says of machines as a whole: how they were resized, and what each metric ranks first."""

from __future__ import annotations

from bitsim.report.result_folder import ResultFolder
from bitsim.report.tables import Cell, Table, si_cell, text_cell
from bitsim.simulation.metrics import METRICS


def resized_tables(folder: ResultFolder) -> tuple[Table, ...]:
    """One row a machine that `compare --iso` brought to the size of the baseline; none where it did not."""
    if not folder.summary.iso:
        return ()
    columns = (("machine", False), ("changed", False), ("budget", True), ("used", True), ("left over", True))
    rows = [
        [
            text_cell(one.hardware),
            text_cell(", ".join(f"{key}: {value}" for key, value in one.changes.items()) or "nothing"),
            *(Cell(f"{value:,.6g} {one.unit}", value) for value in (one.budget, one.used, one.left_over)),
        ]
        for one in folder.summary.iso
    ]
    one = folder.summary.iso[0]
    title = f"Machines brought to the {one.mode.replace('-', ' ')} of {folder.baseline.hardware}"
    return (Table("resized", title, columns, rows, f"{one.rule[:1].upper()}{one.rule[1:]}."),)


def metrics_tables(folder: ResultFolder) -> tuple[Table, ...]:
    """One row a metric, a column a machine with its ratio to the baseline; none where nothing was compared."""
    measured = folder.summary.metrics
    shown = [metric for metric in METRICS if all(metric.name in one.values for one in measured)]
    if not measured or not shown:
        return ()
    columns = [("metric", False)]
    for one in measured:
        columns += [(one.hardware, True), ("ratio", True)]
    rows = []
    for metric in shown:
        row = [text_cell(metric.label)]
        for one in measured:
            value, ratio = one.values[metric.name], one.ratios.get(metric.name, 1.0)
            row += [si_cell(value, metric.unit) if metric.unit else Cell(f"{value:,.4g}", value)]
            row += [Cell(f"{ratio:.3f}×", ratio)]
        rows.append(row)
    note = f"Ratios are to {folder.baseline.hardware}: above 1 is better."
    return (Table("metrics", "What each metric says, whole run", tuple(columns), rows, note),)

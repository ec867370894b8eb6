"""Reports without a browser: figures add up to the result, words say what numbers do."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bitsim
from bitsim.report.figures.figure import bands, scale
from bitsim.report.figures.layers import layers_figure
from bitsim.report.figures.precision import precision_figure
from bitsim.report.figures.ratios import ratios_figure
from bitsim.report.figures.roofline import roofline_figures
from bitsim.report.figures.stacked_bars import cycles_figure, energy_figure
from bitsim.report.figures.training import loss_curve, stage_starts, training_figure
from bitsim.report.folder import write_folder
from bitsim.report.html import report_html, sections
from bitsim.report.result_folder import read_folder
from bitsim.report.tables import layers_table, machines_table, passes_table
from bitsim.report.verdict import verdict
from tests.conftest import RUN
from tests.result_folders import MACHINES, simulated, written


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("traces") / "small")


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    return read_folder(written(results, tmp_path_factory.mktemp("results") / "out"))


@pytest.fixture
def own_folder(folder, tmp_path):
    """A copy to spoil."""
    return Path(shutil.copytree(folder.path, tmp_path / "out"))


def panel_of(trace):
    return int(trace.get("xaxis", "x")[1:] or 1) - 1


def test_bars_add_up(folder, results):
    energy, share = energy_figure(folder).views
    for place, result in enumerate(results):
        bars = [bar for bar in energy.traces if panel_of(bar) == place]
        sums = dict(zip(bars[0]["y"], np.sum([bar["x"] for bar in bars], axis=0), strict=True))
        factor, unit = scale(max(r.totals["energy_j"] / r.iterations for r in results), "J")
        assert unit in energy.layout["xaxis3"]["title"]["text"]
        total = result.totals["energy_j"] / result.iterations * factor
        assert sums.pop("all passes") == pytest.approx(total, rel=1e-4)
        assert sum(sums.values()) == pytest.approx(total, rel=1e-4)
    for view in (share, cycles_figure(folder).views[0]):
        for place in range(len(results)):
            whole = np.sum([bar["x"] for bar in view.traces if panel_of(bar) == place], axis=0)
            assert whole == pytest.approx(np.full(len(whole), 100), rel=1e-4)


def test_cells_add_up(folder, results):
    views = {view.label: view for view in layers_figure(folder).views}
    for label, column, unit in (("time", "latency_s", "s"), ("energy", "energy_j", "J")):
        said = views[label].layout["coloraxis"]["colorbar"]["title"]["text"]
        factor = next(f for f in 10.0 ** np.arange(-9, 13, 3) if scale(1.5 / f, unit)[1] == said.split(", ")[1])
        for cells, result in zip(views[label].traces, results, strict=True):
            total = np.nansum(np.array(cells["z"], float)) / factor
            assert total == pytest.approx(result.totals[column] / result.iterations, rel=1e-4)
    for label, low, high in (("utilisation", 0, 100), ("stalled", 0, 100)):
        for cells in views[label].traces:
            values = np.array(cells["z"], float)
            assert np.nanmin(values) >= low and np.nanmax(values) <= high


def test_dots_are_below_their_roofs(folder, results):
    """Every layer and pass is one dot a precision, and its height over its roof is its utilisation."""
    for figure, result, run in zip(roofline_figures(folder), results, folder.runs, strict=True):
        dots = [trace for trace in figure.views[0].traces if trace["mode"] == "markers" and trace["x"] != [None]]
        keys = ["layer", "pass", "input_hw_bits", "weight_hw_bits"]
        assert sum(len(dot["x"]) for dot in dots) == len(result.rows.drop_duplicates(keys))
        bytes_per_s = run.machine.memory_bits_per_s / 8
        for dot in dots:
            below = np.array(dot["x"]) * bytes_per_s
            assert (np.array(dot["y"]) <= below * (1 + 1e-5)).all()
        for row in result.rows.itertuples():
            roof = run.machine.peak_bit_products_per_cycle / (row.input_hw_bits * row.weight_hw_bits)
            assert row.macs / row.cycles / roof == pytest.approx(row.utilisation)


def test_a_precision_has_one_colour_on_all_machines(folder):
    colours = {}
    for figure in roofline_figures(folder):
        for roof in figure.views[0].traces:
            if roof["mode"] == "lines+text":
                colours.setdefault(roof["name"], set()).add(roof["line"]["color"])
    assert "8×8 bits" in colours and all(len(found) == 1 for found in colours.values())
    assert len(set.union(*colours.values())) == len(colours)


def test_training_adds_up_whatever_the_bins(folder, results):
    figure = training_figure(folder)
    for result in results:
        lines = {t["yaxis"]: t for t in figure.views[0].traces if t["name"] == result.machine.name}
        for axis, column, unit in (("y2", "latency_s", "s"), ("y3", "energy_j", "J")):
            factor = scale(max(r.per_iteration()[column].max() for r in results), unit)[0]
            total = (np.diff(lines[axis]["x"]) * lines[axis]["y"][:-1]).sum() / factor
            assert total == pytest.approx(result.totals[column], rel=1e-4)


def test_rows_by_trace_make_the_same_report(results, folder, tmp_path):
    write_folder(tmp_path / "by_trace", results, rows="trace")
    by_trace = read_folder(tmp_path / "by_trace")
    assert len(pd.read_parquet(tmp_path / "by_trace" / "rows.parquet")) > len(folder.costs)
    first, second = (
        s.set_index(["hardware", "layer", "pass", "input_bits", "weight_bits"]) for s in (folder.costs, by_trace.costs)
    )
    pd.testing.assert_frame_equal(first, second.loc[first.index])


def test_pieces_of_a_table_are_one_table(folder, monkeypatch):
    monkeypatch.setattr("bitsim.report.result_folder.BATCH_ROWS", 4)
    again = read_folder(folder.path)
    pd.testing.assert_frame_equal(folder.costs, again.costs)
    for name in MACHINES:
        pd.testing.assert_frame_equal(folder.training[name], again.training[name])


def test_ratios_to_the_fastest(folder, results):
    figure = ratios_figure(folder)
    fastest = min(results, key=lambda result: result.totals["latency_s"])
    assert figure.title == f"Ratio to {fastest.machine.name}"
    by_layer = bitsim.compare(results, fastest.machine.name).by_layer().set_index(["hardware", "layer", "pass"])
    for view, column in zip(figure.views, ("speedup", "energy_ratio"), strict=True):
        for dots in view.traces:
            machine, pass_name = dots["name"].split(", ")
            for layer, ratio in zip(dots["x"], dots["y"], strict=True):
                assert 1 / ratio == pytest.approx(by_layer.loc[machine, layer, pass_name][column], rel=1e-4)


def test_precision_is_the_trace(folder):
    cells = {view.label: view.traces[0] for view in precision_figure(folder).views}
    at_50, at_80 = (np.searchsorted(cells["weights"]["x"], i, side="right") - 1 for i in (50, 80))
    layers = cells["weights"]["y"]
    assert layers == ["conv", "fc", "attend"]
    fc = {name: [cell["z"][1][at_50], cell["z"][1][at_80]] for name, cell in cells.items()}
    assert fc == {"activations": [5, 8], "weights": [4, 8], "gradients": [8, 8]}  # 6 samples at 4 bits and 2 at 8


def test_float_layers_are_named_and_apart(trace_folder, tmp_path):
    precision = "iteration_start,iteration_end,layer,samples,activation_bits,weight_bits,gradient_bits\n"
    precision += "0,100,conv,,32,32,32\n0,50,fc,,4,4,8\n50,100,fc,0,4,4,8\n0,100,attend,,8,8,8\n"
    trace = bitsim.open_trace(trace_folder(precision=precision))
    write_folder(tmp_path / "out", [bitsim.simulate(trace, bitsim.load_hardware(MACHINES[0]))])
    folder = read_folder(tmp_path / "out")
    bits, floats = precision_figure(folder).views[0].traces
    assert set(bits["z"][0]) == {None} and set(floats["z"][0]) == {32} and floats["text"][0].count("float") == 1
    fc = np.array(bits["z"][1], float)
    assert np.isnan(fc[50:]).all() and (fc[:50] == 4).all() and set(floats["z"][1]) == {None}
    assert layers_table(folder).rows[0][3].shown == "float × float"


@pytest.mark.parametrize(
    ("loss", "shown"),
    [
        ("iterations_per_epoch: 25\nloss: {train: [2.0, 1.0, 0.0, 0.25]}\n", [(25, 2.0), (50, 1.0), (100, 0.25)]),
        ("iterations_per_epoch: 50\nloss: [2.0, 1.0]\n", [(50, 2.0), (100, 1.0)]),
        ("loss: {train: [2.0, 1.0]}\n", None),  # nothing says when
        ("iterations_per_epoch: 50\nloss: {test: [2.0, 1.0]}\n", None),
    ],
)
def test_loss_stands_at_the_end_of_its_epoch(trace_folder, tmp_path, results, loss, shown):
    trace = bitsim.open_trace(trace_folder(run=RUN + loss, name="lossy"))
    write_folder(tmp_path / "out", [bitsim.simulate(trace, results[0].machine)])
    curve = loss_curve(read_folder(tmp_path / "out"))
    assert (curve and list(zip(curve["x"], curve["y"], strict=True))) == shown


def test_stages_are_few_or_none():
    edges = list(range(0, 120, 10))
    steps = np.repeat([3.0, 4.0, 8.0], [4, 4, 3])
    assert stage_starts(edges, [steps, np.full(11, 8.0), np.full(11, np.nan)]) == [40, 80]
    inside = np.repeat([3.0, 3.9, 4.0, 7.0], [4, 1, 3, 3])  # most of the bin from 40 on is after the switch
    assert stage_starts(edges, [inside] * 3) == [40, 80]
    assert stage_starts([0, 10], [np.array([3.0])] * 3) == []
    restless = np.tile([3.0, 4.0], 20)
    assert stage_starts(list(range(41)), [restless] * 3) == []


def test_many_layers_share_bands():
    assert len(bands([str(i) for i in range(250)]).labels) == 250 and bands(["a"]).note == ""
    many = bands([f"l{i}" for i in range(10_000)])
    assert len(many.labels) == 250 and many.members["l39"] == 0 and many.members["l40"] == 1
    assert "10,000 layers are drawn as 250 bands of 40" in many.note
    assert len(bands([f"l{i}" for i in range(251)]).labels) == 126


def test_tables_are_those_of_compare(folder, results):
    machines = machines_table(folder)
    comparison = bitsim.compare(results)
    total = comparison.by_pass().query("`pass` == 'total'").set_index("hardware")
    names = [title for title, _ in machines.columns]
    for row in machines.rows:
        cells = dict(zip(names, row, strict=True))
        one = total.loc[cells["machine"].shown]
        assert cells["speed"].value == pytest.approx(one.speedup)
        assert cells["energy ratio"].value == pytest.approx(one.energy_ratio)
        assert cells["whole run, time"].value == pytest.approx(one.latency_s)
    by_pass = comparison.by_pass().set_index(["hardware", "pass"])
    for machine, name, time, energy, used, speed, ratio in passes_table(folder).rows:
        one = by_pass.loc[machine.shown, name.shown]
        got = [cell.value for cell in (time, energy, used, speed, ratio)]
        per_run = [one.latency_s / 100, one.energy_j / 100, one.utilisation, one.speedup, one.energy_ratio]
        assert got == pytest.approx(per_run)
    by_layer = comparison.by_layer().set_index(["hardware", "layer", "pass"])
    rows = layers_table(folder).rows
    assert len(rows) == len(by_layer)
    for machine, layer, name, _, time, _, energy, _, used, bound, _ in rows:
        one = by_layer.loc[machine.shown, layer.shown, name.shown]
        assert [time.value, energy.value, used.value] == pytest.approx(
            [one.latency_s / 100, one.energy_j / 100, one.utilisation]
        )
        assert bound.shown == one.bound


def test_the_headline_says_who_is_better(folder):
    def with_costs(*costs):
        pairs = zip(folder.runs, costs, strict=False)
        runs = tuple(run.model_copy(update={"latency_s": time, "energy_j": energy}) for run, (time, energy) in pairs)
        summary = folder.summary.model_copy(update={"runs": runs})
        return verdict(dataclasses.replace(folder, summary=summary))

    first, second, third = MACHINES
    assert with_costs((3.0, 8.0)).headline == f"{first} takes 30 ms and 80 mJ for an iteration of small."
    both = with_costs((6.0, 8.0), (2.0, 4.0)).headline
    assert both == f"{second} trains 3.00× faster and spends 2.00× less energy than {first} on small."
    next_best = with_costs((6.0, 8.0), (2.0, 4.0), (3.0, 5.0)).headline
    assert f"1.50× faster and spends 1.25× less energy than {third}, the next best, on" in next_best
    apart = with_costs((2.0, 8.0), (3.0, 2.0)).headline
    assert apart == f"{first} trains 1.50× faster, {second} spends 4.00× less energy on small."
    assert "cost the same" in with_costs((2.0, 2.0), (2.0, 2.0)).headline
    # Who is faster by less than what counts as equal is not called faster, wherever it stands in the list.
    for costs, better, other in (
        (((2.0, 2.3), (2.0, 2.0)), second, first),
        (((2.0, 2.0), (2.0, 2.3)), first, second),
        (((2.0, 2.3), (2.005, 2.0)), second, first),
    ):
        assert (
            with_costs(*costs).headline == f"{better} spends 1.15× less energy than {other} in the same time on small."
        )
    assert with_costs((2.0, 2.005), (3.0, 2.0)).headline == (
        f"{first} trains 1.50× faster than {second} at the same energy on small."
    )


def test_facts_and_cautions(folder, trace_folder, tmp_path):
    said = verdict(folder)
    assert len(said.facts) == len(MACHINES) and MACHINES[2] in said.facts[2]
    (unequal,) = said.cautions
    assert "clock" in unequal and "node" not in unequal
    trace = bitsim.open_trace(trace_folder(name="made"))
    machine = bitsim.load_hardware(MACHINES[0])
    write_folder(tmp_path / "part", [bitsim.simulate(trace, machine, iterations=(10, 20))])
    cautions = verdict(read_folder(tmp_path / "part")).cautions
    assert "synthetic" in cautions[0] and "Iterations 10 to 20 of 100" in cautions[1]


def test_resized_machines_have_a_section(folder, own_folder):
    path = own_folder / "summary.json"
    summary = json.loads(path.read_text())
    summary["baseline"] = MACHINES[1]
    summary["iso"] = [
        {
            "hardware": MACHINES[0],
            "mode": "chip-area",
            "rule": "the largest array within the area",
            "unit": "mm2",
            "changes": {"array.cols": 24},
            "budget": 2.5,
            "used": 2.4,
            "left_over": 0.1,
            "granularity": 0.2,
        }
    ]
    path.write_text(json.dumps(summary))
    again = read_folder(own_folder)
    (section,) = [section for section in sections(again) if section.name == "iso"]
    (table,) = section.tables
    assert table.title == f"Machines brought to the chip area of {MACHINES[1]}"
    assert [cell.shown for cell in table.rows[0]] == [MACHINES[0], "array.cols: 24", "2.5 mm2", "2.4 mm2", "0.1 mm2"]
    assert "iso" not in {section.name for section in sections(folder)}


def test_metrics_and_where_they_disagree(folder, results):
    (section,) = [section for section in sections(folder) if section.name == "metrics"]
    comparison = bitsim.compare(results)
    cells = {row[0].shown: row[1:] for row in section.tables[0].rows}
    assert [cell.value for cell in cells["time"][::2]] == [r.totals["latency_s"] for r in results]
    base = results[0].totals["energy_j"]
    assert [cell.value for cell in cells["energy"][1::2]] == pytest.approx(
        [base / r.totals["energy_j"] for r in results]
    )
    assert len(section.sentences) == len(comparison.disagreements()) > 0
    assert all(said.split(":")[0] in MACHINES[1:] for said in section.sentences)


def test_notes_on_prices_are_cautions(tmp_path, results):
    small = bitsim.load_hardware(MACHINES[0], {"weight_buffer": "16 KiB"})
    write_folder(tmp_path / "out", [bitsim.simulate(results[0].trace, small)])
    said = verdict(read_folder(tmp_path / "out")).cautions
    assert said == [f"{note}." for note in bitsim.simulate(results[0].trace, small).prices.notes()] and said


def test_the_page_holds_everything_and_loads_nothing(folder):
    page = report_html(folder)
    without_plotly = max(re.split(r"<script>", page), key=len)
    own = page.replace(without_plotly, "")
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", own)
    assert "default-src 'none'" in own
    for run in folder.runs:
        assert run.config_hash in own and run.trace_hash in own
        assert all(source.replace('"', "&#34;").replace("<", "&lt;") in own for source in run.price_sources.values())


def test_command(bitsim_command, folder, own_folder, tmp_path):
    status, out, err = bitsim_command("report", own_folder)
    assert status == 0 and err == ""
    assert out.splitlines() == [verdict(folder).headline, f"report: {own_folder / 'report.html'}"]
    status, _, _ = bitsim_command("report", own_folder, "--html", tmp_path / "new" / "page.html")
    assert status == 0
    assert (tmp_path / "new" / "page.html").read_text() == (own_folder / "report.html").read_text()


@pytest.mark.parametrize(
    "options",
    [
        ("--samples", "group"),
        ("--samples", "one-by-one"),
        ("--overlap", "overlap", "--iterations", "55:65"),
        ("--passes", "wgrad", "--rows", "trace"),
    ],
)
def test_every_kind_of_run_has_a_report(bitsim_command, trace_folder, tmp_path, options):
    machines = ("--hw", MACHINES[0], "--hw", MACHINES[2])
    status, _, err = bitsim_command("run", trace_folder(), *machines, *options, "--out", tmp_path / "out")
    assert status == 0, err
    status, text, err = bitsim_command("report", tmp_path / "out")
    assert status == 0 and err == "" and "trains" in text
    folder = read_folder(tmp_path / "out")
    for place, run in enumerate(folder.runs):
        bars = [bar for bar in energy_figure(folder).views[0].traces if panel_of(bar) == place]
        factor = scale(max(one.energy_j / one.iterations for one in folder.runs), "J")[0]
        assert sum(bar["x"][0] for bar in bars) == pytest.approx(run.energy_j_per_iteration * factor, rel=1e-4)
        assert folder.costs.query("hardware == @run.hardware").cycles.sum() == pytest.approx(run.cycles)
        training = folder.training[run.hardware]
        length = training.iteration_end - training.iteration_start
        assert (training.latency_s * length).sum() == pytest.approx(run.latency_s)

"""report --timeline: well-formed trace events whose sums are the columns of the row, on every machine."""

import itertools
import json
import re
from collections import defaultdict

import numpy as np
import pyarrow.parquet as pq
import pytest

from bitsim.accelerators.registry import load_hardware
from bitsim.errors import MappingError
from bitsim.explain.programs import Program, of_pass, widths_of
from bitsim.explain.timeline import Timeline, draw
from bitsim.explain.tracks import ARRAY, LOADS, RESULTS, ROWS, STORES
from bitsim.kernels.program import CLASSES, Nest
from bitsim.report.trace_events import trace_events
from bitsim.simulation.cost import CostModel
from bitsim.workload import Widths
from tests import test_microarchitecture_page as diagrams
from tests.conftest import PRECISION
from tests.strategies import random_layer

MACHINES = ("bitfusion_16x32_192b", "eyeriss_12x14_108k")
EVERY_TILE = 10**6


def by_track(timeline):
    tracks = defaultdict(list)
    for one in timeline.slices:
        tracks[one.track].append(one)
    return tracks


def check(timeline, machine, row):
    """A timeline of all tiles against a row: no overlaps, classes, bits and capacity."""
    tracks = by_track(timeline)
    for track, slices in tracks.items():
        for one, following in itertools.pairwise(slices):
            assert one.start < one.end <= following.start, track
    assert max(one.end for one in timeline.slices) <= timeline.cycles == row["cycles"]
    spent = defaultdict(int)
    for one in tracks[ARRAY]:
        spent[one.name] += one.end - one.start
    assert {f"{name}_cycles": spent[name] for name in CLASSES} == {f"{n}_cycles": row[f"{n}_cycles"] for n in CLASSES}
    # The array is never between two slices: every cycle is charged.
    assert [one.end for one in tracks[ARRAY]] == [*(one.start for one in tracks[ARRAY][1:]), row["cycles"]]
    read = sum(bits for one in tracks[LOADS] for name, bits in one.args.items() if name.endswith("_bits"))
    written = sum(one.args["output_bits"] for one in tracks[STORES])
    assert (read, written) == (row["dram_read_bits"], row["dram_write_bits"])
    port = sorted(tracks[LOADS] + tracks[STORES], key=lambda one: one.start)
    assert all(one.end <= following.start for one, following in itertools.pairwise(port))
    values = defaultdict(list)
    for point in timeline.points:
        values[point.counter].append(point.value)
    assert not read or values["DRAM bits read"][-1] == read
    assert not written or values["DRAM bits written"][-1] == written
    capacity = {buffer.name: buffer.capacity_bits for buffer in machine.accelerator.buffers()}
    for name, held in values.items():
        if name.endswith(" bits held"):
            assert held[-1] == 0 and min(held) >= 0 and max(held) <= capacity[name.removesuffix(" bits held")]
        else:
            assert held == sorted(held)


def well_formed(text):
    """The events of a file, after checking what the format asks for."""
    document = json.loads(text)
    assert document["otherData"]["ts_unit"] == "1 us in this file is 1 cycle"
    events = document["traceEvents"]
    named = {event["tid"] for event in events if event["ph"] == "M" and event["name"] == "thread_name"}
    timed = [event for event in events if event["ph"] != "M"]
    assert [event["ts"] for event in timed] == sorted(event["ts"] for event in timed)
    for event in timed:
        assert event["pid"] == 1 and type(event["ts"]) is int and event["ts"] >= 0
        if event["ph"] == "X":
            assert event["tid"] in named and type(event["dur"]) is int and event["dur"] > 0 and event["name"]
        else:
            assert event["ph"] == "C" and [type(value) for value in event["args"].values()] == [int]
    return document


@pytest.mark.parametrize(("machine", "layers", "least_tiles"), [(MACHINES[0], 15, 75), (MACHINES[1], 6, 20)])
def test_random_layers(machine, layers, least_tiles):
    """All passes, all kinds of layers, small buffers and slow ports so that tiles, spills and waits are many."""
    rng = np.random.default_rng(17)
    keys = {"bitfusion_16x32_192b": ("weight_buffer", "input_buffer", "output_buffer")}
    done = tiles = 0
    while done < layers:
        sizes = {
            key: f"{int(rng.integers(2, 17))} KiB" for key in keys.get(machine, ("global_buffer", "filter_buffer"))
        }
        small = load_hardware(machine, sizes | {"memory.bits_per_cycle": int(rng.integers(1, 64))})
        layer, model = random_layer(rng, 32, 8), CostModel(small)
        pass_name, samples = str(rng.choice(layer.passes())), int(rng.integers(1, 9))
        widths = Widths(*rng.choice([2, 4, 8, 12], 5).tolist())
        try:
            cost = model.pass_cost(layer, pass_name, samples, widths)
        except MappingError:
            continue
        if cost.values["tiles"] > 2_000:
            continue
        runs = of_pass(model, layer, pass_name, samples, widths)
        timeline = draw(runs, small.port.array(), 0, EVERY_TILE)
        check(timeline, small, cost.values)
        # The row's own widths give the same run again.
        own = widths_of(pass_name, *(cost.values[f"{name}_bits"] for name in ("input", "weight", "output")))
        assert draw(of_pass(model, layer, pass_name, samples, own), small.port.array(), 0, 0).cycles == timeline.cycles
        first, last = sorted(rng.integers(0, timeline.total_tiles + 1, 2).tolist())
        part = draw(runs, small.port.array(), first, last)
        inside = {
            (one.track, one.name, one.start, one.end)
            for one in part.slices
            if ":" not in one.track or "port" in one.track
        }
        whole = {(one.track, one.name, one.start, one.end) for one in timeline.slices}
        assert inside - whole <= {one for one in inside if one[0] == RESULTS}
        wanted = {
            (one.track, one.name, one.start, one.end)
            for one in timeline.slices
            if one.track in (LOADS, STORES, ARRAY) and first <= one.args.get("tile", -1) < last
        }
        assert wanted <= inside
        for one in part.slices:
            assert one.end <= timeline.cycles
        done, tiles = done + 1, tiles + timeline.total_tiles
    assert tiles > least_tiles


@pytest.mark.parametrize("name", diagrams.PROGRAMS)
def test_the_diagrams_of_the_page_are_the_timeline(name):
    """docs/microarchitecture.md draws from the per-cycle model what a timeline draws from the event log."""
    tiles = np.array(diagrams.PROGRAMS[name][0])
    program = Program(name, Nest(tiles, np.ones((1, len(tiles)), np.int64)), tiles[:, :4], ())
    timeline = draw([[program]], diagrams.TIMING.array(), 0, len(tiles))
    port, sequencer = [" "] * timeline.cycles, [" "] * timeline.cycles
    for track, letter in ((LOADS, "L"), (STORES, "S")):
        for one in by_track(timeline)[track]:
            for at in range(one.end, one.args.get("arrives", one.end)):
                port[at] = "." if port[at] == " " else port[at]
            port[one.start : one.end] = "g" + letter * (one.end - one.start - 1)
    for one in by_track(timeline)[ARRAY]:
        sequencer[one.start : one.end] = diagrams.LETTERS[one.name] * (one.end - one.start)
    drawn = "\n".join(
        f"{head:<11}{''.join(line)}".rstrip() for head, line in (("port", port), ("sequencer", sequencer))
    )
    assert drawn in diagrams.PAGE.read_text(encoding="utf-8")


@pytest.fixture
def results(bitsim_command, trace_folder, tmp_path):
    """A result folder of both machines; extra arguments of run."""

    def make(*arguments, **files):
        trace, out = trace_folder(**files), tmp_path / "results"
        status, _, error = bitsim_command("run", trace, *_hw(MACHINES), "--out", out, *arguments)
        assert status == 0, error
        return trace, out

    return make


def _hw(names):
    return [argument for name in names for argument in ("--hw", name)]


def rows_of(folder, **wanted):
    records = pq.read_table(folder / "rows.parquet").to_pylist()
    return [row for row in records if all(row[name] == value for name, value in wanted.items())]


@pytest.mark.parametrize("machine", MACHINES)
def test_sums_of_the_file_are_the_columns_of_the_row(bitsim_command, results, tmp_path, machine):
    _, folder = results()
    file = tmp_path / "timeline.json"
    for layer, pass_name in (("conv", "wgrad"), ("fc", "dgrad"), ("attend", "dgrad_second")):
        arguments = ("--hw", machine, "--layer", layer, "--pass", pass_name)
        rows = rows_of(folder, hardware=machine, layer=layer, **{"pass": pass_name})
        for number, row in enumerate(rows, 1):
            status, out, _ = bitsim_command("report", folder, "--timeline", file, *arguments, "--row", number)
            assert status == 0 and f"{row['cycles']} cycles" in out
            document = well_formed(file.read_text())
            spent = defaultdict(int)
            for event in document["traceEvents"]:
                if event.get("cat") == ARRAY:
                    spent[event["name"]] += event["dur"]
            assert spent == {name: row[f"{name}_cycles"] for name in CLASSES if row[f"{name}_cycles"]}
            ends = {event["name"]: event["args"]["bits"] for event in document["traceEvents"] if event["ph"] == "C"}
            assert ends["DRAM bits read"] == row["dram_read_bits"]
            assert ends["DRAM bits written"] == row["dram_write_bits"]
            assert document["otherData"]["cycles"] == row["cycles"]
            assert document["otherData"]["row"] == f"{number} of {len(rows)}"
        assert not (folder / "report.html").exists()  # the page is not asked for


@pytest.mark.parametrize(("overlap", "samples"), [("barrier", "group"), ("overlap", "group")])
def test_an_iteration_is_its_rows_in_order(bitsim_command, results, tmp_path, overlap, samples):
    trace, folder = results("--overlap", overlap, "--samples", samples, "--rows", "trace")
    file = tmp_path / "timeline.json"
    for machine in MACHINES:
        arguments = ("--hw", machine, "--iteration", 59, "--trace", trace, "--tiles", "0:20000")
        status, out, error = bitsim_command("report", folder, "--timeline", file, *arguments)
        assert status == 0, error
        rows = [row for row in rows_of(folder, hardware=machine) if row["iteration_start"] <= 59 < row["iteration_end"]]
        cycles = sum(row["cycles"] * row["occurrences"] for row in rows)
        assert f"{cycles} cycles in all" in out
        document = well_formed(file.read_text())
        events = document["traceEvents"]
        drawn = defaultdict(int)
        for event in events:
            if event.get("cat") == ROWS:
                drawn[event["name"].partition(" ")[0], event["name"].split(" ")[1]] += event["dur"]
        wanted = defaultdict(int)
        for row in rows:
            wanted[row["layer"], row["pass"]] += row["cycles"] * row["occurrences"]
        assert drawn == wanted
        spans = [(e["ts"], e["ts"] + e["dur"]) for e in events if e.get("cat") == ROWS]
        assert spans[0][0] == 0 and spans[-1][1] == cycles
        assert all(one[1] == following[0] for one, following in itertools.pairwise(spans))
        for name in CLASSES:
            summed = sum(event["dur"] for event in events if event.get("cat") == ARRAY and event["name"] == name)
            assert summed == sum(row[f"{name}_cycles"] * row["occurrences"] for row in rows), name
        moved = {event["name"]: event["args"]["bits"] for event in events if event["ph"] == "C"}
        for name, column in (("DRAM bits read", "dram_read_bits"), ("DRAM bits written", "dram_write_bits")):
            assert moved[name] == sum(row[column] * row["occurrences"] for row in rows)


def test_a_range_is_cut_and_said(bitsim_command, results, tmp_path, monkeypatch):
    _, folder = results("--set", "bitfusion_16x32_192b:output_buffer=1KiB")
    file = tmp_path / "timeline.json"
    arguments = ("report", folder, "--timeline", file, "--layer", "conv", "--pass", "forward")
    (row,) = rows_of(folder, hardware="bitfusion_16x32_192b", layer="conv", **{"pass": "forward"})
    assert row["tiles"] > 4
    status, _, note = bitsim_command(*arguments, "--tiles", "1:3")
    assert status == 0 and f"tiles 1:3 of {row['tiles']} are drawn" in note
    document = well_formed(file.read_text())
    assert document["otherData"]["tiles"] == f"1:3 of {row['tiles']}"
    assert {event["args"]["tile"] for event in document["traceEvents"] if event.get("cat") == ARRAY} == {1, 2}
    status, _, note = bitsim_command(*arguments, "--tiles", f"2:{row['tiles'] + 5}")
    assert status == 0 and f"2:{row['tiles']} of {row['tiles']}" in note
    monkeypatch.setattr("bitsim.cli.timeline.DEFAULT_TILES", 3)
    assert f"tiles 0:3 of {row['tiles']}" in bitsim_command(*arguments)[2]


REFUSED = [
    ([], "allowed: --layer with --pass, or --iteration"),
    (["--layer", "conv"], "allowed: --layer with --pass, or --iteration"),
    (["--layer", "conv", "--pass", "forward", "--iteration", "3"], "allowed: --layer with --pass, or --iteration"),
    (["--layer", "convs", "--pass", "forward"], "no such layer, did you mean conv?"),
    (["--layer", "conv", "--pass", "wgrad_accumulate"], "a stream of sums without a mapping"),
    (["--layer", "conv", "--pass", "forward", "--row", "2"], "has 1 rows of forward"),
    (["--layer", "conv", "--pass", "forward", "--hw", "tpu"], "is none of the machines of the folder"),
    (["--layer", "conv", "--pass", "forward", "--tiles", "5:5"], "is not A:B with A below B"),
    (["--layer", "conv", "--pass", "forward", "--tiles", "0:30000"], "allowed: up to 20000 at once"),
    (["--layer", "conv", "--pass", "forward", "--tiles", "9000:9001"], "allowed: a range that begins below"),
    (["--iteration", "100"], "--iteration 100: allowed: 0 to 99"),
    (["--iteration", "5"], "needs the trace small, allowed: --trace with its folder"),
    (["--iteration", "5", "--trace", "resnet20_digits_pfq"], "is not the trace the results are of"),
]


def test_refusals(bitsim_command, results, tmp_path):
    _, folder = results()
    file = tmp_path / "timeline.json"
    for arguments, words in REFUSED:
        status, out, error = bitsim_command("report", folder, "--timeline", file, *arguments)
        assert (status, out) == (2, "") and words in error and len(error.splitlines()) == 1, arguments
        assert not file.exists()


def test_folders_that_do_not_fit_any_more(bitsim_command, results, tmp_path):
    _, folder = results("--overlap", "overlap")
    file = tmp_path / "timeline.json"
    arguments = ("report", folder, "--timeline", file, "--layer", "conv", "--pass", "forward")
    assert "depend on their neighbours, allowed: --iteration" in bitsim_command(*arguments)[2]
    summary = json.loads((folder / "summary.json").read_text())

    def refused(words, **changed):
        for run in summary["runs"]:
            run |= changed
        (folder / "summary.json").write_text(json.dumps(summary))
        status, _, error = bitsim_command(*arguments)
        assert status == 2 and words in error and not file.exists(), error

    choices = summary["runs"][0]["choices"]
    refused("lacks the key choices", choices={})
    refused("a closed-form model has no tiles", timing="analytical")
    # Rows of overlapped layers are not what a layer takes by itself: another version's would be told the same way.
    refused("allowed: a folder that the same version wrote", choices=choices | {"overlap": "barrier"}, timing="exact")
    refused("has changed since the results were written", config_hash="0")
    assert "has no summary.json" in bitsim_command("report", tmp_path, *arguments[2:])[2]


def test_options_of_a_timeline_need_one(bitsim_command, tmp_path):
    status, out, error = bitsim_command("report", tmp_path, "--layer", "conv", "--row", "2")
    assert (status, out) == (2, "") and [line.partition(":")[0] for line in error.splitlines()] == ["--layer", "--row"]


def test_a_folder_with_a_file_gone(bitsim_command, results, tmp_path):
    _, folder = results()
    file = tmp_path / "timeline.json"
    for name in ("rows.parquet", "layers.csv", "run.yaml", "bitfusion_16x32_192b.yaml", "summary.json"):
        (folder / name).rename(tmp_path / name)
        arguments = ("report", folder, "--timeline", file, "--layer", "conv", "--pass", "forward")
        status, out, error = bitsim_command(*arguments)
        assert (status, out) == (2, "") and name in error and len(error.splitlines()) == 1
        assert not file.exists()
        (tmp_path / name).rename(folder / name)
    (folder / "rows.parquet").write_bytes(b"PAR1")
    assert "rows.parquet: cannot be read" in bitsim_command(*arguments)[2]
    gone = tmp_path / "file" / "timeline.json"
    (tmp_path / "file").write_text("")
    assert bitsim_command("report", folder, "--timeline", gone, *arguments[4:])[0] == 2


def test_an_iteration_in_which_nothing_ran(bitsim_command, results, tmp_path):
    nothing = PRECISION.replace("0,60,fc,6,4,4,8\n0,60,fc,2,8,4,8\n", "0,60,fc,0,4,4,8\n")
    nothing = nothing.replace("0,100,conv,,", "0,60,conv,0,4,4,8\n60,100,conv,,").replace(
        "0,100,attend,,", "0,60,attend,0,8,8,8\n60,100,attend,,"
    )
    trace, folder = results(precision=nothing)
    arguments = ("--timeline", tmp_path / "timeline.json", "--iteration", 5, "--trace", trace)
    status, _, error = bitsim_command("report", folder, *arguments)
    assert status == 2 and "--iteration 5: no layer ran in it" in error


def test_an_empty_timeline_is_a_file_too():
    empty = Timeline((), (), (0, 0), 0, 0, dict.fromkeys(CLASSES, 0))
    assert len(well_formed(trace_events(empty, {"hardware": "none"}))["traceEvents"]) == 1


def test_the_example_of_the_page_runs(bitsim_command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (diagrams.PAGE.parent / "explain.md").read_text()
    commands, printed = re.search(
        r"```bash\n((?:bitsim (?:run|report)[^\n]*\n)+)```\n```\n(.*?)```", page, re.DOTALL
    ).groups()
    run, *reports = commands.splitlines()
    assert bitsim_command(*run.split()[1:])[0] == 0
    out = [bitsim_command(*command.split()[1:])[1] for command in reports]
    assert "".join(out) == printed
    assert well_formed((tmp_path / "iteration.json").read_text())["otherData"]["iteration"] == 0

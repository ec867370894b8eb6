"""bitsim sweep as a user meets it: tables, files, exit status, messages."""

import io
import json

import pandas as pd
import pytest

from bitsim.cli.sweep_progress import SweepProgress
from tests.sweep_tools import needs_library

BITFUSION = "bitfusion_16x32_192b"
NOTHING_RUNS = """\
iteration_start,iteration_end,layer,samples,activation_bits,weight_bits,gradient_bits
0,100,conv,0,4,4,8
0,100,fc,0,8,8,8
0,100,attend,0,8,8,8
"""


def test_tables_picture_and_files(trace_folder, tmp_path, bitsim_command):
    grid = ["--set", "array.rows=8,16", "--set", "weight_buffer=64KiB:256KiB:x4", "--top", "2"]
    status, out, err = bitsim_command("sweep", trace_folder(), "--hw", BITFUSION, *grid, "--out", tmp_path / "out")
    assert (status, err) == (0, "")
    for words in ("4 points, 0 failed, 0 left out", "front: no other point has less latency_s and energy_j", "(2)"):
        assert words in out
    assert (tmp_path / "out/pareto.png").read_bytes()[:4] == b"\x89PNG"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "pareto.png",
        "parts",
        "sweep.json",
        "sweep.parquet",
    ]


def test_formats_say_the_same(trace_folder, bitsim_command):
    grid = ["sweep", trace_folder(), "--hw", BITFUSION, "--set", "array.rows=8,16", "--format"]
    status, out, _ = bitsim_command(*grid, "csv")
    assert status == 0
    frame = pd.read_csv(io.StringIO(out))
    document = json.loads(bitsim_command(*grid, "json")[1])
    assert frame["cycles"].tolist() == [point["cycles"] for point in document["points"]]
    assert set(document) == {"bitsim", "points", "pareto", "failures"}
    assert frame["latency_s"].idxmin() in document["pareto"]


def test_two_machines_two_traces_and_a_key_of_one(trace_folder, bitsim_command):
    first, second = trace_folder(), trace_folder(name="other")
    grid = ["--set", f"{BITFUSION}:weight_buffer=32KiB,64KiB", "--hw", BITFUSION, "--hw", "int8_16x32_192b"]
    status, out, _ = bitsim_command("sweep", first, second, *grid, "--format", "csv")
    frame = pd.read_csv(io.StringIO(out))
    assert status == 0 and len(frame) == 6
    assert frame["trace"].tolist() == ["small"] * 3 + ["other"] * 3
    assert frame["weight_buffer"].fillna("").tolist() == ["32KiB", "64KiB", ""] * 2


def test_failures_are_told_and_exit_is_1(trace_folder, tmp_path, bitsim_command):
    grid = ["--set", "output_buffer=8B,16KiB", "--out", tmp_path / "out"]
    status, out, err = bitsim_command("sweep", trace_folder(), "--hw", BITFUSION, *grid)
    assert status == 1 and "1 points, 1 failed" in out
    assert err.startswith(f"failed: {BITFUSION} on small, output_buffer=8B: ") and "too small" in err
    assert err.count("too small") == 1 and "(and 7 more)" in err
    assert len(json.loads((tmp_path / "out/sweep.json").read_text())["failed"]) == 1
    status, out, err = bitsim_command("sweep", trace_folder(), "--hw", BITFUSION, "--set", "output_buffer=8B,9B")
    assert status == 1 and "0 points, 2 failed" in out


def test_prices_of_another_table_are_noted(trace_folder, bitsim_command):
    """Banks of 128 B and less are priced as register files."""
    grid = ["--set", "weight_buffer=8KiB,64KiB", "--format", "csv"]
    status, out, err = bitsim_command("sweep", trace_folder(), "--hw", BITFUSION, *grid)
    frame = pd.read_csv(io.StringIO(out))
    assert status == 0 and "note: 1 points have prices not to be compared" in err
    assert "priced as register files" in frame["notes"][0] and frame["notes"].isna()[1]


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (1,)])
@pytest.mark.parametrize(
    "search", [(), pytest.param(("--search", "2"), marks=needs_library("optuna", "search"))], ids=["grid", "search"]
)
def test_points_without_a_value_are_left_out_of_the_front_with_a_note(
    trace_folder, tmp_path, bitsim_command, order, search
):
    """A trace of which no layer runs has no utilisation."""
    both = trace_folder(), trace_folder(name="idle", precision=NOTHING_RUNS)
    traces = [both[place] for place in order]
    call = ["sweep", *traces, "--hw", BITFUSION, "--pareto", "utilisation", *search, "--out", tmp_path / "out"]
    status, out, err = bitsim_command(*call)
    note = "note: 1 points have no utilisation: left out of the front\n"
    assert (status, err) == (0, note)
    assert f"{len(traces)} points, 0 failed" in out
    assert f"less utilisation ({len(traces) - 1})" in " ".join(out.split())  # a title may be broken
    assert (tmp_path / "out/sweep.parquet").exists()
    assert (tmp_path / "out/pareto.png").exists() == (len(traces) > 1)


def test_the_picture_of_energy_alone_is_over_time(trace_folder, tmp_path, bitsim_command):
    call = ["--hw", BITFUSION, "--pareto", "energy_j", "--out", tmp_path / "out"]
    status, _, err = bitsim_command("sweep", trace_folder(), *call)
    assert (status, err) == (0, "") and (tmp_path / "out/pareto.png").exists()


@pytest.mark.parametrize(
    ("options", "faults"),
    [
        (["--set", "array.rows"], ["is not key=values"]),
        (["--set", "array.rows=8:4:+1"], ["never ends or is empty"]),
        (
            ["--set", "array.rws=8", "--set", "clock=fast"],
            ["array.rws: unknown key", "clock: 'fast' is"],
        ),
        (["--set", "array.rows=8", "--set", "array.rows=16"], ["set twice"]),
        (["--where", "area_mm2 ="], ["--where area_mm2 =: cannot be read"]),
        (["--where", "hardware < 3"], ["compares text with a number"]),
        (["--pareto", "speed"], ["--pareto: speed"]),
        (["--pareto", ","], ["--pareto: empty"]),
        (["--resume"], ["--resume: needs --out"]),
        (["--backend", "dask"], ["needs --scheduler"]),
        (["--seed", "3"], ["--seed: needs --search"]),
        (["--iterations", "0"], ["is not A:B"]),
        (["--hw", BITFUSION], ["given twice"]),
        (["--hw", "nothing"], ["nothing"]),
        (["--passes", "sideways"], ["sideways"]),
        (["--iterations", "90:110"], ["is not a half-open range inside"]),
    ],
)
def test_bad_input_is_exit_2_before_anything_is_written(trace_folder, tmp_path, bitsim_command, options, faults):
    target = ["--hw", BITFUSION, "--out", tmp_path / "out"] if "--resume" not in options else ["--hw", BITFUSION]
    status, out, err = bitsim_command("sweep", trace_folder(), *target, *options)
    assert (status, out) == (2, "")
    assert all(fault in err for fault in faults) and "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_progress_says_rate_time_left_and_best():
    class Bar:
        said = ""

        def update(self, task, completed, total, said):
            self.said, self.place = said, (completed, total)

        task_ids = (0,)

    times = iter([0.0, 0.0, 10.0])
    progress = SweepProgress(None, "latency_s", lambda: next(times))
    progress._bar = bar = Bar()
    progress(100, 400, {})
    progress(150, 400, {0: {"latency_s": 0.5}, 1: {"latency_s": 0.25}, 2: {"latency_s": None}})
    assert bar.place == (150, 400)
    assert bar.said == "5.0 points/s, 50 s left, best latency_s 0.25"

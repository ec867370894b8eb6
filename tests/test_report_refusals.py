"""Result folders that are damaged, or none: each is refused with what is wrong, and no report is written."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.result_folders import MACHINES, simulated, written


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return written(simulated(tmp_path_factory.mktemp("traces") / "small"), tmp_path_factory.mktemp("results") / "out")


@pytest.fixture
def own_folder(folder, tmp_path):
    """A copy to spoil."""
    return Path(shutil.copytree(folder, tmp_path / "out"))


def spoil_json(path):
    path.write_text(path.read_text()[:50])


def no_machine(path):
    summary = json.loads(path.read_text())
    for run in summary["runs"]:
        del run["machine"]
        run["iterations"] = 0
    path.write_text(json.dumps(summary))


def no_runs(path):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"runs": []}))


def one_twice(path):
    summary = json.loads(path.read_text())
    summary["runs"][1] = summary["runs"][0]
    path.write_text(json.dumps(summary))


def elsewhere(path):
    path.write_text(path.read_text().replace('"hardware": "int8', '"hardware": "../int8'))


def a_long_value(path):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"runs": "x" * 10_000}))


def empty(path):
    pd.read_parquet(path).iloc[:0].to_parquet(path)


def without_cycles(path):
    pd.read_parquet(path).drop(columns=["cycles", "issue_cycles"]).to_parquet(path)


def shifted(path):
    frame = pd.read_parquet(path)
    frame["iteration_end"] += 1
    frame.to_parquet(path)


def halved(path):
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]))


def with_values(**values):
    """Spoils a table: the columns named hold one value each."""
    return lambda path: pd.read_parquet(path).assign(**values).to_parquet(path)


NOT_A_NUMBER = float("nan")


@pytest.mark.parametrize(
    ("file", "spoil", "messages"),
    [
        ("summary.json", lambda path: path.unlink(), ["has no summary.json, allowed: a folder that --out"]),
        ("summary.json", spoil_json, ["summary.json:", "not JSON"]),
        ("summary.json", no_machine, ["runs.0.machine: missing key", "runs.2.iterations: 0: "]),
        ("summary.json", no_runs, ["runs: none; allowed: one or more"]),
        ("summary.json", one_twice, [f"runs: {MACHINES[0]}, {MACHINES[0]}, {MACHINES[2]}; allowed: one or more, each"]),
        ("summary.json", elsewhere, ["runs.1.hardware: '../int8_16x32_192b'"]),
        ("summary.json", a_long_value, ["summary.json: runs: 'xxx"]),
        ("rows.parquet", lambda path: path.unlink(), ["rows.parquet: cannot be read: No such file"]),
        ("rows.parquet", lambda path: path.write_bytes(b"PAR1 not"), ["rows.parquet: cannot be read: not Parquet"]),
        ("rows.parquet", without_cycles, ["rows.parquet: lacks columns cycles, issue_cycles"]),
        ("rows.parquet", empty, ["rows.parquet: has no rows"]),
        (
            "rows.parquet",
            with_values(cycles="x", macs=NOT_A_NUMBER, array_pj=-1.0, layer=3),
            [f"rows.parquet: {name}: not all" for name in ("cycles", "macs", "array_pj", "layer")],
        ),
        ("iterations.parquet", with_values(latency_s="x"), ["iterations.parquet: latency_s: not all numbers"]),
        ("iterations.parquet", with_values(dram_pj=float("inf")), ["iterations.parquet: dram_pj: not all numbers"]),
        ("precision.parquet", with_values(ran_share="x"), ["precision.parquet: ran_share: not all numbers"]),
        ("iterations.parquet", empty, ["iterations.parquet: has no rows of bitfusion"]),
        ("iterations.parquet", shifted, ["iterations.parquet: iterations lie outside"]),
        ("precision.parquet", empty, ["precision.parquet: has no rows"]),
        ("run.yaml", lambda path: path.write_text("name: x\n"), ["run.yaml:1: schema: missing key"]),
        ("int8_16x32_192b.yaml", lambda path: path.unlink(), ["int8_16x32_192b.yaml"]),
        (
            "int8_16x32_192b.yaml",
            halved,
            ["int8_16x32_192b.yaml: has changed since the results were written, run again"],
        ),
    ],
)
def test_damaged_folders(bitsim_command, own_folder, file, spoil, messages):
    spoil(own_folder / file)
    status, out, err = bitsim_command("report", own_folder)
    assert status == 2 and out == "" and "Traceback" not in err
    assert all(message in err for message in messages) and max(map(len, err.splitlines())) < 500, err
    assert not (own_folder / "report.html").exists()


def test_no_folder_and_no_place(bitsim_command, folder, tmp_path):
    status, out, err = bitsim_command("report", tmp_path / "none")
    assert status == 2 and out == "" and "no such folder" in err
    status, out, err = bitsim_command("report", folder, "--html", tmp_path)
    assert status == 2 and out == "" and "is a folder" in err

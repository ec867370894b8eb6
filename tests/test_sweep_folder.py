"""What a sweep stores: parts as they finish, resume after a kill, damaged parts, full and read-only folders."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import bitsim
from bitsim.errors import InputError
from bitsim.exploration import store, task
from tests.sweep_tools import GRID, small

COLUMNS = ["array.rows", "weight_buffer", "memory.bandwidth", "hardware", "trace", "cycles", "latency_s", "energy_j"]


def parts(folder):
    return sorted((folder / "parts").glob("*.parquet"))


@pytest.fixture
def simulated(monkeypatch):
    """Points simulated in this process, as they come."""
    listed = []
    record = task._record
    monkeypatch.setattr(task, "_record", lambda work, point: listed.append(point.index) or record(work, point))
    return listed


def test_folder_of_a_sweep(trace_folder, tmp_path):
    out = tmp_path / "out"
    found = bitsim.sweep(*small(trace_folder()), GRID, out=out)
    stored = pd.read_parquet(out / "sweep.parquet")
    pd.testing.assert_frame_equal(stored, found.frame, check_exact=True)
    assert stored.columns[: len(COLUMNS)].tolist() == COLUMNS
    assert stored["array.rows"].dtype == stored["cycles"].dtype == "int64"
    assert sum(len(pd.read_parquet(path)) for path in parts(out)) == 8
    said = json.loads((out / "sweep.json").read_text())
    assert (said["bitsim"], said["points"], said["failed"]) == (bitsim.__version__, 8, [])
    assert not list(out.rglob(".draft-*"))


def test_resume_simulates_only_what_is_missing(trace_folder, tmp_path, simulated):
    """A part is gone, one is torn, the grid has grown: those points run, the table is that of a fresh sweep."""
    trace, machine = small(trace_folder())
    out, notes = tmp_path / "out", []
    one = {"array.rows": [8, 16], "weight_buffer": ["16 KiB"]}
    bitsim.sweep(trace, machine, one, out=out)
    with pytest.raises(InputError, match="is not empty"):
        bitsim.sweep(trace, machine, one, out=out)
    torn = parts(out)[0]
    torn.write_bytes(torn.read_bytes()[:-100])
    assert len(simulated) == 2
    del simulated[:]
    more = {"array.rows": [4, 8, 16], "weight_buffer": ["16 KiB"]}
    resumed = bitsim.sweep(trace, machine, more, out=out, resume=True, note=notes.append)
    assert len(simulated) == 2 and 0 in simulated
    assert any("set aside" in note for note in notes) and "1 points are known from before" in notes
    fresh = bitsim.sweep(trace, machine, more, out=tmp_path / "fresh")
    pd.testing.assert_frame_equal(resumed.frame, fresh.frame, check_exact=True)
    assert (out / "sweep.parquet").read_bytes() == (tmp_path / "fresh/sweep.parquet").read_bytes()


def _without(column):
    return lambda frame: frame.drop(columns=[column])


def _holding(column, value):
    return lambda frame: frame.assign(**{column: value})


@pytest.mark.parametrize(
    "change",
    [
        _without("energy_j"),
        _without("point"),
        _without("trace_hash"),
        _holding("energy_j", "much"),
        _holding("energy_j", 1.0),
        _holding("cycles", 0.5),
        _holding("energy_j", float("nan")),
        _holding("config_hash", None),
        _holding("colour", 3),
        lambda frame: pd.DataFrame({"point": frame["point"], "version": frame["version"]}),
    ],
)
def test_a_part_that_reads_but_is_not_what_was_written_is_set_aside(trace_folder, tmp_path, simulated, change):
    trace, machine = small(trace_folder())
    out, notes = tmp_path / "out", []
    fresh = bitsim.sweep(trace, machine, {"array.rows": [8]}, out=out)
    (part,) = parts(out)
    change(pd.read_parquet(part)).to_parquet(part)
    resumed = bitsim.sweep(trace, machine, {"array.rows": [8]}, out=out, resume=True, note=notes.append)
    assert simulated == [0, 0]
    assert notes == [f"{part}: set aside, its points run again: its rows are not those that were written"]
    pd.testing.assert_frame_equal(resumed.frame, fresh.frame, check_exact=True)


@pytest.mark.parametrize(
    "choices", [{"objective": "energy"}, {"passes": ("forward",)}, {"iterations": (0, 50)}, {"samples": "group"}]
)
def test_points_of_other_choices_are_not_taken_for_known(trace_folder, tmp_path, simulated, choices):
    trace, machine = small(trace_folder())
    bitsim.sweep(trace, machine, {"array.rows": [8]}, out=tmp_path / "out", passes=("wgrad",))
    bitsim.sweep(trace, machine, {"array.rows": [8]}, out=tmp_path / "out", resume=True, **choices)
    assert len(simulated) == 2


def test_a_failure_is_never_kept(trace_folder, tmp_path, monkeypatch):
    trace, machine = small(trace_folder())
    real = task._record
    monkeypatch.setattr(task, "_record", lambda work, point: real(work, point) if point.index else 1 / 0)
    found = bitsim.sweep(trace, machine, {"array.rows": [8, 16]}, out=tmp_path / "out")
    assert [str(f) for f in found.failures] == [
        "bitfusion_16x32_192b on small, array.rows=8: internal error: ZeroDivisionError: division by zero"
    ]
    assert pd.read_parquet(tmp_path / "out/sweep.parquet")["array.rows"].tolist() == [16]
    monkeypatch.setattr(task, "_record", real)
    again = bitsim.sweep(trace, machine, {"array.rows": [8, 16]}, out=tmp_path / "out", resume=True)
    assert again.frame["array.rows"].tolist() == [8, 16]


def test_a_full_disk_stops_the_sweep_and_leaves_nothing_torn(trace_folder, tmp_path, monkeypatch):
    """The second part finds no room: what is stored is whole, no table is there, and a resume ends well."""
    trace, machine = small(trace_folder())
    grid, out = {"array.rows": [4, 8, 16]}, tmp_path / "out"
    sync, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) > 2:  # the manifest, the first part
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(InputError, match="No space left on device"):
            bitsim.sweep(trace, machine, grid, out=out)
    assert len(parts(out)) == 1 and not (out / "sweep.parquet").exists() and not list(out.rglob(".draft-*"))
    assert len(bitsim.sweep(trace, machine, grid, out=out, resume=True).frame) == 3


def test_no_work_starts_without_room(trace_folder, tmp_path, monkeypatch, simulated):
    trace, machine = small(trace_folder())
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: FakeUsage)
    with pytest.raises(InputError, match="MB free, 1 points need"):
        bitsim.sweep(trace, machine, {"array.rows": [8]}, out=tmp_path / "out")
    assert not simulated


class FakeUsage:
    """A disk with a thousand bytes left."""

    free = 1000


def test_no_work_starts_in_a_folder_that_takes_nothing(trace_folder, tmp_path, monkeypatch, simulated):
    trace, machine = small(trace_folder())
    (tmp_path / "file").write_text("")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine.txt").write_text("")
    for out, fault in (("file", "is a file"), ("file/out", "not"), ("other", "holds no sweep.json")):
        with pytest.raises(InputError, match=fault):
            bitsim.sweep(trace, machine, {"array.rows": [8]}, out=tmp_path / out, resume=True)

    def refuse(*args, **named):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(store.tempfile, "NamedTemporaryFile", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        bitsim.sweep(trace, machine, {"array.rows": [8]}, out=tmp_path / "out")
    assert not simulated


@pytest.mark.slow
def test_resume_after_kill_9(trace_folder, tmp_path):
    """The command is killed after its first parts; the resumed one runs the rest, with the same table to the byte."""
    folder = trace_folder()
    command = [sys.executable, "-m", "bitsim", "sweep", folder, "--hw", "bitfusion_16x32_192b", "--jobs", "2"]
    command += ["--set", "array.rows=4:64:+4", "--set", "weight_buffer=16KiB:64KiB:x2", "--out"]
    killed = subprocess.Popen([str(c) for c in [*command, tmp_path / "out"]], stdout=subprocess.DEVNULL)
    end = time.monotonic() + 240
    while len(parts(tmp_path / "out")) < 2 and killed.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    children = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert children
    while any(Path(f"/proc/{child}").exists() for child in children):  # none of them waits on for work
        assert time.monotonic() < end
        time.sleep(0.1)
    before = len(parts(tmp_path / "out"))
    assert 2 <= before < 16 and not (tmp_path / "out/sweep.parquet").exists()
    done = subprocess.run(
        [str(c) for c in [*command, tmp_path / "out", "--resume"]], check=True, capture_output=True, text=True
    )
    assert "points are known from before" in done.stderr
    serial = [*command[:-1], "--jobs", "1", "--out", tmp_path / "serial"]
    subprocess.run([str(c) for c in serial], check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "out/sweep.parquet").read_bytes() == (tmp_path / "serial/sweep.parquet").read_bytes()

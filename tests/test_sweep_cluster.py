"""A sweep on a Dask cluster: a real scheduler and workers, processes on loopback; one is killed in mid-sweep."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import pandas as pd
import pytest

import bitsim
from bitsim.errors import InputError
from tests.sweep_tools import GRID, needs_library, small

pytestmark = [needs_library("distributed", "cluster"), pytest.mark.slow]
START_S = 120


@contextmanager
def cluster(folder, workers=2):
    """(address, scheduler, workers) with workers of one thread each, processes that are all ended at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    log = (folder / "dask.log").open("w")
    common = {"stdout": log, "stderr": log, "cwd": folder}
    scheduler = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)]
    worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    plain = ["--no-dashboard"]
    processes = [subprocess.Popen([*scheduler, *plain], **common)]
    try:
        wait_for_port(port)
        processes += [subprocess.Popen([*worker, *plain], **common) for _ in range(workers)]
        wait_for_workers(address, workers)
        yield address, processes[0], processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()
        log.close()


def wait_for_port(port):
    end = time.monotonic() + START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.1)


def wait_for_workers(address, count):
    from distributed import Client

    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=START_S)


def test_a_cluster_gives_the_table_of_one_process(trace_folder, tmp_path):
    """Also with a worker killed once the first part is stored; nothing is lost, nothing is there twice."""
    trace, machine = small(trace_folder())
    grid = {"array.rows": "4:32:+4", **GRID}
    grid.pop("memory.bandwidth")
    serial = bitsim.sweep(trace, machine, grid, out=tmp_path / "serial")
    with cluster(tmp_path) as (address, _, workers):
        whole = bitsim.sweep(trace, machine, grid, backend="dask", scheduler=address)
        pd.testing.assert_frame_equal(whole.frame, serial.frame, check_exact=True)

        def kill_one(done, total, records):
            if 0 < done < total and workers[0].poll() is None:
                os.kill(workers[0].pid, signal.SIGKILL)
                workers[0].wait()

        out = tmp_path / "out"
        options = {"backend": "dask", "scheduler": address, "out": out, "progress": kill_one}
        halved = bitsim.sweep(trace, machine, grid, **options)
        assert workers[0].poll() == -signal.SIGKILL
    assert not halved.failures
    stored = pd.concat(pd.read_parquet(path) for path in (out / "parts").glob("*.parquet"))
    assert sorted(stored["point"]) == sorted(serial.frame["point"])
    assert (out / "sweep.parquet").read_bytes() == (tmp_path / "serial/sweep.parquet").read_bytes()


def test_a_lost_scheduler_stops_the_sweep_and_it_can_be_resumed(trace_folder, tmp_path):
    """As a command: exit 1, one line, and what finished is stored; the rest runs on this computer."""
    folder = trace_folder()
    command = [sys.executable, "-m", "bitsim", "sweep", folder, "--hw", "bitfusion_16x32_192b"]
    command += ["--out", tmp_path / "out"]
    command += ["--set", "array.rows=4:64:+4", "--set", "weight_buffer=16KiB:64KiB:x2"]
    with cluster(tmp_path, workers=1) as (address, scheduler, _):
        running = subprocess.Popen(
            [str(c) for c in [*command, "--backend", "dask", "--scheduler", address]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + START_S
        while not list((tmp_path / "out/parts").glob("*.parquet")):
            assert running.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        scheduler.kill()
        out, err = running.communicate(timeout=START_S)
    assert (running.returncode, out) == (1, ""), err
    assert "the Dask scheduler is gone" in err and "--resume" in err and "Traceback" not in err
    done = subprocess.run([str(c) for c in [*command, "--resume", "--format", "json"]], capture_output=True, text=True)
    assert done.returncode == 0 and "known from before" in done.stderr
    assert len(json.loads(done.stdout)["points"]) == 48


def test_no_scheduler_is_bad_input(trace_folder):
    trace, machine = small(trace_folder())
    with pytest.raises(InputError, match="cannot be reached"):
        bitsim.sweep(trace, machine, GRID, backend="dask", scheduler="tcp://127.0.0.1:9")

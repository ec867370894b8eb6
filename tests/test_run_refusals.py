"""What the main job refuses: machines, options, places to write to; each in a line that names it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bitsim import data
from tests.conftest import BITFUSION_YAML, PRECISION, WIDEST

MACHINES = data.names("hw_configs", ".yaml")


def test_out_folders_that_are_links(trace_folder, bitsim_command, tmp_path, monkeypatch):
    """A link stands for the folder it leads to; where nothing can stand, that is said before any work."""
    command = ("run", trace_folder(), "--hw", MACHINES[0], "--iterations", "0:1")
    (tmp_path / "empty").mkdir()
    for name, target in (("to_empty", "empty"), ("to_nothing", "new"), ("loop", "loop")):
        (tmp_path / name).symlink_to(target)
    for name, target in (("to_empty", "empty"), ("to_nothing", "new")):
        assert bitsim_command(*command, "--out", tmp_path / name)[0] == 0
        assert (tmp_path / name).is_symlink() and (tmp_path / target / "rows.parquet").is_file()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for out in (".", tmp_path / "loop"):
        status, text, err = bitsim_command(*command, "--out", out)
        assert status == 2 and text == "" and err.startswith(f"--out {out}: ")
    assert not list((tmp_path / "here").iterdir())


def test_a_machine_called_run_does_not_lose_its_copy(trace_folder, bitsim_command, tmp_path):
    (tmp_path / "run.yaml").write_text(BITFUSION_YAML)
    command = ("run", trace_folder(), "--hw", tmp_path / "run.yaml", "--iterations", "0:1")
    assert bitsim_command(*command)[0] == 0
    status, out, err = bitsim_command(*command, "--out", tmp_path / "out")
    assert status == 2 and out == "" and "rename" in err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["json", "table"])
def test_a_stdout_that_takes_no_more(trace_folder, kind):
    command = [sys.executable, "-m", "bitsim", "run", str(trace_folder()), "--hw", MACHINES[0], "--format", kind]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2 and done.stderr == "stdout: No space left on device\n"
    closed = subprocess.run(["bash", "-c", '"$@" >&-', "bash", *command], stderr=subprocess.PIPE, text=True)
    assert closed.returncode == 0 and closed.stderr == ""


BAD = [
    (("array: {rows: 16", "array: {rwos: 16"), "mine.yaml:4: array.rwos: unknown key, did you mean rows?"),
    (("accelerator: bitfusion", "accelerator: 3"), "mine.yaml:2: accelerator: missing or not a name"),
    (("clock: 500 MHz", "clock: 5 GHz"), "mine.yaml:8: input_buffer: technology.sram_cells"),
    (("weight_buffer:", "weight_bufer:"), "mine.yaml:7: weight_bufer: unknown key, did you mean weight_buffer?"),
    (("clock: 500 MHz", "clock: 500 MB"), "clock: '500 MB' is not a frequency"),
    (("rows: 16", "rows: 0"), "array.rows: 0"),
    (("rows: 16", "rows: -3"), "array.rows: -3"),
    (("rows: 16", "rows: 99999"), "array.rows: 99999"),
    (("rows: 16", "rows: 1.5"), "array.rows: 1.5"),
    (("weight_buffer: 64 KiB", "weight_buffer: 64"), "weight_buffer: 64 is not a size"),
    (("weight_buffer: 64 KiB", "weight_buffer: 0 KiB"), "weight_buffer: '0 KiB' is out of range"),
    (("weight_buffer: 64 KiB", "weight_buffer: 64 TiB"), "weight_buffer: '64 TiB' is not a size"),
    (("weight_buffer: 64 KiB\n", ""), "weight_buffer: missing key"),
    (("schema: 1", "schema: 2"), "schema: 2"),
    (("node_nm: 45", "node_nm: '45'"), "technology.node_nm: '45': allowed: a whole number"),
    (("node_nm: 45", "node_nm: 45.0"), "technology.node_nm: 45.0: allowed: a whole number"),
    (("node_nm: 45", "node_nm: true"), "technology.node_nm: True: allowed: a whole number"),
    (("accelerator: bitfusion", "accelerator: bitfuson"), "no such machine, allowed: bit_serial, bitfusion"),
    (("accelerator: bitfusion", "accelerator: ../x"), "is not the name of a machine"),
    (("latency: 80 ns,", "latency: 80 ns, latency_cycles: 3,"), "exactly one of latency and latency_cycles"),
    (("LPDDR4-flat", "LPDDR4-flut"), "did you mean LPDDR4-flat"),
    (("min_bits: 2", "min_bits: 3"), "3 is not a power of two"),
    (("itrs-lstp", "tfet"), "tfet"),
    (("clock: 500 MHz", "clock: 5 GHz"), "answers in"),
    (("clock: 500 MHz", "clock: 500 MHz\nclock: 1 GHz"), "duplicate key"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_machines(tmp_path, trace_folder, bitsim_command, change, message):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "\n".join(line for line in BITFUSION_YAML.splitlines() if not line.startswith("#")).replace(*change) + "\n"
    )
    status, out, err = bitsim_command("hw", "check", path)
    assert status == 2 and out == "" and message in err and "Traceback" not in err
    assert bitsim_command("run", trace_folder(), "--hw", path)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "array.rows"], "is not key=value"),
        (["--set", "array.rwos=3"], "did you mean rows"),
        (["--set", "nobody:array.rows=3"], "none of the machines given"),
        (["--set", "clock.x=3"], "clock is a value"),
        (["--iterations", "5:5"], "not a half-open range"),
        (["--iterations", "0:101"], "not a half-open range"),
        (["--iterations", "a:b"], "is not A:B"),
        (["--passes", "forward,wgard"], "wgard"),
        (["--passes", ""], "empty"),
        (["--set", "precision.wider=error", "--set", "precision.max_bits=4"], "precision.wider"),
        (["--set", "output_buffer=16 B"], "output_buffer: 16 B is too small for any tile, the smallest needs 256 B"),
        (["--out", "/proc/nowhere/x"], "--out"),
        (["--out", ""], "--out: empty"),
        (["--out", "."], "--out .: is "),
        (["--out", "a" * 300], "File name too long"),
        (["--hw", "bitfusion_16x32_192b"], "--hw: bitfusion_16x32_192b given twice"),
        (["--set", "array.rows=8", "--set", "array.rows=16"], "array.rows is set twice"),
        (["--set", "array.rows=8", "--set", "bitfusion_16x32_192b:array.rows=16"], "array.rows is set twice"),
        (["--passes", "forward,forward"], "forward stands twice"),
        (["--set", "array=5"], "array: 5 is not a section, allowed: rows, cols"),
        (["--set", "precision.float=0"], "precision.float: 0: allowed: 'error' or a whole number from 1 to 32"),
        (["--set", "weight_buffer=32KB"], "did you mean KiB"),
        (["--set", "clock=500mhz"], "did you mean MHz"),
    ],
)
def test_bad_options(trace_folder, bitsim_command, arguments, message):
    status, out, err = bitsim_command("run", trace_folder(), "--hw", "bitfusion_16x32_192b", *arguments)
    assert status == 2 and out == "" and message in err and "Traceback" not in err


def test_kernels_run_without_a_writable_place(tmp_path):
    code = (
        "import numpy as np; from bitsim.kernels.compile import cache_folder;"
        "from bitsim.kernels.event import event_cycles;"
        "from bitsim.kernels.program import PortTiming; assert cache_folder() is None;"
        "print(event_cycles(np.array([[1, 1, 0, 1, 5, 9, 31]]), PortTiming().array()).sum())"
    )
    blocked = tmp_path / "file"
    blocked.write_text("")
    env = os.environ | {"BITSIM_CACHE": str(blocked / "cache"), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5


def test_float_layers_can_be_refused(trace_folder, bitsim_command):
    floating = PRECISION.replace("conv,,4,4,8", "conv,,32,32,32")
    assert bitsim_command("run", trace_folder(precision=floating), "--hw", MACHINES[0])[0] == 0
    status, _, err = bitsim_command(
        "run", trace_folder(precision=floating), "--hw", "bitfusion_16x32_192b", "--set", "precision.float=error"
    )
    assert status == 2 and "layer conv, forward: precision.float" in err


def test_every_refusal_names_file_line_layer_and_pass(trace_folder, bitsim_command, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(BITFUSION_YAML + "accumulator: {policy: error}\n")
    line = len(path.read_text().splitlines())
    folder = trace_folder(precision=WIDEST)
    status, out, err = bitsim_command("run", folder, "--hw", path, "--samples", "group")
    assert status == 2 and out == ""
    assert all(fault.startswith(f"{path}:{line}: layer ") for fault in err.splitlines())
    assert "layer conv, wgrad_accumulate: accumulator.bits: sums need" in err
    status, _, err = bitsim_command("run", trace_folder(name="b"), "--hw", path, "--set", "output_buffer=16 B")
    assert status == 2 and f"{path}: --set: layer conv, forward: output_buffer: 16 B is too small" in err


def test_the_least_size_named_is_enough(trace_folder, bitsim_command):
    """A weight gradient may split its kernel: what one tap needs is the least, not what the whole kernel does."""
    command = ("run", trace_folder(), "--hw", "bitfusion_16x32_192b", "--passes", "wgrad", "--iterations", "0:1")
    status, _, err = bitsim_command(*command, "--set", "output_buffer=255 B")
    assert status == 2 and err.count("255 B is too small for any tile, the smallest needs 256 B") == len(
        err.splitlines()
    )
    assert bitsim_command(*command, "--set", "output_buffer=256 B")[0] == 0


def test_keys_that_say_the_same_are_not_both_set(trace_folder, bitsim_command):
    settings = "--set", "memory.bits_per_cycle=64", "--set", "memory.bandwidth=24Gbit/s"
    status, out, err = bitsim_command("run", trace_folder(), "--hw", "bitfusion_16x32_192b", *settings)
    assert (status, out) == (2, "")
    assert "--set: memory.bits_per_cycle and memory.bandwidth say the same, allowed: one of them" in err

"""Simulators and synthesis as tests use them: whether they are there, building a test bench, its file of words."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

RTL = Path(__file__).parent / "rtl"
INSTALL = "apt-get install iverilog verilator yosys g++ make"


def needs(*tools):
    """Skip a test with the reason where a tool is missing; BITSIM_REQUIRE_TOOLS=1 lets it fail instead."""
    programs = [name for tool in tools for name in {"verilator": ["verilator", "g++", "make"]}.get(tool, [tool])]
    absent = [name for name in programs if shutil.which(name) is None]
    reason = f"{', '.join(absent)} not found: {INSTALL}"
    return pytest.mark.skipif(bool(absent) and os.environ.get("BITSIM_REQUIRE_TOOLS") != "1", reason=reason)


def run(command):
    """Run a tool; its own words in the failure."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False, timeout=550)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compile_bench(tool, top, sources, parameters, folder, options):
    """Compile the test bench `top` with `tool`; returns the command that runs it.

    parameters: of the top; folder: for what is made; options: of Verilator.  Includes stand beside the first source.
    """
    folder.mkdir(parents=True, exist_ok=True)
    include = sources[0].parent
    if tool == "iverilog":
        binary = folder / "sim.vvp"
        values = [f"-P{top}.{name}={value}" for name, value in parameters.items()]
        run(["iverilog", "-g2012", "-I", include, "-s", top, "-o", binary, *values, *sources])
        return ["vvp", "-n", binary]
    values = [f"-G{name}={value}" for name, value in parameters.items()]
    common = ["--binary", "-j", "2", "-Wno-fatal", "-Wno-lint", "--top-module", top, "--Mdir", folder, f"-I{include}"]
    run(["verilator", *common, *options, *values, *sources])
    return [folder / f"V{top}"]


def write_image(path, words):
    """Words of 32 bits for $readmemh, a line each: Verilator loses a last word that no line end follows."""
    path.write_text("".join(f"{int(word) & 0xFFFFFFFF:x}\n" for word in words))

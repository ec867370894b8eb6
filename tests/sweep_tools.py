"""Small sweeps as tests use them, and which libraries must be there."""

import importlib.util
import os

import pytest

import bitsim

GRID = {"array.rows": [8, 16], "weight_buffer": "16KiB:64KiB:x4", "memory.bandwidth": ["24 Gbit/s", "96 Gbit/s"]}


def needs_library(name, extra):
    """Skip a file's tests where an optional library is missing; BITSIM_REQUIRE_LIBRARIES=1 lets them fail instead."""
    absent = importlib.util.find_spec(name) is None and os.environ.get("BITSIM_REQUIRE_LIBRARIES") != "1"
    return pytest.mark.skipif(absent, reason=f"{name} is not installed: pip install 'bitsim-accel[{extra}]'")


def small(folder, name="bitfusion_16x32_192b"):
    """A trace of two layers and a machine."""
    return bitsim.open_trace(folder), bitsim.load_hardware(name)

"""RTL == per-cycle model, every cycle; whole layers with data == numpy, and every counter."""

import numpy as np
import pytest

from bitsim.kernels.stepped import stepped_cycles
from tests.rtl_chain import build, missing_tool, random_control, simulate, table


def needs(tool):
    """Skip with the reason where a tool is missing."""
    return pytest.mark.skipif(missing_tool(tool) is not None, reason=str(missing_tool(tool)))


def check_states(programs, outcomes, rows, cols):
    """Class, tile, port and transfers of every cycle equal those of the per-cycle model."""
    for number, (program, outcome) in enumerate(zip(programs, outcomes, strict=True)):
        log = np.full((len(outcome.log) + 1, 5), -1, np.int64)
        stalls = np.array(program.stalls, np.uint8)
        classes = stepped_cycles(table(program, rows, cols), program.timing.array(), stalls, log)
        np.testing.assert_array_equal(outcome.log, log[:-1], err_msg=f"program {number}")
        np.testing.assert_array_equal(outcome.classes, classes, err_msg=f"program {number}")
        assert classes.sum() == len(outcome.log)


@needs("iverilog")
def test_random_control_programs(tmp_path):
    rng = np.random.default_rng(4)
    programs = [random_control(rng, 2, 2) for _ in range(40)]
    outcomes = simulate(build("iverilog", 2, 2, tmp_path), programs, tmp_path)
    check_states(programs, outcomes, 2, 2)

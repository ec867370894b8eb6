"""docs/tutorial.md from its training loop to its last command, with what they print."""

import importlib.util
import json
import runpy
import shlex

import pytest

from tests.pages import DOCS, play

if importlib.util.find_spec("torch") is None:
    pytest.skip("needs torch: pip install '.[record]'", allow_module_level=True)


def test_the_page_is_what_happens(tmp_path, monkeypatch, bitsim_command):
    def other(line):
        program, *arguments = shlex.split(line)
        if program == "python":
            runpy.run_path(str(tmp_path / arguments[0]), run_name="__main__")
        else:
            assert program == "pip"
        return ""

    page = DOCS / "tutorial.md"
    ran = play(page, tmp_path, bitsim_command, monkeypatch, other)
    assert len(ran) == 11
    assert {"stages.pdf", "roofline.pdf", "breakdown.pdf"} <= {path.name for path in tmp_path.iterdir()}
    # The numbers of the verdict.
    mixed = json.loads((tmp_path / "mixed" / "summary.json").read_text())["runs"][0]
    (eight,) = json.loads((tmp_path / "eight_bits" / "summary.json").read_text())["runs"]
    text = page.read_text()
    for what, words in (("latency_s", "time"), ("energy_j", "energy")):
        saved = 100 * (1 - mixed[what] / eight[what])
        assert f"| {words} | {saved:.0f} % |" in text or f"| {words} | {saved:.1f} % |" in text
    million = []
    for trace in ("my_run", "eight"):
        _, out, _ = bitsim_command("trace", "info", trace)
        line = next(line for line in out.splitlines() if "effective MACs" in line)
        million.append(float(line.split("│")[2].split()[0]) / 1e6)
    said = f"effective MACs ({million[0]:.2f} and {million[1]:.2f} million an iteration, of `trace info`)"
    assert f"| {said} | {100 * (1 - million[0] / million[1]):.0f} % |" in text

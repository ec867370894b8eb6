"""The how-to pages: their commands run in order, and print what the pages show.  The site: what it must list."""

import re

import pandas as pd
import pytest

import bitsim
from bitsim.simulation.cost import COST_COLUMNS
from bitsim.simulation.result import Result
from tests.pages import DOCS, excerpt, play, shows

REFERENCE = DOCS / "reference"


def test_the_network_written_by_hand_runs(tmp_path, monkeypatch, bitsim_command):
    assert len(play(DOCS / "own_network.md", tmp_path, bitsim_command, monkeypatch)) == 2


def test_every_column_and_key_of_a_trace_is_explained():
    from bitsim.trace import layers_file, precision_file
    from bitsim.trace.run_file import RunInfo

    columns = {*layers_file.REQUIRED, *layers_file.OPTIONAL, *precision_file.REQUIRED, *precision_file.OPTIONAL}
    keys = {info.alias or name for name, info in RunInfo.model_fields.items()}
    named = set(re.findall(r"`(\w+)`", (REFERENCE / "trace_files.md").read_text()))
    assert columns | keys <= named


def test_every_column_of_published_rows_is_explained():
    from bitsim.reproduce import bitfusion, eyeriss, fractrain
    from bitsim.reproduce.published_rows import shipped

    page = (REFERENCE / "published_rows.md").read_text()
    for title, module in (("bitfusion", bitfusion), ("eyeriss", eyeriss), ("fractrain", fractrain)):
        section = page.partition(f"## `bitsim reproduce {title}`")[2].partition("\n## ")[0]
        file = fractrain.TABLE_FILE if module is fractrain else module.LAYERS_FILE
        named = set(re.findall(r"`(\w+)`", section))
        assert set(shipped(file)[0]) <= named, title
        if module is eyeriss:
            assert all(f"`{name}` [{default}]" in section for name, default in eyeriss.OPTIONAL.items())


@pytest.mark.slow
@pytest.mark.parametrize(("page", "commands"), [("own_machine.md", 4), ("fair_comparison.md", 3), ("figures.md", 4)])
def test_commands_of_the_page_run_and_print_what_it_shows(page, commands, tmp_path, monkeypatch, bitsim_command):
    assert len(play(DOCS / page, tmp_path, bitsim_command, monkeypatch)) == commands


@pytest.mark.slow
def test_python_of_the_figures_page_runs(tmp_path, monkeypatch, bitsim_command):
    assert bitsim_command("demo", "--out", tmp_path / "demo")[0] == 0
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "figures.md").read_text(), re.DOTALL)
    exec(code, {})
    assert (tmp_path / "titled.pdf").read_bytes().startswith(b"%PDF")


def test_dots_stand_for_lines_left_out_and_for_nothing_else():
    printed = "a  \nb\nc\nd\n"
    for shown in ("a\nb\nc\nd\n", "a\n...\nd\n", "...\nd\n", "a\n...\n", "a\nb\n...\nc\nd\n"):
        shows(printed, shown)
    for shown in ("a\n", "a\n...\nc\n", "b\n...\n", "a\nc\nd\n"):
        with pytest.raises(AssertionError):
            shows(printed, shown)


def test_every_column_is_explained(trace_folder):
    page = (REFERENCE / "results.md").read_text()
    named = set(re.findall(r"`([\w]+)`", page))
    trace = bitsim.open_trace(trace_folder())
    result: Result = bitsim.simulate(trace, bitsim.load_hardware("bitfusion_16x32_192b"))
    buffers = [buffer.name for buffer in result.machine.accelerator.buffers()]
    general = {re.sub(rf"^({'|'.join(buffers)})_", "BUFFER_", column) for column in result.columns}
    assert general <= named and set(COST_COLUMNS) <= named
    row = result.rows.iloc[0]
    assert row.effective_macs == row.macs * row.input_bits * row.weight_bits / 1024 and row.stall_cycles == (
        row.cycles - row.issue_cycles
    )
    assert isinstance(result.rows, pd.DataFrame)


def test_every_page_is_reached():
    """Pages of docs/ that the order of the site names exist, but for those it says may be missing."""
    import yaml

    def named(items):
        for item in items:
            if isinstance(item, str):
                yield item, True
            elif "glob" in item:
                yield item["glob"], not item["ignore_no_matches"]
            else:
                yield from named(next(iter(item.values())))

    pages = dict(named(yaml.safe_load((DOCS / ".nav.yml").read_text())["nav"]))
    assert pages["*"] is False  # whatever is not named comes last
    assert [name for name, needed in pages.items() if needed and not (DOCS / name).is_file()] == []


def test_an_excerpt_is_written_again_where_it_stood():
    shown = "...\nhardware   cycles\nmachine_a     12\n...\nnote: 3 of 4\n..."
    printed = "first\nother 1\nhardware    cycles\nmachine_a       7\nmachine_b  5\nnote: 2 of 4\nlast\n"
    assert excerpt(printed, shown) == [
        "...",
        "hardware    cycles",
        "machine_a       7",
        "...",
        "note: 2 of 4",
        "...",
    ]
    assert excerpt("one\ntwo\nthree\n", "one\n...") == ["one", "..."]
    assert excerpt("one\ntwo\n", "one\n") == ["one", "two"]

"""README.md: what its first command prints, its Python, its pictures, and the files it leads to."""

import re
import shlex

import pytest

from bitsim.cli.main import app
from tests.pages import DOCS, checked, fences

README = DOCS.parent / "README.md"


def test_the_first_command_prints_what_the_page_shows(monkeypatch, bitsim_command):
    monkeypatch.setenv("COLUMNS", "100")
    (_, _, command), (kind, _, shown) = fences(README)[:2]
    program, *arguments = shlex.split(command.rpartition("&& ")[2])
    assert program == ".venv/bin/bitsim" and kind == "text"
    status, out, err = bitsim_command(*arguments)
    assert status == 0, err
    checked(README, out, shown)


def test_its_python_runs():
    names = {}
    exec("\n".join(text for kind, _, text in fences(README) if kind == "python"), names)
    assert names["result"].totals["cycles"] > 0 and len(names["result"].per_iteration()) > 1
    assert len(names["found"].frame) == 3


def test_runs_by_the_published_model_are_possible(bitsim_command):
    named = [" ".join(code.split()) for code in re.findall(r"`([^`]*--timing analytical[^`]*)`", README.read_text())]
    assert named
    for command in named:
        program, *arguments = shlex.split(command)
        status, _, err = bitsim_command(*arguments)
        assert (program, status) == ("bitsim", 0), err


@pytest.mark.slow
def test_pictures_are_made_by_the_commands_it_names(tmp_path, monkeypatch, bitsim_command):
    """By the commands, not to the pixel: that is up to the version of matplotlib."""
    monkeypatch.chdir(tmp_path)
    (commands,) = [text for kind, _, text in fences(README) if kind == "bash" and text.startswith("bitsim demo")]
    for line in commands.splitlines():
        status, _, err = bitsim_command(*shlex.split(line)[1:])
        assert status == 0, err
    shown = set(re.findall(r"!\[[^]]*]\(([\w./-]+)\)", README.read_text()))
    made = {str(path.relative_to(tmp_path)) for path in (tmp_path / "docs").iterdir()}
    assert made | {"docs/demo.png"} == shown and (tmp_path / "demo" / "training.png").is_file()


def test_every_file_and_command_it_names_is_there():
    text = README.read_text()
    absent = [name for name in re.findall(r"]\(([\w./-]+)\)", text) if not (README.parent / name).exists()]
    assert absent == []
    absent = [
        name
        for name in re.findall(r"^\| `(bitsim/[\w./]+)`", text, re.MULTILINE)
        if not (README.parent / name).exists()
    ]
    assert absent == []
    known = {command.name or command.callback.__name__ for command in app.registered_commands}
    known |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"`bitsim (\w+)", text)) <= known

"""docs/traces.md: its files and commands, run in order in an empty folder."""

import re
import shlex
from pathlib import Path

import bitsim

PAGE = Path(__file__).parent.parent / "docs" / "traces.md"
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_commands_of_the_page_run(tmp_path, monkeypatch, bitsim_command):
    monkeypatch.chdir(tmp_path)
    ran = []
    for kind, name, text in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "python":
            continue  # run by test_recorder, which has torch
        if kind == "csv":
            Path(name).write_text(text)
            continue
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            status, _, err = bitsim_command(*arguments)
            assert program == "bitsim" and status == 0, (line, err)
            ran.append(arguments[1])
    assert set(ran) == {"synth", "stages", "import", "convert"}
    for folder in ("resnet74_pfq", "mobilenetv2_static", "net_cpt", "digits_csv"):
        assert bitsim.open_trace(tmp_path / folder).layers
    assert (tmp_path / "stages.svg").is_file()
    original = bitsim.open_trace("resnet20_digits_pfq").path / "precision.csv"
    assert (tmp_path / "digits_csv" / "precision.csv").read_bytes() == original.read_bytes()


def test_the_page_names_every_schedule_and_model():
    from bitsim.networks import NAMES
    from bitsim.synthetic.schedule import SCHEDULES

    page = PAGE.read_text(encoding="utf-8").replace("resnet38|74|110|164", "resnet38 resnet74 resnet110 resnet164")
    page = page.replace("resnet18|34|50", "resnet18 resnet34 resnet50")
    assert [name for name in (*SCHEDULES, *NAMES) if name not in page] == []

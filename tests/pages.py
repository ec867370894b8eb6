"""The pages in docs/: their fenced blocks, run as a reader would, and what they print.

A page is a script: files (a block with a title) are written, `bitsim` commands run in order in one empty folder, and a
block of text after commands is what the last of them prints.  In it a line of dots stands for lines left out.

With BITSIM_WRITE_PAGES=1 blocks are written again from what is printed: between dots, the lines most like those there.
"""

import difflib
import itertools
import os
import re
import shlex
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
COLUMNS = "88"
_FENCE = re.compile(r'^```(\w+)(?: (?:title=)?"?([\w./-]+)"?)?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
LEFT_OUT = "..."


def fences(page):
    """(language, title or empty, text) of every fenced block of a page, in order."""
    return _FENCE.findall(page.read_text(encoding="utf-8"))


def play(page, folder, run, monkeypatch, other=None):
    """Run a page in `folder`; the command lines that ran.  AssertionError where what is printed is not what it shows.

    run: bitsim_command of conftest; other: runs a command line that is not bitsim's.
    """
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", COLUMNS)
    ran, printed = [], ""
    for kind, title, text in fences(page):
        if title:
            Path(title).parent.mkdir(parents=True, exist_ok=True)
            Path(title).write_text(text)
        elif kind == "bash":
            for line in text.replace("\\\n", " ").splitlines():
                program, *arguments = shlex.split(line, comments=True)
                if program == "bitsim":
                    status, printed, err = run(*arguments)
                    assert status == 0, (line, err)
                else:
                    assert other is not None, line
                    printed = other(line)
                ran.append(line)
        elif kind == "text":
            checked(page, printed, text)
    return ran


def checked(page, printed, shown):
    """`shows`, or the page written again where that is asked for."""
    if os.environ.get("BITSIM_WRITE_PAGES") != "1":
        shows(printed, shown)
        return
    text = page.read_text(encoding="utf-8")
    now = "".join(f"{line}\n" for line in excerpt(printed, shown))
    page.write_text(text.replace(shown, now), encoding="utf-8")


def excerpt(printed, shown):
    """Lines of `printed` that stand where those of `shown` do: parts between dots where they are most alike."""
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    if LEFT_OUT not in shown.splitlines():
        return lines
    now, at = [], 0
    for dots, part in itertools.groupby(shown.splitlines(), lambda line: line == LEFT_OUT):
        if dots:
            now.append(LEFT_OUT)
            continue
        part = list(part)
        starts = range(at, max(at, len(lines) - len(part)) + 1) if now else [0]
        likeness = {start: _likeness(lines[start : start + len(part)], part) for start in starts}
        best = max(likeness, key=likeness.__getitem__)
        now += lines[best : best + len(part)]
        at = best + len(part)
    return now


def _likeness(lines, part):
    """Sum over lines that face each other, numbers and rules not looked at."""
    pairs = zip(lines, part, strict=False)
    return sum(
        difflib.SequenceMatcher(None, *(re.sub(r"[\d.,\s─]+", " ", one) for one in pair)).ratio() for pair in pairs
    )


def shows(printed, shown):
    """AssertionError unless `shown` is `printed`, but for lines that dots stand for; spaces at line ends aside."""
    lines = [line.rstrip() for line in printed.strip("\n").splitlines()]
    parts = "\n".join(line.rstrip() for line in shown.strip("\n").splitlines()).split(f"{LEFT_OUT}\n")
    pattern = "(?:.*\n)*?".join(re.escape(part) for part in parts)
    if pattern.endswith(re.escape(LEFT_OUT)):
        pattern = pattern.removesuffix(re.escape(LEFT_OUT)) + "(?:.*\n?)*"
    assert re.fullmatch(pattern, "\n".join(lines)), f"printed:\n{printed}\nthe page shows:\n{shown}"

"""docs/reviewers.md: its commands print what it shows, and every question of the generator is on it."""

import textwrap

import pytest

from bench.reviewers import ANSWERS, LINE, LOSSES, Step, excerpt, losses
from tests.pages import DOCS, fences, play

PAGE = DOCS / "reviewers.md"


@pytest.mark.slow
def test_the_page_shows_what_its_commands_print(tmp_path, monkeypatch, bitsim_command):
    ran = play(PAGE, tmp_path, bitsim_command, monkeypatch)
    assert ran == [line for answer in ANSWERS for step in answer.steps for line in step.commands]


def test_the_page_has_every_question_with_its_words():
    text = PAGE.read_text()
    for answer in ANSWERS:
        assert f"## {answer.question}\n\n{textwrap.fill(answer.words, LINE)}\n" in text
    titled = {title: body for _, title, body in fences(PAGE) if title}
    assert titled == {LOSSES: losses()}


def test_an_excerpt_marks_what_it_leaves_out():
    printed = "a\nb 1\nc  \n\nd\n"
    assert excerpt(printed, Step(("x",))) == "a\nb 1\nc\n\nd"
    assert excerpt(printed, Step(("x",), "b", "c")) == "...\nb 1\nc\n..."
    assert excerpt(printed, Step(("x",), "b")) == "...\nb 1\nc\n..."
    assert excerpt(printed, Step(("x",), "d")) == "...\nd"
    with pytest.raises(ValueError, match="prints no line with 'z'"):
        excerpt(printed, Step(("x",), "z"))

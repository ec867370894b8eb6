"""A file is written whole or not at all, and only in the place of a file: never of a device, a pipe or a folder."""

import os
import stat
from pathlib import Path

import pytest

from bitsim.errors import InputError
from bitsim.report.whole_file import write_bytes, write_text


def test_a_pipe_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe.png"  # as /dev/null would: renaming over it puts a file in its place
    os.mkfifo(pipe)
    with pytest.raises(InputError, match=r"pipe.png: is a device or pipe, allowed: a file"):
        write_bytes(pipe, b"picture")
    assert stat.S_ISFIFO(pipe.lstat().st_mode) and [path.name for path in tmp_path.iterdir()] == ["pipe.png"]


def test_a_link_is_followed(tmp_path):
    page, link = tmp_path / "page.html", tmp_path / "link.html"
    page.write_text("old")
    link.symlink_to(page)
    write_text(link, "new")
    assert link.is_symlink() and page.read_text() == "new"


def test_a_link_to_itself_and_a_folder_are_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match="loop: cannot be written"):
        write_text(tmp_path / "loop", "new")
    with pytest.raises(InputError, match="is a folder, allowed: a file"):
        write_text(tmp_path, "new")


def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    page = tmp_path / "page.html"
    page.write_text("old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match="cannot be written: No space left"):
        write_text(page, "new")
    assert page.read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("option", ["--html", "--timeline"])
def test_a_report_does_not_replace_a_pipe(bitsim_command, trace_folder, tmp_path, option):
    results, pipe = tmp_path / "results", tmp_path / "pipe"
    assert bitsim_command("run", trace_folder(), "--hw", "bitfusion_16x32_192b", "--out", results)[0] == 0
    os.mkfifo(pipe)
    chosen = [] if option == "--html" else ["--layer", "conv", "--pass", "forward"]
    status, out, err = bitsim_command("report", results, option, pipe, *chosen)
    assert status == 2 and out == "" and "device or pipe" in err, err
    assert stat.S_ISFIFO(pipe.lstat().st_mode)

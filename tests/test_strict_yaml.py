"""Strict YAML: what a scalar is, where a key stands, and every refusal with its line."""

import math
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitsim.errors import InputError
from bitsim.strict_yaml import MAX_BYTES, MAX_DEPTH, dump, load


@pytest.fixture
def read(tmp_path):
    """read(text or bytes) -> Document."""

    def go(content):
        path = tmp_path / "file.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load(path)

    return go


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-1.", -1.0),
        ("+5", 5),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("y", "y"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2020-01-01", "2020-01-01"),
        ("0o9", "0o9"),
        (".inf", ".inf"),
        ("'8'", "8"),
        ("96 Gbit/s", "96 Gbit/s"),
    ],
)
def test_scalars_follow_the_core_schema(read, text, value):
    got = read(f"a: {text}\n").data["a"]
    assert got == value and type(got) is type(value)


def test_lines_of_key_paths(read):
    document = read("# machine\narray:\n  rows: 1\n  cols: 2\nmemory: {latency: 3,\n  energy: x}\n")
    assert [document.line(k) for k in ("array", "array.rows", "array.cols", "memory.energy")] == [2, 3, 4, 6]
    assert document.line("array.depth.deeper") == 2
    assert document.line("clock") == 1
    assert document.data == {"array": {"rows": 1, "cols": 2}, "memory": {"latency": 3, "energy": "x"}}


BAD = [
    ("a: 1\nb: 2\na: 3\n", "3: a: duplicate key, first on line 1"),
    ("a: {x: 1,\n x: 2}\n", "2: a.x: duplicate key"),
    ("a: 1\nb: !!python/object:os.system x\n", "2: tag"),
    ("a: !foo x\n", "1: tag"),
    ("a: !!str x\n", "1: tag"),
    ("a: &x 1\n", "1: anchors"),
    ("a: 1\nb: *x\n", "2: anchors"),
    ("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "1: anchors"),
    ("- 1\n", "1: must be a mapping"),
    ("text\n", "1: must be a mapping"),
    ("# nothing\n", "1: must be a mapping"),
    ("", "1: empty file"),
    (" \n\n", "1: empty file"),
    ("a: 1\n---\nb: 2\n", "2: not YAML"),
    ("a: 1\n  b: 2\n", "2: not YAML"),
    ("a: [1, 2\n", "2: not YAML"),
    ("a: 'x\n", "not YAML"),
    ("\ta: 1\n", "1: not YAML"),
    ("a: \x07\n", "1: not YAML: character U+0007"),
    ("? [1]\n: 2\n", "1: a key must be a word"),
    ('"": 2\n', "1: a key must be a word"),
    ("a: 1e400\n", "1: 1e400: too large"),
    (f"a: {'9' * 41}\n", "1: 99999"),
    ('a: "x\\0"\n', "1: a text with a character"),
    ('a: "\\uD800"\n', "1: a text with a character"),
    (b"a: caf\xe9\n", "1: not UTF-8"),
    (b"a: 1\n\xff\xfe\n", "2: not UTF-8"),
    ("a: 1\n".encode("utf-16"), "1: not UTF-8"),
    (b"a: 1\nb: \x00\n", "2: binary"),
    (b"\x89PNG\r\n\x1a\n\0\0", "1: not UTF-8"),
]


@pytest.mark.parametrize(("content", "expected"), BAD)
def test_refused_with_its_line(read, content, expected):
    with pytest.raises(InputError, match=r"file\.yaml:\d") as caught:
        read(content)
    assert f"file.yaml:{expected}" in str(caught.value) or expected in str(caught.value)


def test_all_faults_at_once_and_a_long_list_is_cut(read):
    with pytest.raises(InputError) as caught:
        read("a: 1\na: 2\nb: 1e999\n")
    assert len(caught.value.faults) == 2
    with pytest.raises(InputError) as caught:
        read("a: 1\n" * 31)
    assert len(caught.value.faults) == 21 and caught.value.faults[-1].endswith("and 10 more")


def test_depth_on_both_sides(read):
    read("a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(InputError, match="nested too deeply"):
        read("a: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_a_bomb_of_brackets_ends_at_once(read):
    start = time.monotonic()
    with pytest.raises(InputError, match="nested too deeply"):
        read("a: " + "[" * 500_000)
    assert time.monotonic() - start < 20  # PyYAML's own scanner takes minutes


def test_size_on_both_sides(read):
    fits = "a: 1\n#" + "x" * (MAX_BYTES - 6)
    assert read(fits).data == {"a": 1}
    with pytest.raises(InputError, match="allowed up to 1048576"):
        read(fits + "x")


def test_not_a_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="is a folder"):
        load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="device or pipe"):
        load(tmp_path / "pipe")


def test_byte_order_mark_is_no_part_of_a_key(read):
    assert read(b"\xef\xbb\xbfa: 1\n").data == {"a": 1}


plain = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
tricky = st.sampled_from(["no", "1e3", "0o17", "1_0", "1:30", "~", "true", "<<", "2020-01-01", ".inf", "a: b", "#", ""])
scalars = st.one_of(
    plain, tricky, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False).filter(math.isfinite)
)


@given(
    st.dictionaries(
        plain, st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(plain, scalars, max_size=3))
    )
)
def test_dump_reads_back_equal(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("yaml") / "file.yaml"
    path.write_text(dump(data) or "{}", encoding="utf-8")
    assert load(path).data == data

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyport_sandbox import InvalidRunError, Limits
from polyport_sandbox.files import check_files, name_problem
from polyport_sandbox.types import LANGUAGES


@pytest.mark.parametrize(
    "name",
    ["", "/", "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "a//b", "a/", "a\\b", "a\0b", "a\nb", "\x7f",
     "\ud800", "x" * 256, "/".join("abcdefghi")],
)  # fmt: skip
def test_a_name_that_could_leave_the_folder_is_refused(name: str):
    assert name_problem(name) is not None


@pytest.mark.parametrize("name", ["a", ".hidden", "..a", "a..b", "...", "a/b/c.txt", "文件.csv", "-rf", "a b"])
def test_an_ordinary_name_is_fine(name: str):
    assert name_problem(name) is None


@given(st.text())
def test_whatever_is_accepted_stays_inside(name: str):
    if name_problem(name) is None:
        assert posixpath.normpath(f"/work/{name}").startswith("/work/")


def test_counts_and_sizes_hold():
    python, limits = LANGUAGES["python"], Limits(input_files=2, input_bytes=10)
    check_files(b"12345", python, {"a": b"12", "b": b"12"}, b"1", limits)
    with pytest.raises(InvalidRunError, match="3 files are more than the 2 allowed"):
        check_files(b"", python, {"a": b"", "b": b"", "c": b""}, b"", limits)
    with pytest.raises(InvalidRunError, match="11 bytes together, more than the 10"):
        check_files(b"12345", python, {"a": b"12", "b": b"12"}, b"12", limits)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wall_s", 0), ("wall_s", float("nan")), ("wall_s", float("inf")), ("wall_s", -1), ("wall_s", "5"),
        ("memory_mb", 31), ("memory_mb", 256.5), ("pids", True), ("pids", 0), ("cpus", None),
        ("output_bytes", -1),
    ],
)  # fmt: skip
def test_limits_out_of_range_are_refused_with_the_value(name: str, value: object):
    with pytest.raises(InvalidRunError, match=rf"limits\.{name} is "):
        Limits(**{name: value})

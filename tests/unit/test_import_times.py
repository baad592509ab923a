"""Times of files: units by magnitude, never by guess, never mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from arbot.tape.importing.contract import Options, Refused, Source
from arbot.tape.importing.times import to_ns, to_ns_by_row


def source(name: str = "a.csv", shared: dict | None = None) -> Source:
    return Source(Path(name), Options(), lambda _at: None, shared)


@pytest.mark.parametrize(
    ("written", "ts_ns"),
    [
        ("1633998511", 1633998511 * 10**9),
        ("1633998511.123456", 1633998511123456000),
        ("1633998511123", 1633998511123 * 10**6),
        ("1633998511123456", 1633998511123456 * 10**3),
        ("1633998511123456789", 1633998511123456789),
        ("2024-08-08T23:54:13.937085768Z", 1723161253937085768),
        ("2024-08-08 23:54:13", 1723161253 * 10**9),
        ("2024-08-08T23:54:13.5+00:00", 1723161253500000000),
        ("", 0),
        ("0", 0),
    ],
)
def test_unit_comes_from_the_magnitude(written, ts_ns):
    """Seconds, ms, us, ns and ISO texts all come to the same ns; nothing comes to 0."""
    assert [ts_ns] == to_ns(np.array([written], object), "t", source()).tolist()


def test_float_seconds_keep_what_the_float_says():
    """Float seconds become the shortest decimal that names them, not the float's own tail."""
    assert [1633998511123456000] == to_ns(np.array([1633998511.123456]), "t", source()).tolist()


def test_change_inside_a_file_names_the_row():
    """A column that goes from ms to us is refused with the row of the change."""
    with pytest.raises(Refused, match=r"a\.csv, row 12: t is in microseconds here and in milliseconds before"):
        to_ns(np.array([1633998511123, 1633998511123, 1633998511123456]), "t", source(), 10)


def test_change_between_files_names_the_other():
    """Two files of one import with different units are refused, and the message says where the other unit was."""
    shared: dict = {}
    to_ns(np.array([1633998511123]), "t", source("first.csv", shared))
    with pytest.raises(Refused, match=r"second\.csv.*in first\.csv \(unit\)"):
        to_ns(np.array([1633998511123456789]), "t", source("second.csv", shared))


def test_rows_may_differ_where_the_vendor_says_so():
    """Row by row, ms and us stand side by side."""
    both = np.array([1735689599999, 1735689600000000])
    assert [1735689599999 * 10**6, 1735689600000000 * 10**3] == to_ns_by_row(both, "t", source()).tolist()


@pytest.mark.parametrize(
    "written", ["99", "12345678901", "abc", "-1633998511", "2024-13-01", "2024-08-08T23:54:13+02:00"]
)
def test_no_time_is_refused(written):
    """What is no time in a known unit is refused with its row."""
    with pytest.raises(Refused, match="row 7"):
        to_ns(np.array([written], object), "t", source(), 7)

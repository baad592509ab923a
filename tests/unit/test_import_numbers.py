"""Numbers of files as exact integers: what is rounded is counted, what is no number is marked."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbot.tape.importing.numbers import decimals_used, lay, parse


def texts(*numbers: str) -> np.ndarray:
    return np.array(numbers, object)


@given(st.lists(st.tuples(st.integers(1 - 10**12, 10**12 - 1), st.integers(0, 6)), min_size=1, max_size=30))
def test_text_is_exact(numbers):
    """Every text of up to 18 digits becomes the integer that Decimal makes of it."""
    written = [f"{Decimal(mantissa).scaleb(-places):f}" for mantissa, places in numbers]
    laid = lay(parse(texts(*written)), 6)
    assert [int(Decimal(text).scaleb(6)) for text in written] == laid.values.tolist()
    assert not laid.is_rounded.any()


@pytest.mark.parametrize("make", [list, texts, pl.Series, pa.array, lambda *n: np.array([float(x) for x in n])])
def test_every_kind_of_array_reads_the_same(make):
    """Arrays of numpy, polars and pyarrow, of text and of floats, come to the same integers."""
    numbers = ("61837.63", "0.1", "100", "1e-5", "22325.509999999995")
    made = make(*numbers) if make is texts or make.__name__ == "<lambda>" else make(list(numbers))
    assert [6183763000, 10000, 10000000, 1, 2232551000] == lay(parse(made), 5).values.tolist()


def test_float_artefacts_are_rounded_and_counted():
    """An artefact is laid on the tick and marked; a number that is merely too fine is marked as odd besides."""
    laid = lay(parse(texts("22325.509999999995", "0.30000000000000004", "1.2345", "7")), 2)
    assert [2232551, 30, 123, 700] == laid.values.tolist()
    assert [True, True, True, False] == laid.is_rounded.tolist()
    assert [False, False, True, False] == laid.is_odd.tolist()


def test_artefacts_do_not_ask_for_decimals():
    """The decimals of a series are those of its plain numbers and of artefacts without their noise."""
    used = decimals_used(texts("22325.509999999995", "22325.5", "23142.760000000002"))
    assert (2, 2) == (used.decimals, used.artefacts)


def test_genuine_long_numbers_are_exact_where_they_fit():
    """A number that looks like an artefact but fits at the decimals is taken as it stands."""
    assert [100000000000001] == lay(parse(texts("1000000.00000001")), 8).values.tolist()


def test_too_big_is_marked_and_not_wrapped():
    """Numbers beyond 18 digits come out as 0 and marked, never as another number."""
    laid = lay(parse(texts("10000000000", "12345678901234567890", "1e30")), 9)
    assert [0, 0, 0] == laid.values.tolist()
    assert laid.is_too_big.all()


def test_words_for_nothing_are_missing_and_rubbish_is_bad():
    """Empty fields, NaN and null are missing; what is no number is bad."""
    parsed = parse(texts("", "NaN", "null", "inf", "1.2.3", "abc", "-", "1,5"))
    assert [True, True, True, True, False, False, False, False] == parsed.is_missing.tolist()
    assert [False, False, False, False, True, True, True, True] == parsed.is_bad.tolist()


def test_told_tick_takes_multiples():
    """With a tick of 0.05 numbers are laid on its multiples, and those beside it are marked."""
    laid = lay(parse(texts("1.05", "1.07", "1.08")), 2, 5)
    assert [105, 105, 110] == laid.values.tolist()
    assert [False, True, True] == laid.is_odd.tolist()


def test_slices_of_arrow_read_their_own_part():
    """A slice of an array does not read the bytes of the array before it."""
    assert [3, 4] == lay(parse(pa.array(["1", "2", "3", "4"]).slice(2)), 0).values.tolist()

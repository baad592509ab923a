"""How text from a venue becomes numbers and times."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from arbot.venues.codec import (
    FRAME_BYTES_MAX,
    MalformedFrame,
    cap_rows,
    head_of,
    plain_decimal,
    positive_decimal,
    quantity,
    scaled,
    text_of,
    timestamp_ns,
)
from arbot.venues.kraken.wire import Head


@pytest.mark.parametrize(
    ("text", "decimals", "expected"),
    [
        ("0.010", 3, 10),
        ("65010.1", 1, 650_101),
        ("5", 2, 500),
        ("1.500", 1, 15),
        ("0", 8, 0),
        ("0.00000001", 8, 1),
        ("9223372036854775807", 0, 2**63 - 1),
    ],
)
def test_a_plain_number_is_scaled_exactly(text, decimals, expected):
    """Digits are moved, never rounded; zeros beyond the decimals are fine."""
    assert expected == scaled(text, decimals)


@pytest.mark.parametrize(
    "text",
    ["", ".", "1.", ".1", "-1", "+1", "1e2", "1E2", "0x1", "1.05", "NaN", "1 ", "1_0", "\u0661", "1..2", "9" * 19],
)
def test_anything_else_is_no_number(text):
    """A sign, an exponent, a finer digit, another script's digit or more than an int64 is refused."""
    with pytest.raises(MalformedFrame):
        scaled(text, 1)


@pytest.mark.parametrize("text", ["", "-", "1.", ".5", "1e2", "--1", "NaN", "Infinity", "\u0661", "1" * 41, "1-1"])
def test_a_decimal_is_plain_too(text):
    """Money from a venue is digits with at most one point and a minus sign."""
    with pytest.raises(MalformedFrame):
        plain_decimal(text)


def test_signs_are_allowed_where_they_belong():
    """A fee may be a rebate, a quantity may be zero, a price is above zero."""
    assert Decimal("-0.50") == plain_decimal("-0.50")
    assert Decimal(0) == quantity("0.0")
    for refuse, text in ((quantity, "-1"), (positive_decimal, "0"), (positive_decimal, "-1")):
        with pytest.raises(MalformedFrame):
            refuse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-20T09:30:00.123456789Z", 1_795_167_000_123_456_789),
        ("2026-11-20T09:30:00.17Z", 1_795_167_000_170_000_000),
    ],
)
def test_a_time_keeps_its_nanoseconds(text, expected):
    """RFC 3339 in UTC, up to nine decimals."""
    assert expected == timestamp_ns(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-20T09:30:00",
        "2026-13-20T09:30:00Z",
        "2026-11-20T09:30:00.1234567890Z",
        "2026-11-20T09:30:00.-1Z",
        "x" * 20,
    ],
)
def test_anything_else_is_no_time(text):
    """No zone but UTC, no date that does not exist."""
    with pytest.raises(MalformedFrame):
        timestamp_ns(text)


def test_a_bare_number_keeps_its_own_digits():
    """The text carries the precision: nothing is trimmed."""
    assert "0.010" == text_of(msgspec.json.decode(b"0.010", type=msgspec.Raw))


@pytest.mark.parametrize("raw", [b'"1"', b"null", b"[1]", b"true", b""])
def test_only_a_bare_number_is_a_number(raw):
    """Strings where the venue writes numbers are refused."""
    with pytest.raises(MalformedFrame):
        text_of(msgspec.Raw(raw))


def test_sizes_are_capped():
    """A frame or a list beyond what is sane is refused before it is looked into."""
    with pytest.raises(MalformedFrame):
        head_of(b" " * (FRAME_BYTES_MAX + 1), msgspec.json.Decoder(Head))
    with pytest.raises(MalformedFrame):
        cap_rows([1, 2], 1)

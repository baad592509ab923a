"""The pattern for plain fills takes nothing that the reader of all lines would refuse, and says the same of the rest."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arbot.domain.events import HistoryImported
from arbot.domain.history import parse_ts
from arbot.journal.codec import decode, encode
from arbot.ledger.history import plain_fills
from arbot.ledger.history.plain_fills import PlainFill, PlainFills
from arbot.ledger.history.posting import sums
from arbot.ledger.history.reading import LineReader
from tests.support.history_lines import FILL, fills, text_of

UNTIL_NS = parse_ts("2026-01-01T00:00:00Z")
KNOWN = FILL | {"fx": {"GBP": "0.77"}}
NEXT = KNOWN | {"id": "kraken:T2", "ts": "2025-03-04T05:06:07.125Z"}
TEXT = text_of(NEXT).rstrip("\n")


class _NoPattern(PlainFills):
    """Leaves every line to the reader of all lines."""

    def find(self, text: str) -> None:
        """Find nothing."""


def both(*raws: bytes) -> tuple[tuple, tuple]:
    """Return what two readers say of the same lines: with the pattern, and without it."""
    told = []
    for known in (PlainFills(), _NoPattern()):
        reader = LineReader("h.jsonl", until_ns=UNTIL_NS)
        reader._fills = known
        found = [line for raw in raws if (line := reader.feed(raw)) is not None]
        lines = [(one.row, one.id, one.ts_ns, one.kind, one.text, one.line) for one in found]
        told.append((lines, reader.mistakes, reader.early_count, [type(one.parsed) for one in found]))
    (*fast, kinds), (*slow, _) = told
    return (fast, kinds), (slow, kinds)


def test_a_fill_of_a_known_shape_is_taken_by_the_pattern():
    """The first fill of a shape is read in full, the next ones by the pattern, with the same outcome."""
    (fast, kinds), (slow, _) = both(*(text_of(line).encode() for line in (KNOWN, NEXT)))
    assert slow == fast
    assert PlainFill is kinds[1] is not kinds[0]


CHANGED = {
    "no cost": NEXT | {"cost": "0"},
    "no cost, in digits": NEXT | {"cost": "0.000"},
    "a negative amount": NEXT | {"amount": "-0.02"},
    "no fee": NEXT | {"fee": "0", "fee_ccy": "XYZ"},
    "a fee of zero in digits": NEXT | {"fee": "0.00"},
    "a rebate": NEXT | {"fee": "-0.00002"},
    "another asset of the fee": NEXT | {"fee_ccy": "BNB"},
    "a leading zero": NEXT | {"amount": "00.02"},
    "an exponent": NEXT | {"amount": "2e-2"},
    "too many digits": NEXT | {"amount": "1." + "1" * 41},
    "no such day": NEXT | {"ts": "2025-02-29T00:00:00Z"},
    "no such hour": NEXT | {"ts": "2025-03-04T24:00:00Z"},
    "earlier": NEXT | {"ts": "2025-01-01T00:00:01Z"},
    "later than now": NEXT | {"ts": "2026-01-01T00:00:01Z"},
    "a clock gone mad": NEXT | {"ts": "2200-01-01T00:00:00Z"},
    "a derived id": NEXT | {"id": "kraken:T2:fee"},
    "an empty id": NEXT | {"id": ""},
    "an id with an accent": NEXT | {"id": "kraken:\u00e9"},
    "a lower price": NEXT | {"px": {"USDT": "-1", "BTC": "94019"}},
    "no rate": NEXT | {"fx": {"GBP": "0.0"}},
    "another table of prices": NEXT | {"px": {"BTC": "94019", "USDT": "1"}},
    "a price too many": NEXT | {"px": {"BTC": "94019", "USDT": "1", "ETH": "3000", "BNB": "600"}},
    "a price of dollars": NEXT | {"px": {"USDT": "1", "BTC": "94019", "USD": "2"}},
    "no prices": NEXT | {"px": {}},
    "a note": NEXT | {"note": "by hand"},
    "a source of prices": NEXT | {"px_src": {"BTC": "mid"}},
    "a field nobody knows": NEXT | {"colour": "red"},
    "another side": NEXT | {"side": "both"},
}


@pytest.mark.parametrize("case", CHANGED)
def test_what_differs_from_a_known_fill_is_judged_as_ever(case):
    """Beside a known shape every other content has the outcome, and the words, that it has by itself."""
    fast, slow = both(text_of(KNOWN).encode(), text_of(CHANGED[case]).encode(), text_of(KNOWN | {"id": "z"}).encode())
    assert slow == fast


TWICE = (
    TEXT.replace('"fx": {"GBP": "0.77"}', '"fx": {"GBP": "0.77", "GBP": "0.78"}'),
    TEXT.replace('"px": {"USDT"', '"px": {"BTC": "1", "USDT"'),
    TEXT.replace('"fee": ', '"fee": "0", "fee": '),
    TEXT + " ",
    TEXT + "\r",
    TEXT.replace('"id"', '"\u0131d"'),
    TEXT.replace("0.02", "\u0660.02"),
)


@pytest.mark.parametrize("text", TWICE)
def test_a_key_that_stands_twice_and_other_notation_are_seen(text):
    """Text that only looks like a known fill is not taken for one, though it comes twice."""
    fast, slow = both(text_of(KNOWN).encode(), *[f"{text}\n".encode()] * 2)
    assert slow == fast


@given(st.integers(0, len(TEXT) - 1), st.text(st.sampled_from('0123456789.-+"\\{}:, ABZaz_\x00\n\u00e9'), max_size=2))
@example(TEXT.index("0.02"), "")
def test_any_small_change_of_the_text_is_judged_as_ever(at, put):
    """With one character replaced by any others, both ways of reading say the same."""
    changed = (TEXT[:at] + put + TEXT[at + 1 :]).encode()
    fast, slow = both(text_of(KNOWN).encode(), changed, changed)
    assert slow == fast


def test_a_shape_is_not_learned_from_another_line():
    """A refused fill leaves its shape unknown, whatever line is taken after it."""
    wrong = NEXT | {"symbol": "BTC/EUR"}
    lines = [wrong, NEXT | {"order_id": "\u00e9"}, wrong | {"id": "T3"}]
    fast, slow = both(*(text_of(line).encode() for line in lines))
    assert slow == fast
    assert 2 == len(fast[0][1])


def test_a_price_of_dollars_is_looked_at_every_time():
    """One dollar is worth one dollar: that a fill said so before proves nothing for the next one."""
    one, two = (NEXT | {"px": {"USDT": "1", "BTC": "94019", "USD": usd}} for usd in ("1", "2"))
    fast, slow = both(*(text_of(line).encode() for line in (one, one, two)))
    assert slow == fast
    assert 1 == len(fast[0][1])


def test_shapes_are_remembered_up_to_a_number(monkeypatch):
    """With more shapes than are remembered, the others are read in full."""
    monkeypatch.setattr(plain_fills, "SHAPES_MAX", 1)
    second = NEXT | {"side": "buy"}
    (fast, kinds), (slow, _) = both(*(text_of(line).encode() for line in (KNOWN, second, second, NEXT)))
    assert slow == fast
    assert [False, False, False, True] == [kind is PlainFill for kind in kinds]


@pytest.mark.parametrize("opened", ["2025-02-01T00:00:00Z", "2025-03-01T00:00:20Z", "2025-04-01T00:00:00Z"])
def test_plain_fills_add_up_to_what_their_values_do(opened):
    """Sums over numbers as they are written are those of the lines' values, before and after a venue was opened."""
    reader = LineReader("h.jsonl", until_ns=UNTIL_NS)
    rows = [
        *fills(30),
        *fills(30, first=31, side="buy", fee="-0.000015", amount="12345678901234567890.123456789012345678"),
    ]
    taken = [reader.feed(text_of(row).encode()) for row in rows]
    opened_ns = parse_ts(opened)
    wanted = sums([one.line for one in taken], lambda _venue: opened_ns)
    assert wanted == sums([one.parsed for one in taken], lambda _venue: opened_ns)
    assert 58 == sum(type(one.parsed) is PlainFill for one in taken)


def test_lines_of_an_event_are_written_as_any_text_is():
    """The body of an import is the JSON of its fields as they are, and read back it is the same event."""
    lines = (TEXT, text_of(KNOWN | {"note": 'a "b" \\ \u00e9 \u2028'}).rstrip("\n"))
    event = HistoryImported(source="h.jsonl", digest="ab", row=7, lines=lines)
    body = encode(event)
    assert msgspec.json.encode(event).decode() == body
    assert list(lines) == json.loads(body)["lines"]
    assert event == decode(body, HistoryImported)

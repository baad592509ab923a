"""What a canonical history file may say, line by line, and what is said about a line that it may not."""

from __future__ import annotations

import json

import pytest

from arbot.domain.history import parse_ts
from arbot.ledger.history.reading import LineReader, head_of, is_same, read_stored
from arbot.ledger.history.writing import CSV_HEADER, canonical, write_csv
from tests.support.history_lines import (
    DEPOSIT,
    FILL,
    INCOME,
    ONE_OF_EACH,
    OPENING,
    SPEND,
    TRANSFER,
    text_of,
)

LATE_NS = parse_ts("2026-01-01T00:00:00Z")


def read(*raws: bytes) -> tuple[list, LineReader]:
    """Return what a file of these raw lines says, and its reader."""
    reader = LineReader("h.jsonl", until_ns=LATE_NS)
    return [found for raw in raws if (found := reader.feed(raw)) is not None], reader


def raw(line: dict) -> bytes:
    """Return a line as it stands in a file."""
    return text_of(line).encode()


def without(line: dict, name: str) -> dict:
    """Return a line without one of its fields."""
    return {key: value for key, value in line.items() if key != name}


@pytest.mark.parametrize("line", ONE_OF_EACH, ids=lambda line: line["kind"])
def test_canonical_text_stays_as_it_is(line):
    """A line in canonical form is stored byte for byte, and written again from its value byte for byte."""
    (found,), reader = read(raw(line))
    assert [] == reader.mistakes
    assert text_of(line).rstrip("\n") == found.text == canonical(found.line)
    assert (line["kind"], line["id"], parse_ts(line["ts"])) == (found.kind, found.id, found.ts_ns)
    assert (line["kind"], line["id"], parse_ts(line["ts"])) == head_of(found.text)


MENDED = {
    "keys in another order": (json.dumps(dict(reversed(DEPOSIT.items()))), DEPOSIT),
    "no blanks": (json.dumps(DEPOSIT, separators=(",", ":")), DEPOSIT),
    "unknown fields": (json.dumps(DEPOSIT | {"colour": ["red", 1.5, None]}), DEPOSIT),
    "empty tables and words": (json.dumps(DEPOSIT | {"px": {}, "fx": {}, "note": ""}), DEPOSIT),
    "escapes that JSON does not need": (
        json.dumps(INCOME | {"note": "Fr\u00fchling"}),
        INCOME | {"note": "Fr\u00fchling"},
    ),
    "leading zeros": (json.dumps(DEPOSIT | {"amount": "0200000"}), DEPOSIT),
    "a transfer without txid": (json.dumps(TRANSFER | {"txid": ""}), without(TRANSFER, "txid")),
}


@pytest.mark.parametrize("case", MENDED)
def test_other_notations_become_canonical(case):
    """What says the same in other words is taken, and stored in canonical form."""
    given, expected = MENDED[case]
    (found,), reader = read(given.encode())
    assert [] == reader.mistakes
    assert text_of(expected).rstrip("\n") == found.text


def test_escapes_that_json_needs_survive():
    """Quotes, backslashes and control characters in an id or a note come back as they were."""
    line = DEPOSIT | {"id": 'a"b\\c\td', "note": "line\nbreak"}
    (found,), _ = read(raw(line))
    assert line == json.loads(found.text)
    assert line["id"] == found.id == head_of(found.text)[1]
    assert found.text == canonical(read_stored(found.text))


REFUSED = {
    "not UTF-8": (b'{"kind": "deposit\xff"}', "not UTF-8 at byte 18"),
    "byte order mark": (b"\xef\xbb\xbf" + raw(DEPOSIT), "byte order mark"),
    "CR LF": (raw(DEPOSIT).replace(b"\n", b"\r\n"), "CR LF"),
    "an empty line": (b"\n", "the line is empty"),
    "no JSON": (b'{"kind": "deposit", "id"', "not JSON"),
    "an array": (b"[1]", "not a JSON object"),
    "unknown kind": (raw(DEPOSIT | {"kind": "gift"}), "unknown kind 'gift'"),
    "no kind": (raw(without(DEPOSIT, "kind")), "unknown kind None"),
    "a key twice": (raw(DEPOSIT).replace(b'"amount"', b'"amount": "1", "amount"'), "the key 'amount' stands twice"),
    "a price twice": (raw(FILL).replace(b'{"USDT"', b'{"BTC": "1", "USDT"'), "the key 'BTC' stands twice"),
    "JSON number": (raw(DEPOSIT | {"amount": 1.5}), "amount is a JSON number"),
    "JSON number in px": (raw(FILL | {"px": {"USDT": 1, "BTC": "2"}}), "px holds a JSON number"),
    "exponent": (raw(DEPOSIT | {"amount": "1E3"}), "amount is '1E3'"),
    "plus": (raw(DEPOSIT | {"amount": "+1"}), "amount is '+1'"),
    "grouping": (raw(DEPOSIT | {"amount": "1,000"}), "amount is '1,000'"),
    "other digits": (raw(DEPOSIT | {"amount": "\u0661"}), "amount is"),
    "infinity": (raw(DEPOSIT | {"amount": "Infinity"}), "amount is 'Infinity'"),
    "too many digits": (raw(DEPOSIT | {"amount": "1" * 41}), "more than 40 digits"),
    "no time zone": (raw(DEPOSIT | {"ts": "2025-01-01T00:00:00"}), "ts is no time in UTC"),
    "another time zone": (raw(DEPOSIT | {"ts": "2025-01-01T00:00:00+01:00"}), "ts is told with the offset +01:00"),
    "no such day": (raw(DEPOSIT | {"ts": "2025-02-29T00:00:00Z"}), "ts is no time in UTC"),
    "ten digits of a second": (raw(DEPOSIT | {"ts": "2025-01-01T00:00:00.0123456789Z"}), "ts is no time in UTC"),
    "a clock never set": (raw(DEPOSIT | {"ts": "1970-01-01T00:00:00Z"}), "before the first block"),
    "a clock gone mad": (raw(DEPOSIT | {"ts": "2200-01-01T00:00:00Z"}), "after the year 2199"),
    "no amount": (raw(without(DEPOSIT, "amount")), "a deposit without amount"),
    "an empty id": (raw(DEPOSIT | {"id": ""}), "the id is empty"),
    "a derived id": (raw(DEPOSIT | {"id": "D1:fee"}), "derived from another"),
    "a rebate's id": (raw(FILL | {"id": "T1:rebate"}), "derived from another"),
    "a bad account": (raw(DEPOSIT | {"venue": "my bank"}), "venue 'my bank' is no name"),
    "the account of transit": (raw(DEPOSIT | {"venue": "in-transit"}), "venue 'in-transit' is reserved"),
    "a small asset": (raw(DEPOSIT | {"asset": "usd"}), "asset 'usd' is no asset"),
    "coins as deposit": (raw(DEPOSIT | {"asset": "BTC"}), "BTC is not cash"),
    "nothing deposited": (raw(DEPOSIT | {"amount": "0"}), "amount is 0: it must be above zero"),
    "a negative amount": (raw(SPEND | {"amount": "-3.5"}), "amount is -3.5"),
    "cash as opening": (raw(OPENING | {"asset": "USD"}), "an opening of cash"),
    "a negative basis": (raw(OPENING | {"basis": "-1"}), "basis is below zero"),
    "acquired later": (raw(OPENING | {"acquired": "2025-06-01T00:00:00Z"}), "acquired is after ts"),
    "acquired without time": (raw(OPENING | {"acquired": "2023-06-15"}), "acquired is no time"),
    "allocation": (raw(OPENING | {"allocation": "some"}), "allocation is 'some'"),
    "another symbol": (raw(FILL | {"symbol": "BTC-USDT"}), "symbol 'BTC-USDT' is not BTC/USDT"),
    "a side": (raw(FILL | {"side": "BUY"}), "side is 'BUY'"),
    "no cost": (raw(FILL | {"cost": "0"}), "cost is 0"),
    "no price of the quote": (raw(FILL | {"px": {"BTC": "94000"}}), "px has no price of USDT"),
    "no price of the fee": (raw(FILL | {"fee_ccy": "BNB"}), "px has no price of BNB"),
    "a negative price": (raw(FILL | {"px": {"BTC": "-1", "USDT": "1"}}), "px of BTC is -1"),
    "USD priced": (raw(SPEND | {"px": {"USDT": "1", "USD": "2"}}), "px of USD is 2"),
    "no exchange rate": (raw(INCOME | {"fx": {"GBP": "0"}}), "fx of GBP is zero"),
    "sent is more": (raw(TRANSFER | {"sent": "0.1000001"}), "sent 0.1000001 is not received 0.0998 + fee 0.0002"),
    "a negative fee": (raw(TRANSFER | {"sent": "0.0996", "fee": "-0.0002"}), "is not received"),
    "arrival before": (raw(TRANSFER | {"ts_in": "2025-01-01T00:00:02Z"}), "ts_in is before ts"),
    "arrival missing": (raw(without(TRANSFER, "ts_in")), "a transfer without ts_in"),
    "to itself": (raw(TRANSFER | {"dst": "kraken"}), "from kraken to itself"),
    "coins moved without price": (raw(without(TRANSFER, "px")), "px has no price of BTC"),
    "another reason": (raw(INCOME | {"why": "mining"}), "why is 'mining'"),
    "income without price": (raw(without(INCOME, "px")), "px has no price of ETH"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_line_is_named_with_file_line_and_content(case):
    """A line that is not right is refused with file, line number, what is wrong, its content and what to do."""
    given, words = REFUSED[case]
    found, reader = read(given)
    assert [] == found
    (mistake,) = reader.mistakes
    assert "h.jsonl line 1" == mistake.where
    assert words in mistake.what
    assert mistake.remedy
    if case not in ("not UTF-8", "an empty line", "byte order mark"):
        assert given[:60].decode().rstrip("\r\n") in mistake.what


TAKEN = {
    "a fee of zero needs no price": FILL | {"fee": "0", "fee_ccy": "BNB"},
    "a rebate is a negative fee": FILL | {"fee": "-0.1", "fee_ccy": "USDT"},
    "dollars need no price": FILL | {"symbol": "BTC/USD", "quote": "USD", "px": {"BTC": "94000"}},
    "cash moves without price": without(TRANSFER, "px") | {"asset": "USD"},
    "on its way": TRANSFER | {"ts_in": None},
    "a basis of zero that somebody wrote": OPENING | {"basis": "0"},
    "acquired just now": OPENING | {"acquired": OPENING["ts"]},
    "18 decimals and 38 digits": DEPOSIT | {"amount": "12345678901234567890.123456789012345678"},
    "nanoseconds": DEPOSIT | {"ts": "2025-01-01T00:00:00.123456789Z"},
}


@pytest.mark.parametrize("case", TAKEN)
def test_a_right_line_is_taken_unchanged(case):
    """What the format allows is stored as it is written."""
    (found,), _ = read(raw(TAKEN[case]))
    assert text_of(TAKEN[case]).rstrip("\n") == found.text == canonical(found.line)


def test_lines_ascend_by_instant_not_by_text():
    """Ten and a half seconds come after ten, whatever the letters say; going back is a mistake."""
    lines = [
        DEPOSIT | {"id": str(n), "ts": f"2025-01-01T00:00:{s}Z"} for n, s in enumerate(("10", "10.5", "10.50", "10.49"))
    ]
    found, reader = read(*map(raw, lines))
    assert ["0", "1", "2"] == [line.id for line in found]
    (mistake,) = reader.mistakes
    assert ("h.jsonl line 4", True) == (mistake.where, "before that of line 3" in mistake.what)


def test_meta_is_passed_over():
    """A meta line is no line of history, and no mistake."""
    found, reader = read(b'{"kind":"meta","schema":1,"made":"by hand"}\n', raw(DEPOSIT))
    assert ([2], []) == ([line.row for line in found], reader.mistakes)


def test_all_mistakes_are_counted_and_fifty_kept():
    """A file full of mistakes is read to its end."""
    _, reader = read(*[raw(DEPOSIT | {"amount": "0"})] * 70, raw(DEPOSIT))
    assert (70, 50) == (reader.mistake_count, len(reader.mistakes))


def test_same_is_by_value():
    """Digits that change no value and notes are the same; anything else is not."""
    same = FILL | {"amount": "0.0200", "ts": "2025-01-01T00:00:02.000Z", "note": "x"}
    assert is_same(text_of(FILL), text_of(same))
    assert not is_same(text_of(FILL), text_of(FILL | {"cost": "1880.02"}))
    assert not is_same(text_of(FILL), text_of(FILL | {"px": {"USDT": "1.0003", "BTC": "94019.30010"}}))
    assert not is_same(text_of(DEPOSIT), text_of(DEPOSIT | {"kind": "withdrawal"}))


def test_csv_has_one_header_and_plain_numbers(tmp_path):
    """CSV writes each line under the one header, tables in one cell, nothing for what a kind does not have."""
    path = tmp_path / "h.csv"
    with path.open("w", newline="") as sink:
        assert 2 == write_csv(
            iter([read_stored(text_of(FILL)), read_stored(text_of(TRANSFER | {"ts_in": None}))]), sink
        )
    header, fill, transfer = path.read_text().splitlines()
    assert CSV_HEADER == header
    assert (
        "fill,kraken:T1,2025-01-01T00:00:02Z,kraken,,0.02,,,,BTC/USDT,BTC,USDT,sell,94000.5,1880.01000000,0.00002000,BTC,O1"
        ",,,,,,,,USDT=1.0002 BTC=94019.30010,,,"
    ) == fill
    assert (
        "transfer,X1,2025-01-01T00:00:03Z,,BTC,,,,,,,,,,,0.0002,,,,kraken,wallet.cold,0.1,0.0998,0x05,,BTC=94000,,,"
        == transfer
    )

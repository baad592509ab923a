"""The journal's codec: whatever the types allow comes back equal, in one canonical text."""

from __future__ import annotations

import typing
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbot.domain.commands import Command
from arbot.domain.decisions import Decision, Outcome
from arbot.domain.errors import InvariantBroken
from arbot.domain.events import Envelope, Event, TimerFired
from arbot.journal.codec import BodyRefused, decode, encode
from arbot.ports import Record
from tests.support.accounting import Scribe, of_type


@pytest.mark.parametrize("kind", typing.get_args(Event), ids=lambda kind: kind.__name__)
def test_every_event_survives(kind):
    """An event of any type, with anything in it, is read back equal, and written again the same."""

    @settings(max_examples=12, deadline=None)
    @given(of_type(kind), st.integers(0, 2**62), st.integers(0, 2**62))
    def check(event, seq, ts_ns):
        _survives(Record(envelope=Envelope(seq, ts_ns, event), outcome=Outcome()))

    check()


@pytest.mark.parametrize("kind", typing.get_args(Command), ids=lambda kind: kind.__name__)
def test_every_command_survives(kind):
    """A command of any type is read back equal."""

    @settings(max_examples=12, deadline=None)
    @given(of_type(kind))
    def check(command):
        _survives(Record(envelope=Envelope(1, 2, TimerFired(key="")), outcome=Outcome((command,))))

    check()


@pytest.mark.parametrize("kind", typing.get_args(Decision), ids=lambda kind: kind.__name__)
def test_every_decision_survives(kind):
    """A decision of any type is read back equal."""

    @settings(max_examples=12, deadline=None)
    @given(of_type(kind))
    def check(decision):
        _survives(Record(envelope=Envelope(1, 2, TimerFired(key="")), outcome=Outcome((), (decision,))))

    check()


@settings(max_examples=60, deadline=None)
@given(of_type(Record))
def test_every_record_survives(record):
    """Events, outcome, transactions and standing together are read back equal."""
    _survives(record)


def _survives(record: Record) -> None:
    body = encode(record)
    again = decode(body, Record)
    assert record == again
    assert body == encode(again)


@pytest.mark.parametrize(
    ("number", "text"), [("1E+3", "1000"), ("0.50", "0.5"), ("-0.00", "0"), ("1e-8", "0.00000001"), ("100", "100")]
)
def test_numbers_have_one_notation(number, text):
    """Equal numbers are the same text, so that equal records have equal hashes."""
    body = encode(Scribe().filled(qty=Decimal(number)))
    assert f'"qty":"{text}"' in body


@pytest.mark.parametrize(
    ("find", "put"),
    [
        ('"trade_id"', '"extra":1,"trade_id"'),
        ('"qty":"0.1"', '"qty":"0.10"'),
        ('"qty":"0.1"', '"qty":0.1'),
        ('"qty":"0.1"', '"qty":"NaN"'),
        ('"type":"OrderFilled"', '"type":"OrderSold"'),
        ('"number":"-6000"', '"number":"-6001"'),
        ("}", ""),
    ],
    ids=["field", "notation", "float", "nan", "type", "unbalanced", "cut"],
)
def test_an_odd_body_is_refused(find, put):
    """Unknown fields, other notations, unknown events, unbalanced postings and cut texts are never read as a record."""
    body = encode(Scribe().filled())
    assert find in body
    with pytest.raises(BodyRefused):
        decode(body.replace(find, put, 1), Record)


def test_a_field_appended_later_takes_its_default():
    """A body from before a field existed is read with the field's default."""
    body = encode(Scribe().filled())
    old = body.replace(',"is_reversal":false', "")
    assert old != body
    assert decode(body, Record) == decode(old, Record)


def test_what_is_no_number_is_not_written():
    """NaN in a record is refused at the door, naming the number."""
    record = Record(envelope=Envelope(1, 2, TimerFired(key="")), outcome=Outcome())
    bad = msgspec.structs.replace(Scribe().filled(), envelope=record.envelope)
    fill = Scribe().filled().envelope.event.fill
    with pytest.raises(InvariantBroken, match="NaN"):
        encode(msgspec.structs.replace(fill, qty=Decimal("NaN")))
    assert encode(bad)

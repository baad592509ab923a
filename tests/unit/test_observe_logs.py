"""The log: no secret in any form leaves, times are UTC from the given clock, others' loggers are quiet."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from urllib.parse import quote

import pytest
import structlog

from arbot.domain.decisions import Outcome, ResidualWorked
from arbot.domain.events import Envelope, OrderRejected, RejectCode, TimerFired
from arbot.domain.order import Purpose, Side
from arbot.domain.redact import redactor
from arbot.observe import logs
from arbot.observe.narrate import narrate

SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
NOW_NS = 1_700_000_000_123_456_789


@pytest.fixture
def written() -> Iterator[Callable[..., io.StringIO]]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)

    def set_up(*, as_json: bool = True, level: str = "debug") -> io.StringIO:
        stream = io.StringIO()
        logs.set_up(now_ns=lambda: NOW_NS, redact=redactor([SECRET]), as_json=as_json, level=level, stream=stream)
        return stream

    yield set_up
    root.handlers[:], root.level = before[0], before[1]
    structlog.reset_defaults()


FORMS = {
    "raw": SECRET,
    "url": quote(SECRET, safe=""),
    "base64": base64.b64encode(b"user:" + SECRET.encode()).decode(),
    "json": json.dumps({"secret": SECRET}),
}


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_a_canary_never_leaves(form: str, as_json: bool, written: Callable[..., io.StringIO]) -> None:
    """A secret inside a message, a field, an exception or another library's line is blotted out in every encoding."""
    stream, text = written(as_json=as_json), FORMS[form]
    log = structlog.get_logger("arbot.test")
    log.info("signed", event_text=text, field=text, nested={"deep": [text]})
    logging.getLogger("ccxt.base").warning("POST %s", text)
    try:
        int(text)
    except ValueError:
        log.exception("failed")
        logging.getLogger("other").exception("failed too")
    told = stream.getvalue()
    assert told.count("failed") >= 2
    for shown in (SECRET, quote(SECRET, safe=""), base64.b64encode(b"user:" + SECRET.encode()).decode()):
        assert shown not in told


def test_the_canary_would_be_seen_without_the_redactor() -> None:
    """The search above finds what it looks for when nothing blots it out."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:]
    try:
        root.handlers[:] = []
        logs.set_up(now_ns=lambda: NOW_NS, redact=lambda text: text, as_json=True, level="info", stream=stream)
        structlog.get_logger("arbot.test").info(SECRET)
    finally:
        root.handlers[:] = before
        structlog.reset_defaults()
    assert SECRET in stream.getvalue()


def test_a_line_is_json_with_the_time_of_the_given_clock(written: Callable[..., io.StringIO]) -> None:
    """One line is one object; the time is UTC, to the microsecond, from the injected clock."""
    stream = written()
    structlog.get_logger("arbot.test").info("hello", venue="kraken")
    line = json.loads(stream.getvalue())
    assert (line["ts"], line["event"], line["venue"], line["level"], line["logger"]) == (
        "2023-11-14T22:13:20.123456Z",
        "hello",
        "kraken",
        "info",
        "arbot.test",
    )


def test_a_venues_text_cannot_forge_a_line_or_move_the_cursor(written: Callable[..., io.StringIO]) -> None:
    """Newlines and escape codes in what others said are shown as such."""
    stream = written(as_json=False)
    structlog.get_logger("arbot.test").warning("refused", detail="x\n2026 [critical] forged\x1b[2J")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b[2J" not in stream.getvalue()


def test_talkative_libraries_are_kept_quiet(written: Callable[..., io.StringIO]) -> None:
    """At level debug ccxt would print signed requests: below WARNING nothing of it comes through."""
    stream = written()
    for name in ("ccxt.base.exchange", "aiohttp.client", "sqlalchemy.engine"):
        logging.getLogger(name).debug("chatter")
        logging.getLogger(name).info("chatter")
    assert stream.getvalue() == ""


def test_the_level_holds_for_our_own_lines(written: Callable[..., io.StringIO]) -> None:
    """What is below the configured level is not written."""
    stream = written(level="warning")
    structlog.get_logger("arbot.test").info("quiet")
    structlog.get_logger("arbot.test").warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_secrets_learnt_later_join_those_known_before(written: Callable[..., io.StringIO]) -> None:
    """Setting up again with more secrets does not forget the first."""
    written()
    stream = io.StringIO()
    logs.set_up(now_ns=lambda: NOW_NS, redact=redactor(["second-secret"]), as_json=True, level="info", stream=stream)
    structlog.get_logger("arbot.test").info(SECRET + " second-secret")
    assert "second-secret" not in stream.getvalue()
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize(("is_expected", "count"), [(True, 0), (False, 1)])
def test_the_ordinary_hedge_of_a_quote_is_no_warning(
    is_expected: bool, count: int, written: Callable[..., io.StringIO]
) -> None:
    """A residual that is worked speaks up, but not the hedge that a quote's fill was placed for."""
    worked = ResidualWorked(
        arb_id="1-1", client_order_id="x", purpose=Purpose.HEDGE, instrument="BTC/USD@kraken", side=Side.SELL,
        qty=Decimal(1), limit_price=Decimal(1), is_expected=is_expected,
    )  # fmt: skip
    stream = written(level="warning")
    narrate(Envelope(1, NOW_NS, TimerFired(key="x")), Outcome(decisions=(worked,)))
    assert stream.getvalue().count("ResidualWorked") == count


@pytest.mark.parametrize(("code", "count"), [(RejectCode.POST_ONLY_WOULD_TAKE, 0), (RejectCode.BELOW_MINIMUM, 1)])
def test_a_resting_order_that_came_too_late_is_no_warning(
    code: RejectCode, count: int, written: Callable[..., io.StringIO]
) -> None:
    """A venue that takes no post-only order at a price that would trade does what was asked; other refusals are told."""
    stream = written(level="warning")
    refused = OrderRejected(client_order_id="x", code=code, detail="no")
    narrate(Envelope(1, NOW_NS, refused), Outcome())
    assert stream.getvalue().count("OrderRejected") == count


def test_lines_are_counted_by_level_and_by_nothing_else(written: Callable[..., io.StringIO]):
    """What is written counts, whoever wrote it; what the level keeps back does not; a new set-up goes on counting."""
    written(level="warning")
    before = logs.counts_by_level()
    structlog.get_logger("arbot.test").warning("one")
    structlog.get_logger("arbot.test").info("kept back")
    logging.getLogger("others").error("two")
    written(level="info")
    structlog.get_logger("arbot.test").info("three")
    grown = {level: count - before[level] for level, count in logs.counts_by_level().items()}
    assert grown == {"debug": 0, "info": 1, "warning": 1, "error": 1, "critical": 0}


@pytest.mark.parametrize("as_json", [True, False])
def test_a_venues_words_cannot_dress_up_a_line(as_json: bool, written: Callable[..., io.StringIO]) -> None:
    """What moves the cursor, turns text around, hides or begins a line is written out, in a field and within one."""
    stream = written(as_json=as_json)
    words = "a\x1b[2Jb\x9b31mc\u202ed\u2066e\u200bf\u2028g\rh\ni\ufeff"
    structlog.get_logger("arbot.test").warning("refused", detail=words, why=(words,))
    logging.getLogger("ccxt.base").warning("said %s", words)
    told = stream.getvalue()
    assert 2 == len(told.splitlines())
    assert all(32 <= ord(one) < 127 for line in told.split("\n") for one in line)


def test_more_is_blotted_out_later(written: Callable[..., io.StringIO]) -> None:
    """A secret that is known later joins those known before, in the log that is set up already."""
    stream = written()
    logs.blot_out(redactor(["a-token-of-this-run"]))
    structlog.get_logger("arbot.test").info("asked", text=f"a-token-of-this-run {SECRET}")
    assert "a-token-of-this-run" not in stream.getvalue()
    assert SECRET not in stream.getvalue()

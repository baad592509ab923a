"""What a person reads when a transfer is refused, or asked for in a way that cannot be meant."""

from __future__ import annotations

import inspect
import re
from decimal import Decimal
from pathlib import Path

import pytest

from arbot.cli import refusals
from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from arbot.cli.transfers import _words
from arbot.domain.decisions import Reason
from arbot.engine.risk import transfers

CONFIG = str(Path(__file__).parents[2] / "config" / "demo-transfers.toml")


def test_every_reason_that_a_rule_can_give_has_words() -> None:
    """Each reason named by a rule for transfers is told in words of its own, with a remedy."""
    given = {Reason[name] for name in re.findall(r"Reason\.([A-Z_]+)", inspect.getsource(transfers))}
    assert set() == given - set(refusals._WORDS)


def test_a_refusal_tells_both_numbers_and_what_to_do() -> None:
    """The measured and the allowed number stand in the sentence; the reason's own name and the remedy follow."""
    answer = {"reason": "balance_short", "value": Decimal("0.50"), "limit": Decimal(2), "detail": ""}
    expected = "refused, 0.5 are available, and 2 are needed with the highest fee (balance_short)\n    -> send less"
    assert expected == refusals.refused(answer)


def test_a_stuck_transfer_says_whom_to_ask() -> None:
    """The words of a stuck transfer end with the two supports and the one thing not to do."""
    row = dict.fromkeys(
        ("qty_sent", "fee_paid", "qty_credited", "qty_lost", "overdue_quantile", "share_faster"), Decimal(0)
    )
    row |= {"state": "stuck", "source": "kraken", "target": "coinbase", "venue_transfer_id": "W", "tx_id": ""}
    row |= {"is_listed": True, "minutes_p50": 1, "minutes_overdue": 3, "minutes_overdue_at": 2}
    assert "ask the support of kraken and coinbase with these ids; never send a second one" == [*_words(row)][-1]


@pytest.mark.parametrize(("value", "limit", "told"), [(-1, 60, "yet"), (61, 60, "61 minutes old"), (0, 0, "no fee")])
def test_what_of_the_terms_is_unknown_is_told(value: int, limit: int, told: str) -> None:
    """Terms that never came, that are too old, and a fee that nobody tells are three sentences."""
    assert told in refusals.refused({"reason": "terms_unknown", "value": value, "limit": limit, "detail": ""})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["kraken", "bitfinex", "BTC", "1", "--network", "bitcoin"], "target: there is no venue 'bitfinex'"),
        (["kraken", "kraken", "BTC", "1", "--network", "bitcoin"], "target: kraken is the source too"),
        (["kraken", "coinbase", "BTC", "-1", "--network", "bitcoin"], "qty: -1 is not above zero"),
        (["kraken", "coinbase", "BTC", "much", "--network", "bitcoin"], "qty: not a number: 'much'"),
        (["kraken", "coinbase", "BTC", "1", "--network", "bitcoinn"], "--network: there is no network 'bitcoinn'"),
    ],
)
def test_a_request_that_cannot_be_meant_never_reaches_the_daemon(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong venues, quantities and networks are mistakes of the command line, each told with its place."""
    assert ExitCode.USAGE == run(["transfers", "request", *words, "-c", CONFIG])
    assert told in capsys.readouterr().err

"""Real disasters through the live engine: what must hold in each, with every protection on and without what it is about."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from arbot.backtest.stress.file import load
from arbot.backtest.stress.play import Choice, play
from arbot.backtest.stress.played import ON, THESE_OFF, Played
from arbot.backtest.stress.world import World

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "backtests" / "disasters"
CHOICE = Choice(folder=ROOT)

MUST_TRIP = {
    "bybit": {"counterparty_share", "transfer_counterparty_share"},
    "coins-in-flight": {"transfer_stuck", "transfer_transit_value"},
    "cryptokitties": {"transfer_stuck", "transfer_network_fee", "withdrawals_closed"},
    "ftx": {"transfer_stuck", "counterparty_share", "too_good_to_be_true"},
    "march-2020": {"price_is_news"},
    "money-cannot-leave": {"withdrawals_closed"},
    "tether-loses-its-bank": {"merged_book", "peg_broken", "too_good_to_be_true"},
    "usdc-weekend": {"merged_book", "depegged", "withdrawals_closed"},
}
"""What each disaster has to set off; those that are not here are judged by their money alone."""

WORSE_OFF = (
    "bybit",
    "coins-in-flight",
    "cryptokitties",
    "ftx",
    "money-cannot-leave",
    "tether-loses-its-bank",
    "usdc-weekend",
)
SINGLE = tuple(path.stem for path in sorted(FOLDER.glob("*.toml")) if path.stem != "second-leg-fails")
FAILS = load(FOLDER / "second-leg-fails.toml")


@lru_cache(maxsize=64)
def plays(name: str, off: str) -> tuple[Played, ...]:
    return tuple(play(one, World(one), CHOICE, off) for one in load(FOLDER / f"{name}.toml"))


@pytest.mark.parametrize("name", SINGLE)
def test_the_loss_stays_within_the_budget(name):
    """With every protection on no disaster costs more than its budget, the ledger ties, and what must trip does."""
    for one in plays(name, ON):
        assert one.incident <= one.budget, (one.variant, one.incident, one.budget)
        assert one.ledger_ties, one.variant
        assert MUST_TRIP.get(name, set()) - one.reasons == set(), one.variant


@pytest.mark.parametrize("name", WORSE_OFF)
def test_without_its_protections_it_costs_a_multiple(name):
    """What the scenario is about is worth its price: without it the bot's own loss is at least half as much again."""
    worst_on = max(one.loss for one in plays(name, ON))
    worst_off = max(one.loss for one in plays(name, THESE_OFF))
    assert worst_off >= worst_on * 3 / 2, (worst_on, worst_off)


@pytest.mark.parametrize("number", range(0, len(FAILS), 7), ids=lambda number: FAILS[number].variant)
def test_a_leg_that_fails_ends_flat_or_stranded(number):
    """However the second leg fails, the residual ends flat or stranded, within the budget, and never sold twice."""
    one = play(FAILS[number], World(FAILS[number]), CHOICE)
    assert one.incident <= one.budget
    assert one.ledger_ties
    assert one.stranded or not one.net_delta
    assert abs(sum(one.net_delta.values())) <= 1000 / 57000 + 0.0001  # no more than one leg


def test_the_same_seed_plays_the_same():
    """A play is a function of its file: twice the same digest."""
    disaster = load(FOLDER / "coins-in-flight.toml")[0]
    first, second = (play(disaster, World(disaster), CHOICE) for _ in range(2))
    assert first == second


def test_money_stops_going_where_it_cannot_leave_before_the_headline():
    """The bot stops adding to a venue that pays out late before the venue says so."""
    (on,) = plays("money-cannot-leave", ON)
    assert on.reaction_min is not None
    assert on.reaction_min > 0


def test_a_venue_announced_to_be_away_gets_no_arb():
    """The notice of maintenance stops new arbs beforehand; without it the arb under way is ended or stranded."""
    away, announced = plays("kraken-54-hours", ON)
    assert announced.arbs == 0
    assert away.arbs == 1
    assert away.incident <= away.budget

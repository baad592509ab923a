"""Real disasters through the live engine: what must hold in each, with every protection on and without what it is about."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import msgspec
import pytest

from arbot.backtest.replay import Replay
from arbot.backtest.stress.file import load
from arbot.backtest.stress.play import Choice, play, terms
from arbot.backtest.stress.played import ON, THESE_OFF, Played
from arbot.backtest.stress.quiet import Month, quiet
from arbot.backtest.stress.run import stress
from arbot.backtest.stress.stage import Stage
from arbot.backtest.stress.table import summary
from arbot.backtest.stress.world import World
from arbot.domain.decisions import ArbOpened
from arbot.domain.ids import Asset, VenueId
from arbot.engine.health import cap_factor
from arbot.settings import load as settings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "backtests" / "disasters"
CHOICE = Choice(folder=ROOT)
EXPECTED = json.loads((FOLDER / "expected.json").read_text(encoding="utf-8"))

MUST_TRIP = {
    "bybit": {"counterparty_share", "transfer_counterparty_share", "quarantine"},
    "coins-in-flight": {"transfer_stuck", "transfer_transit_value"},
    "cryptokitties": {"transfer_stuck", "transfer_network_fee", "withdrawals_closed"},
    "ftx": {"transfer_stuck", "counterparty_share", "too_good_to_be_true"},
    "kraken-54-hours": {"quarantine", "stranded"},
    "mantra": {"price_is_news", "too_good_to_be_true"},
    "march-2020": {"price_is_news"},
    "money-cannot-leave": {"withdrawals_closed"},
    "october-2025": {"price_is_news", "peg_broken", "depegged", "withdrawals_closed"},
    "tether-loses-its-bank": {"merged_book", "peg_broken", "too_good_to_be_true"},
    "usdc-weekend": {"merged_book", "depegged", "withdrawals_closed"},
}
"""What each disaster has to set off, in one of its variants; those that are not here are judged by their money alone."""

LOST_WITH_A_VENUE = ("bybit", "ftx", "money-cannot-leave")  # a budget of 40 % of the capital cannot be lost twice
SINGLE = tuple(path.stem for path in sorted(FOLDER.glob("*.toml")) if path.stem != "second-leg-fails")
FAILS = load(FOLDER / "second-leg-fails.toml")
SOME_FAILS = tuple(range(0, len(FAILS), 7))
DAYS = 2  # of the quiet month
MINE = (ROOT / "config" / "demo.toml").read_text(encoding="utf-8").replace("= 2000 ", "= 400 ")


@lru_cache(maxsize=64)
def plays(name: str, off: str) -> tuple[Played, ...]:
    return tuple(play(one, World(one), CHOICE, off) for one in load(FOLDER / f"{name}.toml"))


@pytest.mark.parametrize("name", SINGLE)
def test_the_loss_stays_within_the_budget(name):
    """With every protection on no disaster costs more than its budget, the ledger ties, and what must trip does."""
    for one in plays(name, ON):
        assert one.incident <= one.budget, (one.variant, one.incident, one.budget)
        assert one.ledger_ties, one.variant
    assert MUST_TRIP.get(name, set()) - frozenset().union(*(one.reasons for one in plays(name, ON))) == set()


@pytest.mark.parametrize("name", SINGLE)
def test_without_its_protections_it_costs_a_multiple(name):
    """Without what it is about a disaster costs twice its budget; where its file says why not, far more than with everything on."""
    on, off = (max(plays(name, which), key=lambda one: one.incident) for which in (ON, THESE_OFF))
    if name in LOST_WITH_A_VENUE:
        assert off.incident >= off.budget * 7 / 5
        assert max(one.loss for one in plays(name, THESE_OFF)) >= 2 * max(one.loss for one in plays(name, ON))
    else:
        assert off.incident >= 2 * on.incident
    if not load(FOLDER / f"{name}.toml")[0].bounded:
        assert off.incident >= 2 * off.budget


@pytest.mark.parametrize("name", SINGLE)
def test_what_the_guide_tells_is_what_is_played(name):
    """The figures of expected.json, from which the table of the guide is made, are those of the files as they are now."""
    worst = {
        off: max(plays(name, off), key=lambda one: (one.incident / one.budget, one.loss)) for off in (ON, THESE_OFF)
    }
    kept = EXPECTED[name]
    assert Decimal(kept["on"]) == worst[ON].incident
    assert Decimal(kept["budget"]) == worst[ON].budget
    assert Decimal(kept["these_off"]) == worst[THESE_OFF].incident
    assert kept["bounded"] == load(FOLDER / f"{name}.toml")[0].bounded


@pytest.mark.parametrize("number", SOME_FAILS, ids=lambda number: FAILS[number].variant)
def test_a_leg_that_fails_ends_flat_or_stranded(number):
    """However a leg fails, bought or sold, the residual ends flat or stranded, within the budget, and never worked twice."""
    one = play(FAILS[number], World(FAILS[number]), CHOICE)
    assert one.incident <= one.budget
    assert one.ledger_ties
    assert one.stranded or not one.net_delta
    assert abs(sum(one.net_delta.values())) <= 1000 / 57000 + 0.0001  # no more than one leg


def test_only_size_helps_against_a_jump_and_the_mirror_is_the_same():
    """A leg alone in a jump of 5 % loses 5 % of what it is: twice the budget without caps, bought or sold alike."""
    found = {}
    for variant in ("jump, rejected", "mirror, jump, rejected"):
        (one,) = (disaster for disaster in FAILS if disaster.variant == variant)
        found[variant] = [play(one, World(one), CHOICE, off).incident for off in (ON, THESE_OFF)]
    budget = play(FAILS[0], World(FAILS[0]), CHOICE).budget
    (on, off), (mirror_on, mirror_off) = found.values()
    assert 45 <= on <= 55
    assert off >= 2 * budget
    assert abs(on - mirror_on) <= on / 20
    assert abs(off - mirror_off) <= off / 20


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


def test_an_alert_that_is_heeded_ends_new_exposure_at_once():
    """From the alert on nothing is added, nothing is abandoned, and caps come back a step for each withdrawal that left."""
    heeded = next(one for one in load(FOLDER / "bybit.toml") if one.variant == "heeded")
    alert_ns, release_ns = (next(e.at for e in heeded.events if e.kind == kind) for kind in ("quarantine", "release"))
    world = World(heeded)
    stage = Stage(heeded, world)
    opened: list[int] = []
    factors: list[Decimal] = []

    def see(envelope, outcome):
        if envelope.ts_ns < heeded.first:
            return  # the scene is not set yet
        if any(isinstance(one, ArbOpened) and "@bybit" in one.buy + one.sell for one in outcome.decisions):
            opened.append(envelope.ts_ns)
        factor = cap_factor(stage.replay.engine.state, VenueId("bybit"))
        if not factors or factor != factors[-1]:
            factors.append(factor)

    told = terms(heeded, world, CHOICE, stage, ())
    replayed = Replay(world.stock(), msgspec.structs.replace(told, watchers=(*told.watchers, see))).run()
    quarter = Decimal("0.25")
    assert [one for one in opened if alert_ns <= one <= release_ns] == []
    assert any(one > release_ns for one in opened)
    assert factors == [1, 0, quarter, 2 * quarter, 3 * quarter, 1]
    assert replayed.totals.arbs_stranded == 0
    assert stage.replay.engine.state.net_delta(Asset("ETH")) == 0


def test_every_protection_is_played_without_and_a_users_limits_count(tmp_path):
    """One disaster end to end: with everything on, without each of its protections and groups, with numbers of one's own."""
    own = tmp_path / "mine.toml"
    own.write_text(MINE, encoding="utf-8")
    choice = Choice(limits=settings.load(own).engine_config(), folder=ROOT)
    (told,) = stress([FOLDER / "one-cloud.toml"], choice, each=True, jobs=1, progress=lambda _: None)
    assert [one.off for one in told.plays] == [ON, *told.protections, THESE_OFF, "all off"]
    assert told.worst(ON).incident < plays("one-cloud", ON)[0].incident  # smaller arbs lose less
    assert summary(told)["tripped"]


def test_a_quiet_month_costs_little():
    """Some generated days with every protection on earn within 15 % of what they earn with all off, and it is told where."""
    month = quiet(CHOICE, Month(days=DAYS, opportunity_share=0.01))
    assert month.pnl_off > 0
    assert month.cost_share < Decimal("0.15")
    assert month.taken.windows > 50
    assert month.let_go
    assert Decimal(EXPECTED["quiet-month"]["cost_share"]) < Decimal("0.15")

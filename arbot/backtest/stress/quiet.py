"""What safety costs when nothing is wrong: a generated month, replayed with every protection on and with all of them off.

Rules:
- The month is one tape without a break, made from a seed, replayed by the ordinary replay with the latencies, refusals and
  fees of [backtest]; an arb has the same size in both plays, for a smaller one is a choice, not a cost.
- A window is a route whose books clear the strategy's minimum without a rest of WINDOW_NS. It was let go when no arb was opened in
  it, and it is told by the last reason that was given, with what the best look at it promised an arb of that size.
- The tape has a row a second instead of hundreds, so that a month takes seconds: books may be a minute old, in both plays.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random
from typing import NamedTuple

import msgspec

from arbot.backtest.funding import Funding
from arbot.backtest.replay import Replay, Terms
from arbot.backtest.result import Replayed, Scenario
from arbot.backtest.stock import Listed, Made
from arbot.backtest.stress.play import Choice, venue_model
from arbot.backtest.stress.protections import PROTECTIONS, without
from arbot.domain.decisions import ArbOpened, OpportunityDeclined, OpportunitySeen, Outcome, Reason
from arbot.domain.events import Envelope
from arbot.domain.ids import Asset, VenueId
from arbot.domain.units import ZERO, div
from arbot.engine.config import EngineConfig
from arbot.runtime.strategy_loader import load_strategy
from arbot.settings.registry import shipped
from arbot.tape.generate import TapeSpec, generate_chunks, metas

DAY_S = 86_400
WINDOW_NS = 10_000_000_000
NEVER_NS = 10**18
AGE_MS_MAX = 60_000
CENT = Decimal("0.01")
BALANCES = {"USD": Decimal(25_000), "BTC": Decimal("0.4")}  # of a venue; assumption: half of the capital is coin
TAKER_BPS = (Decimal(10), Decimal(10), Decimal(10))
TAKEN = "taken"
OFF = tuple(name for name, one in PROTECTIONS.items() if not one.stops and name != "size_caps")


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """What is made: a row a second by default, and a gap worth taking in two messages of a thousand."""

    days: int = 30
    rows_per_s: float = 1.0
    opportunity_share: float = 0.002
    venues: int = 3
    seed: int = 7

    @property
    def rows(self) -> int:
        """Return how many rows that is."""
        return round(self.days * DAY_S * self.rows_per_s)


class LetGo(msgspec.Struct, frozen=True, kw_only=True):
    """The windows in which nothing was opened for one reason, and what they promised, fees taken off."""

    reason: str
    windows: int
    expected: Decimal
    windows_off: int = 0  # let go for the same reason with every protection off
    expected_off: Decimal = ZERO


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """What the month came to with everything on and with all off, and what was let go."""

    days: int
    rows: int
    pnl_on: Decimal
    pnl_off: Decimal
    arbs_on: int
    arbs_off: int
    taken: LetGo  # the windows in which an arb was opened
    let_go: tuple[LetGo, ...]
    cost_share: Decimal  # of what is earned without protections; below zero they earned


def quiet(choice: Choice, month: Month | None = None) -> Quiet:
    """Play a month twice. Raises: UserError for a month that cannot be made."""
    spec = month or Month()
    seen, seen_off = Windows(notional_max(choice)), Windows(notional_max(choice))
    on, off = _play(spec, choice, (), seen), _play(spec, choice, OFF, seen_off)
    taken, *let_go = _rows(seen.result(), seen_off.result())
    pnl_on, pnl_off = on.totals.pnl_net.quantize(CENT), off.totals.pnl_net.quantize(CENT)
    return Quiet(
        days=spec.days,
        rows=spec.rows,
        pnl_on=pnl_on,
        pnl_off=pnl_off,
        arbs_on=len(on.arbs),
        arbs_off=len(off.arbs),
        taken=taken,
        let_go=tuple(let_go),
        cost_share=round(div(pnl_off - pnl_on, pnl_off), 4) if pnl_off > 0 else ZERO,
    )


def notional_max(choice: Choice) -> Decimal:
    """Return how large an arb is in both plays."""
    base = choice.limits or EngineConfig(ccy=Asset("USD"), venues=(), instruments=())
    return base.limits.notional_per_arb_max


def _play(month: Month, choice: Choice, off: tuple[str, ...], seen: Windows) -> Replayed:
    tape = TapeSpec(
        rows=month.rows,
        seed=month.seed,
        venues=month.venues,
        bases=("BTC",),
        rows_per_s=month.rows_per_s,
        opportunity_share=month.opportunity_share,
        levels=(100,) * month.venues,
    )
    listed = tuple(Listed(meta.instrument, meta.depth) for meta in metas(tape))
    venues = tuple(dict.fromkeys(one.instrument.venue for one in listed))
    stock = Made(listed, tape.rows, f"a quiet month {tape}", lambda: generate_chunks(tape))
    terms = Terms(
        config=without(_config(choice, venues, listed), off),
        strategy=load_strategy("strategies.cross_venue", choice.params, choice.folder),
        config_digest=f"a quiet month without {off}",
        models={venue: venue_model(Decimal(5), taker) for venue, taker in zip(venues, TAKER_BPS, strict=False)},
        balances={venue: {Asset(asset): qty for asset, qty in BALANCES.items()} for venue in venues},
        scenario=Scenario.REALISTIC,
        seed=month.seed,
        sample_ns=NEVER_NS,
        funding=Funding((), None, Random(month.seed)),  # noqa: S311 - of a model, not a secret
        watchers=(seen.observe,),
    )
    return Replay(stock, terms).run()


def _config(choice: Choice, venues: tuple[VenueId, ...], listed: tuple[Listed, ...]) -> EngineConfig:
    """Return the user's or the shipped numbers for the month's venues and its slow books."""
    base = choice.limits or EngineConfig(ccy=Asset("USD"), venues=(), instruments=(), registry=shipped())
    limits = msgspec.structs.replace(
        base.limits, book_age_recv_ms_max=AGE_MS_MAX, book_age_venue_ms_max=AGE_MS_MAX, book_skew_ms_max=AGE_MS_MAX
    )
    instruments = tuple(one.instrument.id for one in listed)
    return msgspec.structs.replace(base, venues=venues, instruments=instruments, limits=limits)


class _Best(NamedTuple):
    """One window: since when, when last looked at, what it promised, why not, and whether an arb was opened."""

    last_ns: int
    expected: Decimal
    reason: str
    is_taken: bool


class Windows:
    """Give it every step; `result` once."""

    def __init__(self, notional: Decimal) -> None:
        self._notional = notional
        self._open: dict[tuple[str, str], _Best] = {}
        self._sums: dict[str, tuple[int, Decimal]] = {TAKEN: (0, ZERO)}

    def observe(self, envelope: Envelope, outcome: Outcome) -> None:
        """Take one step in."""
        promised: Mapping[tuple[str, str], Decimal] = {
            (one.buy, one.sell): min(one.qty * one.buy_price, self._notional) * one.edge_net_bps / 10_000
            for one in outcome.decisions
            if isinstance(one, OpportunitySeen)
        }
        for decision in outcome.decisions:
            if isinstance(decision, ArbOpened):
                self._look(envelope.ts_ns, (decision.buy, decision.sell), promised, "")
            elif isinstance(decision, OpportunityDeclined) and decision.reason is not Reason.NO_EDGE:
                self._look(envelope.ts_ns, (decision.buy, decision.sell), promised, decision.reason.value)

    def _look(self, now_ns: int, route: tuple[str, str], promised: Mapping[tuple[str, str], Decimal], no: str) -> None:
        """Add a look to a route's window, or begin a new one. `no` is empty when an arb was opened."""
        known = self._open.get(route)
        if known is not None and now_ns - known.last_ns >= WINDOW_NS:
            self._close(known)
            known = None
        best = promised.get(route, ZERO) if known is None else max(known.expected, promised.get(route, ZERO))
        reason = no or (known.reason if known is not None else "")
        self._open[route] = _Best(now_ns, best, reason, not no or (known is not None and known.is_taken))

    def _close(self, window: _Best) -> None:
        reason = TAKEN if window.is_taken else window.reason
        count, expected = self._sums.get(reason, (0, ZERO))
        self._sums[reason] = (count + 1, expected + window.expected)

    def result(self) -> dict[str, tuple[int, Decimal]]:
        """Return how many windows there were and what they promised, by the reason, or TAKEN."""
        for window in self._open.values():
            self._close(window)
        self._open.clear()
        return self._sums


def _rows(on: Mapping[str, tuple[int, Decimal]], off: Mapping[str, tuple[int, Decimal]]) -> list[LetGo]:
    """Return what was taken, then what was let go, the dearest reason first."""
    rows = []
    for reason in dict.fromkeys((*on, *off)):
        (windows, expected), (windows_off, expected_off) = on.get(reason, (0, ZERO)), off.get(reason, (0, ZERO))
        row = LetGo(
            reason=reason,
            windows=windows,
            expected=expected.quantize(CENT),
            windows_off=windows_off,
            expected_off=expected_off.quantize(CENT),
        )
        rows.append(row)
    return sorted(rows, key=lambda row: (row.reason != TAKEN, -row.expected, row.reason))

"""From settings to three modelled worlds: naive, realistic, pessimistic.

naive        answers at once, refuses nothing, limits nothing, and depth comes back at once
realistic    as [backtest] says
pessimistic  realistic, but every delay is longer, others take part of what we saw, and more is refused or lost

Fees, balances, deposits and transfers are the same in all three: they are known, not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from random import Random

import msgspec

from arbot.backtest.funding import Deposit, Funding, Rebalancing
from arbot.backtest.result import Scenario
from arbot.domain.errors import Mistake, UserError
from arbot.domain.ids import Asset, VenueId
from arbot.domain.units import bps_to_rate
from arbot.settings.model import Backtest, BacktestVenue, Mode, Settings
from arbot.sim.fees import FeeTier
from arbot.sim.latency import Delay, FixedDelay, LognormalDelay, SampledDelay, slowed
from arbot.sim.listing import FLAVOURS
from arbot.sim.venue_model import FeeSchedule, RateLimit, VenueModel, fixed_fees

__all__ = ["VenueModel", "balances", "funding", "measured_venues", "models"]

Measured = Mapping[VenueId, tuple[int, ...]]  # answer times by venue in ns, sorted; see measured.py

_NS_PER_S = 1_000_000_000
_MS_PER_MINUTE = 60_000
_AS_BACKTEST = BacktestVenue()


class _Assumed(msgspec.Struct, frozen=True, kw_only=True):
    """What [backtest] says of one venue, its own table first."""

    latency: str
    request_ms: Decimal
    request_ms_p99: Decimal
    answer_ms: Decimal
    orders_per_second: Decimal
    orders_burst: int


def models(settings: Settings, scenario: Scenario, measured: Measured) -> dict[VenueId, VenueModel]:
    """Return the model of every configured venue.

    `measured` has the answer times of all `measured_venues`. Raises: UserError when no fees are known for a venue.
    """
    schedules = _schedules(settings)
    return {
        venue: _IN_SCENARIO[scenario](settings.backtest, _realistic(settings, venue, schedule, measured))
        for venue, schedule in schedules.items()
    }


def measured_venues(settings: Settings) -> tuple[VenueId, ...]:
    """Return the venues whose latency is to be measured from the journal."""
    return tuple(VenueId(name) for name in settings.venues if _assumed(settings.backtest, name).latency == "measured")


def balances(settings: Settings) -> dict[VenueId, dict[Asset, Decimal]]:
    """Return what each venue's account holds at the start. Raises: UserError naming every venue without balances."""
    missing = [
        Mistake(
            f"paper.venues.{name}",
            "a backtest needs the balances of its account at the start",
            f'add a table [paper.venues.{name}] with balances = {{ {settings.run.ccy} = "10000" }}',
        )
        for name in settings.venues
        if name not in settings.paper.venues
    ]
    if missing:
        raise UserError(*missing)
    return {
        VenueId(name): {Asset(asset): qty for asset, qty in settings.paper.venues[name].balances.items()}
        for name in settings.venues
    }


def chance_of(seed: int, venue: VenueId) -> Random:
    """Return the chance of a venue in a replay: the same whatever is varied but the seed."""
    return Random(f"{seed}:{venue}")  # noqa: S311 - of a model, not a secret


def funding(settings: Settings, chance: Random) -> Funding:
    """Return the movements of money of one replay; delays of transfers are drawn from `chance`."""
    table = settings.backtest
    deposits = tuple(
        Deposit(after_ns=one.after_s * _NS_PER_S, venue=VenueId(one.venue), asset=Asset(one.asset), qty=one.qty)
        for one in table.deposits
    )
    every_ns = int(table.rebalance_every_h * 3_600 * _NS_PER_S)
    if not every_ns:
        return Funding(deposits, None, chance)
    p50_ms, p99_ms = (
        float(minutes * _MS_PER_MINUTE) for minutes in (table.transfer_minutes, table.transfer_minutes_p99)
    )
    delay = LognormalDelay(p50_ms=p50_ms, p99_ms=p99_ms) if p50_ms else FixedDelay(ms=p99_ms)
    fees = {Asset(asset): fee for asset, fee in table.transfer_fee.items()}
    return Funding(deposits, Rebalancing(every_ns=every_ns, delay=delay, fees=fees), chance)


# --- one venue ------------------------------------------------------------------------------------------------------------


def _assumed(table: Backtest, name: str) -> _Assumed:
    own = table.venues.get(name, _AS_BACKTEST)
    given = {field: getattr(own, field) for field in _Assumed.__struct_fields__}
    return _Assumed(**{field: getattr(table, field) if value is None else value for field, value in given.items()})


def _realistic(settings: Settings, venue: VenueId, schedule: FeeSchedule, measured: Measured) -> VenueModel:
    table = settings.backtest
    assumed = _assumed(table, venue)
    request, answer = _delays(assumed, measured.get(venue, ()))
    return VenueModel(
        request=request,
        answer=answer,
        fees=schedule,
        limit=RateLimit(per_second=assumed.orders_per_second, burst=assumed.orders_burst),
        reject_share=float(table.reject_share),
        timeout_share=float(table.timeout_share),
        request_timeout_ms=settings.venues[venue].request_timeout_ms,
    )


def _delays(assumed: _Assumed, sample_ns: tuple[int, ...]) -> tuple[Delay, Delay]:
    """Return how long a request and its answer take.

    A measured time is there and back: it is divided as request_ms and answer_ms are, and both parts of one order are
    drawn together, so that they add up to a measured time again.
    """
    request_ms, answer_ms = float(assumed.request_ms), float(assumed.answer_ms)
    if assumed.latency == "measured":
        there = request_ms / (request_ms + answer_ms) if request_ms + answer_ms else 1.0
        sampled = SampledDelay(sample_ns=sample_ns)
        return slowed(sampled, there), slowed(sampled, 1.0 - there)
    if assumed.latency == "lognormal":
        return LognormalDelay(p50_ms=request_ms, p99_ms=float(assumed.request_ms_p99)), FixedDelay(ms=answer_ms)
    return FixedDelay(ms=request_ms), FixedDelay(ms=answer_ms)


def _as_realistic(_table: Backtest, model: VenueModel) -> VenueModel:
    return model


def _as_naive(_table: Backtest, model: VenueModel) -> VenueModel:
    return VenueModel(request=Delay(), answer=Delay(), fees=model.fees, consumes=False)


def _as_pessimistic(table: Backtest, model: VenueModel) -> VenueModel:
    factor, rejects = float(table.latency_factor), float(table.reject_factor)
    return msgspec.structs.replace(
        model,
        request=slowed(model.request, factor),
        answer=slowed(model.answer, factor),
        reject_share=min(1.0, model.reject_share * rejects),
        timeout_share=min(1.0, model.timeout_share * rejects),
        depth_share=table.depth_share,
        rival_share=float(table.rival_share),
    )


_IN_SCENARIO = {
    Scenario.NAIVE: _as_naive,
    Scenario.REALISTIC: _as_realistic,
    Scenario.PESSIMISTIC: _as_pessimistic,
}


# --- fees -----------------------------------------------------------------------------------------------------------------


def _schedules(settings: Settings) -> dict[VenueId, FeeSchedule]:
    """Return the fees of every venue: as the file fixes them, else by the venue's own table. Raises: UserError."""
    schedules: dict[VenueId, FeeSchedule] = {}
    mistakes = []
    for name, venue in settings.venues.items():
        account = settings.paper.venues.get(name)
        rates_bps = None if account is None else account.rates_bps()
        tiers = _own_tiers(venue.adapter)
        if rates_bps is not None:
            schedules[VenueId(name)] = fixed_fees(*(bps_to_rate(bps) for bps in rates_bps))
        elif tiers:
            volume = settings.backtest.venues.get(name, _AS_BACKTEST).volume_opening
            if settings.run.mode is Mode.DEMO:  # pretend accounts begin on the tier that the simulator gives them
                volume = volume or FLAVOURS[venue.adapter.removeprefix("ccxt:")].volume_opening
            schedules[VenueId(name)] = FeeSchedule(tiers=tiers, volume_opening=volume)
        else:
            mistakes.append(
                Mistake(
                    f"paper.venues.{name}.taker_bps",
                    f"no fees are known for {venue.adapter}",
                    f"give maker_bps and taker_bps in [paper.venues.{name}] as your account pays them",
                )
            )
    if mistakes:
        raise UserError(*mistakes)
    return schedules


def _own_tiers(adapter: str) -> tuple[FeeTier, ...]:
    flavour = FLAVOURS.get(adapter.removeprefix("ccxt:"))
    return () if flavour is None else flavour.tiers

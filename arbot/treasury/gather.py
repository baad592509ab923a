"""Puts a situation together from the config, the store, and a running daemon's status where there is one.

With a daemon, balances and books are its own, of this moment. Without one, balances are the ledger's, and a market's price
is the last at which we traded there, on both sides; the notes say so. What no venue ever told is left out and noted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import Network, NetworkTerms, TransferState
from arbot.domain.units import ZERO, fmt
from arbot.engine.config import AllowedAddress, EngineConfig
from arbot.engine.delays import MEDIAN, P99, Delay, prior, updated
from arbot.journal.store import SqlStore
from arbot.observe.status import Status
from arbot.settings.model import Settings
from arbot.treasury import problem, told
from arbot.treasury.problem import Holding, Market, Policy, Route, Situation, Target, Transit

_HOUR_NS = 3_600_000_000_000
_MINUTE_NS = Decimal(60_000_000_000)
_ASSETS = "assets:"


def gather(
    settings: Settings, store: SqlStore, status: Status | None, *, targets: Sequence[Target], now_ns: int
) -> Situation:
    """Return the situation of a run now. Raises: UserError when nothing is known of balances or prices."""
    config = settings.engine_config()
    known = told.last_told(store, config.venues)
    fills = store.trades(since_ns=now_ns - int(told.LEARN_H) * _HOUR_NS)
    holdings = _held_now(status) if status is not None else _held_by_ledger(store, config)
    if not holdings:
        raise UserError(
            Mistake("balances", "no venue has told any", "start the daemon once, or plan from a file: --from FILE")
        )
    markets, notes = _markets(status, known, told.last_prices(fills))
    transits = _transits(store, config, now_ns)
    laws = _laws(store, config)
    situation = Situation(
        ccy=settings.run.ccy,
        holdings=holdings,
        transits=transits,
        markets=markets,
        routes=_routes(config, known, laws, _fees_paid(store), holdings),
        targets=tuple(targets),
        policy=_policy(settings, config),
        transfers_enabled=config.transfers.is_enabled,
        notes=(*notes, *_ages(config, known, now_ns)),
    )
    worth = problem.prices(situation)
    capital = sum((one.qty * worth.get(one.asset, ZERO) for one in holdings), ZERO)
    return _with_lessons(situation, told.learned(fills, worth, capital=capital, now_ns=now_ns))


def _policy(settings: Settings, config: EngineConfig) -> Policy:
    wanted, limits = settings.rebalance, config.transfers.limits
    return Policy(
        shares=wanted.shares,
        tolerance_share=wanted.tolerance_share,
        horizon_h=wanted.horizon_h,
        missed_bps_per_h=wanted.missed_bps_per_h,
        risk_lambda=config.risk.tail_price,
        volatility_default=wanted.volatility_year,
        volatility=wanted.volatility,
        slippage_bps=wanted.slippage_bps,
        transit_network_max=limits.transit_network_max,
        transit_total_max=limits.transit_total_max,
        stress_vol_day=limits.stress_vol_day,
        venue_share_max=config.limits.counterparty_share_max,
        confirm_above=limits.confirm_above,
    )


def _with_lessons(situation: Situation, lessons: told.Learned) -> Situation:
    policy = situation.policy
    if lessons.missed_bps_per_h:
        policy = msgspec.structs.replace(policy, missed_bps_per_h=lessons.missed_bps_per_h)
        said = (
            f"money in the wrong place misses {lessons.missed_bps_per_h:.3f} bps an hour, "
            f"as {lessons.arbs} arbs in {lessons.hours:.1f} h earned on all capital"
        )
    else:
        said = (
            f"money in the wrong place misses {fmt(policy.missed_bps_per_h)} bps an hour: assumed "
            f"(rebalance.missed_bps_per_h), for {lessons.arbs} arbs of the last days are too few or earned nothing"
        )
    return msgspec.structs.replace(situation, policy=policy, rebounds=lessons.rebounds, notes=(*situation.notes, said))


def _held_now(status: Status) -> tuple[Holding, ...]:
    return tuple(
        Holding(venue=line.venue, asset=balance.asset, qty=balance.total, reserved=balance.reserved)
        for line in status.venues
        for balance in line.balances
    )


def _held_by_ledger(store: SqlStore, config: EngineConfig) -> tuple[Holding, ...]:
    places = {f"{_ASSETS}{venue}": venue for venue in config.venues}
    return tuple(
        Holding(venue=places[account], asset=asset, qty=max(ZERO, qty))
        for account, asset, qty in store.all_balances()
        if account in places
    )


def _markets(
    status: Status | None, known: told.Told, last: Mapping[str, Decimal]
) -> tuple[tuple[Market, ...], tuple[str, ...]]:
    """Return what can be traded, with the books of now or else our last prices, and what had to be left out."""
    books = (
        {(line.venue, line.symbol): (line.bid, line.ask) for line in status.books if line.is_valid} if status else {}
    )
    markets, notes = [], []
    for (venue, symbol), one in known.instruments.items():
        fee, price = known.fees.get(one.id), last.get(one.id, ZERO)
        bid, ask = books.get((venue, symbol), (price, price) if status is None else (ZERO, ZERO))
        if fee is None:
            notes.append(f"{symbol} at {venue} is left out: its fees were never told")
        elif not ZERO < bid <= ask:
            why = "its book is not valid now" if status is not None else "no daemon runs, and we never traded there"
            notes.append(f"{symbol} at {venue} is left out: {why}")
        else:
            if status is None:
                notes.append(f"{symbol} at {venue} is taken at our last price of {fmt(price)}: no daemon runs")
            markets.append(
                Market(
                    venue=venue,
                    base=one.base,
                    quote=one.quote,
                    bid=bid,
                    ask=ask,
                    taker=fee.taker,
                    qty_step=one.qty_step,
                    qty_min=one.qty_min,
                    notional_min=one.notional_min,
                    is_open=one.takes_ioc,
                )
            )
    return tuple(markets), tuple(notes)


def _transits(store: SqlStore, config: EngineConfig, now_ns: int) -> tuple[Transit, ...]:
    """Return our own transfers that have neither been credited nor failed."""
    found = []
    for stored in store.own_transfers(since_ns=now_ns):
        intent, news = stored.intent, stored.life[-1].news
        if not news.after.is_terminal:
            found.append(
                Transit(
                    source=intent.source,
                    target=intent.target,
                    asset=intent.asset,
                    network=intent.network,
                    qty=max(ZERO, (news.qty_sent or intent.qty) - sum((one.qty for one in news.credits), ZERO)),
                    minutes_p99=_minutes(prior(config.registry.network(intent.network)), P99),
                    is_stuck=news.after is TransferState.STUCK,
                )
            )
    return tuple(found)


def _laws(store: SqlStore, config: EngineConfig) -> Mapping[tuple[str, str, str], Delay]:
    """Return the delays of the routes that we have transfers of our own on."""
    standing = store.standing()
    weight = config.transfers.limits.prior_weight
    return {
        (seen.source, seen.asset, seen.network): updated(prior(config.registry.network(seen.network)), weight, seen)
        for seen in (standing.delays if standing is not None else ())
    }


def _fees_paid(store: SqlStore) -> Mapping[tuple[str, str, str], Decimal]:
    """Return what our own transfers paid on the routes of sources that tell no fee."""
    standing = store.standing()
    told_fees = standing.network_fees if standing is not None else ()
    return {(one.venue, one.asset, one.network): one.fee for one in told_fees if one.is_paid}


def _routes(
    config: EngineConfig,
    known: told.Told,
    laws: Mapping[tuple[str, str, str], Delay],
    fees: Mapping[tuple[str, str, str], Decimal],
    holdings: Sequence[Holding],
) -> tuple[Route, ...]:
    """Return every network that two venues name for an asset we hold, open or not."""
    assets = dict.fromkeys(one.asset for one in holdings)
    found = []
    for source, ours in known.networks.items():
        for target, theirs in known.networks.items():
            for one in ours:
                there = [terms for terms in theirs if (terms.asset, terms.network) == (one.asset, one.network)]
                if source == target or not there or one.asset not in assets:
                    continue
                law = laws.get((source, one.asset, one.network)) or prior(config.registry.network(one.network))
                fee = (
                    one.fee
                    if one.is_told
                    else fees.get((source, one.asset, one.network), _granted(config, target, one))
                )
                closed = _closed_why(one, there[0], source, target, is_fee_known=fee is not None)
                found.append(
                    Route(
                        source=source,
                        target=target,
                        asset=one.asset,
                        network=one.network,
                        fee=ZERO if fee is None else fee,
                        qty_min=max(one.qty_min, there[0].qty_min),
                        minutes_p50=_minutes(law, MEDIAN),
                        minutes_p99=_minutes(law, P99),
                        is_open=not closed,
                        closed_why=closed,
                        is_allowed=_is_allowed(config, VenueId(target), one.asset, one.network),
                    )
                )
    return tuple(found)


def _granted(config: EngineConfig, target: str, terms: NetworkTerms) -> Decimal | None:
    """Return the most that the allow-list grants a source that tells no fee, None when it grants nothing."""
    wanted = (target, terms.asset, terms.network)
    granted = [one.fee_max for one in config.transfers.allow if (one.venue, one.asset, one.network) == wanted]
    return granted[0] if granted and granted[0] else None


def _closed_why(here: NetworkTerms, there: NetworkTerms, source: str, target: str, *, is_fee_known: bool) -> str:
    if not is_fee_known:
        return f"{source} does not tell the fee of {here.network} for {here.asset}"
    if not here.can_withdraw:
        return f"{source} does not send {here.asset} by {here.network} now"
    return "" if there.can_deposit else f"{target} does not take {here.asset} by {here.network} now"


def _is_allowed(config: EngineConfig, target: VenueId, asset: Asset, network: Network) -> bool:
    """Return whether exactly one address is on the list, with a tag where the network needs one: as the engine asks."""
    entries: list[AllowedAddress] = [
        one for one in config.transfers.allow if (one.venue, one.asset, one.network) == (target, asset, network)
    ]
    return len(entries) == 1 and (bool(entries[0].tag) or not config.registry.network(network).needs_tag)


def _minutes(law: Delay, share: Decimal) -> Decimal:
    return (Decimal(law.quantile_ns(share)) / _MINUTE_NS).quantize(Decimal("0.01"))


def _ages(config: EngineConfig, known: told.Told, now_ns: int) -> tuple[str, ...]:
    """Return which venues' word on their networks is missing, or older than the engine will believe."""
    limit = config.transfers.limits.terms_minutes_max
    notes = []
    for venue in config.venues:
        at_ns = known.networks_ts_ns.get(venue)
        if at_ns is None:
            notes.append(f"{venue} never told of its networks: no transfer from or to it is considered")
        elif (age := int((now_ns - at_ns) / _MINUTE_NS)) > limit:
            notes.append(f"{venue} told of its networks {age} min ago; the daemon believes it for {limit} min only")
    return tuple(notes)

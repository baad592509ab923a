"""One play: a disaster, a configuration, and the protections that are off, through the live engine, risk and ledger."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from arbot.backtest.replay import Replay, Terms
from arbot.backtest.result import Replayed, Scenario
from arbot.backtest.stress.file import Disaster
from arbot.backtest.stress.played import ALL_OFF, ON, SAME_SIZE, THESE_OFF, Played
from arbot.backtest.stress.protections import PROTECTIONS, replaced, without
from arbot.backtest.stress.stage import Stage
from arbot.backtest.stress.world import World
from arbot.domain.errors import Mistake, UserError
from arbot.domain.ids import Asset, VenueId
from arbot.domain.registry import AssetEntry, NetworkEntry, Registry, VenueEntry
from arbot.domain.transfer import Network
from arbot.domain.units import ZERO, bps_to_rate
from arbot.engine.config import AllowedAddress, EngineConfig, TransferPolicy
from arbot.runtime.strategy_loader import load_strategy
from arbot.settings.model import Backtest
from arbot.sim.latency import FixedDelay, LognormalDelay
from arbot.sim.venue_model import VenueModel, fixed_fees

CENT = Decimal("0.01")
POLL_S = 3_600  # news of transfers are told when they happen: asking for them every few seconds would only take time
LOOK_MS = 300_000  # likewise for looks at pegs and at gaps that are news: books are shown in sessions, hours apart
PEG_AGE_MS = 7_200_000  # and a peg is what the last session's books said
SAMPLE_NS = 10**18  # the replay's own samples are not needed: the stage looks for itself
REALISTIC = Backtest()  # latencies, rejects and lost answers of an ordinary day, as [backtest] has them


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What of the user's own a play is made with; all defaults is what arbot ships."""

    limits: EngineConfig | None = None  # its limits, policies and budgets; venues and registry come from the disaster
    params: Mapping[str, Any] = {}
    folder: Path = Path()


def play(disaster: Disaster, world: World, choice: Choice, off: str = ON) -> Played:
    """Play a disaster once; `off` is ON, one of the groups of played.py, or the name of the one protection to do without."""
    groups = {
        ON: (),
        THESE_OFF: disaster.protections,
        SAME_SIZE: tuple(name for name in disaster.protections if name != "size_caps"),
        ALL_OFF: tuple(name for name, one in PROTECTIONS.items() if not one.stops),
    }
    names = groups.get(off, (off,))
    stage = Stage(disaster, world, names)
    until_ns = disaster.quiet_until if off == SAME_SIZE else None
    replay = Replay(world.stock(until_ns), terms(disaster, world, choice, stage, names))
    replayed = replay.run()
    share: Decimal = getattr(engine_config(disaster, world, choice).risk, f"{disaster.budget}_loss_share_max")
    return _played(disaster, stage, replayed, off, share)


def terms(disaster: Disaster, world: World, choice: Choice, stage: Stage, off: tuple[str, ...]) -> Terms:
    """Return what the replay is told. Raises: UserError when the disaster changes a setting that there is not."""
    return Terms(
        config=without(engine_config(disaster, world, choice), off),
        strategy=load_strategy(disaster.strategy, choice.params, choice.folder),
        config_digest=f"{disaster.name} {disaster.variant} without {off}",
        models={
            VenueId(name): venue_model(venue.maker_bps, venue.taker_bps) for name, venue in disaster.venues.items()
        },
        balances={
            VenueId(name): {Asset(asset): qty for asset, qty in venue.balances.items()}
            for name, venue in disaster.venues.items()
        },
        scenario=Scenario.REALISTIC,
        seed=disaster.seed,
        sample_ns=SAMPLE_NS,
        funding=stage,
        watchers=(stage.watcher.observe,),
    )


def engine_config(disaster: Disaster, world: World, choice: Choice) -> EngineConfig:
    """Return the engine's configuration: the user's or the shipped numbers, in the disaster's world."""
    base = choice.limits or EngineConfig(ccy=Asset(disaster.ccy), venues=(), instruments=())
    limits = msgspec.structs.replace(base.transfers.limits, poll_seconds=POLL_S)
    config = msgspec.structs.replace(
        base,
        ccy=Asset(disaster.ccy),
        venues=tuple(VenueId(name) for name in disaster.venues),
        instruments=tuple(listed.instrument.id for listed in world.listed),
        registry=_registry(disaster),
        news=msgspec.structs.replace(base.news, news_look_ms=LOOK_MS),
        pegs=msgspec.structs.replace(base.pegs, peg_look_ms=LOOK_MS, peg_book_age_ms_max=PEG_AGE_MS),
        transfers=TransferPolicy(is_enabled=bool(disaster.networks), limits=limits, allow=_allowed(disaster)),
    )
    for table, keys in disaster.config.items():
        for key, value in keys.items():
            config = _changed(config, table, key, value)
    return config


def _changed(config: EngineConfig, table: str, key: str, value: object) -> EngineConfig:
    """Return the configuration with one key of a table changed, read as the file of a run would read it."""
    path = [*table.split("-"), key]
    struct: Any = config
    try:
        for name in path[:-1]:
            struct = getattr(struct, name)
        kind = next(field.type for field in msgspec.structs.fields(struct) if field.name == key)
    except (AttributeError, StopIteration) as error:
        raise UserError(
            Mistake(f"config.{table}.{key}", "there is no such setting", "see docs/guide/settings.md")
        ) from error
    read = msgspec.convert(str(value) if isinstance(value, Decimal) else value, kind, strict=False)
    return replaced(config, path, read)  # type: ignore[no-any-return]


def _registry(disaster: Disaster) -> Registry:
    return Registry(
        venues={
            VenueId(name): VenueEntry(
                entity=venue.entity,
                banks=venue.banks,
                custodian=venue.custodian,
                cloud=venue.cloud,
                loss_share=venue.loss_share,
                merged={Asset(quote): (Asset(coin),) for quote, coin in venue.merges.items()},
            )
            for name, venue in disaster.venues.items()
        },
        assets={Asset(disaster.ccy): AssetEntry(is_fiat=True)}
        | {
            Asset(name): AssetEntry(
                issuer=asset.issuer, peg=asset.peg, is_fiat=asset.is_fiat, loss_share=asset.loss_share
            )
            for name, asset in disaster.assets.items()
        },
        networks={
            Network(name): NetworkEntry(chain=one.chain, minutes_p50=one.minutes_p50, minutes_p99=one.minutes_p99)
            for name, one in disaster.networks.items()
        },
    )


def _allowed(disaster: Disaster) -> tuple[AllowedAddress, ...]:
    return tuple(
        AllowedAddress(
            venue=VenueId(venue), asset=Asset(one.asset), network=Network(name), address=f"{venue}-{one.asset}-{name}"
        )
        for venue in disaster.venues
        for name, one in disaster.networks.items()
    )


def venue_model(maker_bps: Decimal, taker_bps: Decimal) -> VenueModel:
    """Return a venue on an ordinary day: latencies, refusals and lost answers as [backtest] has them."""
    return VenueModel(
        request=LognormalDelay(p50_ms=float(REALISTIC.request_ms), p99_ms=float(REALISTIC.request_ms_p99)),
        answer=FixedDelay(ms=float(REALISTIC.answer_ms)),
        fees=fixed_fees(bps_to_rate(maker_bps), bps_to_rate(taker_bps)),
        reject_share=float(REALISTIC.reject_share),
        timeout_share=float(REALISTIC.timeout_share),
    )


def _played(disaster: Disaster, stage: Stage, replayed: Replayed, off: str, share: Decimal) -> Played:
    watcher, samples = stage.watcher, stage.samples
    watcher.finish(stage.now_ns())
    state = stage.replay.engine.state
    worst = max(samples, key=lambda one: one.loss)
    last = samples[-1]
    bases = {one.instrument.base for one in stage.world.listed}
    let_out = min((one.at for one in disaster.events if one.kind == "release"), default=disaster.last)
    added = [ts_ns for ts_ns in watcher.added_ns if ts_ns <= let_out]
    reaction = None
    if disaster.announcement is not None and added:
        reaction = round((disaster.announcement - max(added)) / 60e9, 1)
    return Played(
        name=disaster.name,
        variant=disaster.variant,
        off=off,
        equity_start=_money(samples[0].equity),
        equity_end=_money(last.equity),
        untouched_end=_money(last.untouched),
        loss=_money(worst.loss),
        loss_ts_ns=worst.ts_ns,
        loss_end=_money(last.loss),
        incident=_money(max(one.lost for one in samples) if disaster.budget == "venue" else max(worst.loss, 0.0)),
        budget=(share * Decimal(str(samples[0].equity))).quantize(CENT),
        pnl_net=replayed.totals.pnl_net,
        pnl_quiet=_money(
            max((one.realised for one in samples if one.ts_ns < (disaster.quiet_until or 0)), default=0.0)
        ),
        arbs=watcher.arbs,
        fills=watcher.fills,
        stranded=replayed.totals.arbs_stranded,
        unhedged_s=round(watcher.unhedged_ns / 1e9, 1),
        unhedged_s_longest=round(watcher.unhedged_ns_longest / 1e9, 1),
        peaks=tuple(sorted(stage.peaks.values(), key=lambda one: (one.kind, -one.value))),
        trips=watcher.trips(),
        declined=watcher.declined(),
        reaction_min=reaction,
        net_delta={base: state.net_delta(base).normalize() for base in sorted(bases) if state.net_delta(base) != ZERO},
        transfers=watcher.transfers,
        ledger_ties=replayed.ledger_matches_venues,
        digest=replayed.digest,
        samples=tuple(samples),
    )


def _money(value: float) -> Decimal:
    return Decimal(str(value)).quantize(CENT)

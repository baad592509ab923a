"""Where a disaster happens: it makes the timeline's events come true in a replay, and looks at the account while it does.

It takes the place of a replay's funding: it is told when the replay begins, and money between venues is its business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, cast

from arbot.backtest.funding import Funding, Ground
from arbot.backtest.stress.carrier import Carrier
from arbot.backtest.stress.file import Disaster, Event
from arbot.backtest.stress.kinds import KINDS
from arbot.backtest.stress.played import Peak, Sample
from arbot.backtest.stress.protections import deaf_to, hides_closures
from arbot.backtest.stress.watcher import Watcher
from arbot.backtest.stress.world import World
from arbot.domain import events as domain
from arbot.domain.ids import Asset, InstrumentId, VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.order import Fill
from arbot.domain.transfer import ApprovedTransfer, Network
from arbot.domain.units import ZERO
from arbot.sim.replayed import ReplayedVenue

if TYPE_CHECKING:
    from arbot.backtest.replay import Replay

SAMPLES = 400
NS_PER_H = 3_600_000_000_000
EVEN_SHARE_MIN = Decimal("0.1")  # of what a venue began with: less is not worth sending
CENT = Decimal("0.01")


class Stage(Funding):
    """The scene of one play. `replay` is there once it has begun."""

    def __init__(self, disaster: Disaster, world: World, off: tuple[str, ...] = ()) -> None:
        super().__init__((), None, Random(0))  # noqa: S311 - of a model, not a secret
        self.disaster = disaster
        self.world = world
        self.replay: Replay
        self.carrier = Carrier(disaster, Random(f"{disaster.seed}:carrier"), tells_closures=not hides_closures(off))  # noqa: S311 - of a model
        self.watcher = Watcher(self._adds, disaster.watch.node)
        self.lost: dict[VenueId, int] = {}
        self.samples: list[Sample] = []
        self.peaks: dict[tuple[str, str], Peak] = {}
        self.opening: dict[VenueId, dict[Asset, Decimal]] = {}
        self._deaf_to = deaf_to(off)
        self._requests = 0

    # --- a replay's funding -------------------------------------------------------------------------------------------

    def begin(self, ground: Ground) -> None:
        """Plan everything that happens."""
        self.replay = cast("Replay", ground)  # funding needs less of it than a disaster does
        self.opening = {venue: pretend.totals() for venue, pretend in self.replay.venues.items()}
        self.carrier.begin(self)
        for event in self.disaster.events:
            kind = KINDS[event.kind]
            for venue in event.places() or ("",):
                if kind.begin is not None:
                    self._plan(event.at, kind.begin, event, VenueId(venue))
                if kind.end is not None and event.until is not None:
                    self._plan(event.until, kind.end, event, VenueId(venue))
        times = self.world.times
        for ts_ns in times[:: max(1, len(times) // SAMPLES)].tolist():
            self.at(ts_ns, self.sample)

    def end(self) -> None:
        """Look once more; what is on its way stays there."""
        self.sample()

    def in_transit(self) -> dict[Asset, Decimal]:
        """Return what no venue has."""
        sums: dict[Asset, Decimal] = {}
        for parcel in (*self.carrier.at_source(), *self.carrier.on_network()):
            sums[parcel.intent.asset] = sums.get(parcel.intent.asset, ZERO) + parcel.intent.qty
        return sums

    def submit(self, approved: ApprovedTransfer) -> None:
        """Carry out an approved transfer."""
        self.carrier.submit(approved)

    def report(self, venue: VenueId) -> None:
        """Tell what a venue knows of transfers."""
        self.carrier.report(venue)

    # --- the replay, as others here need it -----------------------------------------------------------------------------

    @property
    def venues(self) -> Mapping[VenueId, ReplayedVenue]:
        """Return the pretend venues."""
        return self.replay.venues

    def now_ns(self) -> int:
        """Return the time."""
        return self.replay.clock.now_ns()

    def at(self, ts_ns: int, call: Callable[[], None]) -> None:
        """Make the call then."""
        self.replay.clock.call_at(ts_ns, call)

    def tell(self, events: tuple[domain.Event, ...]) -> None:
        """Give the engine events."""
        heard = tuple(event for event in events if not isinstance(event, self._deaf_to))
        if heard:
            self.replay.tell(heard)

    def instruments(self, venue: VenueId) -> tuple[InstrumentId, ...]:
        """Return the ids of a venue's instruments."""
        return tuple(one.id for one in self.listing(venue))

    def listing(self, venue: VenueId) -> tuple[Instrument, ...]:
        """Return a venue's instruments."""
        return tuple(listed.instrument for listed in self.world.listed if listed.instrument.venue == venue)

    def note(self, venue: VenueId, text: str) -> None:
        """Have something that the world did shown among what tripped."""
        self.watcher.trip(self.now_ns(), "world", f"{venue}: {text}")

    def _plan(self, ts_ns: int, deed: Callable[[Stage, Event, VenueId], None], event: Event, venue: VenueId) -> None:
        self.at(ts_ns, lambda: deed(self, event, venue))

    # --- money between venues -------------------------------------------------------------------------------------------

    def change_terms(self, venue: VenueId, asset: str, network: str, **change: bool) -> None:
        """Open or close what `change` names."""
        for what, is_open in change.items():
            self.carrier.change(venue, asset, network, what, is_open=is_open)

    def slow_withdrawals(self, venue: VenueId, factor: float) -> None:
        """Let withdrawals wait longer at a venue."""
        self.carrier.slow(venue, factor)

    def ask_transfer(self, event: Event) -> None:
        """Ask for a transfer as a person would."""
        self._ask(VenueId(event.source), VenueId(event.target), event, event.qty or ZERO)
        self._again(event, self.ask_transfer)

    def even_out(self, event: Event) -> None:
        """Send coins from where they piled up to where they ran low, against the opening balances, and come again."""
        asset = Asset(event.asset)
        held = {venue: pretend.totals().get(asset, ZERO) for venue, pretend in self.venues.items()}
        opening = {venue: totals.get(asset, ZERO) for venue, totals in self.opening.items()}
        coming: dict[VenueId, Decimal] = {}
        for parcel in self.carrier.parcels:
            if not parcel.is_there and parcel.intent.asset == asset:
                coming[parcel.intent.target] = coming.get(parcel.intent.target, ZERO) + parcel.intent.qty
        gaps = {venue: opening[venue] - held[venue] - coming.get(venue, ZERO) for venue in held}
        source, target = min(gaps, key=lambda one: gaps[one]), max(gaps, key=lambda one: gaps[one])
        qty = min(-gaps[source], gaps[target])
        if qty > EVEN_SHARE_MIN * max(opening.values(), default=ZERO):
            qty = qty if event.qty is None else min(qty, event.qty)
            self._ask(source, target, event, qty.quantize(Decimal("0.000001")))
        self._again(event, self.even_out)

    def _again(self, event: Event, call: Callable[[Event], None]) -> None:
        """Do it again after the event's hours, if it says so and is not over by then."""
        if event.every_h is None:
            return
        again_ns = self.now_ns() + int(event.every_h * NS_PER_H)
        if event.until is None or again_ns < event.until:
            self.at(again_ns, lambda: call(event))

    def _ask(self, source: VenueId, target: VenueId, event: Event, qty: Decimal) -> None:
        """Ask, and say yes again where so large a transfer needs it."""
        self._requests += 1
        limit = self.replay.terms.config.transfers.limits.confirm_above
        is_large = float(qty) * self.world.worth(event.asset, self.now_ns()) > 0.9 * float(limit)
        for is_confirmed in (False, True) if is_large else (False,):
            asked = domain.TransferRequested(
                source=source,
                target=target,
                asset=event.asset,
                network=Network(event.network),
                qty=qty,
                actor="stress",
                reason=event.text or event.kind,
                is_confirmed=is_confirmed,
                request_key=f"stress-{self._requests}",
            )
            if f"stress-{self._requests}" not in self.replay.engine.state.transfer_keys:
                self.tell((asked,))

    # --- the account ------------------------------------------------------------------------------------------------------

    def sample(self) -> None:
        """Look at the account, at what it would be untouched, and at every exposure."""
        now_ns = self.now_ns()
        totals = {venue: pretend.totals() for venue, pretend in self.venues.items()}
        fallen = 0.0
        in_network: dict[str, float] = {}
        for parcel in self.carrier.at_source():
            held = totals[parcel.intent.source]
            held[parcel.intent.asset] = held.get(parcel.intent.asset, ZERO) + parcel.intent.qty
        in_transit = 0.0
        for parcel in self.carrier.on_network():
            worth = float(parcel.intent.qty) * self.world.worth(parcel.intent.asset, now_ns)
            in_transit += worth
            in_network[parcel.intent.network] = in_network.get(parcel.intent.network, 0.0) + worth
            before = float(parcel.intent.qty) * self.world.worth(parcel.intent.asset, parcel.sent_ns)
            fallen += max(0.0, before - worth)
        by_venue = {venue: self._value(venue, held, now_ns) for venue, held in totals.items()}
        exposures = {("venue", str(venue)): self._gross(venue, held, now_ns) for venue, held in totals.items()}
        exposures |= {("network", name): worth for name, worth in in_network.items()}
        exposures |= {("issuer", name): worth for name, worth in self._issued(totals, now_ns).items()}
        for (kind, node), value in exposures.items():
            known = self.peaks.get((kind, node))
            if known is None or value > known.value:
                money = Decimal(value).quantize(CENT)
                self.peaks[kind, node] = Peak(kind=kind, node=node, value=money, ts_ns=now_ns)
        untouched = sum(self._value(venue, held, now_ns) for venue, held in self.opening.items())
        watch = self.disaster.watch
        self.samples.append(
            Sample(
                ts_ns=now_ns,
                equity=round(sum(by_venue.values()) + in_transit, 2),
                untouched=round(untouched, 2),
                in_flight_fallen=round(fallen, 2),
                lost=round(sum(self._gross(one, totals[one], now_ns) - by_venue[one] for one in self.lost), 2),
                realised=float(self.replay.engine.state.standing.realised_total),
                watched=round(exposures.get((watch.kind, watch.node), 0.0), 2),
            )
        )

    def _gross(self, venue: VenueId, held: Mapping[Asset, Decimal], now_ns: int) -> float:
        """Return what balances are worth in the world; what a venue merely calls money is worth the coin that it is."""
        merges = self.disaster.venues[venue].merges
        return sum(
            float(qty) * self.world.worth(merges.get(asset, asset), now_ns) for asset, qty in held.items() if qty
        )

    def _value(self, venue: VenueId, held: Mapping[Asset, Decimal], now_ns: int) -> float:
        """Return what balances are worth, a lost venue's less its share."""
        kept = 1.0
        if venue in self.lost:
            kept = 1.0 - float(self.disaster.venues[venue].loss_share)
        return kept * self._gross(venue, held, now_ns)

    def _issued(self, totals: Mapping[VenueId, Mapping[Asset, Decimal]], now_ns: int) -> dict[str, float]:
        """Return what is held of each issuer's coins, on all venues; a merged quote counts as the coin it is."""
        sums: dict[str, float] = {}
        for venue, held in totals.items():
            merges = self.disaster.venues[venue].merges
            for asset, qty in held.items():
                coin = merges.get(asset, asset)
                issuer = self.disaster.assets[coin].issuer if coin in self.disaster.assets else ""
                if issuer and qty:
                    sums[issuer] = sums.get(issuer, 0.0) + float(qty) * self.world.worth(coin, now_ns)
        return sums

    def _adds(self, fill: Fill) -> bool:
        """Return whether a fill adds to a watched issuer: more of its coin. For venues new arbs count, not unwinding old ones."""
        watch = self.disaster.watch
        if watch.kind == "venue":
            return False
        bought, sold = (fill.base, fill.quote) if fill.side.sign > 0 else (fill.quote, fill.base)
        known = self.disaster.assets
        is_theirs = [asset in known and known[asset].issuer == watch.node for asset in (bought, sold)]
        return is_theirs[0] and not is_theirs[1]

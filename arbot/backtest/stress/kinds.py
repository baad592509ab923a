"""What can happen in a disaster: a table of kinds, each with the keys it needs and what it does to the replayed world.

A kind with `until` is undone there; without one it lasts. What changes books alone (frozen, crossed) is drawn by world.py
and has no deed here. Everything goes through what a live venue would have done: the engine is told nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from arbot.domain.events import (
    BookFault,
    BookInvalidated,
    FeedConnected,
    FeedDisconnected,
    InstrumentsLoaded,
    OperatorRequested,
    ReconciliationEnded,
    RejectCode,
    Stream,
    VenueStatusReported,
    Verb,
)
from arbot.domain.ids import VenueId
from arbot.domain.transfer import MaintenanceWindow, VenueStatus

if TYPE_CHECKING:
    from arbot.backtest.stress.file import Event
    from arbot.backtest.stress.stage import Stage

Deed = Callable[["Stage", "Event", VenueId], None]


class Kind(NamedTuple):
    """The keys a kind needs, what it does to each venue it happens to, and what undoes that at `until`."""

    about: str
    needs: tuple[str, ...]
    begin: Deed | None = None
    end: Deed | None = None


def missing(event: Event) -> Iterator[str]:
    """Yield every key that the event's kind needs and that is not given."""
    for key in KINDS[event.kind].needs:
        if key == "venue":
            if not event.places():
                yield key
        elif not getattr(event, key):
            yield key


# --- orders and links -------------------------------------------------------------------------------------------------


def _fault(name: str, value: Callable[[Event], object], normal: object) -> tuple[Deed, Deed]:
    """Return the deeds that turn a switch of sim.venue_faults on and off."""

    def begin(stage: Stage, event: Event, venue: VenueId) -> None:
        setattr(stage.replay.venues[venue].faults, name, value(event))

    def end(stage: Stage, _: Event, venue: VenueId) -> None:
        setattr(stage.replay.venues[venue].faults, name, normal)

    return begin, end


def _down(stage: Stage, event: Event, venue: VenueId) -> None:
    stage.replay.venues[venue].faults.is_gone = True
    why = event.text or "the venue does not answer"
    lost = (BookInvalidated(instrument=one, fault=BookFault.DISCONNECTED) for one in stage.instruments(venue))
    gone = (FeedDisconnected(venue=venue, stream=stream, reason=why) for stream in (Stream.MARKET, Stream.ACCOUNT))
    stage.tell((*lost, *gone))


def _back(stage: Stage, _: Event, venue: VenueId) -> None:
    """Come back as a venue does: streams first, then its own account of what there is."""
    pretend = stage.replay.venues[venue]
    pretend.faults.is_gone = False
    stage.tell(
        (
            FeedConnected(venue=venue, stream=Stream.MARKET),
            FeedConnected(venue=venue, stream=Stream.ACCOUNT),
            pretend.snapshot(),
            ReconciliationEnded(venue=venue, differences=0),
        )
    )


def _halted(stage: Stage, event: Event, venue: VenueId) -> None:
    """Refuse orders while books go on being shown: the trap of a halted market."""
    stage.replay.venues[venue].faults.refusal = RejectCode.MARKET_CLOSED
    stage.note(venue, event.text or "market halted, quotes shown")


def _reopened(stage: Stage, _: Event, venue: VenueId) -> None:
    stage.replay.venues[venue].faults.refusal = None
    stage.tell((InstrumentsLoaded(venue=venue, instruments=stage.listing(venue)),))


def _code(event: Event) -> RejectCode:
    return RejectCode(event.code) if event.code else RejectCode.OTHER


_REFUSES = _fault("refusal", _code, None)
_SLOWER = _fault("delay_factor", lambda event: float(event.factor or 1), 1.0)
_LOSES = _fault("loses_orders", lambda _: True, normal=False)
_SILENT = _fault("loses_answers", lambda _: True, normal=False)
_HOLDS = _fault("holds_orders", lambda _: True, normal=False)
_NO_CANCEL = _fault("refuses_cancels", lambda _: True, normal=False)
_PARTS = _fault("fill_share", lambda event: Decimal(event.share or 0), Decimal(1))


# --- what a venue says and does to the account ----------------------------------------------------------------------------


def _status(stage: Stage, event: Event, venue: VenueId) -> None:
    """Say a status; with `until`, announce that time as a maintenance window instead of being in it already."""
    status = VenueStatus(event.status)
    windows: tuple[MaintenanceWindow, ...] = ()
    if event.every_h is not None and event.until is not None:  # announced so many hours before it begins
        begins_ns = event.at + int(event.every_h * 3_600 * 1_000_000_000)
        windows = (MaintenanceWindow(from_ns=begins_ns, until_ns=event.until, reason=event.text),)
    stage.tell((VenueStatusReported(venue=venue, status=status, detail=event.text, windows=windows),))


def _online(stage: Stage, _: Event, venue: VenueId) -> None:
    stage.tell((VenueStatusReported(venue=venue, status=VenueStatus.ONLINE),))


def _haircut(stage: Stage, event: Event, venue: VenueId) -> None:
    """Cut every balance of a venue by a share, whatever the asset."""
    pretend = stage.replay.venues[venue]
    for asset, total in pretend.totals().items():
        cut = (total * (event.share or Decimal(0))).quantize(Decimal("0.00000001"))
        if cut:
            pretend.adjust(asset, -cut, event.text or "the venue cut every balance")


def _reverse(stage: Stage, event: Event, venue: VenueId) -> None:
    """Undo the fills of the last `every_h` hours; the other legs stand."""
    since_ns = event.at - int((event.every_h or Decimal(24)) * 3_600 * 1_000_000_000)
    count = stage.replay.venues[venue].reverse(since_ns)
    stage.note(venue, f"{count} fills undone")


def _lost(stage: Stage, event: Event, venue: VenueId) -> None:
    """Count what lies at a venue as lost by its share from now on; nothing is told, for nobody tells it then."""
    stage.lost[venue] = event.at


def _operator(stage: Stage, event: Event, _: VenueId) -> None:
    stage.tell((OperatorRequested(verb=Verb(event.code), actor="stress", reason=event.text),))


def _by_hand(verb: Verb) -> Deed:
    """Return the deed of a person, or of a service that watches chains, who puts a venue into quarantine or lets it out."""

    def deed(stage: Stage, event: Event, venue: VenueId) -> None:
        stage.tell((OperatorRequested(verb=verb, actor="stress", reason=event.text, argument=venue),))

    return deed


_RELEASE = _by_hand(Verb.RELEASE)


# --- money between venues -------------------------------------------------------------------------------------------------


def _terms(change: str, *, value: bool) -> Deed:
    """Return the deed that opens or closes a venue's withdrawals or deposits of an asset, or of all, and says so."""

    def deed(stage: Stage, event: Event, venue: VenueId) -> None:
        stage.change_terms(venue, event.asset, event.network, **{change: value})

    return deed


def _slow(stage: Stage, event: Event, venue: VenueId) -> None:
    stage.slow_withdrawals(venue, float(event.factor or 1))


def _fast(stage: Stage, _: Event, venue: VenueId) -> None:
    stage.slow_withdrawals(venue, 1.0)


def _jam(stage: Stage, event: Event, _: VenueId) -> None:
    stage.carrier.jam(event.network, float(event.factor or 1))


def _unjam(stage: Stage, event: Event, _: VenueId) -> None:
    stage.carrier.jam(event.network, 1.0)


def _dearer(stage: Stage, event: Event, _: VenueId) -> None:
    stage.carrier.charge(event.network, event.factor or Decimal(1))


def _cheaper(stage: Stage, event: Event, _: VenueId) -> None:
    stage.carrier.charge(event.network, Decimal(1))


def _transfer(stage: Stage, event: Event, _: VenueId) -> None:
    stage.ask_transfer(event)


def _even_out(stage: Stage, event: Event, _: VenueId) -> None:
    stage.even_out(event)


KINDS: dict[str, Kind] = {
    "venue_down": Kind("no request arrives, no stream lives", ("venue",), _down, _back),
    "acks_slower": Kind("every request and answer takes `factor` times as long", ("venue", "factor"), *_SLOWER),
    "rejects": Kind("every order is refused with `code`", ("venue",), *_REFUSES),
    "orders_lost": Kind("orders never arrive and time out", ("venue",), *_LOSES),
    "answers_lost": Kind("orders are carried out, their answers are lost", ("venue",), *_SILENT),
    "orders_held": Kind("orders are taken and neither matched nor ended", ("venue",), *_HOLDS),
    "fills_part": Kind("only `share` of an order is matched", ("venue", "share"), *_PARTS),
    "cancel_fails": Kind("orders cannot be cancelled", ("venue",), *_NO_CANCEL),
    "market_halted": Kind("orders are refused while quotes are shown", ("venue",), _halted, _reopened),
    "book_frozen": Kind("the same book again and again", ("venue", "until")),
    "book_crossed": Kind("bids above asks", ("venue", "until")),
    "status": Kind(
        "the venue says `status`; with `every_h` it announces a window", ("venue", "status"), _status, _online
    ),
    "balances_haircut": Kind("every balance is cut by `share`", ("venue", "share"), _haircut),
    "fills_reversed": Kind("the fills of the last `every_h` hours are undone", ("venue", "every_h"), _reverse),
    "venue_lost": Kind("what lies there counts as lost from now on", ("venue",), _lost),
    "withdrawals_closed": Kind(
        "nothing leaves", ("venue",), _terms("can_withdraw", value=False), _terms("can_withdraw", value=True)
    ),
    "deposits_closed": Kind(
        "nothing comes in", ("venue",), _terms("can_deposit", value=False), _terms("can_deposit", value=True)
    ),
    "withdrawals_slow": Kind("withdrawals take `factor` times as long", ("venue", "factor"), _slow, _fast),
    "network_slow": Kind("transfers take `factor` times as long", ("network", "factor"), _jam, _unjam),
    "fees_up": Kind("a network's fee is `factor` times as high", ("network", "factor"), _dearer, _cheaper),
    "transfer": Kind("somebody asks for a transfer", ("source", "target", "asset", "network", "qty"), _transfer),
    "even_out": Kind(
        "every `every_h` hours coins are sent to where they ran low", ("asset", "network", "every_h"), _even_out
    ),
    "operator": Kind("a person asks for `code`", ("code",), _operator),
    "quarantine": Kind(
        "somebody says `text` of the venue: nothing new with it", ("venue", "text"), _by_hand(Verb.QUARANTINE), _RELEASE
    ),
    "release": Kind("somebody lets the venue out", ("venue", "text"), _RELEASE),
}

"""A journal out of an engine whose venues a test plays: every step with its decisions and what the ledger booked of it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from arbot.domain.events import (
    AccountSnapshotReceived,
    AdjustmentRecorded,
    Event,
    MovementState,
    OrderFilled,
    TransferReported,
)
from arbot.domain.history import HistoryLine, Placed, parse_ts
from arbot.domain.ids import Asset, ClientOrderId, TradeId, VenueId, VenueOrderId, instrument_id
from arbot.domain.instrument import Balance
from arbot.domain.order import Fill, Liquidity, Side
from arbot.domain.units import Amount
from arbot.ledger.history.journaled import Entry, Journaled, read_journal
from arbot.ledger.history.reading import read_stored
from arbot.ledger.history.restating import effects
from arbot.ledger.history.settling import Settled, settle
from arbot.ledger.posting import Ledger
from tests.support.engine_world import World

OPEN = ("kraken book bid 100.0x2 ask 100.2x2", "coinbase book bid 101.0x2 ask 101.2x2")


class Book:
    """A world, its ledger, and the journal of both."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.ledger = Ledger()
        self.entries: list[Entry] = []
        self._keep()

    def play(self, *lines: str) -> Book:
        """Carry out lines of a table."""
        for line in lines:
            self.world.line(line)
        self._keep()
        return self

    def give(self, event: Event) -> Book:
        """Step the engine with one event."""
        self.world.give(event)
        self._keep()
        return self

    def moved(self, venue: str, qty: str, name: str, *, asset: str = "BTC", tx: str = "", fee: str = "0") -> Book:
        """Have a venue report a deposit, or a withdrawal when `qty` is negative, as done."""
        self.world.now_ns += 1_000_000_000
        return self.give(
            TransferReported(
                venue=VenueId(venue), transfer_id=name, asset=asset, qty=Decimal(qty), fee=Decimal(fee),
                state=MovementState.DONE, venue_ts_ns=self.world.now_ns, tx_id=tx,
            )
        )  # fmt: skip

    def adjusted(self, venue: str, qty: str, asset: str = "BTC") -> Book:
        """Have a person book a difference."""
        return self.give(
            AdjustmentRecorded(venue=VenueId(venue), asset=asset, qty=Decimal(qty), reason="found", actor="me")
        )

    def snapshot(self, venue: str, **totals: str) -> Book:
        """Have a venue tell its balances: those of the ledger where `totals` says nothing."""
        ours = {a: n for account, a, n in self.ledger.balances() if account == f"assets:{venue}"}
        told = ours | {Asset(asset): Decimal(total) for asset, total in totals.items()}
        balances = tuple(Balance(asset=asset, total=total) for asset, total in told.items())
        return self.give(AccountSnapshotReceived(venue=VenueId(venue), balances=balances))

    def filled(self, venue: str, symbol: str, qty: str, price: str, fee: str) -> Book:
        """Have a venue report a purchase of an order that the engine has forgotten; `fee` as in "0.01 BNB"."""
        base, quote = symbol.split("/")
        number, asset = fee.split()
        return self.give(
            OrderFilled(
                fill=Fill(
                    venue=VenueId(venue), instrument=instrument_id(symbol, venue), base=Asset(base), quote=Asset(quote),
                    client_order_id=ClientOrderId("gone"), venue_order_id=VenueOrderId("V-gone"), trade_id=TradeId("T1"),
                    side=Side.BUY, qty=Decimal(qty), price=Decimal(price), fee=Amount(Decimal(number), Asset(asset)),
                    liquidity=Liquidity.TAKER, venue_ts_ns=self.world.now_ns,
                )
            )
        )  # fmt: skip

    def again(self) -> Book:
        """Have the last fill told once more, as after a restart: straight to the ledger."""
        envelope = next(one for one in reversed(self.entries) if isinstance(one.envelope.event, OrderFilled)).envelope
        self.entries.append(Entry(len(self.entries) + 1, envelope, (), self.ledger.apply(envelope, ())))
        return self

    def read(self, *, is_pretend: bool = True) -> Journaled:
        """Return what the journal says of history."""
        return read_journal(self.entries, is_pretend=is_pretend)

    def settled(self, *imported: str, is_pretend: bool = True) -> Settled:
        """Return the journal's history beside imported lines, which are booked after everything else."""
        journaled = self.read(is_pretend=is_pretend)
        lines = [read_stored(text) for text in imported]
        placed = [Placed(line, parse_ts(line.ts), len(self.entries) + 1) for line in lines]
        return settle(journaled, {line.id: line for line in lines}, lambda: placed, is_pretend=is_pretend)

    def _keep(self) -> None:
        for envelope, outcome in self.world.log[len(self.entries) :]:
            booked = self.ledger.apply(envelope, outcome.decisions)
            self.entries.append(Entry(len(self.entries) + 1, envelope, outcome.decisions, booked))


def balances_of(placed: Iterable[Placed]) -> dict[tuple[str, str], Decimal]:
    """Return what lines add up to, by account and asset, zeros left out."""
    sums: dict[tuple[str, str], Decimal] = {}
    for one in placed:
        for effect in effects(one.line, one.ts_ns):
            key = (effect.account, effect.asset)
            sums[key] = sums.get(key, Decimal(0)) + effect.number
    return {key: number for key, number in sums.items() if number}


def of_kind(placed: Iterable[Placed], kind: type[HistoryLine]) -> list[HistoryLine]:
    """Return the lines of one kind, in order."""
    return [one.line for one in placed if isinstance(one.line, kind)]

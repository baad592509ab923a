"""An engine that may move money between venues, and lines a trader can read for what venues say of it.

ask 1 BTC kraken coinbase bitcoin [key K] [confirmed]      somebody asks for a transfer
sent | accepted W1 | rejected | unknown                    what became of the newest request
kraken withdrawal W1 1 fee 0.0001 pending [tx X] [to A]    a line of the source's history
coinbase deposit D1 1 done [tx X] [to A]                   a line of the target's history
kraken holds BTC 9 [USD 10000]                             a snapshot of balances
kraken network bitcoin fee 0.001 min 0.01 [shut] [deaf]    what a venue says of a network: no withdrawals, no deposits
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from arbot.domain.commands import RaiseAlert, RequestTransfers, SubmitTransfer
from arbot.domain.decisions import TransferMoved, TransferRefused
from arbot.domain.events import (
    AccountSnapshotReceived,
    Event,
    MovementState,
    NetworksReported,
    TransferAccepted,
    TransferOutcomeUnknown,
    TransferRejected,
    TransferReported,
    TransferRequested,
    TransferSent,
)
from arbot.domain.ids import Asset, VenueId
from arbot.domain.instrument import Balance
from arbot.domain.registry import NetworkEntry, Registry
from arbot.domain.transfer import Network, NetworkTerms, TransferIntent
from arbot.domain.units import ZERO, fmt
from arbot.engine.config import AllowedAddress, TransferLimits, TransferPolicy
from arbot.engine.state import Transfer
from tests.support.engine_world import World

BITCOIN = Network("bitcoin")
HOME = "bc1-ours"  # our deposit address at coinbase
REGISTRY = Registry(
    networks={
        BITCOIN: NetworkEntry(minutes_p50=Decimal(40), minutes_p99=Decimal(480)),
        Network("swift"): NetworkEntry(minutes_p50=Decimal(2), minutes_p99=Decimal(20)),
        Network("ripple"): NetworkEntry(needs_tag=True, minutes_p50=Decimal(2), minutes_p99=Decimal(60)),
    }
)
FEE = "0.001"


def allowed(venue: str = "coinbase", network: str = "bitcoin", address: str = HOME, **more: str) -> AllowedAddress:
    """Return an entry of the allow list for BTC."""
    return AllowedAddress(venue=VenueId(venue), asset=Asset("BTC"), network=Network(network), address=address, **more)


def policy(*allow: AllowedAddress, enabled: bool = True, **limits: object) -> TransferPolicy:
    """Return a policy that lets BTC go to coinbase (and home), with these limits."""
    entries = allow or (allowed(), allowed("kraken", address="bc1-kraken"))
    return TransferPolicy(is_enabled=enabled, limits=TransferLimits(**limits), allow=entries)  # type: ignore[arg-type]


class TransferWorld(World):
    """Two venues with 10 BTC each, a book that prices BTC at 100, and open networks."""

    def __init__(self, transfers: TransferPolicy | None = None, *, networks: bool = True, **more: Any) -> None:
        self.submitted: list[TransferIntent] = []
        self.asked: list[str] = []
        super().__init__(transfers=transfers or policy(), registry=REGISTRY, **more)
        self.market.set(self.instruments[VenueId("kraken")].id, self.now_ns, "99.9x50", "100.1x50")
        self.market.set(self.instruments[VenueId("coinbase")].id, self.now_ns, "99.9x50", "100.1x50")
        for venue in ("kraken", "coinbase"):
            if networks:
                self.line(f"{venue} network bitcoin fee {FEE} min 0.01")

    def give(self, event: Event) -> list[str]:
        """Step the engine; transfers, refusals and alerts come out as words too."""
        words = super().give(event)
        outcome = self.log[-1][1]
        for command in outcome.commands:
            if isinstance(command, SubmitTransfer):
                intent = command.approved.intent
                self.submitted.append(intent)
                words.append(f"withdraw {fmt(intent.qty)} from {intent.source} to {intent.address}")
            elif isinstance(command, RaiseAlert):
                words.append(f"alert {command.code}")
            elif isinstance(command, RequestTransfers):
                self.asked.append(command.venue)
        for decision in outcome.decisions:
            if isinstance(decision, TransferMoved) and decision.before is not decision.after:
                words.append(f"{decision.before} > {decision.after}")
            elif isinstance(decision, TransferRefused):
                numbers = f" {fmt(decision.value)} of {fmt(decision.limit)}" if decision.limit else ""
                words.append(f"refused {decision.reason}{numbers}")
        return words

    def line(self, text: str) -> list[str]:
        """Carry out one line."""
        words = text.split()
        match words:
            case ["ask", qty, asset, source, target, network, *rest]:
                return self.give(
                    TransferRequested(
                        source=VenueId(source),
                        target=VenueId(target),
                        asset=asset,
                        network=Network(network),
                        qty=Decimal(qty),
                        actor="test",
                        is_confirmed="confirmed" in rest,
                        request_key=_after(rest, "key"),
                    )
                )
            case [("sent" | "accepted" | "rejected" | "unknown") as word, *rest]:
                return self.give(self._answer_to_request(word, rest))
            case [venue, ("withdrawal" | "deposit") as kind, name, qty, *rest]:
                return self.give(_line_of_history(venue, kind, name, qty, rest, self.now_ns))
            case [venue, "holds", *rest]:
                pairs = dict(zip(rest[::2], rest[1::2], strict=True))
                balances = tuple(Balance(asset=Asset(a), total=Decimal(q)) for a, q in pairs.items())
                return self.give(AccountSnapshotReceived(venue=VenueId(venue), balances=balances))
            case [venue, "network", network, "fee", fee, "min", least, *rest]:
                terms = NetworkTerms(
                    asset=Asset("BTC"),
                    network=Network(network),
                    can_deposit="deaf" not in rest,
                    can_withdraw="shut" not in rest,
                    fee=Decimal(fee),
                    qty_min=Decimal(least),
                    is_told="mute" not in rest,
                )
                return self.give(NetworksReported(venue=VenueId(venue), networks=(terms,)))
            case ["wait", span] if re.fullmatch(r"\d+(min|h)", span):
                number = int(span.rstrip("minh"))
                return super().line(f"wait {number * (60 if span.endswith('min') else 3600)}s")
        return super().line(text)

    def _answer_to_request(self, word: str, rest: list[str]) -> Event:
        name = self.submitted[-1].transfer
        match word:
            case "sent":
                return TransferSent(transfer=name)
            case "accepted":
                return TransferAccepted(transfer=name, venue_transfer_id=rest[0])
            case "rejected":
                return TransferRejected(transfer=name, detail="no", reason=" ".join(rest))
        return TransferOutcomeUnknown(transfer=name, detail="timeout")

    @property
    def transfer(self) -> Transfer:
        """Return the newest transfer."""
        return list(self.engine.state.transfers.values())[-1]

    def counted(self) -> Decimal:
        """Return all BTC there is, by the engine's count: both totals and what is in flight."""
        state = self.engine.state
        held = sum((venue.totals.get(Asset("BTC"), ZERO) for venue in state.venues.values()), ZERO)
        return held + sum((one.qty for one in state.in_flight()), ZERO)


def _after(words: list[str], name: str, default: str = "") -> str:
    return words[words.index(name) + 1] if name in words else default


def _line_of_history(venue: str, kind: str, name: str, qty: str, rest: list[str], now_ns: int) -> TransferReported:
    state = next(word for word in rest if word in ("pending", "done", "failed"))
    return TransferReported(
        venue=VenueId(venue),
        transfer_id=name,
        asset="BTC",
        qty=Decimal(qty) * (-1 if kind == "withdrawal" else 1),
        fee=Decimal(_after(rest, "fee", "0")),
        state=MovementState(state),
        venue_ts_ns=now_ns,
        network=_after(rest, "over", "bitcoin"),
        address=_after(rest, "to"),
        tx_id=_after(rest, "tx"),
    )

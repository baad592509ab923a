"""The chains between pretend venues: what leaves one on its way to an address of another arrives there, later.

Rules of the file:
- A withdrawal is broadcast, called done by its source half-way, and credited at the target at the end of its delay.
- An address that no connected venue gave out keeps what is sent to it, for good; so does the right address on another
  network, or of another asset.
- Delays are heavy-tailed, from a seeded stream per network. `speed` is how much faster than real chains these run.
- Faults are asked once per withdrawal, when it is broadcast. Standing faults hold as long as they are armed.
The delays of real chains are assumptions, chosen near what their block times and usual confirmation counts make.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from decimal import Decimal

import msgspec

from arbot.domain.errors import ensure
from arbot.domain.units import fmt
from arbot.sim.faults import Fault, FaultName, FaultPlan
from arbot.sim.latency import LognormalDelay
from arbot.sim.model import Transfer
from arbot.sim.venue import SimVenue

MS_PER_MINUTE = 60_000
RETRY_NS = 200_000_000  # a closed wallet, or a balance too small to take back from, is looked at again after this
SHARE_CONFIRMED = 0.5  # of the delay has passed when the source calls a withdrawal done
SHARE_REPLACED = 0.25  # of the delay has passed when a transaction is replaced by another

MINUTES: dict[str, tuple[float, float]] = {
    "bitcoin": (30, 180),
    "dogecoin": (20, 120),
    "ethereum": (6, 60),
    "fedwire": (240, 2_880),
    "solana": (2, 30),
    "tron": (3, 30),
}
"""Network -> minutes that half, and all but one in a hundred, of the transfers take."""
MINUTES_OTHER = (30.0, 240.0)


class Passage(msgspec.Struct, kw_only=True):
    """One withdrawal on its way. `fate` says how it ends, `target` is empty where nobody owns the address."""

    source: str
    reference: str
    asset: str
    network: str
    amount: Decimal
    address: str
    sent_ns: int
    delay_ns: int
    target: str = ""
    fate: str = "under_way"
    deposit_reference: str = ""


class Chains:
    """Every network between the venues of one server."""

    def __init__(self, rng_of: Callable[[str], random.Random], faults: FaultPlan, speed: float = 1.0) -> None:
        ensure(speed > 0, "chains stand still", speed=speed)
        self._rng_of = rng_of
        self._rngs: dict[str, random.Random] = {}
        self._faults = faults
        self._speed = speed
        self._venues: dict[str, SimVenue] = {}
        self._due: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0
        self.passages: list[Passage] = []

    def connect(self, venue: SimVenue) -> None:
        """Let a venue's withdrawals travel here, and its addresses receive."""
        self._venues[venue.name] = venue
        venue.chains = self

    def advance(self, now_ns: int) -> None:
        """Let everything happen that is due, and let standing faults hold where they are armed."""
        standing = self._faults.standing(now_ns)
        for name, venue in self._venues.items():
            venue.standing = tuple(fault for fault in standing if fault.venue in ("", name))
        while self._due and self._due[0][0] <= now_ns:
            at_ns, _, action = heapq.heappop(self._due)
            action(max(at_ns, now_ns))

    def broadcast(self, venue: SimVenue, transfer: Transfer, now_ns: int) -> None:
        """Take over a withdrawal that its venue sent out at `now_ns`."""
        delay_ns = self._delay_ns(venue.name, transfer, now_ns)
        passage = Passage(
            source=venue.name,
            reference=transfer.reference,
            asset=transfer.asset,
            network=transfer.network,
            amount=transfer.amount,
            address=transfer.address,
            sent_ns=now_ns,
            delay_ns=delay_ns,
        )
        self.passages.append(passage)
        if self._fires(FaultName.TRANSFER_STUCK, venue.name, transfer, now_ns):
            passage.fate = "stuck"
            return
        if self._fires(FaultName.TXID_REPLACED, venue.name, transfer, now_ns):
            self._after(now_ns, delay_ns * SHARE_REPLACED, lambda at_ns: self._replace(passage, transfer, at_ns))
        if self._fires(FaultName.TRANSFER_RETURNED, venue.name, transfer, now_ns):
            self._after(now_ns, delay_ns, lambda at_ns: self._return(passage, at_ns))
            return
        self._after(now_ns, delay_ns * SHARE_CONFIRMED, lambda at_ns: venue.confirm_withdrawal(transfer, at_ns))
        self._announce(passage, transfer, now_ns)

    def truth(self) -> list[dict[str, object]]:
        """Return every passage with exact numbers as text."""
        return [{**msgspec.structs.asdict(one), "amount": fmt(one.amount)} for one in self.passages]

    # --- parts ----------------------------------------------------------------------------------------------------------

    def _delay_ns(self, venue: str, transfer: Transfer, now_ns: int) -> int:
        p50, p99 = MINUTES.get(transfer.network, MINUTES_OTHER)
        jam = self._fires(FaultName.CONGESTION, venue, transfer, now_ns)
        delay = LognormalDelay(
            p50_ms=p50 * MS_PER_MINUTE, p99_ms=p99 * MS_PER_MINUTE, factor=(jam.factor if jam else 1.0) / self._speed
        )
        network = transfer.network
        rng = self._rngs.get(network) or self._rngs.setdefault(network, self._rng_of(f"chain/{network}"))
        return delay.draw_ns(rng)

    def _announce(self, passage: Passage, transfer: Transfer, now_ns: int) -> None:
        """Show the payment to whoever owns the address, unconfirmed, and credit it at the end of the delay."""
        target = next((one for one in self._venues.values() if one.owner_of(transfer) is not None), None)
        account = None if target is None else target.owner_of(transfer)
        if target is None or account is None:
            passage.fate = "lost"
            return
        less = self._fires(FaultName.CREDIT_LESS, target.name, transfer, now_ns)
        amount = transfer.amount * Decimal(str(less.factor)) if less else transfer.amount
        deposit = target.announce_deposit(account, transfer, amount, now_ns)
        passage.target, passage.deposit_reference = target.name, deposit.reference
        twice = self._fires(FaultName.CREDIT_TWICE, target.name, transfer, now_ns)

        def credit(at_ns: int) -> None:
            if not target.takes(transfer.asset, transfer.network):
                self._after(at_ns, RETRY_NS, credit)
                return
            deposit.txid = transfer.txid
            target.credit_deposit(deposit, at_ns)
            passage.fate = "credited"
            if twice is not None:
                again = target.announce_deposit(account, transfer, amount, at_ns)
                target.credit_deposit(again, at_ns)
                self._after(at_ns, twice.ms * 1_000_000, lambda later_ns: self._reverse(target, again, later_ns))

        self._after(now_ns, passage.delay_ns, credit)

    def _reverse(self, target: SimVenue, deposit: Transfer, now_ns: int) -> None:
        if not target.reverse_deposit(deposit, now_ns):
            self._after(now_ns, RETRY_NS, lambda at_ns: self._reverse(target, deposit, at_ns))

    def _replace(self, passage: Passage, transfer: Transfer, now_ns: int) -> None:
        """Give the withdrawal another transaction id, as a fee bump does, and the deposit with it."""
        self._venues[passage.source].replace_txid(transfer, now_ns)
        if passage.target:
            self._venues[passage.target].replace_deposit_txid(passage.deposit_reference, transfer.txid, now_ns)

    def _return(self, passage: Passage, now_ns: int) -> None:
        self._venues[passage.source].fail_transfer(passage.reference, now_ns)
        passage.fate = "returned"

    def _fires(self, name: FaultName, venue: str, transfer: Transfer, now_ns: int) -> Fault | None:
        return self._faults.fires(name, venue, now_ns, asset=transfer.asset, network=transfer.network)

    def _after(self, now_ns: int, delay_ns: float, action: Callable[[int], None]) -> None:
        self._count += 1
        heapq.heappush(self._due, (now_ns + round(delay_ns), self._count, action))

"""Any other exchange's money in and out through ccxt. What is sent and what comes back is judged by its bytes, as orders are.

Rules of the file:
- `withdraw(code, amount, address, params=...)` with the amount as text; network and tag go inside `params` (ccxt 4.5.90).
- Whether an exchange's amount includes its fee is a table (ccxt_terms); one that is not in it is taken to charge beside
  it, which is an assumption: a difference shows when less arrives.
- Refused are only complete answers whose class of error is in REFUSED_CLASSES. An answer without an id is unknown.
- What an exchange does not tell of its networks is not reported: nothing can then be sent there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

import ccxt.async_support as ccxt

from arbot.domain.errors import InvariantBroken, VenueError, VenueRefused, VenueUnavailable, ensure
from arbot.domain.events import Event, MovementState, NetworksReported, TransferReported, VenueStatusReported
from arbot.domain.ids import Asset, VenueId
from arbot.domain.transfer import (
    ApprovedTransfer,
    DepositAddress,
    Network,
    NetworkTerms,
    TransferIntent,
    VenueStatus,
)
from arbot.domain.units import ZERO, fmt, parse_decimal
from arbot.venues import ccxt_terms
from arbot.venues.ccxt_transport import Record, doing, recording
from arbot.venues.outcome import Unknown, decode_json, excerpt, parse_object
from arbot.venues.rest import Answer, Request
from arbot.venues.wire_order import reads_as
from arbot.venues.withdrawal import (
    UNKNOWN_NETWORK,
    NetworkNames,
    Refused,
    SentOnce,
    Taken,
    Verdict,
    never_sent,
    transfer_event,
)

STATUSES: dict[str, VenueStatus] = {"ok": VenueStatus.ONLINE, "maintenance": VenueStatus.MAINTENANCE}
"""Unified status; any other (shutdown, error) means that the venue is down for us."""

TRANSFER_STATES: dict[str, MovementState] = {
    "ok": MovementState.DONE,
    "failed": MovementState.FAILED,
    "canceled": MovementState.FAILED,
    "rejected": MovementState.FAILED,
}
REFUSED_CLASSES = frozenset(
    {ccxt.InsufficientFunds, ccxt.InvalidAddress, ccxt.PermissionDenied, ccxt.AuthenticationError}
)
"""Exactly these classes, not their subclasses."""
REFUSED_STATUSES = frozenset({200, 400, 401, 403, 422})
MS = 1_000_000


class Desk(Protocol):
    """What the gateway lends: the ccxt instance, loaded, and paced calls to it."""

    venue: VenueId
    exchange: Any

    async def loaded(self) -> None:
        """Load markets once. Raises: VenueError."""
        ...

    async def poll(self, method: str, *arguments: Any) -> Any:
        """Call on the polling lane. Raises: VenueError."""
        ...

    async def withdrawal_refusal(self) -> str:
        """Return why nothing may be sent now (no key, own limiter), or an empty text."""
        ...


class CcxtTreasury:
    """The treasury's end of one account."""

    def __init__(self, desk: Desk, networks: Mapping[Network, str]) -> None:
        self._desk = desk
        self._venue = desk.venue
        self._exchange = desk.exchange
        self._name = str(desk.exchange.id)
        self._names = NetworkNames(networks)
        self._sent = SentOnce()

    async def fetch_status(self) -> VenueStatusReported:
        """Return the unified status, or ONLINE where the exchange has no such call. Raises: VenueError."""
        if self._exchange.has.get("fetchStatus") is not True:
            detail = "the venue has no status call"
            return VenueStatusReported(venue=self._venue, status=VenueStatus.ONLINE, detail=detail)
        told = await self._desk.poll("fetch_status")
        word = told.get("status") if isinstance(told, Mapping) else None
        if not isinstance(word, str):
            raise VenueUnavailable(self._venue, "unreadable status")
        return VenueStatusReported(venue=self._venue, status=STATUSES.get(word, VenueStatus.DOWN), detail=word)

    async def fetch_networks(self, assets: Sequence[Asset]) -> NetworksReported:
        """Return the networks of these assets as far as the exchange tells. Raises: VenueError."""
        await self._desk.loaded()
        own_list = ccxt_terms.NETWORK_LISTS.get(self._name)
        try:
            if own_list is not None:
                method, read = own_list
                rows = read(await self._desk.poll(method))
            elif self._exchange.has.get("fetchCurrencies") is True:
                rows = unified_networks(await self._desk.poll("fetch_currencies"))
            else:
                rows = []
            terms = (self._terms(row) for row in rows if row.asset in assets)
            found = tuple(one for one in terms if one.network != UNKNOWN_NETWORK)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise VenueUnavailable(self._venue, f"unreadable list of networks: {error}") from error
        return NetworksReported(venue=self._venue, networks=found)

    def _terms(self, row: ccxt_terms.NetworkRow) -> NetworkTerms:
        network = next((ours for name in row.names if (ours := self._names.ours(name))), UNKNOWN_NETWORK)
        return NetworkTerms(
            asset=Asset(row.asset),
            network=network,
            can_deposit=row.can_deposit,
            can_withdraw=row.can_withdraw,
            fee=ZERO if row.fee is None else parse_decimal(str(row.fee)),
            qty_min=ZERO if row.qty_min is None else parse_decimal(str(row.qty_min)),
            is_told=row.fee is not None,
        )

    async def fetch_deposit_address(self, asset: Asset, network: Network) -> DepositAddress:
        """Return the address on this network. Raises: VenueError."""
        await self._desk.loaded()
        name = self._names.theirs(network)
        if not name or self._exchange.has.get("fetchDepositAddress") is not True:
            raise VenueRefused(self._venue, f"it cannot be asked where {asset} on {network} goes")
        told = await self._desk.poll("fetch_deposit_address", asset, {"network": name})
        address, of = told.get("address"), told.get("network")
        if (
            not isinstance(address, str)
            or not address
            or (of and self._names.ours(of) not in (network, UNKNOWN_NETWORK))
        ):
            raise VenueUnavailable(self._venue, f"unreadable deposit address of {asset} on {network}")
        return DepositAddress(asset=asset, network=network, address=address, tag=str(told.get("tag") or ""))

    # --- withdrawals ----------------------------------------------------------------------------------------------------

    async def withdraw(self, approved: ApprovedTransfer) -> tuple[Event, ...]:
        """Send once. Raises: InvariantBroken before anything has left, never VenueError."""
        intent = approved.intent
        return (transfer_event(intent.transfer, await self._withdraw(intent)),)

    async def _withdraw(self, intent: TransferIntent) -> Verdict:
        repeated = self._sent.refusal(intent)
        if repeated is not None:
            return repeated
        network = self._names.theirs(intent.network)
        if not network:
            return never_sent(f"the registry does not say what {self._venue} calls {intent.network}")
        try:
            await self._desk.loaded()
            fee = await self._fee(intent)
        except VenueError as error:
            return never_sent(error.detail)
        if fee > intent.fee_max:
            return never_sent(f"fee {fmt(fee)} is above the limit of {fmt(intent.fee_max)} {intent.asset}")
        why = await self._desk.withdrawal_refusal()
        if why:
            return never_sent(why)
        amount = intent.qty + fee if self._name in ccxt_terms.WITHDRAWAL_AMOUNT_HAS_FEE else intent.qty
        params = {"network": network, **({"tag": intent.tag} if intent.tag else {})}
        params |= {"key": intent.key} if intent.key else {}
        self._sent.mark(intent)
        with doing("withdraw"), recording(lambda request: verify_withdrawal(request, intent, amount)) as record:
            try:
                row = await self._exchange.withdraw(intent.asset, fmt(amount), intent.address, params=params)
            except InvariantBroken:
                raise
            # whatever it is, the engine is told by the verdict
            except Exception as error:  # noqa: BLE001
                return classify_error(record, error)
        return classify_row(record, row, ccxt_terms.WITHDRAWAL_ID.get(self._name, "id"))

    async def _fee(self, intent: TransferIntent) -> Decimal:
        """Return the fee where the exchange tells one, else zero. Raises: VenueError."""
        terms = (await self.fetch_networks((intent.asset,))).networks
        return next((one.fee for one in terms if one.network == intent.network), ZERO)

    # --- history --------------------------------------------------------------------------------------------------------

    async def fetch_transfers(self, since_ns: int) -> tuple[TransferReported, ...]:
        """Return deposits and withdrawals as far as the exchange lists them. Raises: VenueError."""
        await self._desk.loaded()
        found: dict[tuple[str, int], TransferReported] = {}
        mended = ccxt_terms.TRANSFER_ROWS.get(self._name, dict)
        for method, signs in ccxt_terms.transfer_calls(self._exchange.has):
            for row in await self._desk.poll(method, None, since_ns // MS):
                sign = {"deposit": 1, "withdrawal": -1}.get(str(row.get("type")), signs[0])
                if sign not in signs:
                    continue
                try:
                    one = self._transfer(mended(row), sign)
                except (KeyError, TypeError, ValueError) as error:
                    raise VenueUnavailable(self._venue, f"unreadable transfer: {error}") from error
                found.setdefault((one.transfer_id, sign), one)
        return tuple(sorted(found.values(), key=lambda one: one.venue_ts_ns))

    def _transfer(self, row: Mapping[str, Any], sign: int) -> TransferReported:
        fee = row.get("fee") or {}
        is_own_fee = fee.get("currency") in (None, row["currency"]) and fee.get("cost") not in (None, "")
        return TransferReported(
            venue=self._venue,
            transfer_id=str(row["id"]),
            asset=row["currency"],
            qty=sign * abs(parse_decimal(row["amount"])),
            fee=parse_decimal(str(fee["cost"])) if is_own_fee else ZERO,
            state=TRANSFER_STATES.get(str(row.get("status")), MovementState.PENDING),
            venue_ts_ns=int(row["timestamp"]) * MS,
            network=self._names.ours(row.get("network") or (row.get("info") or {}).get("network")),
            address=str(row.get("address") or ""),
            tag=str(row.get("tag") or ""),
            tx_id=str(row.get("txid") or ""),
        )


def unified_networks(currencies: Mapping[str, Any]) -> list[ccxt_terms.NetworkRow]:
    """Return the rows of ccxt's unified currencies."""
    return [
        ccxt_terms.NetworkRow(
            asset=code,
            names=tuple(str(name) for name in (row.get("id"), row.get("network"), name) if name),
            can_deposit=row.get("deposit") is True,
            can_withdraw=row.get("withdraw") is True,
            fee=row.get("fee"),
            qty_min=((row.get("limits") or {}).get("withdraw") or {}).get("min"),
        )
        for code, currency in currencies.items()
        for name, row in (currency.get("networks") or {}).items()
    ]


def classify_error(record: Record, error: Exception) -> Refused | Unknown:
    """Return what an exception of `withdraw` means, judged by what went over the wire."""
    told = f"{type(error).__name__}: {str(error)[:200]}"
    if not record.sent:
        return never_sent(told)
    answer = _sole_answer(record)
    if answer is None or type(error) not in REFUSED_CLASSES or answer.status not in REFUSED_STATUSES:
        return Unknown(told)
    return Refused(excerpt(answer.status, answer.body))


def classify_row(record: Record, row: Any, id_name: str) -> Taken | Unknown:
    """Return what a result of `withdraw` means: without an id nothing is known."""
    answer = _sole_answer(record)
    if answer is None or not isinstance(row, Mapping):
        return Unknown("the answer names no withdrawal")
    named = row.get("id") or (parse_object(answer.body) or {}).get(id_name)
    return Taken(str(named)) if named else Unknown(excerpt(answer.status, answer.body))


def verify_withdrawal(request: Request, intent: TransferIntent, amount: Decimal) -> None:
    """Look for the intent in the bytes about to leave. Raises: InvariantBroken when a part of it is missing."""
    body = (request.body or b"").decode()
    texts = [value for pair in parse_qsl(body, keep_blank_values=True) for value in pair]
    with suppress(ValueError):
        texts += [str(value) for value in _values(decode_json(body.encode()))]
    texts += [value for pair in parse_qsl(urlsplit(request.url).query) for value in pair]
    ensure(
        intent.address in texts
        and any(reads_as(text, amount) for text in texts)
        and (not intent.tag or intent.tag in texts),
        "the withdrawal on the wire is not the one that was approved",
        transfer=intent.transfer,
    )


def _values(parsed: Any) -> list[Any]:
    if isinstance(parsed, Mapping):
        return [value for inner in parsed.values() for value in _values(inner)]
    if isinstance(parsed, list):
        return [value for inner in parsed for value in _values(inner)]
    return [parsed]


def _sole_answer(record: Record) -> Answer | None:
    """Return the one complete answer with a JSON object to the one transmission, or None."""
    if len(record.sent) != 1 or len(record.replies) != 1:
        return None
    (reply,) = record.replies
    return reply if isinstance(reply, Answer) and parse_object(reply.body) else None

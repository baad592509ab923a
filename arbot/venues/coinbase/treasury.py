"""Coinbase's money in and out, through the v2 account endpoints (https://docs.cdp.coinbase.com/coinbase-business/transfer-apis/, 2026-11).

Rules of the file:
- A withdrawal is a `send` of what should arrive; the network's fee is taken beside it and told only afterwards, so it
  cannot be refused beforehand: a fee above the limit is logged, and comes with the history.
- `idem` is made from the whole intent, not from its number alone: a store begun anew counts from 1 again, and a repeated
  `idem` would be answered with the transaction of long ago. The answer has to be about our amount and address.
- Fees and minimums are told nowhere (`is_told` is False). Networks are those of the account's deposit addresses: one
  that has no address yet is not reported until somebody makes one at the venue. Nothing here makes addresses.
- The venue has no status endpoint.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from arbot.domain.errors import VenueError, VenueRefused, VenueUnavailable, ensure
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
from arbot.venues.codec import timestamp_ns
from arbot.venues.outcome import Unknown, excerpt, parse_object
from arbot.venues.rest import Answer, Lost, Request
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

_log = logging.getLogger("arbot.venues.coinbase")

IDEM_SPACE = uuid.UUID("6f0f2a4e-9a35-5c0b-8f5e-2f7f5a3b9d10")  # any constant: names below it are ours
TRANSFER_TYPES = frozenset(
    {
        "send",
        "receive",
        "fiat_deposit",
        "fiat_withdrawal",
        "exchange_deposit",
        "exchange_withdrawal",
        "pro_deposit",
        "pro_withdrawal",
        "transfer",
        "vault_withdrawal",
    }
)
TRANSFER_STATES: dict[str, MovementState] = {
    "completed": MovementState.DONE,
    "failed": MovementState.FAILED,
    "canceled": MovementState.FAILED,
    "expired": MovementState.FAILED,
}
REFUSAL_IDS: dict[int, frozenset[str]] = {
    400: frozenset({"validation_error", "invalid_request", "param_required", "personal_details_required"}),
    401: frozenset({"authentication_error", "unauthorized", "invalid_token", "revoked_token", "expired_token"}),
    402: frozenset({"two_factor_required"}),
    403: frozenset({"invalid_scope", "identity_verification_required", "unverified_email"}),
    404: frozenset({"not_found"}),
    429: frozenset({"rate_limit_exceeded"}),
}
"""HTTP status -> error ids after which there is no transaction. What speaks of `idem` or a duplicate is in doubt."""
DOUBTFUL_WORDS = ("idem", "duplicate", "already")


class Desk(Protocol):
    """What the gateway lends: the assets we trade, the pages of v2, and one signed sending."""

    venue: VenueId

    async def traded_assets(self) -> frozenset[Asset]:
        """Return the assets of our instruments. Raises: VenueError."""
        ...

    def v2_pages(self, path: str) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the rows of every page of a v2 list. Raises: VenueError."""
        ...

    async def transmit(self, path: str, fields: Mapping[str, str], intent: TransferIntent) -> Answer | Lost | Refused:
        """Send a withdrawal once, or say why it was not sent. Raises: InvariantBroken."""
        ...


class CoinbaseTreasury:
    """The treasury's end of one Coinbase portfolio."""

    def __init__(self, desk: Desk, networks: Mapping[Network, str]) -> None:
        self._desk = desk
        self._venue = desk.venue
        self._names = NetworkNames(networks)
        self._sent = SentOnce()

    async def fetch_status(self) -> VenueStatusReported:
        """Return ONLINE: the venue says nothing of itself."""
        return VenueStatusReported(venue=self._venue, status=VenueStatus.ONLINE, detail="the venue has no status call")

    async def fetch_networks(self, assets: Sequence[Asset]) -> NetworksReported:
        """Return the networks of the account's deposit addresses, open as their wallets are. Raises: VenueError."""
        found: list[NetworkTerms] = []
        for asset, account in (await self._accounts()).items():
            if asset not in assets:
                continue
            networks = dict.fromkeys([self._names.ours(row.get("network")) async for row in self._addresses(account)])
            found += [
                NetworkTerms(
                    asset=asset,
                    network=network,
                    can_deposit=account.get("allow_deposits") is True,
                    can_withdraw=account.get("allow_withdrawals") is True,
                    is_told=False,
                )
                for network in networks
                if network != UNKNOWN_NETWORK
            ]
        return NetworksReported(venue=self._venue, networks=tuple(found))

    async def fetch_deposit_address(self, asset: Asset, network: Network) -> DepositAddress:
        """Return the newest address of the account on this network. Raises: VenueError."""
        account = (await self._accounts()).get(asset)
        if account is None:
            raise VenueRefused(self._venue, f"no account for {asset}")
        async for row in self._addresses(account):
            if self._names.ours(row.get("network")) == network and isinstance(row.get("address"), str):
                info = row.get("address_info")
                tag = info.get("destination_tag") if isinstance(info, dict) else ""
                return DepositAddress(asset=asset, network=network, address=row["address"], tag=str(tag or ""))
        raise VenueRefused(self._venue, f"no deposit address for {asset} on {network}: make one at the venue")

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
            account = (await self._accounts()).get(intent.asset)
        except VenueError as error:
            return never_sent(error.detail)
        if account is None:
            return never_sent(f"no account for {intent.asset}")
        fields = send_fields(intent, network)
        self._sent.mark(intent)
        reply = await self._desk.transmit(f"accounts/{account['id']}/transactions", fields, intent)
        if isinstance(reply, Refused):
            return reply
        if isinstance(reply, Lost):
            return Unknown(reply.detail)
        verdict = classify_send(reply.status, reply.body, intent, fields["idem"])
        fee = _fee(parse_object(reply.body))
        if isinstance(verdict, Taken) and fee > intent.fee_max:
            limit = fmt(intent.fee_max)
            _log.error("%s: %s cost a fee of %s %s, limit %s", self._venue, intent.transfer, fee, intent.asset, limit)
        return verdict

    # --- history --------------------------------------------------------------------------------------------------------

    async def fetch_transfers(self, since_ns: int) -> tuple[TransferReported, ...]:
        """Return transfers of the assets we trade, from the account histories. Raises: VenueError."""
        traded = await self._desk.traded_assets()
        found = []
        for asset, account in (await self._accounts()).items():
            if asset not in traded:
                continue
            async for row in self._desk.v2_pages(f"accounts/{account['id']}/transactions"):
                if row.get("type") not in TRANSFER_TYPES:
                    continue
                try:
                    one = self._transfer(row)
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    raise VenueUnavailable(self._venue, f"unreadable transfer: {error}") from error
                if one.venue_ts_ns < since_ns:
                    break  # newest first
                found.append(one)
        return tuple(sorted(found, key=lambda one: one.venue_ts_ns))

    def _transfer(self, row: Mapping[str, Any]) -> TransferReported:
        """Coinbase's amount of a withdrawal includes the network's fee; ours does not."""
        amount, asset = parse_decimal(row["amount"]["amount"]), row["amount"]["currency"]
        network = row.get("network") if isinstance(row.get("network"), dict) else {}
        to = row.get("to") if isinstance(row.get("to"), dict) else {}
        told = network.get("transaction_fee")
        fee = parse_decimal(told["amount"]) if isinstance(told, dict) and told.get("currency") == asset else ZERO
        return TransferReported(
            venue=self._venue,
            transfer_id=row["id"],
            asset=asset,
            qty=amount + fee if amount < 0 else amount,
            fee=fee if amount < 0 else ZERO,
            state=TRANSFER_STATES.get(row["status"], MovementState.PENDING),
            venue_ts_ns=timestamp_ns(row["created_at"]),
            network=self._names.ours(network.get("network_name")),
            address=str(to.get("address") or ""),
            tag=str(to.get("destination_tag") or ""),
            tx_id=str(network.get("hash") or ""),
        )

    # --- parts ----------------------------------------------------------------------------------------------------------

    async def _accounts(self) -> dict[Asset, Mapping[str, Any]]:
        """Return our asset -> its wallet. Raises: VenueError."""
        found: dict[Asset, Mapping[str, Any]] = {}
        async for account in self._desk.v2_pages("accounts"):
            currency = account.get("currency")
            code = currency.get("code") if isinstance(currency, dict) else currency
            if isinstance(code, str) and isinstance(account.get("id"), str) and account.get("type") != "vault":
                found.setdefault(Asset(code), account)
        return found

    def _addresses(self, account: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        return self._desk.v2_pages(f"accounts/{account['id']}/addresses")


def send_fields(intent: TransferIntent, network: str) -> dict[str, str]:
    """Return the body of a `send`."""
    tag = {"destination_tag": intent.tag} if intent.tag else {}
    return {
        "type": "send",
        "to": intent.address,
        "amount": fmt(intent.qty),
        "currency": str(intent.asset),
        "network": network,
        "idem": idem_of(intent),
        **tag,
    }


def idem_of(intent: TransferIntent) -> str:
    """Return the venue-side name of a withdrawal: the same for the same intent, in any process."""
    parts = (
        intent.transfer,
        str(intent.requested_ts_ns),
        intent.asset,
        intent.network,
        intent.address,
        intent.tag,
        fmt(intent.qty),
    )
    return str(uuid.uuid5(IDEM_SPACE, "\n".join(parts)))


def classify_send(status: int, body: bytes, intent: TransferIntent, idem: str) -> Verdict:
    """Return what an answer to a `send` means for this one transmission."""
    answer = parse_object(body)
    if answer is None:
        return Unknown(excerpt(status, body))
    if status in (200, 201):
        data = answer.get("data")
        is_ours = isinstance(data, dict) and _is_about(data, intent, idem)
        return Taken(answer["data"]["id"]) if is_ours else Unknown(excerpt(status, body))
    errors = answer.get("errors")
    if not isinstance(errors, list) or not errors or not all(isinstance(error, dict) for error in errors):
        return Unknown(excerpt(status, body))
    words = " ".join(str(error.get("message")) for error in errors).lower()
    is_listed = all(error.get("id") in REFUSAL_IDS.get(status, ()) for error in errors)
    if not is_listed or any(word in words for word in DOUBTFUL_WORDS):
        return Unknown(excerpt(status, body))
    return Refused(excerpt(status, body))


def _is_about(data: Mapping[str, Any], intent: TransferIntent, idem: str) -> bool:
    """Whether a transaction is the one we asked for, as far as the answer says; its amount includes the fee."""
    amount, to = data.get("amount"), data.get("to")
    try:
        debited = -parse_decimal(amount["amount"]) if isinstance(amount, dict) else ZERO
    except (KeyError, TypeError, ValueError):
        return False
    return (
        isinstance(data.get("id"), str)
        and bool(data["id"])
        and data.get("type") == "send"
        and isinstance(amount, dict)
        and amount.get("currency") == intent.asset
        and debited >= intent.qty
        and data.get("idem", idem) == idem
        and (not isinstance(to, dict) or to.get("address", intent.address) == intent.address)
    )


def _fee(answer: Mapping[str, Any] | None) -> Decimal:
    """Return the fee that an answer tells, or zero."""
    try:
        return parse_decimal((answer or {})["data"]["network"]["transaction_fee"]["amount"])
    except (KeyError, TypeError, ValueError):
        return ZERO


def verify_send(request: Request, fields: Mapping[str, str], intent: TransferIntent) -> None:
    """Compare the bytes about to leave with the intent. Raises: InvariantBroken on any difference."""
    sent = parse_object(request.body or b"")
    ensure(
        sent == dict(fields)
        and sent["to"] == intent.address
        and sent["currency"] == intent.asset
        and sent.get("destination_tag", "") == intent.tag
        and reads_as(sent["amount"], intent.qty),
        "the withdrawal on the wire is not the one that was approved",
        transfer=intent.transfer,
    )

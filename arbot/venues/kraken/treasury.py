"""Kraken's money in and out, and its state (https://docs.kraken.com/api-reference/funding/, 2026-11).

Rules of the file:
- Withdrawals go to addresses that are registered in the account under a key. Before each one the venue is asked what the
  key stands for: another address, network or tag, or one that is not verified, and nothing is sent.
- Kraken's `amount` of a withdrawal includes its fee; ours is what arrives. The fee is asked for, and pinned by `max_fee`.
- The ways in and out are "methods". The way out names its network; the way in does not, so it is told by its name: that
  of a way out, else METHODS_IN, else a name of the registry. A way whose network is not known is not reported.
- A key that may not withdraw cannot ask for the ways: then only what is public is told, per asset, under no network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol
from urllib.parse import parse_qsl

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
from arbot.venues.limiter import Lane
from arbot.venues.outcome import Unknown, excerpt, parse_object
from arbot.venues.rest import Answer, Lost, Request
from arbot.venues.timestamps import parse_seconds_ns
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

STATUSES: dict[str, VenueStatus] = {
    "online": VenueStatus.ONLINE,
    "maintenance": VenueStatus.MAINTENANCE,
    "cancel_only": VenueStatus.CANCEL_ONLY,
    "post_only": VenueStatus.POST_ONLY,
    "limit_only": VenueStatus.LIMIT_ONLY,
}
"""The words of SystemStatus and of the websocket's status channel; any other means that the venue is down for us."""

ASSET_WAYS: dict[str, tuple[bool, bool]] = {
    "enabled": (True, True),
    "deposit_only": (True, False),
    "withdrawal_only": (False, True),
    "funding_temporarily_disabled": (False, False),
}
"""Status of an asset -> (deposits, withdrawals); any other means neither."""

METHODS_IN: dict[str, str] = {
    "Ether (Hex)": "Ethereum",
    "Tether USD (ERC20)": "Ethereum",
    "Tether USD (TRC20)": "Tron",
    "USDC": "Ethereum",
}
"""Names of ways in -> Kraken's name of their network (the names are ccxt 4.5.90's table of deposit methods)."""

TRANSFER_STATES: dict[str, MovementState] = {
    "Success": MovementState.DONE,
    "Partial": MovementState.DONE,
    "Failure": MovementState.FAILED,
}
TRANSFER_ENDED_PROPS = frozenset({"canceled", "return", "returned"})

REFUSAL_TEXTS = frozenset(
    {
        "EAPI:Invalid key",
        "EAPI:Invalid nonce",  # we send once and follow no redirect, so no copy can have passed before
        "EAPI:Invalid signature",
        "EAPI:Rate limit exceeded",
        "EFunding:Amount too small",
        "EFunding:Insufficient funds",
        "EFunding:Invalid address",
        "EFunding:Invalid amount",
        "EFunding:Max fee exceeded",
        "EFunding:No funding method",
        "EFunding:Unknown asset",
        "EFunding:Unknown withdraw key",
        "EFunding:Withdrawals disabled",
        "EGeneral:Permission denied",
        "EGeneral:Temporary lockout",
        "EGeneral:Unknown method",
    }
)
REFUSAL_PREFIX = "EGeneral:Invalid arguments"
"""Texts after which there is no withdrawal. All others (EService:..., EGeneral:Internal error, ...) leave it unknown."""

NS_PER_S = 1_000_000_000


class Desk(Protocol):
    """What the gateway lends: its assets by Kraken's names, and signed requests."""

    venue: VenueId

    async def assets(self) -> dict[str, Asset]:
        """Return Kraken's names of assets -> ours. Raises: VenueError."""
        ...

    async def public(self, path: str) -> dict[str, Any]:
        """Ask a public path. Raises: VenueError."""
        ...

    async def ask(self, path: str, fields: Mapping[str, str], lane: Lane) -> Any:
        """Ask a private path. Raises: VenueError."""
        ...

    async def transmit(self, path: str, fields: Mapping[str, str], intent: TransferIntent) -> Answer | Lost | Refused:
        """Send a withdrawal once, or say why it was not sent. Raises: InvariantBroken."""
        ...


class KrakenTreasury:
    """The treasury's end of one Kraken account."""

    def __init__(self, desk: Desk, networks: Mapping[Network, str]) -> None:
        self._desk = desk
        self._venue = desk.venue
        self._names = NetworkNames(networks)
        self._sent = SentOnce()

    # --- the venue's state ----------------------------------------------------------------------------------------------

    async def fetch_status(self) -> VenueStatusReported:
        """Return what SystemStatus says. Raises: VenueError."""
        told = (await self._desk.public("SystemStatus")).get("status")
        if not isinstance(told, str):
            raise VenueUnavailable(self._venue, "unreadable system status")
        return status_report(self._venue, told)

    async def fetch_networks(self, assets: Sequence[Asset]) -> NetworksReported:
        """Return the ways of these assets. A fee is told where a verified key for that way exists. Raises: VenueError."""
        ids = await self._ids(assets)
        facts = await self._desk.public("Assets")
        found: list[NetworkTerms] = []
        try:
            ways_out = _rows(self._venue, await self._desk.ask("WithdrawMethods", {}, Lane.POLL))
            keys = _rows(self._venue, await self._desk.ask("WithdrawAddresses", {}, Lane.POLL))
        except VenueRefused:
            return NetworksReported(venue=self._venue, networks=self._public_terms(ids, facts))
        for asset, asset_id in ids.items():
            is_open = _ways(facts, asset_id)
            out = {str(row.get("method")): row for row in ways_out if row.get("asset") == asset_id}
            ways_in = _rows(self._venue, await self._desk.ask("DepositMethods", {"asset": asset_id}, Lane.POLL))
            own_keys = [row for row in keys if row.get("asset") == asset_id]
            found += await self._terms(asset, asset_id, is_open, out, ways_in, own_keys)
        return NetworksReported(venue=self._venue, networks=tuple(found))

    def _public_terms(self, ids: Mapping[Asset, str], facts: Mapping[str, Any]) -> tuple[NetworkTerms, ...]:
        return tuple(
            NetworkTerms(
                asset=asset,
                network=UNKNOWN_NETWORK,
                can_deposit=_ways(facts, asset_id)[0],
                can_withdraw=_ways(facts, asset_id)[1],
                is_told=False,
            )
            for asset, asset_id in ids.items()
        )

    async def _terms(  # noqa: PLR0917 - one private step over what was fetched
        self,
        asset: Asset,
        asset_id: str,
        is_open: tuple[bool, bool],
        out: Mapping[str, Mapping[str, Any]],
        ways_in: list[Mapping[str, Any]],
        keys: list[Mapping[str, Any]],
    ) -> list[NetworkTerms]:
        deposits = {self._network_in(str(row.get("method")), out): row for row in ways_in}
        withdrawals = {self._network_out(row): row for row in out.values()}
        found = []
        for network in dict.fromkeys((*deposits, *withdrawals)):
            if network == UNKNOWN_NETWORK:
                continue
            way_out, way_in = withdrawals.get(network), deposits.get(network)
            fee = await self._fee(asset_id, way_out, keys) if way_out is not None else None
            try:
                minimums = [parse_decimal(row["minimum"]) for row in (way_in, way_out) if row and row.get("minimum")]
            except ValueError as error:
                raise VenueUnavailable(self._venue, f"unreadable minimum of {asset}: {error}") from error
            terms = NetworkTerms(
                asset=asset,
                network=network,
                can_deposit=is_open[0] and way_in is not None,
                can_withdraw=is_open[1] and way_out is not None,
                fee=fee or ZERO,
                qty_min=max(minimums, default=ZERO),
                is_told=fee is not None,
            )
            found.append(terms)
        return found

    def _network_in(self, method: str, out: Mapping[str, Mapping[str, Any]]) -> Network:
        """Return the network of a way in."""
        if method in out:
            return self._network_out(out[method])
        return self._names.ours(method) or self._names.ours(METHODS_IN.get(method))

    def _network_out(self, row: Mapping[str, Any]) -> Network:
        """Return the network of a way out; the registry may know it by its own name or by that of the way."""
        return self._names.ours(row.get("network")) or self._names.ours(row.get("method"))

    async def _fee(self, asset_id: str, way_out: Mapping[str, Any], keys: list[Mapping[str, Any]]) -> Decimal | None:
        """Return the fee of a way out, or None when no verified key leads there or the venue does not say."""
        method = way_out.get("method")
        key = next((row for row in keys if row.get("method") == method and row.get("verified") is True), None)
        if key is None:
            return None
        try:
            amount = 2 * parse_decimal(way_out.get("minimum") or "1")
            return (await self._quote(asset_id, str(key.get("key")), amount, Lane.POLL))[1]
        except (VenueRefused, ValueError):
            return None

    async def fetch_deposit_address(self, asset: Asset, network: Network) -> DepositAddress:
        """Return the address of the one way in that is on this network. Raises: VenueError."""
        asset_id = (await self._ids((asset,)))[asset]
        out = {
            str(row.get("method")): row
            for row in _rows(self._venue, await self._desk.ask("WithdrawMethods", {"asset": asset_id}, Lane.URGENT))
        }
        ways_in = _rows(self._venue, await self._desk.ask("DepositMethods", {"asset": asset_id}, Lane.URGENT))
        methods = [str(row.get("method")) for row in ways_in]
        methods = [method for method in methods if self._network_in(method, out) == network]
        if len(methods) != 1:
            raise VenueRefused(self._venue, f"{len(methods)} ways in for {asset} on {network}, one is wanted")
        fields = {"asset": asset_id, "method": methods[0]}
        rows = _rows(self._venue, await self._desk.ask("DepositAddresses", fields, Lane.URGENT))
        addresses = [(row.get("address"), row.get("tag") or row.get("memo") or "") for row in rows]
        if not addresses or not isinstance(addresses[0][0], str) or not addresses[0][0]:
            raise VenueRefused(self._venue, f"no deposit address for {asset} on {network}: make one at the venue")
        address, tag = addresses[0]
        return DepositAddress(asset=asset, network=network, address=address, tag=str(tag))

    # --- withdrawals ----------------------------------------------------------------------------------------------------

    async def withdraw(self, approved: ApprovedTransfer) -> tuple[Event, ...]:
        """Check the key, ask the fee, send once. Raises: InvariantBroken before anything has left, never VenueError."""
        intent = approved.intent
        return (transfer_event(intent.transfer, await self._withdraw(intent)),)

    async def _withdraw(self, intent: TransferIntent) -> Verdict:
        repeated = self._sent.refusal(intent)
        if repeated is not None:
            return repeated
        try:
            asset_id = (await self._ids((intent.asset,)))[intent.asset]
            wrong = await self._wrong_key(intent, asset_id)
            if wrong is not None:
                return wrong
            fee = await self._fee_of(intent, asset_id)
        except VenueError as error:
            return never_sent(error.detail)
        if isinstance(fee, Refused):
            return fee
        fields = {
            "asset": asset_id,
            "key": intent.key,
            "address": intent.address,
            "amount": fmt(intent.qty + fee),
            "max_fee": fmt(fee),
        }
        self._sent.mark(intent)
        reply = await self._desk.transmit("Withdraw", fields, intent)
        if isinstance(reply, Refused):
            return reply
        return Unknown(reply.detail) if isinstance(reply, Lost) else classify_withdraw(reply.status, reply.body)

    async def _wrong_key(self, intent: TransferIntent, asset_id: str) -> Refused | None:
        """Return what is wrong with the registered address, or None when it is exactly the one intended."""
        if not intent.key:
            return never_sent("Kraken sends to registered keys only, and the allow-list names none")
        rows = _rows(self._venue, await self._desk.ask("WithdrawAddresses", {"asset": asset_id}, Lane.URGENT))
        named = [row for row in rows if row.get("key") == intent.key and row.get("asset") == asset_id]
        if len(named) != 1:
            return never_sent(f"{len(named)} registered addresses bear the key {intent.key}")
        (row,) = named
        ways = _rows(self._venue, await self._desk.ask("WithdrawMethods", {"asset": asset_id}, Lane.URGENT))
        way = next((way for way in ways if way.get("method") == row.get("method")), {})
        checks = (
            ("address", row.get("address"), intent.address),
            ("network", self._network_out(way), intent.network),
            ("tag", row.get("tag") or row.get("memo") or "", intent.tag),
            ("verified", row.get("verified"), True),
        )
        for name, theirs, wanted in checks:
            if theirs != wanted:
                return never_sent(f"key {intent.key}: its {name} is {theirs!r}, {wanted!r} is wanted")
        return None

    async def _fee_of(self, intent: TransferIntent, asset_id: str) -> Decimal | Refused:
        """Return the fee at which exactly `qty` arrives, or why there is none that may be paid."""
        fee = intent.fee_max
        for _ in range(2):  # the second time with the fee the first answer named
            net, told = await self._quote(asset_id, intent.key, intent.qty + fee, Lane.URGENT)
            if told > intent.fee_max:
                return never_sent(f"fee {fmt(told)} is above the limit of {fmt(intent.fee_max)} {intent.asset}")
            if net == intent.qty:
                return told
            fee = told
        return never_sent(f"fee {fmt(fee)} changes with the amount: {fmt(net)} would arrive, not {fmt(intent.qty)}")

    async def _quote(self, asset_id: str, key: str, amount: Decimal, lane: Lane) -> tuple[Decimal, Decimal]:
        """Return (what would arrive, fee) of an amount that includes the fee. Raises: VenueError."""
        fields = {"asset": asset_id, "key": key, "amount": fmt(amount)}
        told = await self._desk.ask("WithdrawInfo", fields, lane)
        try:
            net, fee = parse_decimal(told["amount"]), parse_decimal(told["fee"])
        except (KeyError, TypeError, ValueError) as error:
            raise VenueUnavailable(self._venue, f"unreadable terms of a withdrawal: {error}") from error
        if fee < 0:
            raise VenueUnavailable(self._venue, f"a withdrawal fee of {fee} is not to be believed")
        return net, fee

    # --- history --------------------------------------------------------------------------------------------------------

    async def fetch_transfers(self, since_ns: int) -> tuple[TransferReported, ...]:
        """Return deposits (+) and withdrawals (-) since then, fee apart. Raises: VenueError."""
        assets = await self._desk.assets()
        start = {"start": str(since_ns // NS_PER_S)}
        found = []
        for path, sign, key in (("DepositStatus", 1, "deposits"), ("WithdrawStatus", -1, "withdrawals")):
            answer = await self._desk.ask(path, start, Lane.POLL)
            rows = answer if isinstance(answer, list) else answer.get(key, answer.get("deposit", []))
            for row in rows:
                try:
                    found.append(self._transfer(row, sign, assets))
                except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
                    raise VenueUnavailable(self._venue, f"unreadable row of {path}: {error}") from error
        return tuple(sorted((one for one in found if one.venue_ts_ns >= since_ns), key=lambda one: one.venue_ts_ns))

    def _transfer(self, row: Mapping[str, Any], sign: int, assets: Mapping[str, Asset]) -> TransferReported:
        has_ended = row.get("status-prop") in TRANSFER_ENDED_PROPS
        method = str(row.get("method"))
        return TransferReported(
            venue=self._venue,
            transfer_id=row["refid"],
            asset=assets.get(row["asset"], row["asset"]),
            qty=sign * parse_decimal(row["amount"]),
            fee=parse_decimal(row.get("fee") or "0"),
            state=MovementState.FAILED if has_ended else TRANSFER_STATES.get(row["status"], MovementState.PENDING),
            venue_ts_ns=parse_seconds_ns(row["time"]),
            network=self._network_out(row) or self._names.ours(METHODS_IN.get(method)),
            address=str(row.get("info") or ""),
            tag=str(row.get("tag") or row.get("memo") or ""),
            tx_id=str(row.get("txid") or ""),
        )

    async def _ids(self, assets: Sequence[Asset]) -> dict[Asset, str]:
        """Return our names -> Kraken's ids. Raises: VenueError."""
        table = await self._desk.assets()
        ids: dict[Asset, str] = {}
        for name, asset in table.items():
            ids.setdefault(asset, name)
        missing = [asset for asset in assets if asset not in ids]
        if missing:
            raise VenueRefused(self._venue, f"the venue lists no {', '.join(missing)}")
        return {asset: ids[asset] for asset in assets}


def status_report(venue: VenueId, word: str) -> VenueStatusReported:
    """Return the event for a word of SystemStatus or of the websocket's status channel."""
    detail = "" if word in STATUSES else f"its own word is {word!r}"
    return VenueStatusReported(venue=venue, status=STATUSES.get(word, VenueStatus.DOWN), detail=detail)


def classify_withdraw(status: int, body: bytes) -> Verdict:
    """Return what an answer to Withdraw means for this one transmission."""
    answer = parse_object(body)
    if status != 200 or answer is None:
        return Unknown(excerpt(status, body))
    errors, result = answer.get("error"), answer.get("result")
    reference = result.get("refid") if isinstance(result, dict) else None
    if not isinstance(errors, list) or not all(isinstance(text, str) for text in errors):
        return Unknown(excerpt(status, body))
    if isinstance(reference, str) and reference and not any(text.startswith("E") for text in errors):
        return Taken(reference)
    is_refusal = len(errors) == 1 and (errors[0] in REFUSAL_TEXTS or errors[0].startswith(REFUSAL_PREFIX))
    return Refused(errors[0]) if is_refusal and not reference else Unknown(excerpt(status, body))


def verify_withdrawal(request: Request, fields: Mapping[str, str], intent: TransferIntent) -> None:
    """Compare the bytes about to leave with the intent. Raises: InvariantBroken on any difference."""
    pairs = parse_qsl((request.body or b"").decode(), keep_blank_values=True, strict_parsing=True)
    sent = dict(pairs)
    ensure(len(sent) == len(pairs), "a field twice in the withdrawal on the wire", transfer=intent.transfer)
    fee = parse_decimal(fields["max_fee"])
    ensure(
        sent.keys() == {*fields, "nonce"}
        and sent["key"] == intent.key
        and sent["address"] == intent.address
        and sent["asset"] == fields["asset"]
        and reads_as(sent["amount"], intent.qty + fee)
        and reads_as(sent["max_fee"], fee)
        and fee <= intent.fee_max,
        "the withdrawal on the wire is not the one that was approved",
        transfer=intent.transfer,
    )


def _rows(venue: VenueId, answer: Any) -> list[Mapping[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise VenueUnavailable(venue, "an answer that is not a list of rows")
    return answer


def _ways(facts: Mapping[str, Any], asset_id: str) -> tuple[bool, bool]:
    row = facts.get(asset_id)
    return ASSET_WAYS.get(str(row.get("status")), (False, False)) if isinstance(row, dict) else (False, False)

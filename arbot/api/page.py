"""Puts a running daemon behind the page, for as long as the run lasts."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import structlog

from arbot.api.app import Adjustment, Closing, Desk, Request, TransferWish
from arbot.api.server import LOOPBACK_NAMES, serve
from arbot.domain.decisions import TransferMoved, TransferRefused
from arbot.domain.events import AdjustmentRecorded, LotOrderRecorded, LotsPicked, TransferRequested, Verb
from arbot.domain.ids import VenueId
from arbot.domain.transfer import Network, TransferId
from arbot.domain.units import parse_decimal
from arbot.observe.collect.risk import LATCHING
from arbot.runtime.daemon import Daemon
from arbot.runtime.lot_orders import mistakes_of
from arbot.runtime.state_dir import DaemonInfo, StateDir, write_private
from arbot.settings.model import Settings

TOKEN_FILE = "operator.token"  # noqa: S105 - the name of the file
_SWITCH = {Verb.KILL: True, Verb.UNKILL: False}
_log = structlog.get_logger("arbot.page")


def page(settings: Settings) -> Callable[[Daemon], AbstractAsyncContextManager[object]]:
    """Return the service that serves the page of a daemon and says in the state folder where it is."""

    @asynccontextmanager
    async def served(daemon: Daemon) -> AsyncIterator[str]:
        token = secrets.token_urlsafe(32)
        token_file = write_private(settings.run.state_dir / TOKEN_FILE, token.encode())
        desk = _desk(daemon, token, LOOPBACK_NAMES | {settings.http.bind})
        try:
            async with serve(desk, bind=settings.http.bind, port=settings.http.port) as url:
                StateDir(settings.run.state_dir).announce(
                    DaemonInfo(pid=os.getpid(), mode=daemon.wiring.mode, url=url, token_file=str(token_file))
                )
                _log.info("page", url=url, token_file=str(token_file))
                yield url
        finally:
            token_file.unlink(missing_ok=True)

    return served


def _check_argument(daemon: Daemon, asked: Request) -> None:
    """Refuse an argument that names nothing of this run. Raises: ValueError."""
    name, venues = asked.argument, daemon.wiring.config.venues
    if asked.verb in (Verb.QUARANTINE, Verb.RELEASE):
        if name not in venues:
            raise ValueError(f"there is no venue {name!r}; there are {', '.join(venues)}")
        held = [venue for venue, known in daemon.engine.state.health.items() if known.held]
        if asked.verb is Verb.RELEASE and name not in held:
            others = f"those held are {', '.join(held)}" if held else "nothing is"
            raise ValueError(f"{name} is not held by hand, {others}; what its own conduct did, only conduct undoes")
    elif name and name not in LATCHING:
        raise ValueError(f"{name!r} is no limit that latches; those are {', '.join(LATCHING)}")


def _choose(daemon: Daemon, chosen: LotOrderRecorded | LotsPicked) -> None:
    """Record a choice of lots that can count. Raises: ValueError for one that cannot."""
    wrong = mistakes_of(chosen, daemon.wiring.store, daemon.reconcilers)
    if wrong:
        raise ValueError("; ".join(f"{one.where}: {one.what}: {one.remedy}" for one in wrong))
    daemon.choose_lots(chosen)


def _desk(daemon: Daemon, token: str, hosts: frozenset[str]) -> Desk:
    def operate(asked: Request) -> None:
        _check_argument(daemon, asked)
        if asked.verb in _SWITCH:  # the switch outlives the process, so it is written before it is obeyed
            daemon.wiring.store.set_killed(_SWITCH[asked.verb], actor=asked.actor, reason=asked.reason)
        daemon.request(asked.verb, asked.actor, asked.reason, asked.argument)

    def adjust(asked: Adjustment) -> None:
        if asked.venue not in daemon.reconcilers:
            raise ValueError(f"there is no venue {asked.venue!r}; there are {', '.join(daemon.reconcilers)}")
        daemon.adjust(
            AdjustmentRecorded(
                venue=VenueId(asked.venue),
                asset=asked.asset,
                qty=parse_decimal(asked.qty),
                reason=asked.reason,
                actor=asked.actor,
            )
        )

    def transfer(asked: TransferWish) -> TransferMoved | TransferRefused:
        for venue in (asked.source, asked.target):
            if venue not in daemon.reconcilers:
                raise ValueError(f"there is no venue {venue!r}; there are {', '.join(daemon.reconcilers)}")
        return daemon.transfer(
            TransferRequested(
                source=VenueId(asked.source),
                target=VenueId(asked.target),
                asset=asked.asset,
                network=Network(asked.network),
                qty=parse_decimal(asked.qty),
                actor=asked.actor,
                reason=asked.reason,
                is_confirmed=asked.is_confirmed,
                request_key=asked.request_key,
            )
        )

    def close(asked: Closing) -> None:
        known = daemon.engine.state.transfers.get(TransferId(asked.transfer))
        if known is None or known.state.is_terminal:
            raise ValueError(f"no transfer named {asked.transfer!r} is under way; look at `arbot transfers list`")
        if known.venue_transfer_id or known.tx_id or known.is_listed:
            raise ValueError(f"{known.source} has it in its history: it began, and only its history ends it")
        daemon.close_transfer(known.id, f"{asked.actor}: {asked.reason}")

    return Desk(
        status=daemon.status,
        risk=daemon.risk,
        metrics=daemon.metrics,
        problems_live=daemon.problems_live,
        problems_ready=daemon.problems_ready,
        operate=operate,
        adjust=adjust,
        transfer=transfer,
        close=close,
        order_lots=lambda asked: _choose(daemon, LotOrderRecorded(**msgspec.structs.asdict(asked))),
        pick_lots=lambda asked: _choose(daemon, LotsPicked(**msgspec.structs.asdict(asked))),
        now_ns=daemon.wiring.clock.now_ns,
        token=token,
        hosts=hosts,
    )

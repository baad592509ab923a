"""Make the two halves of each configured venue, gateway and feed, and plug the feed into a daemon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from random import Random

import structlog

from arbot.domain.errors import Mistake, UserError, VenueError
from arbot.domain.events import FeedConnected, Stream
from arbot.domain.ids import VenueId
from arbot.domain.instrument import Instrument
from arbot.domain.redact import redactor
from arbot.observe import logs
from arbot.ports import Account, Clock, Credentials, VenueConfig
from arbot.runtime.daemon import CountedFeed, Daemon
from arbot.runtime.request_counts import RequestCounts
from arbot.settings.model import Mode, Settings
from arbot.venues import factory
from arbot.venues.codec import FetchFills
from arbot.venues.credentials import load_credentials
from arbot.venues.feed import FeedPorts
from arbot.venues.nonce import FileMark

_log = structlog.get_logger("arbot.venues")


def make_gateways(
    settings: Settings, clock: Clock, environ: Mapping[str, str], requests: RequestCounts, *, with_keys: bool = True
) -> dict[VenueId, Account]:
    """Return a gateway per venue, with its keys unless told otherwise; secrets are blotted out of logs from here on.

    `requests` counts what they send.

    Raises: UserError for keys that are missing, readable by others, or of a wrong shape.
    """
    keys = _keys(settings, environ) if with_keys else {}
    texts = [text.reveal() for pair in keys.values() for text in (pair.key, pair.secret)]
    logs.set_up(
        now_ns=clock.now_ns,
        redact=redactor(texts),
        as_json=settings.run.log_format == "json",
        level=settings.run.log_level,
    )
    return {
        config.venue: factory.make_gateway(
            config,
            keys.get(config.venue),
            clock,
            nonce_mark=FileMark(settings.run.state_dir / f"{config.venue}.nonce") if with_keys else None,
            note=requests.note_of(config.venue),
        )
        for config in settings.venue_configs()
    }


def _keys(settings: Settings, environ: Mapping[str, str]) -> dict[VenueId, Credentials]:
    """Return the key pair of every venue. Raises: UserError with the mistakes of all of them."""
    keys: dict[VenueId, Credentials] = {}
    mistakes: list[Mistake] = []
    for config in settings.venue_configs():
        try:
            keys[config.venue] = load_credentials(config, settings.venues[config.venue].key_file, environ)
        except UserError as error:
            mistakes.extend(error.mistakes)
    if mistakes:
        raise UserError(*mistakes)
    return keys


def make_feed(
    daemon: Daemon, config: VenueConfig, instruments: tuple[Instrument, ...], *, with_trades: bool = False
) -> CountedFeed:
    """Return the venue's feed, its events and books going to the daemon. On paper the account needs no stream."""
    gateway, clock = daemon.wiring.gateways[config.venue], daemon.wiring.clock
    is_paper = daemon.wiring.mode == Mode.PAPER
    if is_paper:
        daemon.sequencer.submit((FeedConnected(venue=config.venue, stream=Stream.ACCOUNT),))
    return factory.make_feed(
        config,
        instruments,
        daemon.wiring.books,
        FeedPorts(
            sink=daemon.sequencer,
            clock=clock,
            chance=Random(clock.now_ns()),  # noqa: S311 - jitter of reconnects, not a secret
            on_account_reconnected=_catch_up(daemon, config.venue),
            fetch_fills=lambda action: _fetch_fills(daemon, config.venue, action),
            beat=partial(_beat, daemon, config.venue),
        ),
        None if is_paper else gateway,
        with_trades=with_trades,
    )


def _beat(daemon: Daemon, venue: VenueId, stream: Stream, quiet_s: float) -> None:
    daemon.supervisor.beat(f"feed:{venue}:{stream}", quiet_s)


def _catch_up(daemon: Daemon, venue: VenueId) -> Callable[[], Awaitable[None]]:
    async def catch_up() -> None:
        await daemon.catch_up(venue)

    return catch_up


def _fetch_fills(daemon: Daemon, venue: VenueId, action: FetchFills) -> None:
    async def ask() -> None:
        try:
            await daemon.reconcilers[venue].query_order(action.client_order_id)
        except VenueError as error:  # the poller asks again
            _log.warning("fills not fetched", venue=venue, error=error.detail)

    daemon.supervisor.spawn(ask(), f"fills:{action.client_order_id}")

"""What the feeds of all venues have in common: a market session, an account session, and what they are plugged into."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random

from arbot.domain.events import Stream
from arbot.domain.ids import InstrumentId, VenueId
from arbot.ports import Clock, EventSink, VenueConfig
from arbot.venues.codec import FetchFills, StreamStats
from arbot.venues.session import Dialect, Session, Tee, Wiring, policy_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPorts:
    """What a feed is plugged into.

    `on_account_reconnected` is awaited each time the account stream is subscribed, before FeedConnected is told: it asks
    REST for what was missed; VenueError makes the stream try again. `fetch_fills` must start its work and return.
    `tee` sees every raw frame. `chance` jitters the back-off. `beat` is told that a stream's own loop lives.
    """

    sink: EventSink
    clock: Clock
    chance: Random
    on_account_reconnected: Callable[[], Awaitable[None]]
    fetch_fills: Callable[[FetchFills], None]
    tee: Tee | None = None
    beat: Callable[[Stream, float], None] = lambda _stream, _quiet_s: None


class VenueFeed:
    """One venue's streams. Implements ports.Feed."""

    def __init__(self, config: VenueConfig, ports: FeedPorts) -> None:
        """Start without streams; `_add` brings them."""
        self.venue: VenueId = config.venue
        self._config = config
        self._ports = ports
        self._sessions: dict[Stream, Session] = {}

    @property
    def stats(self) -> Mapping[Stream, StreamStats]:
        """Return the live counters of each stream."""
        return {stream: session.wiring.stats for stream, session in self._sessions.items()}

    async def run(self) -> None:
        """Keep all streams connected for ever; ends only by cancellation, or by a bug behind the sink."""
        async with asyncio.TaskGroup() as tasks:
            for session in self._sessions.values():
                tasks.create_task(session.run())

    def resync(self, instrument: str) -> None:
        """Ask for one book anew without dropping the others."""
        self._sessions[Stream.MARKET].resync(InstrumentId(instrument))

    def _add(self, stream: Stream, url: str, dialect: Dialect, stats: StreamStats) -> None:
        """Describe one more stream of this venue."""
        ports, is_account = self._ports, stream is Stream.ACCOUNT
        self._sessions[stream] = Session(
            Wiring(
                venue=self.venue,
                stream=stream,
                url=url,
                dialect=dialect,
                sink=ports.sink,
                clock=ports.clock,
                chance=ports.chance,
                stats=stats,
                policy=policy_of(self._config),
                on_connected=ports.on_account_reconnected if is_account else None,
                fetch_fills=ports.fetch_fills if is_account else None,
                tee=ports.tee,
                beat=partial(ports.beat, stream),
            )
        )

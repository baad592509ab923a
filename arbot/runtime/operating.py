"""What a person asks of a running daemon, whichever way it came: the page, or a chat. One function, so that both are alike."""

from __future__ import annotations

from arbot.domain.errors import ArbotError
from arbot.domain.events import Verb
from arbot.observe.collect.risk import LATCHING
from arbot.runtime.daemon import Daemon

_SWITCH = {Verb.KILL: True, Verb.UNKILL: False}


class KillUnwritten(ArbotError):
    """Trading has stopped, but nothing will remember that after a restart."""


def operate(daemon: Daemon, verb: Verb, actor: str, reason: str = "", argument: str = "") -> None:
    """Carry out what a person wants; it is durable when this returns.

    Raises: ValueError with a text for the person, KillUnwritten.
    """
    _check_argument(daemon, verb, argument)
    if verb in _SWITCH:  # the switch outlives the process, so it is written before it is obeyed
        try:
            daemon.wiring.store.set_killed(_SWITCH[verb], actor=actor, reason=reason)
        # whatever the store has: who wants trading to stop is not kept waiting for a disk
        except Exception as error:
            if verb is Verb.KILL:
                daemon.stop_at_once(error, "the kill switch")
                raise KillUnwritten(
                    "the switch could not be written. No order leaves any more, all are being cancelled, and arbot ends; "
                    "but NOTHING KEEPS IT FROM TRADING WHEN IT IS STARTED AGAIN: mend the disk, then `arbot kill`"
                ) from error
            raise
    if verb is Verb.KILL and daemon.sequencer.is_broken:
        return  # it is written, no order leaves, and the run is ending: there is nobody left to tell
    daemon.request(verb, actor, reason, argument)


def _check_argument(daemon: Daemon, verb: Verb, name: str) -> None:
    """Refuse an argument that names nothing of this run. Raises: ValueError."""
    venues = daemon.wiring.config.venues
    if verb in (Verb.QUARANTINE, Verb.RELEASE):
        if name not in venues:
            raise ValueError(f"there is no venue {name!r}; there are {', '.join(venues)}")
        held = [venue for venue, known in daemon.engine.state.health.items() if known.held]
        if verb is Verb.RELEASE and name not in held:
            others = f"those held are {', '.join(held)}" if held else "nothing is"
            raise ValueError(f"{name} is not held by hand, {others}; what its own conduct did, only conduct undoes")
    elif name and name not in LATCHING:
        raise ValueError(f"{name!r} is no limit that latches; those are {', '.join(LATCHING)}")

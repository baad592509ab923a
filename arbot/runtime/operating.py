"""What a person asks of a running daemon, whichever way it came: the page, or a chat. One function, so that both are alike."""

from __future__ import annotations

from arbot.domain.events import Verb
from arbot.observe.collect.risk import LATCHING
from arbot.runtime.daemon import Daemon

_SWITCH = {Verb.KILL: True, Verb.UNKILL: False}


def operate(daemon: Daemon, verb: Verb, actor: str, reason: str = "", argument: str = "") -> None:
    """Carry out what a person wants; it is durable when this returns. Raises: ValueError with a text for the person."""
    _check_argument(daemon, verb, argument)
    if verb in _SWITCH:  # the switch outlives the process, so it is written before it is obeyed
        daemon.wiring.store.set_killed(_SWITCH[verb], actor=actor, reason=reason)
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

"""What can come back from a daemon instead of an answer."""

from __future__ import annotations

from arbot.domain.errors import ArbotError


class NotRunning(ArbotError):
    """No daemon runs in that state folder."""


class NotAnswering(NotRunning):
    """A daemon runs there, and nothing can be asked of it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


def silent(pid: int, url: str, why: object) -> NotAnswering:
    """Return what to say of a daemon that gives no answer."""
    remedy = "look at its log; `arbot kill --reason TEXT` works all the same, and a restart settles what is open"
    return NotAnswering(f"the daemon (process {pid}) does not answer at {url}: {why}", remedy)


def pageless(state_dir: object) -> NotAnswering:
    """Return what to say of a daemon without a page."""
    remedy = "set it to true and start it again; `arbot kill --reason TEXT` works without"
    return NotAnswering(f"the daemon in {state_dir} cannot be asked: [http] enabled is false", remedy)


class DaemonRefused(ArbotError):
    """The daemon answered, and the answer is no."""

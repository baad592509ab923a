"""What a venue's answer to a withdrawal means, what its networks are called here, and the promise to send once.

Rules: a withdrawal is taken only by a parsed success that names it, refused only by a parsed, allow-listed refusal or by
us before anything has left; all else is unknown, and it is never sent a second time, whoever asks.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from arbot.domain.events import Event, TransferAccepted, TransferOutcomeUnknown, TransferRejected
from arbot.domain.transfer import Network, TransferId, TransferIntent
from arbot.venues.outcome import DETAIL_MAX, Unknown

UNKNOWN_NETWORK = Network("")  # a venue's name of a network that the registry does not list


class Taken(msgspec.Struct, frozen=True):
    """The venue named the withdrawal."""

    venue_transfer_id: str


class Refused(msgspec.Struct, frozen=True):
    """The venue, or we before sending, said that there is no such withdrawal."""

    detail: str


Verdict = Taken | Refused | Unknown


def never_sent(why: str) -> Refused:
    """Return our own refusal, before anything has left."""
    return Refused(f"never sent: {why}")


def transfer_event(transfer: TransferId, verdict: Verdict) -> Event:
    """Return the event that tells the engine about a verdict on a withdrawal."""
    match verdict:
        case Taken(venue_transfer_id):
            return TransferAccepted(transfer=transfer, venue_transfer_id=venue_transfer_id)
        case Refused(detail):
            return TransferRejected(transfer=transfer, detail=detail[:DETAIL_MAX])
        case Unknown(detail):
            return TransferOutcomeUnknown(transfer=transfer, detail=detail[:DETAIL_MAX])


class SentOnce:
    """The withdrawals this process has let leave. A second call for one of them is answered, not carried out."""

    def __init__(self) -> None:
        self._sent: set[TransferId] = set()

    def mark(self, intent: TransferIntent) -> None:
        """Say that the request leaves now."""
        self._sent.add(intent.transfer)

    def refusal(self, intent: TransferIntent) -> Unknown | None:
        """Return the answer to a repetition, or None for a new one."""
        return Unknown("it has been sent before and is not sent again") if intent.transfer in self._sent else None


class NetworkNames:
    """A venue's names of networks and ours. Case does not count; what is not listed is UNKNOWN_NETWORK."""

    def __init__(self, theirs: Mapping[Network, str]) -> None:
        self._theirs = dict(theirs)
        self._ours = {name.casefold(): network for network, name in theirs.items()}

    def ours(self, name: object) -> Network:
        """Return our word for a venue's name of a network."""
        return self._ours.get(name.casefold(), UNKNOWN_NETWORK) if isinstance(name, str) else UNKNOWN_NETWORK

    def theirs(self, network: Network) -> str:
        """Return the venue's name, or an empty text when the registry does not say it."""
        return self._theirs.get(network, "")

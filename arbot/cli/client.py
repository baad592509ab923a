"""Speaks to the running daemon over its loopback page. Standard library only, so that `arbot kill` is quick."""

from __future__ import annotations

import getpass
import http.client
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from arbot.cli.errors import DaemonRefused, NotRunning, pageless, silent
from arbot.runtime.state_dir import DaemonInfo, read_daemon

TIMEOUT_S = 10


class Client:
    """One running daemon."""

    def __init__(self, info: DaemonInfo) -> None:
        self.info = info

    @classmethod
    def find(cls, state_dir: Path) -> Client:
        """Return the client of the daemon that runs in a state folder. Raises: NotRunning."""
        info = read_daemon(state_dir)
        if info is None:
            raise NotRunning(str(state_dir))
        if not info.url:
            raise pageless(state_dir)
        return cls(info)

    def status(self) -> bytes:
        """Return the status as JSON. Raises: NotRunning, DaemonRefused."""
        return self._ask("GET", "/status", None)

    def risk(self) -> bytes:
        """Return what the risk engine counts, as JSON. Raises: NotRunning, DaemonRefused."""
        return self._ask("GET", "/risk", None)

    def operate(self, verb: str, *, reason: str = "", argument: str = "") -> None:
        """Have something done; it is durable when this returns. Raises: NotRunning, DaemonRefused."""
        self._ask("POST", "/operator", {"verb": verb, "actor": user(), "reason": reason, "argument": argument})

    def adjust(self, *, venue: str, asset: str, qty: str, reason: str) -> None:
        """Book a difference a person explained. Raises: NotRunning, DaemonRefused."""
        body = {"venue": venue, "asset": asset, "qty": qty, "reason": reason, "actor": user()}
        self._ask("POST", "/adjust", body)

    def request_transfer(
        self,
        *,
        source: str,
        target: str,
        asset: str,
        network: str,
        qty: str,
        request_key: str,
        is_confirmed: bool = False,
        reason: str = "",
    ) -> dict[str, Any]:
        """Ask for money to be moved and return what came of it: with "reason" and its numbers when it was refused, else begun.

        Raises: NotRunning, DaemonRefused.
        """
        body: dict[str, Any] = {"source": source, "target": target, "asset": asset, "network": network, "qty": qty}
        body |= {"request_key": request_key, "is_confirmed": is_confirmed, "reason": reason, "actor": user()}
        answer: dict[str, Any] = json.loads(self._ask("POST", "/transfer", body), parse_float=Decimal)["answer"]
        return answer

    def close_transfer(self, transfer: str, reason: str) -> None:
        """Say that a transfer never began. Raises: NotRunning, DaemonRefused."""
        self._ask("POST", "/transfer/close", {"transfer": transfer, "reason": reason, "actor": user()})

    def order_lots(self, *, method: str, venue: str, asset: str, is_told_to_broker: bool) -> None:
        """Put a standing order for lots into the books. Raises: NotRunning, DaemonRefused."""
        body = {"method": method, "venue": venue, "asset": asset, "is_told_to_broker": is_told_to_broker}
        self._ask("POST", "/tax/order", body | {"actor": user()})

    def pick_lots(self, *, disposal: str, lots: list[dict[str, str]], is_told_to_broker: bool) -> None:
        """Name the lots of one disposal that is yet to come. Raises: NotRunning, DaemonRefused."""
        body = {"disposal": disposal, "lots": lots, "is_told_to_broker": is_told_to_broker, "actor": user()}
        self._ask("POST", "/tax/pick", body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> bytes:
        parts = urlsplit(self.info.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"} if body else {}
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            answer = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise silent(self.info.pid, self.info.url, error) from error
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise DaemonRefused(_told(answer))
        return answer

    def _token(self) -> str:
        try:
            return Path(self.info.token_file).read_text(encoding="ascii").strip()
        except OSError as error:
            raise DaemonRefused(f"{self.info.token_file} cannot be read: {error.strerror}") from error


def _told(answer: bytes) -> str:
    """Return the daemon's words of refusal."""
    try:
        return str(json.loads(answer)["error"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")[:500]


def user() -> str:
    """Return who is asking, for the journal."""
    return getpass.getuser()

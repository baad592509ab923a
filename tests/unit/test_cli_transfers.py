"""`arbot transfers` reads the store beside the daemon, and asks a person before it asks the daemon."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbot.cli import client
from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from arbot.ports import Record
from tests.support.stores import a_run
from tests.support.transfer_world import TransferWorld

LINES = (
    "ask 1 BTC kraken coinbase bitcoin",
    "sent",
    "accepted W1",
    "kraken withdrawal W1 1 fee 0.001 done tx X",
    "wait 30min",
    "coinbase deposit D1 0.9995 done tx X",
    "kraken network bitcoin fee 0.001 min 0.01",
    "ask 2 BTC kraken coinbase bitcoin",
    "sent",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder whose demo has had one transfer and has one under way."""
    world = TransferWorld()
    for line in LINES:
        world.line(line)
    (tmp_path / "state" / "demo").mkdir(parents=True)
    store = a_run(f"sqlite:///{tmp_path}/state/demo/arbot.sqlite")
    store.commit([Record(envelope=envelope, outcome=outcome) for envelope, outcome in world.log])
    store.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARBOT_CONFIG", raising=False)
    return tmp_path


def test_list_shows_what_is_under_way(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Print one under way, and with --all the one that has ended too."""
    assert folder
    assert ExitCode.OK == run(["transfers", "list", "--json"])
    under_way = json.loads(capsys.readouterr().out)
    assert ExitCode.OK == run(["transfers", "list", "--all", "--json"])
    every = json.loads(capsys.readouterr().out)

    assert [("1-t2", "requested")] == [(row["transfer"], row["state"]) for row in under_way]
    assert [("1-t1", "credited", 30), ("1-t2", "requested")] == [
        (every[0]["transfer"], every[0]["state"], every[0]["minutes"]),
        (every[1]["transfer"], every[1]["state"]),
    ]


def test_show_prints_a_life_and_its_route(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Print every step, both ids, what was lost, and what the route usually takes."""
    assert folder
    assert ExitCode.OK == run(["transfers", "show", "1-t1", "--json"])
    shown = json.loads(capsys.readouterr().out, parse_float=Decimal)
    assert ExitCode.OK == run(["transfers", "show", "1-t1"])
    words = capsys.readouterr().out

    assert ["requested", "requested", "accepted", "confirmed", "credited"] == [step["after"] for step in shown["life"]]
    assert ("W1", "X", Decimal("0.0005"), 0) == (
        shown["venue_transfer_id"],
        shown["tx_id"],
        shown["qty_lost"],
        shown["minutes_overdue"],
    )
    assert "half of this route take less than" in words
    assert ExitCode.USAGE == run(["transfers", "show", "1-t9"])


def test_a_large_one_is_asked_about_twice(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Send the same key with a second yes, and nothing at all after a no."""
    assert folder
    asked: list[dict[str, Any]] = []
    yes = iter([True, True, True, False, False])

    class FakeClient:
        """A daemon that wants a second yes."""

        @classmethod
        def find(cls, _state_dir: Path) -> FakeClient:
            return cls()

        def request_transfer(self, **wish: Any) -> dict[str, Any]:
            asked.append(wish)
            if wish.get("is_confirmed"):
                return {"type": "TransferMoved", "transfer": "1-t3"}
            return {"type": "TransferRefused", "reason": "confirmation_needed", "value": 2000, "limit": 1000}

    monkeypatch.setattr(client, "Client", FakeClient)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: next(yes))
    command = ["transfers", "request", "kraken", "coinbase", "BTC", "1", "--network", "bitcoin"]

    assert [ExitCode.OK, ExitCode.REFUSED, ExitCode.REFUSED] == [run(command) for _ in range(3)]
    assert [None, True, None] == [wish.get("is_confirmed") for wish in asked]
    assert asked[0]["request_key"] == asked[1]["request_key"] != asked[2]["request_key"]
    assert "begun as 1-t3" in capsys.readouterr().out

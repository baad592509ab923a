"""`arbot rebalance plan`: what it reads, prints and asks, and that nothing goes to the daemon without a yes."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from arbot.cli import rebalance
from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from arbot.treasury.problem import Situation
from tests.support.rebalance_world import holdings, policy, route, situation

EXAMPLE = Path(__file__).parents[2] / "docs" / "guide" / "rebalance-example.toml"


class FakeClient:
    """A daemon that answers transfer requests in turn."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def request_transfer(self, **wish: Any) -> dict[str, Any]:
        """Note the wish and give the next answer."""
        self.asked.append(wish)
        return self.answers.pop(0)


BEGUN = {"transfer": "7-t1"}
NEEDS_YES = {"reason": "confirmation_needed", "value": Decimal(35_000), "limit": Decimal(1_000)}
REFUSED = {"reason": "network_fee", "value": Decimal("0.9"), "limit": Decimal("0.3")}


def execute(monkeypatch: pytest.MonkeyPatch, client: FakeClient, replies: str, given: Situation | None = None) -> int:
    """Run `plan --execute` against a fake daemon with these replies on stdin and return the exit code."""
    monkeypatch.setattr(rebalance, "_client", lambda *_, **__: client)
    monkeypatch.setattr(rebalance, "_gathered", lambda *_: given or situation())
    monkeypatch.setattr("sys.stdin", io.StringIO(replies))
    return run(["rebalance", "plan", "--execute"])


def test_a_file_is_planned_without_daemon_or_store(capsys: pytest.CaptureFixture[str]) -> None:
    """Print the plan of a situation file, and as JSON every number of it."""
    assert ExitCode.OK == run(["rebalance", "plan", "--from", str(EXAMPLE), "--json"])
    made = json.loads(capsys.readouterr().out, parse_float=Decimal)

    assert {"transfer", "wait"} == {part["method"] for part in made["parts"]}
    assert made["cost"]["fee"] > 0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.toml", 'ccy = "USD"\nholdings = []\nholding = 1', "unknown field `holding`"),
        ("a.toml", "ccy =", "not valid TOML"),
        ("a.json", "{", "not valid JSON"),
        ("a.yaml", "", "neither .toml nor .json"),
        ("a.json", '{"ccy": "USD", "holdings": [{"venue": "x", "asset": "BTC", "qty": "much"}]}', "$.holdings[0].qty"),
    ],
)
def test_a_wrong_file_is_told(
    tmp_path: Path, name: str, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Say what is wrong with a situation file, and exit as for any mistake."""
    path = tmp_path / name
    path.write_text(text)

    assert ExitCode.USAGE == run(["rebalance", "plan", "--from", str(path)])
    assert said in capsys.readouterr().err


def test_targets_that_cannot_be_read_are_told_together(capsys: pytest.CaptureFixture[str]) -> None:
    """List every --target that is not VENUE:ASSET=QTY."""
    code = run(["rebalance", "plan", "--from", str(EXAMPLE), "--target", "kraken", "--target", "kraken:BTC=many"])

    assert ExitCode.USAGE == code
    assert "2 mistakes" in capsys.readouterr().err


def test_a_plan_from_a_file_is_not_carried_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Refuse --execute for a situation that is about no account."""
    assert ExitCode.USAGE == run(["rebalance", "plan", "--from", str(EXAMPLE), "--execute"])
    assert "about no account" in capsys.readouterr().err


def test_execute_needs_a_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit with NOT_RUNNING where no daemon runs."""
    monkeypatch.chdir(tmp_path)

    assert ExitCode.NOT_RUNNING == run(["rebalance", "plan", "--execute"])


def test_nothing_is_handed_over_without_a_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask, and take an empty line for a no."""
    client = FakeClient()

    assert ExitCode.OK == execute(monkeypatch, client, "\n")
    assert [] == client.asked


def test_a_large_transfer_takes_two_yeses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Confirm to the daemon only after the second yes, under the same key."""
    client = FakeClient(NEEDS_YES, BEGUN)
    code = execute(monkeypatch, client, "y\ny\n")

    assert ExitCode.OK == code
    assert [False, True] == [wish["is_confirmed"] for wish in client.asked]
    assert client.asked[0]["request_key"] == client.asked[1]["request_key"]
    assert ("kraken", "coinbase", "BTC", "lightning") == tuple(
        client.asked[0][name] for name in ("source", "target", "asset", "network")
    )


def test_a_second_no_leaves_a_large_transfer_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send no confirmation when the second answer is no."""
    client = FakeClient(NEEDS_YES)

    assert ExitCode.OK == execute(monkeypatch, client, "y\nn\n")
    assert [False] == [wish["is_confirmed"] for wish in client.asked]


def test_a_refusal_of_the_daemon_stands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Tell the daemon's reason with its numbers and exit with REFUSED."""
    assert ExitCode.REFUSED == execute(monkeypatch, FakeClient(REFUSED), "y\n")
    assert "refused, the network takes 0.9, and more than 0.3 is not usual (network_fee)" in capsys.readouterr().err


def test_trades_are_told_and_what_waits_for_them_is_not_handed_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Print trades as instructions, and hold back a withdrawal that their proceeds must fund."""
    given = situation(
        holdings=holdings(btc=("0", "1"), usd=("200000", "10000")),
        routes=(route("lightning"),),
        policy=policy(missed_bps_per_h=Decimal(60)),
    )
    client = FakeClient()

    assert ExitCode.OK == execute(monkeypatch, client, "y\ny\n", given)
    told = capsys.readouterr().err
    assert "by hand: 1  sell 0.625 BTC" in told
    assert "not handed over: trades of the plan have to bring the money first" in told
    assert [] == client.asked

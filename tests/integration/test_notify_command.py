"""`arbot notify test` and `arbot config check` as a person types them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from tests.support.chat_server import CHAT, TOKEN, Chats, chatting, write_secret
from tests.support.daemon_world import as_toml

TABLES = {
    "run": {"name": "desk", "mode": "demo", "symbols": ["BTC/USD"]},
    "venues.kraken": {"adapter": "kraken"},
    "venues.coinbase": {"adapter": "coinbase"},
    "paper.venues.kraken": {"balances": {"USD": "1"}},
    "paper.venues.coinbase": {"balances": {"USD": "1"}},
}


@pytest.fixture
async def chats() -> AsyncIterator[Chats]:
    async with chatting() as served:
        yield served


def config(tmp_path: Path, chats: Chats) -> str:
    """Write a config with a webhook and a bot, and return its path."""
    table = {
        "webhook_url_file": write_secret(tmp_path / "url", f"{chats.url}/hook/a-long-secret"),
        "telegram_token_file": write_secret(tmp_path / "token", TOKEN),
        "telegram_chat_id": CHAT,
        "telegram_api_url": chats.url,
    }
    path = tmp_path / "arbot.toml"
    path.write_text(as_toml({**TABLES, "notify": table}))
    return str(path)


async def test_every_channel_is_tried(tmp_path: Path, chats: Chats, capsys: pytest.CaptureFixture[str]) -> None:
    """Send one message through each, say what came back, and fail when one did."""
    path = config(tmp_path, chats)
    code = await asyncio.to_thread(run, ["notify", "test", "-c", path, "--json"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert ExitCode.OK == code
    assert [("webhook", "sent", "204"), ("telegram", "sent", "ok")] == [
        (one["channel"], one["outcome"], one["answer"]) for one in lines
    ]
    assert "test" == chats.documents()[0]["kind"]

    chats.faults["sendMessage"].append("403:Forbidden")
    code = await asyncio.to_thread(run, ["notify", "test", "-c", path, "--channel", "telegram"])
    told = capsys.readouterr()
    assert ExitCode.FAILURE == code
    assert ("telegram", "failed", "status", "403:", "Forbidden") == tuple(told.out.split())
    assert "a-long-secret" not in told.out + told.err
    assert TOKEN not in told.out + told.err


async def test_a_channel_that_is_not_there_is_a_mistake(
    tmp_path: Path, chats: Chats, capsys: pytest.CaptureFixture[str]
) -> None:
    """Name the channels there are."""
    code = await asyncio.to_thread(run, ["notify", "test", "-c", config(tmp_path, chats), "--channel", "pigeon"])

    assert ExitCode.USAGE == code
    assert "those configured are webhook, telegram" in capsys.readouterr().err


async def test_check_reads_the_files_and_kill_does_not(
    tmp_path: Path, chats: Chats, capsys: pytest.CaptureFixture[str]
) -> None:
    """Find an open token file when checking; throw the kill switch all the same."""
    path = config(tmp_path, chats)
    assert ExitCode.OK == await asyncio.to_thread(run, ["config", "check", "-c", path])
    (tmp_path / "token").chmod(0o640)
    (tmp_path / "url").write_text("nothing")
    assert ExitCode.USAGE == await asyncio.to_thread(run, ["config", "check", "-c", path])
    told = capsys.readouterr().err

    assert told.startswith("2 mistakes:")
    assert "mode 0640 lets others in" in told
    assert ExitCode.NOT_RUNNING == await asyncio.to_thread(run, ["status", "-c", path])

"""[notify]: every mistake in the table and in the files it names is found at once, and by `config check` only where it matters."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from arbot.domain.errors import UserError
from arbot.notify.message import MONEY_CRITICAL
from arbot.runtime.notify_secrets import CHECKED, read_secrets
from arbot.settings.defaults import DEMO, demo
from arbot.settings.load import load, merged, parse
from arbot.settings.rules import RULES, Rule
from tests.support.chat_server import CHAT, TOKEN, USER, write_secret


def mistakes(tmp_path: Path, rules: tuple[Rule, ...] = RULES, **keys: Any) -> list[str]:
    """Return "key: what" of everything that is wrong with a table."""
    try:
        parse(merged(DEMO, {"notify": keys}), base=tmp_path, source="", rules=rules)
    except UserError as error:
        return [f"{one.where.strip().removeprefix('notify.')}: {one.what}" for one in error.mistakes]
    return []


def test_nobody_is_told_without_a_table(tmp_path: Path) -> None:
    """Have no channel, no verb, and everything that is critical for the day somebody adds one."""
    table = demo(tmp_path).notify

    assert [] == read_secrets(table).texts()
    assert (False, "", tuple(MONEY_CRITICAL)) == (table.telegram_verbs, table.daily_summary_at, table.events)


def test_verbs_need_a_bot_and_both_lists(tmp_path: Path) -> None:
    """Refuse verbs that anybody could send."""
    assert ["telegram_token_file", "telegram_verb_chats", "telegram_verb_users"] == sorted(
        one.partition(":")[0] for one in mistakes(tmp_path, telegram_verbs=True)
    )
    token = str(tmp_path / "token")
    bot = {"telegram_token_file": token, "telegram_chat_id": CHAT, "telegram_verbs": True}
    assert ["telegram_verb_users"] == [
        one.partition(":")[0] for one in mistakes(tmp_path, telegram_verb_chats=[CHAT], **bot)
    ]
    assert [] == mistakes(tmp_path, telegram_verb_chats=[CHAT], telegram_verb_users=[USER], **bot)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"events": ["kill", "fire"]}, "'fire' is not one of the choices"),
        ({"events": ["summary"]}, "'summary' is not one of the choices"),
        ({"telegram_chat_id": 5}, "telegram_token_file: there is no bot"),
        ({"telegram_token_file": "token"}, "telegram_chat_id: the bot does not know whom to write to"),
        ({"webhook_secret_file": "key"}, "webhook_secret_file: there is no webhook to sign for"),
        ({"telegram_api_url": "http://example.org"}, "neither https nor on loopback"),
        ({"telegram_api_url": "ftp://127.0.0.1"}, "neither https nor on loopback"),
        ({"telegram_api_url": "https://"}, "neither https nor on loopback"),
        ({"daily_summary_at": "24:00"}, "'24:00' is not a time of day"),
        ({"daily_summary_at": "6:00"}, "'6:00' is not a time of day"),
        ({"per_minute_max": 0}, "0 is too small"),
        ({"queue_max": 0}, "0 is too small"),
        ({"dedupe_s": -1}, "-1 is too small"),
    ],
)
def test_a_wrong_key_is_told(tmp_path: Path, keys: dict[str, Any], told: str) -> None:
    """Say what is wrong with each."""
    assert [True] == [told in one for one in mistakes(tmp_path, **keys)]


def test_everything_wrong_with_the_files_is_told_at_once(tmp_path: Path) -> None:
    """Find a missing file, an open one, a wrong token and a missing list together, with their lines; commands ask less."""
    config = tmp_path / "arbot.toml"
    text = "\n".join(
        (
            "[run]",
            'name = "demo"',
            'mode = "demo"',
            'symbols = ["BTC/USD"]',
            "[venues]",
            'kraken = { adapter = "kraken" }',
            'coinbase = { adapter = "coinbase" }',
            "[paper.venues]",
            'kraken = { balances = { USD = "1" } }',
            'coinbase = { balances = { USD = "1" } }',
            "[notify]",
            f'webhook_url_file = "{write_secret(tmp_path / "url", "http://example.org/secret-part")}"',
            f'webhook_secret_file = "{write_secret(tmp_path / "key", "long-enough-to-sign-with", 0o644)}"',
            f'telegram_token_file = "{write_secret(tmp_path / "token", "not-a-token-but-secret")}"',
            "telegram_chat_id = 5",
            'apprise_urls_file = "missing"',
        )
    )
    config.write_text(text)
    assert 5 == load(config).notify.telegram_chat_id
    with pytest.raises(UserError) as raised:
        load(config, rules=CHECKED)
    told = {one.where.partition("notify.")[2]: f"{one.where} {one.what}" for one in raised.value.mistakes}

    assert {"webhook_url_file", "webhook_secret_file", "telegram_token_file", "apprise_urls_file"} == set(told)
    assert ":12 notify.webhook_url_file" in told["webhook_url_file"]
    assert "one https address" in told["webhook_url_file"]
    assert "mode 0644 lets others in" in told["webhook_secret_file"]
    assert "the token of a bot" in told["telegram_token_file"]
    assert "No such file" in told["apprise_urls_file"]
    shown = str(raised.value)
    assert "secret-part" not in shown
    assert "not-a-token" not in shown


def test_apprise_is_asked_for_only_where_it_is_configured(tmp_path: Path) -> None:
    """Name the extra when the library is missing, and the number of an address that it does not know when it is there."""
    urls = write_secret(tmp_path / "urls", "# mine\nnot an address\n")
    told = mistakes(tmp_path, CHECKED, apprise_urls_file=urls)
    if importlib.util.find_spec("apprise") is None:
        assert [True] == ["apprise is not installed" in one for one in told]
    else:
        assert [True] == ["address 1 is none that apprise knows" in one for one in told]


def test_what_is_hidden_holds_every_piece_of_an_address(tmp_path: Path) -> None:
    """Hide addresses whole and their long pieces, and leave names of hosts readable."""
    url = "https://hooks.example.org/services/T0000AAAA1111/secret0path0piece?key=query0secret0piece"
    table = demo(tmp_path, {"notify": {"webhook_url_file": write_secret(tmp_path / "url", f"{url}\n")}}).notify
    texts = read_secrets(table).texts()

    assert {url, "T0000AAAA1111", "secret0path0piece", "query0secret0piece"} == set(texts)
    assert "secret0path0piece" not in repr(read_secrets(table))


def test_a_good_table_is_taken(tmp_path: Path) -> None:
    """Read token and address without the blanks around them."""
    table = demo(
        tmp_path,
        {
            "notify": {
                "telegram_token_file": write_secret(tmp_path / "token", f" {TOKEN}\n"),
                "telegram_chat_id": CHAT,
                "webhook_url_file": write_secret(tmp_path / "url", "http://127.0.0.1:9/x"),
            }
        },
    ).notify
    secrets = read_secrets(table)

    assert (TOKEN, "http://127.0.0.1:9/x") == (secrets.telegram_token.reveal(), secrets.webhook_url.reveal())

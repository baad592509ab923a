"""What a person can get wrong about watching arbot and leaving it alone: told with place and remedy, and nothing changes.

Each row is a desk with one thing wrong, the command that is given, its exit code, and the words that have to come. The files
of the desk are the same bytes afterwards, and no secret is in what was said.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from arbot.cli import operate
from arbot.cli.errors import DaemonRefused, NotRunning, silent
from arbot.cli.exit_codes import ExitCode
from arbot.cli.main import run
from arbot.journal.database import StoreFailed
from tests.support.bad_input import Told
from tests.support.daemon_world import ARBOT, COMMAND_S
from tests.support.history_lines import ONE_OF_EACH, a_file
from tests.support.stores import a_run

CONFIG = """\
[run]
name = "desk"
mode = "demo"
symbols = ["BTC/USD"]
state_dir = "state"
[venues.kraken]
adapter = "kraken"
[venues.coinbase]
adapter = "coinbase"
[paper.venues.kraken]
balances = { USD = "1" }
[paper.venues.coinbase]
balances = { USD = "1" }
"""
SECRET = "f00dfeedf00dfeedf00dfeedf00dfeed"
PASSING = ("-wal", "-shm", ".lock")  # beside a store while somebody reads it


def none(_desk: Path) -> None:
    """Change nothing: the command itself is what is wrong."""


def file(name: str, text: str, mode: int = 0o600) -> Callable[[Path], None]:
    """Return what writes a file."""

    def write(desk: Path) -> None:
        (desk / name).write_text(text)
        (desk / name).chmod(mode)

    return write


class Row(NamedTuple):
    """What is given and what has to come of it."""

    command: str
    code: ExitCode
    words: tuple[str, ...]
    toml: str = ""
    change: Callable[[Path], None] = none


def checks(toml: str, *words: str, change: Callable[[Path], None] = none) -> Row:
    """Return a row of `config check`: the mistake's line, what it is, and what to do."""
    return Row("config check -c c.toml", ExitCode.USAGE, ("c.toml:", *words), toml, change)


def folder(name: str) -> Callable[[Path], None]:
    """Return what makes a folder."""
    return lambda desk: (desk / name).mkdir()


def pipe(desk: Path) -> None:
    """Make a pipe that nobody writes into."""
    os.mkfifo(desk / "t")


def no_state(desk: Path) -> None:
    """Take the ledger away."""
    shutil.rmtree(desk / "state")


def damaged(desk: Path) -> None:
    """Turn a byte in the middle of the backup."""
    path = desk / "b.sqlite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def undamaged_by_word(desk: Path) -> None:
    """Damage the backup and take away the digest that would tell."""
    damaged(desk)
    (desk / "b.sqlite.sha256").unlink()


def other_digest(desk: Path) -> None:
    """Give the backup the digest of something else."""
    (desk / "b.sqlite.sha256").write_text(f"{'0' * 64}  b.sqlite\n")


BOT = 'telegram_token_file = "t"\ntelegram_chat_id = 5\n'
BOT_TOKEN = file("t", f"123456:{SECRET}")

HTTP = {
    "a port that is none": checks("[http]\nport = 70000\n", "15 http.port: 70000 is too large", "65535 or less"),
    "a port in quotes": checks('[http]\nport = "8787"\n', "15 http.port", "without quotes"),
    "a key that is none": checks('[http]\ntokenfile = "t"\n', "15 http.tokenfile", "did you mean token_file?"),
    "open to the world": checks('[http]\nbind = "0.0.0.0"\n', "15 http.bind", "allow_remote = true and put TLS"),
    "any host": checks('[http]\nhosts = ["*"]\n', "15 http.hosts.0", "'*' is not a host name", "without http://"),
    "a host with a port": checks('[http]\nhosts = ["desk:80"]\n', "15 http.hosts.0", "not a host name"),
    "a token that is not there": checks('[http]\ntoken_file = "t"\n', "15 http.token_file", "openssl rand -hex 32"),
    "a token for all": checks(
        '[http]\ntoken_file = "t"\n', "mode 0644 lets others in", "chmod 600", change=file("t", SECRET, 0o644)
    ),
    "a short token": checks('[http]\ntoken_file = "t"\n', "at least 24", "openssl", change=file("t", "short")),
    "a folder as a token": checks('[http]\ntoken_file = "t"\n', "t is not a regular file", change=folder("t")),
    "a pipe as a token": checks('[http]\ntoken_file = "t"\n', "t is not a regular file", change=pipe),
}

NOTIFY = {
    "an event that is none": checks('[notify]\nevents = ["kil"]\n', "15 notify.events.0", "is not one of the choices"),
    "a time that is none": checks('[notify]\ndaily_summary_at = "6"\n', "15 notify.daily_summary_at", "time of day"),
    "a bot without a chat": checks(
        '[notify]\ntelegram_token_file = "t"\n', "notify.telegram_chat_id", "whom to write to", change=BOT_TOKEN
    ),
    "verbs for everybody": checks(
        f"[notify]\n{BOT}telegram_verbs = true\n",
        "notify.telegram_verb_chats: verbs are on, and no chats are allowed",
        "notify.telegram_verb_users: verbs are on, and no users are allowed",
        "or set telegram_verbs = false",
        change=BOT_TOKEN,
    ),
    "a token that is none": checks(
        f"[notify]\n{BOT}", "does not hold the token of a bot", "BotFather", change=file("t", SECRET)
    ),
    "a token of the bot for all": checks(
        f"[notify]\n{BOT}", "mode 0644 lets others in", "chmod 600", change=file("t", f"123456:{SECRET}", 0o644)
    ),
    "a folder as an address": checks(
        '[notify]\nwebhook_url_file = "t"\n', "is not a regular file", "webhook_url_file", change=folder("t")
    ),
    "an address in the clear": checks(
        '[notify]\nwebhook_url_file = "t"\n',
        "15 notify.webhook_url_file",
        "https",
        change=file("t", f"http://example.org/{SECRET}"),
    ),
    "a signature for nobody": checks(
        '[notify]\nwebhook_secret_file = "t"\n', "there is no webhook to sign for", change=file("t", SECRET)
    ),
    "nothing to test": Row("notify test -c c.toml", ExitCode.USAGE, ("no channel is configured", "webhook_url_file")),
    "a channel that is none": Row(
        "notify test -c c.toml --channel pigeon",
        ExitCode.USAGE,
        ("pigeon is not configured", "those configured are telegram"),
        f"[notify]\n{BOT}",
        BOT_TOKEN,
    ),
    "nobody there": Row(
        "notify test -c c.toml",
        ExitCode.FAILURE,
        ("webhook", "failed", "not everything got through"),
        '[notify]\nwebhook_url_file = "t"\n',
        file("t", f"http://127.0.0.1:9/{SECRET}"),
    ),
}

BACKUPS = {
    "onto a backup": Row(
        "ledger backup -c c.toml --out b.sqlite",
        ExitCode.USAGE,
        ("b.sqlite: is there already", "b.sqlite.anchor: is there already", "name another file with --out"),
    ),
    "into no folder": Row(
        "ledger backup -c c.toml --out no/where", ExitCode.USAGE, ("no", "name a folder you can write to")
    ),
    "a file to keep seven of": Row(
        "ledger backup -c c.toml --out x --keep 7", ExitCode.USAGE, ("--keep needs a folder", "name a folder")
    ),
    "to keep none": Row(
        "ledger backup -c c.toml --out . --keep 0", ExitCode.USAGE, ("--keep", "greater than or equal to 1")
    ),
    "of nothing": Row(
        "ledger backup -c c.toml --out x", ExitCode.USAGE, ("there is no store here", "-> start arbot"), change=no_state
    ),
    "of no ledger": Row(
        "ledger backup --ledger c.toml --out x", ExitCode.USAGE, ("is no ledger", "name a ledger of arbot")
    ),
    "nothing to restore": Row(
        "ledger restore none.sqlite -c c.toml --replace", ExitCode.USAGE, ("there is no backup here", "ledger backup")
    ),
    "a folder to restore": Row(
        "ledger restore state -c c.toml --replace", ExitCode.USAGE, ("state", "is no", "ledger backup")
    ),
    "a config to restore": Row("ledger restore c.toml -c c.toml --replace", ExitCode.USAGE, ("c.toml: is no ledger",)),
    "onto a ledger": Row("ledger restore b.sqlite -c c.toml", ExitCode.USAGE, ("arbot.sqlite", "add --replace")),
    "a damaged backup": Row(
        "ledger restore b.sqlite -c c.toml --replace",
        ExitCode.LEDGER_PROBLEM,
        ("b.sqlite does not hold together; nothing was changed", "digest is not that of its .sha256"),
        change=damaged,
    ),
    "a damaged backup without a digest": Row(
        "ledger restore b.sqlite -c c.toml --replace",
        ExitCode.LEDGER_PROBLEM,
        ("b.sqlite does not hold together; nothing was changed",),
        change=undamaged_by_word,
    ),
    "a digest of another": Row(
        "ledger restore b.sqlite -c c.toml --replace",
        ExitCode.LEDGER_PROBLEM,
        ("b.sqlite does not hold together", "digest is not that of its .sha256"),
        change=other_digest,
    ),
}

ASKING = {
    "health of nobody": Row("healthcheck -c c.toml", ExitCode.NOT_RUNNING, ("no daemon runs", "-> start one")),
    "health of no config": Row(
        "healthcheck -c none.toml", ExitCode.USAGE, ("none.toml: cannot be read", "config check")
    ),
    "health of a damaged config": Row(
        "healthcheck -c b.sqlite", ExitCode.USAGE, ("b.sqlite: cannot be read", "config check")
    ),
    "no time for health": Row(
        "healthcheck -c c.toml --timeout 0", ExitCode.USAGE, ("--timeout", "greater than or equal to 0.1")
    ),
    "a config for nobody": Row("config reload -c c.toml", ExitCode.NOT_RUNNING, ("no daemon runs", "-> start one")),
    "figures of nothing": Row(
        "tax figures --ledger none.db", ExitCode.USAGE, ("none.db: there is no ledger here", "arbot ledger import")
    ),
    "figures of a config": Row(
        "tax figures --ledger c.toml", ExitCode.USAGE, ("is no ledger", "name a ledger of arbot")
    ),
    "figures of no country": Row(
        "tax figures -c c.toml --country zz",
        ExitCode.USAGE,
        ("country 'zz': is not known", "use one of: us (United States), uk"),
    ),
    "figures before the first start": Row(
        "tax figures -c c.toml", ExitCode.USAGE, ("there is no store here", "-> start arbot once"), change=no_state
    ),
}

ROWS = {
    f"{group}: {name}": row
    for group, rows in (("http", HTTP), ("notify", NOTIFY), ("backup", BACKUPS), ("asking", ASKING))
    for name, row in rows.items()
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a config, a ledger with history, and a backup of it."""
    made = tmp_path_factory.mktemp("desk")
    (made / "c.toml").write_text(CONFIG)
    (made / "state").mkdir(mode=0o700)
    a_file(made / "2025.jsonl", *ONE_OF_EACH)
    assert run(["ledger", "import", str(made / "2025.jsonl"), "-c", str(made / "c.toml")]) == ExitCode.OK
    assert run(["ledger", "backup", "-c", str(made / "c.toml"), "--out", str(made / "b.sqlite")]) == ExitCode.OK
    return made


@pytest.fixture
def desk(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a copy of it."""
    made = tmp_path / "desk"
    shutil.copytree(template, made)
    monkeypatch.chdir(made)
    return made


def given(command: str, capsys: pytest.CaptureFixture[str]) -> Told:
    """Give a command in this process and return what it said, after a look for secrets."""
    capsys.readouterr()
    code = run(command.split())
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
    assert "Traceback" not in said.err
    return Told(code, said.out, said.err)


def everything(desk: Path) -> dict[str, bytes]:
    """Return what lies in a folder, by name; folders and pipes as nothing."""
    found = {path: b"" for path in sorted(desk.rglob("*")) if not path.name.endswith(PASSING)}
    return {str(path.relative_to(desk)): path.read_bytes() if path.is_file() else b"" for path in found}


@pytest.mark.parametrize("name", ROWS)
def test_it_is_told_and_nothing_changes(name: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code, what is wrong, where, and what to do; the desk is as it was, to the byte."""
    row = ROWS[name]
    (desk / "c.toml").write_text(CONFIG + row.toml)
    row.change(desk)
    before = everything(desk)
    told = given(row.command, capsys)
    said = " ".join((told.out + told.err).replace("│", " ").split())
    assert told.code == row.code, told
    assert [] == [words for words in row.words if words not in said], said
    assert before == everything(desk)


# --- whoever wants to stop a daemon is kept from it by nothing ------------------------------------------------------------


def test_a_config_with_mistakes_keeps_nobody_from_the_kill_switch(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The switch is found by the state folder alone; the mistakes are mentioned, and a file that cannot be parsed is told."""
    (desk / "c.toml").write_text(f"{CONFIG}[http]\nport = 70000\n[limts]\n")
    for command, word in (("kill --reason now", "killed; "), ("unkill --reason over", "not killed; ")):
        told = given(f"{command} -c c.toml", capsys)
        assert told.code == ExitCode.OK
        assert told.out.startswith(word)
        assert "run" in told.out  # that none does
        assert "c.toml has mistakes (`arbot config check` lists them); this is about " in told.err
        assert f"{desk / 'state'}, which it names" in told.err
    told = given("status -c c.toml", capsys)
    assert (told.code, "killed False" in told.out) == (ExitCode.NOT_RUNNING, True)
    (desk / "c.toml").write_text("[run\n")
    told = given("kill --reason now -c c.toml", capsys)
    assert (told.code, told.out) == (ExitCode.USAGE, "")
    assert told.err.startswith("c.toml: not valid TOML")


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (
            None,
            ExitCode.OK,
            "daemon: told, and it wrote the switch, which could not be written from here: the disk is full",
        ),
        (DaemonRefused("NOTHING KEEPS IT FROM TRADING"), ExitCode.FAILURE, "daemon: NOTHING KEEPS IT FROM TRADING"),
        (silent(7, "http://x", "timed out"), ExitCode.FAILURE, "daemon: the daemon (process 7) does not answer"),
        (NotRunning("state"), ExitCode.FAILURE, "StoreFailed: the disk is full"),
    ],
)
def test_a_kill_that_cannot_be_written_reaches_the_daemon(
    answer: Exception | None,
    code: ExitCode,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever runs is told all the same; only where nobody could write it has the command failed, and it says why."""
    asked: list[str] = []

    class Door:
        def operate(self, verb: str, *, reason: str) -> None:
            asked.append(f"{verb} {reason}")
            if answer is not None:
                raise answer

    def full(*_words: object, **_more: object) -> None:
        raise StoreFailed("the disk is full")

    monkeypatch.setattr(operate, "_throw", full)
    monkeypatch.setattr(operate, "_client", lambda _place: Door())
    told = given("kill --reason now -c c.toml", capsys)
    assert (told.code, asked) == (code, ["kill now"])
    assert words in told.out + told.err
    assert "the disk is full" in told.out + told.err


# --- a daemon that is there, and cannot be asked -----------------------------------------------------------------------


@contextmanager
def pretended(desk: Path, url: str) -> Iterator[None]:
    """Hold a state folder as a daemon does, that says it can be asked at `url`."""
    info = {"pid": os.getpid(), "mode": "demo", "url": url, "token_file": str(desk / "state" / "operator.token")}
    (desk / "state" / "daemon.json").write_text(json.dumps(info) if url != "damaged" else '{"pid": 1')
    (desk / "state" / "operator.token").write_text(SECRET)
    with (desk / "state" / "daemon.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize(
    ("url", "code", "words", "remedy"),
    [
        ("http://127.0.0.1:9", ExitCode.NOT_RUNNING, "does not answer at http://127.0.0.1:9: ", "look at its log"),
        ("", ExitCode.NOT_RUNNING, "cannot be asked: [http] enabled is false", "set it to true and start it again"),
        ("damaged", ExitCode.USAGE, "daemon.json: is damaged, and a daemon runs", "stop that one by its process"),
    ],
)
def test_a_daemon_that_cannot_be_asked_is_not_called_absent(
    url: str, code: ExitCode, words: str, remedy: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that hangs, one without a page, one whose word is damaged: told as what they are, with what works all the same."""
    with pretended(desk, url):
        before = everything(desk)
        for command in ("status", "pause", "halt", "healthcheck", "healthcheck --ready"):
            told = given(f"{command} -c c.toml", capsys)
            assert (told.code, told.out) == (code, ""), command
            assert words in told.err
            assert f"    -> {remedy}" in told.err
            assert "no daemon runs" not in told.err
        assert before == everything(desk)


def test_a_ledger_in_use_is_not_restored(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """While a daemon has the folder, a restore is refused and its ledger stays."""
    with pretended(desk, "http://127.0.0.1:9"):
        before = everything(desk)
        told = given("ledger restore b.sqlite -c c.toml --replace", capsys)
        assert told.code == ExitCode.USAGE
        assert "another daemon uses" in told.err
        assert "    -> stop it" in told.err
        assert before == everything(desk)


def test_a_full_disk_is_told_and_leaves_no_litter(
    desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore that finds no room says so, with what to do; the ledger stays, and half a copy does not."""

    def full(source: Path, target: Path) -> None:
        target.with_name(f"{target.name}-journal").touch()  # what SQLite leaves beside a file it could not finish
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    before = everything(desk)
    told = given("ledger restore b.sqlite -c c.toml --replace", capsys)
    assert (told.code, told.out) == (ExitCode.USAGE, "")
    assert "arbot.sqlite: cannot be written: No space left on device" in told.err
    assert "    -> make room, or name another folder; nothing was changed" in told.err
    assert before == everything(desk)


@pytest.mark.parametrize("command", ["status", "pause", "healthcheck", "kill", "config reload", "ledger verify"])
def test_a_folder_of_another_user_is_named_with_its_user(
    command: str, desk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may not look into the state folder is told so, and not that no daemon runs."""

    def refusing(name: str) -> Callable[..., object]:
        allowed = getattr(Path, name)

        def ask(path: Path, *words: object, **more: object) -> object:
            if path.is_relative_to(desk / "state"):
                raise PermissionError(13, "Permission denied", str(path))
            return allowed(path, *words, **more)

        return ask

    before = everything(desk)
    with monkeypatch.context() as patch:
        for name in ("read_bytes", "stat"):  # root may look everywhere, so this is not left to the file system
            patch.setattr(Path, name, refusing(name))
        told = given(f"{command} -c {desk / 'c.toml'}", capsys)
    assert (told.code, told.out) == (ExitCode.USAGE, "")
    assert "Permission denied" in told.err
    assert "    -> give the command as " in told.err
    assert before == everything(desk)


@pytest.mark.parametrize(
    ("mode", "holds"), [("live", "a live account"), ("paper", "a paper account"), ("", "imported history")]
)
def test_a_demo_removes_no_ledger_but_a_demos(
    mode: str, holds: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A demo begins its ledger anew; in a folder where another lies it does not start, and that one stays to the byte."""
    if mode:
        no_state(desk)
        a_run(f"sqlite:///{desk}/state/arbot.sqlite", mode=mode).close()
    before = everything(desk)
    told = given("demo -c c.toml --json --duration 1", capsys)
    assert (told.code, told.out) == (ExitCode.REFUSED, "")
    assert f"arbot.sqlite: holds {holds}, and a demo begins its ledger anew" in told.err
    assert "    -> name another [run] state_dir for the demo" in told.err
    assert before == {name: content for name, content in everything(desk).items() if name != "state/daemon.lock"}


def test_a_port_that_is_taken_ends_the_start(desk: Path) -> None:
    """The address and what to change are told, with the code of a start that was refused, and no order was written."""
    no_state(desk)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (desk / "c.toml").write_text(f"{CONFIG}[http]\nport = {port}\n")
        done = subprocess.run(
            [*ARBOT, "demo", "-c", "c.toml", "--json"],
            cwd=desk,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
    assert (done.returncode, done.stdout) == (ExitCode.REFUSED, "")
    assert f"http.port: 127.0.0.1:{port} cannot be used: " in done.stderr
    assert "    -> " in done.stderr
    assert not (desk / "state" / "daemon.json").exists()

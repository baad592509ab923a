"""Settings as a person or another program may see them: without secrets, and as a digest for the journal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

from arbot.domain.units import fmt
from arbot.settings.model import Settings


def as_document(settings: Settings) -> dict[str, Any]:
    """Return plain tables (texts, ints, booleans, lists) with no secret; numbers of money are exact texts."""
    document: dict[str, Any] = _plain(settings.model_dump())
    if document["store"]["url"]:
        document["store"]["url"] = make_url(document["store"]["url"]).render_as_string(hide_password=True)
    return document


def show(settings: Settings) -> str:
    """Return the whole configuration, defaults included, as TOML that can be loaded again (but for masked passwords)."""
    lines: list[str] = []
    _table((), as_document(settings), lines)
    return "\n".join(lines).strip() + "\n"


def digest(settings: Settings) -> str:
    """Return the SHA-256 of the configuration's canonical form, in hex. Order, comments, defaults and passwords do not matter."""
    text = json.dumps(as_document(settings), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def digest_of_decisions(settings: Settings) -> str:
    """Return the SHA-256, in hex, of all that the engine's decisions on given events follow from.

    Names, folders, addresses and keys are left out: a demo's venues are at other ports every time.
    """
    document = as_document(settings)
    told = {
        "run": {key: document["run"][key] for key in ("ccy", "symbols")},
        "venues": [
            [config.venue, config.adapter, list(config.symbols), config.book_depth]
            for config in settings.venue_configs()
        ],
        **{
            table: document[table]
            for table in ("limits", "execution", "health", "pegs", "news", "transfers", "strategy")
        },
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Decimal):
        return fmt(value)
    if isinstance(value, Path):
        return str(value)
    return value if isinstance(value, (bool, int)) else str(value)


def _table(path: tuple[str, ...], table: dict[str, Any], lines: list[str]) -> None:
    keys = {key: value for key, value in table.items() if not isinstance(value, dict) and not _is_tables(value)}
    if path and (keys or not table):
        lines.extend(("", f"[{'.'.join(path)}]"))
    lines.extend(_written(keys))
    for key, value in table.items():
        if isinstance(value, dict):
            _table((*path, key), value, lines)
        elif _is_tables(value):
            for row in value:
                lines.extend(("", f"[[{'.'.join((*path, key))}]]", *_written(row)))


def _is_tables(value: Any) -> bool:
    """Return whether a value is a list of tables, which TOML writes as [[name]]; such tables hold no tables here."""
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _written(keys: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items()]

"""The registry file: who stands behind what. Ours is packaged; the user's, named by [exposure] registry, extends it.

Every mistake of the user's file is told at once, with its table and key. An entry of the user's replaces ours of that name.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from arbot.domain.errors import Mistake, UserError
from arbot.domain.ids import Asset, VenueId
from arbot.domain.registry import AssetEntry, NetworkEntry, NodeKind, Registry, VenueEntry
from arbot.domain.transfer import Network
from arbot.domain.units import ONE, ZERO

_ENTRIES: dict[str, type[msgspec.Struct]] = {"venues": VenueEntry, "assets": AssetEntry, "networks": NetworkEntry}
_SHARES = ("loss_share",)
_MINUTES = ("minutes_p50", "minutes_p99")
_MINUTES_MAX = Decimal(365 * 24 * 60)
_SHARE_MAX = Decimal(2)  # a cloud region counts legs on top of balances


class _Cap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: NodeKind
    node: str
    share: Decimal


@cache
def shipped() -> Registry:
    """Return the registry that arbot comes with."""
    text = resources.files("arbot.settings").joinpath("registry.toml").read_text(encoding="utf-8")
    return _read(tomllib.loads(text, parse_float=Decimal), "the built-in registry")


def load_registry(path: Path | None) -> Registry:
    """Return our registry with the user's file on top. Raises: UserError with every mistake in that file."""
    return shipped() if path is None else _extended(shipped(), _of_file(path))


def mistakes_in(path: Path | None) -> Iterator[Mistake]:
    """Yield every mistake of a user's file."""
    try:
        load_registry(path)
    except UserError as error:
        yield from error.mistakes


def _of_file(path: Path) -> Registry:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise UserError(Mistake(str(path), what, "name a registry file you can read")) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(Mistake(str(path), f"not valid TOML: {error}", "mend the line named above")) from error
    return _read(document, path.name)


def _extended(ours: Registry, theirs: Registry) -> Registry:
    return Registry(
        venues={**ours.venues, **theirs.venues},
        assets={**ours.assets, **theirs.assets},
        networks={**ours.networks, **theirs.networks},
        share_max={**ours.share_max, **theirs.share_max},
    )


def _read(document: Mapping[str, Any], source: str) -> Registry:
    """Return the registry of a parsed file. Raises: UserError."""
    mistakes = [
        Mistake(f"{source} {name}", "there is no such table", f"use {', '.join([*_ENTRIES, 'share_max'])}")
        for name in document
        if name not in {*_ENTRIES, "share_max"}
    ]
    read: dict[str, dict[str, Any]] = {}
    for table, kind in _ENTRIES.items():
        read[table] = {}
        entries = document.get(table, {})
        if not isinstance(entries, Mapping):
            mistakes.append(Mistake(f"{source} {table}", "it is not a table", f"write [{table}.<name>]"))
            continue
        for name, entry in entries.items():
            found = _entry(entry, kind, f"{source} {table}.{name}", mistakes)
            if found is not None:
                read[table][name] = found
    caps = _caps(document.get("share_max", []), source, mistakes)
    if mistakes:
        raise UserError(*mistakes)
    return Registry(
        venues={VenueId(name): entry for name, entry in read["venues"].items()},
        assets={Asset(name): entry for name, entry in read["assets"].items()},
        networks={Network(name): entry for name, entry in read["networks"].items()},
        share_max=caps,
    )


def _entry(entry: object, kind: type[msgspec.Struct], where: str, mistakes: list[Mistake]) -> msgspec.Struct | None:
    """Return one entry; what is wrong with it goes to `mistakes`, key by key."""
    if not isinstance(entry, Mapping):
        mistakes.append(Mistake(where, "it is not a table", "write [table.name] and the keys below it"))
        return None
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, object] = {}
    count = len(mistakes)
    for key, value in entry.items():
        place = f"{where}.{key}"
        if key not in fields:
            mistakes.append(Mistake(place, "there is no such key", f"the keys here are {', '.join(fields)}"))
            continue
        try:
            values[key] = msgspec.convert(value, fields[key].type, strict=False)
        except msgspec.ValidationError as error:
            mistakes.append(
                Mistake(place, f"{value!r} does not fit: {error}", "see config/registry.toml for an example")
            )
            continue
        mistakes.extend(_bounds(place, key, values[key]))
    p50, p99 = values.get("minutes_p50"), values.get("minutes_p99")
    if isinstance(p50, Decimal) and isinstance(p99, Decimal) and p50 > p99:
        what = f"{p50} is above minutes_p99 = {p99}: half cannot take longer than all but one in a hundred"
        mistakes.append(Mistake(f"{where}.minutes_p50", what, "swap them"))
    return kind(**values) if len(mistakes) == count else None


def _bounds(place: str, key: str, value: object) -> Iterator[Mistake]:
    if not isinstance(value, Decimal):
        return
    if key in _SHARES and not ZERO <= value <= ONE:
        yield Mistake(place, f"{value} is not between 0 and 1", "this is a share: 0.5 is half of it")
    if key in _MINUTES and not ZERO < value <= _MINUTES_MAX:
        yield Mistake(place, f"{value} is not between 0 and {_MINUTES_MAX}", "this counts minutes")


def _caps(rows: object, source: str, mistakes: list[Mistake]) -> dict[tuple[NodeKind, str], Decimal]:
    caps: dict[tuple[NodeKind, str], Decimal] = {}
    for number, row in enumerate(rows if isinstance(rows, list) else [rows]):
        where = f"{source} share_max.{number}"
        try:
            cap = msgspec.convert(row, _Cap, strict=False)
        except msgspec.ValidationError as error:
            remedy = f"write [[share_max]] with kind ({', '.join(NodeKind)}), node and share"
            mistakes.append(Mistake(where, str(error), remedy))
            continue
        if not ZERO < cap.share <= _SHARE_MAX:
            mistakes.append(Mistake(f"{where}.share", f"{cap.share} is not above 0 and up to 2", "0.25 is a quarter"))
        caps[cap.kind, cap.node] = cap.share
    return caps

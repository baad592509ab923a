"""How a broker's CSV of Forms 1099-DA is to be read: a TOML file beside it.

Rules of this file:
- `account` is that of all rows where the file has no such column; `[columns]` maps its headers to boxes of the form ("" leaves
  one out), `[assets]` names or codes of the form to our assets.
- An unknown key or a value that is no text is refused with the file's name.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from arbot.domain.errors import Mistake, UserError


class FormsMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A map as written."""

    account: str = ""
    columns: dict[str, str] = {}
    assets: dict[str, str] = {}


def read_forms_map(path: Path | None) -> FormsMap:
    """Return the map of a file, one that maps nothing without a file. Raises: UserError."""
    if path is None:
        return FormsMap()
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), FormsMap)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        remedy = "write account, [columns] and [assets] as docs/guide/tax-us.md shows"
        raise UserError(Mistake(f"--form-1099da-map {path}", str(error), remedy)) from error

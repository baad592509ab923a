"""The end of the chain, written down outside the database.

A hash chain alone does not notice that its end is gone: an old copy, a lost write-ahead log, a failover that dropped
the last commits all verify. The anchor is a small file beside the database that says how far the chain had come.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from arbot.domain.errors import Mistake, UserError


class Anchor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The journal had this hash at this number."""

    seq: int
    hash: str
    epoch: int
    ts_ns: int


def write_anchor(path: Path, anchor: Anchor) -> None:
    """Replace the file in one move; on disk when this returns. Raises: OSError."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(msgspec.json.encode(anchor) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_anchor(path: Path) -> Anchor | None:
    """Return what the file says, or None when there is none. Raises: UserError when it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Anchor)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(
            Mistake(
                str(path),
                f"the anchor cannot be read: {error}",
                "restore it, or remove it after `arbot ledger verify` finds nothing else",
            )
        ) from error

"""Turn a table round that runs from the newest row to the oldest, in bounded memory.

Rules: the pieces wait in a temporary file without a name, which the system removes whatever happens. The number of a
row stays its number in the file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from arbot.tape.importing.tables import Piece


def backwards(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Yield the last piece first, and the last row of each first."""
    with tempfile.TemporaryFile() as spool:
        places: list[tuple[int, int, int, int]] = []  # first row, number of rows, start and length in the file
        for piece in pieces:
            packed = msgspec.msgpack.encode({name: column.tolist() for name, column in piece.columns.items()})
            places.append((piece.first_row, len(piece), spool.tell(), spool.write(packed)))
        for first_row, rows, start, length in reversed(places):
            spool.seek(start)
            columns = msgspec.msgpack.decode(spool.read(length), type=dict[str, list[str]])
            turned = {name: np.array(column[::-1], object) for name, column in columns.items()}
            yield Piece(first_row + rows - 1, turned, -1)

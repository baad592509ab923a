"""Write the dashboards' JSON, or with --check say which file is not what the code makes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dashboards import engine, execution, overview, treasury, venue
from dashboards.board import Board, written

FOLDER = Path(__file__).resolve().parents[1] / "config" / "grafana" / "dashboards"
BOARDS: tuple[Board, ...] = (overview.BOARD, venue.BOARD, execution.BOARD, treasury.BOARD, engine.BOARD)


def files() -> dict[str, str]:
    """Return every file's name and text."""
    return {f"{board.uid}.json": written(board) for board in BOARDS}


def differing(folder: Path) -> list[str]:
    """Return a sentence for each file of the folder that the code would write otherwise, or not at all."""
    wanted = files()
    there = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.json"))}
    said = [f"{folder / name}: no dashboard makes this file; remove it" for name in there if name not in wanted]
    for name, text in wanted.items():
        if there.get(name) != text:
            what = "differs from what the code makes" if name in there else "is missing"
            said.append(f"{folder / name}: {what}; run `python -m dashboards`")
    return said


def main(arguments: list[str]) -> int:
    """Return 0, or 1 when --check found a difference."""
    parser = argparse.ArgumentParser(prog="python -m dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file differs")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the files are")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        said = differing(chosen.folder)
        sys.stderr.writelines(f"{sentence}\n" for sentence in said)
        return 1 if said else 0
    chosen.folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (chosen.folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

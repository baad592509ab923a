"""Compiled code that comes with an image is taken from where it can only be read to where numba can write."""

from __future__ import annotations

from pathlib import Path

from arbot.market import compiled


def test_what_was_compiled_before_is_copied(tmp_path, monkeypatch):
    """A start with an empty writable cache takes over a filled one it may only read, whole, and leaves that as it was."""
    read_only, writable = tmp_path / "image", tmp_path / "tmp"
    writable.mkdir()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(writable))
    monkeypatch.setenv("XDG_CACHE_HOME", str(read_only))
    name = Path(compiled.CACHE_FOLDER).name
    filled = read_only / "arbot" / name
    (filled / "books").mkdir(parents=True)
    (filled / "books" / "one.nbc").write_bytes(b"code")
    monkeypatch.setattr(compiled, "_is_writable", lambda folder: folder == writable)
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "elsewhere" / "market" / "compiled.py"))
    monkeypatch.setattr(compiled, "KERNELS", ())
    found = Path(compiled._cache_folder())  # other sources, another digest: nothing there to take
    assert (writable, False) == (found.parent, found.exists())
    filled.rename(filled.with_name(found.name))
    assert str(found) == compiled._cache_folder()
    assert b"code" == (found / "books" / "one.nbc").read_bytes()
    assert (filled.with_name(found.name) / "books" / "one.nbc").exists()
    (found / "books" / "two.nbc").write_bytes(b"more")
    assert str(found) == compiled._cache_folder()
    assert 2 == len(list((found / "books").iterdir()))
    assert [found.name] == [one.name for one in writable.iterdir()]

"""Statements that venues and people write: each kind of file becomes canonical lines, or the rows that keep it from it."""

"""Pure accounting: what a journaled event means in double entry. Never imports the engine; a second reader of the same journal."""

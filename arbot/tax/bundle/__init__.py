"""The filing bundle: one pass over a history, many files, written beside the goal and put in its place whole."""

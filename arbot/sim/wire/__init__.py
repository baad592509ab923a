"""The venues' own protocols on loopback, spoken over the pretend venues of `arbot.sim`."""

"""Trading strategies that ship with arbot: plug-ins over arbot.domain and arbot.engine.strategy."""

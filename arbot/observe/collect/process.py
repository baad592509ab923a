"""The daemon itself. Most of it is counted where it happens and comes as numbers and durations with the readings."""

from __future__ import annotations

from arbot.domain.events import OperatorRequested, Verb
from arbot.observe.catalogue.words import COMMAND_OUTCOMES, GENERATIONS, LOG_LEVELS, MODES
from arbot.observe.collect.words import OnDecision, OnEvent, Readings, RunFacts, Steps
from arbot.observe.metrics import NS_PER_S, Metrics


class Process:
    """Counts what people asked for; says what runs."""

    def __init__(self, metrics: Metrics, facts: RunFacts) -> None:
        self.events: OnEvent = {
            OperatorRequested: lambda event, _: metrics.add("arbot_control_commands_total", (event.verb.value, "done")),
        }
        self.decisions: OnDecision = {}
        self.commands: OnEvent = {}
        metrics.ensure_children("arbot_control_commands_total", Verb, COMMAND_OUTCOMES)
        metrics.ensure_children("arbot_log_messages_total", LOG_LEVELS)
        metrics.ensure_children("arbot_gc_pause_seconds", GENERATIONS)
        metrics.put("arbot_build_info", (facts.version, facts.mode), 1)
        for mode in MODES:
            metrics.put("arbot_mode", (mode,), mode == facts.mode)
        metrics.put("arbot_start_timestamp_seconds", (), facts.started_ts_ns / NS_PER_S)

    def read(self, readings: Readings) -> Steps:
        """Put nothing: what the daemon counts comes with the readings."""
        del readings
        yield from ()

"""The daemon itself: its loop, tasks, journal, log, page and messages."""

from __future__ import annotations

from arbot.observe.catalogue.words import LATENCY, MODES, Metric

ROWS: tuple[Metric, ...] = (
    Metric("arbot_build_info", "info", "-", ("version", "mode"), "Always 1: version and mode."),
    Metric("arbot_mode", "stateset", "-", (), "The running mode.", states=MODES),
    Metric("arbot_start_timestamp_seconds", "gauge", "seconds", (), "Unix time at which the run began."),
    Metric("arbot_events_total", "counter", "events", (), "Events the engine has taken."),
    Metric(
        "arbot_event_loop_lag_seconds",
        "histogram",
        "seconds",
        (),
        "How late a task that slept is woken.",
        LATENCY,
    ),
    Metric("arbot_event_loop_tasks", "gauge", "tasks", (), "asyncio tasks alive."),
    Metric("arbot_gc_pause_seconds", "histogram", "seconds", ("generation",), "Garbage-collection pauses.", LATENCY),
    Metric("arbot_queue_depth", "gauge", "items", ("queue",), "Items waiting."),
    Metric(
        "arbot_queue_dropped_total",
        "counter",
        "items",
        ("queue", "reason"),
        "Items dropped (full) or replaced by newer ones (conflated).",
    ),
    Metric("arbot_queue_wait_seconds", "histogram", "seconds", ("queue",), "Time an item waited.", LATENCY),
    Metric(
        "arbot_task_last_beat_timestamp_seconds",
        "gauge",
        "seconds",
        ("task",),
        "Unix time of a task's last sign of life; its start before the first.",
    ),
    Metric(
        "arbot_task_beat_due_timestamp_seconds",
        "gauge",
        "seconds",
        ("task",),
        "Unix time by which a task has to have shown life again; each has its own pace.",
    ),
    Metric(
        "arbot_task_restarts_total",
        "counter",
        "restarts",
        ("task",),
        "Restarts of tasks that trading does not depend on; any other that fails ends the run.",
    ),
    Metric("arbot_exceptions_total", "counter", "exceptions", ("task",), "Exceptions no task caught."),
    Metric("arbot_log_messages_total", "counter", "messages", ("level",), "Lines written to the log."),
    Metric(
        "arbot_journal_write_seconds", "histogram", "seconds", (), "Durable journal commits, fsync included.", LATENCY
    ),
    Metric("arbot_journal_errors_total", "counter", "errors", (), "Journal commits that failed."),
    Metric(
        "arbot_config_last_reload_successful",
        "gauge",
        "-",
        (),
        "1 when the config was last read without a mistake, at the start or on SIGHUP.",
    ),
    Metric(
        "arbot_config_last_reload_success_timestamp_seconds",
        "gauge",
        "seconds",
        (),
        "Unix time at which it was last read without a mistake.",
    ),
    Metric(
        "arbot_notifications_total",
        "counter",
        "messages",
        ("channel", "outcome"),
        "Messages to people: sent, failed, suppressed.",
    ),
    Metric(
        "arbot_control_commands_total",
        "counter",
        "commands",
        ("command", "outcome"),
        "What people asked for: done, refused, denied.",
    ),
    Metric("arbot_http_requests_total", "counter", "requests", ("route", "status"), "Requests to the page, by status."),
    Metric("arbot_sse_clients", "gauge", "clients", (), "Live pages connected."),
    Metric("arbot_disk_free_bytes", "gauge", "bytes", (), "Free space where the journal is."),
    Metric("arbot_shutdown_seconds", "gauge", "seconds", (), "How long the shutdown under way has taken; 0 before it."),
    Metric(
        "arbot_metric_labelsets_dropped_total",
        "counter",
        "labelsets",
        (),
        "Label sets left out because their metric had as many as it may.",
    ),
)

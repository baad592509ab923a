"""arbot-engine, the dashboard that asks whether the daemon itself is well, and whether we would know if it were not."""

from __future__ import annotations

from arbot.observe.catalogue.words import MODES
from dashboards.board import Board, Row
from dashboards.looks import (
    BYTES,
    COUNT,
    EACH_MINUTE,
    EACH_SECOND,
    LEVEL_COLORS,
    NONE_EXPECTED,
    RECORDS,
    SECONDS,
    SELDOM_EXPECTED,
    SHARE,
    UP,
    WHEN,
    YES_IS_GOOD,
    numbered,
)
from dashboards.panels import Column, bars, heatmap, lines, stat, table, timeline
from dashboards.queries import (
    Query,
    above_zero,
    age,
    by,
    grown,
    in_ms,
    over,
    per_minute,
    quantile,
    quantile_shown,
    rate,
    some,
    spread_out,
    state_of,
    top,
    whole,
)

MODE_COLORS = {"paper": "transparent", "live": "green", "demo": "transparent"}

GLANCE = Row(
    "Is the daemon well?",
    (
        stat(
            "Up",
            "Whether Prometheus reaches every daemon chosen. DOWN: look at the service first, then at its log.",
            [Query(by("min", "", whole("up")))],
            "none",
            words=UP,
            steps=NONE_EXPECTED,
            alerts=("ArbotDown",),
        ),
        stat(
            "Mode",
            "Live risks money; paper and demo do not.",
            [Query(state_of("arbot_mode", ""))],
            "none",
            words=numbered(MODES, MODE_COLORS),
        ),
        stat(
            "Began",
            "When the youngest run began. Younger than you think: it restarted; the log's end before it says why.",
            [Query(in_ms(by("max", "", whole("arbot_start_timestamp_seconds"))))],
            WHEN,
            alerts=("ArbotRestarting",),
        ),
        stat(
            "Loop lag",
            "How late a task that slept is woken, in 99 of 100 times of the time shown. Above 5 ms prices are decided on late.",
            [
                Query(
                    quantile_shown(0.99, "arbot_event_loop_lag_seconds"),
                )
            ],
            SECONDS,
            steps=((None, "green"), (0.005, "orange"), (0.05, "red")),
            alerts=("ArbotEventLoopLag",),
        ),
        stat(
            "Latest task",
            "How long a task has been due to show life again; each has its own pace. Red: it hangs, and only a restart helps.",
            [Query(age(whole("arbot_task_beat_due_timestamp_seconds")))],
            SECONDS,
            steps=((None, "green"), (1, "orange"), (10, "red")),
            decimals=1,
            alerts=("ArbotTaskStalled",),
        ),
        stat(
            "Journal errors",
            "Commits that failed, in the time shown. Any: the daemon stops rather than trade without a record; check the disk.",
            [Query(grown(whole("arbot_journal_errors_total")))],
            COUNT,
            steps=NONE_EXPECTED,
            decimals=0,
            alerts=("ArbotJournalFailing",),
        ),
        stat(
            "Disk free",
            "Where the journal is. Red: make room now; when it is full the daemon stops.",
            [Query(by("min", "", whole("arbot_disk_free_bytes")))],
            BYTES,
            steps=((None, "red"), (2e9, "orange"), (20e9, "green")),
            decimals=1,
            alerts=("ArbotDiskFilling",),
        ),
        stat(
            "Config read",
            "Whether the config was last read without a mistake. no: the old one is in use; `arbot config check` says what is wrong.",
            [Query(by("min", "", whole("arbot_config_last_reload_successful")))],
            "none",
            words=YES_IS_GOOD,
            steps=NONE_EXPECTED,
            alerts=("ArbotConfigReloadFailed",),
        ),
    ),
)

LOOP = Row(
    "Loop and memory",
    (
        heatmap(
            "Event loop lag",
            "How late a task that slept is woken. Dark cells above 5 ms: something holds the loop; compare with the pauses.",
            spread_out("arbot_event_loop_lag_seconds"),
            SECONDS,
            wide=12,
            alerts=("ArbotEventLoopLag",),
        ),
        lines(
            "Garbage-collection pauses, 99th percentile",
            "By generation. The oldest one is rare and longest.",
            [Query(quantile(0.99, "arbot_gc_pause_seconds", "generation"), "generation {{generation}}")],
            SECONDS,
            logarithmic=True,
            seldom=True,
            wide=12,
        ),
        lines(
            "CPU",
            "Cores used. Near 1 the loop is full: fewer instruments, or a faster machine.",
            [
                Query(
                    rate(whole("process_cpu_seconds_total"), "instance"),
                    "{{instance}}",
                )
            ],
            SHARE,
            steps=((None, "text"), (0.8, "orange")),
            least=0,
        ),
        lines(
            "Memory",
            "Resident. A slope over days is a leak.",
            [Query(by("sum", "instance", whole("process_resident_memory_bytes")), "{{instance}}")],
            BYTES,
            least=0,
        ),
        lines(
            "Open files over the bound",
            "Sockets among them. Near 100 %: the next connection fails.",
            [
                Query(
                    over(
                        by("max", "instance", whole("process_open_fds")),
                        by("max", "instance", whole("process_max_fds")),
                    ),
                    "{{instance}}",
                )
            ],
            SHARE,
            steps=((None, "text"), (0.8, "red")),
            least=0,
        ),
        lines(
            "Events and tasks",
            "Events the engine takes a second, and asyncio tasks alive. Tasks that only climb are leaked.",
            [
                Query(rate(whole("arbot_events_total"), "instance"), "events a second, {{instance}}"),
                Query(by("max", "instance", whole("arbot_event_loop_tasks")), "tasks, {{instance}}"),
            ],
            COUNT,
            least=0,
        ),
        lines(
            "Shutdown under way",
            "How long it has taken so far; 0 before it. The service kills it at the stop timeout.",
            [Query(by("max", "instance", whole("arbot_shutdown_seconds")), "{{instance}}")],
            SECONDS,
            least=0,
        ),
        table(
            "Daemons",
            "Version and mode of each, and when it last read its config.",
            {
                "A": by("max", "instance, version, mode", whole("arbot_build_info")),
                "B": in_ms(by("max", "instance", whole("arbot_config_last_reload_success_timestamp_seconds"))),
            },
            (
                Column("instance", "Instance"),
                Column("version", "Version"),
                Column("mode", "Mode"),
                Column("Value #B", "Config read", WHEN),
            ),
            wide=8,
        ),
    ),
)

TASKS = Row(
    "Tasks, queues and journal",
    (
        lines(
            "Tasks that are late",
            "How long each has been due to show life again. A slope is a task that hangs.",
            [Query(top(5, age(whole("arbot_task_beat_due_timestamp_seconds"), "task")), "{{task}}")],
            SECONDS,
            steps=((None, "text"), (10, "red")),
            least=0,
            alerts=("ArbotTaskStalled",),
        ),
        bars(
            "Since a task's last sign of life",
            "The quietest first. Tasks have paces of their own: what counts is whether one is late.",
            [Query(top(10, age(whole("arbot_task_last_beat_timestamp_seconds"), "task")), "{{task}}", instant=True)],
            SECONDS,
        ),
        bars(
            "Restarts and exceptions of tasks",
            "In the time shown. Restarted tasks are those trading does not depend on; the log has the exception.",
            [
                Query(
                    some(5, grown(whole("arbot_task_restarts_total"), "task"), "task"),
                    "restarts: {{task}}",
                    instant=True,
                ),
                Query(
                    some(5, grown(whole("arbot_exceptions_total"), "task"), "task"),
                    "exceptions: {{task}}",
                    instant=True,
                ),
            ],
            COUNT,
            decimals=0,
            steps=SELDOM_EXPECTED,
            alerts=("ArbotTaskRestarting",),
        ),
        lines(
            "Queues",
            "Items waiting. A line that only climbs is a consumer that is stuck.",
            [Query(by("max", "queue", whole("arbot_queue_depth")), "{{queue}}")],
            COUNT,
            least=0,
            alerts=("ArbotQueueDropping",),
        ),
        lines(
            "Wait in queues, 99th percentile",
            "Time an item waited before it was taken.",
            [Query(quantile(0.99, "arbot_queue_wait_seconds", "queue"), "{{queue}}")],
            SECONDS,
            logarithmic=True,
            seldom=True,
        ),
        lines(
            "Items lost from queues",
            "A minute. Conflated were replaced by newer ones, which is meant; full were lost, which is not.",
            [Query(per_minute(rate(whole("arbot_queue_dropped_total"), "queue, reason")), "{{queue}} {{reason}}")],
            EACH_MINUTE,
            least=0,
            alerts=("ArbotQueueDropping",),
        ),
        lines(
            "Journal commits",
            "Durable, fsync included. Orders wait for them: above 50 ms look for what else uses the disk.",
            [
                Query(quantile(0.5, "arbot_journal_write_seconds"), "half"),
                Query(quantile(0.99, "arbot_journal_write_seconds"), "99 of 100"),
            ],
            SECONDS,
            logarithmic=True,
            seldom=True,
            alerts=("ArbotJournalFailing",),
        ),
        timeline(
            "Market data recorded",
            "Only where the tape is switched on.",
            [Query(by("min", "instance", whole("arbot_tape_recording")), "{{instance}}")],
            RECORDS,
            wide=8,
            high=8,
        ),
        lines(
            "Rows recorded, messages lost",
            "Of market data, a second. Lost: the disk was too slow, and the recording has holes.",
            [
                Query(rate(whole("arbot_tape_rows_total"), "instance"), "rows, {{instance}}"),
                Query(rate(whole("arbot_tape_messages_lost_total"), "instance"), "lost, {{instance}}"),
            ],
            EACH_SECOND,
            least=0,
        ),
    ),
)

PEOPLE = Row(
    "People, messages and being watched",
    (
        bars(
            "Messages to people",
            "In the time shown, by channel. Failed: nobody would hear of an alert; try the channel by hand.",
            [
                Query(
                    some(10, grown(whole("arbot_notifications_total"), "channel, outcome"), "outcome"),
                    "{{channel}} {{outcome}}",
                    instant=True,
                )
            ],
            COUNT,
            decimals=0,
            alerts=("ArbotNotifyFailing",),
        ),
        bars(
            "What people asked for",
            "In the time shown, by verb and outcome. Denied: somebody without the right tried.",
            [
                Query(
                    some(10, grown(whole("arbot_control_commands_total"), "command, outcome"), "outcome"),
                    "{{command}} {{outcome}}",
                    instant=True,
                )
            ],
            COUNT,
            decimals=0,
            alerts=("ArbotControlDenied",),
        ),
        lines(
            "Requests to the page",
            "A minute, by route and status. 401, 403 and 421 in numbers: somebody tries doors.",
            [
                Query(
                    per_minute(above_zero(rate(whole("arbot_http_requests_total"), "route, status"))),
                    "{{route}} {{status}}",
                )
            ],
            EACH_MINUTE,
            stacked=True,
        ),
        lines(
            "Log lines by level",
            "A second.",
            [Query(rate(whole("arbot_log_messages_total"), "level"), "{{level}}")],
            EACH_SECOND,
            stacked=True,
            colors=LEVEL_COLORS,
        ),
        lines(
            "Live pages connected",
            "More than there are people: a page was left open somewhere.",
            [Query(by("sum", "instance", whole("arbot_sse_clients")), "{{instance}}")],
            COUNT,
            least=0,
        ),
        lines(
            "Series scraped",
            "3,000 is the budget for four venues and three symbols each; a climb is a label without a closed set.",
            [Query(by("max", "instance", whole("scrape_samples_scraped")), "{{instance}}")],
            COUNT,
            least=0,
        ),
        lines(
            "Time of a scrape",
            "It runs beside the loop. Above a second: too many series.",
            [Query(by("max", "instance", whole("scrape_duration_seconds")), "{{instance}}")],
            SECONDS,
            least=0,
            wide=12,
        ),
        lines(
            "Label sets left out",
            "Because their metric had as many as it may: what is new is not shown anywhere. Any: raise its bound or name less.",
            [Query(by("max", "instance", whole("arbot_metric_labelsets_dropped_total")), "{{instance}}")],
            COUNT,
            steps=((None, "text"), (1, "orange")),
            least=0,
            wide=12,
        ),
    ),
)

BOARD = Board(
    uid="arbot-engine",
    title="arbot: engine",
    question="Is the daemon itself well, and would we know if it were not?",
    rows=(GLANCE, LOOP, TASKS, PEOPLE),
)

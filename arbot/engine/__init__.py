"""Pure decisions, one writer: step(envelope) -> Outcome. Never waits, reads a clock, draws a number, logs or sends."""

"""The shell: it waits, reads the clock, opens files and sends; the core it drives does none of these."""

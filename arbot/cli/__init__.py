"""The commands. Thin: they read options, call the runtime, and print; what they need is imported when they run."""

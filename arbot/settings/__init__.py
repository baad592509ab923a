"""The TOML config file: one frozen value, all its mistakes at once, and how it is shown without secrets."""

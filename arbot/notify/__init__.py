"""Messages straight from the daemon to people, over channels that fail one by one."""

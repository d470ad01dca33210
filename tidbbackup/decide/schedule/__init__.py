"""Due times, the Backups that are made at them, and which of these are kept."""

"""The run of a Backup: its Jobs and pods, how it goes, and how it ends."""

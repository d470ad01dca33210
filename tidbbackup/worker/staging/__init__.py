"""The staging volume: its files, and when the dumper has to wait."""

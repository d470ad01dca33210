"""Flags that users bring along for mydumper, dumpling and rclone, and what each means here."""

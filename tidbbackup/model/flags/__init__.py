"""Flags of mydumper, dumpling and rclone in a spec, and the effect of each here."""

"""Dump, archive and upload at the same time."""

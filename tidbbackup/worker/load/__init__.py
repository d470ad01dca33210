"""Loads an archive into a server: which file is what, in which order, over which connections."""

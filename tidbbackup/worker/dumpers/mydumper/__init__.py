"""mydumper: what it cannot dump, how it is called, which files it writes, and what it says."""

"""The archive: how it is written, its manifest, and how it is checked."""

"""Backs up TiDB and other MySQL-protocol databases to S3-compatible storage, by custom resources."""

__version__ = "0.1.0"

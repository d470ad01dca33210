"""Tests of tidbbackup.storage."""

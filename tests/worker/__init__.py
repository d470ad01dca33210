"""Tests of tidbbackup.worker."""

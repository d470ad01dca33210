"""Tests of tidbbackup.kube."""

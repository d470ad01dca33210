"""Tests of decide."""

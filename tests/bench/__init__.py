"""Benchmarks: figures side by side from one run, as ratios; never a test."""

"""Definitions, read by the worker itself and written under the names that mydumper gives them."""

"""Our side of the Kubernetes API: list, watch, store, cache, queue, runner.

Knows keys and metadata only; must not know what a Backup is.
"""

"""What a spec says: judged, and resolved for the worker."""

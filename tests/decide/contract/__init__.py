"""What tests/decide/world.py and tests/simulation promise of Kubernetes: the same scenarios on a real one.

A scenario that passes in one place alone shows a world in which properties are proved of nothing. Actions go
through reconcile/act.py on the real side: its part of the promise is held to as well.
"""

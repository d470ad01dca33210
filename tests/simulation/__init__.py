"""A deterministic simulation: whole controllers on a virtual clock, against an API server in memory.

The controllers are the product's own code, down to the Client; only its HTTP session and its clocks are not
(network.py, controllers.py). The API server (server.py, watching.py) and the controllers of Kubernetes
(cluster.py) are held to real ones by tests/decide/contract and by test_requests.py. One seed decides what
users do (user.py), how runs go (worker.py), what goes wrong on the way (weather.py), and when controllers
die, stop, lose their Lease or see their clocks jump (simulation.py). Then all is calm, and what
docs/invariants.md says is checked (invariants.py).

A seed that fails, with each write and deed:    .venv/bin/python -m tests.simulation SEED
Many seeds, also more than the tests have:      .venv/bin/python -m tests.simulation FIRST LAST
"""

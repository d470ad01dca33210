"""What every node of the test cluster promises: the process node here, the real kubelet as well.

The pods use `sh` and `python3` only, take every path from their environment, and set their own handlers
for SIGTERM: as PID 1 of a real container a program without one does not die of it.
"""

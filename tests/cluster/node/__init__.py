"""A stand-in for the kubelet: runs the pods of a real control plane as local processes.

For the demo and the tests only. What it promises is the contract suite in tests/cluster/contract, which a
real kubelet has to pass as well. It promises no isolation: securityContext, resources, probes, hooks and
images mean nothing to it, and a restartPolicy other than Never is refused.
"""

"""A whole node: kubelet and containerd in namespaces of their own, with the image of the Dockerfile.

Needs root, see prerequisites.py. Nothing here is mounted, listened on or left behind outside of those
namespaces but the run folder and a cgroup, and neither outlives a clean end.
"""

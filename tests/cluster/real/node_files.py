"""The configuration of containerd, CNI and kubelet as text. Pure; starts nothing."""

import json
from pathlib import Path
from typing import Any

PODS_NETWORK = "10.244.0.0/24"
NODE_ADDRESS = "10.250.0.1"
"""Where a pod reaches the node and whatever listens in the house."""

_CNI_PROGRAMS = "/usr/lib/cni"


def containerd_toml(folder: Path, socket: Path, pause_image: str, *, overlay: bool) -> str:
    """containerd for the house, where /var/lib and /run are in memory and vanish with it.

    Images are there too, which saves ten seconds at a node's end; without overlay mounts, where every
    container is a whole copy of its image, they are in `folder`.
    """
    root = "/var/lib/containerd" if overlay else f"{folder}/root"
    return f"""\
version = 2
root = "{root}"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.devmapper"]

[grpc]
  address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause_image}"
  # Where lowering oom_score_adj is not allowed, runc would die of it.
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter(overlay)}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{_CNI_PROGRAMS}"
    conf_dir = "{folder}/cni"
"""


def snapshotter(overlay: bool) -> str:
    """What containerd calls its way of keeping images."""
    return "overlayfs" if overlay else "native"


def cni_conflist(folder: Path) -> str:
    """A bridge for the pods, on which the node is the gateway. No way out of the house."""
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "ipMasq": False,
        "ipam": {
            "type": "host-local",
            "dataDir": f"{folder}/addresses",
            "ranges": [[{"subnet": PODS_NETWORK}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, {"type": "loopback"}]})


def kubelet_configuration(folder: Path, socket: Path, cgroup: str) -> str:
    """Kubelet for cgroups made by hand, a disk that is shared with everybody, and quick answers."""
    configuration: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "healthzBindAddress": "127.0.0.1",
        # Nobody else is in the house.
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{socket}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "oomScoreAdj": 0,
        # The disk is full of other people's things: that must evict nobody.
        "evictionHard": {},
        "localStorageCapacityIsolation": False,
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "volumePluginDir": f"{folder}/volume-plugins",
        # No DNS answers there; without an address kubelet would warn at every pod.
        "clusterDNS": ["10.96.0.10"],
        "resolvConf": "",
        "kubeAPIQPS": 500,
        "kubeAPIBurst": 1000,
        "nodeStatusUpdateFrequency": "4s",
        "shutdownGracePeriod": "0s",
    }
    return json.dumps(configuration, indent=2)

"""The shipped image and manifests on a real kubelet, against a real database and a real S3 server."""

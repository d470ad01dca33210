"""The test cluster: a real Kubernetes, a database and object stores as plain local processes."""

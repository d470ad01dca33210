"""The custom resources, and the little of Kubernetes' own kinds that we need."""

"""What a release of one version holds: `make release`. The product does not need it."""

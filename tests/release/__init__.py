"""What a release holds."""

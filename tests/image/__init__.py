"""The image's pins and what is left out of it."""

"""What goes into the image besides the package: its pins and how they are made (docs/reference/image.md)."""

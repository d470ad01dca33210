"""What goes into the image besides the package: its pins and how they are made. See docs/reference/image.md."""

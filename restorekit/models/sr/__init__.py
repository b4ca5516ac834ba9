"""Super-resolution systems, one file each."""

"""Weight files: the manifest of what exists, safe loading, verification."""

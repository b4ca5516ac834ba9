"""Systems that restore images: one file each, found by name (see `registry`)."""

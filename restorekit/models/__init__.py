"""Systems that restore pictures: one file each, found by name (see `registry`)."""

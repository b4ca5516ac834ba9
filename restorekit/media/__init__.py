"""Images and folders: what comes in goes out."""

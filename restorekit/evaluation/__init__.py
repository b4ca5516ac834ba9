"""Every table of the papers with one command: protocols, data layouts, runs, statistics, reports."""

"""`python -m restorekit` is the same as `restorekit`."""

from restorekit.cli.app import main

main()

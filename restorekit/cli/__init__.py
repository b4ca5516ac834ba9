"""The command line: one file a subcommand. It parses, calls one library function and shows what comes back.

Nothing here imports torch, OpenCV or scikit-image before there is work: `--help` and completion stay quick.
"""

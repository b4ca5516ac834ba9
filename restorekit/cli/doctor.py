"""`restorekit doctor`."""

from restorekit.cli import console


def doctor() -> None:
    """Tell what restores on this machine, for reports of defects.

    Versions, processor, memory, runtimes, what --backend auto has chosen, the
    cache and FFmpeg's encoders. Nothing is measured, changed or sent.
    """
    from restorekit.pipeline.machine import describe_machine

    for topic, lines in describe_machine().items():
        console.show(f"{topic:<14}{'; '.join(lines) or 'nothing'}")

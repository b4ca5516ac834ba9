"""What a run hears of long computations inside one of its files, and how it ends them."""

import threading
from dataclasses import dataclass

from restorekit.runtime.progress import Event, Progress


@dataclass(frozen=True)
class RunListener:
    """Tells a run of the parts of one file's computation, and ends it once the run is to stop; see `Listener`."""

    name: str
    """Of the file."""
    progress: Progress
    stop: threading.Event

    def begin(self, part: str) -> None:
        """Tell of it."""
        self.go_on()
        self.progress.step(Event(self.name, 0, 0.0, part=part))

    def go_on(self) -> None:
        """Raise KeyboardInterrupt where the run is to stop."""
        if self.stop.is_set():
            raise KeyboardInterrupt

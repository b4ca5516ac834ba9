"""What a run tells whoever watches it. A bar, lines of JSON, or nobody: the library does not know."""

from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["done", "skipped", "failed"]
"""How a planned item ends: planned = done + skipped + failed."""


@dataclass(frozen=True)
class Work:
    """What a run is going to do."""

    items: int
    """Files, pairs, scores, steps."""
    amount: float
    """The same in `unit`, skipped items left out: what the remaining time is told by. It may be an estimate."""
    unit: str
    """E.g. "MP" for megapixels."""
    description: str = ""
    """What does it, e.g. the model and the device; one line."""


@dataclass(frozen=True)
class Event:
    """Something has moved on."""

    key: str
    """What: an item's name."""
    items: int
    """So many more are finished."""
    amount: float
    """So much more work is done, in the unit of `Work`; 0 for what was skipped."""
    status: Status | Literal["started"] = "done"
    detail: object = None
    """What the room that runs says of it, e.g. a `FileResult`."""
    left: float | None = None
    """Work that is left, in the unit of `Work`, where it is estimated anew; else so much less than before."""
    part: str = ""
    """What of the item, where it is not all of it, e.g. "frame 3 of 12"."""

    @property
    def name(self) -> str:
        """The item and its part, for people."""
        return f"{self.key}: {self.part}" if self.part else self.key


class Progress(Protocol):
    """Whoever wants to see a run. All calls come from the thread that runs it."""

    def begin(self, work: Work) -> None:
        """The run begins, or begins another part of its work."""
        ...

    def step(self, event: Event) -> None:
        """An item is finished, or a part of one."""
        ...

    def end(self, summary: object) -> None:
        """The run is over; `summary` is what it returns."""
        ...


class Silent:
    """Nobody watches."""

    def begin(self, work: Work) -> None:
        """Say nothing."""

    def step(self, event: Event) -> None:
        """Say nothing."""

    def end(self, summary: object) -> None:
        """Say nothing."""


SILENT: Progress = Silent()


class Listener(Protocol):
    """Whoever waits for one long computation, and may end it. Calls come from the thread that computes."""

    def begin(self, part: str) -> None:
        """A part begins, e.g. "level 3 of 9"."""
        ...

    def go_on(self) -> None:
        """Called several times a second; raises KeyboardInterrupt where the computation is to end."""
        ...


class Patient:
    """Waits until the end, and hears nothing."""

    def begin(self, part: str) -> None:
        """Say nothing."""

    def go_on(self) -> None:
        """Never end it."""


PATIENT: Listener = Patient()

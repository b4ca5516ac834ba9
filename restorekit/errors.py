"""Everything restorekit raises on purpose: what is wrong, with which file, and what helps.

Libraries raise these; only the folder runner and the command line catch them. The exit codes are interface:
scripts may rely on them.
"""

from enum import IntEnum
from pathlib import Path


class ExitCode(IntEnum):
    """What a restorekit command returns to the shell."""

    OK = 0
    """Everything that was planned is done (now or in an earlier run)."""
    FAILURE = 1
    """A defect of restorekit itself, or an error that none of the other codes describes."""
    USAGE = 2
    """The command line makes no sense: unknown option, missing input, contradicting values."""
    SOME_FAILED = 3
    """The run went to its end, but at least one image could not be restored."""
    WEIGHTS = 4
    """The weights asked for are absent, damaged or do not fit the network."""
    OUTPUT = 5
    """Nothing can be written where the results should go: the run stopped early."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; running the same command again continues."""


LONGEST = 500
"""Characters of a reason."""


class RestorekitError(Exception):
    """Base of all deliberate errors.

    Args:
        reason: what is wrong, in one sentence, without the file's name.
        hint: what the user can do about it.
        path: the file or folder concerned, if there is one.
    """

    exit_code = ExitCode.FAILURE

    def __init__(self, reason: str, hint: str = "", path: Path | None = None) -> None:
        reason = reason if len(reason) <= LONGEST else f"{reason[:LONGEST]} ..."  # files are quoted, whatever they hold
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.path = path

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path is not None else ""
        return f"{where}{self.reason}" + (f" {self.hint}" if self.hint else "")


class UsageError(RestorekitError, ValueError):
    """The request itself makes no sense: an argument has no such value."""

    exit_code = ExitCode.USAGE


class UnreadableImage(RestorekitError):
    """A file that should be an image cannot be used as one."""

    exit_code = ExitCode.SOME_FAILED


class UnwritableOutput(RestorekitError):
    """A result cannot be stored: no permission, no space, no such place."""

    exit_code = ExitCode.OUTPUT


class UnknownModel(UsageError):
    """No system of that name."""


class WeightsError(RestorekitError):
    """Weights are absent, damaged, or belong to another network."""

    exit_code = ExitCode.WEIGHTS

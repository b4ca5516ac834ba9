"""What the user sees: messages and errors on stderr, results on stdout."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from restorekit.errors import RestorekitError, UnwritableOutput, UsageError
from restorekit.runtime.atomic import NO_ROOM

out = Console(emoji=False)
err = Console(stderr=True, emoji=False)

OPTIONAL = {"safetensors": "safetensors", "scipy": "SciPy", "skimage": "scikit-image", "torch": "PyTorch"}
"""Packages that restoring by graphs does without, by the names of their modules."""

_ARGUMENT = re.compile(
    "`(accumulate|allow_training_data|angle|backend|batch|blur|box|config|deinterlace|dry_run|fps|frames|highlights|kernel|"
    "length|light|max_pixels|metric_weights|models|noise|out|per_image|precision|resize|restored|scale|shares|shown|split|"
    "statistics|stride|sweep|weights)`"
)
"""Arguments that messages of the library name."""
_RENAMED = {"blur": "kernel", "box": "figure-box", "models": "model", "shares": "blur-shares"}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str, lines: bool = False) -> str:
    """A text in which nothing steers the terminal: file names may hold any character, and bytes that are none.

    Args:
        text: what is told.
        lines: whether it has lines of its own; else a name may not begin one.
    """
    kept = "\n" if lines else ""
    return _CONTROL.sub(lambda match: match[0] if match[0] == kept else f"\\x{_byte(match[0]):02x}", text)


def with_flags(message: str) -> str:
    """A message of the library, which speaks of arguments (`max_pixels`), in flags (--max-pixels)."""
    return _ARGUMENT.sub(lambda match: f"--{_RENAMED.get(match[1], match[1]).replace('_', '-')}", message)


def _byte(character: str) -> int:
    """The number of a character; of a byte that is no text, as Python writes it in a path, the byte."""
    return ord(character) - 0xDC00 if "\udc80" <= character <= "\udcff" else ord(character)


def say(message: str) -> None:
    """A message on stderr."""
    err.print(escape(printable(message)), highlight=False, soft_wrap=True)


def show(text: str) -> None:
    """A result on stdout; long addresses stay in one piece."""
    out.print(escape(printable(text, lines=True)), highlight=False, soft_wrap=True)


def problem(error: RestorekitError, kind: str = "Error") -> None:
    """An error: file, reason, hint."""
    where = "" if error.path is None else f"{error.path}: "
    hint = f" {printable(with_flags(error.hint), lines=True)}" if error.hint else ""  # the tree of a data set has lines
    told = printable(f"{where}{with_flags(error.reason)}") + hint
    err.print(f"[bold red]{kind}:[/] {escape(told)}", highlight=False, soft_wrap=True)


def explain(error: OSError | ModuleNotFoundError) -> RestorekitError | None:
    """What the system says against a path or against writing, or which package is missing; None for a defect."""
    if isinstance(error, ModuleNotFoundError):
        name = OPTIONAL.get((error.name or "").partition(".")[0])
        hint = (
            "Run `pip install restorekit`. Without, deblur and sr restore by graphs: --weights net.onnx --backend onnx."
        )
        return UsageError(f"This needs {name}, which is not installed.", hint) if name else None
    if error.errno in NO_ROOM:
        return UnwritableOutput(f"Nothing can be written any more ({error.strerror}).", "Make room.")
    if error.errno in (errno.ENAMETOOLONG, errno.EACCES) and error.filename is not None:
        return UsageError(f"It cannot be reached ({error.strerror}).", "Check the name.", Path(error.filename))
    return None

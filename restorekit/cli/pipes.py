"""One image from stdin or to stdout, where `-` stands for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from restorekit.cli.console import say, with_flags
from restorekit.errors import UnreadableImage, UnwritableOutput, UsageError
from restorekit.media.sniff import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restorekit.inference.image import Size
    from restorekit.inference.settings import Settings
    from restorekit.models.spec import Task
    from restorekit.pipeline.still import OnDoubt
    from restorekit.runtime.progress import Progress

PIPE = Path("-")
STDIN, STDOUT = 0, 1  # descriptors
BLOCK = 1 << 20  # bytes that are read at once


class Choices(TypedDict):
    """What decides the pixels of results; see `restore_folder`."""

    model: str
    weights: str | None
    scale: int | None
    task: Task
    config: Mapping[str, object]
    settings: Settings
    size: Size
    max_pixels: int
    on_doubt: OnDoubt


def is_piped(inputs: list[Path], out: Path, *for_folders: object) -> bool:
    """Whether the input or the result is a pipe.

    Args:
        inputs, out: what the user named.
        for_folders: values of --compare, --report, --dry-run and --watch.

    Raises:
        UsageError: it is, and one of these options is given.
    """
    piped = PIPE in (*inputs, out)
    if piped and any(for_folders):
        raise UsageError("--compare, --report, --dry-run and --watch do not go with -.", "Leave them out.")
    return piped


def restore_piped(inputs: list[Path], out: Path, choices: Choices, progress: Progress) -> None:
    """Restore one image whose input or result is a pipe. Nothing but a whole result is written.

    Raises:
        UsageError: several images, a folder, or a terminal.
        RestorekitError: see `restore_bytes`.
    """
    from restorekit.media.decode import most_bytes, read_content
    from restorekit.pipeline.still import restore_bytes
    from restorekit.runtime.atomic import write_atomically

    source = inputs[0]
    if len(inputs) > 1 or source.is_dir():
        raise UsageError("- takes one image.", "Name a folder for the results of several.")
    if out != PIPE and out.suffix.lower() not in SUFFIXES:
        raise UsageError(
            "The result of standard input needs a name.",
            "Write it like -o result.png, or -o - for standard output.",
            out,
        )
    if source == PIPE and os.isatty(STDIN):
        raise UsageError(
            "Standard input is a terminal, not an image.", "Write it like restorekit deblur - < image.png."
        )
    if out == PIPE and os.isatty(STDOUT):
        raise UsageError("An image is not written to a terminal.", "Send it to a file or another program.")
    most = choices["max_pixels"]
    data = _read_stdin(most_bytes(most)) if source == PIPE else read_content(source, most)
    source = Path("standard input") if source == PIPE else source
    format = None if out == PIPE else SUFFIXES[out.suffix.lower()]
    restored, result = restore_bytes(data, source, out, format, **choices, progress=progress)
    if out == PIPE:
        _write_stdout(restored)
    else:
        write_atomically(out, restored)
    progress.end(None)
    for remark in filter(None, (result.doubt, result.info.approximation if result.info else "", *result.lost)):
        say(f"The result: {with_flags(remark)}.")


def _read_stdin(most: int) -> bytes:
    data = bytearray()
    try:
        while block := os.read(STDIN, BLOCK):
            data += block
            if len(data) > most:
                raise UnreadableImage(
                    f"Standard input holds more than the {most} bytes that are read.",
                    "Raise --max-pixels if that is right.",
                )
    except OSError as error:
        raise UnreadableImage(f"Standard input cannot be read ({error.strerror}).", "Send an image to it.") from error
    return bytes(data)


def _write_stdout(data: bytes) -> None:
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(STDOUT, left) :]
    except OSError as error:
        raise UnwritableOutput(
            f"Standard output cannot be written ({error.strerror}).", "Make room, or let the other program read all."
        ) from error

"""Options and values that several subcommands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from restorekit.errors import UsageError

Inputs = Annotated[list[Path], typer.Argument(help="Pictures, folders (with everything below) or glob patterns.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16. auto is fp16 on a GPU, fp32 on a CPU.")]
Weights = Annotated[
    str,
    typer.Option(help="A tag of the model's weights (see `restorekit models`), a file, auto, or none for random ones."),
]
Config = Annotated[
    list[str] | None,
    typer.Option(help="Option of the system, KEY=VALUE, e.g. variant=lanczos for bicubic; may be repeated."),
]
Tile = Annotated[str, typer.Option(help="Side of the tiles in pixels, or auto.")]
Overlap = Annotated[str, typer.Option(help="Context around a tile in pixels; auto is the network's reach: no seams.")]
Statistics = Annotated[
    str,
    typer.Option(
        help="For networks that normalise by the picture's statistics and pictures too large for one piece: fast "
        "gathers them once, exact until they are right."
    ),
]
Batch = Annotated[str, typer.Option(help="Tiles computed together, or auto.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Restore again what is already done.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")]
Compare = Annotated[
    Path | None, typer.Option(help="Write pictures that show input and result side by side to this folder.")
]
Report = Annotated[Path | None, typer.Option(help="Write one line of JSON for every picture to this file.")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Results go here; the tree of folders is kept.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]


def settings(device: str, precision: str, tile: str, overlap: str, statistics: str, batch: str) -> dict[str, Any]:
    """The fields of `inference.engine.Settings` from their texts on the command line.

    Raises:
        UsageError: one of them makes no sense.
    """
    return {
        "device": device,
        "precision": one_of(precision, "precision", ("auto", "fp32", "bf16", "fp16")),
        "tile": whole(tile, "tile"),
        "overlap": whole(overlap, "overlap"),
        "statistics": one_of(statistics, "statistics", ("fast", "exact")),
        "batch": whole(batch, "batch"),
    }


def span(text: str, name: str) -> tuple[float, float]:
    """`LOW:HIGH`, or one number for both.

    Raises:
        UsageError: neither.
    """
    try:
        low, _, high = text.partition(":")
        return float(low), float(high or low)
    except ValueError:
        raise UsageError(f"--{name} {text} is no range.", f"Write it like --{name} 50:80.") from None


def whole(text: str, name: str) -> int | None:
    """A positive whole number, or None for `auto`.

    Raises:
        UsageError: neither.
    """
    if text == "auto":
        return None
    if text.isdecimal() and (int(text) > 0 or name == "overlap"):
        return int(text)
    raise UsageError(f"--{name} {text} is neither auto nor a number of pixels.", f"Write it like --{name} 512.")


def one_of(text: str, name: str, choices: tuple[str, ...]) -> str:
    """One of the choices.

    Raises:
        UsageError: something else.
    """
    if text not in choices:
        raise UsageError(f"--{name} cannot be '{text}'.", f"Use {', '.join(choices)}.")
    return text


def config(entries: list[str] | None) -> dict[str, object]:
    """`KEY=VALUE` entries; values that look like whole numbers are numbers.

    Raises:
        UsageError: an entry is not like that.
    """
    found: dict[str, object] = {}
    for entry in entries or []:
        key, equals, value = entry.partition("=")
        if not (key and equals and value):
            raise UsageError(f"--config {entry} is not KEY=VALUE.", "Write it like --config variant=lanczos.")
        found[key] = int(value) if value.removeprefix("-").isdecimal() else value
    return found


def numbers(entries: list[str], name: str) -> dict[str, float]:
    """`KEY=VALUE` entries, several of them separated by commas.

    Raises:
        UsageError: an entry is not like that.
    """
    found: dict[str, float] = {}
    for entry in ",".join(entries).split(",") if entries else []:
        key, _, value = entry.partition("=")
        try:
            found[key.strip()] = float(value)
        except ValueError:
            raise UsageError(
                f"--{name} {entry} is not KEY=NUMBER.", f"Write it like --{name} linear=0.6,sharp=0.4."
            ) from None
    return found

"""Options and values that several subcommands share."""

from pathlib import Path
from typing import Annotated

import typer

from restorekit.errors import UsageError

Inputs = Annotated[list[Path], typer.Argument(help="Pictures, folders (with everything below) or glob patterns.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16. auto is fp16 on a GPU, fp32 on a CPU.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]


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

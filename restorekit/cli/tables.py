"""Tables that fit their terminal and break no word."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from restorekit.cli.console import out, printable

GAP = 2
"""Columns of characters between two columns of a table."""
UNLIMITED = 100_000
"""Width of what no terminal shows: nothing is wrapped there, so that other programs can read it line by line."""


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    header: str
    justify: Literal["left", "right"] = "left"
    wraps: bool = False
    """Whether cells may be wrapped at their spaces; at most one column of a table may."""
    optional: bool = False
    """Whether the column may be left out where the terminal is too narrow; the last such column goes first."""


def terminal_width() -> int | None:
    """Characters in a line of the terminal; None where stdout is none, unless COLUMNS asks for a width."""
    return out.width if out.is_terminal or "COLUMNS" in os.environ else None


def print_table(title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int | None) -> None:
    """Print a table to stdout.

    Args:
        title: its heading.
        columns: of the table.
        rows: a text for every column.
        width: characters that a line may have; None for as many as the texts need.
    """
    cells = [[column.header for column in columns], *([printable(cell) for cell in row] for row in rows)]
    needed = [max(_least_width(row[at], column.wraps) for row in cells) for at, column in enumerate(columns)]
    kept = list(range(len(columns)))
    while width is not None and sum(needed[at] for at in kept) + GAP * (len(kept) - 1) > width:
        optional = [at for at in kept if columns[at].optional]
        if not optional:
            width = None
            break
        kept.remove(optional[-1])
    table = Table(
        title=escape(printable(title)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),
    )
    taken = sum(needed[at] for at in kept if not columns[at].wraps) + GAP * (len(kept) - 1)
    for at in kept:
        column = columns[at]
        room = None if width is None or not column.wraps else max(needed[at], width - taken)
        table.add_column(column.header, justify=column.justify, no_wrap=not column.wraps, max_width=room)
    for row in cells[1:]:
        table.add_row(*(escape(row[at]) for at in kept))
    Console(file=out.file, width=width or UNLIMITED, emoji=False).print(table)


def _least_width(text: str, wraps: bool) -> int:
    """Places that a cell needs on the screen; some characters take two."""
    return max(map(cell_len, text.split()), default=0) if wraps else cell_len(text)

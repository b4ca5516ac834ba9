"""What a score means, and what was published under the same conditions: one TOML file a protocol in `protocols/`."""

import tomllib
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Literal

from restorekit.errors import UsageError
from restorekit.imaging.colour import Colour
from restorekit.metrics import SSIMVariant

FOLDER = Path(__file__).parent / "protocols"


@dataclass(frozen=True)
class Table:
    """Published numbers, as printed."""

    title: str
    columns: tuple[str, ...]
    """Of psnr (dB), ssim, mos (1..5), seconds."""
    rows: dict[str, tuple[float, ...]]
    """Values by method, in the order of the columns; a row may end early."""
    pictures: dict[str, dict[str, tuple[float, ...]]] = field(default_factory=dict)
    """The same for single pictures, where the paper prints them."""
    set: str = ""
    """The part of the data that the table is about; empty for all of it."""
    scale: int = 0
    """The enlargement that the table is about; 0 where the protocol says it."""
    note: str = ""

    def value(self, method: str, column: str, picture: str = "") -> float | None:
        """A printed number; None where there is none."""
        row = (self.pictures.get(picture, {}) if picture else self.rows).get(method, ())
        place = self.columns.index(column) if column in self.columns else len(row)
        return row[place] if place < len(row) else None


@dataclass(frozen=True)
class Protocol:
    """How pictures are prepared and compared. Scores of different protocols are never averaged or compared."""

    name: str
    title: str
    source: str
    text: str
    """The definition in words, as reports print it."""
    layout: str
    """Name of a reader in `layouts`."""
    colour: Colour
    ssim: SSIMVariant
    task: Literal["deblur", "sr"] = "deblur"
    border: int | Literal["scale"] = 0
    """Pixels cut from every side before comparing; "scale" is the enlargement."""
    centre: int = 0
    """Side of the central square that is cut out before restoring; 0 takes the whole picture."""
    scale: int = 0
    """The enlargement the protocol is fixed to; 0 for any."""
    small: Literal["", "matlab", "pillow", "opencv"] = ""
    """Who makes the small pictures (super-resolution)."""
    align: Literal["none", "shift", "ecc"] = "none"
    """What is aligned before comparing; see `imaging.alignment`."""
    reference: Literal["best", "middle"] = "best"
    """Which of several sharp frames counts."""
    expected: int = 0
    """Pictures in the paper's test set; 0 if that is not fixed."""
    other_data: bool = False
    """The published rows are of other pictures."""
    blur: dict[str, Any] = field(default_factory=dict)
    """Changes to `degradation.synthetic_blur.BlurSettings`, for sets that are blurred here."""
    notes: tuple[str, ...] = ()
    """What does not fit in the published numbers."""
    tables: tuple[Table, ...] = ()

    def cut(self, scale: int) -> int:
        """The border in pixels."""
        return scale if self.border == "scale" else self.border


@cache
def load_protocol(name: str) -> Protocol:
    """One protocol.

    Raises:
        UsageError: there is none of that name; the message names close ones.
    """
    path = FOLDER / f"{name}.toml"
    if name not in protocol_names():
        near = get_close_matches(name, protocol_names(), n=3) or list(protocol_names())
        raise UsageError(f"There is no protocol called '{name}'.", f"Did you mean {', '.join(near)}?")
    found = tomllib.loads(path.read_text(encoding="utf-8"))
    tables = tuple(_table(one) for one in found.pop("tables", []))
    return Protocol(name=name, tables=tables, **{key: _frozen(value) for key, value in found.items()})


def protocol_names() -> tuple[str, ...]:
    """Names of all protocols."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def definition(protocol: Protocol) -> dict[str, Any]:
    """All that decides a score, for records and reports: everything but the published numbers and the words."""
    words = {"title", "source", "text", "notes", "tables", "other_data", "expected"}
    return {one.name: getattr(protocol, one.name) for one in fields(protocol) if one.name not in words}


def _table(found: dict[str, Any]) -> Table:
    rows = {method: tuple(values) for method, values in found.pop("rows").items()}
    pictures = {
        picture: {method: tuple(values) for method, values in methods.items()}
        for picture, methods in found.pop("pictures", {}).items()
    }
    return Table(rows=rows, pictures=pictures, **{key: _frozen(value) for key, value in found.items()})


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

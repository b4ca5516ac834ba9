"""What a score means, and what was published under the same conditions: one TOML file a protocol in `protocols/`."""

import tomllib
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from restorekit.degradation.choices import DownscaleMethod
from restorekit.degradation.synthetic_blur import BlurSettings
from restorekit.errors import UsageError
from restorekit.evaluation.datasets import LayoutName
from restorekit.imaging.alignment import Alignment
from restorekit.imaging.colour import Colour
from restorekit.metrics import SSIMVariant

FOLDER = Path(__file__).parent / "protocols"

Row = tuple[float, ...]


class PublishedTable(BaseModel):
    """Published numbers, as printed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    columns: tuple[Literal["psnr", "ssim", "mos", "seconds", "epoch_seconds"], ...]
    """psnr in dB, mos from 1 to 5, seconds for restoring one image, epoch_seconds for training one epoch."""
    rows: dict[str, Row]
    """Values by method, in the order of the columns; a row may end early."""
    images: dict[str, dict[str, Row]] = Field(default_factory=dict)
    """The same for single images, where the paper prints them."""
    subset: str = ""
    """The part of the data set that the table is about; empty for all of it."""
    scale: int = 0
    """The enlargement that the table is about; 0 where the protocol says it."""

    @model_validator(mode="after")
    def _rows_fit_columns(self) -> "PublishedTable":
        for rows in (self.rows, *self.images.values()):
            for method, values in rows.items():
                if len(values) > len(self.columns):
                    raise ValueError(f"'{method}' has {len(values)} values for {len(self.columns)} columns")
        return self

    def printed(self, method: str, image: str = "") -> dict[str, float]:
        """What is printed of a method by column: its means, or its values for one image."""
        rows = self.images.get(image, {}) if image else self.rows
        return dict(zip(self.columns, rows.get(method, ()), strict=False))


class Protocol(BaseModel):
    """How images are prepared and compared. Scores of different protocols are never averaged or compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    source: str
    """Where the published rows come from."""
    text: str
    """The definition in words, as reports print it."""
    layout: LayoutName
    colour: Colour
    ssim: SSIMVariant
    task: Literal["deblur", "sr"] = "deblur"
    border: int | Literal["scale"] = 0
    """Pixels cut from every side before comparing; "scale" is the enlargement."""
    center_crop: int = 0
    """Side of the central square that is cut out before restoring; 0 takes the whole image."""
    scale: int = 0
    """The enlargement the protocol is fixed to; 0 for any."""
    downscale: DownscaleMethod | None = None
    """How the small images of super-resolution are made; see `degradation.downscale`."""
    align: Alignment = "none"
    """What is aligned before comparing; see `imaging.alignment.align`."""
    reference: Literal["best", "middle"] = "best"
    """Which of several sharp frames counts."""
    expected: int = 0
    """Images in the paper's test set; 0 if that is not fixed."""
    split: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Frames of every part, where the paper splits a set of the layout "frames"; the part "test" is measured."""
    frame_size: tuple[int, int] | None = None
    """Width and height of the paper's frames in pixels."""
    epoch_samples: int = 0
    """Crops of one epoch in the paper's training; 0 if it prints no time for one."""
    other_data: bool = False
    """The published rows are of other images."""
    blur: BlurSettings | None = None
    """How sets of the layout "frames" are blurred here."""
    notes: tuple[str, ...] = ()
    """What does not fit in the published numbers."""
    tables: tuple[PublishedTable, ...] = ()

    @model_validator(mode="after")
    def _enlarging_says_from_what(self) -> "Protocol":
        if (self.task == "sr") != (self.downscale is not None):
            raise ValueError("'downscale' belongs to the task 'sr', and to no other")
        return self

    @model_validator(mode="after")
    def _frames_say_how_they_are_blurred(self) -> "Protocol":
        if (self.layout == "frames") != (self.blur is not None):
            raise ValueError("'blur' belongs to the layout 'frames', and to no other")
        return self

    @model_validator(mode="after")
    def _frames_are_split_into_what_is_tested(self) -> "Protocol":
        if self.split and (self.layout != "frames" or self.split.get("test") != self.expected):
            raise ValueError("'split' belongs to the layout 'frames', and its part 'test' has as many as 'expected'")
        return self

    def split_of(self, count: int) -> dict[str, int] | None:
        """Frames of every part of a set of so many; one that is too small for the split has a test part alone."""
        if not self.split or count >= sum(self.split.values()):
            return self.split or None
        return {"test": min(self.split["test"], count)}

    def border_pixels(self, scale: int) -> int:
        """The border in pixels."""
        return scale if self.border == "scale" else self.border

    def definition(self) -> dict[str, Any]:
        """All that decides a score, as JSON knows it: everything but the published numbers and the words."""
        words = {"title", "source", "text", "notes", "tables", "other_data", "expected", "frame_size", "epoch_samples"}
        return self.model_dump(mode="json", exclude=words)


@cache
def load_protocol(name: str) -> Protocol:
    """One protocol that ships.

    Raises:
        UsageError: there is none of that name; the message names close ones.
    """
    if name not in protocol_names():
        near = get_close_matches(name, protocol_names(), n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Choose one of {', '.join(protocol_names())}."
        raise UsageError(f"There is no protocol called '{name}'.", hint)
    return read_protocol(FOLDER / f"{name}.toml")


def protocol_names() -> tuple[str, ...]:
    """Names of all protocols that ship."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def read_protocol(path: Path) -> Protocol:
    """A protocol from its file; the file's name is the protocol's.

    Raises:
        UsageError: the file is no TOML, a key is unknown or missing, or a value is not one of the allowed.
    """
    try:
        return Protocol.model_validate(tomllib.loads(path.read_text(encoding="utf-8")) | {"name": path.stem})
    except OSError as error:
        raise UsageError(f"The protocol cannot be read ({error.strerror}).", "Check its path.", path) from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The protocol is no TOML ({error}).", "Correct the file.", path) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the protocol"
        reason = first["msg"].removeprefix("Value error, ").rstrip(".")
        raise UsageError(f"{key}: {reason}.", "Correct the file.", path) from None

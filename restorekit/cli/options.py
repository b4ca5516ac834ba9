"""Options and values that several subcommands share."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from restorekit.errors import UsageError
from restorekit.inference import settings
from restorekit.runtime import precision

if TYPE_CHECKING:
    from restorekit.pipeline.video_settings import VideoSettings

Inputs = Annotated[
    list[Path],
    typer.Argument(help="Images, videos, folders (all below but hidden files and linked folders) or glob patterns."),
]
InputsOrPipe = Annotated[
    list[Path],
    typer.Argument(
        help="Images, videos, folders (all below but hidden files and linked folders), glob patterns, or - for stdin."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Precision = Annotated[
    precision.Precision, typer.Option(help="Type to compute in. auto is fp16 on a GPU, fp32 on a CPU.")
]
PrecisionOrInt8 = Annotated[
    Literal["auto", "fp32", "bf16", "fp16", "int8"],
    typer.Option(
        "--precision",
        help="Type to compute in. auto is fp16 on a GPU, fp32 on a CPU; int8 takes the file that ships beside "
        "some weights (see `restorekit models show`), or --weights that `quantize` made.",
    ),
]
Backend = Annotated[
    Literal["torch", "onnx", "openvino", "auto"] | None,
    typer.Option(
        help="What computes, by default torch, and auto for graphs; onnx and openvino need restorekit's extras of "
        "these names. auto measures those installed when a network is first used here and takes the fastest that "
        "gives the same; of graphs openvino, else onnx."
    ),
]
Provider = Annotated[settings.Provider, typer.Option(help="Execution provider of --backend onnx.")]
Weights = Annotated[
    str,
    typer.Option(help="A tag of the model's weights (see `restorekit models`), a file, auto, or none for random ones."),
]
Config = Annotated[
    list[str] | None,
    typer.Option(
        help="Option of the system, KEY=VALUE, e.g. variant=lanczos for bicubic, taps=5,10 or prenet=none for gggan; may be "
        "repeated."
    ),
]
Tile = Annotated[
    int | None, typer.Option(min=1, help="Side of the tiles in pixels; by default the shape that costs least.")
]
Overlap = Annotated[
    int | None,
    typer.Option(min=0, help="Context around a tile in pixels; by default the receptive field, so that nothing shows."),
]
Statistics = Annotated[
    settings.Statistics,
    typer.Option(
        help="For networks that normalise by the image's statistics and images too large for one piece: fast "
        "gathers them once, exact until they are right."
    ),
]
Batch = Annotated[int | None, typer.Option(min=1, help="Tiles computed together; by default what is fastest.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Restore again what is already done.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")]
Watch = Annotated[
    bool,
    typer.Option("--watch", help="Keep an eye on the folder and restore what arrives, until Ctrl-C or SIGTERM."),
]
Compare = Annotated[
    Path | None, typer.Option(help="Write views of input and result side by side to this folder; not of videos.")
]
Report = Annotated[Path | None, typer.Option(help="Write one line of JSON for every image and video to this file.")]
MaxPixels = Annotated[int, typer.Option(min=1, help="Images with more pixels fail before memory is taken for them.")]
OnDoubt = Annotated[
    Literal["keep", "copy"],
    typer.Option(help="Where a result looks like a failure beside its input: keep it, or copy the input instead."),
]
Codec = Annotated[
    str | None,
    typer.Option(
        help="Of videos: h264, hevc, vp9, av1, prores, ffv1 or FFmpeg's name of an encoder; by default h264, hevc for more "
        "than 8 bits, vp9 in WebM."
    ),
]
Crf = Annotated[
    int | None, typer.Option(min=0, max=63, help="Constant rate factor of videos; lower is better and larger.")
]
Preset = Annotated[str | None, typer.Option(help="Preset of a video's encoder, e.g. slow.")]
Lossless = Annotated[bool, typer.Option("--lossless", help="Write videos as FFV1 in Matroska.")]
Frames = Annotated[
    str | None, typer.Option(help="Restore only a part of each video: FIRST:BEHIND, counted from 0, e.g. 100:200.")
]
Deinterlace = Annotated[bool, typer.Option("--deinterlace", help="Make whole frames of interlaced video first.")]
Preview = Annotated[
    int, typer.Option(min=0, help="Only write so many stills of each video, before and after side by side.")
]
Fps = Annotated[
    str | None, typer.Option(help="Images a second, where numbered images become a video, e.g. 25 or 30000/1001.")
]
Target = Annotated[
    Path,
    typer.Option(
        "--out",
        "-o",
        help="Results go to this folder; the tree of folders is kept. Or the only result: sharp.png for one PNG, clip.mp4, "
        "or frames/%06d.png for a video's frames, numbered from 0; or - for stdout.",
    ),
]
ProgressKind = Annotated[
    Literal["bar", "json"],
    typer.Option("--progress", help="json: one line of JSON an event on stderr instead of a bar, for programs."),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]


def video_settings(
    codec: str | None,
    crf: int | None,
    preset: str | None,
    lossless: bool,
    frames: str | None,
    deinterlace: bool,
    fps: str | None,
    preview: int,
) -> "VideoSettings":
    """How videos are restored and written.

    Raises:
        UsageError: an option has no such value.
    """
    from restorekit.media.encoding import Encoding
    from restorekit.pipeline.video_settings import VideoSettings

    part = None
    if frames is not None:
        first, _, behind = frames.partition(":")
        if not (first.isdecimal() and behind.isdecimal() and int(first) < int(behind)):
            raise UsageError(f"--frames {frames} is no part.", "Write it like --frames 100:200.")
        part = int(first), int(behind)
    try:
        rate = None if fps is None else Fraction(fps)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--fps {fps} is no rate.", "Write it like --fps 25 or --fps 30000/1001.") from None
    return VideoSettings(Encoding(codec, crf, preset, lossless), part, deinterlace, rate, preview)


def size(text: str, name: str, example: str) -> tuple[int, int]:
    """`WIDTHxHEIGHT`.

    Raises:
        UsageError: something else.
    """
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise UsageError(f"--{name} {text} is no size.", f"Write it like --{name} {example}.")
    return int(width), int(height)


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


def numbers(entries: list[str], name: str, example: str) -> dict[str, float]:
    """`KEY=VALUE` entries, several of them separated by commas.

    Raises:
        UsageError: an entry is not like that.
    """
    values: dict[str, float] = {}
    for entry in ",".join(entries).split(",") if entries else []:
        key, _, value = entry.partition("=")
        try:
            values[key.strip()] = float(value)
        except ValueError:
            raise UsageError(f"--{name} {entry} is not KEY=NUMBER.", f"Write it like --{name} {example}.") from None
    return values


def whole_numbers(text: str, name: str) -> tuple[int, ...]:
    """Whole numbers, separated by commas.

    Raises:
        UsageError: something else.
    """
    try:
        return tuple(int(number) for number in text.split(","))
    except ValueError:
        raise UsageError(f"--{name} {text} is no list of whole numbers.", f"Write it like --{name} 5,10.") from None

"""Pairs out of high-speed frames: the mean of an odd number is the blurred image, the one in the middle the sharp one.

As the GoPro set was made (Nah et al., CVPR 2017, section 3): 7 to 23 frames of 240 a second. A sequence is a folder of
frames or a video. Windows follow one another; where they begin and end depends on the seed and the sequence's name alone.
"""

import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from restorekit.degradation.choices import Light
from restorekit.degradation.light import Curve, draw_curve, from_light, to_light
from restorekit.degradation.noise import add_noise
from restorekit.degradation.pair_plan import PlannedPair, assign_parts, draw_digest
from restorekit.degradation.pairs import PairMaker, PairsSummary, complete_set, fit, to_storable
from restorekit.degradation.ranges import check_range, check_size
from restorekit.errors import UnreadableImage, UsageError
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.media.decode import decode_image, read_content
from restorekit.media.discover import Job, check_apart, find_images, looks_like_video
from restorekit.media.video_reader import VideoInfo, VideoReader, read_info, upright
from restorekit.runtime.progress import SILENT, Progress


@dataclass(frozen=True)
class FrameSettings:
    """How frames become pairs."""

    frames: tuple[int, int] = (7, 23)
    """Fewest and most in a mean; an odd number is drawn for each."""
    stride: int = 0
    """Frames from the beginning of a window to that of the next; 0 lets each begin where the last one ends."""
    light: Light = "auto"
    """What is averaged. auto: both that the GoPro set has, stored values in the folder blur and light by a gamma of 2.2 in
    blur_gamma; otherwise there is blur alone."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on the blurred image, in grey levels of 255."""
    seed: int = 0
    resize: tuple[int, int] | None = None
    """Width and height of both images; None leaves them as they are."""

    kind: ClassVar[str] = "frames"

    def __post_init__(self) -> None:
        low, high = self.frames
        if not 1 <= low <= high or (low == high and not low % 2):
            raise UsageError(f"`frames` has no odd number from {low} to {high}.", "Give a range such as 7:23.")
        if self.stride < 0:
            raise UsageError(f"`stride` cannot be {self.stride}.", "Give 0 or more frames.")
        if self.light not in get_args(Light):
            raise UsageError(f"`light` cannot be '{self.light}'.", f"Use {', '.join(get_args(Light))}.")
        check_range("noise", (self.noise, self.noise), 0)
        check_size(self.resize)

    @property
    def halves(self) -> tuple[str, ...]:
        """Folders that the images go to."""
        return ("blur", "blur_gamma", "sharp") if self.light == "auto" else ("blur", "sharp")

    def draw_count(self, rng: np.random.Generator) -> int:
        """Draw an odd number of frames."""
        low, high = self.frames
        return 2 * int(rng.integers(low // 2, (high - 1) // 2 + 1)) + 1


@dataclass(frozen=True)
class PlannedWindow(PlannedPair):
    """A pair whose original is a run of frames; its job is the sequence."""

    first: int
    """Its first frame in the sequence, from 0."""
    count: int
    frames: tuple[Path, ...]
    """Their files; empty for a video."""
    video: VideoInfo | None
    digest: bytes
    """SHA-256 of the video's file; empty for files of frames."""

    @property
    def centre(self) -> int:
        """The sharp frame in the window, from 0."""
        return self.count // 2


def synthesize_frames(
    inputs: Iterable[Path],
    out: Path,
    *,
    settings: FrameSettings = FrameSettings(),
    split: Mapping[str, int] | None = None,
    workers: int | None = None,
    progress: Progress = SILENT,
) -> PairsSummary:
    """Build a paired set out of high-speed frames, or complete it: `OUT/<part>/{blur,blur_gamma,sharp}/SEQUENCE/NNNNNN.png`.

    The record is that of `synthesize_pairs`, and the same is promised of its bytes. NNNNNN is the number of the sharp frame
    in its sequence, from 0; facts hold it as `centre`, and the window as `first` and `count`. `source_sha256` is that of the
    sharp frame's file or of the video.

    Args:
        inputs: folders of frames in the order of their names (numbers by their value), folders of such folders, videos.
        out: where the set goes.
        settings: how to average.
        split: sequences of every part, see `synthesize_pairs`; windows of one sequence never part.
        workers, progress: see `synthesize_pairs`.

    Raises:
        UsageError: no frames, fewer sequences than the split asks for, two of one name, or too few frames for a window.
        UnreadableImage: a video cannot be read.
        UnwritableOutput: the record cannot be written, the disk is full, or another run works in `out`.
    """
    out = Path(out)
    sequences = _find_sequences([Path(item) for item in inputs], out)
    planned = [
        window
        for part, job in sorted(
            assign_parts(list(sequences), split, settings.seed), key=lambda item: (item[0], item[1].relative)
        )
        for window in _plan_windows(part, job, sequences[job], settings)
    ]
    if not planned:
        raise UsageError(f"No sequence has {settings.frames[0]} frames.", "Average fewer.")
    return complete_set(out, planned, FrameMaker(settings), workers, None, progress)


def mean_of_frames(frames: Sequence[NDArray[Any]], curve: Curve) -> NDArray[np.float32]:
    """The mean of images (H,W,C) of one size and type in light, as stored values in 0..1."""
    total = np.zeros(frames[0].shape, np.float32)
    for frame in frames:
        total += to_light(to_unit(frame), curve)
    return from_light(total / np.float32(len(frames)), curve)


class FrameMaker(PairMaker):
    """Makes the pairs of windows; its settings are `FrameSettings`."""

    def read(self, pair: PlannedPair) -> tuple[list[bytes], dict[str, Any]]:
        """The files of a window's frames, or the video's own."""
        assert isinstance(pair, PlannedWindow)
        source = [read_content(path) for path in pair.frames]
        digests = [hashlib.sha256(content).digest() for content in source] or [pair.digest]
        return source, {
            "source": pair.job.relative.as_posix(),
            "source_sha256": digests[pair.centre if pair.frames else 0].hex(),
            "frames_sha256": hashlib.sha256(b"".join(digests)).hexdigest(),
            "first": pair.first,
            "count": pair.count,
            "centre": pair.first + pair.centre,
        }

    def render(
        self, pair: PlannedPair, source: list[bytes], rng: np.random.Generator
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The means and the frame in the middle."""
        assert isinstance(pair, PlannedWindow)
        if pair.video is None:
            frames = [to_storable(decode_image(content).pixels) for content in source]
        else:
            frames = _decode_video(pair.video, pair.first, pair.count)
        sharp = frames[pair.centre]
        if {(frame.shape, frame.dtype) for frame in frames} != {(sharp.shape, sharp.dtype)}:
            raise UsageError("The frames of a window differ in size or type.", "Put one sequence into one folder.")
        settings: FrameSettings = self.settings
        curves: dict[str, Curve]
        if settings.light == "auto":
            curves = {"blur": "stored", "blur_gamma": "gamma"}
        else:
            curves = {"blur": draw_curve(settings.light, False, rng)}
        images = {"sharp": fit(sharp, settings.resize)}
        for half, curve in curves.items():
            blurred = fit(mean_of_frames(frames, curve), settings.resize).astype(np.float32)
            images[half] = from_unit(add_noise(blurred, settings.noise, rng), sharp.dtype)
        return images, {"kind": "frames", "light": curves["blur"]}


def _find_sequences(inputs: list[Path], out: Path) -> dict[Job, tuple[Path, ...]]:
    """Sequences by name, with the files of their frames; none for a video."""
    check_apart(inputs, [out])
    sequences: dict[Job, tuple[Path, ...]] = {}
    for item in inputs:
        if item.is_file() and looks_like_video(item):
            sequences[Job.of(item, Path(item.stem))] = ()
            continue
        folders: dict[Path, list[Path]] = {}
        for job in find_images([item], [out]):
            folders.setdefault(job.source.parent, []).append(job.source)
        for folder, files in folders.items():
            name = (
                folder.relative_to(item) if folder != item and item in folder.parents else Path(folder.resolve().name)
            )
            sequences[Job.of(folder, name)] = tuple(sorted(files, key=lambda file: _natural(file.name)))
    names = [job.relative for job in sequences]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"Two sequences are called {twice}.", "Name the folder that holds both.")
    return sequences


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts frame9 before frame10."""
    return [(int(piece), "") if piece.isdigit() else (-1, piece) for piece in re.split(r"(\d+)", name)]


def _plan_windows(part: str, job: Job, files: tuple[Path, ...], settings: FrameSettings) -> Iterable[PlannedWindow]:
    video, digest = None, b""
    if not files:
        video = read_info(job.source)
        with job.source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    total = len(files) if video is None else len(video.video.times)
    name = job.relative.as_posix()
    rng = np.random.default_rng(int.from_bytes(draw_digest(settings.seed, name)[:8], "big"))
    first = 0
    while first + (count := settings.draw_count(rng)) <= total:
        centre, chosen = first + count // 2, files[first : first + count]
        yield PlannedWindow(job, part, f"{name}/{centre:06}.png", centre, first, count, chosen, video, digest)
        first += settings.stride or count


def _decode_video(video: VideoInfo, first: int, count: int) -> list[NDArray[Any]]:
    """Frames `first` to `first + count - 1`, upright; counted as they are decoded, never by time.

    Raises:
        UnreadableImage: one of them is damaged.
    """
    images = []
    for frame in itertools.islice(VideoReader(video, first=first), count):
        if frame.error is not None:
            raise frame.error
        images.append(upright(frame, video).pixels)
    if len(images) != count:
        raise UnreadableImage(f"Frames {first} to {first + count - 1} cannot be decoded.", "", video.path)
    return images

"""Write videos: encode frames by segments, then join these and copy everything else from the source, bit for bit.

A segment is a file of its own that another encoder made, so a run that was killed goes on behind the last finished one.
Encoders count frames and know no times. Those of the source are put on the packets when the segments are joined, so they
are the source's by construction, at constant and variable frame rates alike.
"""

import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.codec.codec
import av.codec.context
import av.container
import av.error
import av.filter
import av.stream
import av.video.stream
import cv2
import numpy as np

from restorekit.errors import UnwritableOutput, UsageError
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.media.encoding import CONTAINERS, ENCODERS, Encoding
from restorekit.media.image import Image
from restorekit.media.video import Frame
from restorekit.media.video_colour import UNSTATED, Colour, matrix_or_default
from restorekit.media.video_reader import (
    FULL_RANGE,
    MADE_ANEW,
    SUBSAMPLINGS,
    StreamFacts,
    VideoInfo,
    opened,
    packets,
    read_info,
)
from restorekit.runtime.atomic import put_in_place, replacing

CRF = {"libx264": 16, "libx265": 18, "libvpx-vp9": 20, "libsvtav1": 20}
"""Constant rate factors that keep what a restoration has gained."""
NVENC_QUALITY = 19
PACKED = {"nv12": "yuv420p", "p010le": "yuv420p10le"}
"""What some hardware encoders take, and the planes that say the same."""
STATISTICS = ("_STATISTICS", "BPS", "DURATION", "NUMBER_OF_")
"""How tags begin that count the source's own packets."""
ATTACHED = ("attachment", "cover")
"""Kinds of streams without times."""
COVERS = {"png": "image/png", "mjpeg": "image/jpeg"}
"""Media types of pictures, by FFmpeg's codecs."""
KEEPS_EMPTY = ("matroska", "webm")
"""Containers that keep streams without packets."""
NARROW = 64  # px
AVX_512F = 13  # CV_CPU_AVX_512F, which OpenCV's Python module does not name
HARDWARE = av.codec.codec.Capabilities.hardware | av.codec.codec.Capabilities.hybrid
"""What FFmpeg says of encoders that need a device; of Apple's it says neither."""
ALPHA = ("prores_ks", "ffv1", "libvpx-vp9")
"""Encoders that keep alpha."""
SEGMENTS = {"prores": "mov", "libvpx-vp9": "matroska"}
"""Containers of segments of what NUT does not know, by how encoders' names begin: ProRes, and the alpha of VP9."""
ANOTHER_CONTAINER = "Choose another container (remux the source to .mkv) or another codec."
RGB = 0  # matrix coefficients of H.273


@dataclass(frozen=True)
class Format:
    """What decides the bytes of an encoded frame: the same format and frames give the same segment."""

    encoder: str
    """FFmpeg's name."""
    pixel_format: str
    depth: int
    """Bits of a sample."""
    colour: Colour | None
    """None for RGB."""
    height: int
    width: int
    rate: Fraction
    sample_aspect_ratio: Fraction | None
    tags: tuple[int, int, int, int]
    """Primaries, transfer, matrix and range by H.273's numbers."""
    options: dict[str, str]
    """Of the encoder."""


def choose_format(info: VideoInfo, size: tuple[int, int], encoding: Encoding, suffix: str, interlaced: bool) -> Format:
    """Decide how a video's result is encoded.

    Args:
        info: the source.
        size: height and width of the result.
        encoding: what was asked for.
        suffix: of the result.
        interlaced: whether its frames hold two fields each.

    Raises:
        UsageError: the encoder cannot hold the video, or has no such option.
    """
    codec = encoding.codec or ("ffv1" if encoding.lossless else _default_codec(info, suffix))
    name = ENCODERS.get(codec, codec)
    pixel_format, depth, steps = _pixel_format(info, size, name)
    options = {"threads": "auto"}
    if info.alpha and name == "libvpx-vp9":
        options["auto-alt-ref"] = "0"  # packets with a frame that is not shown have no place for alpha
    if name == "libx264" and cv2.checkHardwareSupport(AVX_512F):
        # x264's AVX-512 code for --mbtree reads memory that nobody wrote: the same frames would give other bytes every time.
        options["x264opts"] = "asm=avx2"
    if info.chroma_location and steps != (1, 1):
        options["chroma_sample_location"] = info.chroma_location
    crf, quality = encoding.crf if encoding.crf is not None else CRF.get(name), "crf"
    if name.endswith("_nvenc"):  # its word; without a bit rate it is all that counts
        crf, quality = crf if crf is not None else NVENC_QUALITY, "cq"
        options |= {"rc": "vbr", "b": "0"}
    for option, value in ((quality, crf), ("preset", encoding.preset)):
        if value is None:
            continue
        if option not in _options(name):
            raise UsageError(f"{name} has no {option}.", "Leave it out.")
        options[option] = str(value)
    if name == "ffv1":
        options |= {"level": "3", "g": "1", "slicecrc": "1"}
    if name == "libx265":
        # x265's --cutree writes beyond its memory where frames are less than 50 px wide, which may end the process.
        safe = "cutree=0" if size[1] < NARROW else ""
        options["x265-params"] = ":".join(filter(None, ["log-level=none", safe, info.mastering]))
    if name == "libx264" and interlaced:
        options["x264-params"] = f"{info.field_order}=1"
    if info.sample_aspect_ratio not in (None, 1) and suffix in (".mkv", ".webm") and name not in ("libx264", "libx265"):
        # The codec must state the shape of pixels there, as PyAV has no access to Matroska's display size.
        raise UsageError(
            f"{codec} in {suffix} cannot say that pixels are not square.", "Choose codec h264 or hevc.", info.path
        )
    matrix, full = matrix_or_default(info.matrix, info.height), info.range
    tagged = info.matrix
    if pixel_format.startswith(("gbr", "rgb", "bgr")):
        colour, tagged = None, RGB
    else:
        if info.colour is None:  # RGB becomes what players expect
            matrix, full = 1, 1
        if info.colour is None or matrix != matrix_or_default(UNSTATED, size[0]):
            tagged = matrix  # players would take another one
        cosited = info.colour.cosited if info.colour else Colour.cosited
        colour = Colour(matrix, full == FULL_RANGE, depth, steps, cosited)
    return Format(
        name,
        pixel_format,
        depth,
        colour,
        *size,
        info.rate,
        info.sample_aspect_ratio,
        (info.primaries, info.transfer, tagged, full),
        options,
    )


class SegmentWriter:
    """Encodes some frames of a video to a file of their own; see `media.video.FrameSink`.

    Args:
        path: the file to make.
        format: how.
    """

    def __init__(self, path: Path, format: Format) -> None:
        self.path = path
        self.format = format
        self.delay = 0
        """By how many packets a frame may come later than it is shown; known after `commit`."""
        self._written = self._packets = 0
        self._first: int | None = None
        self._container: av.container.OutputContainer | None = None
        self._fields: av.filter.Graph | None = None
        self._beside = path.with_name(path.name + ".part")

    def write(self, frame: Frame) -> None:
        """Append a frame; see `FrameSink`."""
        if frame.image is None:
            raise ValueError("a frame without an image cannot be written")
        if frame.image.size != (self.format.height, self.format.width):
            raise ValueError(f"a frame of {frame.image.size} does not fit {self.format}")
        if self._first is None:
            self._first = frame.index
        if frame.index != self._first + self._written:
            raise ValueError(f"frame {frame.index} comes out of order")
        with _guarded(self.path):
            if self._container is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # NUT keeps any time base; without this option it would move reordered frames.
                options = {"avoid_negative_ts": "disabled", "fflags": "+bitexact"}
                kinds = (kind for name, kind in SEGMENTS.items() if self.format.encoder.startswith(name))
                kind = next(kinds, "nut")
                self._container = av.open(str(self._beside), "w", format=kind, options=options)
                self._stream = _add_stream(self._container, self.format)
                _start(self._stream.codec_context, self.format, self.path)
                self._fields = _fields(self.format) if "x264-params" in self.format.options else None
            encoded = _encodable(frame.image, self.format)
            if self._fields is not None:
                self._fields.vpush(encoded)
                encoded = self._fields.vpull()
            encoded.pts, encoded.time_base = self._written, 1 / self.format.rate
            self._mux(self._stream.encode(encoded))
        self._written += 1

    def commit(self) -> tuple[str, ...]:
        """Finish the file; see `FrameSink`."""
        if self._container is None:
            raise ValueError("a segment has at least one frame")
        with _guarded(self.path):
            self._mux(self._stream.encode(None))
            self._container.close()
            self._container = None
            put_in_place(self._beside, self.path)
        return ()

    def abort(self) -> None:
        """Remove what was written; see `FrameSink`."""
        if self._container is not None:
            self._container.close()
            self._container = None
        self._beside.unlink(missing_ok=True)

    def _mux(self, encoded: Iterable[Any]) -> None:
        assert self._container is not None
        packet: Any
        for packet in encoded:
            shown = round(packet.pts * packet.time_base * self.format.rate)
            self.delay = max(self.delay, self._packets - shown)
            self._packets += 1
            self._container.mux(packet)


@dataclass(frozen=True)
class Segment:
    """A finished file of `SegmentWriter`."""

    path: Path
    times: tuple[int, ...]
    """Of its frames, in the source's time base."""
    delay: int
    """See `SegmentWriter.delay`."""


def join_segments(
    info: VideoInfo, segments: Sequence[Segment], format: Format, path: Path, span: tuple[int, int] | None = None
) -> tuple[str, ...]:
    """Make a video of its segments and of all other streams of the source, check it, and put it into its place.

    Args:
        info: the source.
        segments: all of them, in order.
        format: of the segments.
        path: the file to make or replace.
        span: beginning and end, in the source's time base, if only a part was restored. Then the result begins at 0, and
            has no chapters.

    Returns:
        What the container cannot keep, in plain words.

    Raises:
        UnwritableOutput: the file cannot be written, or does not hold what the source holds.
    """
    times = [time for segment in segments for time in segment.times]
    options = {"avoid_negative_ts": "disabled", "fflags": "+bitexact"}
    with replacing(path) as beside, _guarded(path):
        with opened(info.path, info.fps) as source:
            if path.suffix.lower() in (".mp4", ".m4v", ".mov"):
                options["movie_timescale"] = str(_timescale(info))
            if any("." in key for key in source.metadata):  # names like com.apple.quicktime.model
                options["movflags"] = "use_metadata_tags"
            with av.open(str(beside), "w", format=CONTAINERS[path.suffix.lower()], options=options) as result:
                targets, lost = _add_streams(source, result, info, format, span)
                result.metadata.update(_tags(source.metadata, span is None))
                if span is None and (chapters := source.chapters()):
                    result.set_chapters(chapters)
                with _guarded(path):  # else the errors would be the source's, which is open
                    result.start_encoding()
                encoded = _timed(info, segments, format.rate, times, span[0] if span else 0, targets[info.index])
                for packet in packets(source):
                    kind = info.streams[packet.stream_index].kind
                    if packet.stream_index == info.index:  # the source's own order of streams
                        _store(result, [following] if (following := next(encoded, None)) else [], kind, path)
                    elif packet.stream_index in targets and (not span or _moved(packet, span, info.video.time_base)):
                        packet.stream = targets[packet.stream_index]
                        _store(result, [packet], kind, path)
                _store(result, list(encoded), info.video.kind, path)
                with _guarded(path):
                    result.close()
        _check(beside, path, info, format, times, span, lost)
    return tuple(lost.values())


def _store(result: av.container.OutputContainer, packets: "list[av.Packet[Any]]", kind: str, path: Path) -> None:
    """Write packets of one kind of stream. Their errors would be the source's, which is open."""
    try:
        result.mux(packets)
    except (av.error.FFmpegError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UnwritableOutput(
            f"The container does not take a packet of the kind {kind} ({why}).", ANOTHER_CONTAINER, path
        ) from error


def _add_streams(
    source: av.container.InputContainer,
    result: av.container.OutputContainer,
    info: VideoInfo,
    format: Format,
    span: tuple[int, int] | None,
) -> tuple[dict[int, Any], dict[int, str]]:
    """The result's stream for each of the source's, and words for those that its container does not hold."""
    targets: dict[int, Any] = {}
    lost: dict[int, str] = {}
    for stream in source.streams:
        facts = info.streams[stream.index]
        if facts.kind in MADE_ANEW:
            continue
        tags = _tags(stream.metadata, span is None)
        if stream.index == info.index:
            target = _add_stream(result, format)
            target.time_base = info.video.time_base
            if info.display_matrix:
                target.set_display_matrix(info.display_matrix)
            tags = {key: value for key, value in tags.items() if not key.startswith(STATISTICS)}
        else:
            try:
                if stream.type == "data" and not stream.name:
                    raise ValueError("data of an unknown kind")
                if facts.kind == "cover" and result.format.name == "matroska":
                    _attach(result, stream, info.path)
                    continue
                if not (
                    facts.kind in ATTACHED or result.format.name in KEEPS_EMPTY or _times_within(facts, info, span)
                ):
                    raise ValueError("it holds nothing" if span is None else "it holds nothing in this part")
                target = result.add_stream_from_template(stream, opaque=True)
            except ValueError as error:
                lost[stream.index] = f"stream {stream.index} ({stream.type}) left out: {error}"
                continue
        target.metadata.update(tags)
        target.disposition = stream.disposition
        targets[stream.index] = target
    return targets, lost


def _attach(result: av.container.OutputContainer, cover: av.stream.Stream, path: Path) -> None:
    """Attach the picture of a stream, which is how Matroska keeps covers.

    Raises:
        ValueError: its format has no name there.
    """
    kind = cover.codec_context.name
    if kind not in COVERS:
        raise ValueError(f"a cover in {kind}")
    with opened(path) as source:
        data = next(bytes(packet) for packet in packets(source) if packet.stream_index == cover.index)
    name = cover.metadata.get("filename", f"cover.{COVERS[kind].rpartition('/')[2]}")
    result.add_attachment(name, COVERS[kind], data)


def _tags(metadata: Mapping[str, str], whole: bool) -> dict[str, str]:
    """Tags of a result; a part has no timecode, which is that of the source's beginning."""
    return {key: value for key, value in metadata.items() if whole or key.lower() != "timecode"}


def _timed(
    info: VideoInfo, segments: Sequence[Segment], rate: Fraction, times: list[int], begin: int, stream: av.stream.Stream
) -> "Iterator[av.Packet[Any]]":
    """The packets of all segments at the times of their frames."""
    delay = max(segment.delay for segment in segments)
    step = times[1] - times[0] if len(times) > 1 else 1
    ends = [*times[1:], max(info.video.end, times[-1] + 1) if begin == 0 else times[-1] + step]
    # Decoding times: those of display, one after the other, late enough for every packet.
    decoding = [times[0] - (delay - index) * step for index in range(delay)] + times
    for index in reversed(range(len(decoding) - 1)):  # frames may share a time, of which MP4 decodes one alone
        decoding[index] = min(decoding[index], decoding[index + 1] - 1)
    before, coded = 0, 0
    for segment in segments:
        with opened(segment.path) as container:
            packet: Any
            for packet in packets(container):
                index = before + round(packet.pts * packet.time_base * rate)
                packet.stream = stream
                packet.time_base = info.video.time_base
                packet.pts = times[index] - begin
                packet.dts = decoding[coded] - begin
                packet.duration = ends[index] - times[index]
                coded += 1
                yield packet
        before += len(segment.times)


def _timescale(info: VideoInfo) -> int:
    """Units in a second that hold the beginning of every stream exactly, where 31 bits are enough for that."""
    units = math.lcm(*(stream.time_base.denominator for stream in info.streams))
    return units if units < 1 << 31 else info.video.time_base.denominator


def _moved(packet: "av.Packet[Any]", span: tuple[int, int], time_base: Fraction) -> bool:
    """Whether a packet belongs to a part that begins at 0; if so it is moved there."""
    if packet.stream.disposition & av.stream.Disposition.attached_pic:
        return True
    begin, end = (round(time * time_base / packet.time_base) for time in span)
    if packet.pts is None or not begin <= packet.pts < end:
        return False
    packet.pts -= begin
    packet.dts = packet.pts if packet.dts is None else packet.dts - begin
    return True


def _check(
    beside: Path,
    path: Path,
    info: VideoInfo,
    format: Format,
    times: list[int],
    span: tuple[int, int] | None,
    lost: Container[int],
) -> None:
    """See that a finished file holds what its source holds.

    Raises:
        UnwritableOutput: it does not, with the first difference.
    """
    result = read_info(beside)
    # Matroska has what is attached behind all other streams.
    wanted, written = (
        sorted((one for one in streams if one.kind not in MADE_ANEW), key=lambda one: one.kind in ATTACHED)
        for streams in ([one for index, one in enumerate(info.streams) if index not in lost], result.streams)
    )
    if [stream.kind for stream in written] != [stream.kind for stream in wanted]:
        raise _differs(path, f"streams {_listed(written)} instead of {_listed(wanted)}")
    for source, copy in zip(wanted, written, strict=True):
        if source.kind in ATTACHED:
            continue
        if source is info.video:
            expected = [time - (span[0] if span else 0) for time in times]
        else:
            expected = _times_within(source, info, span)
        if len(expected) != len(copy.times):
            raise _differs(path, f"{len(copy.times)} instead of {len(expected)} packets of {copy.kind}")
        ratio = source.time_base / copy.time_base
        late = [abs(time * ratio - there) for time, there in zip(expected, copy.times.tolist(), strict=True)]
        # The container's unit is as near as it gets, and Matroska's times before 0 are cut off, not rounded.
        if max(late, default=0) > (Fraction(1, 2) if source is info.video else 1):
            raise _differs(path, f"packets of {copy.kind} up to {float(max(late) * copy.time_base):.3f} s away")
    lasts, lasted = (video.end * video.time_base for video in (result.video, info.video))
    stated = info.video.end > info.video.times[-1]
    # MP4 tells lengths in the order of decoding: where they differ the frame that is shown last has any other's.
    unsure = int(np.ptp(np.diff([*times, info.video.end]))) * info.video.time_base if len(times) > 1 else 0
    if stated and span is None and abs(lasts - lasted) > result.video.time_base + info.video.time_base + unsure:
        raise _differs(path, f"an end at {float(lasts):.3f} s instead of {float(lasted):.3f} s")
    for name, got, want in (
        ("size", (result.height, result.width), (format.height, format.width)),
        ("pixel aspect ratio", result.sample_aspect_ratio or 1, info.sample_aspect_ratio or 1),
        ("rotation", result.display_matrix, info.display_matrix),
        ("colours", (result.primaries, result.transfer, result.matrix), format.tags[:3]),
        ("range", result.range == FULL_RANGE, format.tags[3] == FULL_RANGE),
        ("transparency", result.alpha, info.alpha),
    ):
        if got != want:
            raise _differs(path, f"{name} {got} instead of {want}")


def _times_within(facts: StreamFacts, info: VideoInfo, span: tuple[int, int] | None) -> list[int]:
    """Times of a stream's packets in a result, in its own time base."""
    times: list[int] = facts.times.tolist()
    if span is None:
        return times
    begin, end = (round(time * info.video.time_base / facts.time_base) for time in span)
    return [time - begin for time in times if begin <= time < end]


def _differs(path: Path, difference: str) -> UnwritableOutput:
    return UnwritableOutput(
        f"The result would differ from its source: {difference}. It was not kept.",
        ANOTHER_CONTAINER,
        path,
    )


def _listed(streams: Iterable[StreamFacts]) -> str:
    return ", ".join(stream.kind for stream in streams)


def _add_stream(container: av.container.OutputContainer, format: Format) -> Any:
    """A stream whose encoder is set up for a format. Every call makes the same encoder, so all segments fit together."""
    stream: Any = container.add_stream(format.encoder, rate=format.rate, time_base=1 / format.rate)
    stream.height, stream.width, stream.pix_fmt = format.height, format.width, format.pixel_format
    context = stream.codec_context
    if format.sample_aspect_ratio:
        context.sample_aspect_ratio = format.sample_aspect_ratio
    context.color_primaries, context.color_trc, context.colorspace, context.color_range = format.tags
    if "x264-params" in format.options:
        context.flags |= av.codec.context.Flags.interlaced_dct
    if format.encoder == "libx265" and container.format.name in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # the other one, hev1, is not played on Apple's devices
    context.options = dict(format.options)
    return stream


def _start(context: Any, format: Format, path: Path) -> None:
    try:
        context.open()
    except av.error.FFmpegError as error:
        hint = "Choose another preset, or another codec." if "preset" in format.options else "Choose another codec."
        if context.codec.capabilities & HARDWARE or format.encoder.endswith("_videotoolbox"):
            hint = f"A hardware encoder needs its device and its driver. {hint}"
        raise UnwritableOutput(
            f"The encoder {format.encoder} does not start ({error.strerror}).", hint, path
        ) from error


def _fields(format: Format) -> av.filter.Graph:
    """Marks frames by the field that comes first: x264 believes them, not its parameter; PyAV has no attribute for it."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=format.width, height=format.height, format=av.VideoFormat(format.pixel_format), time_base=1 / format.rate
    )
    mode = format.options["x264-params"].removesuffix("=1")
    graph.link_nodes(source, graph.add("setfield", mode), graph.add("buffersink")).configure()
    return graph


def _encodable(image: Image, format: Format) -> av.VideoFrame:
    dtype = np.uint8 if format.depth == 8 else np.uint16
    rgb = _as(image.rgb(), dtype)
    alpha = None if image.alpha is None else _as(image.alpha, dtype)
    if format.colour is None:
        names = ("rgb24", "rgb48le") if alpha is None else ("rgba", "rgba64le")
        samples = rgb if alpha is None else np.dstack([rgb, alpha])
        return av.VideoFrame.from_ndarray(samples, names[format.depth > 8]).reformat(format=format.pixel_format)
    frame = av.VideoFrame(format.width, format.height, PACKED.get(format.pixel_format, format.pixel_format))
    # ProRes takes them from its frames.
    frame.color_primaries, frame.color_trc, frame.colorspace, frame.color_range = format.tags
    planes = format.colour.to_planes(rgb) + ([] if alpha is None else [format.colour.samples_to_alpha(alpha)])
    for plane, samples in zip(frame.planes, planes, strict=False):  # grey takes luma alone
        padded = np.zeros((plane.height, plane.line_size // samples.itemsize), samples.dtype)
        padded[:, : plane.width] = samples
        plane.update(padded.tobytes())
    return frame.reformat(format=format.pixel_format) if format.pixel_format in PACKED else frame


def _as(samples: Any, dtype: type) -> Any:
    return samples if samples.dtype == dtype else from_unit(to_unit(samples), dtype)


def _default_codec(info: VideoInfo, suffix: str) -> str:
    if info.alpha and suffix in (".mov", ".mkv"):
        return "prores" if suffix == ".mov" else "ffv1"
    if suffix == ".webm":
        if info.depth > 8:
            raise UsageError("The VP9 encoder holds 8 bits, the video has more.", "Choose codec av1.", info.path)
        return "vp9"
    return "h264" if info.depth == 8 else "hevc"


def _pixel_format(info: VideoInfo, size: tuple[int, int], encoder: str) -> tuple[str, int, tuple[int, int]]:
    """The encoder's pixel format that is nearest to the source's, its depth and its steps of chroma."""
    offered = [format.name for format in av.Codec(encoder, "w").video_formats or ()]
    grey = info.pixel_format.startswith("gray")
    steps = (2, 2) if grey or info.fps is not None else info.colour.steps if info.colour else (1, 1)
    if size[0] % steps[0] or size[1] % steps[1]:
        steps = (1, 1)  # half a sample of chroma is more than most encoders can hold
    if info.alpha and encoder not in ALPHA:
        raise UsageError(
            f"{encoder} cannot hold the video's transparency.",
            "Choose codec prores in .mov, ffv1 in .mkv or vp9 in .webm.",
            info.path,
        )
    lossless, alpha, names = encoder == "ffv1", "a" if info.alpha else "", []
    for depth in sorted({info.depth, 12, 10, 8}, reverse=True):
        if depth > info.depth and not (info.alpha and encoder == "prores_ks" and depth == 10):
            continue
        suffix = "" if depth == 8 else f"{depth}le"
        if lossless and info.colour is None:
            names += [(f"bgr{alpha or 0}" if depth == 8 else f"gbr{alpha}p{suffix}", depth, (1, 1))]
        if lossless and grey:
            names += [(f"gray{suffix}", depth, (1, 1))]
        names += [
            (f"yuv{alpha}{SUBSAMPLINGS[wanted]}p{suffix}", depth, wanted) for wanted in (steps, (1, 1), (1, 2), (2, 2))
        ]
    names += [
        (packed, depth, steps) for name, depth, steps in names for packed, planes in PACKED.items() if planes == name
    ]
    names.sort(key=lambda choice: -choice[1])  # of the same depth those with planes first
    found = next((choice for choice in names if choice[0] in offered), None)
    if found is None:
        raise UsageError(f"{encoder} cannot hold {info.pixel_format}.", "Choose another codec.", info.path)
    return found


def _options(encoder: str) -> set[str]:
    return {option.name for option in av.CodecContext.create(encoder, "w").supported_options.private}


@contextmanager
def _guarded(path: Path) -> Iterator[None]:
    """Errors of encoders and muxers are the result's."""
    try:
        yield
    except (av.error.FFmpegError, ValueError) as error:
        raise UnwritableOutput(f"The video cannot be encoded ({error}).", "Choose another codec.", path) from error

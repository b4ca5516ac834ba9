"""Read videos: facts, frames with their exact timestamps, and the packets of every other stream.

PyAV and imageio-ffmpeg bring the same FFmpeg libraries. imageio-ffmpeg's binary gives frames through a pipe, which carries
neither timestamps nor a list of streams, and says the rest in text for people. PyAV gives each frame's time, every packet of
every stream, colour tags and side data as values, and tells a damaged frame from the end of the file. As a pipe it is no
slower: 140 frames of 720p a second against 134, decoded to RGB on two cores. So videos are read and written with PyAV, and
imageio-ffmpeg's binary, a program with libraries of its own, is the tests' second opinion on what was written.

One thing that PyAV does not tell is where chroma samples lie; `_chroma_location` asks FFmpeg's Matroska muxer.
"""

import heapq
import io
import re
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import av
import av.codec.context
import av.container
import av.error
import av.filter
import av.sidedata.sidedata
import av.stream
import av.video.stream
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from restorekit.errors import UnreadableImage
from restorekit.media.image import Image
from restorekit.media.metadata import ORIENTATION
from restorekit.media.numbered import numbered_file, numbers
from restorekit.media.video import Frame
from restorekit.media.video_colour import MATRICES, Colour, matrix_or_default

FULL_RANGE = 2  # AVColorRange
DISPLAY_MATRIX_UNIT = (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
_ORIENTATIONS = {-180: 3, 180: 3, -90: 6, 90: 8}
"""Of EXIF, by the degrees that FFmpeg tells."""
TOP_FIELD_FIRST, BOTTOM_FIELD_FIRST = (2, 5), (3, 4)  # AVFieldOrder, by the field that is shown first
FORMATS = "mov,matroska,avi,mpegts,mpeg,flv,asf,ogg,mxf,nut"
"""FFmpeg's names of what is read. Playlists are not: they would make it open what they name."""
MADE_ANEW = ("chapters", "timecode")
"""Kinds of streams that muxers make of chapters and of the video's tag."""
COPY_AGAIN = "Copy it again from where it came."
SUBSAMPLINGS = {(1, 1): "444", (1, 2): "422", (2, 1): "440", (2, 2): "420"}
_LOCATIONS = {(1, 2): "left", (2, 2): "center", (1, 1): "topleft", (2, 1): "top"}  # Matroska: 1 is cosited, 2 midway
TRANSPARENT = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
"""Codecs whose alpha is a second picture in each packet, and FFmpeg's decoders that read it; its own leave it out."""
_HIDING = ("vp8", "mpeg4")
"""Codecs whose packets may hold frames that are never shown: only decoding counts those that are."""
_AHEAD = 8
"""Frames that are looked ahead for times that are out of order."""
_OVERLAP = Fraction(1, 2)
"""Seconds by which a clip may begin before the end of the one that it was joined to."""
_END: Any = object()
_LATE = Fraction(1, 2)
"""Seconds by which the last packet may end before the time that the header states."""


@dataclass(frozen=True)
class StreamFacts:
    """One stream of a file and the times of its packets: what a result must have too."""

    kind: str
    """video, audio, subtitle, data, attachment, or cover for a picture of it; chapters and timecode for what MP4 keeps of
    them in streams."""
    codec: str
    """FFmpeg's name; empty where it knows none."""
    time_base: Fraction
    """Unit of times, in seconds."""
    times: NDArray[np.int64]
    """Presentation times of all packets that hold anything, sorted; of a video without what is only decoded."""
    end: int
    """When the last of them ends."""
    packets: int
    """How many there are, those included that are only decoded and not shown."""
    keys: NDArray[np.int64]
    """Times of those that can be decoded without any before them, as the file says, and are later than all these; sorted."""


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before it is decoded."""

    path: Path
    streams: tuple[StreamFacts, ...]
    index: int
    """Of the stream that is restored: the one that players show."""
    height: int
    width: int
    rate: Fraction
    """Average frames a second: a hint for encoders and for people. Timestamps are what counts."""
    pixel_format: str
    """FFmpeg's name for planes as they are read; rgb24, rgb48le, rgba or rgba64le for whatever has no luma."""
    depth: int
    """Bits of a sample."""
    colour: Colour | None
    """None for RGB."""
    primaries: int
    transfer: int
    matrix: int
    range: int
    """As the stream states them, by the numbers of H.273; for range 1 is limited, 2 full, 0 not stated."""
    chroma_location: str | None
    sample_aspect_ratio: Fraction | None
    display_matrix: tuple[int, ...] | None
    """Rotation and flips for players, nine numbers as in MP4's track header; None for an upright video."""
    field_order: str
    """tff or bff for interlaced videos, by the field that comes first; else empty."""
    mastering: str
    """HDR10's mastering display and light levels, as x265 takes them; empty where there are none."""
    alpha: bool
    fps: Fraction | None = None
    """Frames a second of numbered images, whose pattern `path` is; None for a video's file."""

    @property
    def video(self) -> StreamFacts:
        """The stream that is restored. Its times are those of its frames."""
        return self.streams[self.index]

    def time(self, frame: int) -> Fraction:
        """When a frame is shown, in seconds."""
        return int(self.video.times[frame]) * self.video.time_base


def read_streams(path: Path, fps: Fraction | None = None) -> tuple[StreamFacts, ...]:
    """List the streams of a file and go through all their packets; nothing is decoded.

    Args:
        path: a video, or the pattern of numbered images.
        fps: frames a second, for numbered images.

    Raises:
        UnreadableImage: no video file, or damaged.
    """
    with opened(path, fps) as container:
        times: list[list[int]] = [[] for _ in container.streams]
        keys: list[list[int]] = [[] for _ in times]
        ends, counts = [0 for _ in times], [0 for _ in times]
        latest: list[int | None] = [None for _ in times]
        for packet in packets(container):
            counts[packet.stream_index] += 1
            hidden = packet.is_discard and packet.stream.type == "video"  # not all containers can say it of sound
            if packet.pts is not None and not hidden:
                times[packet.stream_index].append(packet.pts)
                before = latest[packet.stream_index]
                if before is None or packet.pts > before:  # else a file was joined there whose times overlap
                    keys[packet.stream_index] += [packet.pts] if packet.is_keyframe else []
                    latest[packet.stream_index] = packet.pts
                ends[packet.stream_index] = max(ends[packet.stream_index], packet.pts + (packet.duration or 0))
        return tuple(
            StreamFacts(
                _kind(stream),
                stream.codec_context.name if stream.codec_context is not None else "",
                stream.time_base or Fraction(1),
                np.array(sorted(shown), np.int64),
                end,
                count,
                np.array(sorted(starts), np.int64),
            )
            for stream, shown, end, count, starts in zip(container.streams, times, ends, counts, keys, strict=True)
        )


def read_info(path: Path, fps: Fraction | None = None) -> VideoInfo:
    """What is known of a video before it is decoded.

    Args:
        path, fps: see `read_streams`.

    Raises:
        UnreadableImage: no video, cut off, without a frame that can be decoded, or of colours that are not known.
    """
    streams = read_streams(path, fps)
    with opened(path, fps) as container:
        stream = _shown_stream(container, path)
        facts = streams[stream.index]
        if not len(facts.times):
            raise UnreadableImage("The video has no frames.", COPY_AGAIN, path)
        _check_complete(container, stream, streams, path)
        frame = next((frame for frame in _decoded(container, stream) if frame is not None), None)
        if frame is None:
            raise UnreadableImage("No frame can be decoded: the file is damaged or encrypted.", COPY_AGAIN, path)
        format = frame.format
        depth = _depth(format)
        matrix = matrix_or_default(frame.colorspace, frame.height)
        location = _chroma_location(stream)
        name, steps = _planes(format)
        if not name.startswith("rgb") and matrix not in MATRICES:
            raise UnreadableImage(
                f"The video's colours are stored by matrix {matrix} of H.273, which is not known here.",
                "Convert it to BT.709 or BT.2020 first.",
                path,
            )
        full = frame.color_range == FULL_RANGE or format.name.startswith("yuvj")
        colour = Colour(matrix, full, depth, steps, ("top" in (location or ""), location in (None, "left", "topleft")))
        return VideoInfo(
            path=path,
            streams=streams,
            index=stream.index,
            height=frame.height,
            width=frame.width,
            rate=_rate(stream, facts),
            pixel_format=name,
            depth=depth,
            colour=None if name.startswith("rgb") else colour,
            primaries=frame.color_primaries,
            transfer=frame.color_trc,
            matrix=frame.colorspace,
            range=FULL_RANGE if full else frame.color_range,
            chroma_location=location,
            sample_aspect_ratio=stream.sample_aspect_ratio,
            display_matrix=_display_matrix(frame, None if fps is None else numbered_file(path, numbers(path)[0])),
            field_order=_field_order(stream, frame),
            mastering=_mastering(frame),
            alpha=any(component.is_alpha for component in format.components),
            fps=fps,
        )


def upright(frame: Frame, info: VideoInfo) -> Image:
    """A frame's image as players show it: turned by quarters and flipped as the video says, for files that cannot say it.

    Raises:
        ValueError: the frame has no image.
    """
    if frame.image is None:
        raise ValueError("a frame without an image cannot be turned")
    across, down_by_across, _, across_by_down, down = (info.display_matrix or DISPLAY_MATRIX_UNIT)[:5]
    pixels: Any = frame.image.pixels
    if across == 0:
        pixels, across, down = pixels.transpose(1, 0, 2), across_by_down, down_by_across
    return replace(
        frame.image, pixels=np.ascontiguousarray(pixels[:: 1 if down > 0 else -1, :: 1 if across > 0 else -1])
    )


def header_pixels(path: Path, fps: Fraction | None = None, part: tuple[int, int] | None = None) -> float:
    """Pixels of all frames together, as the header says: an estimate, without reading the rest.

    Args:
        path, fps: see `read_streams`.
        part: first frame and the first one behind, where only these count.

    Raises:
        UnreadableImage: no video file.
    """
    with opened(path, fps) as container:
        stream = container.streams.best("video")
        if not isinstance(stream, av.video.stream.VideoStream):
            return 0.0
        seconds = float(Fraction(container.duration or 0, av.time_base))
        frames = stream.frames or seconds * float(stream.average_rate or 0)
        if part is not None:
            frames = max(0, min(frames, part[1]) - part[0])
        return float(frames * stream.width * stream.height)


@dataclass(frozen=True)
class VideoReader:
    """The frames of a video; see `media.video.FrameSource`."""

    info: VideoInfo
    deinterlace: bool = False
    """Make whole frames of interlaced ones, each at its first field's time."""
    first: int = 0
    """Index of the first frame that is given."""

    def __iter__(self) -> Iterator[Frame]:
        """Every frame from `first` on once, in display order; see `FrameSource`.

        Those before it are decoded from the last key frame that gives the same pixels as decoding from the beginning.
        """
        return (frame for frame in self._from_key_frame() if frame.index >= self.first)

    def _from_key_frame(self) -> Iterator[Frame]:
        info, failed = self.info, False
        index, key = _key_frame(info, self.first - self.deinterlace)  # made whole with the help of the one before it
        waiting = deque(info.video.times[index:].tolist())
        with opened(info.path, info.fps) as container:
            stream: Any = container.streams[info.index]
            frames = _decoded(container, stream, key)
            if _is_counted(container, info):
                frames = _counted(frames, info.video.times.tolist())
            else:
                frames = _in_order(frames, stream.codec_context, info.path)
            for frame in _deinterlaced(frames) if self.deinterlace else frames:
                if frame is None or frame.pts is None:
                    failed = True
                    continue
                if (frame.height, frame.width) != (info.height, info.width):
                    raise UnreadableImage(
                        f"The frames change their size at {float(frame.time):.3f} s.", "Cut the video there.", info.path
                    )
                while waiting and waiting[0] < frame.pts:
                    time = waiting.popleft() * info.video.time_base
                    if failed:  # else a packet without a frame, such as VP8's alternate references
                        yield Frame(index, time, error=_damaged(time, info.path))
                        index += 1
                if waiting and waiting[0] == frame.pts:
                    waiting.popleft()
                failed, time = False, frame.pts * info.video.time_base
                if frame.is_corrupt:
                    yield Frame(index, time, error=_damaged(time, info.path))
                else:
                    yield Frame(index, time, _image(frame, info))
                index += 1
        for pts in waiting if failed else ():
            time = pts * info.video.time_base
            yield Frame(index, time, error=_damaged(time, info.path))
            index += 1


@contextmanager
def opened(path: Path, fps: Fraction | None = None, whole: bool = False) -> Iterator[av.container.InputContainer]:
    """Open a video file, or numbered images as one.

    Args:
        path, fps: see `read_streams`.
        whole: give what an MP4 file's edit list leaves out, too.

    Raises:
        UnreadableImage: it cannot be opened, or its container is damaged where it is read.
        UsageError: there are no such images, or one is missing between others.
    """
    # AVI states no times: they are counted.
    name, options = f"file:{path}", {"format_whitelist": FORMATS, "fflags": "+genpts"}
    if fps is not None:
        first = numbers(path)[0]
        name = str(path.absolute().parent).replace("%", "%%") + f"/{path.name}"
        options = {"format_whitelist": "image2", "framerate": str(fps), "start_number": str(first)}
    options["protocol_whitelist"] = "file"
    if whole:
        options["ignore_editlist"] = "1"
    try:
        format = None if fps is None else "image2"
        with av.open(name, format=format, options=options, metadata_errors="replace") as container:
            yield container
    except av.error.FFmpegError as error:
        raise UnreadableImage(f"The file cannot be read as a video ({error.strerror}).", COPY_AGAIN, path) from error


def packets(container: av.container.InputContainer) -> "Iterator[av.Packet[Any]]":
    """All packets that hold anything, in the order of the file."""
    readable = [stream for stream in container.streams if stream.type != "attachment"]
    return (packet for packet in container.demux(readable) if packet.size and packet.stream is not None)


def _kind(stream: av.stream.Stream) -> str:
    """See `StreamFacts.kind`."""
    if stream.discard == av.stream.Discard.all:
        return "chapters"
    if stream.disposition & av.stream.Disposition.attached_pic:
        return "cover"
    return "timecode" if stream.type == "data" and "timecode" in stream.metadata else stream.type


def _shown_stream(container: av.container.InputContainer, path: Path) -> av.video.stream.VideoStream:
    """The video stream that players show."""
    stream = container.streams.best("video")
    if not isinstance(stream, av.video.stream.VideoStream):
        raise UnreadableImage("The file holds no video, only sound or other data.", "Leave it out.", path)
    if stream.disposition & av.stream.Disposition.attached_pic:
        raise UnreadableImage("The file's only video is a cover picture.", "Leave it out.", path)
    return stream


def _check_complete(
    container: av.container.InputContainer,
    stream: av.video.stream.VideoStream,
    streams: tuple[StreamFacts, ...],
    path: Path,
) -> None:
    facts = streams[stream.index]
    if container.format.name.startswith("mov") and stream.frames > facts.packets:  # AVI counts dropped frames, too
        found = _samples(path, stream.index)
        if found >= stream.frames:
            return
        there = f"{found} of {stream.frames} frames are there"
    else:
        stated = Fraction(container.duration or 0, av.time_base)
        end = max(one.end * one.time_base for one in streams)
        late = _LATE
        if facts.end == facts.times[-1] and len(facts.times) > 1:  # nothing says how long the last frame is shown
            late = max(late, int(np.diff(facts.times).max()) * facts.time_base)
        if end + late >= stated:
            return
        there = f"it ends at {float(end):.2f} s, its header says {float(stated):.2f} s"
    raise UnreadableImage(
        f"The video is cut off: {there}.", f"{COPY_AGAIN} Remuxing it makes a whole video of what is there.", path
    )


def _samples(path: Path, index: int) -> int:
    """How many packets of a stream an MP4 file has, those included that its edit list leaves out: trimming is done so."""
    with opened(path, whole=True) as container:
        return sum(packet.dts is not None for packet in container.demux(container.streams[index]))


def _key_frame(info: VideoInfo, frame: int) -> tuple[int, int | None]:
    """The last key frame at or before a frame from which decoding is exact: its index and its time.

    What a file marks as a key frame may need earlier ones (intra refresh), and seeking may end elsewhere. So the frame is
    decoded: where it does not come out, decoding begins at the beginning, for which the time is None.
    """
    keys = info.video.keys[info.video.keys <= info.video.times[max(frame, 0)]]
    if frame <= 0 or len(keys) < 2 or info.video.codec in _HIDING:
        return 0, None
    key = int(keys[-1])
    with opened(info.path, info.fps) as container:
        if _is_counted(container, info):
            return 0, None
        stream: Any = container.streams[info.index]
        found = (frame for frame in _decoded(container, stream, key) if frame is not None)
        shown: list[Any] = list(islice(found, _AHEAD if stream.codec_context.has_b_frames else 1))
        if not shown or shown[0].pts != key or shown[0].is_corrupt:
            return 0, None
        if any(after.pts < before.pts for before, after in pairwise(shown)):
            return 0, None
    return int(np.searchsorted(info.video.times, key)), key


def _decoded(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, key: int | None = None
) -> "Iterator[av.VideoFrame | None]":
    """Frames as the decoder gives them, and None for a packet that it cannot decode.

    Args:
        container: the file.
        stream: its video.
        key: time of the key frame to begin at; what is shown before it and comes behind it in the file is dropped.
    """
    decoder = _decoder(stream)
    decoder.flags |= av.codec.context.Flags.unaligned  # else columns that are cropped on the left would be shown
    decoder.thread_type = "SLICE"  # with threads for frames, an error would come with another packet than its own
    if key is not None:
        container.seek(key, stream=stream)
    for packet in container.demux(stream):
        try:
            frames = decoder.decode(packet)
        except av.error.FFmpegError:
            yield None
            continue
        yield from (frame for frame in frames if frame.pts is not None and (key is None or frame.pts >= key))


def _decoder(stream: av.video.stream.VideoStream) -> "av.VideoCodecContext":
    """The stream's own, or one that reads its alpha too."""
    own = stream.codec_context
    marks = [value for key, value in stream.metadata.items() if key.lower() == "alpha_mode"]
    if own.name not in TRANSPARENT or "1" not in marks:
        return own
    decoder: Any = av.CodecContext.create(TRANSPARENT[own.name], "r")
    decoder.extradata = own.extradata
    decoder.color_primaries, decoder.color_trc, decoder.colorspace, decoder.color_range = (
        own.color_primaries,
        own.color_trc,
        own.colorspace,
        own.color_range,
    )
    return decoder  # type: ignore[no-any-return]


def _is_counted(container: av.container.InputContainer, info: VideoInfo) -> bool:
    """Whether frames are shown in another order than a file that states no times has them."""
    return container.format.name == "avi" and info.video.codec == "h264"


def _counted(frames: "Iterator[av.VideoFrame | None]", times: list[int]) -> "Iterator[av.VideoFrame | None]":
    """All frames from the first on, one time each; FFmpeg gives them those of their packets, out of order."""
    for frame, time in zip(frames, times, strict=False):
        if frame is not None:
            frame.pts = time
        yield frame


def _in_order(frames: "Iterator[av.VideoFrame | None]", decoder: Any, path: Path) -> "Iterator[av.VideoFrame | None]":
    """Frames as the decoder gives them, at times that never decrease.

    Some files have times on other frames than their own: times made up in the order of decoding, or those of several clips
    that were joined, of which one begins before the other has ended.
    """
    held: deque[Any] = deque()
    times: list[int] = []
    latest: int | None = None
    for frame in chain(frames, [_END]):
        if frame is not None and frame is not _END:
            heapq.heappush(times, frame.pts)
        held.append(frame)
        while held and held[0] is not _END and (frame is _END or len(held) > _AHEAD * decoder.has_b_frames):
            first = held.popleft()
            if first is not None:
                time = heapq.heappop(times)
                if latest is not None and (latest - time) * first.time_base > _OVERLAP:
                    raise UnreadableImage(
                        f"The times begin anew at {float(latest * first.time_base):.3f} s, as where files were joined.",
                        "Remux it first (`ffmpeg -i IN -c copy OUT.mkv`), which counts them on, or cut it there.",
                        path,
                    )
                first.pts = latest = time if latest is None else max(time, latest)
            yield first


def _deinterlaced(frames: "Iterator[av.VideoFrame | None]") -> "Iterator[av.VideoFrame | None]":
    """Whole frames at the times of interlaced ones, by FFmpeg's bwdif; those that are not interlaced stay as they are."""
    graph: av.filter.Graph | None = None
    for frame in frames:
        if frame is None:
            yield None
            continue
        if graph is None:
            graph = av.filter.Graph()
            source = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
            graph.link_nodes(
                source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
            ).configure()
        time_base = frame.time_base or Fraction(1)
        graph.vpush(frame)
        yield from _pulled(graph, time_base)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, time_base)


def _pulled(graph: av.filter.Graph, time_base: Fraction) -> "Iterator[av.VideoFrame]":
    while True:
        try:
            frame: Any = graph.vpull()  # PyAV's types say that times may be absent
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        frame.pts = int(frame.pts * frame.time_base / time_base)  # the filter counts in half units
        frame.time_base = time_base
        yield frame


def _depth(format: av.VideoFormat) -> int:
    """Bits of a sample; those of fewer, such as RGB in 16 bits a pixel, are read as 8."""
    return max(8, format.components[0].bits)


def _planes(format: av.VideoFormat) -> tuple[str, tuple[int, int]]:
    """The planar format that holds what a format does, and its rows and columns of luma for one of chroma."""
    depth, alpha = _depth(format), any(component.is_alpha for component in format.components)
    grey = sum(not component.is_alpha for component in format.components) < 3
    if format.is_rgb or format.has_palette or (grey and alpha):
        names = ("rgba", "rgba64le") if alpha else ("rgb24", "rgb48le")
        return names[depth > 8], (1, 1)
    suffix = "" if depth == 8 else f"{depth}le"
    if grey:
        return f"gray{suffix}", (1, 1)
    # 4:1:1 and 4:1:0 are read as 4:2:2 and 4:2:0
    steps = (2 if format.chroma_height(64) < 64 else 1, 2 if format.chroma_width(64) < 64 else 1)
    return f"yuv{'a' * alpha}{SUBSAMPLINGS[steps]}p{suffix}", steps


def _image(frame: av.VideoFrame, info: VideoInfo) -> Image:
    """Colours, and alpha where there is one."""
    if frame.format.name.replace("yuvj", "yuv") != info.pixel_format:
        frame = frame.reformat(format=info.pixel_format)
    if info.colour is None:
        samples: Any = frame.to_ndarray()
        return Image(samples[..., :3], samples[..., 3] if info.alpha else None)
    dtype = info.colour.dtype
    planes = [
        np.frombuffer(memoryview(plane), dtype).reshape(plane.height, plane.line_size // dtype.itemsize)[
            :, : plane.width
        ]
        for plane in frame.planes
    ]
    alpha = info.colour.alpha_to_samples(planes[3]) if info.alpha else None
    return Image(info.colour.to_rgb(planes[:3]), alpha)


def _rate(stream: av.video.stream.VideoStream, facts: StreamFacts) -> Fraction:
    if stream.average_rate:
        return stream.average_rate
    span = int(facts.times[-1] - facts.times[0]) * facts.time_base
    return Fraction(len(facts.times) - 1) / span if span else Fraction(25)


def _chroma_location(stream: av.video.stream.VideoStream) -> str | None:
    """Where chroma samples lie: FFmpeg's name, None where the stream does not say.

    FFmpeg knows, PyAV has no attribute for it. A Matroska header has elements for it (0x55B7 across, 0x55B8 down), so one is
    made for this stream, in memory.
    """
    header = io.BytesIO()
    try:
        with av.open(header, "w", format="matroska") as container:
            container.add_stream_from_template(stream, opaque=True)
            container.start_encoding()
            across, down = (
                re.search(mark + b"\x81(.)", header.getvalue(), re.DOTALL) for mark in (b"\x55\xb7", b"\x55\xb8")
            )
    except (av.error.FFmpegError, ValueError):
        return None
    return _LOCATIONS.get((across[1][0], down[1][0])) if across and down else None


def _side_data(frame: av.VideoFrame, name: str) -> bytes | None:
    try:
        side_data: Any = frame.side_data
    except ValueError:  # PyAV gives none if it has no name for one of them, such as the EXIF of an image
        return None
    data = side_data.get(av.sidedata.sidedata.Type[name])
    return None if data is None else bytes(data)


def _display_matrix(frame: av.VideoFrame, still: Path | None) -> tuple[int, ...] | None:
    """How a frame is turned and flipped for display; None for not at all.

    Args:
        frame: the first.
        still: its file, where frames are numbered images.
    """
    data = _side_data(frame, "DISPLAYMATRIX")
    if data is not None:
        matrix = struct.unpack("=9i", data)
        return None if matrix == DISPLAY_MATRIX_UNIT else matrix
    if still is None:
        orientation = _ORIENTATIONS.get(frame.rotation, 1)
    else:
        with PIL.Image.open(still) as image:
            orientation = image.getexif().get(ORIENTATION, 1)
    if orientation not in range(2, 9):
        return None
    one = DISPLAY_MATRIX_UNIT[0]
    across, down = one - 2 * one * (orientation in (2, 3, 6, 7)), one - 2 * one * (orientation in (3, 4, 7, 8))
    turned = (0, down, 0, across, 0) if orientation > 4 else (across, 0, 0, 0, down)
    return (*turned, *DISPLAY_MATRIX_UNIT[5:])


def _field_order(stream: av.video.stream.VideoStream, frame: av.VideoFrame) -> str:
    if frame.interlaced_frame:  # it knows better than the header: FFmpeg states the other order in Matroska's
        return "tff" if _is_top_first(frame) else "bff"
    if stream.codec_context.field_order in TOP_FIELD_FIRST:
        return "tff"
    if stream.codec_context.field_order in BOTTOM_FIELD_FIRST:
        return "bff"
    return ""


def _is_top_first(frame: av.VideoFrame) -> bool:
    """Whether an interlaced frame's upper field is shown first; PyAV has no attribute for it, a filter has a name."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(source, graph.add("select", r"eq(interlace_type\,TOPFIRST)"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    graph.vpush(None)
    return next(_pulled(graph, Fraction(1)), None) is not None


def _mastering(frame: av.VideoFrame) -> str:
    """AVMasteringDisplayMetadata and AVContentLightMetadata in x265's words and units."""
    words = []
    if data := _side_data(frame, "MASTERING_DISPLAY_METADATA"):
        numbers = struct.unpack("=22i", data)
        values = [
            Fraction(*pair) if pair[1] else Fraction(0) for pair in zip(numbers[:20:2], numbers[1:20:2], strict=True)
        ]
        red, green, blue, white = ([round(value * 50_000) for value in values[at : at + 2]] for at in (0, 2, 4, 6))
        least, most = (round(value * 10_000) for value in values[8:])
        words.append(
            "master-display="
            + "".join(
                f"{name}({x},{y})"
                for name, (x, y) in zip(("G", "B", "R", "WP"), (green, blue, red, white), strict=True)
            )
            + f"L({most},{least})"
        )
    if data := _side_data(frame, "CONTENT_LIGHT_LEVEL"):
        words.append("max-cll={},{}".format(*struct.unpack("=2I", data)))
    return ":".join(words)


def _damaged(time: Fraction, path: Path) -> UnreadableImage:
    return UnreadableImage(f"The frame at {float(time):.3f} s is damaged.", COPY_AGAIN, path)

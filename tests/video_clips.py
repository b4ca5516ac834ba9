"""Tiny videos for tests, and what is in a video file."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZE = (24, 32)
FRAMES = 12
SECOND = 12_800
"""Units of time of a clip in a second; Matroska's are milliseconds."""


def pattern(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(H,W,3) uint8: soft colours that move with the frame's number."""
    y, x = np.mgrid[: size[0], : size[1]] / 32
    waves = [np.sin(3 * x + index / 3), np.cos(2 * y + index / 5), np.sin(x + y - index / 4)]
    return np.stack([128 + 80 * wave for wave in waves], axis=-1).astype(np.uint8)


def make_clip(
    path: Path,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    times: Sequence[int] | None = None,
    frames: Iterable[np.ndarray] | None = None,
    rate: int = 5,
    options: Mapping[str, str] | None = None,
    tags: tuple[int, int, int, int] = (1, 1, 1, 1),
    rotation: int = 0,
    aspect: Fraction | None = None,
    audio_start: float | None = None,
    subtitles: bool = False,
    attachment: bytes | None = None,
    chapters: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Make a clip of a dozen frames.

    Args:
        path: its suffix decides the container.
        times: when frames are shown, in `SECOND`s; by default `rate` a second.
        frames: (H,W,3) or, with alpha, (H,W,4) uint8.
        tags: primaries, transfer, matrix and range by H.273's numbers.
        audio_start: when the two audio streams begin, in seconds; None for a clip without sound.
    """
    pixels = list(frames) if frames is not None else [pattern(index) for index in range(len(times or range(FRAMES)))]
    times = times if times is not None else [index * SECOND // rate for index in range(len(pixels))]
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {"fflags": "+bitexact", "avoid_negative_ts": "disabled"}
    if path.suffix in (".mp4", ".mov"):
        settings["movie_timescale"] = str(5 * SECOND)  # holds beginnings of streams exactly
    with av.open(str(path), "w", options=settings) as out:
        out.metadata.update(metadata or {})
        video = out.add_stream(codec, rate=rate, time_base=Fraction(1, SECOND))
        video.height, video.width, video.pix_fmt = *pixels[0].shape[:2], pixel_format
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = tags
        if aspect:
            context.sample_aspect_ratio = aspect
        context.options = {"crf": "4", "g": "4", **(options or {})}
        if codec == "libx265":  # without --cutree, which spoils memory where frames are as narrow as these
            given = context.options.get("x265-params", "log-level=none")
            context.options |= {"x265-params": f"{given}:cutree=0"}
        if rotation:
            video.set_display_rotation(rotation)
        video.metadata["language"] = "nor"
        tracks = []
        for language in ("eng", "fra") if audio_start is not None else ():
            audio = out.add_stream("pcm_s16le" if path.suffix in (".mkv", ".mov") else "aac", rate=8000, layout="mono")
            audio.metadata["language"] = language
            tracks.append(audio)
        if subtitles:
            words = out.add_stream("srt" if path.suffix == ".mkv" else "mov_text")
            words.codec_context.subtitle_header = b"[Script Info]\n"
        if attachment is not None:
            out.add_attachment("font.ttf", "application/x-truetype-font", attachment)
        if chapters:
            unit = Fraction(1, 1000)
            out.set_chapters(
                [
                    {"id": 1, "start": 0, "end": 800, "time_base": unit, "metadata": {"title": "one"}},
                    {"id": 2, "start": 800, "end": 2400, "time_base": unit, "metadata": {"title": "two"}},
                ]
            )
        matrix = {1: 1, 6: 5, 9: 9}[tags[2]]
        for at, rgb in zip(times, pixels, strict=True):
            frame = av.VideoFrame.from_ndarray(rgb, "rgb24" if rgb.shape[2] == 3 else "rgba").reformat(
                format=pixel_format, dst_colorspace=matrix, dst_color_range=tags[3]
            )
            frame.pts, frame.time_base = at, Fraction(1, SECOND)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for number, audio in enumerate(tracks):
            for index in range(10):
                tone = (np.arange(1024) * (number + 3) * 97 % 2000).astype(np.int16)[None]
                sound = av.AudioFrame.from_ndarray(tone, "s16", "mono") if audio.name == "pcm_s16le" else None
                if sound is None:
                    sound = av.AudioFrame.from_ndarray((tone / 4000).astype(np.float32), "fltp", "mono")
                sound.sample_rate = 8000
                sound.pts = int(audio_start * 8000) + index * 1024
                sound.time_base = Fraction(1, 8000)
                out.mux(audio.encode(sound))
            out.mux(audio.encode(None))
        for start in (200, 1200) if subtitles else ():
            text = f"at {start}".encode()
            packet = av.Packet(text if path.suffix == ".mkv" else len(text).to_bytes(2, "big") + text)
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = start
            packet.duration = 500
            out.mux(packet)
    return path


def contents(path: Path) -> list[tuple[object, ...]]:
    """Every stream but the video: kind, codec, tags, and digests and exact times of its packets."""
    with av.open(str(path)) as container:
        streams = [stream for stream in container.streams if stream.type != "video"]
        packets: dict[int, list[object]] = {stream.index: [] for stream in streams}
        for packet in container.demux():
            if packet.size and packet.stream_index in packets:
                digest = hashlib.sha256(bytes(packet)).hexdigest()[:8]
                packets[packet.stream_index].append(
                    (digest, packet.pts * packet.time_base, packet.dts, packet.duration)
                )
        return [
            (
                stream.type,
                stream.codec_context.name if stream.codec_context else "",
                dict(stream.metadata),
                stream.disposition,
                stream.data if stream.type == "attachment" else b"",
                packets[stream.index],
            )
            for stream in streams
        ]


def frame_times(path: Path) -> list[Fraction]:
    """When every decoded frame is shown, in seconds."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def damage_packet(path: Path, number: int) -> None:
    """Overwrite the packet of one frame with junk."""
    with av.open(str(path)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][number]
        position, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    at = data.find(bytes(packet), position)
    data[at : at + size] = bytes(range(7, 256)) * (size // 249) + bytes(range(7, 7 + size % 249))
    path.write_bytes(data)

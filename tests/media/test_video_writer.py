import os
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.stream
import imageio_ffmpeg
import numpy as np
import pytest
from video_clips import FRAMES, SECOND, contents, frame_times, make_clip, pattern

from restorekit.errors import UnwritableOutput, UsageError
from restorekit.media import video_writer
from restorekit.media.encode import write_image
from restorekit.media.encoding import Encoding, result_path
from restorekit.media.image import Image
from restorekit.media.video import Frame
from restorekit.media.video_reader import VideoInfo, VideoReader, read_info
from restorekit.media.video_writer import (
    Segment,
    SegmentWriter,
    choose_format,
    join_segments,
)

VARIABLE = [300, 2560, 5000, 7680, 10_000, 13_000, 15_360, 18_000, 20_480, 23_040, 25_600, 30_000]


def copied(
    source: Path, result: Path, encoding: Encoding = Encoding(), span: tuple[int, int] = (0, FRAMES)
) -> tuple[VideoInfo, tuple[str, ...]]:
    """Read a video and write its frames as they are, in segments of five; what was read, and what was lost."""
    info = read_info(source)
    format = choose_format(info, (info.height, info.width), encoding, result.suffix, bool(info.field_order))
    frames = list(VideoReader(info))[slice(*span)]
    segments = []
    for first in range(0, len(frames), 5):
        writer = SegmentWriter(result.parent / f"{result.name}-{first}.nut", format)
        for frame in frames[first : first + 5]:
            writer.write(frame)
        writer.commit()
        times = tuple(int(frame.timestamp / info.video.time_base) for frame in frames[first : first + 5])
        segments.append(Segment(writer.path, times, writer.delay))
    part = None if span == (0, FRAMES) else (segments[0].times[0], int(info.video.times[span[1]]))
    return info, join_segments(info, segments, format, result, part)


def chapters(container: av.container.InputContainer) -> list[tuple[object, ...]]:
    """Beginning, end and name of every chapter, times in seconds."""
    return [
        (chapter["start"] * chapter["time_base"], chapter["end"] * chapter["time_base"], chapter["metadata"])
        for chapter in container.chapters()
    ]


CLIPS = {
    "late-sound.mp4": {"audio_start": 0.5, "subtitles": True, "chapters": True, "rotation": 90, "times": VARIABLE},
    "all-kinds.mkv": {
        "audio_start": 0.25,
        "subtitles": True,
        "attachment": b"letters",
        "chapters": True,
        "aspect": Fraction(4, 3),
        "times": VARIABLE,
    },
    "reordered.mp4": {"options": {"bf": "3", "b_strategy": "0", "g": "12"}, "aspect": Fraction(128, 117)},
    "hdr.mov": {"codec": "libx265", "pixel_format": "yuv420p10le", "tags": (9, 16, 9, 1), "audio_start": 0.5},
    "hlg.mkv": {"codec": "libx265", "pixel_format": "yuv420p10le", "tags": (9, 18, 9, 1)},
    "full-range.mkv": {"pixel_format": "yuvj444p", "tags": (1, 13, 1, 2)},
    "old-colours.mp4": {"tags": (6, 6, 6, 1), "options": {"chroma_sample_location": "center"}},
    "vp9.webm": {"codec": "libvpx-vp9", "tags": (1, 1, 1, 2), "rotation": 180},
}


@pytest.mark.parametrize("name", CLIPS)
def test_what_comes_in_goes_out(tmp_path: Path, name: str) -> None:
    source = make_clip(tmp_path / "in" / name, metadata={"title": "A clip"}, **CLIPS[name])
    info, lost = copied(source, tmp_path / name)
    result = read_info(tmp_path / name)
    assert lost == ()
    assert frame_times(tmp_path / name) == frame_times(source)
    assert contents(tmp_path / name) == contents(source)
    for fact in (
        *("height", "width", "depth", "pixel_format", "colour", "primaries", "transfer", "matrix", "range"),
        *("chroma_location", "sample_aspect_ratio", "display_matrix", "field_order", "mastering"),
    ):
        assert getattr(result, fact) == getattr(info, fact), fact
    with av.open(str(source)) as before, av.open(str(tmp_path / name)) as after:
        assert after.metadata["title"] == "A clip"
        assert chapters(after) == chapters(before)
        assert after.streams.video[0].metadata["language"] == "nor"
        assert [stream.type for stream in after.streams] == [stream.type for stream in before.streams]
    top = 255 if info.depth == 8 else 65535
    for frame, again in zip(VideoReader(info), VideoReader(result), strict=True):
        difference = np.abs(frame.image.pixels.astype(float) - again.image.pixels).mean() / top
        assert difference < 0.012  # 3 of 255 on average; the next frame is 10 away


def sound(path: Path) -> list[tuple[bytes, Fraction]]:
    """Every packet of the first sound and when it begins, in seconds."""
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.pts * packet.time_base) for packet in container.demux(audio=0) if packet.size]


def ffmpeg(*arguments: str | Path) -> None:
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *arguments], check=True)


@pytest.mark.parametrize("name", ["a.mp4", "a.ogv"])
def test_sound_that_begins_before_zero_is_kept_in_another_container(tmp_path: Path, name: str) -> None:
    source = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=32x24:r=5:d=2.4", "-f", "lavfi", "-i", "sine=d=2", source)
    _, lost = copied(source, tmp_path / "out.mkv", Encoding(lossless=True))
    before, after = sound(source), sound(tmp_path / "out.mkv")
    assert lost == ()
    assert before[0][1] < 0  # of an encoder that starts up
    assert [data for data, _ in after] == [data for data, _ in before]
    assert max(abs(now - was) for (_, was), (_, now) in zip(before, after, strict=True)) < Fraction(1, 1000)


@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_the_timecode_of_a_camera_is_kept_except_in_a_part(tmp_path: Path, suffix: str) -> None:
    clip, source = make_clip(tmp_path / "clip.mp4", audio_start=0.0), tmp_path / f"in{suffix}"
    ffmpeg("-i", clip, "-map", "0", "-c", "copy", "-timecode", "01:00:00:02", source)
    timecodes = []
    for span in ((0, FRAMES), (2, 6)):
        _, lost = copied(source, tmp_path / f"out{suffix}", span=span)
        assert lost == ()
        with av.open(str(tmp_path / f"out{suffix}")) as container:
            timecodes.append([stream.metadata.get("timecode") for stream in container.streams])
    with av.open(str(source)) as container:
        (timecode,) = (stream.metadata["timecode"] for stream in container.streams.data)
    assert timecodes == [[timecode, None, None, timecode], [None, None, None]]


def test_a_cover_stays_and_what_holds_nothing_in_a_part_is_named(tmp_path: Path) -> None:
    clip, picture, source = make_clip(tmp_path / "a.mp4", audio_start=0.0), tmp_path / "c.png", tmp_path / "in.mp4"
    write_image(Image(pattern(5)), picture)
    ffmpeg(
        "-i", clip, "-i", picture, "-map", "0", "-map", "1", "-c", "copy", "-disposition:v:1", "attached_pic", source
    )
    lost = {}
    for name, span in (
        ("whole.mp4", (0, FRAMES)),
        ("part.mp4", (8, 11)),
        ("whole.mkv", (0, FRAMES)),
        ("part.mkv", (8, 11)),
    ):
        _, lost[name] = copied(source, tmp_path / name, span=span)
        with av.open(str(tmp_path / name)) as result:
            (cover,) = (
                stream for stream in result.streams.video if stream.disposition & av.stream.Disposition.attached_pic
            )
            assert next(bytes(packet) for packet in result.demux(cover)) == picture.read_bytes()
    silent = tuple(f"stream {index} (audio) left out: it holds nothing in this part" for index in (1, 2))
    assert lost == {"whole.mp4": (), "part.mp4": silent, "whole.mkv": (), "part.mkv": ()}
    _, lost_again = copied(tmp_path / "whole.mkv", tmp_path / "again.mkv")
    assert lost_again == ()


def test_frame_rates_are_the_times_own_and_never_computed(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", times=VARIABLE)
    copied(source, tmp_path / "out.mp4")
    assert frame_times(tmp_path / "out.mp4") == [Fraction(time, SECOND) for time in VARIABLE]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_frames_that_share_a_time_are_kept(tmp_path: Path, name: str) -> None:
    times = [index // 3 * 5120 for index in range(FRAMES)]
    source = make_clip(tmp_path / "in.mkv", "ffv1", times=times, options={"g": "1"})
    copied(source, tmp_path / name)
    assert frame_times(tmp_path / name) == [Fraction(time, SECOND) for time in times]


def test_mastering_display_is_kept(tmp_path: Path) -> None:
    words = "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    options = {"x265-params": f"log-level=none:{words}"}
    source = make_clip(tmp_path / "in.mp4", "libx265", "yuv420p10le", tags=(9, 16, 9, 1), options=options)
    copied(source, tmp_path / "out.mp4")
    assert read_info(tmp_path / "out.mp4").mastering == words


@pytest.mark.parametrize(("width", "parameters"), [(48, "log-level=none:cutree=0"), (64, "log-level=none")])
def test_x265_keeps_to_its_memory_where_frames_are_narrow(tmp_path: Path, width: int, parameters: str) -> None:
    info = read_info(make_clip(tmp_path / "in.mkv"))
    options = choose_format(info, (24, width), Encoding("hevc"), ".mkv", False).options
    assert options["x265-params"] == parameters


@pytest.mark.parametrize("first", ["tff", "bff"])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_interlaced_video_stays_marked_as_such(tmp_path: Path, suffix: str, first: str) -> None:
    source, result = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    ffmpeg("-i", make_clip(tmp_path / "clip.mkv"), "-vf", f"setfield={first}", "-flags", "+ildct", source)
    info, _ = copied(source, result)
    assert info.field_order == read_info(result).field_order == first
    for path in (source, result):
        arguments = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", path, "-vf", "showinfo", "-f", "null", "-"]
        told = subprocess.run(arguments, capture_output=True, text=True, check=True).stderr
        assert told.count(f" i:{first[0].upper()} ") == FRAMES


def test_lossless_keeps_every_sample(tmp_path: Path) -> None:
    for pixel_format in ("bgr0", "gray"):
        source = make_clip(tmp_path / f"{pixel_format}.mkv", "ffv1", pixel_format)
        info, _ = copied(source, tmp_path / "out.mkv", Encoding(lossless=True))
        result = read_info(tmp_path / "out.mkv")
        assert result.video.codec == "ffv1"
        pairs = zip(VideoReader(info), VideoReader(result), strict=True)
        assert all(np.array_equal(one.image.pixels, two.image.pixels) for one, two in pairs)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9", "libsvtav1", "ffv1"])
def test_the_same_frames_give_the_same_bytes(tmp_path: Path, codec: str) -> None:
    info = read_info(make_clip(tmp_path / "in.mkv", frames=[pattern(index, (48, 64)) for index in range(8)]))
    format = choose_format(info, (48, 64), Encoding(codec), ".mkv", False)
    frames, made = list(VideoReader(info)), set()
    for number in range(5):
        junk = [os.urandom(3000 * index) for index in range(1, 60)]  # leaves memory that is not zero
        del junk[::2]
        writer = SegmentWriter(tmp_path / f"{number}.nut", format)
        for frame in frames:
            writer.write(frame)
        writer.commit()
        made.add(writer.path.read_bytes())
    assert len(made) == 1


@pytest.mark.parametrize(
    ("name", "bits", "codec"),
    [("a.mp4", 8, "h264"), ("a.mkv", 8, "h264"), ("a.mov", 10, "hevc"), ("a.webm", 8, "vp9"), ("a.mkv", 10, "hevc")],
)
def test_the_container_decides_the_codec(tmp_path: Path, name: str, bits: int, codec: str) -> None:
    source = make_clip(tmp_path / "in.mkv", "ffv1", "yuv420p" if bits == 8 else "yuv420p10le")
    copied(source, tmp_path / name)
    result = read_info(tmp_path / name)
    assert (result.video.codec, result.depth) == (codec, bits)


def test_names_stay_where_their_container_can_be_written(tmp_path: Path) -> None:
    assert result_path(Path("a/b.MP4"), Encoding()) == Path("a/b.MP4")
    assert result_path(Path("a/b.avi"), Encoding()) == Path("a/b.avi.mkv")
    assert result_path(Path("a/b.mp4"), Encoding(lossless=True)) == Path("a/b.mp4.mkv")
    assert result_path(Path("a/b.webm"), Encoding("libx264")) == Path("a/b.webm.mkv")


def test_options_reach_the_encoder(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4")
    sizes = []
    for encoding in (Encoding(crf=40), Encoding(), Encoding("hevc", crf=10, preset="fast")):
        copied(source, tmp_path / "out.mp4", encoding)
        sizes.append((tmp_path / "out.mp4").stat().st_size)
    assert sizes[0] < sizes[1]
    assert read_info(tmp_path / "out.mp4").video.codec == "hevc"
    info = read_info(source)
    for encoding, word in ((Encoding("vp9", preset="slow"), "preset"), (Encoding("ffv1", crf=3), "crf")):
        with pytest.raises(UsageError, match=word):
            choose_format(info, (24, 32), encoding, ".mkv", False)
    with pytest.raises(UsageError, match="no encoder"):
        Encoding("nonsense")


def test_a_part_begins_at_zero_with_its_sound(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", audio_start=0.0)
    copied(source, tmp_path / "out.mkv", span=(5, 9))
    assert frame_times(tmp_path / "out.mkv") == [Fraction(index, 5) for index in range(4)]
    inside = [packet for packet in contents(source)[0][5] if 1 <= packet[1] < Fraction(9, 5)]
    sound = contents(tmp_path / "out.mkv")[0][5]
    assert [(digest, time + 1) for digest, time, *_ in sound] == [(digest, time) for digest, time, *_ in inside]
    assert len(inside) == 2


@pytest.mark.parametrize("wrong", ["one frame less", "another time", "a longer last frame"])
def test_a_result_that_differs_is_not_kept(tmp_path: Path, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = video_writer._timed

    def tampered(*arguments: object) -> object:
        for index, packet in enumerate(timed(*arguments)):
            if index == FRAMES - 1:
                if wrong == "one frame less":
                    return
                packet.pts += 100 if wrong == "another time" else 0
                packet.duration *= 2 if wrong == "a longer last frame" else 1
            yield packet

    monkeypatch.setattr(video_writer, "_timed", tampered)
    source = make_clip(tmp_path / "in.mp4")
    (tmp_path / "out.mp4").write_bytes(b"as it was")
    with pytest.raises(UnwritableOutput, match="differ from its source"):
        copied(source, tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == b"as it was"
    assert not list(tmp_path.glob(".*.part"))


def test_packets_that_the_container_refuses_are_a_fault_of_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = video_writer._timed

    def tampered(*arguments: object) -> object:
        for packet in timed(*arguments):
            packet.dts = packet.pts + 1  # nothing is shown before it is decoded
            yield packet

    monkeypatch.setattr(video_writer, "_timed", tampered)
    with pytest.raises(
        UnwritableOutput, match=r"does not take a packet of the kind video \(Invalid .*another container"
    ):
        copied(make_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4")


def test_a_header_or_an_end_that_cannot_be_written_is_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refusing:
        """A container that refuses one call."""

        def __init__(self, container: Any, refused: str) -> None:
            self.container, self.refused = container, refused

        def __getattr__(self, name: str) -> Any:
            if name == self.refused:
                raise av.error.ArgumentError(22, "Invalid argument")
            return getattr(self.container, name)

        def __enter__(self) -> "Refusing":
            return self

        def __exit__(self, *_: object) -> None:
            self.container.close()

    source, opened = make_clip(tmp_path / "in.mp4"), av.open
    for refused in ("start_encoding", "close"):
        monkeypatch.setattr(
            av,
            "open",
            lambda file, *more, refused=refused, **options: (
                Refusing(opened(file, *more, **options), refused)
                if options.get("format") == "mp4"
                else opened(file, *more, **options)
            ),
        )
        with pytest.raises(UnwritableOutput, match="cannot be encoded") as caught:
            copied(source, tmp_path / "out.mp4")
        assert caught.value.path == tmp_path / "out.mp4"


def test_frames_come_in_order_and_of_one_size(tmp_path: Path) -> None:
    info = read_info(make_clip(tmp_path / "in.mp4"))
    writer = SegmentWriter(tmp_path / "a.nut", choose_format(info, (24, 32), Encoding(), ".mp4", False))
    writer.write(Frame(3, Fraction(0), Image(pattern(0))))
    for frame in (Frame(5, Fraction(0), Image(pattern(0))), Frame(4, Fraction(0), Image(pattern(0)[:20]))):
        with pytest.raises(ValueError, match=r"order|fit"):
            writer.write(frame)
    writer.abort()
    assert list(tmp_path.iterdir()) == [tmp_path / "in.mp4"]


def test_pixels_that_are_not_square_are_refused_where_they_would_be_lost(tmp_path: Path) -> None:
    info = read_info(make_clip(tmp_path / "in.mp4", aspect=Fraction(4, 3)))
    with pytest.raises(UsageError, match="not square"):
        choose_format(info, (24, 32), Encoding(lossless=True), ".mkv", False)


def test_an_encoder_that_does_not_start_is_named(tmp_path: Path) -> None:
    info = read_info(make_clip(tmp_path / "in.mp4"))
    format = choose_format(info, (24, 32), Encoding(preset="no such"), ".mkv", False)
    writer = SegmentWriter(tmp_path / "a.nut", format)
    with pytest.raises(
        UnwritableOutput, match=r"libx264 does not start \(.*\)\. Choose another preset, or another codec\.$"
    ):
        writer.write(Frame(0, Fraction(0), Image(pattern(0))))
    writer.abort()
    assert list(tmp_path.iterdir()) == [tmp_path / "in.mp4"]


@pytest.mark.parametrize(
    ("encoder", "pixel_format", "expected"),
    [
        ("hevc_qsv", "yuv420p", "nv12"),
        ("hevc_qsv", "yuv420p10le", "p010le"),
        ("hevc_nvenc", "yuv420p", "yuv420p"),
        ("hevc_nvenc", "yuv420p10le", "p010le"),
    ],
)
def test_hardware_encoders_get_the_layout_that_they_take(
    tmp_path: Path, encoder: str, pixel_format: str, expected: str
) -> None:
    if encoder not in av.codecs_available:
        pytest.skip("FFmpeg does not list it here")
    info = read_info(make_clip(tmp_path / "in.mkv", "ffv1", pixel_format))
    format = choose_format(info, (24, 32), Encoding(encoder), ".mkv", False)
    assert format.pixel_format == expected
    image = next(iter(VideoReader(info))).image
    again = video_writer._encodable(image, format).reformat(format=pixel_format)
    planar = video_writer._encodable(image, replace(format, pixel_format=pixel_format))
    assert np.array_equal(again.to_ndarray(), planar.to_ndarray())

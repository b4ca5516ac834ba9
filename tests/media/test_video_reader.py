import math
import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
from video_clips import FRAMES, SECOND, damage_packet, make_clip, pattern

from restorekit.errors import UnreadableImage
from restorekit.media import video_reader
from restorekit.media.video_reader import VideoReader, read_info, upright

VARIABLE = [300, 2560, 5000, 7680, 10_000, 13_000, 15_360, 18_000, 20_480, 23_040, 25_600, 30_000]


@pytest.mark.parametrize(("name", "unit"), [("a.mp4", SECOND), ("a.mkv", 1000)])
def test_every_frame_comes_with_its_own_time(tmp_path: Path, name: str, unit: int) -> None:
    frames = list(VideoReader(read_info(make_clip(tmp_path / name, times=VARIABLE))))
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.timestamp for frame in frames] == [
        Fraction(math.floor(Fraction(time * unit, SECOND) + Fraction(1, 2)), unit) for time in VARIABLE
    ]


def test_frames_come_in_the_order_in_which_they_are_shown(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4", options={"bf": "3", "b_strategy": "0", "g": "12"})
    frames = list(VideoReader(read_info(path)))
    errors = [np.abs(frame.image.pixels.astype(int) - pattern(frame.index)).mean() for frame in frames]
    assert max(errors) < 4  # 24x32 pixels of H.264 at crf 4; another frame would differ by more than 10
    assert np.abs(pattern(3).astype(int) - pattern(4)).mean() > 10


def test_reordered_frames_of_an_avi_come_in_the_order_in_which_they_are_shown(tmp_path: Path) -> None:
    options = {"bf": "3", "b_strategy": "0", "g": "6"}
    path = make_clip(tmp_path / "a.avi", times=list(range(FRAMES)), rate=SECOND, options=options)
    info = read_info(path)
    with av.open(str(path)) as container:
        stated = [frame.pts for frame in container.decode(video=0)]
    assert stated != sorted(stated)
    for first in (0, 7):
        frames = list(VideoReader(info, first=first))
        assert [frame.index for frame in frames] == list(range(first, FRAMES))
        assert [frame.timestamp for frame in frames] == [info.time(index) for index in range(first, FRAMES)]
        for frame in frames:
            assert np.abs(frame.image.pixels.astype(int) - pattern(frame.index)).mean() < 4


def retimed(source: Path, path: Path, times: Callable[[int], int]) -> Path:
    """A copy at other times, in fifths of a second, by the numbers of packets in the file."""
    options = {"avoid_negative_ts": "disabled"}
    with av.open(str(source)) as container, av.open(str(path), "w", options=options) as out:
        stream = out.add_stream_from_template(container.streams.video[0], opaque=True)
        for index, packet in enumerate(packet for packet in container.demux(video=0) if packet.size):
            packet.stream = stream
            packet.time_base, packet.duration = Fraction(1, 5), 1
            packet.pts, packet.dts = times(index), index - FRAMES  # the file keeps the former alone
            out.mux(packet)
    return path


def test_times_in_the_order_of_decoding_are_put_on_frames_in_the_order_in_which_they_are_shown(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", options={"bf": "3", "b_strategy": "0", "g": "6"})
    info = read_info(retimed(source, tmp_path / "a.mkv", lambda index: index))
    for first in (0, 7):
        frames = list(VideoReader(info, first=first))
        assert [frame.index for frame in frames] == list(range(first, FRAMES))
        assert [frame.timestamp for frame in frames] == [Fraction(index, 5) for index in range(first, FRAMES)]
        for frame in frames:
            assert np.abs(frame.image.pixels.astype(int) - pattern(frame.index)).mean() < 4


def test_frames_of_a_file_whose_joined_parts_overlap_keep_their_order(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", "ffv1", options={"g": "1"})
    shown = [0, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9]
    info = read_info(retimed(source, tmp_path / "a.mkv", lambda index: shown[index]))
    for first in (0, 7, 10):
        frames = list(VideoReader(info, first=first))
        assert [frame.index for frame in frames] == list(range(first, FRAMES))
        times = [0, 1, 2, 3, 4, 5, 5, 5, 6, 7, 8, 9]
        assert [frame.timestamp for frame in frames] == [Fraction(time, 5) for time in times[first:]]
        for frame in frames:
            assert np.abs(frame.image.pixels.astype(int) - pattern(frame.index)).mean() < 4


def test_times_that_begin_anew_are_told(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", "ffv1", options={"g": "1"})
    info = read_info(retimed(source, tmp_path / "a.mkv", lambda index: index % 6))
    with pytest.raises(UnreadableImage, match=r"begin anew at 1.000 s"):
        list(VideoReader(info))


def test_frames_of_an_avi_which_states_no_times_are_counted(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.avi", codec="mpeg4", times=list(range(FRAMES)), rate=SECOND, options={"bf": "2"})
    frames = list(VideoReader(read_info(path)))
    assert len(frames) == FRAMES
    assert all(frame.image is not None for frame in frames)


@pytest.mark.parametrize(
    ("tags", "pixel_format"), [((1, 1, 1, 1), "yuv444p"), ((6, 6, 6, 1), "yuv444p"), ((1, 1, 1, 2), "yuvj444p")]
)
def test_colours_are_read_by_the_streams_own_matrix_and_range(
    tmp_path: Path, tags: tuple[int, int, int, int], pixel_format: str
) -> None:
    red = np.broadcast_to(np.array([200, 40, 90], np.uint8), (24, 32, 3))
    path = make_clip(tmp_path / "a.mkv", pixel_format=pixel_format, frames=[red] * 2, tags=tags, options={"crf": "1"})
    (frame, _) = VideoReader(read_info(path))
    assert np.abs(frame.image.pixels.astype(int) - [200, 40, 90]).max() <= 2


@pytest.mark.parametrize("pixel_format", ["rgb555le", "rgb565le", "monow"])
def test_less_than_eight_bits_are_read_as_eight(tmp_path: Path, pixel_format: str) -> None:
    info = read_info(make_clip(tmp_path / "a.nut", "rawvideo", pixel_format))
    assert info.depth == 8
    image = next(iter(VideoReader(info))).image
    assert image.pixels.dtype == np.uint8
    assert image.size == (24, 32)
    if pixel_format != "monow":
        assert np.abs(image.pixels.astype(int) - pattern(0)).mean() < 8


def test_columns_that_are_cropped_on_the_left_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    crop = ["-c", "copy", "-bsf:v", "h264_metadata=crop_left=6:crop_top=2", path]
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", make_clip(tmp_path / "in.mp4"), *crop], check=True
    )
    info = read_info(path)
    assert (info.height, info.width) == (22, 26)
    image = next(iter(VideoReader(info))).image
    assert np.abs(image.pixels.astype(int) - pattern(0)[2:, 6:]).mean() < 4


@pytest.mark.parametrize("codec", ["ffv1", "libx265"])
def test_ten_bits_are_read_as_sixteen(tmp_path: Path, codec: str) -> None:
    path = make_clip(tmp_path / "a.mkv", codec, "yuv420p10le", tags=(9, 16, 9, 1))
    info = read_info(path)
    assert (info.depth, info.primaries, info.transfer, info.matrix) == (10, 9, 16, 9)
    pixels = next(iter(VideoReader(info))).image.pixels
    assert pixels.dtype == np.uint16
    assert np.abs(pixels / 257 - pattern(0)).mean() < 2
    assert len(np.unique(pixels)) > 256


@pytest.mark.parametrize("location", ["left", "center", "topleft"])
def test_where_chroma_samples_lie_is_known(tmp_path: Path, location: str) -> None:
    info = read_info(make_clip(tmp_path / "a.mkv", options={"chroma_sample_location": location}))
    assert info.chroma_location == location
    assert info.colour.cosited == {"left": (False, True), "center": (False, False), "topleft": (True, True)}[location]


def test_shape_of_pixels_rotation_and_fields_are_known(tmp_path: Path) -> None:
    info = read_info(make_clip(tmp_path / "a.mp4", rotation=90, aspect=Fraction(4, 3)))
    assert info.sample_aspect_ratio == Fraction(4, 3)
    assert info.display_matrix[:5] == (0, -65536, 0, 65536, 0)
    assert info.field_order == ""
    interlaced = make_clip(tmp_path / "b.mkv", options={"x264-params": "bff=1", "flags": "+ildct"})
    assert read_info(interlaced).field_order == "bff"


def test_mastering_display_and_light_levels_are_read_in_x265s_words(tmp_path: Path) -> None:
    words = "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    path = make_clip(
        tmp_path / "a.mp4",
        "libx265",
        "yuv420p10le",
        tags=(9, 16, 9, 1),
        options={"x265-params": f"log-level=none:{words}"},
    )
    assert read_info(path).mastering == words


def test_interlaced_frames_are_made_whole_on_request(tmp_path: Path) -> None:
    combed = np.zeros((24, 32, 3), np.uint8)
    combed[::2] = 200  # a flicker: first fields of even frames are bright, first fields of odd ones dark
    options = {"x264-params": "tff=1", "flags": "+ildct", "crf": "1"}
    path = make_clip(tmp_path / "a.mkv", frames=[combed, np.flipud(combed)] * 3, options=options)
    info = read_info(path)
    woven, whole = list(VideoReader(info)), list(VideoReader(info, deinterlace=True))
    assert [frame.timestamp for frame in whole] == [frame.timestamp for frame in woven]
    rows = [frames[2].image.pixels.astype(int)[4:-4].mean(axis=(1, 2)) for frames in (woven, whole)]
    assert np.abs(np.diff(rows[0])).min() > 150
    assert np.abs(np.diff(rows[1])).max() < 60


GROUPS = {  # how many frames are not decoded at most, of twelve with a key frame every fourth
    "closed.mp4": ({"options": {"bf": "2", "b_strategy": "0"}}, 8),
    # open groups have frames that are shown before their key frame and need the one before
    "open.mkv": ({"options": {"bf": "2", "b_strategy": "0", "x264-params": "open-gop=1"}}, 8),
    "hevc.mp4": ({"codec": "libx265", "options": {"x265-params": "log-level=none:open-gop=1:bframes=2:keyint=4"}}, 8),
    "vp9.webm": ({"codec": "libvpx-vp9"}, 8),
    "fields.mkv": ({"options": {"x264-params": "tff=1", "flags": "+ildct"}}, 8),
    "single.mkv": ({"codec": "ffv1", "options": {"g": "1"}}, 11),
    # from here on seeking ends elsewhere, no frame stands alone, or packets hold no frame
    "transport.ts": ({"options": {"bf": "2", "b_strategy": "0", "x264-params": "open-gop=1"}}, 0),
    "refresh.mkv": (
        {
            "frames": [pattern(4 * index, (64, 128)) for index in range(FRAMES)],
            "options": {"x264-params": "intra-refresh=1", "bf": "0", "crf": "20"},
        },
        0,
    ),
    "hidden.webm": ({"codec": "libvpx", "options": {"auto-alt-ref": "1", "lag-in-frames": "8"}}, 0),
    "packed.avi": ({"codec": "mpeg4", "times": list(range(FRAMES)), "rate": SECOND, "options": {"bf": "2"}}, 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("deinterlace", [False, True])
def test_frames_are_the_same_wherever_reading_begins(
    tmp_path: Path, name: str, deinterlace: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, most = GROUPS[name]
    info = read_info(make_clip(tmp_path / name, **clip))
    frames = list(VideoReader(info, deinterlace))
    assert len(frames) == FRAMES
    starts, seek = [], video_reader._decoded

    def seen(container: object, stream: object, key: int | None = None) -> object:
        starts.append(key)
        return seek(container, stream, key)

    monkeypatch.setattr(video_reader, "_decoded", seen)
    sought = 0
    for first in range(1, FRAMES):
        starts.clear()
        again = list(VideoReader(info, deinterlace, first))
        assert [(frame.index, frame.timestamp) for frame in again] == [
            (frame.index, frame.timestamp) for frame in frames[first:]
        ]
        assert all(
            np.array_equal(one.image.pixels, two.image.pixels) for one, two in zip(again, frames[first:], strict=True)
        )
        sought = max(sought, 0 if starts[-1] is None else int(np.searchsorted(info.video.times, starts[-1])))
    assert sought == max(0, most - deinterlace * (most == FRAMES - 1))  # made whole with the one before


@pytest.mark.parametrize(
    ("degrees", "corner"), [(0, (0, 0)), (90, (-1, 0)), (180, (-1, -1)), (270, (0, -1)), (-90, (0, -1))]
)
def test_frames_are_turned_as_players_show_them(tmp_path: Path, degrees: int, corner: tuple[int, int]) -> None:
    marked = np.zeros((24, 32, 3), np.uint8)
    marked[:12, :16] = (
        255  # FFmpeg's angles are counter-clockwise: after a quarter the top left lies at the bottom left
    )
    path = make_clip(tmp_path / "a.mp4", frames=[marked], rotation=degrees)
    info = read_info(path)
    image = upright(next(iter(VideoReader(info))), info)
    assert image.size == ((24, 32) if degrees in (0, 180) else (32, 24))
    corners = {(y, x): image.pixels[y, x, 0] > 128 for y in (0, -1) for x in (0, -1)}
    assert [place for place, bright in corners.items() if bright] == [corner]
    if degrees:  # ffmpeg turns frames by itself
        raw = subprocess.run(
            [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        other = np.frombuffer(raw, np.uint8).reshape(image.pixels.shape)
        assert np.abs(other.astype(int) - image.pixels).max() < 40
        assert np.abs(other.astype(int) - image.pixels).mean() < 3


@pytest.mark.parametrize("number", [0, 5, 11])
def test_a_damaged_frame_keeps_its_slot(tmp_path: Path, number: int) -> None:
    path = make_clip(tmp_path / "a.mkv", "ffv1", options={"g": "1"})
    damage_packet(path, number)
    frames = list(VideoReader(read_info(path)))
    assert [frame.timestamp for frame in frames] == [Fraction(index, 5) for index in range(FRAMES)]
    assert [frame.index for frame in frames if frame.error] == [number]
    assert f"{number / 5:.3f} s" in frames[number].error.reason


def test_frames_that_need_a_damaged_one_keep_their_slots_too(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mkv", options={"bf": "0"})  # a key frame every fourth
    damage_packet(path, 0)
    frames = list(VideoReader(read_info(path)))
    assert len(frames) == FRAMES
    assert [frame.index for frame in frames if frame.error] == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_video_that_is_cut_off_is_told(tmp_path: Path, name: str) -> None:
    path = make_clip(tmp_path / name)
    data = path.read_bytes()
    if name == "a.mp4":  # its index comes first in files for the web
        with (
            av.open(str(path)) as source,
            av.open(str(tmp_path / "b.mp4"), "w", options={"movflags": "faststart"}) as out,
        ):
            stream = out.add_stream_from_template(source.streams.video[0], opaque=True)
            for packet in source.demux(video=0):
                packet.stream = stream
                out.mux([packet] if packet.size else [])
        data = (tmp_path / "b.mp4").read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(UnreadableImage, match="cut off"):
        read_info(path)


def test_a_video_that_was_trimmed_by_its_edit_list_is_whole(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "a.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12  # behind version and count; then come length and beginning
    (begin,) = struct.unpack(">I", data[at + 4 : at + 8])
    data[at : at + 8] = struct.pack(
        ">II", 5 * SECOND * 4 // 5, begin + SECOND
    )  # 4 frames of 12, the first no key frame
    path.write_bytes(data)
    info = read_info(path)
    frames = list(VideoReader(info))
    assert [frame.timestamp for frame in frames] == [Fraction(index, 5) for index in range(4)]
    assert np.abs(frames[0].image.pixels.astype(int) - pattern(5)).mean() < 4


def test_a_last_frame_that_is_shown_for_long_is_none_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    clips = ["-f", "lavfi", "-i", "testsrc2=s=32x24:r=25:d=0.5", "-f", "lavfi", "-i", "testsrc2=s=32x24:r=1:d=3"]
    joined = ["-filter_complex", "[0][1]concat=n=2", "-fps_mode", "vfr", "-enc_time_base", "1:1000", path]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *clips, *joined], check=True)
    info = read_info(path)
    assert info.video.end == info.video.times[-1] == 2520  # the header alone states the whole second behind
    with av.open(str(path)) as container:
        assert container.duration == 3_520_000


def test_what_is_no_video_is_told(tmp_path: Path) -> None:
    sound, cover, empty, text = (tmp_path / name for name in ("sound.mkv", "cover.mp4", "empty.mp4", "text.mp4"))
    with av.open(str(sound), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        samples.sample_rate = 8000
        out.mux(stream.encode(samples))
    with av.open(str(cover), "w") as out:
        stream = out.add_stream("png", rate=1)
        stream.height, stream.width, stream.pix_fmt = 24, 32, "rgb24"
        stream.disposition = av.stream.Disposition.attached_pic
        out.mux(stream.encode(av.VideoFrame.from_ndarray(pattern(0), "rgb24")))
    make_clip(empty)
    index = empty.read_bytes()
    size = index.index(b"stsz") + 4  # version, size of all, count
    empty.write_bytes(index[:size] + struct.pack(">III", 0, 1, 0) + index[size + 12 :])
    text.write_text("no video")
    for path, words in (
        (sound, "only sound"),
        (cover, "cover picture"),
        (empty, "no frames"),
        (text, "cannot be read"),
    ):
        with pytest.raises(UnreadableImage, match=words) as caught:
            read_info(path)
        assert caught.value.hint
        assert caught.value.path == path


def test_a_playlist_opens_nothing(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mkv")
    playlist = tmp_path / "list.mp4"
    playlist.write_text("ffconcat version 1.0\nfile a.mkv\n")
    with pytest.raises(UnreadableImage):
        read_info(playlist)


@pytest.mark.parametrize("orientation", [None, 1, 2, 3, 4, 5, 6, 7, 8])
def test_numbered_images_with_exif_are_shown_as_their_orientation_says(tmp_path: Path, orientation: int | None) -> None:
    exif = PIL.Image.Exif()
    exif[0x010F] = "a camera"
    if orientation is not None:
        exif[0x0112] = orientation
    quarters = np.kron([[0, 80], [160, 240]], np.ones((8, 16))).astype(np.uint8)
    PIL.Image.fromarray(quarters).convert("RGB").save(tmp_path / "1.jpg", exif=exif, quality=95)
    (frame,) = VideoReader(info := read_info(tmp_path / "%d.jpg", Fraction(25)))
    expected = PIL.ImageOps.exif_transpose(PIL.Image.open(tmp_path / "1.jpg"))
    shown = upright(frame, info).pixels.astype(int)
    assert shown.shape == np.asarray(expected).shape
    assert np.abs(shown - np.asarray(expected)).mean() < 3  # another turn: 40 and more


@pytest.mark.parametrize(
    ("orientation", "turned"), [(1, (1, 0, 0, 1)), (3, (-1, 0, 0, -1)), (6, (0, 1, -1, 0)), (8, (0, -1, 1, 0))]
)
def test_a_video_of_jpegs_with_exif_is_turned_as_they_say(
    tmp_path: Path, orientation: int, turned: tuple[int, ...]
) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.new("RGB", (32, 16)).save(tmp_path / "1.jpg", exif=exif)
    with av.open(str(tmp_path / "1.jpg")) as still, av.open(str(tmp_path / "a.mkv"), "w") as video:
        stream = video.add_stream_from_template(still.streams.video[0])
        for packet in still.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                video.mux(packet)
    matrix = read_info(tmp_path / "a.mkv").display_matrix or (1, 0, 0, 0, 1)
    assert tuple(np.sign((*matrix[:2], *matrix[3:5]))) == turned

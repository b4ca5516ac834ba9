import json
import subprocess
import sys
import threading
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from video_clips import FRAMES, contents, damage_packet, frame_times, make_clip, pattern

from restorekit import restore_folder
from restorekit.cli.console import with_flags
from restorekit.errors import ExitCode, RestorekitError, UsageError
from restorekit.imaging.resize import resize
from restorekit.inference.engine import Engine
from restorekit.inference.image import Size
from restorekit.inference.settings import Settings
from restorekit.media import video_reader
from restorekit.media.decode import read_image
from restorekit.media.encode import write_image
from restorekit.media.encoding import Encoding
from restorekit.media.image import Image
from restorekit.media.video_reader import VideoReader, read_info
from restorekit.pipeline import videos
from restorekit.pipeline.video_settings import VideoSettings
from restorekit.runtime.progress import SILENT, Event, Work
from restorekit.weights.load import load_model

BICUBIC = {"model": "bicubic", "scale": 2, "settings": Settings("cpu")}
LOSSLESS = VideoSettings(Encoding(lossless=True))


class Ear:
    """Hears what is done, and asks the run to stop once it hears of `stop_at`."""

    def __init__(self, stop_at: str = "") -> None:
        self.told: list[object] = []
        self.stop_at, self.stop = stop_at, threading.Event()

    def begin(self, work: Work) -> None:
        self.told.append(work)

    def step(self, event: Event) -> None:
        self.told.append(event)
        if event.name == self.stop_at:
            self.stop.set()

    def end(self, summary: object) -> None:
        pass


def pixels(path: Path) -> list[np.ndarray]:
    return [frame.image.pixels for frame in VideoReader(read_info(path))]


def test_every_frame_goes_through_the_network(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", "ffv1", "bgr0", audio_start=0.25)
    restore_folder([source], tmp_path / "out", video=LOSSLESS, **BICUBIC)
    engine = Engine(load_model("bicubic", scale=2), Settings("cpu"))
    assert all(
        np.array_equal(after, engine(before).pixels)
        for before, after in zip(pixels(source), pixels(tmp_path / "out/a.mkv"), strict=True)
    )
    assert frame_times(tmp_path / "out/a.mkv") == frame_times(source)
    assert contents(tmp_path / "out/a.mkv") == contents(source)


def test_videos_and_images_of_a_folder_are_restored_together_and_one_bad_video_stops_nothing(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    make_clip(folder / "deeper" / "a.mp4")
    make_clip(folder / "b.ts")
    write_image(Image(pattern(0)), folder / "c.png")
    (folder / "d.mp4").write_text("no video")
    (folder / "e.ts").write_text("let x = 1;")
    report, ear = tmp_path / "report.jsonl", Ear()
    summary = restore_folder([folder], out, report=report, progress=ear, **BICUBIC)
    assert {result.output.relative_to(out).as_posix(): result.status for result in summary.results} == {
        "deeper/a.mp4": "done",
        "b.ts.mkv": "done",
        "c.png": "done",
        "d.mp4": "failed",
    }
    assert summary.exit_code == ExitCode.SOME_FAILED
    lines = {Path(line["source"]).name: line for line in map(json.loads, report.read_text().splitlines())}
    assert lines["a.mp4"]["frames"] == FRAMES
    assert "frames" not in lines["c.png"]
    assert lines["d.mp4"]["reason"]
    assert [event.items for event in ear.told[1:] if event.status == "done"].count(0) == 2 * FRAMES
    work = (2 * FRAMES + 1) * 24 * 32 / 1e6
    assert sum(event.amount for event in ear.told[1:]) == pytest.approx(work)
    sizes = [(folder / name).stat().st_size for name in ("c.png", "deeper/a.mp4", "b.ts", "d.mp4")]
    assert ear.told[0].amount == pytest.approx((sizes[0] + 80 * sum(sizes[1:])) / 1e6)
    videos = [event for event in ear.told[1:] if event.items and not event.key.endswith("c.png")]
    one = FRAMES * 24 * 32 / 1e6  # of a.mp4, which comes after b.ts and d.mp4; the headers are read ahead
    assert [event.left for event in videos] == pytest.approx([one, one, 0], rel=0.1)
    again = restore_folder([folder], out, **BICUBIC)
    assert [again.count(status) for status in ("skipped", "failed", "done")] == [3, 1, 0]
    other = restore_folder([folder / "deeper"], out, video=VideoSettings(Encoding(crf=30)), **BICUBIC)
    assert other.count("done") == 1


def test_what_is_left_of_a_part_is_told_of_the_part(tmp_path: Path) -> None:
    sources = [make_clip(tmp_path / name) for name in ("a.mp4", "b.mp4")]
    ear, part = Ear(), VideoSettings(frames=(FRAMES - 3, 2 * FRAMES))  # three frames of each are there
    restore_folder(sources, tmp_path / "out", video=part, progress=ear, **BICUBIC)
    frame = 24 * 32 / 1e6
    assert ear.told[0].amount == pytest.approx(6 * frame, rel=0.1)
    (events := ear.told[1:]).sort(key=lambda event: event.key)  # one may be begun before the other is finished
    assert [(event.status, event.part) for event in events if event.key == str(sources[0])] == [
        ("started", ""),
        *(("done", f"frame {done} of 3") for done in (1, 2, 3)),
        ("done", ""),
    ]
    assert sum(event.amount for event in events) == pytest.approx(6 * frame)


@pytest.mark.parametrize(("damaged", "shown"), [(5, 4), (0, 1)])
def test_a_damaged_frame_shows_the_one_before_it_and_is_named(tmp_path: Path, damaged: int, shown: int) -> None:
    source = make_clip(tmp_path / "a.mkv", "ffv1", "bgr0", options={"g": "1"})
    damage_packet(source, damaged)
    (result,) = restore_folder([source], tmp_path / "out", video=LOSSLESS, **BICUBIC).results
    assert frame_times(tmp_path / "out/a.mkv") == [Fraction(index, 5) for index in range(FRAMES)]
    frames = pixels(tmp_path / "out/a.mkv")
    assert np.array_equal(frames[damaged], frames[shown])
    assert not np.array_equal(frames[6], frames[7])
    assert len(result.warnings) == 1
    assert f"frame {damaged} at {damaged / 5:.3f} s is damaged" in result.warnings[0]


def test_a_video_of_damaged_frames_alone_fails(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", "ffv1", options={"g": "1"})
    for number in range(FRAMES):
        damage_packet(source, number)
    (result,) = restore_folder([source], tmp_path / "out", **BICUBIC).results
    assert result.status == "failed"
    assert "No frame can be decoded" in result.reason
    assert not (tmp_path / "out/a.mkv").exists()


def test_an_encrypted_video_fails(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    key, name = "00112233445566778899aabbccddeeff", "ffeeddccbbaa99887766554433221100"
    scheme = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key, "-encryption_kid", name]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", make_clip(tmp_path / "clip.mp4"), "-c", "copy"]
    subprocess.run([*command, *scheme, source], check=True)
    (result,) = restore_folder([source], tmp_path / "out", **BICUBIC).results
    assert (result.status, "encrypted" in result.reason) == ("failed", True)
    assert not result.output.exists()


def test_frames_that_repeat_are_computed_once_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twos = [pattern(index // 2) for index in range(FRAMES)]
    source = make_clip(tmp_path / "a.mkv", "ffv1", "bgr0", frames=twos)
    computed, restore = [], videos.restore_to_size

    def counted(image: Image, *rest: object) -> object:
        computed.append(image)
        return restore(image, *rest)

    monkeypatch.setattr(videos, "restore_to_size", counted)
    (result,) = restore_folder([source], tmp_path / "out", video=LOSSLESS, **BICUBIC).results
    assert (len(computed), result.repeated, result.frames) == (6, 6, FRAMES)
    frames = pixels(tmp_path / "out/a.mkv")
    same = [np.array_equal(one, two) for one, two in pairwise(frames)]
    assert same == [True, False] * 5 + [True]


def test_a_part_is_restored_alone(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", "ffv1", "bgr0")
    settings = VideoSettings(Encoding(lossless=True), frames=(3, 7))
    restore_folder([source], tmp_path / "part", video=settings, **BICUBIC)
    restore_folder([source], tmp_path / "all", video=LOSSLESS, **BICUBIC)
    assert frame_times(tmp_path / "part/a.mkv") == [Fraction(index, 5) for index in range(4)]
    pairs = zip(pixels(tmp_path / "part/a.mkv"), pixels(tmp_path / "all/a.mkv")[3:7], strict=True)
    assert all(np.array_equal(one, two) for one, two in pairs)
    (result,) = restore_folder([source], tmp_path / "none", video=VideoSettings(frames=(12, 20)), **BICUBIC).results
    assert "has 12 frames" in result.reason


@pytest.mark.parametrize(("factor", "size"), [(2, (48, 64)), (1.4, (34, 46))])
def test_a_factor_gives_sizes_that_players_want(tmp_path: Path, factor: float, size: tuple[int, int]) -> None:
    source = make_clip(tmp_path / "a.mp4")  # 24x32: at 1.4 it would be 34x45
    restore_folder([source], tmp_path / "out", size=Size(factor=factor), **BICUBIC)
    result = read_info(tmp_path / "out/a.mp4")
    assert ((result.height, result.width), result.pixel_format) == (size, "yuv420p")


def test_interlaced_video_is_told(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", options={"x264-params": "tff=1", "flags": "+ildct"})
    (result,) = restore_folder([source], tmp_path / "woven", **BICUBIC).results
    assert "interlaced" in result.warnings[0]
    (result,) = restore_folder([source], tmp_path / "whole", video=VideoSettings(deinterlace=True), **BICUBIC).results
    assert result.warnings == ()
    assert read_info(tmp_path / "whole/a.mkv").field_order == ""


OPEN_GROUPS = {"bf": "2", "b_strategy": "0", "x264-params": "open-gop=1"}
INTERLACED = {"x264-params": "tff=1", "flags": "+ildct"}


@pytest.mark.parametrize(
    ("name", "options", "deinterlace", "begins"),
    [
        ("a.mp4", {}, False, 8),
        ("b.mkv", OPEN_GROUPS, False, 8),
        ("c.ts", OPEN_GROUPS, False, 0),
        ("d.mkv", INTERLACED, True, 8),
    ],
)
def test_a_stopped_run_goes_on_inside_the_video_to_the_same_bytes(
    tmp_path: Path, name: str, options: dict, deinterlace: bool, begins: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "SEGMENT", 1)  # five frames
    monkeypatch.setattr(Engine, "at_once", 1)  # which frames are finished is then known
    source = make_clip(tmp_path / name, audio_start=0.5, options=options)  # a key frame every fourth
    arguments = {**BICUBIC, "video": VideoSettings(deinterlace=deinterlace)}
    (straight,) = restore_folder([source], tmp_path / "straight", **arguments).results
    computed, restore = [], videos.restore_to_size

    def dying(image: Image, *rest: object) -> object:
        computed.append(image)
        if len(computed) == 12:
            raise KeyboardInterrupt
        return restore(image, *rest)

    monkeypatch.setattr(videos, "restore_to_size", dying)
    with pytest.raises(KeyboardInterrupt):
        restore_folder([source], tmp_path / "out", **arguments)
    assert not list((tmp_path / "out").glob("[a-d].*"))
    starts, key_frame = [], video_reader._key_frame

    def begun(*rest: object) -> object:
        starts.append(key_frame(*rest))
        return starts[-1]

    monkeypatch.setattr(video_reader, "_key_frame", begun)
    (result,) = restore_folder([source], tmp_path / "out", **arguments).results
    assert len(computed) == 12 + FRAMES - 10  # two segments were finished
    assert [index for index, _ in starts] == [begins]
    assert result.output.read_bytes() == straight.output.read_bytes()
    assert not list((tmp_path / "out").rglob("*.nut"))


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_ends_inside_a_video_and_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "SEGMENT", 1)  # five frames
    sources = [make_clip(tmp_path / name, audio_start=0.5) for name in ("a.mp4", "b.mp4")]
    restore_folder(sources, tmp_path / "straight", **BICUBIC)
    ear = Ear(stop_at=f"{sources[0]}: frame 8 of {FRAMES}")
    stopped = restore_folder(sources, tmp_path / "out", progress=ear, stop=ear.stop, **BICUBIC)
    assert (stopped.exit_code, len(stopped.results)) == (ExitCode.INTERRUPTED, 0)
    assert [event.name for event in ear.told if isinstance(event, Event)][-1] == ear.stop_at
    assert next((tmp_path / "out" / ".restorekit" / "segments").rglob("000000.nut"))
    assert not list((tmp_path / "out").glob("*.mp4"))
    ear = Ear()
    assert restore_folder(sources, tmp_path / "out", progress=ear, **BICUBIC).exit_code == ExitCode.OK
    height, width = pattern(0).shape[:2]
    amount = sum(event.amount for event in ear.told if isinstance(event, Event))
    assert amount == pytest.approx(2 * FRAMES * height * width / 1e6)
    told = [event.name for event in ear.told if isinstance(event, Event) and event.status == "done"]
    assert told[0] in (f"{sources[0]}: 5 frames", f"{sources[0]}: 10 frames")  # one segment or two were finished
    assert not (tmp_path / "out" / ".restorekit" / "segments").exists()
    for name in ("a.mp4", "b.mp4"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "straight" / name).read_bytes()


def test_a_frame_that_shows_one_of_a_finished_segment_still_does_when_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "SEGMENT", 1)  # five frames
    source = make_clip(tmp_path / "a.mkv", "ffv1", "bgr0", options={"g": "1"})
    for number in (4, 5):
        damage_packet(source, number)
    restore = videos.restore_to_size

    def dying(image: Image, *rest: object) -> object:
        if np.array_equal(image.pixels, pattern(7)):
            raise KeyboardInterrupt
        return restore(image, *rest)

    monkeypatch.setattr(videos, "restore_to_size", dying)
    with pytest.raises(KeyboardInterrupt):
        restore_folder([source], tmp_path / "out", video=LOSSLESS, **BICUBIC)
    monkeypatch.setattr(videos, "restore_to_size", restore)
    restore_folder([source], tmp_path / "out", video=LOSSLESS, **BICUBIC)
    frames = pixels(tmp_path / "out/a.mkv")
    assert np.array_equal(frames[5], frames[3])
    assert not np.array_equal(frames[6], frames[3])


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_bytes(tmp_path: Path, weights_file: Path) -> None:
    frames = [pattern(index, (96, 128)) for index in range(60)]
    source, out = make_clip(tmp_path / "a.mp4", frames=frames, audio_start=0.0), tmp_path / "out"
    command = [sys.executable, "-m", "restorekit", "deblur", str(source), "--weights", str(weights_file)]
    child = subprocess.Popen(
        [*command, "--device", "cpu", "-o", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while child.poll() is None and not list(out.rglob("000000.nut")):
        time.sleep(0.002)
    child.kill()
    child.wait()
    assert not (out / "a.mp4").exists()
    options = {"weights": weights_file, "settings": Settings("cpu"), "progress": SILENT}
    restore_folder([source], out, **options)
    restore_folder([source], tmp_path / "straight", **options)
    assert (out / "a.mp4").read_bytes() == (tmp_path / "straight" / "a.mp4").read_bytes()


@pytest.mark.slow
def test_frames_at_once_share_the_time_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = videos.restore_to_size

    def slow(*arguments: object) -> object:
        time.sleep(0.1)
        return restore(*arguments)

    monkeypatch.setattr(videos, "restore_to_size", slow)
    monkeypatch.setattr(Engine, "at_once", 2)
    run = restore_folder([make_clip(tmp_path / "a.mkv")], tmp_path / "out", **BICUBIC)
    assert FRAMES * 0.1 / 2 <= run.results[0].seconds <= run.seconds


class Choosy:
    """Restores frames, but not those that look like some."""

    def __init__(self, *refused: int) -> None:
        self.refused, self.restore = [pattern(index) for index in refused], videos.restore_to_size

    def __call__(self, image: Image, *rest: object) -> object:
        if any(np.array_equal(image.pixels, frame) for frame in self.refused):
            raise RestorekitError("No memory is left.")
        return self.restore(image, *rest)


def test_a_frame_that_cannot_be_restored_is_the_input_resized_wherever_it_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [pattern(index) for index in range(FRAMES)]
    frames[6] = frames[5]
    source = make_clip(tmp_path / "a.mkv", "ffv1", "bgr0", frames=frames)
    monkeypatch.setattr(videos, "restore_to_size", Choosy(5))
    (result,) = restore_folder([source], tmp_path / "out", video=LOSSLESS, **BICUBIC).results
    assert result.warnings == (
        "frame 5 at 1.000 s is the input, resized: No memory is left.",
        "frame 6 at 1.200 s is the input, resized: No memory is left.",
    )
    height, width = pattern(5).shape[:2]
    shown = pixels(tmp_path / "out/a.mkv")
    assert np.array_equal(shown[5], resize(pattern(5), (2 * height, 2 * width)))
    assert np.array_equal(shown[6], shown[5])
    assert len(shown) == FRAMES


def test_a_video_whose_first_frame_cannot_be_restored_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "restore_to_size", Choosy(0))
    (result,) = restore_folder([make_clip(tmp_path / "a.mkv", "ffv1", "bgr0")], tmp_path / "out", **BICUBIC).results
    assert (result.status, result.reason) == ("failed", "No memory is left.")
    assert not (tmp_path / "out/a.mkv").exists()


def test_a_videos_frames_become_numbered_images_and_a_stopped_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(videos, "SEGMENT", 1)  # five frames
    monkeypatch.setattr(Engine, "at_once", 1)  # which frames are finished is then known
    source = make_clip(tmp_path / "a.mkv", "ffv1", "bgr0", audio_start=0.0, rotation=90)
    computed, restore = [], videos.restore_to_size

    def dying(image: Image, *rest: object) -> object:
        computed.append(image)
        if len(computed) == 9:
            raise KeyboardInterrupt
        return restore(image, *rest)

    monkeypatch.setattr(videos, "restore_to_size", dying)
    out = tmp_path / "frames/%03d.png"
    with pytest.raises(KeyboardInterrupt):
        restore_folder([source], out, **BICUBIC)
    (result,) = restore_folder([source], out, **BICUBIC).results
    assert len(computed) == 9 + FRAMES - 5
    assert (result.output, result.frames) == (out, FRAMES)
    assert result.lost == ("2 streams beside the frames dropped",)
    assert sorted(path.name for path in out.parent.glob("*.png")) == [f"{index:03}.png" for index in range(FRAMES)]
    engine = Engine(load_model("bicubic", scale=2), Settings("cpu"))
    for index in range(FRAMES):
        expected = np.rot90(engine(pattern(index)).pixels)
        assert np.array_equal(read_image(out.parent / f"{index:03}.png").pixels, expected)
    assert restore_folder([source], out, **BICUBIC).count("skipped") == 1
    (out.parent / "007.png").unlink()
    assert restore_folder([source], out, **BICUBIC).count("done") == 1
    assert (out.parent / "007.png").is_file()


@pytest.mark.parametrize("named", ["folder", "pattern"])
def test_numbered_images_become_a_video(tmp_path: Path, named: str) -> None:
    folder, out = tmp_path / "100%", tmp_path / "clip.mp4"
    for index in range(FRAMES):
        write_image(Image(pattern(index)), folder / f"{index + 8:02}.png")
    source = folder if named == "folder" else folder / "%02d.png"
    with pytest.raises(UsageError, match="how many are shown a second"):
        restore_folder([source], out, **BICUBIC)
    with pytest.raises(UsageError, match=r"`fps` is for .* Give `out` the video's name, e\.g\. clip\.mp4\.$") as caught:
        restore_folder([source], tmp_path / "many", video=VideoSettings(fps=Fraction(5)), **BICUBIC)
    assert "Give --out the" in with_flags(caught.value.hint)
    with pytest.raises(UsageError, match="Leave it out"):
        restore_folder([folder / "08.png"], tmp_path / "many", video=VideoSettings(fps=Fraction(5)), **BICUBIC)
    assert restore_folder([source], tmp_path / "many", **BICUBIC).count("done") == FRAMES
    (again,) = restore_folder([source], tmp_path / "again/%d.png", **BICUBIC).results
    assert (again.frames, again.lost) == (FRAMES, ())
    settings = VideoSettings(Encoding(crf=4), fps=Fraction(30000, 1001))
    (result,) = restore_folder([source], out, video=settings, **BICUBIC).results
    assert (result.output, result.frames, result.lost) == (out, FRAMES, ())
    info = read_info(out)
    assert (info.height, info.width, info.pixel_format, info.video.codec) == (48, 64, "yuv420p", "h264")
    assert frame_times(out) == [Fraction(1001 * index, 30000) for index in range(FRAMES)]
    for index, frame in enumerate(pixels(out)):
        assert np.abs(frame[::2, ::2].astype(int) - pattern(index)).mean() < 5
    assert restore_folder([source], out, video=settings, **BICUBIC).count("skipped") == 1
    write_image(Image(pattern(99)), folder / "09.png")
    assert restore_folder([source], out, video=settings, **BICUBIC).count("done") == 1
    (folder / "10.png").unlink()
    with pytest.raises(UsageError, match=r"10\.png is missing"):
        restore_folder([source], out, video=settings, **BICUBIC)


def test_sixteen_bit_images_become_a_video_of_as_many_as_its_codec_has(tmp_path: Path) -> None:
    for index in range(3):
        write_image(Image(pattern(index).astype(np.uint16) * 257), tmp_path / "in" / f"{index}.png")
    out = tmp_path / "clip.mkv"
    restore_folder([tmp_path / "in"], out, video=VideoSettings(fps=Fraction(5)), **BICUBIC)
    info = read_info(out)
    assert (info.video.codec, info.depth) == ("hevc", 12)


def test_the_only_result_has_one_input(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4")
    write_image(Image(pattern(0)), tmp_path / "in/0.png")
    write_image(Image(pattern(0)), tmp_path / "in/1.png")
    for inputs, out, word in (
        ([clip, clip], tmp_path / "b.mp4", "one video"),
        ([clip], clip, "replace an input"),
        ([tmp_path / "%d.png"], tmp_path / "b.mp4", "no such images"),
        ([tmp_path / "in"], tmp_path / "in/%d.png", "replace an input"),
    ):
        with pytest.raises(UsageError, match=word):
            restore_folder(inputs, out, **BICUBIC)
    with pytest.raises(UsageError, match="codec"):
        restore_folder([clip], tmp_path / "b.mp4", video=LOSSLESS, **BICUBIC)
    (result,) = restore_folder([clip], tmp_path / "b.mkv", video=LOSSLESS, **BICUBIC).results
    assert result.output == tmp_path / "b.mkv"


def seen_through(index: int) -> np.ndarray:
    """(H,W,4): a pattern behind a hole that moves."""
    alpha = np.full((24, 32), 255, np.uint8)
    alpha[4:20, index : index + 16] = 100
    return np.dstack([pattern(index), alpha])


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format", "result", "most"),
    [
        ("a.mov", "prores_ks", "yuva444p10le", "prores", 2),
        ("a.mkv", "ffv1", "bgra", "ffv1", 0),
        ("a.mkv", "ffv1", "yuva420p", "ffv1", 0),
        ("a.webm", "libvpx-vp9", "yuva420p", "vp9", 8),
        ("a.webm", "libvpx", "yuva420p", "vp9", 8),
    ],
)
def test_alpha_is_resized_along(
    tmp_path: Path, name: str, codec: str, pixel_format: str, result: str, most: int
) -> None:
    frames = [seen_through(index) for index in range(FRAMES)]
    options = {"auto-alt-ref": "0"} if "vpx" in codec else {}
    source = make_clip(tmp_path / name, codec, pixel_format, frames=frames, options=options, tags=(9, 16, 9, 1))
    (restored,) = restore_folder([source], tmp_path / "out", **BICUBIC).results
    info = read_info(restored.output)
    lost = ("12 bits rounded to 10: prores_ks holds no more",) if result == "prores" else ()
    assert (restored.lost, info.alpha, info.video.codec) == (lost, True, result)
    if "vpx" in codec:  # a decoder of its own, which would not know what the file says
        assert (info.primaries, info.transfer) == (9, 16)
    before, after = (list(VideoReader(read_info(path))) for path in (source, restored.output))
    for index in range(FRAMES):
        top = np.iinfo(before[index].image.alpha.dtype).max
        assert np.abs(before[index].image.alpha / top * 255 - frames[index][..., 3]).max() < 1.5
        expected = resize(before[index].image.alpha, (48, 64))
        difference = np.abs(after[index].image.alpha.astype(int) - expected).max() / top * 255
        assert difference <= most


@pytest.mark.parametrize("codec", ["prores", "prores_aw"])
def test_every_encoder_of_prores_is_taken(tmp_path: Path, codec: str) -> None:
    clip = make_clip(tmp_path / "a.mov", "prores_ks", "yuv422p10le")
    (result,) = restore_folder([clip], tmp_path / "out", video=VideoSettings(Encoding(codec)), **BICUBIC).results
    assert (result.status, read_info(result.output).video.codec) == ("done", "prores")


def test_alpha_that_a_codec_cannot_hold_is_refused(tmp_path: Path) -> None:
    frames = [seen_through(index) for index in range(FRAMES)]
    clip = make_clip(tmp_path / "a.mov", "prores_ks", "yuva444p10le", frames=frames)
    (result,) = restore_folder([clip], tmp_path / "out", video=VideoSettings(Encoding("h264")), **BICUBIC).results
    assert result.status == "failed"
    assert "transparency" in result.reason
    assert "ffv1" in result.hint.lower()


@pytest.mark.parametrize("options", [{"bf": "0"}, {"x264-params": "b-adapt=0:bframes=3"}])
def test_the_order_in_which_frames_of_variable_rate_are_decoded_may_be_another_one(
    tmp_path: Path, options: dict[str, str]
) -> None:
    times = [300, 2560, 5000, 7680, 10_000, 13_000, 15_360, 18_000, 20_480, 23_040, 25_600, 30_000]
    source = make_clip(tmp_path / "a.mp4", times=times, options=options)
    (result,) = restore_folder([source], tmp_path / "out", **BICUBIC).results
    assert (result.status, read_info(result.output).video.times.tolist()) == ("done", times)


def test_a_video_of_an_old_container_is_found_in_a_folder_and_becomes_matroska(tmp_path: Path) -> None:
    make_clip(tmp_path / "in/a.asf", "wmv2", rate=25)
    (result,) = restore_folder([tmp_path / "in"], tmp_path / "out", **BICUBIC).results
    assert (result.status, result.output, result.frames) == ("done", tmp_path / "out/a.asf.mkv", FRAMES)


def test_a_last_frame_that_lasts_longer_is_kept_where_it_is_not_decoded_last(tmp_path: Path) -> None:
    clip, source = make_clip(tmp_path / "clip.mp4", options={"bf": "0"}), tmp_path / "a.mp4"
    with av.open(str(clip)) as container, av.open(str(source), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.duration *= 1 + 2 * (packet.pts == read_info(clip).video.times[-1])
                packet.stream = stream
                out.mux(packet)
    (result,) = restore_folder([source], tmp_path / "out", **BICUBIC).results
    assert result.status == "done", result.reason


def test_a_preview_shows_stills_before_and_after_and_restores_nothing_else(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in/a.mkv", "ffv1", "bgr0")
    write_image(Image(pattern(0)), tmp_path / "in/b.png")
    out = tmp_path / "out"
    (result,) = restore_folder([tmp_path / "in"], out, video=VideoSettings(preview=3), **BICUBIC).results
    assert (result.status, result.frames, result.megapixels) == ("done", 3, pytest.approx(3 * 24 * 32 / 1e6))
    # The middles of three parts of four frames.
    assert sorted(path.name for path in out.glob("*.*g")) == [f"a.mkv-{index:06}.png" for index in (2, 6, 10)]
    engine = Engine(load_model("bicubic", scale=2), Settings("cpu"))
    view = read_image(out / "a.mkv-000006.png").pixels
    assert view.shape == (48, 64 + 8 + 64, 3)
    assert np.array_equal(view[:, -64:], engine(pattern(6)).pixels)
    assert np.array_equal(view[:, :64], resize(pattern(6), (48, 64)))
    settings = VideoSettings(preview=1, frames=(8, 10))
    restore_folder([source], tmp_path / "part", video=settings, **BICUBIC)
    assert (tmp_path / "part/a.mkv-000009.png").is_file()
    assert restore_folder([source], out, video=LOSSLESS, **BICUBIC).count("done") == 1
    with pytest.raises(UsageError, match="no video"):
        restore_folder([tmp_path / "in/b.png"], out, video=VideoSettings(preview=3), **BICUBIC)


def packets_by_ffmpeg(path: Path) -> tuple[list[int], list[str]]:
    """When video packets are shown, in the file's unit, and all that ffmpeg tells of those of sound."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", path, "-map", "0", "-c", "copy", "-copyts"]
    lines = subprocess.run([*command, "-f", "framecrc", "-"], stdout=subprocess.PIPE, check=True, text=True).stdout
    rows = [line for line in lines.splitlines() if not line.startswith("#")]
    return (
        sorted(int(row.split(",")[2]) for row in rows if row.startswith("0,")),
        [row for row in rows if row.startswith("1,")],
    )


def test_another_program_sees_a_rotated_ten_bit_clip_of_variable_rate_and_late_sound_as_it_was(tmp_path: Path) -> None:
    times = [300, 2560, 5000, 7680, 10_000, 13_000, 15_360, 18_000, 20_480, 23_040, 25_600, 30_000]
    source = make_clip(
        tmp_path / "a.mp4", "libx265", "yuv420p10le", times, rotation=90, audio_start=0.7, tags=(9, 16, 9, 1)
    )
    (result,) = restore_folder([source], tmp_path / "out", **BICUBIC).results
    assert packets_by_ffmpeg(result.output) == packets_by_ffmpeg(source)
    assert packets_by_ffmpeg(source)[0] == times
    info = read_info(result.output)
    assert (info.depth, info.transfer, info.display_matrix) == (10, 16, read_info(source).display_matrix)
    engine = Engine(load_model("bicubic", scale=2), Settings("cpu"))
    for before, after in zip(pixels(source), pixels(result.output), strict=True):
        difference = np.abs(engine(before).pixels.astype(int) - after).mean() / 257
        assert difference < 3  # of 255, at crf 18; the next frame is 10 away

import hashlib
import json
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from video_clips import make_clip, pattern

from restorekit.degradation.frames import FrameSettings, mean_of_frames, synthesize_frames
from restorekit.errors import UnreadableImage, UsageError
from restorekit.media import video_reader
from restorekit.media.decode import read_image, read_rgb8
from restorekit.media.discover import find_pairs
from restorekit.media.encode import write_image
from restorekit.media.image import Image

THREE = FrameSettings(frames=(3, 3))


def flat(value: int, height: int = 4, width: int = 6) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def write_frames(folder: Path, values: list[int]) -> Path:
    for number, value in enumerate(values):
        write_image(Image(flat(value)), folder / f"frame{number}.png")
    return folder


def records(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]


def files(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_three_tiny_frames_have_the_means_of_a_calculator() -> None:
    frames = [
        np.array([[[0, 51, 255]]], np.uint8),
        np.array([[[0, 102, 0]]], np.uint8),
        np.array([[[255, 204, 0]]], np.uint8),
    ]
    # Stored values: (0 + 0 + 1) / 3, (0.2 + 0.4 + 0.8) / 3.
    np.testing.assert_allclose(mean_of_frames(frames, "stored"), [[[1 / 3, 1.4 / 3, 1 / 3]]], atol=1e-6)
    # Gamma: (1 / 3) ** (1 / 2.2) = 0.60691; ((0.2 ** 2.2 + 0.4 ** 2.2 + 0.8 ** 2.2) / 3) ** (1 / 2.2) = 0.54028.
    np.testing.assert_allclose(mean_of_frames(frames, "gamma"), [[[0.60691, 0.54028, 0.60691]]], atol=2e-5)


def test_the_frame_in_the_middle_is_the_sharp_one_and_both_gammas_are_written(tmp_path: Path) -> None:
    values = [0, 10, 20, 30, 40, 50, 60]
    summary = synthesize_frames([write_frames(tmp_path / "run", values)], tmp_path / "out", settings=THREE)
    assert [result.key for result in summary.results] == ["all/run/000001.png", "all/run/000004.png"]
    for centre, stored, gamma in ((1, 10, 13.27), (4, 40, 40.98)):  # e.g. ((30^2.2 + 40^2.2 + 50^2.2) / 3)^(1/2.2)
        name = f"run/{centre:06}.png"
        assert (read_rgb8(tmp_path / "out/all/sharp" / name) == values[centre]).all()
        assert (read_rgb8(tmp_path / "out/all/blur" / name) == stored).all()
        assert abs(int(read_rgb8(tmp_path / "out/all/blur_gamma" / name)[0, 0, 0]) - gamma) <= 0.6
    first, second = records(tmp_path / "out")
    assert first["facts"]["source_sha256"] == hashlib.sha256((tmp_path / "run/frame1.png").read_bytes()).hexdigest()
    assert (first["facts"]["first"], first["facts"]["count"], first["facts"]["centre"]) == (0, 3, 1)
    assert (second["facts"]["first"], second["kind"], second["light"]) == (3, "frames", "stored")
    assert [pair.sharp.name for pair in find_pairs(tmp_path / "out/all")] == ["000001.png", "000004.png"]


def test_a_named_light_is_written_alone(tmp_path: Path) -> None:
    settings = FrameSettings(frames=(3, 3), light="gamma")
    synthesize_frames([write_frames(tmp_path / "run", [0, 10, 20])], tmp_path / "out", settings=settings)
    assert sorted(path.name for path in (tmp_path / "out/all").iterdir()) == ["blur", "sharp"]
    assert (read_rgb8(tmp_path / "out/all/blur/run/000001.png") == 13).all()  # ((10^2.2 + 20^2.2) / 3)^(1/2.2) = 13.27
    (record,) = records(tmp_path / "out")
    assert record["light"] == "gamma"


def test_odd_counts_of_the_range_are_drawn_and_windows_follow_one_another(tmp_path: Path) -> None:
    write_frames(tmp_path / "run", [0] * 120)
    synthesize_frames([tmp_path / "run"], tmp_path / "out", settings=FrameSettings(frames=(2, 6)))
    facts = [record["facts"] for record in records(tmp_path / "out")]
    assert {fact["count"] for fact in facts} == {3, 5}
    assert [fact["first"] for fact in facts] == [0, *np.cumsum([fact["count"] for fact in facts])[:-1]]
    assert 120 - facts[-1]["first"] - facts[-1]["count"] < 5
    settings = FrameSettings(frames=(7, 7), stride=3)
    synthesize_frames([tmp_path / "run"], tmp_path / "strided", settings=settings)
    assert [record["facts"]["first"] for record in records(tmp_path / "strided")] == list(range(0, 114, 3))


def test_seven_to_twenty_three_frames_are_averaged_as_the_gopro_set_was_made() -> None:
    rng = np.random.default_rng(0)
    assert {FrameSettings().draw_count(rng) for _ in range(300)} == {7, 9, 11, 13, 15, 17, 19, 21, 23}


def test_every_window_has_noise_and_light_of_its_own(tmp_path: Path) -> None:
    write_frames(tmp_path / "run", [100] * 24)
    settings = FrameSettings(frames=(3, 3), noise=5, light="random", seed=9)
    synthesize_frames([tmp_path / "run"], tmp_path / "out", settings=settings)
    made = records(tmp_path / "out")
    assert len({record["blur_sha256"] for record in made}) == 8
    assert len({record["light"] for record in made}) > 1
    digest = hashlib.sha256(b"9|all|run|4").digest()  # the second window's sharp frame
    assert made[1]["facts"]["image_seed"] == int.from_bytes(digest[:8], "big")


def test_frames_are_sorted_by_the_value_of_their_numbers(tmp_path: Path) -> None:
    write_frames(tmp_path / "run", list(range(0, 110, 10)))  # frame10 comes after frame9
    synthesize_frames([tmp_path / "run"], tmp_path / "out", settings=FrameSettings(frames=(11, 11)))
    assert (read_rgb8(tmp_path / "out/all/sharp/run/000005.png") == 50).all()


def test_sequences_and_not_windows_are_split(tmp_path: Path) -> None:
    for name in "abc":
        write_frames(tmp_path / "in" / name, [0] * 9)
    synthesize_frames([tmp_path / "in"], tmp_path / "out", settings=THREE, split={"train": 2, "test": 1})
    parts: dict[str, set[str]] = {}
    for record in records(tmp_path / "out"):
        parts.setdefault(record["facts"]["source"], set()).add(record["key"].split("/")[0])
    assert sorted(map(sorted, parts.values())) == [["test"], ["train"], ["train"]]
    with pytest.raises(UsageError, match="there are 3"):
        synthesize_frames([tmp_path / "in"], tmp_path / "out", settings=THREE, split={"train": 4})


def test_same_bytes_for_any_worker_count_and_a_second_run_makes_only_what_is_missing(tmp_path: Path) -> None:
    for name in "ab":
        write_frames(tmp_path / "in" / name, [3 * number for number in range(40)])
    settings = FrameSettings(frames=(3, 9), noise=2, light="random")
    for workers in (1, 4):
        synthesize_frames([tmp_path / "in"], tmp_path / str(workers), settings=settings, workers=workers)
    before = files(tmp_path / "1")
    assert before == files(tmp_path / "4")
    (tmp_path / "4/all/blur/b" / sorted(path.name for path in (tmp_path / "4/all/blur/b").iterdir())[1]).unlink()
    again = synthesize_frames([tmp_path / "in"], tmp_path / "4", settings=settings)
    assert (again.count("done"), again.count("skipped")) == (1, again.planned - 1)
    assert files(tmp_path / "4") == before
    write_image(Image(flat(7)), tmp_path / "in/a/frame0.png")
    assert synthesize_frames([tmp_path / "in"], tmp_path / "4", settings=settings).count("done") == 1


def test_a_damaged_frame_costs_its_own_window_and_sizes_must_agree(tmp_path: Path) -> None:
    write_frames(tmp_path / "run", [0] * 9)
    (tmp_path / "run/frame4.png").write_text("no picture")
    write_image(Image(flat(0, width=7)), tmp_path / "run/frame8.png")
    summary = synthesize_frames([tmp_path / "run"], tmp_path / "out", settings=THREE)
    assert [result.status for result in summary.results] == ["done", "failed", "failed"]
    assert "differ in size" in summary.results[2].reason


def test_frames_get_the_asked_size(tmp_path: Path) -> None:
    settings = FrameSettings(frames=(3, 3), resize=(12, 8))
    synthesize_frames([write_frames(tmp_path / "run", [0, 10, 20])], tmp_path / "out", settings=settings)
    for half in ("blur", "blur_gamma", "sharp"):
        assert read_image(tmp_path / "out/all" / half / "run/000001.png").pixels.shape == (8, 12, 3)


def test_frames_of_a_video_are_counted_as_they_are_decoded(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    options = {"fps": 240, "codec": "libx264rgb", "quality": None, "pix_fmt_out": "rgb24"}
    writer = imageio_ffmpeg.write_frames(str(video), (32, 16), output_params=["-qp", "0"], **options)
    writer.send(None)
    for number in range(8):
        writer.send(flat(20 * number, 16, 32).tobytes())
    writer.close()
    summary = synthesize_frames([video], tmp_path / "out", settings=THREE)
    assert [result.key for result in summary.results] == ["all/clip/000001.png", "all/clip/000004.png"]
    for centre in (1, 4):
        sharp = read_rgb8(tmp_path / f"out/all/sharp/clip/{centre:06}.png")
        assert sharp.shape == (16, 32, 3)
        assert (sharp == 20 * centre).all()
        assert (read_rgb8(tmp_path / f"out/all/blur/clip/{centre:06}.png") == 20 * centre).all()
    video.write_bytes(b"no video")
    with pytest.raises(UnreadableImage, match=r"clip\.mp4"):
        synthesize_frames([video], tmp_path / "other", settings=THREE)


def test_a_window_of_a_video_is_decoded_from_the_key_frame_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = make_clip(tmp_path / "clip.mkv", "ffv1", "bgr0", options={"g": "1"})  # twelve key frames
    given, decoded = [], video_reader._decoded

    def counted(*rest: object) -> object:
        for frame in decoded(*rest):
            given.append(frame)
            yield frame

    monkeypatch.setattr(video_reader, "_decoded", counted)
    synthesize_frames([video], tmp_path / "out", settings=THREE)
    # One for what the video is, and for each of four windows its three frames, and one that shows that seeking is exact.
    assert len(given) == 1 + 4 * 3 + 3
    assert (read_rgb8(tmp_path / "out/all/sharp/clip/000007.png") == pattern(7)).all()


def test_frames_of_a_video_are_upright(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "clip.mp4", rotation=90)
    synthesize_frames([video], tmp_path / "out", settings=THREE)
    sharp = read_rgb8(tmp_path / "out/all/sharp/clip/000001.png")
    assert sharp.shape == (32, 24, 3)
    assert np.abs(np.rot90(pattern(1)).astype(int) - sharp).mean() < 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": (8, 8)}, "`frames` has no odd number from 8 to 8"),
        ({"frames": (9, 7)}, "`frames`"),
        ({"frames": (0, 3)}, "`frames`"),
        ({"stride": -1}, "`stride`"),
        ({"light": "linear"}, "`light` cannot be 'linear'"),
        ({"noise": -1}, "`noise`"),
        ({"resize": (0, 9)}, "`resize` cannot be 0x9"),
    ],
)
def test_settings_that_make_no_sense_are_named(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FrameSettings(**settings)


def test_too_few_frames_and_two_sequences_of_one_name_are_refused(tmp_path: Path) -> None:
    write_frames(tmp_path / "x/run", [0] * 5)
    write_frames(tmp_path / "y/run", [0] * 5)
    with pytest.raises(UsageError, match="No sequence has 7 frames"):
        synthesize_frames([tmp_path / "x/run"], tmp_path / "out")
    with pytest.raises(UsageError, match="Two sequences are called run"):
        synthesize_frames([tmp_path / "x/run", tmp_path / "y/run"], tmp_path / "out", settings=THREE)

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from restorekit.errors import UnreadableImage
from restorekit.media.animation import Animation, decode_animation, is_animation, write_animation

FORMATS = ["gif", "png", "webp"]


def flat(*colour: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.broadcast_to(np.array(colour, np.uint8), (6, 8, len(colour))).copy())


def made(format: str, frames: list[PIL.Image.Image], duration: list[int], **options: object) -> bytes:
    target = io.BytesIO()
    options = {**({"lossless": True} if format == "webp" else {}), "loop": 0, **options}
    frames[0].save(target, format, save_all=True, append_images=frames[1:], duration=duration, **options)
    return target.getvalue()


RED, GREEN, BLUE = flat(255, 0, 0), flat(0, 255, 0), flat(0, 0, 255)


@pytest.mark.parametrize("format", FORMATS)
def test_frames_times_and_loop_count_come_in_and_go_out(tmp_path: Path, format: str) -> None:
    data = made(format, [RED, GREEN, BLUE], [100, 250, 40], loop=3)
    assert is_animation(data)
    animation = decode_animation(data)
    assert [tuple(frame.pixels[0, 0]) for frame in animation.frames] == [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    assert animation.frames[0].alpha is None
    assert animation.durations == (100, 250, 40)
    write_animation(animation, tmp_path / "a")
    with PIL.Image.open(tmp_path / "a") as again:
        assert (again.format.lower(), again.n_frames, again.info["loop"]) == (format, 3, 3)
    written = decode_animation((tmp_path / "a").read_bytes())
    assert written.durations == (100, 250, 40)
    for before, after in zip(animation.frames, written.frames, strict=True):
        assert np.array_equal(before.pixels, after.pixels)


@pytest.mark.parametrize("format", FORMATS)
def test_alpha_is_kept(tmp_path: Path, format: str) -> None:
    hole = np.zeros((6, 8, 4), np.uint8)
    hole[:, :4] = (200, 10, 10, 255)
    hole[0, 0, 3] = 255 if format == "gif" else 128  # a GIF knows no half
    other = hole[:, ::-1].copy()
    options = {} if format == "webp" else {"disposal": 2}
    animation = decode_animation(made(format, [PIL.Image.fromarray(one) for one in (hole, other)], [50, 50], **options))
    write_animation(animation, tmp_path / "a")
    first, second = decode_animation((tmp_path / "a").read_bytes()).frames
    assert np.array_equal(first.alpha, hole[..., 3])
    assert np.array_equal(second.alpha, other[..., 3])


def test_a_gif_that_is_shown_once_stays_so(tmp_path: Path) -> None:
    animation = decode_animation(made("gif", [RED, GREEN], [100, 100], loop=None))
    write_animation(animation, tmp_path / "a.gif")
    with PIL.Image.open(tmp_path / "a.gif") as again:
        assert "loop" not in again.info


def test_a_single_frame_is_enough_and_equal_ones_are_shown_as_long(tmp_path: Path) -> None:
    write_animation(decode_animation(made("gif", [RED], [70])), tmp_path / "a.gif")
    assert len(decode_animation((tmp_path / "a.gif").read_bytes()).frames) == 1
    animation = decode_animation(made("webp", [RED, GREEN], [100, 200]))
    twice = Animation((*animation.frames, animation.frames[1]), (100, 200, 300), "png", False, {"loop": 0})
    write_animation(twice, tmp_path / "a.png")
    assert sum(decode_animation((tmp_path / "a.png").read_bytes()).durations) == 600


def test_a_lossless_webp_stays_lossless(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 6, 8, 3), np.uint8)
    frames = [PIL.Image.fromarray(one) for one in noise]
    for options, lossless in (({}, True), ({"lossless": False, "quality": 50}, False)):
        animation = decode_animation(made("webp", frames, [10, 10], **options))
        assert animation.lossless is lossless
    write_animation(decode_animation(made("webp", frames, [10, 10])), tmp_path / "a.webp")
    assert np.array_equal(decode_animation((tmp_path / "a.webp").read_bytes()).frames[1].pixels, noise[1])


def test_stills_are_no_animations() -> None:
    for format in ("png", "webp", "jpeg"):
        target = io.BytesIO()
        RED.save(target, format)
        assert not is_animation(target.getvalue())
    assert not is_animation(b"")


def test_what_cannot_be_read_is_told() -> None:
    data = made("gif", [RED, GREEN, BLUE], [100, 100, 100])
    with pytest.raises(UnreadableImage, match="3 frames"):
        decode_animation(data, max_pixels=100)
    with pytest.raises(UnreadableImage, match="damaged"):
        decode_animation(data[:10])
    bomb = bytearray(made("webp", [RED, GREEN], [100, 100]))
    bomb[24:30] = (16_000).to_bytes(3, "little") * 2
    with pytest.raises(UnreadableImage, match="16001x16001"):
        decode_animation(bytes(bomb), max_pixels=1_000_000)


@pytest.mark.parametrize("format", FORMATS)
def test_an_animation_that_is_cut_off_anywhere_is_told(format: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 16, 20, 3), np.uint8)
    data = made(format, [PIL.Image.fromarray(one) for one in noise], [100, 100, 100])
    for length in range(40, len(data) - 100, 97):
        with pytest.raises(UnreadableImage):
            decode_animation(data[:length])

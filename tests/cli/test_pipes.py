import io
import os
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from restorekit import restore_folder
from restorekit.cli import pipes
from restorekit.cli.app import main
from restorekit.errors import ExitCode
from restorekit.inference.settings import Settings
from restorekit.media import decode
from restorekit.media.decode import read_image
from restorekit.media.encode import write_image
from restorekit.media.image import Image

SR = ("--model", "bicubic", "--scale", "2", "--device", "cpu")


class Pipe:
    """Runs `restorekit sr` with bytes on stdin."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.monkeypatch, self.input = monkeypatch, folder / "stdin"

    def __call__(self, data: bytes, *arguments: object) -> int:
        self.input.write_bytes(data)
        self.monkeypatch.setattr(sys, "argv", ["restorekit", "sr", *map(str, arguments), *SR])
        with self.input.open("rb") as stdin:
            self.monkeypatch.setattr(pipes, "STDIN", stdin.fileno())
            with pytest.raises(SystemExit) as ended:
                main()
        return int(ended.value.code or 0)


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pipe:
    return Pipe(monkeypatch, tmp_path)


@pytest.fixture
def image(photo: np.ndarray, tmp_path: Path) -> Path:
    write_image(Image(photo[:20, :30], format="jpeg"), tmp_path / "a.jpg")
    return tmp_path / "a.jpg"


def test_one_image_goes_from_stdin_to_stdout_as_a_folder_would_have_it(
    pipe: Pipe, image: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(image.parent)
    before = set(image.parent.rglob("*")) | {pipe.input}
    assert pipe(image.read_bytes(), "-", "-o", "-") == ExitCode.OK
    shown = capfdbinary.readouterr().out
    assert set(image.parent.rglob("*")) == before
    out = image.parent / "out"
    restore_folder([image], out, model="bicubic", scale=2, settings=Settings("cpu"))
    assert shown == (out / "a.jpg").read_bytes()


def test_a_file_goes_to_stdout_and_stdin_to_a_file_whose_name_tells_the_format(
    pipe: Pipe, image: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == pipes.STDIN)
    assert pipe(b"", image, "-o", "-") == ExitCode.OK
    shown = capfdbinary.readouterr().out
    assert PIL.Image.open(io.BytesIO(shown)).size == (60, 40)
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == pipes.STDOUT)
    result = image.parent / "new" / "b.png"
    assert pipe(image.read_bytes(), "-", "-o", result) == ExitCode.OK
    assert capfdbinary.readouterr().out == b""
    assert result.read_bytes().startswith(b"\x89PNG")
    assert read_image(result).size == (40, 60)


def animation() -> bytes:
    file, frames = io.BytesIO(), [PIL.Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    frames[0].save(file, "PNG", save_all=True, append_images=frames[1:])
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("empty", "standard input: The file is empty."),
        ("cut off", "standard input: The file is damaged or cut off"),
        ("animation", "standard input: It is an animation"),
        ("many pixels", "standard input: The header claims 30x20 pixels"),
        ("many bytes", "holds more than the 9600 bytes that are read. Raise --max-pixels"),
    ],
)
def test_what_fails_has_its_reason_and_nothing_on_stdout(
    kind: str,
    told: str,
    pipe: Pipe,
    image: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = {"empty": b"", "animation": animation(), "cut off": image.read_bytes()[:-200]}.get(kind, image.read_bytes())
    pixels = 599 if kind == "many pixels" else 600
    if kind == "many bytes":
        monkeypatch.setattr(decode, "MOST_METADATA", 0)
        data += bytes(9601)
    assert pipe(data, "-", "-o", "-", "--max-pixels", pixels) == ExitCode.SOME_FAILED
    shown = capfdbinary.readouterr()
    assert shown.out == b""
    assert told in shown.err.decode()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-"], "needs a name"),
        (["-", "-", "-o", "-"], "takes one image"),
        (["{folder}", "-o", "-"], "takes one image"),
        (["-", "-o", "-", "--report", "r.jsonl"], "do not go with -"),
        (["-", "-o", "-", "--dry-run"], "do not go with -"),
    ],
)
def test_what_a_pipe_cannot_be_is_told(
    arguments: list[str], told: str, pipe: Pipe, folder: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert pipe(b"", *(word.format(folder=folder) for word in arguments)) == ExitCode.USAGE
    shown = capfdbinary.readouterr()
    assert shown.out == b""
    assert told in shown.err.decode()


@pytest.mark.parametrize(("terminal", "told"), [("STDIN", "is a terminal"), ("STDOUT", "not written to a terminal")])
def test_a_terminal_gives_and_takes_no_image(
    terminal: str,
    told: str,
    pipe: Pipe,
    image: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == getattr(pipes, terminal))
    assert pipe(image.read_bytes(), "-", "-o", "-") == ExitCode.USAGE
    shown = capfdbinary.readouterr()
    assert shown.out == b""
    assert told in shown.err.decode()


def test_a_reader_that_goes_away_is_told(
    pipe: Pipe, image: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(pipes, "STDOUT", writer)
    assert pipe(image.read_bytes(), "-", "-o", "-") == ExitCode.OUTPUT
    os.close(writer)
    assert "Standard output cannot be written" in capfd.readouterr().err

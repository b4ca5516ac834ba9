"""Kill runs at random moments, continue them, and compare every byte with a run that nobody disturbed.

    python tools/kill_campaign.py --rounds 20 --seed 0
    python tools/kill_campaign.py --rounds 5 --images 0 --frames 600

A round starts `deblur` over images in all formats, or over a video, kills it (SIGKILL) one to three times, and lets it end.
After each kill every file that has its final name must be whole, and at the end everything must be there, with nothing left
over. Prints a line for every round; exit code 1 if one failed.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from skimage import data

from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.media.sniff import Format

FORMATS: dict[str, Format] = {".png": "png", ".jpg": "jpeg", ".webp": "webp", ".tif": "tiff", ".bmp": "bmp"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--frames", type=int, default=0, help="of a video with B-frames; every 100 are a segment")
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_images(root / "in", asked.images, rng)
        if asked.frames:
            make_video(root / "in" / "clip.mp4", asked.frames)
        start(root / "in", root / "reference").wait()
        reference, expected = contents(root / "reference"), 2 * asked.images + (asked.frames > 0)
        if len(reference) != expected:
            sys.exit(f"The undisturbed run left {len(reference)} files of {expected}.")
        stages = len(reference) + asked.frames // 100
        failed = sum(not survives(root, number, reference, stages, rng) for number in range(asked.rounds))
    print(f"{asked.rounds - failed} of {asked.rounds} rounds ended in the same bytes")
    sys.exit(1 if failed else 0)


def make_images(folder: Path, count: int, rng: np.random.Generator) -> None:
    """Pieces of a photograph, in the five formats in turn."""
    photo = data.astronaut()
    for number in range(count):
        suffix, format = list(FORMATS.items())[number % len(FORMATS)]
        top, left = rng.integers(0, 300, 2)
        piece = np.ascontiguousarray(photo[top : top + 120, left : left + 160])
        write_image(Image(piece, format=format), folder / f"{number % 3}" / f"{number:03}{suffix}")


def make_video(path: Path, frames: int) -> None:
    """A camera that moves over a photograph."""
    photo = data.astronaut()
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 120, 160, "yuv420p"
        for number in range(frames):
            top, left = number % 390, number % 350
            piece = np.ascontiguousarray(photo[top : top + 120, left : left + 160])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(piece, "rgb24")))
        out.mux(stream.encode(None))


def start(source: Path, out: Path) -> subprocess.Popen[bytes]:
    """Begin a run, with side-by-side views."""
    arguments = (source, "-o", out / "results", "--compare", out / "views", "--device", "cpu")
    command = (sys.executable, "-m", "restorekit", "deblur", *arguments)
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def contents(out: Path) -> dict[Path, bytes]:
    """Results and views, and whatever else lies among them but for the run's own records."""
    files = (path for path in out.rglob("*") if path.is_file() and ".restorekit" not in path.parts)
    return {path.relative_to(out): path.read_bytes() for path in files}


def reached(out: Path) -> int:
    """Files and segments of videos that are finished."""
    return len(contents(out)) + len(list(out.rglob("*.nut")))


def survives(root: Path, number: int, reference: dict[Path, bytes], stages: int, rng: np.random.Generator) -> bool:
    """Whether a killed and continued run ends as the undisturbed one did."""
    out, there, spoilt = root / f"{number}", [], 0
    for _ in range(int(rng.integers(1, 4))):
        before = min(reached(out), stages - 1)
        awaited = int(rng.integers(before, stages))  # counted in files, because starting takes longer than the work
        child = start(root / "in", out)
        while child.poll() is None and reached(out) <= awaited:
            time.sleep(0.002)
        time.sleep(float(rng.uniform(0, 0.05)))
        child.kill()
        child.wait()
        found = {path: content for path, content in contents(out).items() if not path.name.startswith(".")}
        there.append(reached(out))
        spoilt += sum(content != reference.get(path) for path, content in found.items())
    code = start(root / "in", out).wait()
    same = contents(out) == reference
    words = f"{spoilt} spoilt meanwhile, exit code {code}, {'the same bytes' if same else 'NOT THE SAME BYTES'}"
    print(
        f"round {number}: killed with {', '.join(map(str, there))} of {stages} files and segments, {words}", flush=True
    )
    return same and code == 0 and spoilt == 0


if __name__ == "__main__":
    main()

"""Kill runs at random moments, continue them, and compare every byte with a run that nobody disturbed.

    python tools/kill_campaign.py --rounds 20 --seed 0
    python tools/kill_campaign.py --rounds 5 --images 0 --frames 600
    python tools/kill_campaign.py --rounds 5 --command train

A round starts a command over images in all formats, or over a video, kills it (SIGKILL) one to three times, and lets it
end. After each kill every file that has its final name must be whole, and at the end everything must be there, with nothing
left over. Prints a line for every round; exit code 1 if one failed.
"""

import argparse
import re
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

COMMANDS = {
    "deblur": "deblur {source} -o {out}/results --compare {out}/views --device cpu",
    "synth-blur": "synth-blur {source} -o {out} --length 5:9",
    "train": "train --data {source} --out {out} --model espcn --steps 120 --batch 2 --crop 48 --validate-every 10 "
    "--workers 0 --device cpu",
}
GROWING = ("curves.png", "log.csv", "pairs.jsonl")
"""What tells how far a run is, and so differs before it has ended."""
FORMATS: dict[str, Format] = {".png": "png", ".jpg": "jpeg", ".webp": "webp", ".tif": "tiff", ".bmp": "bmp"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", choices=COMMANDS, default="deblur")
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
        if start(asked.command, root / "in", root / "reference").wait():
            sys.exit("The undisturbed run failed.")
        stages = reached(root / "reference") + asked.frames // 100
        failed = sum(not survives(asked.command, root, number, stages, rng) for number in range(asked.rounds))
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


def start(command: str, source: Path, out: Path) -> subprocess.Popen[bytes]:
    """Begin a run."""
    arguments = [part.format(source=source, out=out) for part in COMMANDS[command].split()]
    run = (sys.executable, "-m", "restorekit", *arguments)
    return subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def files(out: Path) -> list[Path]:
    """Results, and whatever else lies among them but for the run's own records."""
    return [path for path in out.rglob("*") if path.is_file() and ".restorekit" not in path.parts]


def contents(out: Path) -> dict[Path, bytes]:
    """What is in them."""
    return {path.relative_to(out): repeatable(path) for path in files(out)}


def repeatable(path: Path) -> bytes:
    """What two runs write alike: of training, weights and losses, but not times."""
    data = path.read_bytes()
    if path.name in ("checkpoint.pt", "run.json"):
        return b""
    if path.suffix == ".safetensors":  # the header tells the speed
        return data[8 + int.from_bytes(data[:8], "little") :]
    if path.suffix == ".csv":
        return re.sub(rb"(?m)^([^,]*),[^,]*", rb"\1", data)  # without the column of seconds
    return data


def reached(out: Path) -> int:
    """Files and segments of videos that are finished, and lines of a training's log."""
    logged = sum(path.read_bytes().count(b"\n") for path in out.glob("log.csv"))
    return len(files(out)) + len(list(out.rglob("*.nut"))) + logged


def survives(command: str, root: Path, number: int, stages: int, rng: np.random.Generator) -> bool:
    """Whether a killed and continued run ends as the undisturbed one did."""
    out, reference, there, spoilt = root / f"{number}", contents(root / "reference"), [], set[str]()
    for _ in range(int(rng.integers(1, 4))):
        before = min(reached(out), stages - 1)
        awaited = int(
            rng.integers(before, stages)
        )  # counted in what is done, because starting takes longer than the work
        child = start(command, root / "in", out)
        while child.poll() is None and reached(out) <= awaited:
            time.sleep(0.002)
        time.sleep(float(rng.uniform(0, 0.05)))
        child.kill()
        child.wait()
        finished = contents(out).items()
        found = {path: content for path, content in finished if path.name[0] != "." and path.name not in GROWING}
        there.append(reached(out))
        spoilt |= {str(path) for path, content in found.items() if content != reference.get(path)}
    code = start(command, root / "in", out).wait()
    ended = contents(out)
    other = {str(path) for path in ended | reference if ended.get(path) != reference.get(path)}
    words = f"{sorted(spoilt) or 'none'} spoilt meanwhile, exit code {code}, {sorted(other) or 'no'} other bytes"
    print(f"round {number}: killed with {', '.join(map(str, there))} of {stages} done, {words}", flush=True)
    return not other and not spoilt and code == 0


if __name__ == "__main__":
    main()

"""Build paired sets: every sharp picture beside a blurred one, with a record of how it was made."""

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from restorekit._version import __version__
from restorekit.degradation import psf
from restorekit.degradation.convolution import ConvolutionBorder, convolve
from restorekit.degradation.noise import add_noise
from restorekit.degradation.rotation import blur_by_rotation
from restorekit.errors import ExitCode, RestorekitError, UsageError
from restorekit.imaging.dtypes import from_unit, to_unit
from restorekit.media.decode import read_image
from restorekit.media.discover import Job, find_pictures
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.runtime.atomic import write_atomically

Kind = Literal["linear", "trajectory", "rotational", "mixed"]
GAMMA = 2.2  # stored value = light ** (1 / 2.2)
RECORDS = "pairs.jsonl"


@dataclass(frozen=True)
class Recipe:
    """How pictures are blurred. The defaults are the GGGAN paper's: 50-80 px, -40..40 degrees, one kernel a pair."""

    kind: Kind = "linear"
    """mixed: each picture is either linear or rotational."""
    length: tuple[float, float] = (50.0, 80.0)
    """Pixels travelled (linear, trajectory)."""
    angle: tuple[float, float] = (-40.0, 40.0)
    """Direction in degrees, counter-clockwise from the x axis (linear)."""
    sweep: tuple[float, float] = (1.0, 6.0)
    """Angle that the camera rolls through in degrees (rotational)."""
    border: ConvolutionBorder = "reflect"
    light: Literal["auto", "srgb", "linear"] = "auto"
    """srgb blurs the stored values, as the papers do with kernels; linear undoes the gamma first. auto: linear light for
    rotational blur, stored values for kernels."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise on the blurred picture, in grey levels of 255."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in (("length", self.length), ("angle", self.angle), ("sweep", self.sweep)):
            if low > high:
                raise UsageError(f"The range of {name} ends before it begins ({low:g}:{high:g}).", "Swap the two.")
        if self.length[0] < 0 or self.noise < 0:
            raise UsageError("Length and noise cannot be negative.")


@dataclass(frozen=True)
class Made:
    """What became of one pair."""

    name: str
    status: Literal["done", "skipped", "failed"]
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True)
class _Task:
    job: Job
    split: str
    name: str
    """Path of both pictures below their folders."""
    copy: int


def synthesize(
    inputs: Iterable[Path],
    out: Path,
    *,
    recipe: Recipe = Recipe(),
    split: dict[str, int] | None = None,
    per_image: int = 1,
    workers: int | None = None,
    start: Callable[[int], None] = lambda count: None,
    watch: Callable[[Made], None] = lambda made: None,
) -> list[Made]:
    """Write `OUT/<split>/{blur,sharp}/NAME.png` and `OUT/pairs.jsonl`.

    The bytes of a pair depend on the recipe, its source and its path alone, not on order, workers, or what else is in the
    folder. A pair that is there with a matching record is skipped.

    Args:
        inputs: sharp pictures, folders of them, patterns.
        out: where the set goes.
        recipe: how to blur.
        split: pictures of every part, e.g. ``{"train": 480, "test": 300}``, drawn at random by the seed; without it all
            go into the part "all".
        per_image: differently blurred copies of each picture.
        workers: threads; all cores by default.
        start: called once with the number of pairs.
        watch: called for every pair, in order.

    Returns:
        What became of every pair.

    Raises:
        UsageError: no pictures, or fewer than the split asks for.
        UnwritableOutput: the record cannot be written.
    """
    out = Path(out)
    tasks = _plan(find_pictures([Path(item) for item in inputs], out), split, per_image, recipe.seed)
    start(len(tasks))
    known = {record["name"]: record for record in _records(out)}
    found: dict[str, dict[str, Any]] = {}
    made: list[Made] = []

    def work(task: _Task) -> tuple[Made, dict[str, Any] | None]:
        try:
            return _make(task, out, recipe, known.get(f"{task.split}/{task.name}"))
        except RestorekitError as error:
            return Made(f"{task.split}/{task.name}", "failed", str(error)), None

    journal = out / RECORDS
    with ThreadPoolExecutor(workers or os.cpu_count() or 1) as pool:
        for result, record in pool.map(work, tasks):
            if record is not None:
                found[result.name] = record
                if result.status == "done":
                    with journal.open("a", encoding="utf-8") as file:
                        file.write(_line(record))
            made.append(result)
            watch(result)
    lines = "".join(_line(record) for _, record in sorted((known | found).items()))
    if lines:
        write_atomically(journal, lines.encode())
    return made


def exit_code(made: list[Made]) -> ExitCode:
    """OK, or SOME_FAILED."""
    return ExitCode.SOME_FAILED if any(one.status == "failed" for one in made) else ExitCode.OK


def _plan(jobs: list[Job], split: dict[str, int] | None, per_image: int, seed: int) -> list[_Task]:
    if not jobs:
        raise UsageError("No picture was found.", "PNG, JPEG, WebP, TIFF or BMP are read.")
    stems = [job.relative.with_suffix("").as_posix() for job in jobs]
    uses = Counter(stems)
    names = {job: stem if uses[stem] == 1 else job.relative.as_posix() for job, stem in zip(jobs, stems, strict=True)}
    if split is None:
        chosen = [("all", job) for job in jobs]
    else:
        if sum(split.values()) > len(jobs):
            raise UsageError(
                f"The split asks for {sum(split.values())} pictures, but there are {len(jobs)}.",
                "Ask for fewer, or use --per-image for several kernels a picture.",
            )
        order = iter(np.random.default_rng(seed).permutation(len(jobs)))
        chosen = [(part, jobs[next(order)]) for part, count in split.items() for _ in range(count)]
    return [
        _Task(job, part, f"{names[job]}{f'_{copy}' if per_image > 1 else ''}.png", copy)
        for part, job in sorted(chosen, key=lambda item: (item[0], item[1].relative))
        for copy in range(per_image)
    ]


def _make(task: _Task, out: Path, recipe: Recipe, known: dict[str, Any] | None) -> tuple[Made, dict[str, Any] | None]:
    """Blur one picture, unless the pair is there with the record it would get now."""
    name = f"{task.split}/{task.name}"
    blurred_path, sharp_path = (out / task.split / half / task.name for half in ("blur", "sharp"))
    picture = read_image(task.job.source)
    relative = task.job.relative.as_posix()
    digest = hashlib.sha256(f"{recipe.seed}|{task.split}|{relative}|{task.copy}".encode()).digest()
    seed = int.from_bytes(digest[:8], "big")
    record: dict[str, Any] = {
        "name": name,
        "blur": blurred_path.relative_to(out).as_posix(),
        "sharp": sharp_path.relative_to(out).as_posix(),
        "source": relative,
        "source_sha256": hashlib.sha256(task.job.source.read_bytes()).hexdigest(),
        "recipe": json.loads(json.dumps(asdict(recipe))),
        "picture_seed": seed,
        "restorekit": __version__,
    }
    if known is not None and record.items() <= known.items() and blurred_path.exists() and sharp_path.exists():
        return Made(name, "skipped"), known

    # PNG holds no floating point; 16 bit are enough for what a camera delivers.
    stored = picture.pixels if picture.pixels.dtype != np.float32 else from_unit(to_unit(picture.pixels), np.uint16)
    blurred, crop, drawn = _blur(stored, recipe, np.random.default_rng(seed))
    write_image(Image(stored[crop]), sharp_path)
    write_image(Image(blurred), blurred_path)
    return Made(name, "done"), record | drawn


def _blur(
    sharp: NDArray[Any], recipe: Recipe, rng: np.random.Generator
) -> tuple[NDArray[Any], tuple[slice, slice], dict[str, Any]]:
    """The blurred picture in the sharp one's type, the part of the sharp one that it shows, and what was drawn."""
    kind = recipe.kind
    if kind == "mixed":
        kind = "linear" if rng.random() < 0.5 else "rotational"
    linear_light = recipe.light == "linear" or (recipe.light == "auto" and kind == "rotational")
    drawn: dict[str, Any] = {"kind": kind, "light": "linear" if linear_light else "srgb"}
    light = sharp
    if linear_light:
        light = to_unit(sharp) ** np.float32(GAMMA)
    elif recipe.noise or kind == "rotational":
        light = to_unit(sharp)
    height, width = sharp.shape[:2]
    crop = np.s_[0:height, 0:width]
    if kind == "rotational":
        drawn["sweep"] = rng.uniform(*recipe.sweep)
        blurred = blur_by_rotation(light, drawn["sweep"])
    else:
        drawn["length"] = rng.uniform(*recipe.length)
        if kind == "linear":
            drawn["angle"] = rng.uniform(*recipe.angle)
            kernel = psf.linear(drawn["length"], drawn["angle"])
        else:
            kernel = psf.trajectory(rng, drawn["length"], anxiety=psf.draw_anxiety(rng))
        side = kernel.shape[0]
        drawn |= {"kernel_side": side, "kernel": base64.b64encode(kernel.tobytes()).decode()}
        if recipe.border == "valid":
            if side > min(height, width):
                raise UsageError(
                    f"The picture is {width}x{height}, its kernel {side} px: nothing is valid.", "Use --border reflect."
                )
            edge = side // 2
            crop = np.s_[edge : height - edge, edge : width - edge]
        blurred = convolve(light, kernel, recipe.border).reshape(sharp[crop].shape)
    if blurred.dtype == np.float32:
        blurred = np.clip(blurred, 0, 1) ** np.float32(1 / GAMMA) if linear_light else blurred
        blurred = from_unit(add_noise(blurred, recipe.noise, rng), sharp.dtype)
    return blurred, crop, drawn


def _line(record: dict[str, Any]) -> str:
    return json.dumps(record, sort_keys=True, ensure_ascii=False) + "\n"


def _records(out: Path) -> Iterator[dict[str, Any]]:
    try:
        lines = (out / RECORDS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue  # the last line of a killed run may be cut off
        if isinstance(record, dict) and "name" in record:
            yield record

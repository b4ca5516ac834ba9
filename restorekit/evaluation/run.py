"""Run a benchmark: restore, compare, remember.

    for every picture: input ─▶ every method ─▶ align, cut, compare with the sharp one ─▶ journal

Restored pictures and scores are remembered one by one: a second run does only what has changed, and a run that was killed
goes on where it stopped.
"""

import hashlib
import json
import math
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from restorekit._version import __version__
from restorekit.degradation.downscale import Downscale
from restorekit.errors import ExitCode, RestorekitError, UnwritableOutput, UsageError
from restorekit.evaluation import datasets, methods, opinions, speed, statistics
from restorekit.evaluation.baselines import Rgb, Task
from restorekit.evaluation.datasets import Found, Item
from restorekit.evaluation.methods import Method
from restorekit.evaluation.protocol import Protocol, Table, definition
from restorekit.imaging.alignment import align
from restorekit.media.decode import read_image, read_rgb8
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.metrics import SSIM_VARIANTS, ms_ssim, mse, psnr

EXTRAS = ("ms-ssim", "lpips", "niqe")
LOWER_IS_BETTER = ("mse", "lpips", "niqe")
EDITION = 1  # of the measurements: raised when a metric changes, so that remembered scores are not used any more


@dataclass(frozen=True)
class Request:
    """What a benchmark is asked to do."""

    protocol: Protocol
    data: Path | None = None
    models: tuple[str, ...] = ()
    """NAME or NAME:WEIGHTS."""
    restored: tuple[tuple[str, Path], ...] = ()
    """Names and folders of pictures restored elsewhere."""
    truths: bool = False
    """The data are sharp pictures alone, to compare restored folders with."""
    baselines: bool = True
    scale: int = 4
    """Enlargement, where the protocol does not say."""
    extras: tuple[str, ...] = ()
    """Metrics beside PSNR and SSIM, of `EXTRAS`."""
    lpips_weights: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    """Fields of `inference.engine.Settings`."""
    repeats: int = 3
    """Timed runs of each network; 0 leaves the speed out."""
    opinions: Path | None = None

    def __post_init__(self) -> None:
        if unknown := [extra for extra in self.extras if extra not in EXTRAS]:
            raise UsageError(f"There is no metric called '{unknown[0]}'.", f"Use {', '.join(EXTRAS)}.")
        if self.protocol.scale and self.scale != self.protocol.scale:
            raise UsageError(f"{self.protocol.name} is about x{self.protocol.scale}.", "Leave out --scale.")


@dataclass(frozen=True)
class Score:
    """One method on one picture."""

    name: str
    set: str
    method: str
    values: dict[str, float]
    seconds: float
    grey: bool = False
    error: str = ""
    """Why there are no values."""


@dataclass
class Outcome:
    """A finished benchmark."""

    request: Request
    found: Found
    methods: list[Method]
    scores: list[Score]
    speeds: dict[str, speed.Speed]
    opinions: list[opinions.Opinion]
    messages: list[str]
    """What the user should know."""
    measured: int = 0
    """Scores that were measured now; the others were remembered."""

    @property
    def exit_code(self) -> ExitCode:
        """OK, or SOME_FAILED."""
        return ExitCode.SOME_FAILED if any(score.error for score in self.scores) else ExitCode.OK

    @property
    def other_data(self) -> bool:
        """Whether the published rows are of other pictures than these."""
        layout = self.request.protocol.layout
        return self.request.protocol.other_data or (self.found.layout != layout and layout != "pairs")

    @property
    def sets(self) -> list[str]:
        """The parts of the data that have averages of their own."""
        return sorted({item.set for item in self.found.items})

    @property
    def metrics(self) -> list[str]:
        """Names of all values that were measured, PSNR and SSIM first."""
        return list(dict.fromkeys(name for score in self.scores for name in score.values))

    def values(self, method: str, part: str, metric: str) -> dict[str, float]:
        """Scores by picture."""
        wanted = (one for one in self.scores if one.method == method and one.set == part and metric in one.values)
        return {one.name: one.values[metric] for one in wanted}

    def tables(self, part: str) -> list[Table]:
        """Published tables about a set."""
        scale = self.request.scale if self.request.protocol.task == "sr" else 0
        return [
            table for table in self.request.protocol.tables if table.set in ("", part) and table.scale in (0, scale)
        ]


class Benchmark:
    """A benchmark that can be run, and asked for its pictures afterwards.

    Args:
        request: what to do.
        out: the folder of the results.

    Raises:
        UsageError: a wrong folder, or nothing to compare.
        UnknownModel, WeightsError: see `weights.loading.load`.
    """

    def __init__(self, request: Request, out: Path) -> None:
        self.request, self.out, self.protocol = request, out, request.protocol
        self.scale = request.scale if self.protocol.task == "sr" else 1
        self.messages: list[str] = []
        self.found = self._find()
        self.methods = self._methods()
        self.perceptual = self._perceptual()
        self.journal = Journal(out / ".restorekit" / "scores.jsonl")

    def run(
        self,
        start: Callable[[int], None] = lambda count: None,
        watch: Callable[[Score, bool], None] = lambda score, measured: None,
    ) -> Outcome:
        """Do what is not remembered.

        Args:
            start: called once with the number of scores.
            watch: called for every score, with whether it was measured now.

        Raises:
            UnwritableOutput: the results' folder.
        """
        jobs = [
            (item, [one for one in self.methods if not one.needs_kernel or item.kernel is not None])
            for item in self.found.items
        ]
        start(sum(len(chosen) for _, chosen in jobs))
        scores, measured = [], 0
        for item, chosen in jobs:
            prepared: Prepared | None = None
            for method in chosen:
                keys = self._keys(item, method)
                score = self.journal.score(keys[1])
                if new := score is None:
                    try:
                        prepared = prepared or self.prepare(item)
                        score = self._score(item, method, prepared, keys)
                    except UnwritableOutput:
                        raise
                    except RestorekitError as error:
                        score = Score(item.name, item.set, method.name, {}, 0.0, error=str(error))
                    measured += 1
                scores.append(score)
                watch(score, new)
        speeds = self._speeds()
        said = opinions.read(self.request.opinions) if self.request.opinions else []
        return Outcome(self.request, self.found, self.methods, scores, speeds, said, self.messages, measured)

    def prepare(self, item: Item) -> "Prepared":
        """Read a picture and make its input."""
        middle = len(item.sharp) // 2
        first = read_image(item.sharp[middle])
        sharp = read_rgb8(item.sharp[middle])
        # By the file's channels, not by equal ones: Set14's man is grey in RGB, and published tables map it to 16..235.
        grey = first.pixels.shape[2] == 1
        task = None
        if self.protocol.task == "sr":
            assert self.protocol.small  # protocols of super-resolution name one
            low, sharp = Downscale(self.scale, self.protocol.small, border="replicate").make_pair(sharp)
            task = Task(low, sharp.shape[:2])
        elif item.blurred is not None:
            blurred = self._centre(read_rgb8(item.blurred))
            task = Task(blurred, blurred.shape[:2], item.kernel)
        return Prepared(self._centre(sharp), task, grey)

    def picture(self, item: Item, method: Method, prepared: "Prepared") -> tuple[Rgb, float]:
        """What a method makes of a picture, remembered if it came from a network, and the seconds it took."""
        key, kept = self._keys(item, method)[0], self.out / "pictures" / folder_name(method.name) / f"{item.name}.png"
        if method.kind == "model" and (seconds := self.journal.kept(key, kept)) is not None:
            return read_rgb8(kept), seconds
        begun = time.perf_counter()
        found = method.run(item, prepared.task)
        seconds = time.perf_counter() - begun
        if method.kind == "model":
            write_image(Image(found), kept)
            self.journal.keep(key, kept, seconds)
        return found, seconds

    def _find(self) -> Found:
        protocol, data = self.protocol, self.request.data
        if data is None:
            raise UsageError("There is nothing to measure.", "Give --data.")
        found = datasets.truths(data) if self.request.truths else datasets.find(protocol.layout, data)
        if found.layout == "frames":
            found = replace(found, items=self._blurred(data, len(found.items)))
        wanted, have = protocol.expected, len(found.items)
        if wanted and have != wanted:
            self.messages.append(f"The paper's test set has {wanted} pictures; these are {have}.")
        if found.layout != protocol.layout and protocol.layout != "pairs":
            self.messages.append(
                f"This is any folder of pairs, not the set of {protocol.name}: published rows do not compare."
            )
        elif protocol.other_data:
            self.messages.append("The published rows are of other pictures and do not compare.")
        return found

    def _blurred(self, data: Path, frames: int) -> tuple[Item, ...]:
        """Blur sharp frames as the protocol says."""
        from restorekit.degradation.pairs import synthesize_pairs
        from restorekit.degradation.synthetic_blur import BlurSettings

        blur: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in self.protocol.blur.items()
        }
        draw = 0 < self.protocol.expected < frames
        summary = synthesize_pairs(
            [data],
            self.out / "pairs",
            settings=BlurSettings(**blur),
            split={"all": self.protocol.expected} if draw else None,
        )
        if failed := [result for result in summary.results if result.status == "failed"]:
            self.messages.append(f"{len(failed)} frames could not be blurred, e.g. {failed[0].reason}")
        return datasets.find("pairs", self.out / "pairs" / "all").items

    def _methods(self) -> list[Method]:
        chosen = methods.classical(self.protocol) if self.request.baselines else []
        if all(item.blurred is None for item in self.found.items) and self.protocol.task == "deblur":
            chosen = []
        if not any(item.kernel is not None for item in self.found.items):
            chosen = [one for one in chosen if not one.needs_kernel]
        chosen = [one for one in chosen if one.name not in self.request.models]  # bicubic is a system too
        chosen += [methods.restored(name, folder) for name, folder in self.request.restored]
        chosen += [
            methods.model(text, self.request.settings, self.protocol, self.scale) for text in self.request.models
        ]
        if not chosen:
            raise UsageError("There is nothing to compare.", "Give --model, --restored, or leave the baselines in.")
        if len({one.name for one in chosen}) < len(chosen):
            raise UsageError("Two methods have the same name.", "Give each --restored folder a name of its own.")
        return chosen

    def _perceptual(self) -> Callable[[Rgb, Rgb], float] | None:
        if "lpips" not in self.request.extras:
            return None
        if self.request.lpips_weights is None:
            self.messages.append(
                "LPIPS is left empty: its weights do not ship. Give their folder with --lpips-weights."
            )
            return None
        from restorekit.metrics.lpips import load_network

        return load_network(self.request.lpips_weights).distance

    def _keys(self, item: Item, method: Method) -> tuple[str, str]:
        """What decides a method's picture, and what decides its scores."""
        inputs = [item.blurred, method.source(item), *(item.sharp if self.protocol.task == "sr" else ())]
        kernel = None if item.kernel is None else hashlib.sha256(item.kernel.tobytes()).hexdigest()
        decides = definition(self.protocol)
        shape = {name: decides[name] for name in ("task", "centre", "small")} | {"scale": self.scale}
        made = _digest([method.name, method.about, item.name, [_stamp(one) for one in inputs], kernel, shape])
        extras = [self.request.extras, self.perceptual is not None]
        return made, _digest([made, EDITION, decides, [_stamp(one) for one in item.sharp], extras])

    def _score(self, item: Item, method: Method, prepared: "Prepared", keys: tuple[str, str]) -> Score:
        restored, seconds = self.picture(item, method, prepared)
        if restored.shape != prepared.sharp.shape:
            size = "{1}x{0}".format(*restored.shape[:2])
            wanted = "{1}x{0}".format(*prepared.sharp.shape[:2])
            raise UsageError(f"The restored picture is {size}, the sharp one {wanted}.", "Nothing is resized silently.")
        truths = item.sharp if self.protocol.reference == "best" and len(item.sharp) > 1 else ()
        frames = (self._centre(read_rgb8(path)) for path in truths) if truths else iter([prepared.sharp])
        best: dict[str, float] = {}
        for sharp in frames:
            found = self._compare(*align(restored, sharp, self.protocol.align), prepared.grey)
            best = {name: _better(name, best.get(name), value) for name, value in found.items()}
        score = Score(item.name, item.set, method.name, best, seconds, prepared.grey)
        self.journal.remember(keys[1], score)
        return score

    def _compare(self, restored: Rgb, sharp: Rgb, grey: bool) -> dict[str, float]:
        pair: tuple[NDArray[Any], NDArray[Any]] = (restored, sharp)
        if grey and self.protocol.colour in ("y", "y-float"):
            one = Image(sharp[..., :1])
            pair = (one.with_rgb(restored).pixels, one.pixels)
        options: dict[str, Any] = {"colour": self.protocol.colour, "border": self.protocol.cut(self.scale)}
        found = {
            "psnr": psnr(*pair, **options),
            "ssim": SSIM_VARIANTS[self.protocol.ssim].function(*pair, **options),
            "mse": mse(*pair, **options),
        }
        for name, measure in self._extras(restored, sharp, lambda: ms_ssim(*pair, **options)).items():
            try:
                found[name] = measure()
            except UsageError as error:  # too small for this metric; the others stand
                self._tell(f"{name} is left empty for some pictures: {error.reason}")
        return found

    def _extras(self, restored: Rgb, sharp: Rgb, multiscale: Callable[[], float]) -> dict[str, Callable[[], float]]:
        found: dict[str, Callable[[], float]] = {}
        if "ms-ssim" in self.request.extras:
            found["ms-ssim"] = multiscale
        if (perceptual := self.perceptual) is not None:
            found["lpips"] = lambda: perceptual(restored, sharp)
        if "niqe" in self.request.extras:
            from restorekit.metrics.niqe import niqe

            found["niqe"] = lambda: niqe(restored)
        return found

    def _tell(self, message: str) -> None:
        if message not in self.messages:
            self.messages.append(message)

    def _centre(self, picture: Rgb) -> Rgb:
        side = self.protocol.centre
        if not side:
            return picture
        height, width = picture.shape[:2]
        if min(height, width) < side:
            raise UsageError(f"A picture of {width}x{height} px has no centre of {side} px.")
        top, left = (height - side) // 2, (width - side) // 2
        return np.ascontiguousarray(picture[top : top + side, left : left + side])

    def _speeds(self) -> dict[str, speed.Speed]:
        if not self.request.repeats:
            return {}
        networks = [one for one in self.methods if one.kind == "model"]
        if not networks:
            return {}
        task = self.prepare(self.found.items[len(self.found.items) // 2]).task
        assert task is not None  # networks only run where there are inputs
        found = {}
        for method in networks:
            size = task.picture.shape[:2]
            key = _digest([method.about, size, self.request.repeats, platform.node()])
            known = self.journal.timed(key)
            if known is None:
                network = (method.system, method.facts["asked"], method.facts["scale"])
                try:
                    known = speed.measure(*network, self.request.settings, size, self.request.repeats)
                except RestorekitError as error:
                    self.messages.append(str(error))
                    continue
                self.journal.time(key, known)
            found[method.name] = known
        return found


@dataclass(frozen=True)
class Prepared:
    """A picture ready to be restored and compared."""

    sharp: Rgb
    task: Task | None
    grey: bool
    """Stored with one channel, or with three equal ones."""


class Journal:
    """What is remembered between runs: a line of JSON for every picture made, score and speed, appended when it is done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, dict[str, Any]] = {}
        self.torn = False
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            self.torn = bool(text) and not text.endswith("\n")
            for line in text.splitlines():
                try:
                    record = json.loads(line)
                    self.known[record["key"]] = record
                except (ValueError, KeyError, TypeError):
                    continue  # the last line of a killed run may be cut off

    def score(self, key: str) -> Score | None:
        """A remembered score."""
        record = self.known.get(key)
        if record is None:
            return None
        values = {name: float(value) for name, value in record["score"]["values"].items()}
        return Score(**(record["score"] | {"values": values}))

    def remember(self, key: str, score: Score) -> None:
        """Note a score."""
        self._append(key, {"score": asdict(score) | {"values": {k: _plain(v) for k, v in score.values.items()}}})

    def kept(self, key: str, path: Path) -> float | None:
        """Seconds that a picture took, if it is still there as it was written."""
        record = self.known.get(key)
        stamp = _stamp(path) if path.is_file() else None
        return float(record["seconds"]) if record is not None and record["stamp"] == stamp else None

    def keep(self, key: str, path: Path, seconds: float) -> None:
        """Note a picture that has just been written."""
        self._append(key, {"stamp": _stamp(path), "seconds": seconds})

    def timed(self, key: str) -> speed.Speed | None:
        """A remembered speed."""
        record = self.known.get(key)
        return speed.Speed(**record["speed"]) if record else None

    def time(self, key: str, found: speed.Speed) -> None:
        """Note a speed."""
        self._append(key, {"speed": asdict(found)})

    def _append(self, key: str, content: dict[str, Any]) -> None:
        record = {"key": key, **content}
        self.known[key] = record
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n" * self.torn + json.dumps(record, ensure_ascii=False) + "\n")
                self.torn = False
        except OSError as error:
            raise UnwritableOutput(
                f"Nothing can be written here ({error.strerror}).", "Choose another place with --out.", self.path
            ) from None


def differences(outcome: Outcome, part: str, metric: str) -> list[tuple[str, str, statistics.Summary]]:
    """Paired differences, second minus first, of every two methods on the pictures that both have."""
    found = []
    for first, second in combinations(outcome.methods, 2):
        a, b = (outcome.values(one.name, part, metric) for one in (first, second))
        both = sorted(a.keys() & b.keys())
        if both:
            summary = statistics.difference([b[name] for name in both], [a[name] for name in both])
            found.append((first.name, second.name, summary))
    return found


def summaries(outcome: Outcome, part: str, metric: str) -> dict[str, statistics.Summary]:
    """Statistics by method."""
    found = {one.name: outcome.values(one.name, part, metric) for one in outcome.methods}
    return {name: statistics.summarise(list(values.values())) for name, values in found.items() if values}


def extremes(outcome: Outcome, method: str, part: str, count: int = 3) -> tuple[list[str], list[str]]:
    """The pictures with the lowest and the highest PSNR."""
    values: dict[str, float] = outcome.values(method, part, "psnr")
    order: Sequence[str] = sorted(values, key=lambda name: (values[name], name))
    return list(order[:count]), list(order[::-1][:count])


def _better(name: str, known: float | None, value: float) -> float:
    if known is None:
        return value
    return min(known, value) if name in LOWER_IS_BETTER else max(known, value)


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps([__version__, content], sort_keys=True, default=str).encode()).hexdigest()


def _stamp(path: Path | None) -> list[Any]:
    if path is None:
        return []
    state = path.stat()
    return [str(path.resolve()), state.st_size, state.st_mtime_ns]


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def folder_name(name: str) -> str:
    """A method's name as that of a folder."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)


def environment() -> dict[str, str]:
    """Versions and machine, for reports."""
    from importlib.metadata import version

    import torch

    tools: Iterable[str] = ("torch", "numpy", "opencv-python", "scikit-image", "pillow")
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    except OSError:
        pass
    return {
        "restorekit": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in tools},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu,
        "threads": str(torch.get_num_threads()),
    }

"""What a benchmark remembers between runs: restored images, scores and speeds.

    OUT/images/METHOD/ITEM.png       what the methods made; and of the examples that the report shows also
    OUT/images/{sharp,input,psf}/    what they are compared with and made from
    OUT/.restorekit/benchmark.jsonl  a journal of both, and of scores and speeds

An entry counts while nothing that decides it has changed. Scores do not depend on the metrics that were asked for beside
them, so another metric measures again but restores nothing.
"""

import hashlib
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from restorekit import __version__
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.methods import Restorer
from restorekit.evaluation.preparation import Rgb
from restorekit.evaluation.protocol import Protocol
from restorekit.evaluation.scoring import ImageScores, Scorer
from restorekit.evaluation.speed import SpeedMeasurement, SpeedRequest
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.runtime.journal import Journal
from restorekit.runtime.provenance import cpu_name, file_stamp

SCORES_VERSION = 1  # raised when a metric gives other values, so that remembered scores are not used any more

RESERVED_FOLDERS = ("input", "sharp", "psf")
"""Of `images`, for what methods are compared with and restore."""

Facts = Mapping[str, object]


@dataclass(frozen=True)
class KeptImage:
    """A restored image that is still there as it was written."""

    path: Path
    seconds: float | None
    """That restoring it took; None for what was restored elsewhere."""


DAMAGED = (AttributeError, LookupError, TypeError, ValueError)
"""What the values of a damaged line may raise: it does not count."""
_SECONDS = TypeAdapter(float | None)


class BenchmarkStore:
    """The results' folder of one benchmark.

    Args:
        out: the folder; nothing is written before the first `keep`.
        protocol, scale: of the benchmark.
    """

    def __init__(self, out: Path, protocol: Protocol, scale: int) -> None:
        self.out, self.protocol, self.scale = out, protocol, scale
        identity = {"restorekit": __version__, "scores": SCORES_VERSION}
        self.journal = Journal(out / ".restorekit" / "benchmark.jsonl", identity)

    def image_facts(self, item: Item, restorer: Restorer) -> Facts:
        """What decides a restored image: the method, the input's files, and how the input is made of them.

        Raises:
            OSError: a file is not there.
        """
        definition = self.protocol.definition()
        made_from_sharp = self.protocol.downscale is not None
        inputs = [item.blurred, restorer.source(item), *(item.sharp if made_from_sharp else ())]
        return {
            "method": dict(restorer.identity),
            "inputs": [_stamp(path) for path in inputs if path is not None],
            "psf": None if item.psf is None else hashlib.sha256(item.psf.tobytes()).hexdigest(),
            "preparation": {name: definition[name] for name in ("center_crop", "downscale")} | {"scale": self.scale},
        }

    def image_path(self, method: str, item: Item) -> Path:
        """Where a method's result of an item is kept."""
        return self.out / image_file(method, item.name)

    def find_image(self, method: str, item: Item, facts: Facts) -> KeptImage | None:
        """A restored image that is kept."""
        path = self.image_path(method, item)
        entry = self.journal.find(f"image {method} {item.name}", facts)
        if entry is None or not path.is_file() or file_stamp(path) != entry.get("stamp"):
            return None
        with suppress(*DAMAGED):
            return KeptImage(path, _SECONDS.validate_python(entry["seconds"]))
        return None

    def keep_image(self, method: str, item: Item, facts: Facts, pixels: Rgb, seconds: float | None) -> None:
        """Keep a restored image.

        Raises:
            UnwritableOutput: it cannot be written.
        """
        path = self.image_path(method, item)
        write_image(Image(pixels), path)
        self.journal.record(f"image {method} {item.name}", facts, stamp=file_stamp(path), seconds=seconds)

    def score_facts(self, item: Item, image_facts: Facts, scorer: Scorer) -> Facts:
        """What decides scores: the restored image, the sharp ones, the protocol, and the metrics' weights.

        Raises:
            OSError: a file is not there.
        """
        weights = {
            name: [_stamp(path) for path in sorted(folder.iterdir())]
            for name, folder in scorer.metric_weights.items()
            if name in scorer.names
        }
        return {
            "image": image_facts,
            "sharp": [_stamp(path) for path in item.sharp],
            "definition": self.protocol.definition(),
            "weights": weights,
        }

    def find_scores(self, method: str, item: Item, facts: Facts, scorer: Scorer) -> ImageScores | None:
        """Remembered scores, if they hold every metric of the scorer."""
        entry = self.journal.find(f"scores {method} {item.name}", facts)
        with suppress(*DAMAGED):
            if entry is None or not set(scorer.names) <= entry["values"].keys() | entry["left_out"].keys():
                return None
            return ImageScores(
                item.name,
                item.subset,
                method,
                values={name: float(entry["values"][name]) for name in scorer.names if name in entry["values"]},
                left_out={name: str(entry["left_out"][name]) for name in scorer.names if name in entry["left_out"]},
                seconds=_SECONDS.validate_python(entry["seconds"]),
                grey=bool(entry["grey"]),
            )
        return None

    def record_scores(self, item: Item, facts: Facts, scores: ImageScores) -> None:
        """Remember scores.

        Raises:
            UnwritableOutput: the journal cannot be written.
        """
        self.journal.record(
            f"scores {scores.method} {item.name}",
            facts,
            values={name: value if math.isfinite(value) else str(value) for name, value in scores.values.items()},
            left_out=dict(scores.left_out),
            seconds=scores.seconds,
            grey=scores.grey,
        )

    def find_speed(self, method: str, request: SpeedRequest, identity: Facts) -> SpeedMeasurement | None:
        """A remembered speed of this machine."""
        entry = self.journal.find(f"speed {method}", _speed_facts(request, identity))
        with suppress(*DAMAGED):
            return None if entry is None else TypeAdapter(SpeedMeasurement).validate_python(entry["speed"])
        return None

    def record_speed(self, method: str, request: SpeedRequest, identity: Facts, speed: SpeedMeasurement) -> None:
        """Remember a speed.

        Raises:
            UnwritableOutput: the journal cannot be written.
        """
        self.journal.record(f"speed {method}", _speed_facts(request, identity), speed=asdict(speed))


def image_file(method: str, item: str) -> Path:
    """Where an image is kept, below the results' folder."""
    return Path("images", folder_name(method), f"{item}.png")


def folder_name(method: str) -> str:
    """A method's name as that of a folder."""
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in method)


def _speed_facts(request: SpeedRequest, identity: Facts) -> Facts:
    return {"request": asdict(request), "method": dict(identity), "machine": cpu_name()}


def _stamp(path: Path) -> dict[str, object]:
    return {"path": str(path.resolve()), **file_stamp(path)}

"""What a table compares: networks, folders that were restored elsewhere, and classical baselines."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from restorekit.errors import UsageError
from restorekit.evaluation import baselines
from restorekit.evaluation.baselines import Rgb, Task
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.protocol import Protocol
from restorekit.media.decode import read_rgb8
from restorekit.media.discover import find_images


@dataclass(frozen=True)
class Method:
    """One row of the table."""

    name: str
    kind: Literal["model", "restored", "baseline"]
    run: Callable[[Item, Task | None], Rgb]
    """The restored picture; the task is None where there is no input (only folders can do that)."""
    system: str = ""
    """The name that published rows use, if it is not the method's own."""
    about: dict[str, Any] = field(default_factory=dict)
    """All that decides its pictures; part of what is remembered between runs."""
    facts: dict[str, Any] = field(default_factory=dict)
    """For the table: parameters, device, precision, paper."""
    source: Callable[[Item], Path | None] = lambda item: None
    """The file that a picture is read from, if it is."""
    needs_kernel: bool = False


def model(text: str, settings: dict[str, Any], protocol: Protocol, scale: int) -> Method:
    """A network, `NAME` or `NAME:WEIGHTS` with a tag or file.

    Raises:
        UsageError: it is for another task or scale.
        UnknownModel, WeightsError: see `weights.loading.load`.
    """
    from restorekit.inference.engine import Engine
    from restorekit.inference.settings import Settings
    from restorekit.models import registry
    from restorekit.weights.load import load_model

    name, _, weights = text.partition(":")
    enlarging = protocol.task == "sr" and registry.spec_of(name).task == "sr"
    loaded = load_model(name, weights or "auto", scale if enlarging else None)
    if loaded.spec.task != protocol.task:
        raise UsageError(
            f"{name} is for {loaded.spec.task}, {protocol.name} for {protocol.task}.", "Choose another model."
        )
    engine = Engine(loaded, Settings(**settings))

    def run(item: Item, task: Task | None) -> Rgb:
        given = _given(item, task)
        found = engine(given.picture).pixels
        return found if found.shape[:2] == given.size else baselines.bicubic(Task(found, given.size))

    label = f"{name}:{Path(weights).stem}" if Path(weights).suffix else text  # where a file lies is of no interest
    return Method(
        label,
        "model",
        run,
        system=name,
        about={"model": name, "sha256": loaded.provenance.sha256, "precision": engine.precision, "settings": settings},
        facts={
            "weights": loaded.provenance.weights,
            "asked": weights or "auto",
            "scale": scale if enlarging else None,
            "parameters": loaded.parameters,
            "paper": loaded.spec.paper,
        },
    )


def restored(name: str, folder: Path) -> Method:
    """Pictures that something else restored: files below a folder by the items' paths, or by their names alone.

    Raises:
        UsageError: there is no such folder.
    """
    by_path: dict[str, Path] = {}
    by_stem: dict[str, list[Path]] = {}
    for job in find_images([folder]):
        by_path[job.relative.with_suffix("").as_posix()] = job.source
        by_stem.setdefault(job.source.stem, []).append(job.source)

    def source(item: Item) -> Path | None:
        same = by_stem.get(item.name.rsplit("/", 1)[-1], [])
        return by_path.get(item.name) or (same[0] if len(same) == 1 else None)

    def run(item: Item, task: Task | None) -> Rgb:
        if (path := source(item)) is None:
            raise UsageError("No restored picture of that name.", f"{item.name} is expected.", folder)
        found = read_rgb8(path)
        if task is not None and found.shape[:2] != task.size:  # a protocol may look at the centre only
            top, left = ((have - want) // 2 for have, want in zip(found.shape[:2], task.size, strict=True))
            if min(top, left) >= 0:
                return np.ascontiguousarray(found[top : top + task.size[0], left : left + task.size[1]])
        return found

    return Method(name, "restored", run, about={"folder": str(folder.resolve())}, source=source)


def classical(protocol: Protocol) -> list[Method]:
    """The baselines that belong to a protocol."""
    if protocol.task == "sr":
        chosen = baselines.SR_PAPER if protocol.small == "pillow" else baselines.SR
        return [_baseline(name, function) for name, function in chosen.items()]
    plain = [_baseline(name, function) for name, function in baselines.DEBLUR.items()]
    return plain + [_baseline(name, function, needs_kernel=True) for name, function in baselines.WITH_KERNEL.items()]


def _baseline(name: str, function: baselines.Baseline, needs_kernel: bool = False) -> Method:
    about = {"baseline": name}
    text = (function.__doc__ or "").split("\n")[0]
    return Method(
        name, "baseline", lambda item, task: function(_given(item, task)), about=about, facts={"paper": text},
        needs_kernel=needs_kernel,
    )  # fmt: skip


def _given(item: Item, task: Task | None) -> Task:
    if task is None:
        raise UsageError("There is no input to restore.", "Give restored folders only.", item.sharp[0])
    return task

"""The images that a report shows: chosen by the scores, and kept beside the results so that these alone are enough."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from restorekit.errors import RestorekitError, UnwritableOutput
from restorekit.evaluation.datasets import Item
from restorekit.evaluation.methods import NetworkRestorer, Restorer
from restorekit.evaluation.preparation import PreparedItem, Rgb, prepare_item
from restorekit.evaluation.result import BenchmarkResult, Example, ExampleLayer
from restorekit.evaluation.store import BenchmarkStore, image_file
from restorekit.evaluation.summary import extremes
from restorekit.media.encode import write_image
from restorekit.media.image import Image
from restorekit.media.rows import ArrayReader
from restorekit.pipeline.blur_files import values_and_picture

ENDS = 2  # worst and best images of every subset that are shown


def choose_examples(result: BenchmarkResult) -> list[Item]:
    """The worst and best images of the last method, then others evenly spread, as many as the request shows."""
    measured = {scores.item for scores in result.scores if scores.values}
    items = {item.name: item for item in result.dataset.items if item.name in measured}
    shown = result.request.shown
    order: list[str] = []
    for subset in result.subsets:
        worst, best = extremes(result, result.methods[-1].name, subset, ENDS)
        order += [*worst, *best]
    chosen = list(dict.fromkeys(order))[:shown]
    others, missing = [name for name in items if name not in chosen], shown - len(chosen)
    if 0 < missing < len(others):
        others = [others[place * len(others) // missing] for place in range(missing)]
    return [items[name] for name in [*chosen, *others[:missing]]]


def keep_examples(
    result: BenchmarkResult, restorers: Mapping[str, Restorer], store: BenchmarkStore
) -> tuple[tuple[Example, ...], tuple[str, ...]]:
    """Keep what the report shows of the chosen images. What a method made is there already; the rest is copied.

    Returns:
        The examples, and messages about those that cannot be shown any more.

    Raises:
        UnwritableOutput: an image cannot be written.
    """
    examples, messages = [], []
    for item in choose_examples(result):
        try:
            examples.append(_keep_example(item, result, restorers, store))
        except UnwritableOutput:
            raise
        except (RestorekitError, OSError) as error:  # its files have changed since it was measured
            messages.append(f"The report does not show {item.name}: {error}")
    return tuple(examples), tuple(messages)


def _keep_example(
    item: Item, result: BenchmarkResult, restorers: Mapping[str, Restorer], store: BenchmarkStore
) -> Example:
    prepared = prepare_item(item, result.request.protocol, result.request.enlargement)
    degraded = prepared.degraded
    layers = []
    if degraded is not None and degraded.pixels.shape == prepared.sharp.shape:
        layers.append(_write("input", item, degraded.pixels, store.out))
    for scores in result.scores:
        if scores.item == item.name and scores.values and scores.method != "identity":
            restorer = restorers[scores.method]
            _keep_restored(item, restorer, prepared, store)
            blur = _keep_blur(item, restorer, prepared, store)
            layers.append(ExampleLayer(scores.method, image_file(scores.method, item.name).as_posix(), blur))
    layers.append(_write("sharp", item, prepared.sharp, store.out))
    psf = ""
    if item.psf is not None:
        levels = np.floor(item.psf / item.psf.max() * 255 + 0.5).astype(np.uint8)
        psf = _write("psf", item, levels[..., None], store.out).file
    return Example(item.name, item.subset, tuple(layers), psf)


def _keep_restored(item: Item, restorer: Restorer, prepared: PreparedItem, store: BenchmarkStore) -> None:
    facts = store.image_facts(item, restorer)
    if store.find_image(restorer.facts.name, item, facts) is None:
        store.keep_image(restorer.facts.name, item, facts, restorer.restore(item, prepared.degraded), None)


def _keep_blur(item: Item, restorer: Restorer, prepared: PreparedItem, store: BenchmarkStore) -> str:
    """Path of a picture of the blur that a method finds; empty for methods that find none."""
    if not isinstance(restorer, NetworkRestorer) or not restorer.engine.spec.estimates or prepared.degraded is None:
        return ""
    name, facts = f"psf of {restorer.facts.name}", store.image_facts(item, restorer)
    if store.find_image(name, item, facts) is None:
        image = Image(prepared.degraded.pixels)
        blur = restorer.engine.find_blur(ArrayReader(image.pixels))  # once more, for the few that are shown
        store.keep_image(name, item, facts, values_and_picture(blur, image.size, image)[1], None)
    return image_file(name, item.name).as_posix()


def _write(name: str, item: Item, pixels: Rgb, out: Path) -> ExampleLayer:
    file = image_file(name, item.name)
    write_image(Image(pixels), out / file)
    return ExampleLayer(name, file.as_posix())

"""Run a benchmark: restore a data set, compare, remember, report.

    for every image: read it and make its input -> every method restores it -> keep, compare with the sharp one, note

Reading, restoring and comparing of different images overlap. Restored images and scores are remembered one by one: a second
run does only what has changed, and a run that was killed goes on where it stopped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import PIL.Image

from restorekit.errors import RestorekitError, UsageError
from restorekit.evaluation.baselines import baselines_for
from restorekit.evaluation.datasets import Dataset, find_dataset, find_sharp_images
from restorekit.evaluation.examples import keep_examples
from restorekit.evaluation.frames import blur_test_frames, find_test_frames
from restorekit.evaluation.methods import BaselineMethod, FolderMethod, Method, NetworkMethod, Restorer
from restorekit.evaluation.opinions import average_opinions, read_opinions
from restorekit.evaluation.preparation import prepare_item
from restorekit.evaluation.protocol import Protocol
from restorekit.evaluation.report import REPORT, write_report
from restorekit.evaluation.result import BenchmarkRequest, BenchmarkResult
from restorekit.evaluation.scoring import ImageScores, Scorer
from restorekit.evaluation.speed import SpeedMeasurement, SpeedRequest, measure_speed
from restorekit.evaluation.store import RESERVED_FOLDERS, BenchmarkStore, folder_name
from restorekit.evaluation.summary import write_results
from restorekit.evaluation.training_data import find_training_data, name_unrecorded
from restorekit.evaluation.worker import BenchmarkWorker, ItemJob, PairJob, without_scores
from restorekit.media.discover import check_apart
from restorekit.models import registry
from restorekit.runtime.executor import Executor, LocalExecutor
from restorekit.runtime.lock import working_in
from restorekit.runtime.progress import SILENT, Event, Progress, Status, Work


def run_benchmark(
    request: BenchmarkRequest,
    out: Path,
    *,
    progress: Progress = SILENT,
    executor: Executor = LocalExecutor(),
) -> BenchmarkResult:
    """Do what is not remembered, and write `results.json`, `results.csv` and `report.html`.

    Args:
        request: what to do.
        out: folder of the results; nothing is written there if the request makes no sense.
        progress: sees the parts of the run: loading, blurring where the protocol blurs, measuring, timing.
        executor: runs the images.

    Returns:
        What was found out. An image that a method cannot restore, or that cannot be measured, is a failure of that pair.

    Raises:
        UsageError: a wrong folder, nothing to compare, or a model for another task or scale.
        UnknownModel, WeightsError: see `weights.load.load_model`.
        UnwritableOutput: the results' folder, also where another run works there.
    """
    scorer = request.scorer()
    dataset = _find(request, out)
    methods = plan_methods(request, dataset)
    opinions = read_opinions(request.opinions) if request.opinions else []
    restorers = _load(methods, scorer, progress)
    messages: list[str] = []
    found = len(dataset.items)
    tested = find_test_frames(request, dataset, out) if dataset.layout == "frames" else dataset
    seen = find_training_data(request, tested, restorers)
    with working_in(out):
        if dataset.layout == "frames":
            dataset, messages = blur_test_frames(request, dataset, out, progress)
        if all(item.psf is None for item in dataset.items):
            methods = [method for method in methods if not method.needs_psf]
        store = BenchmarkStore(out, request.protocol, request.enlargement)
        plan = _plan_pairs(dataset, methods, restorers, scorer, store)
        scores = _measure(plan, BenchmarkWorker(restorers, scorer, store), executor, progress)
        averaged, strangers = average_opinions(opinions, dataset.items, [method.name for method in methods])
        speeds, untimed = _time_networks(request, dataset, methods, restorers, store, progress)
        result = BenchmarkResult(
            request,
            dataset,
            tuple(restorers[method.name].facts for method in methods),
            scores,
            skipped=sum(not known.reason for known in plan.known.values()),
            speeds=speeds,
            opinions=tuple(averaged),
            report=out / REPORT,
        )
        examples, hidden = keep_examples(result, restorers, store)
        messages += [f"{trained}: its scores say nothing about new ones." for trained in seen]
        messages += name_unrecorded(restorers)
        messages += [*_remarks(request, dataset, found), *_gaps(scores), *strangers, *untimed, *hidden]
        result = replace(result, examples=examples, messages=tuple(messages))
        write_results(result, out)
        write_report(out, request.box)
    progress.end(result)
    return result


def plan_methods(request: BenchmarkRequest, dataset: Dataset) -> list[Method]:
    """The rows of the table: baselines, folders, networks.

    Raises:
        UsageError: nothing to compare, two rows of one name, or a model for another task.
        UnknownModel: no such system.
    """
    protocol = request.protocol
    has_inputs = protocol.task == "sr" or dataset.layout == "frames" or dataset.items[0].blurred is not None
    networks = [_plan_network(text, request) for text in request.models]
    if networks and not has_inputs:
        raise UsageError("There are only sharp images, nothing that a model could restore.", "Leave out `models`.")
    folders = [FolderMethod(name, folder, protocol.center_crop) for name, folder in request.restored.items()]
    baselines: list[BaselineMethod] = []
    if request.baselines and has_inputs:
        taken = {network.name for network in networks}  # bicubic is a system too
        baselines = [BaselineMethod(known) for known in baselines_for(protocol) if known.name not in taken]
    methods: list[Method] = [*baselines, *folders, *networks]
    if not methods:
        raise UsageError("There is nothing to compare.", "Give `models` or `restored`, or leave the baselines in.")
    # Some file systems do not tell capital letters from small ones.
    folder_names = [*RESERVED_FOLDERS, *(folder_name(method.name).casefold() for method in methods)]
    for method in methods:
        if folder_names.count(folder_name(method.name).casefold()) > 1:
            raise UsageError(f"Two methods have the same name, '{method.name}'.", "Give one of them another.")
    return methods


def _plan_network(text: str, request: BenchmarkRequest) -> NetworkMethod:
    label, _, rest = text.partition("=")
    if not rest or ":" in label:  # a file's name may have the sign too
        label, rest = "", text
    name, _, weights = rest.partition(":")
    task, protocol = registry.spec_of(name).task, request.protocol
    if task != protocol.task:
        raise UsageError(f"{name} is for {task}, {protocol.name} for {protocol.task}.", "Choose another model.")
    scale = request.scale if task == "sr" else None
    return NetworkMethod(name, weights or "auto", scale, request.settings, label)


def _find(request: BenchmarkRequest, out: Path) -> Dataset:
    check_apart([request.data], [out])
    if request.sharp_only:
        return find_sharp_images(request.data, out)
    return find_dataset(request.protocol.layout, request.data, out)


def _load(methods: Sequence[Method], scorer: Scorer, progress: Progress) -> dict[str, Restorer]:
    """Every method ready to restore, and the metrics ready to measure."""
    progress.begin(Work(len(methods), len(methods), "methods", "Loading"))
    scorer.load()
    restorers = {}
    for method in methods:
        restorers[method.name] = method.load()
        progress.step(Event(method.name, 1, 1))
    return restorers


@dataclass(frozen=True)
class _PairPlan:
    """Every pair of an image and a method."""

    order: list[tuple[str, str]]
    """Item and method."""
    known: dict[tuple[str, str], ImageScores]
    """Remembered, or impossible to measure."""
    jobs: list[ItemJob]
    """The others."""


def _plan_pairs(
    dataset: Dataset,
    methods: Sequence[Method],
    restorers: Mapping[str, Restorer],
    scorer: Scorer,
    store: BenchmarkStore,
) -> _PairPlan:
    """Look up what is remembered."""
    plan = _PairPlan([], {}, [])
    for item in dataset.items:
        missing = []
        for method in methods:
            if method.needs_psf and item.psf is None:
                continue
            key = item.name, method.name
            plan.order.append(key)
            try:
                image_facts = store.image_facts(item, restorers[method.name])
                score_facts = store.score_facts(item, image_facts, scorer)
            except OSError as error:
                plan.known[key] = without_scores(item, method.name, error)
                continue
            if (scores := store.find_scores(method.name, item, score_facts, scorer)) is not None:
                plan.known[key] = scores
            else:
                missing.append(PairJob(method.name, image_facts, score_facts))
        if missing:
            plan.jobs.append(ItemJob(item, tuple(missing)))
    return plan


def _measure(
    plan: _PairPlan, worker: BenchmarkWorker, executor: Executor, progress: Progress
) -> tuple[ImageScores, ...]:
    """All scores, in the order of the plan."""
    missing = len(plan.order) - len(plan.known)
    progress.begin(Work(len(plan.order), missing, "scores", "Measuring"))
    known = dict(plan.known)
    for scores in known.values():
        status: Status = "failed" if scores.reason else "skipped"
        progress.step(Event(f"{scores.item}, {scores.method}", 1, 0, status, scores))
    for measured in executor.run(plan.jobs, worker):
        for scores in measured:
            known[scores.item, scores.method] = scores
            status = "failed" if scores.reason else "done"
            progress.step(Event(f"{scores.item}, {scores.method}", 1, 1, status, scores))
    return tuple(known[key] for key in plan.order)


def _time_networks(
    request: BenchmarkRequest,
    dataset: Dataset,
    methods: Sequence[Method],
    restorers: Mapping[str, Restorer],
    store: BenchmarkStore,
    progress: Progress,
) -> tuple[dict[str, SpeedMeasurement], list[str]]:
    """Speeds by method on an input of the size in the middle of the data set, and messages about what failed."""
    networks = [method for method in methods if isinstance(method, NetworkMethod)]
    if not networks or not request.repeats:
        return {}, []
    try:
        middle = prepare_item(dataset.items[len(dataset.items) // 2], request.protocol, request.enlargement)
    except RestorekitError as error:
        return {}, [f"Speeds could not be measured: {error}"]
    assert middle.degraded is not None  # networks are only planned where there are inputs
    size = middle.degraded.pixels.shape[:2]
    progress.begin(Work(len(networks), len(networks), "networks", "Timing"))
    speeds, messages = {}, []
    psf = next((item.psf for item in dataset.items if item.psf is not None), None)
    for network in networks:
        side = len(psf) if network.needs_psf and psf is not None else 0
        timed = SpeedRequest(
            network.model, network.weights, network.scale, network.settings, size, request.repeats, side
        )
        identity = restorers[network.name].identity
        speed = store.find_speed(network.name, timed, identity)
        if speed is None:
            try:
                speed = measure_speed(timed)
            except RestorekitError as error:
                messages.append(str(error))
            else:
                store.record_speed(network.name, timed, identity, speed)
        if speed is not None:
            speeds[network.name] = speed
        progress.step(Event(network.name, 1, 1))
    return speeds, messages


def _remarks(request: BenchmarkRequest, dataset: Dataset, frames: int) -> list[str]:
    """What keeps the published rows from being compared. `frames` counts what the folder holds, tested or not."""
    protocol, remarks = request.protocol, []
    expected, count = protocol.expected, len(dataset.items)
    if expected and count != expected:
        remarks.append(f"The paper's test set has {expected} images; these are {count}.")
    if dataset.layout == "frames" and protocol.split and protocol.split_of(frames) != protocol.split:
        parts = " and ".join(f"{number} for {part}" for part, number in protocol.split.items())
        remarks.append(f"The paper splits its frames into {parts}; these are {frames} in all, too few for both.")
    if dataset.layout == "frames":
        remarks += _odd_sizes(protocol, dataset)
    if dataset.layout != protocol.layout and protocol.layout != "pairs":
        remarks.append(f"This is any folder of pairs, not the set of {protocol.name}: published rows do not compare.")
    elif protocol.other_data:
        remarks.append("The published rows are of other images and do not compare.")
    return remarks


def _odd_sizes(protocol: Protocol, dataset: Dataset) -> list[str]:
    """Frames of another size than the paper's: a blur of as many pixels is another problem there."""
    if protocol.frame_size is None:
        return []
    sizes = []
    for item in dataset.items:
        with PIL.Image.open(item.sharp[0]) as image:  # reads the head alone
            sizes.append(image.size)
    odd = [size for size in sizes if size != protocol.frame_size]
    if not odd:
        return []
    (width, height), (wide, high) = protocol.frame_size, odd[0]
    return [
        f"The paper's frames have {width}x{height} px; {len(odd)} of these {len(sizes)} have not, e.g. {wide}x{high}."
    ]


def _gaps(scores: Sequence[ImageScores]) -> list[str]:
    """Metrics that say nothing about some images."""
    reasons = {name: reason for pair in scores for name, reason in pair.left_out.items()}
    return [f"{name} is left empty for some images: {reason}" for name, reason in reasons.items()]

"""Find a system by its name and import only its file.

A system is one file in a task's folder (`models/deblur/gggan_lite.py` is `gggan-lite`). It holds

    spec: Spec                      facts about the default configuration
    Config                          a frozen dataclass of the sizes that rebuild the network (see `models.config`)
    build(config: Config) -> nn.Module
    describe(config) -> Spec        optional: facts about other configurations, but for their cost, which is measured
    recipe: dict                    optional: settings of its training by their source (see `training.sources`)
    ablations: dict[str, Ablation]  optional: variants that the paper compares the system with, by name
    from_upstream(state)            optional: recognises tensors published elsewhere by their names and shapes; gives the
                                    options of Config and the tensors under our names, or None if they are not its own

Nothing else needs an edit when a file is added, and no system's file imports another's. What several systems share is in
`layers`, `upsampling`, `gradient_guidance`, `networks/` and `backbones/`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Protocol, cast, get_args

from restorekit.errors import RestorekitError, UnknownModel, UsageError
from restorekit.models.config import check_options, parse_options
from restorekit.models.spec import Ablation, Spec, Task

if TYPE_CHECKING:
    from torch import Tensor, nn

    from restorekit.models.cost import Cost


class System(Protocol):
    """The three names every system's file defines."""

    spec: Spec
    Config: type

    def build(self, config: object) -> nn.Module:
        """Make the network with freshly initialised weights."""
        ...


@dataclass(frozen=True)
class Broken:
    """A system whose file cannot be used, and why."""

    name: str
    reason: str


@cache
def _modules() -> dict[str, str]:
    """Name to module path of every system, by listing the folders; no system is imported."""
    folders = [import_module(f"restorekit.models.{task}") for task in get_args(Task)]
    return {
        module.name.replace("_", "-"): f"{folder.__name__}.{module.name}"
        for folder in folders
        for module in sorted(iter_modules(folder.__path__), key=lambda module: module.name)
    }


def names() -> tuple[str, ...]:
    """Names of all systems, in the order of their folders."""
    return tuple(_modules())


def resolve(name: str) -> str:
    """The registered spelling of a name: ``GGGAN_Lite`` is ``gggan-lite``.

    Raises:
        UnknownModel: there is no such system; the message names close ones.
    """
    plain = name.strip().lower().replace("_", "-").replace(" ", "-")
    if plain in _modules():
        return plain
    near = get_close_matches(plain, names(), n=3)
    guess = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UnknownModel(f"There is no model called '{name}'.", f"{guess}`restorekit models` lists all.")


def find(name: str) -> System:
    """Import the one file that holds a system. The others are not touched, so none of them can break it.

    Raises:
        UnknownModel: there is no such system.
    """
    return cast(System, import_module(_modules()[resolve(name)]))


def spec_of(name: str) -> Spec:
    """Facts about one system in its default configuration.

    Raises:
        UnknownModel: no such system.
        RestorekitError: the system contradicts its file's name.
    """
    spec = find(name).spec
    if spec.name != resolve(name):
        raise RestorekitError(f"The file of '{resolve(name)}' calls itself '{spec.name}'.", "Rename one of them.")
    return spec


def survey() -> tuple[Spec | Broken, ...]:
    """Facts about every system; one that cannot be used is there as `Broken` and disturbs no other."""
    return tuple(_spec_or_reason(name) for name in names())


def _spec_or_reason(name: str) -> Spec | Broken:
    try:
        return spec_of(name)
    except Exception as error:  # whatever a broken file throws at import belongs in the table, not in a traceback
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":  # all need it; no file is to blame
            raise
        return Broken(name, f"{type(error).__name__}: {error}")


def list_models(task: Task | None = None) -> tuple[Spec, ...]:
    """Facts about all systems that can be used, with a warning about each that cannot.

    Args:
        task: only those for "deblur" or for "sr".
    """
    specs: list[Spec] = []
    for system in survey():
        if isinstance(system, Broken):
            warnings.warn(f"The system '{system.name}' cannot be used: {system.reason}", stacklevel=2)
        elif task in (None, system.task):
            specs.append(system)
    return tuple(specs)


def parse_config(name: str, entries: Sequence[str]) -> dict[str, object]:
    """Read options of a system as the command line takes them, for `configure`, `build` and `load_model`.

    Args:
        name: a system's name, e.g. ``"gggan"``.
        entries: ``KEY=VALUE`` each: ``taps=5,10``, ``dropout=0.1``, ``block=rrdb``, ``trunk=no``.

    Raises:
        UnknownModel: no such system.
        UsageError: it has no such option, or the value is not of the option's type.
    """
    name = resolve(name)
    return parse_options(name, find(name).Config, entries) if entries else {}


def ablations(name: str) -> Mapping[str, Ablation]:
    """Variants that a system's paper compares it with, by name.

    Raises:
        UnknownModel: no such system.
    """
    declared: Mapping[str, Ablation] = getattr(find(name), "ablations", {})
    return declared


def find_ablation(name: str, ablation: str) -> Ablation:
    """One variant that a system's paper compares it with.

    Raises:
        UnknownModel: no such system.
        UsageError: its file declares no such variant.
    """
    known = ablations(name)
    if ablation not in known:
        hint = f"It has {', '.join(known)}." if known else "It has none."
        raise UsageError(f"{resolve(name)} has no ablation '{ablation}'.", hint)
    return known[ablation]


def configure(name: str, /, **options: object) -> tuple[object, Spec]:
    """The configuration of a system, checked, and the facts that hold for it.

    Args:
        name: a system's name, e.g. ``"gggan-lite"``.
        options: sizes that differ from the defaults; the system's `Config` lists them.

    Raises:
        UnknownModel: no such system.
        UsageError: the system has no such option, or there is no network of these sizes.
    """
    config, spec = outline(name, **options)
    if config == (default := find(name).Config()):
        return config, spec
    cost, usual = _cost(resolve(name), config), _cost(resolve(name), default)
    memory = math.ceil(spec.bytes_per_pixel * cost.widest / usual.widest)
    spec = replace(spec, parameters=cost.parameters, macs_per_pixel=cost.macs_per_pixel, bytes_per_pixel=memory)
    return config, spec


def outline(name: str, /, **options: object) -> tuple[object, Spec]:
    """As `configure`, but what a network costs is not counted: it is the default configuration's. Nothing is built.

    Args:
        name: see `configure`.
        options: see `configure`.

    Raises:
        UnknownModel: no such system.
        UsageError: the system has no such option, or there is no network of these sizes.
    """
    system = find(name)
    config = system.Config(**check_options(resolve(name), system.Config, options))
    return config, system.describe(config) if hasattr(system, "describe") else system.spec


@cache
def _cost(name: str, config: object) -> Cost:
    """The cost of one configuration; `name` is a resolved one."""
    import torch

    from restorekit.models.cost import measure_cost

    with torch.device("meta"):
        return measure_cost(find(name).build(config))


def build(name: str, /, **options: object) -> nn.Module:
    """Make an untrained network.

    Args:
        name: a system's name, e.g. ``"gggan-lite"``.
        options: sizes that differ from the defaults; the system's `Config` lists them.

    Raises:
        UnknownModel: no such system.
        UsageError: the system has no such option, or there is no network of these sizes.
    """
    return find(name).build(outline(name, **options)[0])


def from_upstream(name: str, state: dict[str, Tensor]) -> tuple[dict[str, object], dict[str, Tensor]] | None:
    """Recognise weights that were published elsewhere.

    Args:
        name: a system.
        state: tensors by the names they were published under.

    Returns:
        Options for `build` and the tensors by our names; None if the system does not know them as its own.

    Raises:
        UnknownModel: no such system.
    """
    convert = getattr(find(name), "from_upstream", None)
    return convert(state) if convert else None

"""Find a system by its name and import only its file.

A system is one file in a task's folder (`models/deblur/gggan_lite.py` is `gggan-lite`). It holds

    spec: Spec                      facts about the default configuration
    Config                          a frozen dataclass of the sizes that rebuild the network
    build(config: Config) -> nn.Module
    describe(config) -> Spec        optional: facts about other configurations, where tiles or scale depend on them
    recipe: dict                    optional: what the paper prints of its training, as fields of `training.Recipe`
    from_upstream(state)            optional: recognises tensors published elsewhere by their names and shapes; gives the
                                    options of Config and the tensors under our names, or None if they are not its own

Nothing else needs an edit when a file is added.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast, get_args

from torch import Tensor, nn

from restorekit.errors import RestorekitError, UnknownModel, UsageError
from restorekit.models.spec import Spec, Task


class System(Protocol):
    """The three names every system's file defines."""

    spec: Spec
    Config: type

    def build(self, config: object) -> nn.Module:
        """Make the network with freshly initialised weights."""
        ...


@dataclass(frozen=True)
class Broken:
    """A system whose file cannot be imported, and why."""

    name: str
    reason: str


@cache
def _modules() -> dict[str, str]:
    """Name to module path of every system, found by listing the folders (nothing is imported)."""
    here = Path(__file__).parent
    return {
        file.stem.replace("_", "-"): f"restorekit.models.{folder.name}.{file.stem}"
        for folder in (here / task for task in get_args(Task))
        for file in sorted(folder.glob("*.py"))
        if not file.stem.startswith("_")
    }


def names() -> tuple[str, ...]:
    """Names of all systems, in the order of their folders."""
    return tuple(_modules())


def find(name: str) -> System:
    """Import the one file that holds `name`. The others are not touched, so none of them can break it.

    Raises:
        UnknownModel: there is no such system; the message names close ones.
    """
    try:
        return cast(System, import_module(_modules()[name]))
    except KeyError:
        near = get_close_matches(name, names(), n=3) or list(names())
        raise UnknownModel(f"There is no model called '{name}'.", f"Did you mean {', '.join(near)}?") from None


def specs() -> Iterator[Spec | Broken]:
    """Spec of every system; a file that cannot be imported yields `Broken` and disturbs no other."""
    for name in names():
        try:
            yield find(name).spec
        except Exception as error:  # whatever a broken file throws at import belongs in the table, not in a traceback
            yield Broken(name, f"{type(error).__name__}: {error}")


def configure(name: str, **config: object) -> tuple[object, Spec]:
    """The configuration of a system, checked, and the facts that hold for it.

    Args:
        name: a system's name, e.g. ``"gggan-lite"``.
        config: sizes that differ from the defaults; the system's `Config` lists them.

    Raises:
        UnknownModel: no such system.
        UsageError: the system has no such option.
    """
    system = find(name)
    try:
        chosen = system.Config(**config)
    except TypeError as error:
        raise UsageError(f"{name} does not take these options: {error}.") from None
    describe = getattr(system, "describe", lambda config: system.spec)
    return chosen, describe(chosen)


def build(name: str, **config: object) -> nn.Module:
    """Make an untrained network.

    Args:
        name: a system's name, e.g. ``"gggan-lite"``.
        config: sizes that differ from the defaults; the system's `Config` lists them.

    Raises:
        UnknownModel: no such system.
        UsageError: the system has no such option.
    """
    return find(name).build(configure(name, **config)[0])


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


def spec_of(name: str) -> Spec:
    """Facts about one system.

    Raises:
        UnknownModel: no such system.
        RestorekitError: the system contradicts its file's name.
    """
    spec = find(name).spec
    if spec.name != name:
        raise RestorekitError(f"The file of '{name}' calls itself '{spec.name}'.", "Rename one of them.")
    return spec

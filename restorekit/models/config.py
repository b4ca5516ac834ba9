"""Options of a system: the types its `Config` is made of, and values that become one of those types.

A system's `Config` is a frozen dataclass. Its annotations are the only place that tells what a field may be; they are
checked by pydantic. What concerns several fields at once is checked by `__post_init__`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import pydantic

from restorekit.errors import UsageError

LARGEST = 4096  # far beyond every published network; a slip of the keyboard must not ask for terabytes

Count = Annotated[int, pydantic.Field(ge=1, le=LARGEST)]
"""Maps, layers, blocks."""
Halvable = Annotated[int, pydantic.Field(ge=2, le=LARGEST)]
"""Maps of which some layers have half as many."""
Scale = Annotated[int, pydantic.Field(ge=1, le=64)]
"""Output pixels for one input pixel, where one step makes any scale."""
Dropout = Annotated[float, pydantic.Field(ge=0, lt=1)]
"""Share of values that are dropped in training."""
Counts = Annotated[tuple[Count, ...], pydantic.Field(min_length=1)]
"""At least one count."""


def check_options(name: str, config: type, options: Mapping[str, object]) -> dict[str, object]:
    """Convert options to the types that a system's `Config` declares.

    Args:
        name: the system, for messages.
        config: its `Config`.
        options: values by the names of fields; texts as on the command line are understood too.

    Raises:
        UsageError: there is no such field, or the value is not of its type.
    """
    types = get_type_hints(config, include_extras=True)
    known: dict[str, Field[Any]] = {field.name: field for field in fields(config)}
    checked: dict[str, object] = {}
    for key, value in options.items():
        if key not in known:
            raise UsageError(f"{name} has no option '{key}'.", f"Its options are {', '.join(known)}.")
        try:
            checked[key] = pydantic.TypeAdapter(types[key]).validate_python(value)
        except pydantic.ValidationError as error:
            raise UsageError(
                f"{name} does not take {key}={format_value(value)}: {_reason(error, types[key])}.",
                f"The default is {key}={format_value(known[key].default)}.",
            ) from None
    return checked


def parse_options(name: str, config: type, entries: Iterable[str]) -> dict[str, object]:
    """Read options from texts.

    Args:
        name: the system, for messages.
        config: its `Config`.
        entries: ``KEY=VALUE``, e.g. ``"taps=5,10"``, ``"dropout=0.1"``, ``"block=rrdb"``, ``"trunk=no"``.

    Raises:
        UsageError: an entry is not like that, or `check_options` refuses it.
    """
    types = get_type_hints(config, include_extras=True)
    options: dict[str, object] = {}
    for entry in entries:
        key, _, text = (part.strip() for part in entry.partition("="))
        if not (key and text):
            raise UsageError(f"'{entry}' is not KEY=VALUE.", f"Write it like {next(iter(types))}=VALUE.")
        options[key] = _split(text, types[key]) if key in types else text
    return check_options(name, config, options)


def _split(text: str, annotation: object) -> object:
    """What pydantic can read as the annotated type: lists have commas, choices may be numbers."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) is tuple:
        return tuple(text.split(","))
    if get_origin(annotation) is Literal:
        return {str(choice): choice for choice in get_args(annotation)}.get(text, text)
    return text


def _reason(error: pydantic.ValidationError, annotation: object) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "missing":  # of a tuple with a fixed length
        return f"it needs {len(get_args(annotation))} values"
    return first["msg"][0].lower() + first["msg"][1:]


def format_value(value: object) -> str:
    """An option's value as the command line takes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

"""Options of systems: one grammar, and no value that ends in an error of torch."""

from collections.abc import Mapping
from dataclasses import fields

import pytest
import torch
from helpers import SMALL
from hypothesis import given, settings
from hypothesis import strategies as st

from restorekit.errors import UsageError
from restorekit.models import registry

FIELDS = [(name, field.name) for name in registry.names() for field in fields(registry.find(name).Config)]
NUMBERS = (0, -3, 1, 2, 3, 7, 10**6, 10**30, 0.5, 1.0, float("nan"))
VALUES = (*NUMBERS, "", "abc", None, object(), (), (0,), (1, 1), (9, 9), ("x",))
"""What somebody may give for a size, a switch, a choice or a list; some of it fits some fields."""


SHORT = {"deblurgan": {"blocks": 1}, "dn": {"layers": 1}, "msdn": {"layers": 1}}
"""Fewer layers than `SMALL`, where many make the test slow."""


def runs_or_is_refused(name: str, options: Mapping[str, object]) -> bool:
    """Whether a network of these options can be built and run; anything but success and UsageError passes through."""
    try:
        _, spec = registry.configure(name, **options)
    except UsageError:
        return False
    side = 128 if name == "deblurgan-v2-inception" else max(32, spec.size_multiple)
    with torch.device("meta"), torch.no_grad():
        model = registry.build(name, **options).eval()
        restored = model(torch.empty(1, 3, side, side))
    assert restored.shape == (1, 3, spec.scale * side, spec.scale * side)
    return True


@pytest.mark.slow
@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_every_value_of_every_option_makes_a_network_or_a_usage_error(name: str, field: str) -> None:
    accepted = [
        runs_or_is_refused(name, SMALL.get(name, {}) | SHORT.get(name, {}) | {field: value}) for value in VALUES
    ]
    assert not all(accepted)


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=150)
def test_any_options_together_make_a_network_or_a_usage_error(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(registry.names()))
    small = st.integers(1, 6)
    value = small | st.booleans() | st.lists(small, max_size=5).map(tuple) | st.sampled_from(("rrdb", "port", "none"))
    keys = [field for system, field in FIELDS if system == name]
    runs_or_is_refused(name, SMALL.get(name, {}) | data.draw(st.dictionaries(st.sampled_from(keys), value)))


@pytest.mark.parametrize(
    ("name", "entry", "options"),
    [
        ("gggan", "channels=32", {"channels": 32}),
        ("gggan", "taps=5,10", {"taps": (5, 10)}),
        ("gggan", "taps = 5, 10", {"taps": (5, 10)}),
        ("gggan", "taps=5", {"taps": (5,)}),
        ("dgf", "dilations=1,3,1", {"dilations": (1, 3, 1)}),
        ("gggan", "block=rrdb", {"block": "rrdb"}),
        *(("gggan", f"trunk={word}", {"trunk": True}) for word in ("yes", "true", "True", "1", "on")),
        *(("gggan", f"trunk={word}", {"trunk": False}) for word in ("no", "false", "0", "off")),
        ("deblurgan", "dropout=0.1", {"dropout": 0.1}),
        ("noroozi", "widths=8,8,16", {"widths": (8, 8, 16)}),
        ("srcnn", "middle=3", {"middle": 3}),
        ("bicubic", "variant=cubic-opencv", {"variant": "cubic-opencv"}),
        ("GGGAN_Lite", "blocks=7", {"blocks": 7}),
    ],
)
def test_an_option_is_read_as_what_the_system_declares(name: str, entry: str, options: dict[str, object]) -> None:
    parsed = registry.parse_config(name, [entry])
    assert parsed == options
    assert [type(value) for value in parsed.values()] == [type(value) for value in options.values()]


def test_several_options_are_read_and_the_last_of_a_name_counts() -> None:
    parsed = registry.parse_config("gggan", ["channels=8", "trunk=no", "channels=16"])
    assert parsed == {"channels": 16, "trunk": False}
    assert registry.parse_config("gggan", []) == {}


@pytest.mark.parametrize(
    ("name", "entry", "message"),
    [
        ("gggan", "wings=2", "gggan has no option 'wings'. Its options are channels, modules, taps, prenet, "),
        ("gggan", "channels", "'channels' is not KEY=VALUE"),
        ("gggan", "=3", "'=3' is not KEY=VALUE"),
        ("gggan", "channels=", "'channels=' is not KEY=VALUE"),
        ("gggan", "channels=0", "channels=0: input should be greater than or equal to 2. The default is channels=64."),
        ("gggan", "channels=1.5", "channels=1.5: input should be a valid integer"),
        ("gggan", "block=unet", "block=unet: input should be 'res2net' or 'rrdb'"),
        ("gggan", "trunk=maybe", "trunk=maybe: input should be a valid boolean"),
        ("gggan", "taps=3,x", "taps=3,x: input should be a valid integer"),
        ("noroozi", "widths=8,8", "widths=8,8: it needs 3 values. The default is widths=128,96,64."),
        ("noroozi", "widths=8,8,8,8", "widths=8,8,8,8: tuple should have at most 3 items"),
        ("deblurgan", "dropout=1", "dropout=1: input should be less than 1"),
        ("srresnet", "scale=7", "scale=7: input should be 2, 3, 4 or 8"),
        ("vdsr", "layers=1", "layers=1: input should be greater than or equal to 2"),
    ],
)
def test_a_wrong_option_is_refused_with_its_name_and_what_it_may_be(name: str, entry: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        registry.parse_config(name, [entry])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("gggan", {"taps": (5, 24)}, "taps=5,24 do not fit modules=23"),
        ("gggan", {"taps": (10, 5)}, "taps=10,5 do not fit"),
        ("gggan", {"modules": 10}, "taps=5,10,15,20 do not fit modules=10"),
        ("gggan-lite", {"taps": (3, 3)}, "taps=3,3 do not fit blocks=6"),
        ("spsr", {"blocks": 19}, "taps=5,10,15,20 do not fit blocks=19"),
        ("spsr-deblur", {"taps": (24,)}, "taps=24 do not fit blocks=23"),
        ("esrgan", {"scale": 3}, "doublings=2 do not make scale=3"),
        ("gggan", {"channels": 0}, "channels=0: input should be greater than or equal to 2"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused_before_anything_is_built(
    name: str, options: dict[str, object], message: str
) -> None:
    for make in (registry.configure, registry.build):
        with pytest.raises(UsageError) as error:
            make(name, **options)
        assert message in str(error.value)


def test_taps_do_not_matter_without_a_gradient_branch() -> None:
    assert runs_or_is_refused("gggan", {"modules": 2, "channels": 4, "gradient_branch": False})


def test_sizes_as_json_stores_them_are_understood() -> None:
    config, _ = registry.configure("gggan", taps=[1, 2], modules=2.0, trunk=1)
    assert config == registry.find("gggan").Config(taps=(1, 2), modules=2, trunk=True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"prenet": "none", "trunk": False}, "nothing is left"),
        ({"prenet_widths": (8, 8)}, "prenet_widths=8,8 do not fit prenet=cells"),
        ({"prenet": "pixels", "prenet_widths": (2,) * 7}, "do not fit prenet=pixels"),
    ],
)
def test_a_gggan_of_no_or_wrong_parts_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        registry.configure("gggan", **options)

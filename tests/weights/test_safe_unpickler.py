"""The machine that reads pickles, against Python's own where that is harmless, and what it declines to do."""

import collections
import io
import pickle
import tracemalloc
from typing import Any

import pytest

from restorekit.weights import safe_unpickler
from restorekit.weights.safe_unpickler import Budget, Record

SHARED = [1, "x"]
PLAIN: dict[str, Any] = {
    "numbers": [0, 1, -1, 255, 256, 65536, -(2**31), 2**40, 2**100, 0.5, float("-inf"), True, False, None],
    "texts": ["", "a", "ü" * 300, "x" * 70_000, b"", b"bytes", b"y" * 300],
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "lists": [[], [1], list(range(2000))],
    "dicts": [{}, {"a": 1}, {1: 2, -(2**62): 3}, dict.fromkeys(map(str, range(2000)))],
    "shared": [SHARED, SHARED, (SHARED, SHARED)],
}


def read(pickled: bytes) -> Any:
    return safe_unpickler.load(io.BytesIO(pickled), lambda reference: reference, Budget())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_those_that_were_pickled(protocol: int) -> None:
    plain = {**PLAIN, "texts": [text for text in PLAIN["texts"] if protocol > 2 or isinstance(text, str)]}
    content = read(pickle.dumps(plain, protocol))
    assert content == plain
    assert content["shared"][0] is content["shared"][2][1]
    ordered = collections.OrderedDict(a=1, b=[2])
    assert read(pickle.dumps(ordered, protocol)) == {"a": 1, "b": [2]}


def test_items_of_an_ordered_dict_may_be_the_argument_of_its_class() -> None:
    # what Python 2 wrote
    assert read(b"ccollections\nOrderedDict\n((lp0\n(lp1\nS'a'\naI1\naa(lp2\nS'b'\naI2\naatR.") == {"a": 1, "b": 2}


def test_sets_are_lists() -> None:
    assert sorted(read(pickle.dumps({"b", "a"}, 4))) == ["a", "b"]
    assert read(pickle.dumps(frozenset([(1, 2)]), 4)) == ((1, 2),)


class Part:
    def __init__(self, size: int) -> None:
        self.size = size


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_objects_are_records_with_their_class_and_attributes(protocol: int) -> None:
    record = read(pickle.dumps(Part(3), protocol))
    assert isinstance(record, Record)
    assert record.state == {"size": 3}
    made_by = [record.name, *(arg.name for arg in record.args if isinstance(arg, Record))]
    assert any(name.endswith(".Part") for name in made_by)
    call = read(b"cos\nsystem\n(S'true'\ntR.")
    assert (call.name, call.args) == ("os.system", ("true",))


def test_keys_whose_hash_may_take_for_ever_are_left_out() -> None:
    nested: Any = ()
    for _ in range(20):  # 60 would keep hash() busy for a million years
        nested = (nested, nested)
    pairs = pickle.dumps(nested, 2)[:-1]  # leaves the nest on the stack
    for pickled in (b"}" + pairs + b"K\x01sS'a'\nK\x02s.", b"(" + pairs + b"K\x01S'a'\nK\x02d."):
        assert read(pickled) == {"a": 2}
    assert read(b"}L" + b"9" * 4000 + b"L\nK\x01s.") == {}
    assert read(b"(" + pairs + b"\x91.") != ()  # a frozen set


def test_a_value_kept_under_a_huge_number_takes_no_room() -> None:
    tracemalloc.start()
    assert read(b"K\x07r" + (2**31).to_bytes(4, "little") + b"0j" + (2**31).to_bytes(4, "little") + b".") == 7
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**5


PAIRS = b"]q\x00(" + b"U\x01aK\x01\x86" * 1000 + b"e0"
"""A list of a thousand pairs, kept as number 0."""
LONG_NAME = b"X" + (600).to_bytes(4, "little") + b"n" * 600


@pytest.mark.parametrize(
    ("pickled", "reason"),
    [
        (b"N0" * 300_000 + b"N.", "more instructions"),
        (PAIRS + b"ccollections\nOrderedDict\nh\x00\x85R0" * 600 + b"N.", "more instructions"),
        (LONG_NAME + LONG_NAME + b"\x93.", "a name without end"),
        (b"\x80\x02\x82\x01.", "that no weights need"),
        (b"(S'f'\n(tR.", "no name"),
        (b"cos\nsystem\nS'true'\nR.", "no name"),
        (b"K\x01\x86.", "without its values"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x00x", "expected"),  # bytes of a length beyond the file
        (b"]", "exhausted"),
    ],
)
def test_what_no_weights_need_is_refused(pickled: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read(pickled)

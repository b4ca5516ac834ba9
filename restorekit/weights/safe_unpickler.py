"""Read pickles of any content without importing or calling anything that they name.

A pickle is a program for a machine with a stack: it names functions and has them called. `pickletools` decodes its
instructions, and `_Machine` carries them out with one difference: a name stays a name, and a call is recorded as a
`Record` and not made. So a file that holds a whole module, optimiser states or an attack can be read, and what is no plain
value stays a record.

Every instruction takes about the same time and memory. Python's own unpickler takes much more for some: it makes room for
the highest number under which a value is kept for later, and hashes nested pairs, used as a key, without end.
"""

import pickletools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO, Any

MAX_INSTRUCTIONS = 300_000
"""Of weights: about half a second; the largest known file, with its optimiser, has about 100,000."""
MAX_NAME = 1000
"""Characters in the name of a class or its module."""


@dataclass(eq=False)
class Record:
    """A class or function that the pickle names, or what stands for the result of calling it."""

    name: str
    """Module and name as the pickle spells them."""
    args: tuple[object, ...] = ()
    """Of the call."""
    state: object = None
    """The object's attributes, usually a dict; None if none were set."""


class Budget:
    """Instructions that may still be carried out, of one pickle or of all in a file."""

    def __init__(self, most: int = MAX_INSTRUCTIONS) -> None:
        self.left = most

    def spend(self, steps: int) -> None:
        """Take some.

        Raises:
            ValueError: there are not so many left.
        """
        self.left -= steps
        if self.left < 0:
            raise ValueError("more instructions than such a file needs")


def load(stream: IO[bytes], persistent_load: Callable[[object], object], budget: Budget) -> object:
    """Read one pickle and leave the stream behind it.

    Args:
        stream: bytes.
        persistent_load: gives the value of a reference to something outside the pickle.
        budget: of instructions; what the pickle takes is missing from it afterwards.

    Returns:
        Plain containers, numbers and texts, and a `Record` for everything else. Sets are lists. Dicts have only those of
        their entries whose key is a text or a number of 64 bits.

    Raises:
        Exception: of any kind; a crafted pickle can make the machine fail anywhere.
    """
    machine = _Machine(persistent_load, budget)
    for opcode, argument, _ in pickletools.genops(stream):
        budget.spend(1)
        machine.run(opcode.name, argument)
    return machine.stack.pop()


class _Machine:
    def __init__(self, persistent_load: Callable[[object], object], budget: Budget) -> None:
        self.persistent_load, self.budget = persistent_load, budget
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stack at every open mark
        self.memo: dict[int, Any] = {}

    def run(self, name: str, argument: Any) -> None:
        """Carry out one instruction; what it does is told by `pickletools.opcodes`."""
        stack = self.stack
        match name:
            case "GET" | "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "MARK":
                self.below.append(stack)
                self.stack = []
            case "NONE":
                stack.append(None)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(name == "NEWTRUE")
            case "EMPTY_LIST" | "EMPTY_SET":
                stack.append([])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self.pop(int(name[-1]))))
            case "TUPLE" | "FROZENSET":
                self.push_over_mark(tuple)
            case "LIST":
                self.push_over_mark(list)
            case "DICT":
                self.push_over_mark(_as_dict)
            case "APPEND":
                self.add(self.pop(1))
            case "APPENDS" | "ADDITEMS":
                self.add(self.pop_to_mark())
            case "SETITEM":
                self.set_items(self.pop(2))
            case "SETITEMS":
                self.set_items(self.pop_to_mark())
            case "GLOBAL":
                stack.append(Record(argument.replace(" ", ".")))
            case "STACK_GLOBAL":
                module, qualified = self.pop(2)
                if not len(module) + len(qualified) < MAX_NAME:  # two long texts can be joined again and again
                    raise ValueError("a name without end")
                stack.append(Record(f"{module:s}.{qualified:s}"))
            case "REDUCE" | "NEWOBJ":
                self.call(*self.pop(2))
            case "NEWOBJ_EX":
                function, args, _ = self.pop(3)
                self.call(function, args)
            case "INST":
                self.call(Record(argument.replace(" ", ".")), tuple(self.pop_to_mark()))
            case "OBJ":
                function, *args = self.pop_to_mark()
                self.call(function, tuple(args))
            case "BUILD":
                (state,) = self.pop(1)
                if isinstance(self.stack[-1], Record):  # plain values have no attributes that matter
                    self.stack[-1].state = state
            case "PERSID":
                stack.append(self.persistent_load(argument))
            case "BINPERSID":
                stack.append(self.persistent_load(*self.pop(1)))
            case "DUP":
                stack.append(stack[-1])
            case "POP":
                self.pop(1) if stack else self.pop_to_mark()
            case "POP_MARK":
                self.pop_to_mark()
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "EXT1" | "EXT2" | "EXT4" | "NEXT_BUFFER" | "READONLY_BUFFER":
                raise ValueError("an instruction that no weights need")
            case _:  # a number or a text
                stack.append(argument)

    def pop(self, count: int) -> list[Any]:
        """The values on top, the topmost last."""
        if len(self.stack) < count:
            raise ValueError("an instruction without its values")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def pop_to_mark(self) -> list[Any]:
        """All values since the last mark."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def push_over_mark(self, make: Callable[[list[Any]], object]) -> None:
        """Replace all values since the last mark by what they make."""
        made = make(self.pop_to_mark())
        self.stack.append(made)

    def add(self, items: list[Any]) -> None:
        """Extend the list on top; records take items and forget them."""
        if isinstance(self.stack[-1], list):
            self.stack[-1] += items

    def set_items(self, items: list[Any]) -> None:
        """Set keys and values, in turn, of the dict on top; records forget them."""
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(_as_dict(items))

    def call(self, function: object, args: object) -> None:
        """Record a call. Only an ordered dict is made: Python 2 passed it its items."""
        if not isinstance(function, Record) or not isinstance(args, tuple):
            raise ValueError("a call of what is no name")
        if function.name != "collections.OrderedDict":
            self.stack.append(Record(function.name, args))
            return
        pairs: list[list[Any]] = args[0] if args else []
        self.budget.spend(len(pairs))  # the same list may be passed again and again
        self.stack.append(_keyed(pairs))


def _as_dict(items: list[Any]) -> dict[Any, Any]:
    """A dict of keys and values in turn."""
    return _keyed(zip(items[::2], items[1::2], strict=True))


def _keyed(pairs: Iterable[Iterable[Any]]) -> dict[Any, Any]:
    # Only of such keys is the hash found in an instant.
    return {key: value for key, value in pairs if type(key) is str or (type(key) is int and key.bit_length() < 64)}

"""Declaration of an option: its default, and the type, range or choices of its values.

Values are checked against it here, whether from a yaml file, KEY VALUE pairs, an argument or a
trainer's own `defaults`. See docs/add_a_trainer.md.
"""

import ast
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import category

from ueo.errors import ConfigError
from ueo.names import did_you_mean

NAMES = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
PLURALS = {bool: "of True and False", int: "whole numbers", float: "numbers", str: "names"}
UNPRINTED = ("Cc", "Cs")  # Unicode's control characters and lone surrogates
VALUES = (bool, int, float, str, list, tuple, type(None))  # types that a yaml file can hold
LARGEST = 2**63 - 1  # torch's largest integer


@dataclass(frozen=True)
class Option:
    """The default of an option and the values that it takes.

    kind:     type of the value, or of each element of a list; by default, that of the default.
    optional: None is allowed too; it always is if it is the default.
    low, above, high, below: bounds of the number, or of each number of a list; low and high are
              inclusive.
    choices:  the only allowed values, or elements of a list.
    length:   number of elements of a list.
    check:    a further check; raises ConfigError for a bad value.
    """

    default: Any = None
    kind: type | None = None
    optional: bool = False
    low: float | None = None
    above: float | None = None
    high: float | None = None
    below: float | None = None
    choices: Collection | None = None
    length: int | None = None
    check: Callable[[Any], Any] | None = None

    def checked(self, value, name: str):
        """Return `value` in the option's type. A string is read as a Python literal, as in yacs.

        name: the value's origin and key. Raises ConfigError, which says what the option takes.
        """
        value = self._literal(value)
        if value is None:
            if self.optional or self.default is None:
                return None
            raise ConfigError(f"{name} has no value; its default is {self.default!r}")
        if isinstance(self.default, list | tuple):
            if not isinstance(value, list | tuple) or self.length not in (None, len(value)):
                raise ConfigError(f"{name} takes {self.allowed()}, not {quoted(value)}")
            elements = list(map(self._converted, value))
            found = type(self.default)(elements)
        else:
            value = found = self._converted(value)
            elements = [value]
        for element in elements:
            self._check_one(element, value, name)
        if self.check is not None:
            try:
                self.check(found)
            except ConfigError as error:
                raise ConfigError(f"{name}: {error}") from error
        return found

    def allowed(self) -> str:
        """Return what the option takes in words, such as "a number from 0 to below 1"."""
        if self.choices is not None:
            return f"one of {', '.join(map(str, self.choices))}"
        if not isinstance(self.default, list | tuple):
            return " ".join(filter(None, [NAMES.get(self._kind(), "a value"), self._bounds()]))
        count = "a list of" if self.length is None else str(self.length)
        what = PLURALS.get(self._kind(), "values")
        like = f", like {self.default!r}" if self.default else ""
        return " ".join(filter(None, [count, what, self._bounds()])) + like

    def _kind(self) -> type | None:
        if self.kind is not None:
            return self.kind
        if isinstance(self.default, list | tuple):
            kinds = {type(element) for element in self.default}
            return kinds.pop() if len(kinds) == 1 else None
        return None if self.default is None else type(self.default)

    def _literal(self, value):
        if not isinstance(value, str) or isinstance(self.default, str):
            return value
        if self._kind() is str and not isinstance(self.default, list | tuple):
            return None if self.default is None and value == "None" else value
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return value

    def _converted(self, value):
        """Convert an integer to float if a float is expected, and a number to text if text is."""
        if isinstance(value, bool):
            return value
        if self._kind() is float and isinstance(value, int) and abs(value) <= LARGEST:
            return float(value)
        return str(value) if self._kind() is str and isinstance(value, int | float) else value

    def _check_one(self, element, value, name: str) -> None:
        """Raise ConfigError unless `element`, which is `value` or part of it, is valid."""
        kind = self._kind()
        if kind is not None and type(element) is not kind:
            raise ConfigError(f"{name} takes {self.allowed()}, not {quoted(value)}")
        if isinstance(element, float) and not math.isfinite(element):
            raise ConfigError(f"{name} takes {self.allowed()}, finite, not {quoted(value)}")
        if isinstance(element, int | float) and not self._in_range(element):
            raise ConfigError(f"{name} takes {self.allowed()}, not {quoted(value)}")
        if isinstance(element, str) and any(category(c) in UNPRINTED for c in element):
            raise ConfigError(f"{name} holds an unprintable character: {quoted(value)}")
        if self.choices is not None and element not in self.choices:
            known = ", ".join(map(str, self.choices))
            raise ConfigError(
                f"{name}: {quoted(element)} is unknown"
                f"{did_you_mean(str(element)[:80], self.choices)}; known: {known}"
            )

    def _in_range(self, number: float) -> bool:
        return (
            (self.low is None or number >= self.low)
            and (self.above is None or number > self.above)
            and (self.high is None or number <= self.high)
            and (self.below is None or number < self.below)
            and (isinstance(number, float) or abs(number) <= LARGEST)
        )

    def _bounds(self) -> str:
        start = f"from {self.low}" if self.low is not None else ""
        start = f"above {self.above}" if self.above is not None else start
        if self.below is not None:
            return f"{start} to below {self.below}" if start else f"below {self.below}"
        if self.high is not None:
            return f"{start} to {self.high}" if start else f"up to {self.high}"
        return f"{start} on" if self.low is not None else start


def declared(trainer: type) -> dict[str, Option]:
    """Return {key: Option} of the `defaults` of a trainer and its base classes, which hold Options
    or plain values. A plain value changes only the default of an Option that a base class declares.
    Raises ConfigError if `defaults` is no dictionary or a yaml file cannot hold a default.
    """
    found: dict[str, Option] = {}
    for kind in reversed(getattr(trainer, "__mro__", [trainer])):
        own = vars(kind).get("defaults", {})
        if not isinstance(own, dict):
            raise ConfigError(
                f"{kind.__name__}.defaults must be a dictionary of options, "
                f"{{'NAME': its default, or an Option}}, not a {type(own).__name__}"
            )
        for key, value in own.items():
            found[key] = option = as_option(value, found.get(key))
            if not isinstance(option.default, VALUES):
                raise ConfigError(
                    f"{kind.__name__}.defaults[{key!r}] must be a number, True or False, text, a "
                    f"list of these, None or an Option, not {quoted(option.default)}"
                )
    return found


def as_option(value, base: Option | None = None) -> Option:
    """Return an Option unchanged; a plain value as the default of `base` or of a new Option."""
    if isinstance(value, Option):
        return value
    if base is None:
        return Option(value)
    return replace(base, default=value, optional=base.optional or base.default is None)


def quoted(value, most: int = 80) -> str:
    """Return the repr of a value, cut to `most` characters, for a message."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits
        text = f"a {type(value).__name__} that is too large"
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def pairs(words: Sequence[str], name: str) -> list[tuple[str, str]]:
    """Return KEY, VALUE, KEY, VALUE, ... as pairs. Raises ConfigError, beginning with `name`, for a
    key without a value."""
    if len(words) % 2:
        raise ConfigError(f"{name} takes KEY VALUE pairs, but {words[-1]!r} has no value")
    return list(zip(words[::2], words[1::2]))


def named(path: str) -> str:
    """Return `path`. Raises ConfigError if it is empty, which would mean the current folder."""
    if not path.strip():
        raise ConfigError("the path is empty; name a folder, or . for the current one")
    return path


def folder(name: str) -> Callable[[str], str]:
    """Return an argparse `type` for a non-empty path. Its ConfigError names the argument."""
    option = Option("", check=named)
    return lambda text: option.checked(text, name)


def number(name: str, kind: type = int, **bounds) -> Callable[[str], Any]:
    """Return an argparse `type` for a number in bounds. Its ConfigError names the argument."""
    option = Option(kind(0), **bounds)
    return lambda text: option.checked(text if text != "None" else "", name)

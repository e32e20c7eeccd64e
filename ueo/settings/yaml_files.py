"""Read a yaml file of keys and values strictly: nothing is dropped, executed or expanded."""

import copy
from functools import lru_cache

import yaml

from ueo.errors import ConfigError, first_line, unread
from ueo.settings.options import quoted

MOST_BYTES = 200_000  # a configuration has about 1,000
MOST_NODES, DEEPEST = 10_000, 20


def read_yaml(path: str) -> dict:
    """Return {dotted key: value} of a yaml file; {"A": {"B": 1}} becomes {"A.B": 1}.

    Raises ConfigError, which names the line, if the file is missing, empty, no yaml, or has a key
    twice.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        named = quoted(path, 300).strip("'") or "--config-file ''"
        raise ConfigError(unread(named, error, str(error))) from error
    if len(content) > MOST_BYTES:
        raise ConfigError(f"{path}: more than {MOST_BYTES:,} bytes, too large for a configuration")
    return copy.deepcopy(_keys_of(content, path))  # callers may change it


@lru_cache(maxsize=256)  # planning many runs reads the same files again and again
def _keys_of(content: bytes, path: str) -> dict:
    try:
        return _Reader(content.decode("utf-8-sig"), path).keys()
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid yaml ({_reason(error)})") from error
    except (UnicodeDecodeError, ValueError) as error:
        raise ConfigError(f"{path}: not valid yaml ({first_line(error)})") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested more than {DEEPEST} deep") from error


class _Reader(yaml.SafeLoader):
    """Turns the nodes of one document into dotted keys."""

    def __init__(self, text: str, path: str):
        super().__init__(text)
        self.path, self.nodes = path, 0

    def keys(self) -> dict:
        node = self.get_single_node()
        if node is None:
            raise ConfigError(f"{self.path}: holds no keys and values")
        self._measure(node, 0)
        if not isinstance(node, yaml.MappingNode):
            kind = {yaml.SequenceNode: "list"}.get(type(node)) or type(
                self.construct_document(node)).__name__
            raise ConfigError(f"{self.path}: expected keys and values, found {kind}")
        self.values, self.lines = {}, {}
        self._collect(node, "")
        return self.values

    def _measure(self, node: yaml.Node, depth: int) -> None:
        """Raise ConfigError for too many nodes: an alias (*name) may refer to its own parent."""
        self.nodes += 1
        if depth > DEEPEST or self.nodes > MOST_NODES:
            line = node.start_mark.line + 1
            raise ConfigError(
                f"{self.path}, line {line}: nested more than {DEEPEST} deep, holds more than "
                f"{MOST_NODES:,} values, or refers to itself"
            )
        if not isinstance(node, yaml.ScalarNode):
            for part in node.value:
                for child in part if isinstance(part, tuple) else (part,):
                    self._measure(child, depth + 1)

    def _collect(self, mapping: yaml.MappingNode, prefix: str) -> None:
        for key, value in mapping.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{self.path}, line {line}: a key is a word, not a list or more")
            name = f"{prefix}{key.value}"
            if name in self.lines:
                raise ConfigError(
                    f"{self.path}: {name} is set in line {self.lines[name]} and in line {line}; "
                    "keep one of them"
                )
            self.lines[name] = line
            if isinstance(value, yaml.MappingNode) and value.tag == "tag:yaml.org,2002:map":
                self._collect(value, f"{name}.")
            else:
                self.values[name] = self.construct_object(value, deep=True)


def _reason(error: yaml.YAMLError) -> str:
    """Return the line of a yaml error and what is wrong."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or first_line(error)
    return f"line {mark.line + 1}: {problem}" if mark else problem

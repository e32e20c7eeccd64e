"""Findings about a machine: one line each, which says what to do if something is wrong."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ueo.errors import UserError
from ueo.runs.status import one_line
from ueo.text import shown

OK, NOTE, WRONG = "ok", "note", "WRONG"  # NOTE: something is absent, nothing is broken


@dataclass(frozen=True)
class Finding:
    """state: OK, NOTE or WRONG. text: the fact, or "<problem>: <remedy>". facts: numbers."""

    state: str
    name: str
    text: str
    facts: dict = field(default_factory=dict)

    def line(self) -> str:
        return shown(f"{self.state:5} {self.name}: {self.text}")


def findings_of(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check. An error becomes a finding, so the next check still runs."""
    try:
        yield from check()
    except UserError as error:
        yield Finding(WRONG, name, one_line(error))
    except Exception as error:  # a machine may fail in any way
        yield Finding(WRONG, name, f"failed with {type(error).__name__}: {one_line(error)}")


def bytes_in_words(count: float) -> str:
    """1.5e9 -> "1.5 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"

"""What an examination of a machine finds: one line each, fine or with what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ueo.errors import UserError
from ueo.runs.status import one_line
from ueo.text import shown

OK, NOTE, WRONG = "ok", "note", "WRONG"  # NOTE: nothing is broken, but something is not there


@dataclass(frozen=True)
class Finding:
    """state: OK, NOTE or WRONG. text: what is, or what is wrong: what to do. facts: numbers."""

    state: str
    name: str
    text: str
    facts: dict = field(default_factory=dict)

    def line(self) -> str:
        return shown(f"{self.state:5} {self.name}: {self.text}")


def findings_of(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a check; one that ends in an error is a finding too, and stops no other."""
    try:
        yield from check()
    except UserError as error:
        yield Finding(WRONG, name, one_line(error))
    except Exception as error:  # whatever a machine may do
        yield Finding(WRONG, name, f"failed with {type(error).__name__}: {one_line(error)}")


def bytes_in_words(count: float) -> str:
    """1.5e9 -> "1.5 GB"."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.0f} MB"

"""Names that others chose (classes, domains, files, methods, options) as plain text of a target
that would read some of their signs as orders: a terminal, a spreadsheet, LaTeX, Markdown, a plot, a
path.
"""

import hashlib
import math
import os
import re
import unicodedata
from pathlib import Path

DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # turn text around
FORMULA = ("=", "+", "-", "@")  # what a spreadsheet takes for the start of one
NO_FILE = '/\\<>:"|?*'  # signs that the file names of some system cannot hold
LONGEST = 200  # bytes of a file's name, which may be 255 with a suffix
LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    '"': r"\symbol{34}", "`": r"\`{}",
    **{sign: "\\" + sign for sign in "&%$#_"},
}
MARKDOWN = {
    **{sign: "\\" + sign for sign in "\\`*[]|~$"}, "<": "&lt;", ">": "&gt;", "&": "&amp;",
}


def shown(words) -> str:
    """For consoles and logs: one line, control characters as \\x1b, half characters as \\udcff."""
    return "".join(sign.encode("unicode_escape").decode() if _commands(sign) else sign
                   for sign in str(words))


def written(value) -> str:
    """The value of an option in a sentence, where an empty text would be overlooked."""
    return "''" if value == "" else str(value)


def without_folders(words: str) -> str:
    """The value of an option with the base name of each absolute path that it is, or holds in
    quotation marks: folders are the machine's own."""
    if os.path.isabs(words) or words.startswith("~"):
        return base_name(words)
    return re.sub(r"(?<=['\"])[/~][^'\"]*(?=['\"])", lambda found: base_name(found[0]), words)


def base_name(path: str) -> str:
    """The last part of a path; the path itself where it has none."""
    return Path(path).name or path


def csv_cell(value):
    """A cell that no spreadsheet computes: text that begins as a formula gets a leading apostrophe,
    unless it is a number. Numbers and None stay what they are."""
    if not isinstance(value, str):
        return value
    words = shown(value)
    return f"'{words}" if words.lstrip().startswith(FORMULA) and not _is_number(words) else words


def latex(words) -> str:
    """Plain text in LaTeX."""
    return "".join(LATEX.get(sign, sign) for sign in shown(words))


def markdown(words) -> str:
    """Plain text in a cell of a Markdown table, or in a sentence."""
    found = "".join(MARKDOWN.get(sign, sign) for sign in shown(words))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", found)  # inside a word it stands for itself


WRITERS = {"simple": shown, "github": markdown}  # by tabulate's name of a table's form


def in_plot(words) -> str:
    """Plain text in a plot: no mathematics between dollar signs, no label that a legend hides."""
    found = shown(words).replace("$", r"\$")
    return f" {found}" if found.startswith("_") else found


def file_name(words) -> str:
    """One level of a path: what would leave it or command a terminal as %1B, cut where too long."""
    found = "".join(
        "".join(f"%{byte:02X}" for byte in sign.encode("utf-8", "surrogateescape"))
        if _commands(sign) or sign in NO_FILE else sign for sign in str(words)
    )
    if set(found) <= {"."}:
        return found.replace(".", "%2E") or "%"
    if len(found.encode()) <= LONGEST:
        return found
    return f"{found.encode()[:LONGEST - 9].decode(errors='ignore')}-{short_hash(found)}"


def label(words) -> str:
    """A \\label of LaTeX: letters, digits and . : + = _ -; other words give other labels."""
    found = re.sub(r"[^A-Za-z0-9.:+=_-]", "-", words)
    return found if found == words else f"{found}-{short_hash(words)}"


def short_hash(words: str) -> str:
    """Eight hexadecimal digits."""
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _commands(sign: str) -> bool:
    """Whether a character moves, colours or ends lines instead of showing itself."""
    return unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in DIRECTIONS


def _is_number(words: str) -> bool:
    try:
        return math.isfinite(float(words))
    except ValueError:
        return False

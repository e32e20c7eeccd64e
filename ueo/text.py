"""Escape names chosen by others (classes, domains, files, methods, options) for targets that would
interpret some characters: a terminal, a spreadsheet, LaTeX, Markdown, a plot, a path.
"""

import hashlib
import math
import os
import re
import unicodedata
from pathlib import Path

DIRECTIONS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # turn text around
FORMULA = ("=", "+", "-", "@")  # the first characters of a spreadsheet formula
NO_FILE = '/\\<>:"|?*'  # characters that some system forbids in file names
LONGEST = 200  # bytes of a file name, which may be 255 with a suffix
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
    """Escape for consoles and logs: one line, control characters as \\x1b, surrogates as \\udcff.
    """
    return "".join(sign.encode("unicode_escape").decode() if _commands(sign) else sign
                   for sign in str(words))


def written(value) -> str:
    """Return the value of an option for a sentence; '' for an empty text."""
    return "''" if value == "" else str(value)


def without_folders(words: str) -> str:
    """Reduce the absolute paths in an option's value to base names: folders depend on the machine.
    The value is such a path, or holds some in quotation marks."""
    if os.path.isabs(words) or words.startswith("~"):
        return base_name(words)
    return re.sub(r"(?<=['\"])[/~][^'\"]*(?=['\"])", lambda found: base_name(found[0]), words)


def base_name(path: str) -> str:
    """Return the last part of a path, or the path itself if it has none."""
    return Path(path).name or path


def csv_cell(value):
    """Return a cell that no spreadsheet computes: text that looks like a formula, and is no number,
    gets a leading apostrophe. Numbers and None are unchanged."""
    if not isinstance(value, str):
        return value
    words = shown(value)
    return f"'{words}" if words.lstrip().startswith(FORMULA) and not _is_number(words) else words


def latex(words) -> str:
    """Escape plain text for LaTeX."""
    return "".join(LATEX.get(sign, sign) for sign in shown(words))


def markdown(words) -> str:
    """Escape plain text for Markdown, also for a cell of a table."""
    found = "".join(MARKDOWN.get(sign, sign) for sign in shown(words))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", found)  # "_" inside a word needs no escape


WRITERS = {"simple": shown, "github": markdown}  # by tabulate's table format


def in_plot(words) -> str:
    """Escape plain text for Matplotlib: dollar signs, and a leading "_", which hides a label."""
    found = shown(words).replace("$", r"\$")
    return f" {found}" if found.startswith("_") else found


def file_name(words) -> str:
    """Return one level of a path: forbidden and control characters as %1B, cut if too long."""
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
    """Return a \\label for LaTeX: letters, digits and . : + = _ -; unique for each text."""
    found = re.sub(r"[^A-Za-z0-9.:+=_-]", "-", words)
    return found if found == words else f"{found}-{short_hash(words)}"


def short_hash(words: str) -> str:
    """Return eight hexadecimal digits of the text's SHA-256."""
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _commands(sign: str) -> bool:
    """Whether a character is a control character, a surrogate, a line end or a direction mark."""
    return unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or sign in DIRECTIONS


def _is_number(words: str) -> bool:
    try:
        return math.isfinite(float(words))
    except ValueError:
        return False

"""The files and pictures of a table, beside the records, and its text for a console."""

from pathlib import Path

from ueo.files import write_json, write_text
from ueo.results import reference, render, wording
from ueo.results.paper import domains, latex, severity, style


def console(summary: dict, published: list[reference.Row] | None = None) -> str:
    """Return the compact table, its caption, the gains, and published numbers if given."""
    words = [wording.caption(summary), *wording.sentences(summary)]
    parts = [render.console(summary), "\n".join(words)]
    if published is not None:
        parts.append(reference.beside(summary, published))
    return "\n\n".join(parts)


def write(
    folder: Path, stem: str, summary: dict, published: list[reference.Row] | None = None
) -> list[Path]:
    """Write stem.txt, .md, .tex, .csv and .json; equal records give equal bytes."""
    markdown = render.markdown(summary)
    if published is not None:
        markdown += f"\n### Published numbers\n\n{reference.beside(summary, published, 'github')}\n"
    texts = {
        "txt": console(summary, published) + "\n",
        "md": markdown,
        "tex": latex.table(summary, f"{folder.name}-{stem.removeprefix('table-')}"),
        "csv": render.csv_text(summary),
    }
    for suffix, text in texts.items():
        write_text(folder / f"{stem}.{suffix}", text)
    write_json(folder / f"{stem}.json", summary)
    return [folder / f"{stem}.{suffix}" for suffix in (*texts, "json")]


def draw(folder: Path, stem: str, summary: dict) -> list[Path]:
    """Write stem-gains and stem-severity as .pdf and .png, each if it has something to show;
    further pages are stem-gains-2, .... Returns the paths of the .png."""
    with style.styled():
        return [*style.save_pages(domains.draw(summary), folder, f"{stem}-gains"),
                *style.save_pages(severity.draw(summary), folder, f"{stem}-severity")]

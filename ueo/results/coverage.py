"""Which runs of the methods of a table are missing, in words."""

from collections import defaultdict
from collections.abc import Iterable

MOST = 6  # clauses in a sentence; the others are counted
OF_ALL = "A mean over domains is over the seeds that all of them have."
OF_SOME = "Means are over the runs that exist, so compare a method by its paired gains alone."


def uneven(
    runs: Iterable[tuple[str, dict]], without: Iterable[tuple[str, str, str, int]] = ()
) -> list[str]:
    """Return a clause for each method without any run; each label space and domain without any run;
    each of these that a method lacks, or where it has only some of its seeds; each method that
    lacks a seed; and one if methods with several seeds have different ones.

    runs: (method, result.json) of each run. without: (method, label space, domain, seed) of those
    that were asked for and have no record. A method with one seed, such as zero-shot CLIP, may be
    beside others with several.
    """
    seeds: dict[str, dict[tuple, set[int]]] = defaultdict(lambda: defaultdict(set))
    asked: dict[str, dict[tuple, set[int]]] = defaultdict(lambda: defaultdict(set))
    for method, r in runs:
        seeds[method][r["setting"], r["domain"]].add(r["seed"])
    for method, setting, domain, seed in without:
        asked[method][setting, domain].add(seed)
    cells = set().union(*seeds.values())
    clauses = [f"{method} lacks all runs" for method in asked if method not in seeds]
    clauses += [f"no method has {setting} {domain}"
                for setting, domain in sorted(set().union(*asked.values()) - cells)]
    of_all: dict[str, set[int]] = {}
    for method, own in seeds.items():
        of_all[method] = set.union(*own.values())
        for setting, domain in sorted(cells):
            found = own.get((setting, domain))
            if not found:
                clauses.append(f"{method} lacks {setting} {domain}")
            elif found != of_all[method]:
                clauses.append(f"{method} has of {setting} {domain} {_seeds(found)} alone")
        if lacking := set().union(*asked[method].values()) - of_all[method]:
            clauses.append(f"{method} lacks {_seeds(lacking)}")
    several = {method: found for method, found in of_all.items() if len(found) > 1}
    if len(set(map(frozenset, several.values()))) > 1:
        clauses.append(", ".join(f"{method} has {_seeds(s)}" for method, s in several.items()))
    return clauses


def sentence(clauses: list[str], means: str = OF_ALL) -> str:
    """Return the note below a table; "" if nothing is missing. means: OF_ALL or OF_SOME, what its
    means are of."""
    if not clauses:
        return ""
    rest = f"; and {len(clauses) - MOST} more" if len(clauses) > MOST else ""
    return f"Runs are missing: {'; '.join(clauses[:MOST])}{rest}. {means}"


def _seeds(found: set[int]) -> str:
    return f"seed{'s' * (len(found) > 1)} {', '.join(map(str, sorted(found)))}"

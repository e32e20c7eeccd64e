"""Tables of other methods, baselines, selections and own images get other file names; missing
records are named."""

import re

import pytest

from ueo.commands import grid
from ueo.commands.arguments import grid_settings
from ueo.grids import choices
from ueo.grids.plan import plan
from ueo.grids.run_grid import table_stem


@pytest.fixture
def stem():
    """stem(words of the command line) -> folder and stem of the table's files."""
    def name(*words: str) -> tuple[str, str]:
        settings = grid_settings(grid.parser().parse_args(list(words)))
        runs = plan(settings, settings.datasets[0])
        return runs[0].place.dataset, table_stem(settings, runs)

    return name


def test_different_tables_have_different_files(stem, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("x.png 0\n")
    for name in ("photos", "photos.v1", "photos.v2"):
        (tmp_path / name).mkdir()
    usual = ["emoji", "--trainers", "ZeroshotCLIP", "UEO"]
    commands = [
        usual, ["emoji", "--trainers", "UEO"], ["emoji", "--trainers", "InfoMax", "UEO"],
        [*usual, "UPL"], [*usual, "--domain", "fluent"], [*usual, "--domain", "noto_v1"],
        [*usual, "--setting", "open"], [*usual, "--seed", "1"], [*usual, "--seed", "2"],
        [*usual, "--recipe", "paper"], [*usual, "--set", "OPTIM.LR", "0.1"],
        *([*usual, "EntMin", "--set", f"TRAINER.{name}.SCORE", "energy"]
          for name in ("UEO", "EntMin")),
        *(["list", "--path", str(tmp_path / name)] for name in ("a.txt", "b.txt")),
        *(["folder", "--path", str(tmp_path / f"photos{v}")] for v in ("", ".v1", ".v2")),
    ]
    stems = [stem(*command) for command in commands]
    assert len(set(stems)) == len(stems), sorted(stems)
    assert stems[0][1] == "table-UEO-tiny_clip"


def test_without_any_record_the_tables_say_so(tmp_path, capsys):
    argv = ["emoji", "--seed", "1", "--setting", "open", "--output", str(tmp_path)]
    assert grid.main([*argv, "--tables-only"]) == 2
    out, err = capsys.readouterr()
    assert "10 runs, 0 with a record, 10 without" in out and "finished" not in out
    (line,) = err.splitlines()
    assert "no run has a record" in line and str(tmp_path) in line


def test_records_of_other_options_are_named(tmp_path, capsys):
    for config in ("tiny_clip+TRADE_OFF=2", "tiny_vit"):
        file = tmp_path / "emoji" / "UEO" / config / "open" / "fluent" / "seed1" / "result.json"
        file.parent.mkdir(parents=True)
        file.write_text("{}")
    argv = ["emoji", "--seed", "1", "--setting", "open", "--output", str(tmp_path)]
    assert grid.main([*argv, "--tables-only"]) == 2
    said = [line for line in capsys.readouterr().out.splitlines() if "these options" in line]
    assert said == ["UEO emoji: has no record with these options, only with "
                    "'tiny_clip+TRADE_OFF=2', 'tiny_vit'; --tables-only needs the --set, --recipe, "
                    "--protocol and --backbone of the runs"]


FILE_OPTIONS = ("TRAINER.ARF.POOL", "TRAINER.ARF.CAPTIONS", "TRAINER.ARF.POOL_FEATURES",
                "MODEL.INIT_WEIGHTS")


@pytest.mark.parametrize("key", FILE_OPTIONS)
def test_files_in_a_stem_have_no_folders_but_stay_distinct(stem, tmp_path, key):
    paths = [str(tmp_path / folder / "words.json") for folder in "ab"]
    paths += ["words.json", *["a/words.json"] * (key != "TRAINER.ARF.POOL_FEATURES")]
    words = ["emoji", "--trainers", "ZeroshotCLIP", "ARF", "--set", key]
    stems = [stem(*words, path)[1] for path in paths]
    assert len(set(stems)) == len(stems), stems
    assert all("%2F" not in name and "words.json" in name for name in stems)
    assert stems[2].endswith("=words.json")  # as given


def test_paths_in_a_list_are_shown_without_their_folders():
    value = str(["/home/me/a.json", "b"])
    assert re.fullmatch(r"\['a\.json', 'b'\]-[0-9a-f]{8}", choices.in_name("TRAINER.X.Y", value))
    for kept in ("prompt+visual_affine", "(32, 32)", "a photo of a {}/{}.", "/", "", "1e-3"):
        assert choices.in_name("TRAINER.X.Y", kept) == kept

"""Tables of other methods, bases, selections and images of one's own are other files; what there is
no record of is said."""

import pytest


@pytest.fixture
def stem(grid_script):
    """stem(words of the command line) -> folder and stem of the table's files."""
    import planning

    def name(*words: str) -> tuple[str, str]:
        args = grid_script.parser().parse_args(list(words))
        runs = planning.plan(args, args.datasets[0])
        return str(runs[0].folder.parents[4]), grid_script.table_stem(args, runs)

    return name


def test_no_table_takes_the_place_of_another(stem, tmp_path):
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
        *(["list", "--path", str(tmp_path / name)] for name in ("a.txt", "b.txt")),
        *(["folder", "--path", str(tmp_path / f"photos{v}")] for v in ("", ".v1", ".v2")),
    ]
    stems = [stem(*command) for command in commands]
    assert len(set(stems)) == len(stems), sorted(stems)
    assert stems[0][1] == "table-UEO-tiny_clip"


def test_without_any_record_the_tables_say_so(grid_script, tmp_path, capsys):
    argv = ["emoji", "--seed", "1", "--setting", "open", "--output", str(tmp_path)]
    assert grid_script.main([*argv, "--tables-only"]) == 2
    out, err = capsys.readouterr()
    assert "10 runs, 0 with a record, 10 without" in out and "finished" not in out
    (line,) = err.splitlines()
    assert "no run has a record" in line and str(tmp_path) in line

"""The one command for a user's own images, from a folder to predictions and a report."""

import pytest
import trees
from conftest import REPOSITORY, size_of

from ueo.commands import grid


@pytest.fixture
def command(tmp_path, weights, capsys):
    """command(*options): what `scripts/ueo/main.sh folder` prints for tmp_path/photos."""
    def run(*options: str) -> str:
        size = size_of("vit")
        status = grid.main([
            "folder", "--path", str(tmp_path / "photos"), "--names", str(tmp_path / "names.txt"),
            "--output", str(tmp_path / "out"), "--backbone", weights["vit"], "--device", "cpu",
            "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
            *options, "--set", "OPTIM.MAX_EPOCH", "1", "INPUT.SIZE", f"({size}, {size})",
            "DATALOADER.NUM_WORKERS", "0",
        ])
        assert status == 0
        return capsys.readouterr().out

    (tmp_path / "names.txt").write_text("bike\nmug\nfan\n")
    return run


@pytest.mark.parametrize("labels", [False, True])
def test_it_ends_in_predictions_and_a_report_with_labels_or_without(command, tmp_path, labels):
    for i in range(12):
        trees.draw(tmp_path / "photos" / (("bike", "dragon")[i % 2] if labels else "") /
                   f"{i}.jpg", 8 * i)
    said = command()
    assert "2 runs, 0 finished, 2 to do" in said  # one seed of UEO, and zero-shot CLIP
    (run,) = (tmp_path / "out/folder/UEO").glob("*/as_is/photos/seed*")
    assert run.name == "seed1"
    for name in ("predictions.csv", "report.html", "skipped.csv", "model.json"):
        assert (run / name).is_file()
    assert f"Report:      {run}/report.html" in said and "Images: 12 read." in said
    names = "Names: 1 of 3 known classes have images; without: 'mug', 'fan'; unknown classes: "
    assert (names in said[said.index("UEO on photos, "):]) == labels
    assert said.count("UEO on photos, ") == 1 and "ZeroshotCLIP on" not in said
    assert ("Tables:" in said) == labels and "- / -" not in said
    assert bool(list((tmp_path / "out/folder").glob("table*"))) == labels
    again = command("--tables-only")
    assert said[said.index("UEO on photos, "):] == again[again.index("UEO on photos, "):]
    (run / "predictions.csv").unlink()
    lost = command("--tables-only")
    assert f"No summary of {run}: its predictions.csv is gone" in lost
    assert "ZeroshotCLIP on" not in lost


def test_images_that_no_run_can_read_are_refused_once(tmp_path, capsys):
    for name in ("loose.jpg", "bike/1.jpg"):
        trees.draw(tmp_path / "photos" / name, 1)
    argv = ["folder", "--path", str(tmp_path / "photos"), "--output", str(tmp_path / "out")]
    assert grid.main([*argv, "--backbone", "TinyCLIP", "--device", "cpu"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: ") and "holds loose images ('loose.jpg')" in line

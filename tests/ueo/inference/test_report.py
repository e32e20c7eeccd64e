"""report.html is bounded, self-contained and escaped; in Chromium it follows the threshold."""

import io
import re

import browser
import numpy as np
import pytest
from made_run import make_run
from PIL import Image

from ueo.errors import CheckpointError
from ueo.files import read_json
from ueo.inference import thumbnails
from ueo.inference.report import PARTS, write_report

HOSTILE = ["</script><script>window.harmed = 1</script>", "<img src=x onerror='window.harmed = 2'>",
           "plain", "{{script}}"]
FILES = 40
chromium = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder of a run with labels, its outputs). Files and classes have hostile names, and one
    image is missing."""
    root = tmp_path_factory.mktemp("run")
    images = root / "photos"
    images.mkdir()
    paths = [f"<b>{i} '\"& \udcff.jpg" for i in range(FILES)]
    rng = np.random.default_rng(0)
    for path in paths[1:]:
        Image.fromarray(rng.integers(0, 255, (30, 50, 3), np.uint8)).save(images / path)
    labels = np.arange(FILES) % 5
    outputs = make_run(root / "run", images, paths, HOSTILE, labels)
    return root / "run", outputs


@pytest.fixture(scope="module")
def page(run):
    return write_report(run[0])


@pytest.fixture(scope="module")
def chrome(tmp_path_factory):
    with browser.browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def known_at(outputs: dict, threshold: float) -> int:
    return int((outputs["test_scores_after"] >= threshold).sum())


def test_the_page_is_self_contained(page):
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[^\s\"')]+", text)) <= {"http://www.w3.org/2000/svg"}
    assert not re.search(r"(src|href)=\"(?!#)", text) and "@import" not in text
    assert 'content="default-src &#x27;none&#x27;; ' in text
    assert text.count("<script") == 2  # its data and its code; names add none
    assert len(text) < 200_000


def test_the_number_of_thumbnails_is_bounded():
    rng = np.random.default_rng(0)
    for classes in (2, 345, 10_000):
        predictions = rng.integers(0, classes, 50_000)
        before = rng.integers(0, classes, 50_000)
        scores = rng.normal(size=50_000)
        shown = thumbnails.choose(predictions, before, scores)
        everything = shown.everything
        assert 500 < len(everything) <= thumbnails.MOST
        assert len(set(everything)) == len(everything)
        assert (np.diff(scores[everything]) <= 0).all()
        most, least = next(iter(shown.classes.values()))
        (chosen, *_), size = shown.classes, min(thumbnails.EACH, 180 // classes or 1)
        of_class = np.sort(scores[predictions == chosen])
        assert scores[most].tolist() == of_class[::-1][:len(most)].tolist()
        assert scores[least].tolist() == of_class[:len(least)][::-1].tolist()
        assert len(most) == len(least) == size
        assert (predictions[shown.changed] != before[shown.changed]).all()


def test_few_images_are_all_shown_and_each_once_in_its_class():
    predictions, scores = np.array([0, 0, 0, 2]), np.array([0.1, 0.4, 0.2, 0.3])
    shown = thumbnails.choose(predictions, None, scores)
    assert shown.everything == [1, 3, 2, 0] and shown.changed == []
    assert shown.classes == {0: ([1, 2, 0], []), 2: ([3], [])}


def test_thumbnails_are_small_and_upright(tmp_path):
    image = Image.new("RGB", (400, 200), "blue")
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    good, gone = thumbnails.thumbnails([str(tmp_path / "turned.jpg"), str(tmp_path / "gone.jpg")])
    assert gone is None
    assert Image.open(io.BytesIO(good)).size == (48, 96)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours #rrggbb as defined by the WCAG."""
    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05

    low, high = sorted((luminance(one), luminance(other)))
    return high / low


def test_text_has_enough_contrast_in_light_and_dark_mode():
    schemes = (PARTS / "report.css").read_text().split("@media (prefers-color-scheme: dark)")
    for style in schemes:
        colours = {name: colour.lower() for name, colour in
                   reversed(re.findall(r"--(\w+): (#[0-9a-f]{6})", style))}
        for ink in ("ink", "soft", "known", "none"):
            assert contrast(colours[ink], colours["paper"]) >= 4.5
            assert contrast(colours[ink], colours["page"]) >= 4.5


def test_a_folder_without_a_run_has_no_report(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no finished run \(result.json\)$"):
        write_report(tmp_path)


@chromium
def test_verdicts_follow_the_threshold_exactly(run, page, chrome):
    folder, outputs = run
    chrome.open(page)
    start = read_json(folder / "model.json", dict, "")["thresholds"]["otsu"]
    assert chrome.text("#images") == str(FILES)
    assert int(chrome.text("#known")) == known_at(outputs, start)
    for keys in (("ArrowRight",) * 3, ("PageUp",), ("Home",), ("End",)):
        chrome.press("#slider", *keys)
        threshold = chrome.run("return threshold")
        known = known_at(outputs, threshold)
        assert chrome.text("#known") == str(known)
        assert chrome.text("#none").replace(",", "") == str(FILES - known)
        assert f"{known} known" in chrome.text("#verdicts")
        assert chrome.count("#none-list figure") == FILES - known
        assert chrome.count("#above figure") == min(8, known)
    exact = float(np.sort(outputs["test_scores_after"])[7])
    chrome.run("const field = document.getElementById('threshold'); field.value = arguments[0];"
               "field.dispatchEvent(new Event('input'))", repr(exact))
    chrome.settle()
    assert chrome.text("#known") == str(known_at(outputs, exact)) == str(FILES - 7)
    assert not chrome.run("return document.getElementById('reset').disabled")
    chrome.click("#reset")
    assert int(chrome.text("#known")) == known_at(outputs, start)
    assert chrome.messages() == []


@chromium
def test_thumbnails_and_the_confusion_matrix_follow_the_threshold(run, page, chrome):
    outputs = run[1]
    chrome.open(page)
    chrome.press("#slider", *("ArrowRight",) * 20)
    threshold = chrome.run("return threshold")
    scores, labels = outputs["test_scores_after"], outputs["test_labels"]
    for index, verdict in chrome.run(
        "return [...document.querySelectorAll('figure')].map((one) => "
        "[Number(one.dataset.index), one.querySelector('.verdict').textContent])"
    ):
        assert verdict == ("known" if scores[index] >= threshold else "none of these")
    said = np.where(scores >= threshold, outputs["test_predictions_after"], len(HOSTILE))
    cells = chrome.run("return [...document.querySelectorAll('#confusion tbody tr')].map((row) => "
                       "[...row.querySelectorAll('td')].map((cell) => Number(cell.textContent)))")
    expected = np.zeros((5, 5), int)
    np.add.at(expected, (np.minimum(labels, 4), said), 1)
    assert cells == expected.tolist()
    assert f"{100 * expected[4, 4] / expected[4].sum():.1f} %" in chrome.text("#at-threshold")
    assert "61.3 %" in chrome.text("#metrics") or "61.2 %" in chrome.text("#metrics")


@chromium
def test_hostile_names_are_shown_as_text(page, chrome):
    chrome.open(page)
    assert chrome.run("return window.harmed === undefined")
    listed = chrome.run("return [...document.querySelectorAll('summary .name')]"
                        ".map((one) => one.textContent)")
    assert set(listed) == set(HOSTILE)
    assert chrome.count(".missing") >= 1  # the missing image
    assert "a<b>.jpg" in chrome.text("#skipped-list") and chrome.text("#skipped") == "2"


@chromium
def test_the_page_fits_a_phone_and_works_by_keyboard(page, chrome):
    chrome.width(390)
    chrome.media(prefers_color_scheme="dark")
    chrome.open(page)
    assert chrome.run("return document.documentElement.scrollWidth") <= 390
    assert chrome.run("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 27)"
    chrome.press("#close-all", "Enter")
    assert chrome.count("details[open]") == 0
    chrome.press("summary", "Enter")
    assert chrome.count("details[open]") == 1 and chrome.count("details[open] figure") > 0
    assert chrome.text("#changed") == chrome.run(
        "return String(predictions.filter((one, i) => one !== before[i]).length)")

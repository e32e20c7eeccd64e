"""The log that scripts parse, and the tee that writes it."""

import os
import re
import sys

import pytest
import torch
from dassl.engine import build_trainer
from dassl.utils import DataValueError, Logger, LossError, setup_logger

BATCH_LINE = re.compile(
    r"epoch \[(\d+)/2\] batch \[(\d)/3\] time \d+\.\d{3} \(\d+\.\d{3}\) data \d+\.\d{3} "
    r"\(\d+\.\d{3}\) loss \d+\.\d{4} \(\d+\.\d{4}\) acc \d+\.\d{4} \(\d+\.\d{4}\) "
    r"lr \d\.\d{4}e-\d\d eta \d+:\d\d:\d\d"
)


@pytest.fixture
def console():
    """Give the console back whatever happens."""
    before = sys.stdout
    yield before
    sys.stdout = before


def logged(cfg, console):
    setup_logger(cfg.OUTPUT_DIR)
    build_trainer(cfg).train()
    sys.stdout = console
    with open(os.path.join(cfg.OUTPUT_DIR, "log.txt")) as file:
        return file.read()


def test_lines_of_a_run(make_cfg, console):
    cfg = make_cfg("OPTIM.MAX_EPOCH", 2, "VERBOSE", True, "TEST.PER_CLASS_RESULT", True,
                   "TEST.COMPUTE_CMAT", True)
    text = logged(cfg, console)
    lines = text.splitlines()
    batches = [(m[1], m[2]) for m in map(BATCH_LINE.fullmatch, lines) if m]
    assert batches == [(e, b) for e in "12" for b in "123"]
    order = ["Loading trainer: LinearX", "Loading dataset: Specks",
             "Loading evaluator: Classification", "Finish training",
             "Deploy the last-epoch model", "Evaluate on the *test* set", "=> result",
             "* total: 6", "=> per-class result"]
    places = [lines.index(line) for line in order if line in lines]
    assert len(places) == len(order)
    assert places[-6:] == sorted(places[-6:])
    accuracy = float(re.search(r"\* accuracy: ([\.\deE+-]+)%", text)[1])
    error = float(re.search(r"\* error: ([\.\deE+-]+)%", text)[1])
    assert accuracy + error == pytest.approx(100)
    assert re.search(r"\* macro_f1: ([\.\deE+-]+)%", text)
    per_class = r"\* class: 0 \(class 0\)\ttotal: 2\tcorrect: \d\tacc: \d+\.\d%"
    assert re.search(per_class, text) and re.search(r"\* average: \d+\.\d%", text)
    assert re.search(r"Checkpoint saved to .*linear/model.pth.tar-2", text)
    assert re.search(r"Elapsed: \d+:\d\d:\d\d", text)
    matrix = torch.load(os.path.join(cfg.OUTPUT_DIR, "cmat.pt"), weights_only=True)
    assert matrix.sum(1) == pytest.approx([1, 1, 1])


def test_print_frequency(make_cfg, console):
    text = logged(make_cfg("OPTIM.MAX_EPOCH", 1, "TRAIN.PRINT_FREQ", 2), console)
    assert re.findall(r"batch \[(\d)/3\]", text) == ["2"]


def test_best_val(make_cfg, console):
    text = logged(make_cfg("OPTIM.MAX_EPOCH", 2, "TEST.FINAL_MODEL", "best_val"), console)
    assert text.count("Evaluate on the *val* set") == 2
    assert text.count("Evaluate on the *test* set") == 1
    assert "Deploy the model with the best val performance" in text
    assert re.search(r"Load .*model-best.pth.tar to linear \(epoch=\d, val_result=\d+\.\d\)", text)


def test_best_val_needs_validation_images(make_cfg):
    trainer = build_trainer(make_cfg("TEST.FINAL_MODEL", "best_val"))
    trainer.val_loader = None
    with pytest.raises(DataValueError, match="has no val images"):
        trainer.train()


@pytest.mark.parametrize("key, value, sentence", [
    ("TEST.FINAL_MODEL", "last_stp", "did you mean"),
    ("TEST.EVALUATOR", "Clasification", "did you mean 'Classification'"),
    ("TRAINER.NAME", "LinearY", "did you mean 'LinearX"),
    ("DATASET.NAME", "Spec", "did you mean 'Specks'"),
    ("TRAIN.COUNT_ITER", "train", "did you mean 'train_"),
    ("INPUT.INTERPOLATION", "bicubik", "did you mean 'bicubic'"),
])  # fmt: skip
def test_misspelt_values_are_named(make_cfg, key, value, sentence):
    with pytest.raises(ValueError, match=rf"^{key}: '{value}' is unknown; .*{sentence}"):
        build_trainer(make_cfg(key, value))


def test_infinite_loss_names_its_place(make_cfg):
    trainer = build_trainer(make_cfg())
    trainer.epoch, trainer.batch_idx = 1, 4
    with pytest.raises(LossError, match="epoch 2, batch 5") as caught:
        trainer.model_backward_and_update(torch.tensor(float("nan"), requires_grad=True))
    assert isinstance(caught.value, FloatingPointError)


def test_evaluating_leaves_training_as_it_was(make_cfg):
    trainer = build_trainer(make_cfg("DATALOADER.TEST.SAMPLER", "RandomSampler"))
    before = torch.get_rng_state()
    trainer.test()
    assert torch.equal(before, torch.get_rng_state())


def test_tee_is_a_stream_and_spares_the_console(tmp_path, console):
    setup_logger(str(tmp_path))
    tee = sys.stdout
    print("first")
    assert tee.isatty() == console.isatty()
    assert tee.encoding == console.encoding
    setup_logger(str(tmp_path))  # a second log in one process
    print("second")
    assert sys.stdout.console is console  # not the first tee
    sys.stdout.close()
    tee.close()
    del tee
    sys.stdout = console
    print("still open")
    logs = sorted(tmp_path.iterdir(), key=lambda p: len(p.name))
    assert logs[0].name == "log.txt" and re.fullmatch(r"log\.txt-[\d-]+", logs[1].name)
    assert [p.read_text() for p in logs] == ["first\n", "second\n"]


def test_log_paths(tmp_path, console):
    setup_logger(None)
    setup_logger("")
    assert sys.stdout is console
    setup_logger(str(tmp_path / "deep" / "mine.log"))
    assert isinstance(sys.stdout, Logger)
    assert (tmp_path / "deep" / "mine.log").is_file()
    sys.stdout.close()

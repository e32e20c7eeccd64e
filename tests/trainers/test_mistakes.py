"""A mistake of a trainer's author is reported in one sentence that names the class."""

import pytest
from dassl.engine import TRAINER_REGISTRY

# what a class body holds, and what is said of it
MISTAKES = {
    "no loss": ("pass", ["Mine has no loss: define loss(self, batch)", "training_free"]),
    "another name": (
        "def loss(self, batch): return {'total': self.logits(batch['img']).mean()}",
        ["Mine.loss returned 'total' alone; what is minimised must be called 'loss'"],
    ),
    "an empty dictionary": ("def loss(self, batch): return {}",
                            ["Mine.loss returned an empty dictionary"]),
    "nothing": ("def loss(self, batch): self.logits(batch['img']).mean()",
                ["Mine.loss returned nothing (None)", "a tensor of one number"]),
    "a row for each image": ("def loss(self, batch): return self.logits(batch['img']).mean(1)",
                             ["Mine.loss returned a tensor of shape (16,)"]),
    "a number": ("def loss(self, batch): return 1.0", ["Mine.loss returned a float"]),
    "a logged row": (
        "def loss(self, batch):\n"
        "        p = self.logits(batch['img'])\n"
        "        return {'loss': p.mean(), 'rows': p.mean(1)}",
        ["Mine.loss returned 'rows': a tensor of shape (16,)"],
    ),
    "no gradient": (
        "def loss(self, batch): return self.logits(batch['img']).mean().detach()",
        ["Mine.loss returned a number without a gradient", "tuned (prompt, visual_affine)"],
    ),
    "no dictionary of options": (
        "defaults = ['STRENGTH']",
        ["Mine.defaults must be a dictionary of options", "not a list"],
    ),
    "an option of another kind": (
        "defaults = {'LOSS': print}", ["Mine.defaults['LOSS'] must be a number", "not <built-in"],
    ),
    "an option that is not declared": (
        "defaults = {'STRENGTH': 1.0}\n"
        "    def loss(self, batch):\n"
        "        return self.options.STRENTH * self.logits(batch['img']).mean()",
        ["option STRENTH, which Mine.defaults does not declare; did you mean 'STRENGTH'?"],
    ),
    "a file that is no option": (
        "input_files = ('POOL',)", ["its option POOL, which Mine.defaults does not declare"],
    ),
    "parameters without parts": (
        "def trainable(self): return {'ctx': self.model.prompt.ctx}",
        ["Mine.trainable must return {part: {name: parameter}}"],
    ),
    "labels": (
        "def prepare(self, zero_shot): self.true_labels()\n"
        "    def loss(self, batch): return self.logits(batch['img']).mean()",
        ["Mine reads labels without declaring it: set reads_labels = True"],
    ),
    "state that is not kept": (
        "def setup(self): self.average = self.model.prompt.ctx.detach().clone()\n"
        "    def buffers(self): return {'average': self.average}\n"
        "    def loss(self, batch):\n"
        "        self.average = self.average + 1\n"
        "        return self.logits(batch['img']).mean()",
        ["Mine.buffers returns another tensor 'average'", "change it in place"],
    ),
    "a part that the loss leaves out": (
        "def setup(self):\n"
        "        self.own = {f'own.{i}': torch.nn.Parameter(torch.zeros(2)) for i in (1, 2)}\n"
        "    def trainable(self): return {**super().trainable(), 'own': self.own}\n"
        "    def loss(self, batch):\n"
        "        return self.logits(batch['img']).mean() + 0 * self.own['own.1'].sum()",
        ["Mine tunes what its loss does not depend on: own.2 had no gradient in the first epoch",
         "leave it out of Mine.trainable"],
    ),
    "a part of the adapter that it leaves out": (
        "defaults = {'TUNE': 'adapter+prompt'}\n"
        "    def adapter(self):\n"
        "        found = Cosines()\n"
        "        found.a, found.b = torch.nn.ParameterList([torch.zeros(1), torch.zeros(1)])\n"
        "        return found\n"
        "    def loss(self, batch):\n"
        "        return self.logits(batch['img']).mean() + 0 * self.model.adapter.b.sum()",
        ["Mine tunes what its loss does not depend on: adapter.a had no gradient"],
    ),
    "an option that the method refuses": (
        "defaults = {'STRENGTH': 0.0}\n"
        "    def check_cfg(self, cfg):\n"
        "        super().check_cfg(cfg)\n"
        "        if self.options.STRENGTH == 0: raise ConfigError('TRAINER.Mine.STRENGTH: 0')",
        ["TRAINER.Mine.STRENGTH: 0"],
    ),
}
PLUGIN = """
import torch
from dassl.engine import TRAINER_REGISTRY
from ueo.clip.adapters import Cosines
from ueo.errors import ConfigError
from ueo.trainers.base import CLIPTrainer

@TRAINER_REGISTRY.register(force=True)
class Mine(CLIPTrainer):
    {body}
"""


@pytest.fixture
def mine(toy, tmp_path, capsys, monkeypatch):
    """mine(body): run the toy job with a trainer of this body. Returns (status, stderr lines)."""
    monkeypatch.setitem(TRAINER_REGISTRY._obj_map, "Mine", None)  # none is left behind

    def run(body: str) -> tuple[int, list[str]]:
        path = tmp_path / "forgetful.py"
        path.write_text(PLUGIN.format(body=body))
        capsys.readouterr()
        status, folder = toy(trainer="Mine", plugins=[str(path)], epochs=1)
        assert status or (folder / "result.json").is_file()
        return status, capsys.readouterr().err.strip().splitlines()

    return run


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_in_a_trainer_is_one_line_that_names_its_class(mine, kind):
    body, parts = MISTAKES[kind]
    status, lines = mine(body)
    assert status == 2 and len(lines) == 1 and lines[0].startswith("Error: "), lines
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize("body", [
    "def loss(self, batch): return self.logits(batch['img']).mean()",
    "def loss(self, batch):\n"
    "        return {'loss': self.logits(batch['img']).mean(), 'images': len(batch['img'])}",
    "training_free = True",
])
def test_a_scalar_loss_a_logged_number_and_no_steps_are_accepted(mine, body):
    assert mine(body) == (0, [])

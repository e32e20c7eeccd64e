"""Options accept the values that they declare and no others, whatever the source."""

import pytest
from conftest import TOY_PLUGIN, trainer_names
from dassl.config import get_cfg_default
from dassl.engine import TRAINER_REGISTRY

from ueo.commands import train
from ueo.errors import ConfigError
from ueo.runs.configure import build_cfg, register
from ueo.settings import config
from ueo.settings.options import Option, declared, number

LISTS = Option((0.5, 1.0), above=0, high=1, length=2)


@pytest.fixture(scope="module")
def known():
    register([str(TOY_PLUGIN)])
    trainers = {n: TRAINER_REGISTRY.get(n) for n in TRAINER_REGISTRY.registered_names()}
    return config.declarations(config.extend(get_cfg_default(), trainers), trainers)


@pytest.mark.parametrize(("option", "given", "taken"), [
    (Option(1), "3", 3), (Option(1.0), "3", 3.0), (Option(1.0), "1e-3", 0.001),
    (Option(True), "False", False), (Option("a"), "3", "3"), (Option("a"), 3, "3"),
    (Option(None, kind=float), "None", None), (Option(None, kind=float), "2", 2.0),
    (LISTS, "[0.1, 1]", (0.1, 1.0)), (Option([], kind=str), ("a",), ["a"]),
    (Option(0.5, low=0, below=1), "0", 0.0), (Option("", choices=("a", "b")), "b", "b"),
])
def test_a_value_gets_the_type_of_its_option(option, given, taken):
    found = option.checked(given, "KEY")
    assert found == taken and type(found) is type(taken)


@pytest.mark.parametrize(("option", "given", "said"), [
    (Option(1, low=1), "0", "KEY takes a whole number from 1 on, not 0"),
    (Option(1), "many", "KEY takes a whole number, not 'many'"),
    (Option(1), "True", "KEY takes a whole number, not True"),
    (Option(1), "9" * 5000, r"KEY takes a whole number, not '9{79}\.\.\. \(5002 characters\)"),
    (Option(1), 2**63, "KEY takes a whole number, not 9223372036854775808"),
    (Option(1), "(" * 5000, "KEY takes a whole number, not"),
    (Option(True), "yes", "KEY takes True or False, not 'yes'"),
    (Option(0.5, low=0, below=1), "1", "KEY takes a number from 0 to below 1, not 1.0"),
    (Option(0.5, above=0), "0", "KEY takes a number above 0, not 0.0"),
    (Option(0.5), "nan", "KEY takes a number, not 'nan'"),
    (Option(0.5), "1e999", "KEY takes a number, finite, not inf"),
    (Option(0.5), "True", "KEY takes a number, not True"),
    (Option("a"), True, "KEY takes text, not True"),
    (Option(0.5), None, "KEY has no value; its default is 0.5"),
    (Option(None, kind=float, low=0), "abc", "KEY takes a number from 0 on, not 'abc'"),
    (LISTS, "(0, 1)", r"KEY takes 2 numbers above 0 to 1, like \(0.5, 1.0\), not \(0, 1\)"),
    (LISTS, "(1,)", r"KEY takes 2 numbers .*, not \(1,\)"),
    (LISTS, "(0.1, 0.2, 0.3)", r"KEY takes 2 numbers .*, not \(0.1, 0.2, 0.3\)"),
    (LISTS, "(0.1, 1e999)", r"finite, not \(0.1, inf\)"),
    (Option((), kind=str), "(1, None)", "KEY takes a list of names, not"),
    (Option("", choices=("fp16", "amp")), "fp8",
     "KEY: 'fp8' is unknown; did you mean 'fp16'.; known: fp16, amp"),
    (Option(""), "a\0b", r"KEY holds an unprintable character: 'a\\x00b'"),
])
def test_the_refusal_of_a_value_says_what_is_accepted(option, given, said):
    with pytest.raises(ConfigError, match=said):
        option.checked(given, "KEY")


def test_a_plain_default_keeps_the_declaration_of_the_base_class():
    class Above:
        defaults = {"A": Option(1, low=1), "B": Option(None, kind=float), "C": "text", "D": 1}

    class Below(Above):
        defaults = {"A": 5, "B": 0.5, "C": "other", "E": Option("x", choices=("x", "y"))}

    found = declared(Below)
    assert {key: option.default for key, option in found.items()} == {
        "A": 5, "B": 0.5, "C": "other", "D": 1, "E": "x"}
    assert found["A"].low == 1 and found["B"].checked("None", "B") is None
    with pytest.raises(ConfigError, match="B takes a number"):
        found["B"].checked("abc", "B")


def test_every_default_is_valid(known):
    for key, option in known.items():
        assert option.checked(option.default, key) == option.default, key


@pytest.mark.parametrize("trainer", trainer_names())
def test_every_number_of_a_trainer_has_a_bound_and_every_none_a_type(trainer):
    for key, option in declared(TRAINER_REGISTRY.get(trainer)).items():
        bounded = option.low is not None or option.above is not None
        if isinstance(option.default, bool):
            continue
        if isinstance(option.default, int | float):
            assert bounded, f"{trainer}.{key} takes any number"
        assert option.default is not None or option.kind is not None, f"{trainer}.{key}"


@pytest.mark.parametrize(("key", "value"), [
    ("TRAINER.UEO.PROMPT_LR", "-5"), ("TRAINER.UEO.PROMPT_LR", "abc"),
    ("TRAINER.UEO.TEMPERATURE", "-1"), ("OPTIM.MAX_EPOCH", "0"), ("INPUT.RRCROP_SCALE", "(2, 3)"),
    ("INPUT.RRCROP_SCALE", "(1.0, 0.5)"), ("INPUT.PIXEL_STD", "[-1, -1, -1]"),
    ("INPUT.PIXEL_MEAN", "[0.5, 1e999, 0.5]"), ("OPTIM.MOMENTUM", "2"), ("DATASET.NUM_SHOTS", "-2"),
    ("OPTIM.ADAM_BETA2", "1"), ("TRAIN.PRINT_FREQ", "0"), ("TEST.FINAL_MODEL", "best"),
    ("DATALOADER.NUM_WORKERS", "-1"), ("SEED", "99999999999"), ("INPUT.GB_K", "4"),
    ("TRAINER.DANCE.MOMENTUM", "1"), ("TRAINER.ARF.RULE", "texts"), ("DATASET.STORE_GB", "nan"),
    ("TRAINER.UEO.TUNE", "model+visual"), ("DATASET.SUBSAMPLE_CLASSES", "odd"),
])
def test_values_out_of_range_are_refused(known, key, value):
    cfg = config.extend(get_cfg_default(), {"UEO": TRAINER_REGISTRY.get("UEO")})
    with pytest.raises(ConfigError, match=f"^command line: {key}"):
        config.set_key(cfg, key, value, config.COMMAND_LINE, known)


def test_trainers_check_options_that_a_foreign_train_script_merged():
    cfg = config.extend(get_cfg_default(), {"UEO": TRAINER_REGISTRY.get("UEO")})
    cfg.merge_from_list(["TRAINER.UEO.TEMPERATURE", -1.0, "DATASET.PROTOCOL", "none"])
    with pytest.raises(ConfigError, match="TRAINER.UEO.TEMPERATURE takes a number from 0 on"):
        config.options_of(cfg, TRAINER_REGISTRY.get("UEO"))
    with pytest.raises(ConfigError, match="DATASET.PROTOCOL: 'none' is unknown"):
        config.setting_of(cfg, "PROTOCOL")


@pytest.mark.parametrize("text", ["abc", "1.5", "-2", "None", "9" * 5000, str(2**32), "1e3", ""])
def test_numbers_of_the_command_line_have_bounds(text):
    with pytest.raises(ConfigError, match="^--seed takes a whole number from -1 to 4294967295"):
        number("--seed", low=-1, high=2**32 - 1)(text)


def test_a_seed_in_a_yaml_file_counts_unless_the_command_line_has_one(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("SEED: 7\n")
    argv = ["--trainer", "UEO", "--dataset", "Emoji", "--config-file", str(path)]
    for more, seed in (([], 7), (["--seed", "3"], 3), (["--seed", "-1"], -1)):
        assert build_cfg(train.settings_of([*argv, *more])).SEED == seed


def test_none_is_read_back_if_the_default_is_none():
    mode = Option(None, kind=str, choices=("squash", "longest"))
    assert mode.checked("None", "INPUT.RESIZE_MODE") is None
    assert mode.checked("squash", "INPUT.RESIZE_MODE") == "squash"

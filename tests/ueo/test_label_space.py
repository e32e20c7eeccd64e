"""The label spaces: which classes are known, in the unlabelled set and in the test set."""

import pytest

from ueo.datasets.emoji import Emoji
from ueo.errors import ConfigError
from ueo.label_space import SETTINGS, ClassCounts, label_space

OFFICE = ClassCounts(total=31, known=25, partial=20, open_partial=15, seen_ood=3)


def test_the_splits_of_office_31_as_released():
    spaces = {s: label_space(OFFICE, s) for s in SETTINGS}
    assert spaces["closed"].unlabelled == tuple(range(25))
    assert spaces["partial"].unlabelled == tuple(range(20))
    assert spaces["open"].unlabelled == tuple(range(28))
    assert spaces["open_partial"].unlabelled == (*range(15), 25, 26, 27)
    assert spaces["all"].known == spaces["all"].unlabelled == tuple(range(31))
    for setting in SETTINGS[:4]:
        assert spaces[setting].known == tuple(range(25))
        assert spaces[setting].test == tuple(range(31))


def test_the_splits_of_emoji():
    spaces = {s: label_space(Emoji.counts, s) for s in SETTINGS}
    assert spaces["closed"].known == spaces["closed"].unlabelled == tuple(range(28))
    assert spaces["partial"].unlabelled == tuple(range(20))
    assert spaces["open"].unlabelled == tuple(range(36))
    assert spaces["open_partial"].unlabelled == (*range(20), *range(28, 36))
    assert all(spaces[s].test == tuple(range(40)) for s in SETTINGS)


@pytest.mark.parametrize(
    "alias, name",
    [("CDA", "closed"), ("PDA", "partial"), ("ODA", "open"), ("OPDA", "open_partial"),
     ("CSDA", "all"), ("oda", "open"), ("open-partial", "open_partial")],
)
def test_aliases_of_the_released_code(alias, name):
    assert label_space(OFFICE, alias).setting == name


def test_an_unknown_setting_offers_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'closed'"):
        label_space(OFFICE, "close")

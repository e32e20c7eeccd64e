"""Yaml files are read strictly. A refusal is one line that names the file."""

import pytest

from ueo.errors import ConfigError
from ueo.settings.yaml_files import MOST_BYTES, read_yaml


def read(tmp_path, content: str | bytes) -> dict:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_yaml(str(path))


def test_sections_become_dotted_keys(tmp_path):
    text = "\ufeffA:\n  B: {C: 1e-3, D: [1, x]}\n  E:\nF.G: 'true'\n1: yes\n"
    assert read(tmp_path, text) == {
        "A.B.C": "1e-3", "A.B.D": [1, "x"], "A.E": None, "F.G": "true", "1": True,
    }


@pytest.mark.parametrize(("content", "said"), [
    ("A: 1\nB: 2\nA: 3\n", "A is set in line 1 and in line 3; keep one"),
    ("A:\n  B: 1\nA:\n  C: 1\n", "A is set in line 1 and in line 3"),
    ("A:\n  B: 1\n\nA.B: 2\n", "A.B is set in line 2 and in line 4"),
    ("A: &x {B: *x}\n", "line 1: .* refers to itself"),
    ("A: &x [*x]\n", "refers to itself"),
    ("a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
        f"{n}: &{n} [{', '.join([f'*{p}'] * 8)}]\n" for p, n in zip("abcdef", "bcdefg")),
     "more than 10,000 values"),
    ("A: " + "[" * 50 + "]" * 50, "nested more than 20 deep"),
    ("A: " + "[" * 5000 + "]" * 5000, "nested more than 20 deep"),
    ("A: !!python/object/apply:os.system ['touch canary']\n", "line 1: could not determine"),
    ("A: !unknown 1\n", "line 1: could not determine a constructor"),
    ("? [a, b]\n: 1\n", "line 1: a key is a word"),
    ("A:\n\tB: 1\n", "line 2: found character '.t'"),
    ("A: 1\n---\nB: 2\n", "line 2: but found another document"),
    (b"\x00\x01\x02", "not valid yaml"),
    (b"A: \xff\xfe\n", "not valid yaml"),
    ("", "holds no keys and values"),
    ("# all of it is a comment\n", "holds no keys and values"),
    ("a word", "expected keys and values, found str"),
    ("A: 2026-13-45\n", "not valid yaml"),
    ("A: 1\n" * MOST_BYTES, "more than 200,000 bytes"),
])
def test_wrong_content_is_refused_in_one_line(tmp_path, content, said):
    with pytest.raises(ConfigError, match=said) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(str(tmp_path / "mine.yaml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["", "nowhere.yaml", "a\0b"])
def test_a_path_that_is_no_file_is_named(tmp_path, path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(str(tmp_path / path))

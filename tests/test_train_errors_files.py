"""Weights, downloads, archives and the embedded data set: damaged files are named and refused."""

import hashlib
import http.server
import shutil
import threading
from functools import partial

import clip
import pytest
import torch
from conftest import REPOSITORY, TOY_PLUGIN, random_clip, read, size_of
from safetensors.torch import save_file

from ueo import files
from ueo.clip.backbones import load_clip
from ueo.commands import train
from ueo.errors import CheckpointError
from ueo.fetch import embedded


@pytest.fixture
def arguments(toy_root, tmp_path):
    """Command line of a zero-shot run on the toy set without a backbone."""
    return [
        "--root", toy_root, "--plugin", str(TOY_PLUGIN), "--dataset", "Toy",
        "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
        "--trainer", "ZeroshotCLIP", "--domain", "red", "--seed", "1", "--device", "cpu",
        "--threads", "1", "--output-dir", str(tmp_path / "run"),
    ]


def one_error(capsys, argv: list[str], folder) -> str:
    """The one line of a run that must fail."""
    capsys.readouterr()
    status = train.main(argv)
    err = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and len(err) == 1 and err[0].startswith("Error: "), err
    assert not (folder / "result.json").exists()
    return err[0]


# files of weights


@pytest.fixture
def broken_weights(tmp_path, weights):
    """{kind: path} of files that hold no CLIP."""
    tensors = {"layer.weight": torch.zeros(3, 3)}
    save_file(tensors, tmp_path / "other.safetensors")
    torch.save(tensors, tmp_path / "other.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for kind in ("rn", "vit"):
        source = weights[kind]
        suffix = source.rpartition(".")[2]
        content = open(source, "rb").read()
        (tmp_path / f"cut_{kind}.{suffix}").write_bytes(content[: len(content) // 2])
    for suffix in ("pt", "safetensors"):
        (tmp_path / f"empty.{suffix}").write_bytes(b"")
        (tmp_path / f"text.{suffix}").write_text("these are no weights")
    state = {k: v for k, v in random_clip("rn").state_dict().items() if "visual.layer2" not in k}
    torch.save(state, tmp_path / "incomplete.pt")
    return tmp_path


DAMAGED = "no file of weights, or a damaged one"


@pytest.mark.parametrize(("name", "said"), [
    ("other.safetensors", "holds no OpenAI CLIP model"),
    ("other.pt", "holds no OpenAI CLIP model"),
    ("list.pt", "holds a list, no state dict"),
    *((name, DAMAGED) for name in ("cut_rn.safetensors", "cut_vit.pt", "text.pt",
                                   "text.safetensors")),
    ("empty.pt", "is empty"), ("empty.safetensors", "is empty"),
    ("incomplete.pt", "its tensors make no OpenAI CLIP model"),
])
def test_a_file_that_holds_no_clip_is_named(
    broken_weights, arguments, capsys, tmp_path, name, said
):
    argv = [*arguments, "--backbone", str(broken_weights / name)]
    line = one_error(capsys, argv, tmp_path / "run")
    assert str(broken_weights / name) in line
    assert said in line


# downloads


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home, so that nothing is cached."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def server(tmp_path, weights):
    """(address of a folder that is served, the folder), with vit.pt below its checksum's name."""
    folder = tmp_path / "served"
    digest = hashlib.sha256(open(weights["vit"], "rb").read()).hexdigest()
    for name in (digest, "0" * 64):
        (folder / name).mkdir(parents=True)
        shutil.copy(weights["vit"], folder / name / "vit.pt")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", digest
        running.shutdown()
        thread.join()


def test_weights_that_cannot_be_downloaded(arguments, capsys, tmp_path, home, monkeypatch):
    address = f"http://127.0.0.1:1/{'0' * 64}/RN50.pt"  # nothing listens at port 1
    monkeypatch.setitem(clip.clip._MODELS, "RN50", address)
    line = one_error(capsys, [*arguments, "--backbone", "RN50"], tmp_path / "run")
    assert "could not be downloaded" in line
    assert address in line and str(home / ".cache/clip/RN50.pt") in line


def test_weights_are_downloaded_once_checked_and_loaded(home, monkeypatch, server, weights):
    address, digest = server
    monkeypatch.setitem(clip.clip._MODELS, "ViT-B/32", f"{address}/{digest}/vit.pt")
    model = load_clip("ViT-B/32", "fp32").model
    expected = load_clip(weights["vit"], "fp32").model
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], value)
    assert [p.name for p in (home / ".cache/clip").iterdir()] == ["vit.pt"]
    monkeypatch.setattr(clip.clip, "_download", None)  # a second download would fail
    load_clip("ViT-B/32", "fp32")


def test_a_damaged_file_in_the_cache_is_replaced(home, monkeypatch, server):
    address, digest = server
    monkeypatch.setitem(clip.clip._MODELS, "ViT-B/32", f"{address}/{digest}/vit.pt")
    (home / ".cache/clip").mkdir(parents=True)
    (home / ".cache/clip/vit.pt").write_bytes(b"cut off")
    load_clip("ViT-B/32", "fp32")
    assert files.sha256(home / ".cache/clip/vit.pt") == digest


def test_a_download_with_a_wrong_checksum_is_refused_and_not_kept(home, monkeypatch, server):
    address, _ = server
    monkeypatch.setitem(clip.clip._MODELS, "ViT-B/32", f"{address}/{'0' * 64}/vit.pt")
    with pytest.raises(CheckpointError, match="SHA256"):
        load_clip("ViT-B/32", "fp32")
    assert list((home / ".cache/clip").iterdir()) == []
    monkeypatch.setitem(clip.clip._MODELS, "ViT-B/32", f"{address}/absent/vit.pt")
    with pytest.raises(CheckpointError, match="404"):
        load_clip("ViT-B/32", "fp32")


# the embedded data set


@pytest.fixture
def emoji_arguments(tmp_path, weights):
    """Command line of a zero-shot run on emoji, with a data root that does not exist yet."""
    size = size_of("vit")
    return [
        "--root", str(tmp_path / "data"), "--trainer", "ZeroshotCLIP",
        "--dataset-config-file", str(REPOSITORY / "configs/datasets/emoji.yaml"),
        "--config-file", str(REPOSITORY / "configs/trainers/UEO/tiny_clip.yaml"),
        "--backbone", weights["vit"], "--domain", "fluent", "--setting", "open", "--seed", "1",
        "--device", "cpu", "--threads", "1", "--output-dir", str(tmp_path / "run"),
        "INPUT.SIZE", f"({size}, {size})",
    ]


def test_an_incomplete_emoji_folder_is_named_and_removing_it_helps(
    emoji_arguments, capsys, tmp_path
):
    folder = tmp_path / "data" / "emoji"
    folder.mkdir(parents=True)
    line = one_error(capsys, emoji_arguments, tmp_path / "run")
    assert str(folder) in line and "remove that folder" in line
    shutil.rmtree(folder)
    assert train.main(emoji_arguments) == 0
    assert read(tmp_path / "run")["counts"]["test"] > 0
    shutil.rmtree(tmp_path / "run")
    image = min(p for p in (folder / "images" / "fluent").rglob("*") if p.is_file())
    image.unlink()
    assert str(image) in one_error(capsys, emoji_arguments, tmp_path / "run")
    (folder / "splits.json").write_text("{")
    assert "remove that folder" in one_error(capsys, emoji_arguments, tmp_path / "run")


def test_a_damaged_archive_is_refused(emoji_arguments, capsys, tmp_path, monkeypatch):
    archive = tmp_path / "emoji.zip"
    content = files.asset("emoji.zip").read_bytes()
    archive.write_bytes(content[:1000] + b"x" + content[1001:])
    asset = files.asset
    monkeypatch.setattr(
        embedded, "asset", lambda name: archive if name == "emoji.zip" else asset(name)
    )
    line = one_error(capsys, emoji_arguments, tmp_path / "run")
    assert str(archive) in line and "SHA-256" in line
    assert not (tmp_path / "data" / "emoji").exists()


# files


def test_a_file_is_written_completely_or_not_at_all(tmp_path):
    path = tmp_path / "data.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(ValueError):
        files.write_json(path, {"a": float("nan")})
    with pytest.raises(RuntimeError), files.atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == '{\n  "a": 1\n}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["data.json"]

"""The store of decoded images: decoded once, shared, never stale, within its budget."""

import multiprocessing
import os
import pickle
import signal
import socket
import time
from functools import partial
from pathlib import Path

import numpy as np
import PIL
import pytest
from PIL import Image

from ueo.files import exclusive
from ueo.images import items, pixel_cache
from ueo.images.items import Images
from ueo.images.pixel_cache import PixelStore, open_store
from ueo.settings import machine_share
from ueo.temporaries import locked


def pixels(number: int, height: int = 10, width: int = 7) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


INDEX = 32 * (1024 + 1)  # bytes, of a small store


def size_of(folder) -> int:
    return sum(f.stat().st_size for f in folder.iterdir() if f.name != "lock")


def never():
    raise AssertionError("made again")


def test_stored_images_are_returned_and_decoded_once(tmp_path):
    store = open_store(tmp_path, "Set-domain", 100, 1)
    for number in range(100):
        made = store.get(f"image {number}", partial(pixels, number, 5 + number, 8))
        assert (made == pixels(number, 5 + number, 8)).all()
    another = open_store(tmp_path, "Set-domain", 100, 1)
    for number in range(100):
        kept = another.get(f"image {number}", never)
        assert (kept == pixels(number, 5 + number, 8)).all()


def test_images_decoded_by_another_pillow_are_not_used(tmp_path, monkeypatch):
    open_store(tmp_path, "a", 10, 1).get("x", lambda: pixels(1))
    assert (open_store(tmp_path, "a", 10, 1).get("x", never) == pixels(1)).all()
    monkeypatch.setattr(PIL, "__version__", "99.0")
    assert (open_store(tmp_path, "a", 10, 1).get("x", lambda: pixels(2)) == pixels(2)).all()


def test_machines_that_share_a_folder_over_a_network_share_no_store(tmp_path, monkeypatch):
    """Memory maps of one file are not coherent between machines, so each machine has a store."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:9 / {tmp_path} rw - nfs4 b:/c rw\n")
    monkeypatch.setattr(machine_share, "MOUNTS", mounts)
    stores = []
    for machine in ("node1", "node2"):
        monkeypatch.setattr(socket, "gethostname", lambda machine=machine: machine)
        stores.append(open_store(tmp_path / "kept", "a", 10, 1))
        stores[-1].index = np.array(stores[-1].index)
    for number, store in enumerate(stores):
        store.get(f"image {number}", partial(pixels, number))
    for number, store in enumerate(stores):
        assert (store.get(f"image {number}", never) == pixels(number)).all()
    assert machine_share.name_in(tmp_path / "kept") == "node2"
    assert not machine_share.name_in(Path("/"))
    monkeypatch.setattr(machine_share, "MOUNTS", tmp_path / "none")  # as on macOS
    assert not machine_share.name_in(tmp_path)


def test_arrays_are_kept_beside_the_images(tmp_path):
    store = open_store(tmp_path, "a", 1, 1)
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert (store.array("features", lambda: array) == array).all()
    assert (open_store(tmp_path, "a", 1, 1).array("features", never) == array).all()
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:-40])
    assert (store.array("features", lambda: array + 1) == array + 1).all()


def test_a_small_budget_is_obeyed_and_all_images_are_still_read(tmp_path):
    budget = 25 * 210 + INDEX
    store = open_store(tmp_path, "a", 100, budget / 1e9)
    for _ in range(2):
        for number in range(100):
            assert (store.get(str(number), partial(pixels, number)) == pixels(number)).all()
    assert size_of(tmp_path) <= budget
    kept = 0
    for number in range(100):
        try:
            store.get(str(number), never)
            kept += 1
        except AssertionError:
            pass
    assert kept == 25


def test_a_budget_below_the_smallest_store_keeps_nothing(tmp_path, capsys):
    assert open_store(tmp_path, "a", 100, (INDEX - 1) / 1e9) is None
    assert "too few" in capsys.readouterr().out and size_of(tmp_path) == 0


def test_unused_stores_are_removed_for_room_and_those_in_use_stay(tmp_path):
    budget = (20 * 210 + 2 * INDEX) / 1e9
    old, used = (open_store(tmp_path, name, 10, budget) for name in ("old", "used"))
    for number in range(10):
        old.get(str(number), partial(pixels, number))
        used.get(str(number), partial(pixels, number))
    old.in_use.close()
    new = open_store(tmp_path, "new", 100, budget)
    for number in range(30):
        new.get(str(number), partial(pixels, number))
    assert size_of(tmp_path) == 20 * 210 + 2 * INDEX
    assert not list(tmp_path.glob("old*"))
    assert (used.get("3", never) == pixels(3)).all()


def test_the_size_of_all_stores_is_not_counted_for_each_image(tmp_path, monkeypatch):
    """Counting is slow and blocks other processes. A store opened meanwhile is counted, too."""
    counted, count = [], pixel_cache._used
    monkeypatch.setattr(pixel_cache, "_used", lambda index: counted.append(index) or count(index))
    budget = (30 * 210 + 2 * INDEX) / 1e9
    store = open_store(tmp_path, "a", 100, budget)
    for number in range(20):
        store.get(str(number), partial(pixels, number))
    assert len(counted) == 1
    another = open_store(tmp_path, "b", 100, budget)
    for number in range(20):
        another.get(str(number), partial(pixels, number))
    assert another.full and size_of(tmp_path) == 30 * 210 + 2 * INDEX
    assert len(counted) < 10


def test_a_process_forked_under_the_lock_does_not_keep_it(tmp_path):
    lock = tmp_path / "lock"
    lock.touch()
    with locked(lock):
        child = os.fork()
        if not child:
            time.sleep(30)
            os._exit(0)
    with exclusive(lock, 1):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_an_image_whose_row_was_reserved_but_not_written_is_decoded_again(tmp_path):
    store = open_store(tmp_path, "a", 10, 1)
    store.get("x", lambda: pixels(1))
    row = int(np.flatnonzero(store.index[1:, 0])[0]) + 1
    store.index[row, 3] = 0  # as if the process was killed in between
    assert (open_store(tmp_path, "a", 10, 1).get("x", lambda: pixels(1)) == pixels(1)).all()
    assert (open_store(tmp_path, "a", 10, 1).get("x", never) == pixels(1)).all()


def test_damaged_pixels_are_not_used(tmp_path):
    open_store(tmp_path, "a", 10, 1).get("x", lambda: pixels(1))
    (file,) = tmp_path.glob("*.pixels")
    for damage in (b"\0" * 210, b"\0" * 100):
        file.write_bytes(damage)
        again = open_store(tmp_path, "a", 10, 1).get("x", lambda: pixels(1))
        assert (again == pixels(1)).all()


def _fill(folder, seed, errors):
    store = open_store(folder, "a", 200, 1)
    for number in np.random.default_rng(seed).permutation(200).tolist():
        kept = store.get(str(number), partial(pixels, number, 20 + number % 7, 11))
        if not (kept == pixels(number, 20 + number % 7, 11)).all():
            errors.put(number)


def test_processes_that_fill_a_store_together_agree(tmp_path):
    context = multiprocessing.get_context("fork")
    errors = context.Queue()
    workers = [context.Process(target=_fill, args=(tmp_path, s, errors)) for s in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors.empty()
    _fill(tmp_path, 9, errors)
    assert errors.empty()
    assert size_of(tmp_path) - 2 * INDEX + 32 == sum((20 + n % 7) * 11 * 3 for n in range(200))


def test_a_copy_for_another_process_reads_the_same_file(tmp_path):
    store = open_store(tmp_path, "a", 10, 1)
    store.get("x", lambda: pixels(1))
    assert (pickle.loads(pickle.dumps(store)).get("x", never) == pixels(1)).all()


def test_there_is_no_store_without_a_budget_or_without_a_folder(tmp_path, capsys):
    assert open_store(tmp_path / "none", "a", 10, 0) is None
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("")
    assert open_store(tmp_path / "file" / "folder", "a", 10, None) is None
    assert "DATASET.STORE" in capsys.readouterr().out


def test_the_derived_budget_is_at_most_half_of_the_disk(tmp_path):
    disk = os.statvfs(tmp_path)
    assert open_store(tmp_path, "a", 10, None).budget <= disk.f_bavail * disk.f_frsize / 2


@pytest.mark.parametrize("times", [(1, 2), (1, 1)])
def test_a_changed_image_is_decoded_anew(tmp_path, monkeypatch, times):
    """Even if the new image has the size and the time stamp of the old one, as copies may."""

    class Item:
        label, domain, impath = 0, 0, str(tmp_path / "image.bmp")

    from torchvision import transforms as T

    images = Images(
        [Item], T.Compose([T.ToTensor()]), store=open_store(tmp_path / "s", "a", 1, 1),
        keep_views=True,
    )
    read, real = [], items.read_image
    monkeypatch.setattr(
        items, "read_image", lambda path, *how: read.append(path) or real(path, *how)
    )
    for number, changed in enumerate(times, 1):
        Image.fromarray(pixels(number)).save(Item.impath)
        os.utime(Item.impath, (changed, changed))
        for _ in range(2):
            assert (images[0]["img"].numpy() == pixels(number)).all()
        assert len(read) == number
    assert isinstance(images.store, PixelStore)

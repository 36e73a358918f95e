"""What pictures take in memory."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from helpers import load_image
from helpers.images import memory, pictures
from helpers.images.memory import Budget, shrunk


def test_no_more_pixels_are_taken_at_once_than_there_are():
    budget, lock, taken, most = Budget(10), threading.Lock(), [0], [0]

    def work(pixels):
        with budget.taken(pixels):
            with lock:
                taken[0] += min(pixels, 10)
                most[0] = max(most[0], taken[0])
            time.sleep(0.001)
            with lock:
                taken[0] -= min(pixels, 10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 4, 5, 99, 1, 2, 10, 6] * 8))
    assert (taken[0], most[0]) == (0, 10)


def test_what_is_larger_than_all_there_is_goes_alone():
    budget = Budget(10)
    started = threading.Event()

    def wait():
        with budget.taken(1):
            started.set()

    with budget.taken(1_000):
        other = threading.Thread(target=wait)
        other.start()
        assert not started.wait(0.05)
    other.join()
    assert started.is_set()


def test_what_fails_gives_its_pixels_back():
    budget = Budget(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), budget.taken(8):
            raise ValueError("broken")
    with budget.taken(10):
        pass


def test_pictures_are_decoded_within_the_budget(tmp_path, monkeypatch, photos):
    taken = []

    class Watched(Budget):
        def taken(self, pixels):
            taken.append(pixels)
            return super().taken(pixels)

    monkeypatch.setattr(pictures, "IN_FLIGHT", Watched(2**27))
    image = Image.open(photos[0]).resize((4000, 2000))
    image.save(tmp_path / "x.png")
    image.save(tmp_path / "x.jpg")
    image.save(tmp_path / "progressive.jpg", progressive=True)
    for name in ("x.png", "x.jpg", "progressive.jpg"):
        load_image(tmp_path / name, edge=400)
    assert taken == [4000 * 2000, 4000 * 2000 // 16, 4000 * 2000]


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1", "CMYK"])
def test_a_large_picture_is_reduced_as_a_small_copy_of_it_would_be(monkeypatch, photos, mode):
    monkeypatch.setattr(memory, "_STRIP", 5_000)  # many strips
    image = Image.open(photos[0]).resize((1003, 707)).convert(mode)
    small = shrunk(image, 50)
    assert small.size == (144, 101)
    expected = image.convert("RGB").reduce(7)
    difference = np.asarray(small.convert("RGB"), float) - np.asarray(expected, float)
    assert np.abs(difference).mean() < 1.5


def test_colours_that_are_hidden_by_transparency_do_not_bleed():
    image = Image.new("RGBA", (400, 400), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 202, 400))
    small = shrunk(image, 10)
    assert {pixel[:3] for _, pixel in small.getcolors() if pixel[3]} == {(0, 0, 255)}


def test_a_picture_that_is_not_twice_as_large_as_needed_stays_as_it_is(photos):
    image = Image.open(photos[0])
    assert shrunk(image, None) is image
    assert shrunk(image, 94) is image


def test_the_vector_of_a_large_picture_stays_the_same(tmp_path, encoder, drawings):
    path = next(drawings.rglob("*.jpg"))
    large = Image.open(path).convert("RGB").resize((2600, 2400), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.png")
    assert load_image(tmp_path / "large.png", encoder.edge).width < 1300
    vectors = encoder.encode_images([tmp_path / "large.png", large])
    assert vectors[0] @ vectors[1] > 0.999

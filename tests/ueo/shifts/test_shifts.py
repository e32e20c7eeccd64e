"""Scenes and corruptions: severity, randomness, and what they keep of a drawing."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from ueo.shifts import scenes
from ueo.shifts.corruptions import CORRUPTIONS, SEVERITIES, plasma

ALL = {"scene": scenes.in_scene, **CORRUPTIONS}


def drawing() -> np.ndarray:
    """A dark red ring with a white hole on white, (64, 64, 3)."""
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).ellipse((8, 8, 56, 56), "firebrick")
    ImageDraw.Draw(image).ellipse((24, 24, 40, 40), "white")
    return np.asarray(image)


def shifted(name: str, severity: int, seed: int = 0) -> np.ndarray:
    return ALL[name](drawing(), severity, np.random.default_rng(seed))


@pytest.mark.parametrize("name", ALL)
def test_a_shift_changes_a_picture_more_with_severity(name):
    pictures = [shifted(name, severity) for severity in SEVERITIES]
    assert all(p.shape == (64, 64, 3) and p.dtype == np.uint8 for p in pictures)
    away = [np.abs(p.astype(float) - drawing()).mean() for p in pictures]
    assert away[0] > 0 and away[4] > 1.15 * away[0]
    assert all(later > 0.9 * earlier for earlier, later in zip(away, away[1:]))


@pytest.mark.parametrize("name", ALL)
def test_a_shift_depends_on_the_random_generator_alone(name):
    assert np.array_equal(shifted(name, 3), shifted(name, 3))
    random = name not in ("defocus_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
    assert random != np.array_equal(shifted(name, 3, seed=1), shifted(name, 3, seed=2))


def test_the_matte_keeps_the_drawing_and_the_white_inside_it():
    matte = scenes.matte(drawing())
    assert matte[0, 0] == matte[63, 63] == matte[2, 32] == 0
    assert matte[32, 32] == matte[32, 12] == 255


def test_the_matte_equals_a_flood_fill_from_the_border():
    """Random pixels give mazes, and white regions that touch only at a corner."""
    rng = np.random.default_rng(0)
    for share in (0.4, 0.55, 0.6, 0.65, 0.8):
        white = rng.random((40, 30)) < share
        filled = Image.fromarray(np.pad(white, 1, constant_values=True).astype(np.uint8)).copy()
        ImageDraw.floodfill(filled, (0, 0), 2)
        outside = np.asarray(filled)[1:-1, 1:-1] == 2
        assert outside.any() and (white & ~outside).any()
        painted = np.repeat(white[..., None] * np.uint8(255), 3, 2)
        expected = Image.fromarray(np.where(outside, 0, 255).astype(np.uint8))
        expected = np.asarray(expected.filter(ImageFilter.GaussianBlur(0.5)))
        assert np.array_equal(scenes.matte(painted), expected)


def test_a_drawing_is_seen_in_its_scene_and_the_background_is_not_white():
    for seed in range(5):
        picture = shifted("scene", 3, seed).astype(int)
        red = picture[14:50, 12:20, 0] - picture[14:50, 12:20, 2]
        assert red.mean() > 60
        assert (picture[:4] < 235).any(-1).mean() > 0.9


def test_noise_has_its_nominal_strength():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = CORRUPTIONS["gaussian_noise"](grey, 1, np.random.default_rng(0)).astype(float)
    assert noisy.std() / 255 == pytest.approx(0.08, rel=0.02)
    counted = CORRUPTIONS["shot_noise"](grey, 1, np.random.default_rng(0)).astype(float)
    assert counted.std() / 255 == pytest.approx((128 / 255 / 60) ** 0.5, rel=0.03)
    struck = CORRUPTIONS["impulse_noise"](grey, 5, np.random.default_rng(0))
    assert (struck != 128).mean() == pytest.approx(0.27, rel=0.03)


def test_contrast_keeps_the_mean_and_scales_the_deviation():
    picture = drawing()
    less = CORRUPTIONS["contrast"](picture, 3, np.random.default_rng(0)).astype(float)
    assert np.allclose(less.mean((0, 1)), picture.mean((0, 1)), atol=0.6)
    assert np.allclose(less.std((0, 1)), 0.2 * picture.std((0, 1)), atol=0.6)


def test_clouds_fill_their_range():
    clouds = plasma((48, 64), 2.0, np.random.default_rng(0))
    assert clouds.shape == (48, 64) and clouds.min() == 0 and clouds.max() == 1

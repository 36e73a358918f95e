import numpy as np
import torch
from PIL import Image

from helpers.models.transforms import Transform, not_too_long


def test_a_very_long_image_is_cut_round_its_centre_before_it_is_scaled(encoder):
    image = Image.new("RGB", (4, 20_000), "red")
    image.paste("blue", (0, 9_900, 4, 10_100))
    assert not_too_long(image).size == (4, 80)
    assert not_too_long(image.transpose(Image.Transpose.ROTATE_90)).size == (80, 4)
    blue = encoder.prepare(Image.new("RGB", (32, 32), "blue"))
    assert np.array_equal(encoder.prepare(image), blue)


def test_an_image_of_up_to_20_to_1_is_left_whole():
    image = Image.new("RGB", (4, 80))
    assert not_too_long(image) is image


def test_bytes_are_normalised_as_floats_would_be(encoder, photos):
    resize, crop, _, to_floats, normalize = encoder.original()[1].transforms
    transform = Transform([resize, crop], normalize)
    image = Image.open(photos[0]).convert("RGB")
    expected = normalize(to_floats(crop(resize(image))))
    found = transform.normalized(transform(image)[None])[0]
    assert torch.allclose(found, expected, atol=1e-6)

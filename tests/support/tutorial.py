"""Milvus's tutorial in code, to compare with."""

import warnings

import clip
import numpy as np
from PIL import Image

from helpers import ClipEncoder

CAPTIONS = ["a white dog", "two blue fish on a yellow background", "a photo of a star"]


def encode_image(model, preprocess, path) -> list[float]:
    """Return an image's vector as the tutorial makes it: alone, in float32, with gradients on."""
    features = model.encode_image(preprocess(Image.open(path)).unsqueeze(0))
    features = features / features.norm(dim=-1, keepdim=True)
    return features.squeeze().tolist()


def encode_text(model, text) -> list[float]:
    """Return a text's vector as the tutorial makes it."""
    features = model.encode_text(clip.tokenize(text))
    features = features / features.norm(dim=-1, keepdim=True)
    return features.squeeze().tolist()


def load(path) -> tuple:
    """Load a model as the tutorial does, on the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit.load is deprecated
        return clip.load(str(path), device="cpu")


def cosines_with_the_tutorial(ours: ClipEncoder, path, images) -> np.ndarray:
    """Return the cosines of our vectors, of images and of `CAPTIONS`, with the tutorial's."""
    model, preprocess = load(path)
    pictures = np.array([encode_image(model, preprocess, image) for image in images])
    texts = np.array([encode_text(model, text) for text in CAPTIONS])
    by_us = np.concatenate([ours.encode_images(images), ours.encode_texts(CAPTIONS)])
    return (np.concatenate([pictures, texts]) * by_us).sum(axis=1)

"""What others found: CLIP's templates, and how good they say that ViT-B/32 is."""

SEVEN = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)
"""The seven of CLIP's eighty templates that do slightly better on ImageNet than all of them.

They and the eighty are from notebooks/Prompt_Engineering_for_ImageNet.ipynb of
https://github.com/openai/CLIP. "itap" is "I took a picture".
"""

EIGHTY = tuple(
    """
a bad photo of a {}.
a photo of many {}.
a sculpture of a {}.
a photo of the hard to see {}.
a low resolution photo of the {}.
a rendering of a {}.
graffiti of a {}.
a bad photo of the {}.
a cropped photo of the {}.
a tattoo of a {}.
the embroidered {}.
a photo of a hard to see {}.
a bright photo of a {}.
a photo of a clean {}.
a photo of a dirty {}.
a dark photo of the {}.
a drawing of a {}.
a photo of my {}.
the plastic {}.
a photo of the cool {}.
a close-up photo of a {}.
a black and white photo of the {}.
a painting of the {}.
a painting of a {}.
a pixelated photo of the {}.
a sculpture of the {}.
a bright photo of the {}.
a cropped photo of a {}.
a plastic {}.
a photo of the dirty {}.
a jpeg corrupted photo of a {}.
a blurry photo of the {}.
a photo of the {}.
a good photo of the {}.
a rendering of the {}.
a {} in a video game.
a photo of one {}.
a doodle of a {}.
a close-up photo of the {}.
a photo of a {}.
the origami {}.
the {} in a video game.
a sketch of a {}.
a doodle of the {}.
a origami {}.
a low resolution photo of a {}.
the toy {}.
a rendition of the {}.
a photo of the clean {}.
a photo of a large {}.
a rendition of a {}.
a photo of a nice {}.
a photo of a weird {}.
a blurry photo of a {}.
a cartoon {}.
art of a {}.
a sketch of the {}.
a embroidered {}.
a pixelated photo of a {}.
itap of the {}.
a jpeg corrupted photo of the {}.
a good photo of a {}.
a plushie {}.
a photo of the nice {}.
a photo of the small {}.
a photo of the weird {}.
the cartoon {}.
art of the {}.
a drawing of the {}.
a photo of the large {}.
a black and white photo of a {}.
the plushie {}.
a dark photo of a {}.
itap of a {}.
graffiti of the {}.
a toy {}.
itap of my {}.
a photo of a cool {}.
a photo of a small {}.
a tattoo of the {}.
""".strip().splitlines()
)
"""CLIP's eighty templates for the names of ImageNet's classes."""

PUBLISHED = {
    "class folders": [
        ("ImageNet, zero-shot accuracy", 0.6333, "1,000 classes, 50,000 images", "CLIP_benchmark"),
        ("ImageNet-V2, the same, 80 templates", 0.5593, "1,000 classes, 10,000 images", "OpenAI"),
    ],
    "captions": [
        ("Flickr30k, text to image, success at 1", 0.5878, "1,000 images", "open_clip"),
        ("Flickr30k, text to image, success at 5", 0.8356, "1,000 images", "open_clip"),
        ("Flickr30k, text to image, success at 10", 0.9002, "1,000 images", "open_clip"),
        ("COCO, text to image, success at 1", 0.3044, "5,000 images", "open_clip"),
        ("COCO, text to image, success at 5", 0.5594, "5,000 images", "open_clip"),
        ("COCO, text to image, success at 10", 0.6687, "5,000 images", "open_clip"),
        ("Flickr30k, image to text, success at 1", 0.7890, "5,000 captions", "open_clip"),
        ("COCO, image to text, success at 1", 0.5012, "25,000 captions", "open_clip"),
    ],
}
"""Figures of OpenAI's ViT-B/32: what, value, pool, source.

open_clip: docs/openclip_retrieval_results.csv of https://github.com/mlfoundations/open_clip.
CLIP_benchmark: https://github.com/LAION-AI/CLIP_benchmark. OpenAI: the notebook of `SEVEN`.
"""

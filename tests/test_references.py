"""CLIP's templates are the ones that open_clip has as well; published figures say their pool."""

import open_clip

from helpers.evaluation.references import EIGHTY, PUBLISHED, SEVEN


def test_the_templates_are_clips():
    assert [t("{}") for t in open_clip.SIMPLE_IMAGENET_TEMPLATES] == list(SEVEN)
    assert [t("{}") for t in open_clip.OPENAI_IMAGENET_TEMPLATES] == list(EIGHTY)
    assert set(SEVEN) < set(EIGHTY)


def test_every_published_figure_has_a_pool_and_a_source():
    for figures in PUBLISHED.values():
        for what, value, pool, source in figures:
            assert what
            assert 0 < value < 1
            assert pool[0].isdigit()
            assert source in ("open_clip", "CLIP_benchmark", "OpenAI")

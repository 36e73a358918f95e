import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.evaluation.figures import Interval

from .benchmarks import benchmark, evaluation, machine
from .benchmarks import models as compared_models
from .benchmarks.contenders import CONTENDERS, METER, PARTS
from .benchmarks.possible import Impossible
from .support import models
from .support.processes import ROOT

QUICK = ["ours_collection_auto"]
PEERS = ("open_clip", "transformers")


@pytest.fixture(scope="module")
def flat(tmp_path_factory):
    """A flat folder of twelve photos without labels: one lies, one only we can open."""
    folder = tmp_path_factory.mktemp("flat") / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to see it upright
    for number in range(12):
        image = Image.effect_mandelbrot((90, 60), (-2 + number / 20, -1.5, 1, 1.5), 50)
        lies = {"exif": exif} if number == 5 else {}
        image.convert("RGB").save(folder / f"IMG_{number:02}.jpg", **lies)
    whole = (folder / "IMG_00.jpg").read_bytes()
    (folder / "IMG_12.jpg").write_bytes(whole[:-2])
    return folder


@pytest.fixture(scope="module")
def run(checkpoint, flat, tmp_path_factory):
    """A few ways, with a flat folder and a small model: what it printed, and the JSON's path."""
    output = tmp_path_factory.mktemp("benchmark") / "benchmark.json"
    command = [sys.executable, "-m", "tests.benchmarks.benchmark", "--model", checkpoint]
    command += ["--images", flat, "--sample", "13", "--rounds", "1", "--output", output]
    answer = subprocess.run([*command, "--only", *QUICK], capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout, output


def test_it_prints_a_table_and_writes_json(run):
    printed, output = run
    written = json.loads(output.read_text())
    assert written["results"].keys() == {"tutorial", *QUICK}
    assert written["about"]["images"] == 12
    for name, result in written["results"].items():
        assert f"| {CONTENDERS[name][0]} |" in printed
        assert result["images_per_second"] > 0
        assert result["peak_mb"] > 100


def test_every_image_that_is_claimed_was_encoded(run):
    for result in json.loads(run[1].read_text())["results"].values():
        assert result["encoded"] == result["claimed"] >= 12
        assert result["claimed"] % 12 == 0


def test_vectors_are_compared_with_the_tutorials_where_both_decode_alike(run):
    printed, output = run
    written = json.loads(output.read_text())
    results, parity = written["results"], written["parity"]
    assert results["tutorial"]["lowest_cosine"] == pytest.approx(1)
    assert results["tutorial"]["times_the_loop"] == 1
    assert results["ours_collection_auto"]["lowest_cosine"] > 0.999
    assert parity["alike"] == 11
    (lying,) = parity["others"]
    assert lying["name"] == "IMG_05.jpg"
    assert lying["reason"] == "its orientation"
    assert lying["ours_collection_auto"] < results["ours_collection_auto"]["lowest_cosine"]
    assert "of the 11 of 12 images that both sides decode alike" in printed
    assert f"`IMG_05.jpg`, for its orientation ({lying['ours_collection_auto']:.5f})" in printed
    assert "Left out, as only we can open them: IMG_12.jpg" in printed


def test_what_it_prints_says_where_and_when_and_ends_in_a_row_for_the_ledger(run):
    printed = run[0]
    assert printed.startswith(f"{machine.processor()} ({machine.features()}), ")
    assert re.search(r"cores, .*\d{4}-\d\d-\d\d, commit \S+: 12 images, ", printed)
    row = printed.splitlines()[-1]
    page = Path(benchmark.__file__).with_name("README.md").read_text(encoding="utf-8")
    (heading,) = (line for line in page.splitlines() if line.startswith("| date |"))
    assert row.startswith(f"| {row[2:12]} | ")
    assert row.count("|") == heading.count("|")


@pytest.fixture
def found():
    """Figures that can be: results of all ways but those of others, and what is beside them."""
    rates = {"tutorial": 14, "ours_files_auto": 126, "ours_collection_auto": 117.5}
    rates |= {"forward_alone": 167, "reading_alone": 495}
    rates |= {"ours_files_float32": 33.4, "ours_collection_float32": 32.5}
    results = {
        name: {
            "images_per_second": rate,
            "turns": [0.9 * rate, rate, 1.1 * rate],
            "encoded": 96,
            "claimed": 96,
            "peak_mb": 2071,
            "times_the_loop": rate / 14,
            "lowest_cosine": 0.9999,
        }
        for name, rate in rates.items()
    }
    results["machine"] = {
        "precision": "bfloat16",
        "rates": {"float32": 0.3, "bfloat16": 4},
        "gflop_per_image": 10,
    }
    seconds = {"query_tutorial": 0.04, "query": 0.01, "query_repeated": 1e-4}
    results["texts"] = seconds | {"cosine": 0.9999, "label_clip": 2, "label": 0.1}
    results["large_photos"] = {"megabytes": 3, "whole": 0.1, "drafted": 0.04, "cosine": 0.9999}
    return results, {"alike": 47, "others": [{"name": "a", "reason": "b", "ours_files_auto": 0.8}]}


def test_what_the_table_cannot_hold_is_said_in_sentences(found):
    limit, product, *_ = benchmark.facts(found[0])
    assert "1 / (1/167.0 + 1/495.0) = 124.9 images/s, which is an estimate" in limit
    assert "whichever is larger: 126.0. Files to vectors reaches 100% of it" in limit
    assert limit.endswith("folder to collection 93%.")
    assert "so the forward pass runs at 1.67 in bfloat16, 42% of it" in product


def test_figures_that_can_be_are_printed(found):
    assert "| **ours, auto, folder to collection** | 117.5 | 8.4 | 2071 | 0.99990 |" in (
        benchmark.table(*found)
    )


# What the benchmark printed on a processor with AVX512-BF16 when copies were not encoded.
IMPOSSIBLE = {
    "a collection faster than files to vectors": (
        ("ours_collection_auto", "turns", [439.7, 430, 450]),
        "folder to collection runs at 430 or more, and ours, auto, files to vectors, a part of it",
    ),
    "a collection that was not encoded": (
        ("ours_collection_auto", "encoded", 6),
        "folder to collection: 6 were done, and 96 claimed",
    ),
    "more encoded than claimed": (("tutorial", "encoded", 97), "97 were done, and 96 claimed"),
    "nothing done": (("reading_alone", "claimed", 0), "reading and scaling alone: 96 were done"),
    "files faster than the forward pass": (
        ("ours_files_auto", "turns", [220, 210, 230]),
        "our forward pass alone, auto, a part of it, at 184",
    ),
    "float32 faster than reading": (
        ("ours_files_float32", "turns", [700]),
        "files to vectors runs at 700 or more, and our reading and scaling alone",
    ),
    "a forward pass faster than its products": (
        ("machine", "gflop_per_image", 30),
        "the forward pass runs at 4.51 or more, and the matrix product, a part of it, at 4",
    ),
    "a cosine above 1": (("ours_files_auto", "lowest_cosine", 1.01), "is 1.01, and has to be from"),
    "a cosine that is no number": (("tutorial", "lowest_cosine", float("nan")), "is nan"),
    "a negative rate": (("tutorial", "images_per_second", -1), "is -1, and has to be above 0"),
    "an infinite rate": (("tutorial", "images_per_second", float("inf")), "is inf"),
    "no memory": (("tutorial", "peak_mb", 0), "the memory of the tutorial's loop, float32 is 0"),
    "a text's cosine above 1": (("texts", "cosine", 1.2), "the cosine of one query is 1.2"),
    "a query in no time": (("texts", "query_tutorial", 0), "the time of query_tutorial is 0"),
    "looking up slower than encoding": (
        ("texts", "query_repeated", 0.02),
        "a new query takes 0.01 or less, and looking it up, a part of it, 0.02",
    ),
    "a large photo in negative time": (("large_photos", "whole", -0.1), "large photos, whole is"),
    "a large photo's cosine above 1": (("large_photos", "cosine", 2), "cosine of large photos"),
}


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_what_cannot_be_is_not_printed(case, found):
    results, beside = found
    (name, figure, value), complaint = IMPOSSIBLE[case]
    results[name][figure] = value
    with pytest.raises(Impossible, match="These figures cannot be") as refused:
        benchmark.table(results, beside)
    assert complaint in str(refused.value)


def test_a_cosine_of_an_image_that_is_decoded_otherwise_cannot_be_above_1_either(found):
    results, beside = found
    beside["others"][0]["ours_files_auto"] = 1.5
    with pytest.raises(Impossible, match="the cosine of a, ours, auto, files to vectors is"):
        benchmark.table(results, beside)


def test_within_noise_a_way_may_be_as_fast_as_its_part(found):
    results, beside = found
    results["ours_collection_auto"]["turns"] = [150, 128, 155]
    assert "folder to collection" in benchmark.table(results, beside)


def test_parts_are_ways_too():
    parts = {part for several in PARTS.values() for part in several}
    assert PARTS.keys() | parts <= CONTENDERS.keys()


def test_ways_in_bfloat16_are_left_out_where_the_processor_has_none(monkeypatch):
    for has_it in (True, False):
        monkeypatch.setattr(benchmark, "has_fast_bfloat16", lambda has_it=has_it: has_it)
        precision = "bfloat16" if has_it else "float32"
        kept = benchmark.suited([*CONTENDERS], precision)
        assert ("open_clip_bfloat16" in kept) is has_it
        assert ("ours_collection_float32" in kept) is has_it
        assert {"tutorial", "open_clip_float32", "ours_collection_auto"} < set(kept)


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    """ViT-B/32 with random weights: transformers knows no smaller one by default."""
    path = tmp_path_factory.mktemp("models") / "vit.pt"
    return models.save_random_clip(path, models.VIT_B_32)


@pytest.mark.parametrize("name", CONTENDERS)
def test_each_contender_gives_the_vectors_of_the_images_in_their_order(
    name, photos, checkpoint, request
):
    peer = next((p for p in PEERS if name.startswith(p)), None)
    if peer and not find_spec(peer):
        pytest.skip(f"{peer} is not installed: the extra `bench`")
    model = request.getfixturevalue("full_size") if peer else checkpoint
    before = METER.count
    vectors = CONTENDERS[name][1](photos[:2], model)(2)
    assert METER.count - before == 2
    if vectors is None:
        assert name.endswith("alone")
        return
    expected = CONTENDERS["tutorial"][1](photos[:2], model)(2)()
    own, crossed = (vectors() * expected).sum(axis=1), (vectors() * expected[::-1]).sum(axis=1)
    assert own.min() > 0.98  # transformers scales images in another way
    assert np.all(own > crossed)


def test_models_are_compared_with_open_clips_own_vectors(photos, tmp_path):
    pytest.importorskip("open_clip", reason="an extra: pip install -e .[models]")
    small = [tmp_path / f"{number}.png" for number in range(3)]
    for path, to in zip(photos, small, strict=False):
        Image.open(path).convert("RGB").resize((60, 50)).save(to)
    folder = models.save_open_clip(tmp_path / "model", "not causal, squashed")
    found = compared_models.difference(small, folder)
    assert 0 < max(found["images"], found["texts"]) < 1e-4
    assert (found["compared"], found["otherwise"]) == (3, 0)
    rates = {"ours": 30.0, "bf16": 10.0, "bf16, DataLoader": 20.0}
    ways = {way: _measured(rate) for way, rate in rates.items()}
    row = compared_models.table({"a model": {"ways": ways, "megabytes": 7, **found}})
    assert "| `a model` | 7 | 30.0 | 1234 | 20.0 (bf16, DataLoader) | 1.50 |" in row
    alone = {"ways": {"ours": ways["ours"]}, "megabytes": 7, **found}
    assert "| 30.0 | 1234 |  | | " in compared_models.table({"a model": alone})


def _measured(rate: float) -> dict:
    return {"images_per_second": rate, "peak_mb": 1234, "encoded": 64, "claimed": 64}


def test_models_are_compared_on_images_that_both_decode_alike(flat, tmp_path):
    pytest.importorskip("open_clip", reason="an extra: pip install -e .[models]")
    folder = models.save_open_clip(tmp_path / "model", "causal, cropped")
    paths = sorted(flat.iterdir())
    found = compared_models.difference(paths[4:7], folder)
    assert (found["compared"], found["otherwise"]) == (2, 1)
    assert found["images"] < 1e-4
    with pytest.raises(SystemExit, match="both decode none of these images alike"):
        compared_models.difference(paths[5:6], folder)


def test_each_way_of_a_model_encodes_what_it_claims(flat, tmp_path, monkeypatch):
    pytest.importorskip("open_clip", reason="an extra: pip install -e .[models]")
    monkeypatch.setattr(compared_models, "LEAST", 0.01)
    folder = models.save_open_clip(tmp_path / "model", "with QuickGELU")
    for way in ("ours", "fp32"):
        found = compared_models.turn(way, sorted(flat.iterdir())[:3], folder)
        assert found["encoded"] == found["claimed"] == 3


@pytest.mark.parametrize(
    ("figure", "value", "complaint"),
    [
        ("images_per_second", 0, "the rate of a model, ours is 0, and has to be above 0"),
        ("images_per_second", float("inf"), "the rate of a model, ours is inf"),
        ("encoded", 6, "a model, ours: 6 were done, and 64 claimed"),
        ("peak_mb", -1, "the memory of a model, ours is -1"),
        ("megabytes", 0, "the size of a model is 0"),
        ("images", float("nan"), "the difference of a model, images, is nan"),
        ("texts", 2.5, "the difference of a model, texts, is 2.5, and has to be from 0 to 2"),
    ],
)
def test_what_cannot_be_of_a_model_is_not_printed(figure, value, complaint):
    found = {"ways": {"ours": _measured(30.0)}, "megabytes": 7, "images": 0, "texts": 0}
    compared_models.table({"a model": found})
    (found if figure in found else found["ways"]["ours"])[figure] = value
    with pytest.raises(Impossible, match=complaint):
        compared_models.table({"a model": found})


def test_a_large_collection_is_evaluated_step_by_step():
    command = [sys.executable, "-m", "tests.benchmarks.evaluation", "--images", "300"]
    answer = subprocess.run([*command, "--classes", "30"], capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    rows = [line for line in answer.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(rows[1:]) == 8
    assert "| 30 labels to images |" in answer.stdout
    assert "| 300 captions to images |" in answer.stdout


@pytest.mark.parametrize(
    ("figure", "value", "complaint"),
    [
        ("seconds", 0, "the time of calibration is 0, and has to be above 0"),
        ("seconds", float("nan"), "the time of calibration is nan"),
        ("seconds", 9.0, "the whole takes 5 or less, and all steps, a part of it, 10"),
        ("megabytes", 400, "the memory up to calibration is 400, and has to be at least 422"),
        ("done", 0, "calibration: 0 were done, and 300 claimed"),
        ("done", 299, "calibration: 299 were done, and 300 claimed"),
        ("shares", [Interval(1.2, 1, 1.4, 50)], "what calibration found is 1.2"),
    ],
)
def test_what_cannot_be_of_an_evaluation_is_not_printed(figure, value, complaint):
    first = evaluation.Row(evaluation.Step("reading", 300, 300), 1.0, 422)
    step, seconds = evaluation.Step("calibration", 300, 300, [Interval(0.9, 0.8, 1, 50)]), 2.0
    last = evaluation.Row(step, seconds, 430)
    assert "| calibration | 2.0 | 430 |" in evaluation.table([first, last], 5)
    if figure in ("seconds", "megabytes"):
        last = last._replace(**{figure: value})
    else:
        last = last._replace(step=step._replace(**{figure: value}))
    with pytest.raises(Impossible, match=complaint):
        evaluation.table([first, last], 5)

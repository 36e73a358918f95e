import json
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from .benchmarks import benchmark
from .benchmarks import models as compared_models
from .benchmarks.contenders import CONTENDERS
from .support import models
from .support.processes import ROOT

QUICK = ["ours_collection_auto"]
PEERS = ("open_clip", "transformers")


@pytest.fixture(scope="module")
def run(checkpoint, tmp_path_factory):
    """A few ways, with drawings and a small model: what it printed, and the JSON's path."""
    output = tmp_path_factory.mktemp("benchmark") / "benchmark.json"
    command = [sys.executable, "-m", "tests.benchmarks.benchmark", "--model", checkpoint]
    command += ["--sample", "12", "--rounds", "1", "--output", output, "--only", *QUICK]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
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


def test_vectors_are_compared_with_the_tutorials(run):
    results = json.loads(run[1].read_text())["results"]
    assert results["tutorial"]["lowest_cosine"] == pytest.approx(1)
    assert results["tutorial"]["times_the_loop"] == 1
    assert results["ours_collection_auto"]["lowest_cosine"] > 0.999


def test_what_the_table_cannot_hold_is_said_in_sentences():
    rates = {"forward_alone": 200, "reading_alone": 300, "ours_collection_auto": 60}
    results = {name: {"images_per_second": rate} for name, rate in rates.items()}
    machine = {"float32": 0.3, "bfloat16": 4, "gflop_per_image": 10}
    limit, product = benchmark.facts(results | {"machine": machine})
    assert "1 / (1/200 + 1/300) = 120 images/s: folder to collection reaches 50%" in limit
    assert "so the forward pass runs at 2.00, 50% of it" in product


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
    vectors = CONTENDERS[name][1](photos[:2], model)(2)
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
    assert 0 < max(found.values()) < 1e-4
    ways = {"ours": 30.0, "bf16": 10.0, "bf16, DataLoader": 20.0}
    ways = {way: {"images_per_second": rate, "peak_mb": 1234} for way, rate in ways.items()}
    row = compared_models.table({"a model": {"ways": ways, "megabytes": 7, **found}})
    assert "| `a model` | 7 | 30.0 | 1234 | 20.0 (bf16, DataLoader) | 1.50 |" in row
    alone = {"ways": {"ours": ways["ours"]}, "megabytes": 7, **found}
    assert "| 30.0 | 1234 |  | | " in compared_models.table({"a model": alone})


def test_a_large_collection_is_evaluated_step_by_step():
    command = [sys.executable, "-m", "tests.benchmarks.evaluation", "--images", "300"]
    answer = subprocess.run([*command, "--classes", "30"], capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    rows = [line for line in answer.stdout.splitlines() if line.startswith("| ")][1:]
    assert len(rows[1:]) == 8
    assert "| 30 labels to images |" in answer.stdout
    assert "| 300 captions to images |" in answer.stdout

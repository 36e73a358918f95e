import shutil
import uuid
from datetime import date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from helpers import (
    ImageStore,
    Query,
    ingest,
    like,
    list_images,
    near,
    retrieval,
    search,
)
from helpers.collection import store as store_module
from helpers.query.chance import among_others
from helpers.query.queries import parse
from helpers.retrieval import known_labels

from .support.processes import TOKEN
from .support.wire import counted


def test_a_text_finds_what_the_exact_product_finds(ingested, encoder):
    query = encoder.encode_texts(["a red star"])[0]
    rows = list(ingested.rows(["filepath", "vector"]))
    scores = np.array([r["vector"] for r in rows]) @ query
    best = [rows[i]["filepath"] for i in np.argsort(-scores)[:10]]
    results = search("a red star", encoder, ingested)
    assert [hit.filepath for hit in results] == best
    assert [hit.score for hit in results] == pytest.approx(sorted(scores)[::-1][:10], abs=1e-5)


def test_an_image_finds_itself_by_path_picture_or_vector(ingested, encoder, drawings):
    path = list_images(drawings)[3]
    vector = encoder.encode_images([path])[0]
    for query in (path, Image.open(path), vector, 5 * vector):
        hit = search(query, encoder, ingested, limit=1)[0]
        assert hit.path == path
        assert hit.score == pytest.approx(1, abs=1e-4)


def test_a_hit_knows_its_image(ingested, encoder, drawings):
    hit = search("x", encoder, ingested, limit=1)[0]
    assert hit.path == drawings / hit.filepath
    assert hit.label == Path(hit.filepath).parent.name
    assert (hit.width, hit.height) == Image.open(hit.path).size


def test_pages_follow_each_other_without_gap_or_repetition(ingested, encoder):
    whole = [hit.filepath for hit in search("a star", encoder, ingested, limit=12)]
    pages = [search("a star", encoder, ingested, limit=4, offset=o) for o in (0, 4, 8)]
    assert [hit.filepath for page in pages for hit in page] == whole
    assert len(search("a star", encoder, ingested, limit=4, offset=50)) == 0


def test_templates_change_the_text(ingested, encoder):
    plain = search("star", encoder, ingested)[0].score
    phrased = search("star", encoder, ingested, templates=["a photo of a {}"])[0].score
    assert phrased == search("a photo of a star", encoder, ingested)[0].score != plain


def test_where_and_filter_must_both_hold(ingested, encoder, drawings):
    labels = sorted({path.parent.name for path in list_images(drawings)})
    within = search("x", encoder, ingested, limit=50, where={"label": labels[:2]})
    assert {hit.label for hit in within} == set(labels[:2])
    second = f'label == "{labels[1]}"'
    both = search("x", encoder, ingested, limit=50, where={"label": labels[:2]}, filter=second)
    assert {hit.label for hit in both} == {labels[1]}
    assert len(search("x", encoder, ingested, where={"width": (1, 2)})) == 0
    either = f'label == "{labels[0]}" or label == "{labels[1]}"'
    narrowed = search("x", encoder, ingested, limit=50, where={"label": labels[0]}, filter=either)
    assert {hit.label for hit in narrowed} == {labels[0]}


def test_texts_and_images_mix(ingested, encoder, drawings):
    path = list_images(drawings)[0]
    query = Query(like=[path, ("a star", 0.1)], unlike=[("a fish", 0.05)])
    results = search(query, encoder, ingested)
    assert results[0].path == path
    assert results.query is query
    title = f"{path.name} + a star x 0.1, unlike a fish x 0.05"
    assert results.summary.startswith(f"{title}: 10 images in ")


def test_a_search_with_thumbs_can_be_asked_again_by_its_code(ingested, encoder, drawings):
    paths = list_images(drawings)
    query = Query.of("a star", None, "grass").with_feedback(paths[:7], paths[30:33])
    results = search(query, encoder, ingested)
    names = {"search": search, "Query": Query, "encoder": encoder, "store": ingested}
    assert eval(results.code, names).hits == results.hits


def test_thumbs_are_not_encoded_again(ingested, encoder, drawings, monkeypatch):
    paths = list_images(drawings)
    query = Query(["a star"]).with_feedback(paths[:3], paths[30:31])
    vector = among_others(parse(query).ways[0], encoder, None, ingested.sample(1000), {}).vector
    monkeypatch.setattr(encoder, "encode_images", None)
    found = search(query, encoder, ingested)
    best = ingested.search(vector, 10)
    assert [hit.filepath for hit in found] == [row["filepath"] for row in best]
    assert np.allclose([hit.score for hit in found], [row["score"] for row in best], atol=1e-5)


def test_a_stored_vector_is_what_the_encoder_would_return(ingested, encoder, drawings):
    paths = list_images(drawings)[::9]
    asked = [*paths, drawings / "gone.jpg", drawings.parent / "else.jpg"]
    found = retrieval._stored_vectors(parse(Query(asked)), ingested)
    assert found.keys() == {*paths}
    encoded = np.array([encoder.encode_images([path])[0] for path in paths])
    assert np.allclose([found[path] for path in paths], encoded, atol=1e-6)


def test_a_file_that_changed_since_is_not_taken_for_what_it_was(folder, encoder, store, tmp_path):
    def known(*paths):
        return retrieval._stored_vectors(parse(Query(paths)), store).keys()

    assert known(folder / "a.jpg") == set()
    ingest(folder, encoder, store, progress=False)
    changed, kept = list_images(folder)[:2]
    Image.new("RGB", (30, 30), "red").save(changed)
    assert known(changed, kept) == {kept}
    assert known(folder / "\udcff.jpg", kept) == {kept}


def test_thumbs_lead_from_vague_words_to_what_is_meant_which_guards_a_gain(tiny, store, drawings):
    ingest(drawings, tiny, store, progress=False)
    of_each: dict[str, list[Path]] = {}
    for path in list_images(drawings):
        of_each.setdefault(path.parent.name, []).append(path)
    found = []
    for wanted, good in of_each.items():
        bad = [paths[0] for label, paths in of_each.items() if label != wanted]
        query = Query(["something"]).with_feedback(good[:2], bad)
        found += [hit.label == wanted for hit in search(query, tiny, store)]
    assert np.mean(found) > 2 / len(of_each)  # without thumbs, each gets its share of the ten


@pytest.mark.parametrize(
    ("query", "error", "words"),
    [
        ("  \n", ValueError, "blank"),
        (Query(), ValueError, "empty"),
        (Query(like=["a"], unlike=[("a", 1)]), ValueError, "cancels itself out"),
        (Query(like=[("a", 0)]), ValueError, "above 0"),
        (Query(like=[("a", -1)]), ValueError, "unlike"),
        (Query(like="a"), TypeError, "lists"),
        (Query(like=[("a", "b")]), TypeError, "pair"),
        (Query(like=[("a", 1, 2)]), TypeError, "pair"),
        (Query(like=[("a", float("nan"))]), ValueError, "above 0"),
        (Query(["a"], None), TypeError, r"lists, such as \['a dog'\], not None"),
        (Query(5), TypeError, "lists, such as .*, not 5"),
        (42, TypeError, "cannot search for 42: use a text"),
        (None, TypeError, "cannot search for None"),
        (["a", "b"], TypeError, r"cannot search for \['a', 'b'\]: .* or Query"),
        (9 * [1e-9] * 99, TypeError, r"^.{,80}: use a text"),
        (np.ones(3), ValueError, r"shape \(64,\), not \(3,\)"),
        (np.zeros(64), ValueError, "length zero"),
        (np.full(64, np.nan), ValueError, "not finite"),
        (Path("gone.jpg"), OSError, "gone.jpg"),
    ],
)
def test_a_query_that_makes_no_sense_says_what_is_wrong(ingested, encoder, query, error, words):
    with pytest.raises(error, match=words):
        search(query, encoder, ingested)


@pytest.mark.parametrize(
    ("page", "error", "words"),
    [
        ({"limit": 0}, ValueError, "limit must be at least 1, got 0"),
        ({"limit": -1}, ValueError, "limit must be at least 1, got -1"),
        ({"offset": -1}, ValueError, "offset must be at least 0, got -1"),
        ({"limit": 16_385}, ValueError, "at most 16,384 images .* not 16385"),
        ({"limit": 2, "offset": 16_383}, ValueError, "16,384 images with those skipped"),
        ({"limit": "10"}, TypeError, "limit is a whole number, not '10'"),
        ({"limit": True}, TypeError, "limit is a whole number, not True"),
        ({"limit": 10.0}, TypeError, r"limit is a whole number, not 10\.0"),
        ({"offset": 2.5}, TypeError, r"offset is a whole number, not 2\.5"),
    ],
)
def test_a_page_that_cannot_be_is_refused_by_the_name_of_what_is_wrong(
    page, error, words, ingested, encoder
):
    with pytest.raises(error, match=words):
        search("x", encoder, ingested, **page)


def test_a_page_of_none_is_the_first_one(ingested, encoder):
    page = search("x", encoder, ingested, limit=None, offset=None)
    assert page.hits == search("x", encoder, ingested).hits


def test_a_collection_of_another_model_is_refused(ingested, other_encoder):
    with pytest.raises(ValueError, match=r"filled by the model 'random\.pt'"):
        search("x", other_encoder, ingested)


def test_an_empty_collection_gives_an_empty_result(store, encoder, tmp_path):
    assert len(search("x", encoder, store)) == 0
    store.open_for(encoder, tmp_path)
    results = search("x", encoder, store)
    assert len(results) == 0
    columns = ["filepath", "score", "margin", "label", "width", "height"]
    columns += ["taken", "camera", "latitude", "longitude"]
    assert results.to_frame().columns.tolist() == columns
    assert results.matches is None
    assert "0 images" in results._repr_html_()


def test_what_milvus_does_not_understand_is_a_value_error(ingested, encoder):
    with pytest.raises(ValueError, match=r"Milvus refused .*label =="):
        search("x", encoder, ingested, filter="label ==")
    with pytest.raises(ValueError, match="cannot be grouped by 'no field'"):
        search("x", encoder, ingested, group_by="no field")


def test_each_value_of_a_group_appears_once_with_its_best_image(ingested, encoder):
    best = {}
    for hit in search("a star", encoder, ingested, limit=50):
        best.setdefault(hit.label, hit)
    grouped = search("a star", encoder, ingested, limit=20, group_by="label")
    assert [hit.filepath for hit in grouped] == [hit.filepath for hit in best.values()]
    page = search("a star", encoder, ingested, limit=2, offset=1, group_by="label")
    assert page.hits == grouped.hits[1:3]


@pytest.fixture(scope="module")
def doubled(tmp_path_factory, drawings, tiny):
    """Every drawing twice, the second smaller and of worse quality, and one of them thrice."""
    folder = tmp_path_factory.mktemp("doubled") / "images"
    for path in list_images(drawings):
        image = Image.open(path)
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        image.save(target, quality=95)
        image.resize((200, 200)).save(target.with_suffix(".small.jpg"), quality=60)
    image.save(target.with_suffix(".png"))
    with ImageStore(folder.parent / "milvus.db") as store:
        ingest(folder, tiny, store, progress=False)
        assert store.count() == 101
        yield store, tiny


def test_near_duplicates_are_folded_and_nothing_else(doubled, drawings):
    store, encoder = doubled
    results = search("x", encoder, store, limit=100, unique=True)
    drawn = {
        path.relative_to(drawings).with_suffix("").as_posix() for path in list_images(drawings)
    }
    assert {hit.filepath.split(".")[0] for hit in results} == drawn
    assert len(results) == len(drawn) == 50
    for hit in results:
        assert {name.split(".")[0] for name in hit.alike} == {hit.filepath.split(".")[0]}
    assert sorted(len(hit.alike) for hit in results) == [1] * 49 + [2]
    assert "(+1 alike)" in results.to_html()


def test_exact_copies_name_each_other(encoder, store, tmp_path):
    for name in ("a", "b"):
        Image.effect_noise((40, 30), 80).save(tmp_path / f"{name}.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "copy of a.png")
    ingest(tmp_path, encoder, store, progress=False)
    found = {hit.filepath: hit.alike for hit in search("x", encoder, store)}
    assert found == {"a.png": ("copy of a.png",), "copy of a.png": ("a.png",), "b.png": ()}


def test_pages_of_unique_images_follow_each_other(doubled):
    store, encoder = doubled
    whole = search("a star", encoder, store, limit=12, unique=True)
    assert len(whole) == 12
    pages = [search("a star", encoder, store, limit=4, offset=o, unique=True) for o in (0, 4, 8)]
    assert [hit.filepath for page in pages for hit in page] == [hit.filepath for hit in whole]
    both = search("a star", encoder, store, limit=9, unique=True, group_by="label")
    assert both.to_frame().label.is_unique
    assert len(both) == 5


@pytest.mark.parametrize(
    "option", [{"where": {"heigth": 5}}, {"filter": 'heigth == 5 and label == "x"'}]
)
def test_a_field_that_does_not_exist_is_an_error_with_those_that_do(option, ingested, encoder):
    with pytest.raises(ValueError, match=r"no field 'heigth' here; there are .*height.*width"):
        search("a star", encoder, ingested, **option)


def test_a_field_that_somebody_added_to_a_row_exists(encoder, store, drawings):
    ingest(drawings, encoder, store, limit=5, progress=False)
    (row,) = store.client.query(store.collection_name, limit=1, output_fields=["*"])
    store.client.upsert(store.collection_name, [row | {"rating": 5}])
    assert len(search("a star", encoder, store, where={"rating": 5})) == 1
    assert len(search("a star", encoder, store, where={"rating": 4})) == 0


def test_a_label_that_no_image_has_is_said_with_similar_ones(ingested, encoder):
    label = ingested.labels()[0]
    for asked in (f"{label}s!", [f"{label}s!", "another"]):
        found = search("a star", encoder, ingested, where={"label": asked})
        assert len(found) == 0
        assert f"No image has the label '{label}s!'. Some labels: {label}" in found.summary
    nothing = search("a star", encoder, ingested, where={"width": (10**6, None)})
    assert nothing.note == "No image passes these filters."
    assert search("a star", encoder, ingested, where={"label": label}, offset=999).note == ""


@pytest.mark.parametrize(
    "written", [str.upper, str.title, " {} ".format, "{}\n".format, "\ufeff{}".format,
                lambda label: label.replace(" ", "_"), lambda label: label.replace(" ", "  ")]
)  # fmt: skip
def test_a_label_is_found_however_it_is_written(written, ingested, encoder):
    label, other = (name for name in ingested.labels() if " " in name and len(name) < 10)
    right = search("a star", encoder, ingested, where={"label": label})
    found = search("a star", encoder, ingested, where={"label": written(label)})
    assert found.hits == right.hits != ()
    assert f"'label': [{label!r}]" in found.code
    both = search("a star", encoder, ingested, where={"label": [written(label), other]}, limit=50)
    assert {hit.label for hit in both} == {label, other}


def test_a_label_is_first_of_all_what_is_written():
    labels = ["Dog", "dog", "Dog ", "hot_dog", "Stra\u00dfe", "Cafe\u0301", "cat\n"]
    assert known_labels("dog", labels) == ["dog"]
    assert known_labels("DOG", labels) == ["Dog", "dog", "Dog "]
    assert known_labels("Hot Dog", labels) == ["hot_dog"]
    assert known_labels("STRASSE", labels) == ["Stra\u00dfe"]
    assert known_labels("caf\u00e9", labels) == ["Cafe\u0301"]
    assert known_labels("cat", labels) == ["cat\n"]
    assert known_labels("do", labels) == known_labels("", labels) == known_labels("dog", []) == []


def test_a_label_of_blanks_or_capitals_of_a_folder_is_found(encoder, store, photos):
    folder = photos[0].parent / " Wedding  2019 "
    folder.mkdir()
    for photo in photos:
        shutil.move(photo, folder)
    ingest(folder.parent, encoder, store, progress=False)
    for label in ("wedding 2019", folder.name, ["Wedding_2019", "unknown"]):
        assert len(search("a star", encoder, store, where={"label": label})) == len(photos)


def test_labels_are_not_listed_if_those_asked_for_are_found(ingested, encoder, monkeypatch):
    label = ingested.labels()[0]
    monkeypatch.setattr(ImageStore, "labels", None)
    assert search("a star", encoder, ingested, where={"label": [label]})


@pytest.fixture(scope="module")
def dated(tmp_path_factory, drawings, encoder):
    """The drawings as photos: one of two of a day in 2019, in a camera and a place of its own."""
    folder = tmp_path_factory.mktemp("dated") / "images"
    for number, path in enumerate(list_images(drawings)):
        exif = Image.Exif()
        if number % 2:
            day = f"2019:{1 + number % 3:02}:{1 + number % 20:02} 12:00:00"
            exif[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: day}
            exif[ExifTags.Base.Model] = f"Camera {number % 4}"
            exif[ExifTags.IFD.GPSInfo] = {1: "S", 2: (16.0, 51.0, 0.0), 3: "EW"[number % 3 == 0],
                                          4: (179.0, float(number), 0.0)}  # fmt: skip
        copy = folder / path.relative_to(drawings)
        copy.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).save(copy, exif=exif)
    with ImageStore(tmp_path_factory.mktemp("dated") / "milvus.db") as opened:
        ingest(folder, encoder, opened, progress=False)
        yield opened


def test_hits_have_a_date_a_camera_and_a_place_or_none(dated, encoder, tmp_path):
    found = search("a star", encoder, dated, limit=50)
    for hit in found:
        number = int(hit.camera[-1]) if hit.camera else None
        assert (hit.taken is None) == (hit.latitude is None) == (number is None)
    photo = next(hit for hit in found if hit.taken)
    assert photo.taken.year == 2019
    assert photo.taken.hour == 12
    assert photo.latitude == pytest.approx(-16.85)
    assert f"{photo.label} · {photo.taken.date()}" in photo.caption
    assert " · " not in next(hit for hit in found if not hit.taken).caption.split("\n")[1]
    table = found.to_frame()
    assert table.taken.dtype == "datetime64[s]"
    assert table.taken.isna().sum() == table.latitude.isna().sum() == 25
    written = found.to_csv(tmp_path / "hits.csv").read_text(encoding="utf-8")
    assert photo.taken.isoformat() in written
    again = pd.read_csv(tmp_path / "hits.csv", parse_dates=["taken"])
    assert again.taken.astype("datetime64[s]").equals(table.taken)


def test_photos_are_found_by_date_camera_place_and_name(dated, encoder):
    def found(**where):
        return search("a star", encoder, dated, limit=50, where=where)

    assert len(found(taken="2019")) == len(found(taken=(None, None))) == 25
    assert {hit.taken.month for hit in found(taken=(date(2019, 2, 1), "2019-02"))} == {2}
    assert {hit.camera for hit in found(camera="Camera 3")} == {"Camera 3"}
    across = found(place=near(-16.85, 180, km=60))
    assert {hit.longitude > 0 for hit in across} == {True, False}
    assert 2 < len(across) < 25
    asked = {"taken": 2019, "filepath": like("*star*"), "place": near(-16.85, 180, km=200)}
    both = search("a star", encoder, dated, where=asked)
    assert {"star" in hit.filepath for hit in both} == {True}
    names = {"search": search, "encoder": encoder, "store": dated, "near": near, "like": like}
    assert eval(both.code, names).hits == both.hits


@pytest.mark.parametrize(
    ("where", "told"),
    [({"taken": 2019}, "when it was taken"), ({"camera": "X100V"}, "which camera took it"),
     ({"place": near(0, 0, km=1)}, "where it was taken"), ({"latitude": (0, 1)}, "where it was")],
)  # fmt: skip
def test_where_no_photo_tells_it_is_said(
    where, told, photos, tmp_path, store, encoder, dated, monkeypatch
):
    ingest(tmp_path, encoder, store, progress=False)
    assert f"No image here tells {told}" in search("a star", encoder, store, where=where).summary
    where_many_tell = {"taken": 1950} if "taken" in where else where
    nothing = search("a star", encoder, dated, where=where_many_tell)
    assert nothing.note == "No image passes these filters."
    monkeypatch.setattr(retrieval.columns, "FORMAT", 10)
    note = search("a star", encoder, store, where=where).note
    assert note.endswith(": ingest into another collection_name to read it.")


def order(results):
    return [(hit.taken or datetime.min, hit.filepath) for hit in results]


def newest_first(hits):
    return sorted(hits, key=lambda hit: hit.taken or datetime.min, reverse=True)


def test_without_a_verdict_the_best_are_sorted_by_date(dated, encoder, monkeypatch):
    monkeypatch.setattr(retrieval, "_SORTED_UNJUDGED", 12)  # 200 otherwise
    best = search("a star", encoder, dated, limit=12)
    found = search("a star", encoder, dated, limit=50, sort_by="taken")
    assert order(found) == order(newest_first(best)) != order(best)
    assert found[-1].taken is None
    assert (found.margin, found.matches) == (best.margin, best.matches)
    assert "sort_by='taken'" in found.code
    pages = [search("a star", encoder, dated, limit=6, offset=o, sort_by="taken") for o in (0, 6)]
    assert [hit for page in pages for hit in page] == list(found)


def test_with_a_verdict_all_matches_are_sorted_by_date(dated, encoder, monkeypatch):
    everything = search("a star", encoder, dated, limit=50)
    margins = sorted(hit.margin for hit in everything)
    monkeypatch.setattr(retrieval, "match_threshold", lambda *_: margins[30])
    matches = newest_first([hit for hit in everything if hit.margin >= margins[30]])
    pages = [search("a star", encoder, dated, limit=8, offset=o, sort_by="taken") for o in (0, 8)]
    assert [order(page) for page in pages] == [order(matches[:8]), order(matches[8:16])]
    assert all(page.matches for page in pages)
    assert len(search("a star", encoder, dated, limit=50, sort_by="taken")) == 20
    monkeypatch.setattr(retrieval, "match_threshold", lambda *_: margins[-1] + 1)
    nothing = search("a star", encoder, dated, sort_by="taken")
    assert len(nothing) == 0
    assert "Nothing here matches well" in nothing.summary


def test_of_a_few_images_none_is_left_out_when_they_are_sorted(
    encoder, store, drawings, monkeypatch
):
    ingest(drawings, encoder, store, limit=5, progress=False)
    monkeypatch.setattr(retrieval, "match_threshold", lambda *_: 3.0)
    assert len(search("a star", encoder, store, sort_by="taken")) == 5


def test_pages_of_sorted_matches_never_overlap(dated, encoder, monkeypatch):
    monkeypatch.setattr(retrieval, "match_threshold", lambda *_: -100.0)
    monkeypatch.setattr(retrieval, "_SORTED", 30)
    pages = [
        search("a star", encoder, dated, limit=8, offset=o, sort_by="taken")
        for o in range(0, 50, 8)
    ]
    names = [hit.filepath for page in pages for hit in page]
    assert len(names) == len(set(names)) == 30


def test_it_is_said_where_sorting_ends_before_the_limit(dated, encoder, monkeypatch):
    monkeypatch.setattr(retrieval, "_SORTED_UNJUDGED", 12)  # 200 otherwise
    note = "Newest first shows the best 12 images alone, best first shows more"

    def noted(limit, offset=0, **options):
        options = {"sort_by": "taken", **options}
        return search("a star", encoder, dated, limit=limit, offset=offset, **options).note

    assert noted(13) == noted(5, 10) == noted(10, 20) == noted(50, group_by="filepath") == note
    assert note in search("a star", encoder, dated, limit=13, sort_by="taken").summary
    # Not where all are shown that were asked for, or all that there are.
    assert noted(12) == noted(2, 10) == noted(50, sort_by="") == ""
    assert noted(50, group_by="label") == noted(50, where={"taken": "2019-01-02"}) == ""
    monkeypatch.setattr(retrieval, "_SORTED_UNJUDGED", 50)
    assert noted(100) == ""


def test_it_is_said_where_sorting_ends_with_those_that_match(dated, encoder, monkeypatch):
    everything = search("a star", encoder, dated, limit=50)
    margins = sorted(hit.margin for hit in everything)
    monkeypatch.setattr(retrieval, "match_threshold", lambda *_: margins[30])
    assert search("a star", encoder, dated, limit=20, sort_by="taken").note == ""
    more = search("a star", encoder, dated, limit=21, sort_by="taken")
    assert more.note == "Newest first shows the best 20 images alone, best first shows more"
    monkeypatch.setattr(retrieval, "match_threshold", lambda *_: margins[-1] + 1)
    assert search("a star", encoder, dated, limit=21, sort_by="taken").note == ""


@pytest.mark.parametrize(
    "options",
    [{"limit": np.int64(5)}, {"group_by": np.str_("label")},
     {"where": {"place": near(0, 0, km=float("inf"))}}, {"where": {"camera": like(np.str_("C*"))}},
     {"where": {"taken": pd.Timestamp("2019-01-02 12:00")}, "sort_by": None}],
)  # fmt: skip
def test_the_code_runs_whatever_the_options_are_made_of(options, dated, encoder):
    results = search("a star", encoder, dated, **options)
    names = {"search": search, "encoder": encoder, "store": dated, "near": near, "like": like}
    assert eval(results.code, names).hits == results.hits


def test_a_label_in_the_other_form_of_its_accents_is_not_said_to_be_missing(encoder, store, photos):
    folder = photos[0].parent / "Cafe\u0301"
    folder.mkdir()
    shutil.move(photos[0], folder)
    ingest(folder.parent, encoder, store, progress=False)
    where = {"label": ["Caf\u00e9"], "width": (10**6, None)}
    assert search("a star", encoder, store, where=where).note == "No image passes these filters."


def test_hits_are_sorted_by_dates_only(ingested, encoder):
    with pytest.raises(
        ValueError, match="sort_by is 'taken', or '' for the best first, not 'width'"
    ):
        search("a star", encoder, ingested, sort_by="width")


def test_a_text_is_no_flag(ingested, encoder):
    with pytest.raises(TypeError, match="unique is True or False, not 'false'"):
        search("a star", encoder, ingested, unique="false")


def test_the_folder_may_have_moved(ingested, encoder, drawings, tmp_path):
    (tmp_path / "moved").mkdir()
    with ImageStore(ingested._connection.uri, image_dir=tmp_path / "moved") as store:
        hit = search("x", encoder, store, limit=1)[0]
    assert hit.path == tmp_path / "moved" / hit.filepath


@pytest.fixture(params=["file", "server"])
def address(request, ingested, tmp_path, monkeypatch) -> str:
    """Where a Milvus answers: one that serves a file, or a server."""
    if request.param == "file":
        return ingested.client._config.uri
    monkeypatch.setenv("MILVUS_TOKEN", TOKEN)
    return request.getfixturevalue("server").address


@pytest.fixture
def two_stores(address, drawings, encoder):
    """Two stores of one collection, as of two processes; what passes to the first is counted."""
    name = f"shared_{uuid.uuid4().hex}"
    with (
        counted(address) as wire,
        ImageStore(wire.address, name) as ours,
        ImageStore(address, name) as theirs,
    ):
        ingest(drawings, encoder, theirs, limit=30, progress=False)
        yield ours, theirs, wire
        theirs.client.drop_collection(name)


def five_seconds_later(store) -> None:
    assert store_module._FRESH < 5
    store._known_at -= store_module._FRESH


def test_a_warm_search_makes_two_requests_at_most(two_stores, encoder):
    """With `unique` and `group_by` it asks on, where too few are left."""
    ours, _, wire = two_stores
    for option in ({}, {"where": {"width": (1, None)}}, {"offset": 2}):
        search("a star", encoder, ours, **option)
        for pause in (lambda store: None, five_seconds_later):
            pause(ours)
            before = wire.requests
            assert len(search("a star", encoder, ours, limit=3, **option)) == 3
            assert 1 <= wire.requests - before <= 2


def test_what_another_process_wrote_is_in_hits_and_margins(two_stores, encoder, drawings):
    ours, theirs, _ = two_stores
    before = search("a fish", encoder, ours, limit=50)
    assert len(before) == 30
    ingest(drawings, encoder, theirs, progress=False)
    five_seconds_later(ours)
    with ImageStore(theirs._connection.uri, theirs.collection_name) as new:
        expected = search("a fish", encoder, new, limit=50)
    after = search("a fish", encoder, ours, limit=50)
    assert len(after) == 50
    assert after.hits == expected.hits != before.hits


def test_a_collection_that_another_process_dropped_is_empty(two_stores, encoder, drawings):
    ours, theirs, _ = two_stores
    assert len(search("a fish", encoder, ours)) == 10
    theirs.drop()
    assert len(search("a fish", encoder, ours)) == 0
    assert (ours.count(), ours.labels(), list(ours.rows(["id"]))) == (0, [], [])
    assert len(search("a fish", encoder, ours)) == 0
    ingest(drawings, encoder, theirs, limit=7, progress=False)
    assert len(search("a fish", encoder, ours)) == 7  # what is missing is looked for each time


def test_a_collection_that_another_process_made_anew_is_seen(
    two_stores, encoder, other_encoder, drawings
):
    ours, theirs, _ = two_stores
    assert len(search("a fish", encoder, ours)) == 10
    ingest(drawings, other_encoder, theirs, recreate=True, limit=20, progress=False)
    five_seconds_later(ours)
    with pytest.raises(ValueError, match=r"filled by the model 'other\.pt'"):
        search("a fish", encoder, ours)
    assert len(search("a fish", other_encoder, ours, limit=50)) == 20


def test_one_that_another_process_made_anew_is_loaded_anew(two_stores, encoder, drawings):
    ours, theirs, _ = two_stores
    assert len(search("a fish", encoder, ours)) == 10
    ingest(drawings, encoder, theirs, recreate=True, limit=20, progress=False)
    theirs.client.release_collection(theirs.collection_name)
    five_seconds_later(ours)
    assert len(search("a fish", encoder, ours, limit=50)) == 20

from helpers import ingest, list_images
from helpers.report import IngestReport


def test_a_report_of_an_interrupted_run_says_what_to_do():
    assert "Run it again" in IngestReport(found=9, inserted=3, interrupted=True)._repr_html_()
    assert "Run it again" not in IngestReport(found=9, inserted=9)._repr_html_()


def test_what_was_left_out_is_in_the_report_and_its_table(folder, encoder, store):
    (folder / "IMG_1").write_bytes(list_images(folder)[0].read_bytes())
    report = ingest(folder, encoder, store, progress=False)
    assert report.to_frame().loc[0, "left_out"] == 1
    for shown in (repr(report), report._repr_html_()):
        assert "without an image's ending" in shown
        assert "IMG_1" in shown


def test_the_report_is_a_table(folder, encoder, store):
    (folder / "empty.jpg").touch()
    report = ingest(folder, encoder, store, progress=False)
    counts = report.to_frame().loc[0, ["found", "inserted", "unchanged", "skipped"]]
    assert counts.tolist() == [51, 50, 0, 1]
    assert "<table" in report._repr_html_()

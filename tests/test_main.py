"""`python -m helpers`, on notebooks of two cells."""

import html
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import venv
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

import nbformat
import pytest

from helpers import __main__ as runner
from helpers import settings

from .support.notebooks import NOTEBOOKS, outputs
from .support.processes import ROOT, environment, make

ODD = ["-dog", "-p", "--", "=x", "1e3", "NO", '"x"', "a\nb", "été 😀"]
TEXTS = [f"text_{number}" for number in range(len(ODD) + 1)]
PARAMETERS = ["image_dir", "milvus_uri", "output_csv", "profile", "query_text", *TEXTS]


def write_notebook(path: Path, source: str, markdown: str = "", tags: Sequence[str] = ()) -> None:
    parameters = "\n".join(f"{name} = None" for name in PARAMETERS)
    cells = [nbformat.v4.new_code_cell(text) for text in (parameters, source)]
    cells[0].metadata["tags"], cells[1].metadata["tags"] = ["parameters"], list(tags)
    cells.append(nbformat.v4.new_markdown_cell(markdown))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that makes a project of the notebook `1_one`, and runs it in a folder."""
    project, caller = tmp_path / "project", tmp_path / "caller"
    (project / "notebooks").mkdir(parents=True)
    caller.mkdir()
    for name, value in environment(tmp_path / "data").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(caller)
    monkeypatch.setattr(runner, "project_root", lambda: project)

    def run_notebook(source: str, *arguments: str, tags: Sequence[str] = ()) -> int:
        write_notebook(project / "notebooks" / "1_one.ipynb", source, tags=tags)
        monkeypatch.setattr(sys, "argv", ["helpers", "--output", str(tmp_path), *arguments])
        return runner.main()

    return run_notebook


def printed(folder: Path) -> str:
    return "".join(output.get("text", "") for output in outputs(folder / "1_one.ipynb"))


def test_parameters_reach_the_notebook_and_a_page_is_written(run, tmp_path):
    code = run("print([profile, query_text])", "--profile", "demo", "-p", "query_text", "a dog")
    assert code == 0
    assert printed(tmp_path) == "['demo', 'a dog']\n"
    assert "a dog" in (tmp_path / "1_one.html").read_text(encoding="utf-8")


def test_a_text_reaches_the_notebook_as_it_was_typed(run, tmp_path):
    """The last one is bytes that are no text, as a terminal without UTF-8 passes letters on."""
    texts = dict(zip(TEXTS, [*ODD, os.fsdecode("é".encode("latin-1"))], strict=True))
    expected = [*ODD, "\ufffd"]
    typed = [word for name, text in texts.items() for word in ("-p", name, text)]
    assert run(f"print([{', '.join(TEXTS)}])", *typed, "-p", "profile", "-") == 0
    assert printed(tmp_path) == f"{expected}\n"


def test_a_folder_may_have_any_name(run, tmp_path):
    folder = tmp_path / "a%20b#c {query_text} {x} [y]"
    assert run("print([query_text])", "-p", "query_text", "a", "--output", str(folder)) == 0
    assert printed(folder) == "['a']\n"


def test_a_relative_folder_is_the_callers(run, tmp_path):
    (tmp_path / "caller" / "mine").mkdir()
    source = "from pathlib import Path\nprint(Path(image_dir).resolve())"
    assert run(source, "-p", "image_dir", "mine") == 0
    assert printed(tmp_path) == f"{tmp_path / 'caller' / 'mine'}\n"


def test_without_the_notebooks_one_line_says_so(run, monkeypatch, capfd):
    monkeypatch.setattr(runner, "project_root", lambda: None)
    with pytest.raises(SystemExit) as ended:
        run("")
    assert ended.value.code == 2
    assert capfd.readouterr().err == (
        "The notebooks are not here: run this in a clone of the project\n"
    )


@pytest.mark.parametrize(
    ("module", "missing"), [("helpers", "papermill"), ("helpers.app", "voila")]
)
def test_where_nothing_is_installed_a_command_says_what_to_do(tmp_path, module, missing):
    """In a new virtual environment, as with the Python of a system."""
    venv.create(tmp_path / "empty", symlinks=os.name == "posix")
    folder = "bin" if os.name == "posix" else "Scripts"
    command = [tmp_path / "empty" / folder / "python", "-I", "-c"]
    command += [f"import sys, runpy; sys.path[:0] = ['.']; runpy.run_module({module!r}, "]
    command[-1] += "run_name='__main__')"
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert f"{missing} is missing: `make run`, or" in done.stderr
    assert 'pip install -c constraints.txt -e ".[run]"' in done.stderr


@pytest.mark.parametrize("missing", ["papermill", "nbconvert", "ipykernel"])
def test_no_notebook_is_run_if_a_library_is_missing(run, monkeypatch, tmp_path, capfd, missing):
    """As after `pip install .`, or without what writes pages."""
    monkeypatch.setattr(settings, "find_spec", lambda name: None if name == missing else True)
    assert run("print(1)") == 2
    assert capfd.readouterr().err.startswith(f"{missing} is missing: ")
    assert not list(tmp_path.glob("*.ipynb"))


def test_a_failing_notebook_makes_the_run_fail_and_names_notebook_and_cell(
    run, tmp_path, monkeypatch, capfd
):
    """Here for want of a server; and the token is not in the traceback that is kept."""
    monkeypatch.setenv("MILVUS_TOKEN", "geheim-token")
    address = "http://root:geheim-wort@127.0.0.1:9"
    source = "from helpers import ImageStore\nImageStore(milvus_uri)"
    assert run(source, "-p", "milvus_uri", address) == 1
    said = capfd.readouterr().err
    assert re.search(r"1_one.ipynb failed in cell \[\d\]: ConnectionError", said)
    executed = (tmp_path / "1_one.ipynb").read_text(encoding="utf-8")
    assert "geheim-token" not in executed + said


def test_a_notebook_that_finds_nothing_to_judge_ends_there_without_a_traceback(
    run, capfd, tmp_path
):
    """As 06 and 07 do with photos of which nobody said what is right; the run goes on."""
    source = "class NothingJudgedError(ValueError): ...\nraise NothingJudgedError('none\\ndo it')"
    assert run(source) == 0
    printed = capfd.readouterr()
    assert "1_one ends early: none. Its page says what to do" in printed.out
    page = (tmp_path / "1_one.html").read_text(encoding="utf-8")
    assert "none\ndo it" in page
    assert "Traceback" not in page
    assert "papermill-error" not in page
    notebook = nbformat.read(tmp_path / "1_one.ipynb", as_version=4)
    assert [out.output_type for out in notebook.cells[-1].outputs] == ["display_data"]
    assert run(source, "1_one") == 1
    assert "failed in cell" in capfd.readouterr().err


def test_the_run_says_what_it_works_with_and_what_comes_next(run, capfd, tmp_path):
    source = "from helpers import Settings\nSettings.resolve(profile, milvus_uri=milvus_uri)"
    assert run(source, "-p", "profile", "demo", tags=["settings"]) == 0
    printed = capfd.readouterr().out
    said = "Profile demo (parameter)\nCollection demo_collection: images of "
    assert printed.index(said) < printed.rindex(said)  # at its start, and at its end
    assert "these are not CLIP's answers" in printed
    assert f"Open {tmp_path / '1_one.html'} in a browser" in printed
    assert "To search on: make app COLLECTION=demo_collection (" in printed
    address = "http://root:geheim@host:19530"
    assert run(source, "-p", "profile", "demo", "-p", "milvus_uri", address, tags=["settings"]) == 0
    printed = capfd.readouterr().out
    assert "MILVUS_URI=" in printed
    assert "geheim" not in printed


@pytest.fixture
def links(tmp_path):
    """Return a function that writes a page of some Markdown, and lists where its links lead."""
    for name in ("notebooks/2_two.ipynb", "README.md", "helpers/a b.py", "notebooks/a b.ipynb"):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).touch()

    def links_of(markdown: str, output: Path) -> list[str]:
        write_notebook(output / "1_one.ipynb", "", markdown)
        runner._write_page(output / "1_one.ipynb", tmp_path / "project" / "notebooks")
        page = (output / "1_one.html").read_text(encoding="utf-8")
        return re.findall(r"""<a [^>]*?href=["']([^"'#].*?)["']""", page)

    return links_of


@pytest.mark.parametrize("output", ["project/runs", "somewhere/else"])
def test_links_between_notebooks_lead_to_the_pages_beside(links, tmp_path, output):
    for name in ("2_two", "a b"):
        write_notebook(tmp_path / output / f"{name}.ipynb", "")
    markdown = """[next](2_two.ipynb) [part](2_two.ipynb#A-part) [spaces](a%20b.ipynb "title")
        <a class="x" href='2_two.ipynb'>html</a> [ours](https://example.org/2_two.ipynb)
        `[code](2_two.ipynb) href="2_two.ipynb"` [file](3_gone.ipynb)
    """
    assert links(" ".join(markdown.split()), tmp_path / output) == [
        "2_two.html",
        "2_two.html#A-part",
        "a%20b.html",
        "2_two.html",
        "https://example.org/2_two.ipynb",
        "3_gone.ipynb",
    ]
    assert 'href="2_two.ipynb"' in (
        html.unescape((tmp_path / output / "1_one.html").read_text(encoding="utf-8"))
    )


@pytest.mark.parametrize("output", ["project/runs", "somewhere/else"])
def test_other_links_lead_to_the_projects_files(links, tmp_path, output):
    """So does one to a notebook that has no page."""
    project, page = tmp_path / "project", (tmp_path / output / "1_one.html").as_uri()
    markdown = "[a](2_two.ipynb#x) [b](../README.md#which-model) [c](../helpers/a%20b.py) [d](.)"
    found = links(markdown, tmp_path / output)
    leads = [Path(url2pathname(urlsplit(urljoin(page, link)).path)).resolve() for link in found]
    assert leads[:-1] == [
        project / "notebooks" / "2_two.ipynb",
        project / "README.md",
        project / "helpers" / "a b.py",
    ]
    assert [urlsplit(link).fragment for link in found] == ["x", "which-model", "", ""]


def test_every_name_of_a_notebook_is_known_to_later_versions():
    """Whoever renames one leaves the old name in the list."""
    names = {path.stem for path in NOTEBOOKS}
    assert names <= set(runner._EVER)
    assert set(runner._NOW) <= set(runner._EVER) - names
    assert {now for became in runner._NOW.values() for now in became} <= names


def test_an_earlier_name_runs_what_it_has_become_and_says_so(run, tmp_path, monkeypatch, capfd):
    """Each once, and what runs of that name have left goes."""
    for name in ("06_evaluation", "07_no_match"):
        write_notebook(tmp_path / "project" / "notebooks" / f"{name}.ipynb", "")
    for name in ("05_evaluation", "1_one"):
        (tmp_path / f"{name}.html").write_text("earlier")
    monkeypatch.setattr(runner, "_run", lambda path, output, *_: shutil.copy(path, output))
    assert run("", "07_no_match", "05_evaluation") == 0
    said = "05_evaluation is now 06_evaluation and 07_no_match\n"
    assert capfd.readouterr().out.startswith(said)
    pages = {path.name for path in tmp_path.glob("*.html")}
    assert pages == {"06_evaluation.html", "07_no_match.html", "1_one.html"}


def test_no_page_of_an_earlier_run_stays_beside_new_ones(run, tmp_path):
    """Here the second of three notebooks fails. What has another name stays."""
    output = tmp_path / "output"
    output.mkdir()
    others = {"1_one.csv", "1_one_more.html", "notes.html", "4_four.ipynb", "05_evaluation.pdf"}
    ours = ["1_one", "2_two", "3_three", "05_evaluation"]
    for name in others | {f"{name}.{end}" for name in ours for end in ("html", "ipynb")}:
        (output / name).write_text("earlier")
    write_notebook(tmp_path / "project" / "notebooks" / "2_two.ipynb", "1 / 0", "[a](1_one.ipynb)")
    write_notebook(tmp_path / "project" / "notebooks" / "3_three.ipynb", "")
    assert run("", "--output", str(output)) == 1
    new = {"1_one.ipynb", "1_one.html", "2_two.ipynb", "2_two.html"}
    assert {path.name for path in output.iterdir()} == others | new
    page = (output / "2_two.html").read_text(encoding="utf-8")
    assert "ZeroDivisionError" in page
    assert 'href="1_one.html"' in page
    assert not [name for name in new if (output / name).read_text(encoding="utf-8") == "earlier"]


def test_a_run_of_one_notebook_leaves_the_other_pages(run, tmp_path, monkeypatch):
    """Its own earlier page goes, even if it is interrupted at once."""
    write_notebook(tmp_path / "project" / "notebooks" / "2_two.ipynb", "")
    for name in ("1_one.html", "1_one.ipynb", "2_two.html", "2_two.ipynb", "05_evaluation.html"):
        (tmp_path / name).write_text("earlier")

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_run", interrupt)
    assert run("", "1_one") == 130
    left = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert left == {"2_two.html", "2_two.ipynb", "05_evaluation.html"}


def test_the_notebooks_themselves_are_never_removed(run, tmp_path, capfd):
    folder = tmp_path / "project" / "notebooks"
    with pytest.raises(SystemExit):
        run("", "--output", str(folder))
    assert "--output is the folder of the notebooks" in capfd.readouterr().err
    assert (folder / "1_one.ipynb").exists()


def test_a_cell_that_takes_too_long_is_named(run, capfd):
    assert run("import time\ntime.sleep(600)", "--timeout", "1") == 1
    assert re.search(r"1_one.ipynb failed in cell \[\d\]: A cell timed out", capfd.readouterr().err)


def test_an_unknown_notebook_is_refused_with_the_known_ones(run, capfd):
    with pytest.raises(SystemExit) as ended:
        run("", "3_search")
    assert ended.value.code == 2
    assert "no notebook '3_search'; there are 1_one" in capfd.readouterr().err


def test_an_unknown_parameter_is_refused_with_the_known_ones(run, capfd):
    with pytest.raises(SystemExit) as ended:
        run("", "-p", "colection_name", "x")
    assert ended.value.code == 2
    assert "'colection_name'; known: image_dir, milvus_uri" in capfd.readouterr().err


def test_a_folder_that_cannot_be_made_is_one_line(run, tmp_path, capfd):
    (tmp_path / "file").touch()
    assert run("", "--output", str(tmp_path / "file" / "runs")) == 2
    said = capfd.readouterr().err
    assert re.fullmatch(r"The notebooks could not be run: .*Not a directory: .*--output\n", said)


def test_without_a_home_one_line_says_what_is_missing(run, monkeypatch, capfd):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(SystemExit) as ended:
        run("")
    assert ended.value.code == 2
    said = capfd.readouterr().err
    assert said == "This user has no home directory: set the variable HOME to one\n"


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_no_terminal_is_too_poor_for_a_name(tmp_path, encoding):
    script = r"""
        from helpers import __main__ as runner
        runner._main = lambda: print("\xe9t\xe9 \U0001f600 \udcff \u0645.jpg")
        raise SystemExit(runner.main())
    """
    env = environment(tmp_path, PYTHONIOENCODING=encoding)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], env=env, cwd=ROOT, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b".jpg" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="a pipe of a shell")
def test_a_pipe_that_closes_is_no_traceback(tmp_path):
    script = """
        from helpers import __main__ as runner
        def endless():
            while True: print("a line")
        runner._main = endless
        raise SystemExit(runner.main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with subprocess.Popen(
        command, env=environment(tmp_path), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"a line\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_ctrl_c_ends_it_in_one_line(run, monkeypatch, capfd):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_run", interrupt)
    assert run("") == 130
    assert capfd.readouterr().err == "\nInterrupted. What was written is kept.\n"


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")
@pytest.mark.parametrize("value", ["a b", "it's", 'say "x"', "$HOME", "über $$ ", "a;b", "`x`"])
def test_make_passes_on_whatever_is_in_a_name(value):
    def words(*arguments: str) -> list[str]:
        return shlex.split(make("-n", "-o", ".venv/run", "-o", ".venv/dev", *arguments))

    assert words("benchmark", f"IMAGES={value}", f"MODEL={value}")[-4:] == [
        "--images",
        value,
        "--model",
        value,
    ]
    app = words("app", f"COLLECTION={value}", f"MODEL={value}")
    assert {f"--collection={value}", f"--model={value}"} < set(app)

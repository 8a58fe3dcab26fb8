"""The site that `make docs` makes: every link leads somewhere, a browser shows it, the reference is whole."""
import html
import html.parser
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SITE = ROOT / "build/docs/site"


class Page(html.parser.HTMLParser):
    """What a page links to and what can be linked to in it."""

    def __init__(self, path):
        super().__init__()
        self.links, self.anchors = [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.anchors |= {attributes.get("id"), attributes.get("name")}
        if link := attributes.get("href" if tag in ("a", "link") else "src"):
            self.links.append(link)


@pytest.fixture(scope="module")
def site():
    done = subprocess.run([ROOT / "scripts/docs.sh"], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.relative_to(SITE): Page(path) for path in SITE.rglob("*.html")}


def broken(pages):
    for name, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:|//", link) or name.name == "404.html":
                continue  # elsewhere; and the page of errors has the links of a server's root
            target, _, anchor = link.partition("#")
            path = pathlib.Path(os.path.normpath(name.parent / target)) if target else name
            if not (SITE / path).exists() or (anchor and path in pages and anchor not in pages[path].anchors):
                yield f"{name}: {link}"


def test_every_link_leads_somewhere(site):
    assert not list(broken(site))
    assert {pathlib.Path(page.stem + ".html") for page in (ROOT / "docs").glob("*.md")} <= set(site), "a document is no page"


def test_the_test_sees_a_broken_link(site, tmp_path):
    path = tmp_path / "page.html"
    path.write_text('<a href="nowhere.html">x</a> <a href="start.html#nothing">x</a> <a href="start.html">x</a>')
    assert len(list(broken({**site, pathlib.Path("page.html"): Page(path)}))) == 2


def test_the_reference_has_every_command_and_function(site):
    def text(name):
        return (SITE / "reference" / name).read_text()
    commands, functions, headers = text("commands.html"), text("python.html"), text("cpp.html")
    assert all(f">mox {name}<" in commands for name in ("train", "eval", "data convert", "file cp", "launch"))
    assert all(f'id="{name}"' in functions for name in ("run", "copy_parallel", "get_model_fn", "earlystoppinghook"))
    assert "keep_best_mode" in functions and "samples a device and step" in functions
    assert all(f">moxing/{header.name}<" in headers for header in (ROOT / "include/moxing").glob("*.h"))
    names = dict(re.findall(r'<td><code>(\w+)</code></td>\s*<td><a href="#(\w+)">', headers))
    assert {"run": "moxingrunh", "Scope": "moxingscopeh", "copy_parallel": "moxingfileh", "Conv2dOptions": "moxinglayersh"}.items() <= names.items()
    assert set(names.values()) <= Page(SITE / "reference/cpp.html").anchors


def test_the_errors_page_has_what_is_thrown(site):
    page = Page(SITE / "reference/errors.html")
    assert {"invalidargumenterror", "dataerror", "moxfilerespexception", "warning"} <= page.anchors
    text = html.unescape((SITE / "reference/errors.html").read_text())
    for said in ("there is no flag '…'; there are: …",                                      # in C++, made of parts
                 "the loss is … at step … (global step …), tensor …: training stops",         # by fmt
                 "lr_find takes no …: it trains a few steps and saves nothing",               # in Python
                 "needs a checkpoint: log_dir '…' has none and checkpoint_path is not given"):
        assert said in text, said


def test_the_errors_page_misses_few_texts():
    """Those that a function elsewhere makes; and none has code in it."""
    spec = importlib.util.spec_from_file_location("errors", ROOT / "docs/site/errors.py")
    errors = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(errors)
    found, elsewhere = errors.gather(ROOT)
    texts = [text for rooms in found.values() for of in rooms.values() for text in of]
    assert len(texts) > 600 and elsewhere < len(texts) / 8
    assert not [text for text in texts if re.search(r"std::|fmt::|_cast<|c_str|\\\\", text)]
    assert errors.shown('"flag " + name + (b ? ", c" : "") + fmt::format(" got {} here", f("x"))') == "flag … got … here"


def test_the_programs_page_tells_of_every_command():
    spec = importlib.util.spec_from_file_location("gather", ROOT / "docs/site/gather.py")
    gather = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gather)
    mox, page = ROOT / "build/release/bin/mox", (ROOT / "docs/cli.md").read_text()
    commands = gather.subcommands(gather.help_of(mox))
    assert len(commands) > 12
    missing = [name for name in commands if f"`mox {name}" not in page and f"## mox {name}" not in page]
    for name in commands:
        missing += [f"{name} {below}" for below in gather.subcommands(gather.help_of(mox, name))
                    if not re.search(rf"mox {name} {below}\b|^\| `{below}\b|[`|]{below}\b", page, re.M)]
    assert not missing, "docs/cli.md says nothing of them"


def test_what_is_searched_is_there(site):
    script = (SITE / "search/search_index.js").read_text()
    found = json.loads(script[script.index("{"):script.rindex("}") + 1])
    assert any("copy_parallel" in document["text"] or "copy_parallel" in document["title"] for document in found["docs"])


def test_a_browser_shows_it(site, tmp_path):
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is not installed (scripts/setup.d/40-chromium-test.sh)")
    for page in ("index", "start", "reference/python"):
        shown = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                                f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=2000", "--enable-logging=stderr", "--dump-dom",
                                f"file://{SITE}/{page}.html"], capture_output=True, text=True, timeout=120)
        assert 'data-md-component="search"' in shown.stdout and "<h1" in shown.stdout, shown.stderr
        assert "CONSOLE" not in shown.stderr, f"the browser complains about {page}: {shown.stderr}"


def test_the_files_that_documents_name_are_there():
    """Paths in backquotes, from the tree's root; docs/python.md also names them from python/."""
    path = re.compile(r"`((?:src|include|tests|docs|tools|python|scripts|bench|examples|packaging|cmake)/[\w./*-]+)`")
    named = {(page.name, name) for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
             for name in path.findall(page.read_text())}
    assert len(named) > 100
    assert not sorted((page, name) for page, name in named
                      if not any(list(root.glob(name)) or list(root.glob(name + ".*")) for root in (ROOT, ROOT / "python")))


def test_the_pictures_are_of_a_run():
    """docs/pictures.py makes them; what it reads a terminal's bytes with."""
    spec = importlib.util.spec_from_file_location("pictures_of_docs", ROOT / "docs/pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    screen = pictures.Screen()
    screen.feed("one\ttab\r\n\r\x1b[K[== ] 3/9  4 s left\r\x1b[K[===] 4/9")
    assert screen.lines == ["one     tab", "[===] 4/9"]
    drawn = xml.etree.ElementTree.fromstring((ROOT / "docs/training.svg").read_text())
    lines = [text.text.replace(pictures.NO_BREAK, " ") for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert lines[0].startswith("$ mox train") and re.match(r"\[=+ +\] \d+/\d+ .* left$", lines[-1])
    assert (ROOT / "docs/report.png").read_bytes().startswith(b"\x89PNG")
    for page in ("README.md", "docs/start.md"):
        assert "training.svg" in (ROOT / page).read_text()


def test_nothing_is_fetched_from_elsewhere(site):
    for name in site:
        text = (SITE / name).read_text()
        assert not re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(?:https?:)?//[^"]+"', text), name


def test_the_search_finds_in_a_browser(site, tmp_path):
    """On pages that are opened from the disk, without network."""
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is not installed (scripts/setup.d/40-chromium-test.sh)")
    for page in ("index", "reference/commands"):
        shown = subprocess.run([chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                                f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=20000", "--dump-dom",
                                f"file://{SITE}/{page}.html?q=copy_once_per_host"], capture_output=True, text=True, timeout=120).stdout
        results = re.findall(r'<a href="([^"]+)" class="md-search-result__link"', shown)
        assert any("reference/python.html" in result for result in results), results


def test_the_environment_page_names_every_variable():
    used = set()
    for folder in ("src", "tools", "python/moxing"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".cc", ".h", ".py"):
                used |= set(re.findall(r'"((?:MOX|AWS|DLS|S3)_[A-Z_0-9]+)"', path.read_text()))
    told = set(re.findall(r"`(\w+)`", (ROOT / "docs/environment.md").read_text()))
    assert "MOX_SERVER" in used and not used - told
    assert not {name for name in told if name.startswith("MOX_")} - used

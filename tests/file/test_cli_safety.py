"""`mox file` where something could be lost or go wrong in silence: output that cannot be written, names that a terminal would
obey, what a killed process leaves, folder marks that have content."""
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import stores

MOX = Path(os.environ.get("MOX_PROGRAM") or stores.ROOT / "build/release/bin/mox")
ESCAPE = "\x1b]0;owned\x07\x1b[31mred"


def run(*words, env=None, code=0, **options):
    done = subprocess.run([MOX, "file", *map(str, words)], env=env, timeout=120, **{"capture_output": True, "text": True, "errors": "surrogateescape", **options})
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    """A store in memory that takes unsigned requests, too."""
    with stores.Store("fake_store", tmp_path_factory.mktemp("fake")) as store:
        env = {**store.env, "MOX_STATE_DIR": str(tmp_path_factory.mktemp("state"))}

        def http(path, method="GET", data=None):
            request = urllib.request.Request(f"{store.endpoint}/{path}", method=method, data=data)
            return urllib.request.urlopen(request).read()

        http("bkt", "PUT")
        yield env, http


@pytest.fixture
def many(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(3000):
        (folder / f"a-name-that-is-rather-long-to-fill-a-pipe-{i}").touch()
    return folder


OUTPUTS = ["ls", "ls -r", "ls --json", "cat", "stat", "stat --json", "du", "du --json", "cp --json", "sync --json", "--help", "ls --help", "completion"]


@pytest.mark.parametrize("command", OUTPUTS)
def test_output_that_cannot_be_written_is_a_failure(many, tmp_path, command):
    big = tmp_path / "big"
    big.write_bytes(b"x" * 3_000_000)
    words = command.split()
    if "--help" not in words and command != "completion":
        words += [many if words[0] in ("ls", "du") else big] + ([tmp_path / "copy"] if words[0] in ("cp", "sync") else [])
    with open("/dev/full", "w") as full:
        assert "standard output" in run(*words, code=1, stdout=full, stderr=subprocess.PIPE, capture_output=False).stderr
    closed = subprocess.run(["bash", "-c", 'exec "$@" >&-', "bash", MOX, "file", *map(str, words)], stderr=subprocess.PIPE, text=True, timeout=60)
    assert closed.returncode == 1 and "standard output" in closed.stderr


@pytest.mark.parametrize("command", ["ls", "ls -r", "cat"])
def test_a_reader_that_stops_early(many, tmp_path, command):
    big = tmp_path / "big"
    big.write_bytes(b"x" * 3_000_000)
    process = subprocess.Popen([MOX, "file", *command.split(), big if command == "cat" else many], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(1)
    process.stdout.close()
    assert "standard output" in process.stderr.read().decode()
    assert process.wait(60) == 1


def test_closed_streams_are_not_taken_by_files(tmp_path):
    (tmp_path / "a").write_text("content")
    subprocess.run(["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", MOX, "file", "cp", "--json", tmp_path / "a", tmp_path / "b"], timeout=60)
    assert (tmp_path / "b").read_text() == "content"


def test_names_and_passwords_are_shown_harmless(tmp_path):
    folder = tmp_path / ("f" + ESCAPE)
    folder.mkdir()
    (folder / ("n" + ESCAPE + "\n second\u202e")).write_text("1")
    os.close(os.open(os.fsencode(folder) + b"/no-\xff-utf8", os.O_CREAT))
    names = [folder / name for name in os.listdir(folder)]
    shown = ""
    for words in (["ls", folder], ["ls", "-l", folder], ["ls", "-r", tmp_path], ["ls", "--json", folder], ["stat", *names], ["stat", "--json", *names],
                  ["du", folder], ["du", "--json", folder], ["cp", "-r", folder, tmp_path / "copy"], ["cp", "-r", "--json", folder, tmp_path / "copy2"]):
        done = run(*words)
        shown += done.stdout + done.stderr
    for words in (["cat", str(names[0]) + "x"], ["rm", folder / (ESCAPE + "missing")], ["cp", folder, "s3://" + ESCAPE + "/x"], [ESCAPE], ["ls", "ftp://" + ESCAPE]):
        done = subprocess.run([MOX, "file", *map(str, words)], capture_output=True, text=True, errors="surrogateescape")
        assert done.returncode != 0 and done.stderr.strip()
        shown += done.stdout + done.stderr
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\udc80-\udcff]", shown)
    assert "\\x1b[31mred" in run("ls", folder).stdout and "no-\\xff-utf8" in run("ls", folder).stdout

    for words in (["ls", "s3://user:geheim@bucket/x"], ["cat", "http://user:'geheim\"<|>@host/x"]):
        done = subprocess.run([MOX, "file", *words], capture_output=True, text=True)
        assert done.returncode != 0 and "geheim" not in done.stdout + done.stderr and "***" in done.stderr
    assert "geheim" not in subprocess.run([MOX, "http://user:geheim@host"], capture_output=True, text=True).stderr
    for server in ("http://user:geheim@127.0.0.1:1", "https://user:geheim/2@host", "user:geheim@host:80"):
        env = {**os.environ, "MOX_SERVER": server, "MOX_RETRY": "1"}
        for words in (["ls", "s3://bucket/x"], ["cat", "http://user:geheim@host/x"], ["cp", "https://u:geheim@h/x", tmp_path / "x"]):
            done = subprocess.run([MOX, "file", *map(str, words)], env=env, capture_output=True, text=True)
            assert done.returncode != 0 and "geheim" not in done.stdout + done.stderr and "***" in done.stderr


def test_refusals_come_before_anything_is_removed(fake, tmp_path):
    env, http = fake
    for name in ("a", "b", "home"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("1")
    http("bkt/kept/f", "PUT", b"1")
    own_home = {**env, "HOME": str(tmp_path / "home")}
    for place in (tmp_path / "home", ".", "..", "s3://bkt", "s3://bkt/", "obs://bkt", "s3://", "../../" + tmp_path.name):
        for flags in (["-r"], ["-rf"]):
            done = run("rm", *flags, tmp_path / "a", "s3://bkt/kept", place, code=2, env=own_home, cwd=tmp_path / "b")
            assert "refused" in done.stderr or "bucket name" in done.stderr
    for words in (["mv", ".", tmp_path / "x"], ["mv", "s3://bkt", tmp_path / "x"], ["sync", "--delete", tmp_path / "a", "s3://bkt"],
                  ["sync", "--delete", tmp_path / "a", tmp_path / "home"], ["sync", "--delete", tmp_path / "a", "."], ["cp", tmp_path / "a/f", ""],
                  ["mv", tmp_path / "a/f", ""], ["cp", tmp_path / "a/f", tmp_path / "b/f", tmp_path / "home"]):
        run(*words, code=2, env=own_home, cwd=tmp_path / "b")
    assert all((tmp_path / name / "f").read_text() == "1" for name in ("a", "b", "home")) and http("bkt/kept/f") == b"1"
    http("gone", "PUT")
    http("gone/f", "PUT", b"1")
    run("rm", "-r", "--bucket", "s3://gone", env=env)
    run("stat", "s3://gone", env=env, code=1)


def test_a_file_is_not_read_and_written_at_once(tmp_path):
    (tmp_path / "f").write_text("hello")
    for command in ("append f f", "append f < f", "cat f >> f", "append ./f f"):
        done = subprocess.run(f'"{MOX}" file {command}', shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and "refused" in done.stderr, command
    assert (tmp_path / "f").read_text() == "hello"


def test_marks_of_folders_that_have_content(fake, tmp_path):
    """Objects whose key ends with '/': copied inside the store, a named failure on a disk, never lost."""
    env, http = fake
    http("bkt/w/", "PUT", b"of the folder")
    http("bkt/w/sub/", "PUT", b"of sub")
    http("bkt/w/y", "PUT", b"yy")
    http("bkt/w/plain/", "PUT", b"")
    failed = run("cp", "-r", "s3://bkt/w", tmp_path / "o", env=env, code=1).stderr
    assert "s3://bkt/w/" in failed and "s3://bkt/w/sub/" in failed and "ends with '/'" in failed
    assert (tmp_path / "o/y").read_text() == "yy"
    run("mv", "s3://bkt/w", tmp_path / "p", env=env, code=1)
    assert http("bkt/w/") == b"of the folder"
    run("cp", "-r", "s3://bkt/w", "s3://bkt/w2", env=env)
    assert http("bkt/w2/") == b"of the folder" and http("bkt/w2/sub/") == b"of sub"
    run("mv", "s3://bkt/w", "s3://bkt/w3", env=env)
    assert http("bkt/w3/") == b"of the folder" and http("bkt/w3/sub/") == b"of sub" and http("bkt/w3/y") == b"yy"
    run("stat", "s3://bkt/w", env=env, code=1)
    run("sync", "s3://bkt/w3", "s3://bkt/w4", env=env)
    assert http("bkt/w4/sub/") == b"of sub"
    http("bkt/w3/sub/", "DELETE")
    http("bkt/w3/sub/f", "PUT", b"1")
    run("sync", "--delete", "s3://bkt/w3", "s3://bkt/w4", env=env)
    with pytest.raises(urllib.error.HTTPError):
        http("bkt/w4/sub/")


def test_a_move_that_was_broken_off_goes_on_where_it_was(fake, tmp_path):
    env, http = fake
    for name in ("a", "b/c", "b/"):
        http("bkt/broken/" + name, "PUT", b"1")
    failed = run("mv", "s3://bkt/broken", tmp_path / "to", env=env, code=1).stderr
    again = re.search("mox file (mv -T .*)", failed)[1]
    assert again == f"mv -T 's3://bkt/broken' '{tmp_path}/to'"
    http("bkt/broken/b/", "DELETE")
    http("bkt/broken/d", "PUT", b"2")
    run("mv", "-T", "s3://bkt/broken", tmp_path / "to", env=env)
    assert sorted(str(path.relative_to(tmp_path / "to")) for path in (tmp_path / "to").rglob("*")) == ["a", "b", "b/c", "d"]
    run("stat", "s3://bkt/broken", env=env, code=1)


def test_what_was_changed_after_a_copy_broke_off_is_not_taken_for_finished(fake, tmp_path):
    env, http = fake
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_text("right")
    os.mkfifo(source / "p")  # fails: the copy is one that was broken off
    for target in (tmp_path / "target", "s3://bkt/noted"):
        run("cp", "-r", source, target, env=env, code=1)
        again = run("cp", "-r", source, target, env=env, code=1)
        assert "1 already there" in again.stderr
        if target == "s3://bkt/noted":
            time.sleep(1.1)  # a store's times are whole seconds
            http("bkt/noted/a", "PUT", b"other")
            run("cp", "-r", source, target, env=env, code=1)
            assert http("bkt/noted/a") == b"right"
        else:
            (target / "a").write_text("other")
            os.utime(target / "a", (1, 1))
            run("cp", "-r", source, target, env=env, code=1)
            assert (target / "a").read_text() == "right"


@pytest.fixture
def zombie():
    process = subprocess.Popen(["true"])
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    yield process.pid
    process.wait()


def dead_pid():
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_temporaries_whose_writer_is_gone(fake, tmp_path, zombie):
    env, http = fake
    left = [tmp_path / f".some.bin.moxtmp-{pid}-{i}" for i, pid in enumerate([dead_pid(), dead_pid(), zombie])] + [tmp_path / ".a.moxpart-0123456789abcdef"]
    kept = [tmp_path / f".other.moxtmp-{os.getpid()}-0", tmp_path / ".b.moxpart-0123456789abcdef", tmp_path / ".a.moxtmp-notes", tmp_path / "a.moxtmp-1-2"]
    for path in left + kept:
        path.write_text("x")
    http("bkt/a", "PUT", b"a")
    run("cp", "s3://bkt/a", tmp_path / "a", env=env)
    assert [p for p in left if p.exists()] == [] and all(p.exists() for p in kept)


def test_temporaries_go_where_nothing_is_written(fake, tmp_path):
    """A copy was killed; then its file left the source: the next sync has nothing to write in that folder."""
    env, _ = fake
    source, target = tmp_path / "source", tmp_path / "target"
    for folder in (source / "a", target / "b"):
        folder.mkdir(parents=True)
    (source / "a/small").write_text("s")
    run("sync", source, target, env=env)
    left = [target / folder / f".big.moxtmp-{dead_pid()}-0" for folder in ("a", "b")]
    part, others = target / "a/.big.moxpart-0123456789abcdef", target / f"a/.big.moxtmp-{os.getpid()}-0"
    for path in left + [part, others]:
        path.write_text("x")
    run("sync", source, target, env=env)
    assert not any(path.exists() for path in left) and others.exists()
    assert part.exists(), "a download that can go on"
    run("sync", "--delete", source, target, env=env)
    assert not part.exists() and others.exists() and not (target / "b").exists() and (target / "a/small").exists()


def uploads(http, bucket="bkt"):
    return re.findall("<Key>(.*?)</Key>", http(bucket + "?uploads").decode())


def test_kills_leave_no_more_than_one(fake, tmp_path):
    """Uploads from a pipe (the store's parts), downloads and local copies (temporary files), each killed while it works."""
    env, http = fake
    env = {**env, "MOX_FILE_LARGE_FILE_PART_SIZE": "5242880", "MOX_STATE_DIR": str(tmp_path / "state")}
    for _ in range(5):
        writer = subprocess.Popen([MOX, "file", "append", "s3://bkt/piped"], stdin=subprocess.PIPE, env=env)
        writer.stdin.write(b"x" * 11_000_000)
        writer.stdin.flush()
        while not uploads(http):
            time.sleep(0.01)
        writer.kill()
        writer.wait()
        assert len(uploads(http)) == 1
    subprocess.run([MOX, "file", "append", "s3://bkt/piped"], input=b"y" * 11_000_000, env=env, check=True)
    assert uploads(http) == [] and len(http("bkt/piped")) == 11_000_000
    subprocess.run([MOX, "file", "append", "s3://bkt/piped2"], input=b"y" * 11_000_000, env=env, check=True)  # has seen that it is gone
    assert not [name for name in os.listdir(tmp_path / "state") if name.startswith("multipart-")]

    source = tmp_path / "source"
    os.mkfifo(source)
    for _ in range(5):
        reader = subprocess.Popen([MOX, "file", "cp", source, tmp_path / "target"], env=env)
        with open(source, "wb") as pipe:
            pipe.write(b"x" * 100_000)
            pipe.flush()
            while not (found := [n for n in os.listdir(tmp_path) if ".moxtmp-" in n and str(reader.pid) in n]):
                time.sleep(0.01)
            reader.kill()
            reader.wait()
        assert found == [n for n in os.listdir(tmp_path) if ".moxtmp-" in n]
    reader = subprocess.Popen([MOX, "file", "cp", source, tmp_path / "target"], env=env)
    source.write_bytes(b"whole")
    assert reader.wait(60) == 0 and (tmp_path / "target").read_bytes() == b"whole"
    assert [n for n in os.listdir(tmp_path) if ".moxtmp-" in n] == []


def test_a_kill_while_an_upload_began(fake, tmp_path):
    """The store had begun it, and the process did not know its name yet: one of that key and that time."""
    env, http = fake
    env = {**env, "MOX_FILE_LARGE_FILE_PART_SIZE": "5242880", "MOX_STATE_DIR": str(tmp_path)}
    for key in ("begun", "begun-too", "other"):
        http(f"bkt/{key}?uploads", "POST", b"")
    note = tmp_path / "multipart-0123"
    note.write_text(f"{env['AWS_ENDPOINT_URL']}\nbkt\nbegun\n")
    (tmp_path / "multipart-4567").write_text("http://elsewhere\nbkt\nother\n")
    subprocess.run([MOX, "file", "append", "s3://bkt/later"], input=b"y" * 11_000_000, env=env, check=True)
    assert sorted(uploads(http)) == ["begun-too", "other"]
    subprocess.run([MOX, "file", "append", "s3://bkt/later"], input=b"y" * 11_000_000, env=env, check=True)
    assert os.listdir(tmp_path) == ["multipart-4567"]
    os.utime(note.parent / "multipart-4567", (1, 1))  # of a store that nobody uses any more
    note.write_text(f"{env['AWS_ENDPOINT_URL']}\nbkt\nother\n")
    os.utime(note, (time.time() - 7200,) * 2)
    subprocess.run([MOX, "file", "append", "s3://bkt/later"], input=b"y" * 11_000_000, env=env, check=True)
    assert sorted(uploads(http)) == ["begun-too", "other"], "another one's: it began at another time"
    assert os.listdir(tmp_path) == []
    for text in uploads(http):
        upload = re.search(f"<Key>{text}</Key><UploadId>(.*?)<", http("bkt?uploads").decode())[1]
        http(f"bkt/{text}?uploadId={upload}", "DELETE")


def test_an_upload_that_will_never_go_on_is_removed(fake, tmp_path):
    """Killed while a large file went up; then the file changed, and something else is copied."""
    env, http = fake
    env = {**env, "MOX_FILE_LARGE_FILE_PART_SIZE": "5242880", "MOX_STATE_DIR": str(tmp_path / "state")}
    port = stores.free_port()
    proxy = subprocess.Popen([sys.executable, stores.ROOT / "tests/file/fault_proxy.py", str(port), env["AWS_ENDPOINT_URL"].rpartition(":")[2]])
    slow = {**env, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    for _ in range(400):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-control?kind=slow&count=1000&method=PUT&path=partNumber&delay=0.3")
            break
        except urllib.error.URLError:
            time.sleep(0.05)
    try:
        for name in ("one", "two"):
            (tmp_path / name).write_bytes(os.urandom(16_000_000))
            process = subprocess.Popen([MOX, "file", "cp", tmp_path / name, f"s3://bkt/{name}"], env=slow, stderr=subprocess.DEVNULL)
            while f"{name}" not in uploads(http) or not [n for n in os.listdir(tmp_path / "state") if n.startswith("upload-")]:
                time.sleep(0.01)
            while [n for n in os.listdir(tmp_path / "state") if n.startswith("multipart-")]:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert sorted(uploads(http)) == ["one", "two"], "both can go on"
        (tmp_path / "one").unlink()
        (tmp_path / "two").write_bytes(b"short")
        (tmp_path / "three").write_bytes(os.urandom(16_000_000))
        run("cp", tmp_path / "three", "s3://bkt/three", env=slow)
        assert uploads(http) == []
        run("cp", tmp_path / "three", "s3://bkt/four", env=slow)  # has seen that they are gone
        assert os.listdir(tmp_path / "state") == []
    finally:
        proxy.kill()
        proxy.wait()

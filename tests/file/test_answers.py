"""What a store answers is believed only when it is whole and in the store's own form: the program before stores that lie."""
import hashlib
import re
import subprocess

import pytest

import stores
from answers import ADDED, LARGE, MOX, NO_STORES, SMALL, WRONG_HEADS


@pytest.mark.parametrize("times", [1, 10**9], ids=["once", "always"])
@pytest.mark.parametrize("old", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("lie", WRONG_HEADS)
def test_append_never_loses_what_was_there(world, lie, old, times):
    world.put("t/x", old)
    world.answer(WRONG_HEADS[lie], "HEAD", "/t/x", times)
    done = world.mox("append", "s3://bkt/t/x", stdin=ADDED)
    assert world.get("t/x") == (old + ADDED if done.returncode == 0 else old), done.stderr
    if times == 1:
        assert done.returncode == 0, done.stderr


def test_an_append_open_in_python_keeps_what_was_there(world):
    world.put("t/x", LARGE)
    world.answer(WRONG_HEADS["length 0"], "HEAD")
    code = "import moxing.file as f\nwith f.File('s3://bkt/t/x', 'ab') as out: out.write(b'end')"
    done = subprocess.run([stores.ROOT / ".venv/bin/python", "-c", code], capture_output=True, timeout=120,
                          env={**world.env, "PYTHONPATH": str(MOX.parent.parent / "python")})
    assert world.get("t/x") == (LARGE + b"end" if done.returncode == 0 else LARGE), done.stderr


UNDONE = {  # what sends bytes or copies inside the store: the request that is answered without being carried out
    "put": (["cp", "{local}", "s3://bkt/t/new"], "PUT", "/t/new"),
    "move up": (["mv", "{local}", "s3://bkt/t/new"], "PUT", "/t/new"),
    "begin": (["cp", "{big}", "s3://bkt/t/new"], "POST", "uploads"),
    "part": (["cp", "{big}", "s3://bkt/t/new"], "PUT", "partNumber=2"),
    "complete": (["mv", "{big}", "s3://bkt/t/new"], "POST", "uploadId"),
    "copy": (["cp", "s3://bkt/t/small", "s3://bkt/t/new"], "PUT", "/t/new"),
    "move": (["mv", "s3://bkt/t/small", "s3://bkt/t/new"], "PUT", "/t/new"),
    "part copy": (["append", "s3://bkt/t/large", "s3://bkt/t/new"], "PUT", "partNumber"),
}


@pytest.mark.parametrize("times", [1, 10**9], ids=["once", "always"])
@pytest.mark.parametrize("answer", NO_STORES)
@pytest.mark.parametrize("what", UNDONE)
def test_stored_is_what_the_store_says_in_its_own_form(world, what, answer, times):
    words, method, path = UNDONE[what]
    local, big = world.folder / "local", world.folder / "big"
    local.write_bytes(SMALL)
    big.write_bytes(LARGE + LARGE)
    world.put("t/small", SMALL)
    world.put("t/large", LARGE)
    left = [times]

    def before(asked):
        if left[0] and asked.method == method and re.search(path, asked.path):
            left[0] -= 1
            return NO_STORES[answer](asked)

    world.proxy.before = before
    done = world.mox(*[w.format(local=local, big=big) for w in words])
    assert left[0] < times
    assert done.returncode == (0 if times == 1 else 1), done.stderr
    source = {"{local}": SMALL, "{big}": LARGE + LARGE, "s3://bkt/t/small": SMALL, "s3://bkt/t/large": LARGE}[words[1]]
    if done.returncode == 0:
        assert world.get("t/new") == source
    else:
        assert world.get("t/new") is None
        assert local.read_bytes() == SMALL and big.read_bytes() == LARGE + LARGE
        assert world.get("t/small") == SMALL and world.get("t/large") == LARGE


@pytest.mark.parametrize("answer", [*NO_STORES, "404"])
def test_removed_is_what_is_gone(world, answer):
    world.put("t/d/a", b"1")
    world.put("t/e", b"1")
    edit = NO_STORES.get(answer, lambda a: a.replace(status=404, body=b"", headers={}))
    world.proxy.before = lambda asked: edit(asked) if asked.method in ("POST", "DELETE") else None
    assert world.mox("rm", "-r", "s3://bkt/t/d", code=1).stderr
    assert world.mox("rm", "s3://bkt/t/e", code=1).stderr
    assert world.mox("mv", "s3://bkt/t/e", "s3://bkt/t/f", code=1).stderr
    assert world.get("t/d/a") == world.get("t/e") == b"1"


DOWNLOADS = {
    "chunked": lambda a: a.replace(chunked=True),
    "no length": lambda a: a.replace(length=None),
    "chunked, no ETag": lambda a: a.without("etag").replace(chunked=True),
    "weak ETag": lambda a: a.replace(headers={n: "W/" + v if n.lower() == "etag" else v for n, v in a.headers.items()}),
    "no ETag": lambda a: a.without("etag"),
    "KMS": lambda a: a.replace(headers={**a.headers, "ETag": '"%s"' % ("5" * 32), "x-amz-server-side-encryption": "aws:kms"}),
    "an ETag like an MD5": lambda a: a.replace(headers={**a.headers, "ETag": '"%s"' % ("5" * 32)}),
    "a whole object for a range": lambda a: a,
}


@pytest.mark.parametrize("size", [6000, 11_000_000])
@pytest.mark.parametrize("kind", DOWNLOADS)
def test_downloads_are_whole(world, kind, size):
    data = hashlib.sha512(b"seed").digest() * (size // 64)
    world.put("t/x", data)
    edit = DOWNLOADS[kind]
    if kind == "a whole object for a range":
        def before(asked):
            asked.request.pop("range", None)
        world.proxy.before = before
    if "ETag" in kind or kind == "KMS":  # the store would refuse an If-Match of an ETag that it does not have
        def unmatched(asked):
            assert not asked.request.get("if-match", "").startswith(('"W/', "W/"))
            asked.request.pop("if-match", None)
        world.proxy.before = unmatched
    world.answer(edit, "GET|HEAD", "/t/x")
    done = world.mox("cp", "s3://bkt/t/x", world.folder / "down", code=0)
    assert (world.folder / "down").read_bytes() == data
    assert ("is none" in done.stderr.decode()) == (kind == "an ETag like an MD5"), done.stderr
    assert world.mox("cat", "s3://bkt/t/x", code=0).stdout == data
    world.mox("mv", "s3://bkt/t/x", world.folder / "moved", code=0)
    assert (world.folder / "moved").read_bytes() == data and world.get("t/x") is None


@pytest.mark.parametrize("size", [6000, 11_000_000])
@pytest.mark.parametrize("kind", ["cut off", "chunked and cut off", "HEAD says more", "HEAD says 0", "corrupted"])
def test_downloads_that_cannot_be_whole_fail(world, kind, size):
    data = hashlib.sha512(b"seed").digest() * (size // 64)
    world.put("t/x", data)
    if kind.startswith("HEAD"):
        world.answer(lambda a: a.replace(length="0" if kind.endswith("0") else str(size + 50)), "HEAD")
    elif kind == "corrupted":
        world.answer(lambda a: a.replace(body=bytes([a.body[0] ^ 1]) + a.body[1:]), "GET", "/t/x")
    elif kind == "cut off":
        world.answer(lambda a: a.replace(body=a.body[:len(a.body) // 2], length=None), "GET", "/t/x")
    else:
        world.answer(lambda a: a.replace(body=a.body[:len(a.body) // 2], chunked=True), "GET", "/t/x")
    if kind == "HEAD says 0":  # GET says it twice: that is believed
        world.mox("cp", "s3://bkt/t/x", world.folder / "down")
        assert not (world.folder / "down").exists() or (world.folder / "down").read_bytes() == data
        return
    for command in ("cp", "mv"):
        done = world.mox(command, "s3://bkt/t/x", world.folder / "down")
        whole = (world.folder / "down").exists() and (world.folder / "down").read_bytes() == data
        if kind.endswith("cut off") and whole:  # halves of halves, each told its place, make the whole
            return
        assert done.returncode == 1 and not (world.folder / "down").exists(), done.stderr
        assert world.get("t/x") == data
    shown = world.mox("cat", "s3://bkt/t/x")
    assert shown.stdout == (data if shown.returncode == 0 else b"")


def test_cat_and_small_append_are_verified(world):
    world.put("t/x", SMALL)
    world.answer(lambda a: a.replace(body=a.body[:100] + b"X" + a.body[101:]), "GET", "/t/x")
    assert world.mox("cat", "s3://bkt/t/x", code=1).stdout == b""
    done = world.mox("append", "s3://bkt/t/x", stdin=ADDED)
    assert world.get("t/x") == (SMALL + ADDED if done.returncode == 0 else SMALL)
    world.answer(lambda a: a.replace(body=a.body[:100] + b"X" + a.body[101:]), "GET", "/t/x", times=1)
    assert world.mox("cat", "s3://bkt/t/x", code=0).stdout == SMALL
    assert world.get("t/x") == SMALL


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_an_answer_without_its_bytes_is_no_empty_object(world, data):
    world.put("t/x", data)
    world.put("t/empty", b"")
    world.answer(lambda a: a.replace(status=200, body=b""), "GET", "/t/x")
    assert b"GET says 0" in world.mox("cat", "s3://bkt/t/x", code=1).stderr
    world.answer(lambda a: a.replace(status=200, body=b""), "GET", "/t/x", times=1)
    assert world.mox("cat", "s3://bkt/t/x", code=0).stdout == data
    world.answer(lambda a: a.replace(status=416, body=b""), "GET", "/t/x")
    assert b"416" in world.mox("cat", "s3://bkt/t/x", code=1).stderr
    world.answer(lambda a: a.without("etag"), "GET|HEAD", "/t/empty")
    assert world.mox("cat", "s3://bkt/t/empty", code=0).stdout == b""


@pytest.mark.parametrize("answer", NO_STORES)
def test_what_is_no_object_is_not_shown(world, answer):
    world.put("t/x", SMALL)
    world.answer(NO_STORES[answer], "GET", "/t/x")
    assert world.mox("cat", "s3://bkt/t/x", code=1).stdout == b""
    world.answer(NO_STORES[answer], "GET", "/t/x", times=1)
    assert world.mox("cat", "s3://bkt/t/x", code=0).stdout == SMALL


def test_keys_with_control_characters_go_and_no_others(world):
    keys = ["t/d/Icon\r", "t/d/Icon\n", "t/d/a\x01b", "t/d/tab\t", "t/d/ blank ", "t/d/plain", "t/d/<&>\"'", "t/d/\x7f"]
    for key in [*keys, "t/dIcon", "t/Icon\n"]:
        world.put(key, b"1")
    bodies = []
    world.proxy.before = lambda asked: bodies.append(asked.sent) if asked.method == "POST" else None
    world.mox("rm", "-r", "s3://bkt/t/d", code=0)
    assert [key for key in keys if world.get(key)] == []
    assert world.get("t/dIcon") == world.get("t/Icon\n") == b"1"
    assert bodies and all(b"\r" not in body and b"\n" not in body and b"\x01" not in body for body in bodies)

"""What a store answers is believed only when it is whole and in the store's own form: the program before stores that lie."""
import calendar
import email.utils
import hashlib
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

import stores
from answer_proxy import AnswerProxy
from test_cli import MOX

PART = 5 << 20
SMALL, LARGE = b"o" * 6000, bytes(range(256)) * 23438  # more than a part: it is taken over inside the store
ADDED = b"n" * 4000


class World:
    """A store in memory, the proxy before it, and `mox file` by way of the proxy."""

    def __init__(self, store, folder):
        self.store, self.folder, self.proxy = store, folder, AnswerProxy(store.port)
        self.env = {**store.env, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.proxy.port}", "MOX_RETRY": "4", "MOX_RETRY_WAIT": "0.01",
                    "MOX_STATE_DIR": str(folder / "state"), "MOX_FILE_LARGE_FILE_PART_SIZE": str(PART), "MOX_SILENT_MODE": "1"}

    def url(self, key):
        return f"{self.store.endpoint}/bkt/{urllib.parse.quote(key)}"

    def put(self, key, data):
        urllib.request.urlopen(urllib.request.Request(self.url(key), data=data, method="PUT")).read()

    def get(self, key):
        try:
            return urllib.request.urlopen(self.url(key)).read()
        except urllib.error.HTTPError as error:
            assert error.code == 404
            return None

    def mox(self, *words, code=None, stdin=b"", **env):
        done = subprocess.run([MOX, "file", *map(str, words)], env={**self.env, **env}, capture_output=True, input=stdin, timeout=60)
        assert done.returncode in (0, 1, 2), done.stderr
        assert code is None or done.returncode == code, (words, done.returncode, done.stdout[-300:], done.stderr[-600:])
        return done

    def answer(self, edit, method=".*", path=".*", times=10**9):
        """The next answers to requests that match are edited."""
        left = [times]

        def chosen(answer):
            if not left[0] or not re.fullmatch(method, answer.method) or not re.search(path, answer.path):
                return answer
            left[0] -= 1
            return edit(answer)

        self.proxy.edit = chosen


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with stores.Store("fake_store", tmp_path_factory.mktemp("store")) as store:
        yield store


@pytest.fixture
def world(store, tmp_path):
    urllib.request.urlopen(urllib.request.Request(f"{store.endpoint}/bkt", method="PUT")).read()
    world = World(store, tmp_path)
    yield world
    world.proxy.close()
    world.proxy.edit = lambda answer: answer
    subprocess.run([MOX, "file", "rm", "-r", "s3://bkt/t"], env=store.env, capture_output=True)


HTML = b"<html><body>please log in</body></html>"
NO_STORES = {  # with status 200, and nothing was done
    "empty": lambda a: a.replace(status=200, body=b"", headers={}),
    "html": lambda a: a.replace(status=200, body=HTML, headers={"Content-Type": "text/html"}),
    "garbage": lambda a: a.replace(status=200, body=bytes(range(1, 200)), headers={}),
    "an error": lambda a: a.replace(status=200, headers={}, body=b" \n<?xml version='1.0'?>\n\n<Error><Code>InternalError</Code></Error>"),
}
WRONG_HEADS = {
    "cut off": lambda a: a.replace(cut=60),
    "cut off behind the length": lambda a: a.replace(headers={}, length="7", cut=37),
    "no length": lambda a: a.replace(length=None),
    "length 0": lambda a: a.replace(length="0"),
    "short": lambda a: a.replace(length=str(int(a.length) - 7)),
    "garbage": lambda a: a.replace(length="banana"),
    "negative": lambda a: a.replace(length="-5"),
    "huge": lambda a: a.replace(length=str(1 << 62)),
    "404": lambda a: a.replace(status=404, headers={}, length="0"),
    "403": lambda a: a.replace(status=403, headers={}, length="0"),
    **NO_STORES,
}


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


def pages(world, count=25):
    for i in range(count):
        world.put(f"t/p/k{i:03}", b"%d" % i)
    world.put("t/p/sub/x", b"deep")
    return sorted([f"k{i:03}" for i in range(count)] + ["sub/"])


def test_listings_without_a_token_go_on_by_name(world):
    names = pages(world)
    world.proxy.before = lambda asked: asked.__setattr__("path", asked.path.replace("start-after", "continuation-token"))
    world.answer(lambda a: a.replace(body=re.sub(rb"<NextContinuationToken>.*?</NextContinuationToken>", b"", a.body)), "GET", "list-type")
    assert world.mox("ls", "s3://bkt/t/p", code=0, MOX_LIST_MAX_KEYS="7").stdout.decode().split() == names
    assert any("start-after" in path for _, path in world.proxy.seen)


@pytest.mark.parametrize("kind", ["one token", "new tokens", "empty pages", "true at the end"])
def test_listings_that_never_end_are_errors(world, kind):
    pages(world)
    first = {}

    def edit(answer):
        first.setdefault("body", answer.body)
        body = {"one token": re.sub(rb"(<NextContinuationToken>).*?(<)", rb"\1same\2", answer.body),
                "new tokens": re.sub(rb"(<NextContinuationToken>).*?(<)", rb"\g<1>token%d\2" % len(world.proxy.seen), first["body"]),
                "empty pages": b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>%d</NextContinuationToken>"
                               b"</ListBucketResult>" % len(world.proxy.seen),
                "true at the end": b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"}[kind]
        return answer.replace(body=body)

    world.answer(edit, "GET", "list-type")
    for words in (["ls", "-r", "s3://bkt/t/p/"], ["cp", "-r", "s3://bkt/t/p/", world.folder / "o"]):
        assert world.mox(*words, MOX_LIST_MAX_KEYS="7").returncode == 1


NO_ENDS = {  # of a listing that goes on
    "no word": lambda a: a.replace(body=re.sub(rb"(<IsTruncated>).*?(<)", rb"\1banana\2", a.body)),
    "nothing": lambda a: a.replace(body=b"<ListBucketResult></ListBucketResult>"),
    "404": lambda a: a.replace(status=404, body=b"", headers={}),
}


@pytest.mark.parametrize("page", ["list-type", "continuation-token"])
@pytest.mark.parametrize("kind", NO_ENDS)
def test_what_a_broken_listing_leaves_out_is_not_taken_for_gone(world, kind, page):
    pages(world)
    world.mox("cp", "-r", "s3://bkt/t/p", world.folder / "d", code=0)
    world.answer(NO_ENDS[kind], "GET", page)
    world.mox("sync", "--delete", "s3://bkt/t/p", world.folder / "d", MOX_LIST_MAX_KEYS="7", code=1)
    assert len([path for path in (world.folder / "d").rglob("*") if path.is_file()]) == 26
    world.mox("rm", "-r", "s3://bkt/t/p", MOX_LIST_MAX_KEYS="7", code=1)


def test_a_walk_tells_a_listing_that_broke_off(world):
    pages(world)
    world.answer(NO_ENDS["404"], "GET", "continuation-token")
    code = """import moxing.file as f
told = []
print(list(f.walk('s3://bkt/t/p', onerror=told.append)), len(told))
try: print(list(f.walk('s3://bkt/t/p')))
except f.MoxFileRespException: print('raised')"""
    done = subprocess.run([stores.ROOT / ".venv/bin/python", "-c", code], capture_output=True, timeout=120,
                          env={**world.env, "PYTHONPATH": str(MOX.parent.parent / "python"), "MOX_LIST_MAX_KEYS": "7"})
    assert done.stdout.decode().split("\n")[:2] == ["[] 1", "raised"], done


def test_a_listing_beside_the_prefix_removes_nothing(world):
    pages(world, 3)
    world.put("other", b"precious")
    world.proxy.before = lambda asked: asked.__setattr__("path", re.sub(r"prefix=[^&]*", "prefix=", asked.path))
    assert b"begin with" in world.mox("rm", "-r", "s3://bkt/t/p", code=1).stderr
    assert world.get("other") == b"precious" and world.get("t/p/k000") == b"0"


@pytest.mark.parametrize("request_", ["second page", "batch"])
def test_a_404_in_the_middle_is_no_success(world, request_):
    pages(world)
    path = "continuation-token" if request_ == "second page" else "delete"
    world.proxy.before = lambda asked: asked.replace(status=404) if path in asked.path else None
    assert world.mox("rm", "-r", "s3://bkt/t/p", MOX_LIST_MAX_KEYS="7").returncode == 1
    if request_ == "second page":
        for words in (["ls", "s3://bkt/t/p"], ["du", "s3://bkt/t/p"], ["cp", "-r", "s3://bkt/t/p", world.folder / "o"]):
            assert world.mox(*words, MOX_LIST_MAX_KEYS="7").returncode == 1


def test_listings_whose_encoding_is_not_told(world):
    for key in ("t/q/a%2Bb c", "t/q/d+e", "t/q/f%20g/h"):
        world.put(key, b"1")
    untold = lambda a: a.replace(body=a.body.replace(b"<EncodingType>url</EncodingType>", b""))
    names = ["a%2Bb c", "d+e", "f%20g/"]
    world.answer(untold, "GET", "list-type")
    assert world.mox("ls", "s3://bkt/t/q", code=0).stdout.decode().splitlines() == names
    world.proxy.before = lambda asked: asked.__setattr__("path", asked.path.replace("encoding-type=url", "e=0"))
    assert world.mox("ls", "s3://bkt/t/q", code=0).stdout.decode().splitlines() == names


COMMANDS = [["cat", "s3://bkt/t/x"], ["stat", "s3://bkt/t/x"], ["ls", "s3://bkt/t"], ["cp", "s3://bkt/t/x", "{folder}/o"],
            ["cp", "{local}", "s3://bkt/t/y"], ["du", "s3://bkt/t"], ["mkdir", "-p", "s3://bkt/t/z"], ["rm", "s3://bkt/t/x"]]


def refuse(asked, status, code, headers=None, extra=""):
    body = f"<Error><Code>{code}</Code><Message>refused</Message>{extra}</Error>".encode()
    return asked.replace(status=status, headers=headers or {}, body=b"" if asked.method == "HEAD" else body)


@pytest.mark.parametrize("skew", [7200, -7200])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_store_with_another_clock(world, words, skew):
    world.put("t/x", SMALL)
    (world.folder / "local").write_bytes(SMALL)

    def before(asked):
        sent = calendar.timegm(time.strptime(asked.request["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        if abs(sent - time.time() - skew) > 900:
            return refuse(asked, 403, "RequestTimeTooSkewed", {"Date": email.utils.formatdate(time.time() + skew, usegmt=True)})

    world.proxy.before = before
    done = world.mox(*[w.format(folder=world.folder, local=world.folder / "local") for w in words], code=0)
    assert len(re.findall(r"clock is \d+ s (behind|ahead of)", done.stderr.decode())) == 1, done.stderr


def test_a_clock_that_stays_wrong_is_told(world):
    world.proxy.before = lambda asked: refuse(asked, 403, "RequestTimeTooSkewed", {"Date": email.utils.formatdate(time.time() + 7200, usegmt=True)})
    for words in (["stat", "s3://bkt/t/x"], ["ls", "s3://bkt"]):
        told = re.search(r"clock is (\d+) s behind the store", world.mox(*words, code=1).stderr.decode())
        assert told and abs(int(told[1]) - 7200) < 60


@pytest.mark.parametrize("how", ["malformed", "permanent", "temporary", "location"])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_bucket_in_another_region(world, words, how):
    world.put("t/x", SMALL)
    (world.folder / "local").write_bytes(SMALL)
    here = f"127.0.0.1:{world.proxy.port}"

    def before(asked):
        if asked.path.endswith("?location="):
            return asked.replace(body=b'<LocationConstraint xmlns="x">eu-west-9</LocationConstraint>')
        if "/eu-west-9/s3/" in asked.request["authorization"]:
            return None
        if how == "malformed":
            return refuse(asked, 400, "AuthorizationHeaderMalformed", extra="<Region>eu-west-9</Region>")
        if how == "location":
            return refuse(asked, 400, "AuthorizationHeaderMalformed")
        told = {"x-amz-bucket-region": "eu-west-9"}
        if how == "permanent":
            return refuse(asked, 301, "PermanentRedirect", told, f"<Endpoint>{here}</Endpoint>")
        return refuse(asked, 307, "TemporaryRedirect", {**told, "Location": f"http://{here}{asked.path}"})

    world.proxy.before = before
    done = world.mox(*[w.format(folder=world.folder, local=world.folder / "local") for w in words], code=0)
    assert done.stderr.count(b"is in region 'eu-west-9'") == 1, done.stderr


def test_a_region_that_is_wrong_after_all_is_told(world):
    world.proxy.before = lambda asked: refuse(asked, 400, "AuthorizationHeaderMalformed", extra="<Region>eu-west-9</Region>")
    text = world.mox("ls", "s3://bkt", code=1, AWS_REGION="ap-1").stderr.decode()
    assert "eu-west-9" in text and "ap-1" in text and "AWS_REGION" in text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_keys_go_to_no_other_host(world, store, tmp_path, status):
    evil = AnswerProxy(store.port)
    world.put("t/x", SMALL)
    try:
        for target in (f"127.0.0.1:{evil.port}", f"localhost:{evil.port}"):
            world.proxy.before = lambda asked: refuse(asked, status, "PermanentRedirect", {"Location": f"http://{target}{asked.path}"},
                                                      f"<Endpoint>{target}</Endpoint>")
            for words in COMMANDS[:4]:
                assert world.mox(*[w.format(folder=world.folder) for w in words]).returncode == 1
        text = world.mox("ls", "s3://bkt").stderr.decode()
        assert status not in (301, 307) or target in text
        assert evil.seen == []
    finally:
        evil.close()


@pytest.mark.parametrize("endpoint, problem", [
    ("http://{}/storage/v1", "/storage/v1"), ("http://{}?x=1", "query"), ("ftp://{}", "ftp"), ("http://", "host"),
    ("http://127.0.0.1:99999", "99999"), ("http://me:password@{}", "***")])
def test_endpoints_that_are_none_are_refused_by_name(world, endpoint, problem):
    text = world.mox("ls", "s3://bkt", AWS_ENDPOINT_URL=endpoint.format(f"127.0.0.1:{world.proxy.port}"), code=2).stderr.decode()
    assert "AWS_ENDPOINT_URL" in text and problem in text and "password" not in text.replace("a user and a password", "")
    assert world.proxy.seen == []


@pytest.mark.parametrize("endpoint", ["HTTP://{}", " http://{} ", "http://{}//", "http://{}\r\n"])
def test_endpoints_and_keys_as_people_write_them(world, endpoint):
    world.put("t/x", SMALL)
    for blank in ("\n", "\r\n", " "):
        world.mox("stat", "s3://bkt/t/x", code=0, AWS_ENDPOINT_URL=endpoint.format(f"127.0.0.1:{world.proxy.port}"),
                  AWS_ACCESS_KEY_ID=blank + stores.ACCESS + blank, AWS_SECRET_ACCESS_KEY=stores.SECRET + blank)
    refused = world.mox("stat", "s3://bkt/t/x", code=2, AWS_ACCESS_KEY_ID="ak\r\nx-evil: 1").stderr.decode()
    assert "AWS_ACCESS_KEY_ID" in refused and "x-evil" not in refused


def test_buckets_with_dots_go_by_path_over_https(tmp_path):
    certificate = stores.make_certificate(tmp_path)
    with stores.Store("versitygw", tmp_path / "data", certificate) as store:
        env = {**store.env, "MOX_CA_BUNDLE": certificate[0], "MOX_PATH_STYLE": "0"}
        for words in (["mkdir", "s3://my.dotted.bucket"], ["ls", "s3://my.dotted.bucket"]):
            subprocess.run([MOX, "file", *words], env=env, check=True, capture_output=True, timeout=60)


def test_a_state_folder_that_cannot_be_used_is_a_warning(world):
    big, file = world.folder / "big", world.folder / "file"
    big.write_bytes(LARGE + LARGE)
    file.write_text("no folder")
    done = world.mox("cp", big, "s3://bkt/t/x", code=0, MOX_STATE_DIR=str(file / "state"))
    assert b"state folder" in done.stderr and world.get("t/x") == LARGE + LARGE
    remote = world.mox("cp", big, "s3://bkt/t/x", code=0, MOX_STATE_DIR="s3://bkt/state")
    assert b"no folder of this machine" in remote.stderr
    # A full disk: no file may grow. The upload itself writes none.
    full = ["bash", "-c", 'trap "" XFSZ; ulimit -f 0; exec "$@"', "bash", MOX, "file", "cp", "-r", world.folder, "s3://bkt/t/all"]
    done = subprocess.run(full, env=world.env, capture_output=True, timeout=60)
    assert done.returncode == 0 and b"state folder" in done.stderr, done.stderr
    assert world.get("t/all/big") == LARGE + LARGE

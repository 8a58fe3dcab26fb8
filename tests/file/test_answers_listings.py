"""Listings that go on without an end, break off, or tell of what was not asked for."""
import re
import subprocess

import pytest

import stores
from answers import MOX


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

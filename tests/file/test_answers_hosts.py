"""Stores with another clock, in another region, at another host; endpoints as people write them."""
import calendar
import email.utils
import re
import subprocess
import time

import pytest

import stores
from answers import LARGE, MOX, SMALL
from answer_proxy import AnswerProxy


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

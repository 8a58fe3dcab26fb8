"""The store behind a proxy that the tests of stores' answers share."""
import subprocess
import urllib.request

import pytest

import stores
from answers import MOX, World


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

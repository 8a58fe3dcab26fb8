"""What the tests of stores' answers share: a store behind a proxy that edits its answers, and answers that are none."""
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

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

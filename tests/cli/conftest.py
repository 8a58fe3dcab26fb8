"""What the tests of the program share; its helpers are in program.py, for three conftest modules cannot be told apart."""
import gzip
import os

import numpy as np
import pytest
from png_files import write_png
from program import DATA, mox, train_args


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A LeNet after 150 steps."""
    run = tmp_path_factory.mktemp("trained") / "run"
    mox(*train_args(run, 150, save_model_steps=50, log_every_n_steps=50, seed=1))
    return run


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Three classes of Fashion-MNIST as files: train/CLASS/N.png, eval/CLASS/N.png. Not to be changed."""
    folder = tmp_path_factory.mktemp("pictures")
    with gzip.open(f"{DATA}/train-images-idx3-ubyte.gz") as f:
        images = np.frombuffer(f.read(16 + 2000 * 784), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(f"{DATA}/train-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + 2000), np.uint8, offset=8)
    for number, i in enumerate(np.flatnonzero(labels < 3)):
        write_png(folder / ("train" if number % 4 else "eval") / ("t-shirt", "trouser", "pullover")[labels[i]] / f"{i}.png", images[i])
    return folder


@pytest.fixture
def fake_ssh(tmp_path):
    """For mox launch: a stand-in that runs what it is given here, as sshd does: through the user's shell."""
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(f"""#!/bin/sh
printf '%s\\n' "$*" >> {tmp_path}/ssh.log
while [ "$1" = -o ]; do shift 2; done
host=$1; shift
[ "$host" = closed ] && {{ echo 'ssh: connect to host closed port 22: Connection refused' >&2; exit 255; }}
[ "$host" = chatty ] && echo 'Welcome to chatty'
export FAKE_HOST=$host
cd / && exec sh -c "$*"
""")
    program.chmod(0o755)
    return {"env": {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}}

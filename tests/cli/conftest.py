"""What the tests of the program share; its helpers are in program.py, for three conftest modules cannot be told apart."""
import os

import pytest
from program import mox, train_args


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A LeNet after 150 steps."""
    run = tmp_path_factory.mktemp("trained") / "run"
    mox(*train_args(run, 150, save_model_steps=50, log_every_n_steps=50, seed=1))
    return run


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

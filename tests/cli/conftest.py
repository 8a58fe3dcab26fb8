"""What the tests of the program share; its helpers are in program.py, for three conftest modules cannot be told apart."""
import pytest
from program import mox, train_args


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A LeNet after 150 steps."""
    run = tmp_path_factory.mktemp("trained") / "run"
    mox(*train_args(run, 150, save_model_steps=50, log_every_n_steps=50, seed=1))
    return run

"""variable_update: the devices of one process, joined on them or on the host, and the trials of auto."""
import re

import pytest
from cluster import Cluster, alone
from test_cluster import assert_same_training

STEPS = 60
TAKEN = re.compile(r"variable_update=auto: (\w+) is taken; sample/sec: (\w+) ([0-9.]+), (\w+) ([0-9.]+)")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    known = {}

    def of(*args):
        if args not in known:
            known[args] = alone(tmp_path_factory.mktemp("alone"), f"--steps={STEPS}", "--batch_size=16", *args)[1]
        return known[args]

    return of


def lines(worker):
    return TAKEN.findall(worker.said())


@pytest.mark.parametrize("update, devices", [("replicated", 2), ("replicated_host", 4)])
@pytest.mark.parametrize("args", [
    [],
    ["--optimizer=lars"],
    ["--optimizer=batch_gradients_sync"],
    ["--model=gan", "--loss_scale=dynamic", "--loss_scale_growth_steps=10"],
    ["--gradient_clip=0.05", "--gradient_clip_type=global_norm", "--optimizer=batch_gradients"],
], ids=lambda args: "-".join(args))
def test_devices_of_one_process_have_the_numbers_of_one(tmp_path, reference, update, devices, args):
    steps = alone(tmp_path, f"--steps={STEPS}", f"--num_gpus={devices}", f"--batch_size={16 // devices}", "--log_first_clone=false",
                  f"--variable_update={update}", *args)[1]
    assert_same_training(steps, reference(*args))


def test_all_workers_take_the_same_way_and_tell_the_same_rates(tmp_path, reference):
    with Cluster(tmp_path, 2, f"--steps={STEPS}", "--batch_size=4", "--num_gpus=2", "--running_log_level=info") as cluster:
        assert [result["global_step"] for result in cluster.results()] == [STEPS] * 2
        assert_same_training(cluster.steps(), reference())
        (taken,) = lines(cluster[0])
        assert lines(cluster[1]) == [taken]
        assert taken[1::2] == ("replicated_host", "replicated")
        rates = {taken[1]: float(taken[2]), taken[3]: float(taken[4])}
        assert taken[0] == max(rates, key=rates.get)


def test_whoever_comes_back_tries_again_with_the_others(tmp_path, reference):
    folder = f"--log_dir={tmp_path}/run"
    with Cluster(tmp_path, 2, "--steps=110", "--batch_size=4", "--num_gpus=2", "--running_log_level=info", "--step_ms=10", folder) as cluster:
        cluster[1].wait_for_step(10)  # in the trial
        cluster[1].kill()
        cluster.start(1)
        cluster[0].wait_for_text("is taken")
        cluster[0].wait_for_step(58)
        cluster[1].kill()
        cluster.start(1)
        assert [result["global_step"] for result in cluster.results()] == [110] * 2
        steps, expected = cluster.steps(), reference()
        # Who is killed may not have written what both its devices had.
        whole = [step for step in expected if len(steps[step][0]) == 16]
        assert len(whole) >= STEPS - 2
        assert_same_training({step: steps[step] for step in whole}, {step: expected[step] for step in whole})
        assert len(lines(cluster[0])) == 2
        assert lines(cluster[1])[-1] == lines(cluster[0])[-1]


def test_with_parameter_servers_copies_are_tried(tmp_path, reference):
    with Cluster(tmp_path, 2, f"--steps={STEPS}", "--batch_size=8", "--running_log_level=info", servers=1) as cluster:
        assert [result["global_step"] for result in cluster.results()] == [STEPS] * 2
        assert_same_training(cluster.steps(), reference())
        (taken,) = lines(cluster[0])
        assert lines(cluster[1]) == [taken]
        assert taken[1::2] == ("parameter_server", "distributed_replicated")


def test_what_is_asked_for_is_not_tried(tmp_path):
    for update in "parameter_server", "distributed_replicated":
        with Cluster(tmp_path / update, 2, f"--steps={STEPS}", "--batch_size=8", f"--variable_update={update}", servers=1) as cluster:
            cluster.results()
            assert not lines(cluster[0])

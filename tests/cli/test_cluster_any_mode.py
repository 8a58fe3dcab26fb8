"""What must be so however the gradients are joined: by the workers themselves, or on parameter servers."""
import os
import signal
import time

import pytest
from cluster import Cluster, Worker, alone
from test_cluster import assert_same_training

STEPS = 60
MODES = {
    "all_reduce": (0, []),
    "parameter_server": (1, []),
    "distributed_replicated": (1, ["--variable_update=distributed_replicated"]),
}
TWICE, OTHER = "127.0.0.1:4000", "127.0.0.1:4001"
# What says of a process that it does not answer.
SILENT = {0: "has not answered for 4 s", 1: "no answer within 1 s"}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return alone(tmp_path_factory.mktemp("alone"), f"--steps={STEPS}", "--batch_size=16", "--model=conv")[1]


def training(mode, folder, *args):
    servers, flags = MODES[mode]
    return Cluster(folder, 2, f"--steps={STEPS}", "--batch_size=8", f"--log_dir={folder}/run", "--step_ms=10", *flags, *args,
                   servers=servers)


def assert_same_steps(joined, reference, lost):
    """Of a step that counted at the others, who was struck in that moment may not have written the line."""
    assert len(joined) >= STEPS - lost
    assert_same_training(joined, {step: reference[step] for step in joined})


def servers_end(cluster, code=0):
    for index in range(len(cluster.servers)):
        assert cluster[f"ps{index}"].process.wait(timeout=15) == code, cluster[f"ps{index}"].said()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("victim", [1, 0], ids=["worker", "chief"])
def test_a_killed_worker_is_named_and_taken_back(tmp_path, undisturbed, victim, mode):
    with training(mode, tmp_path) as cluster:
        for step in (12, 31) if mode == "all_reduce" else (15,):
            cluster[victim].wait_for_step(step)
            killed = time.monotonic()
            cluster[victim].kill()
            cluster[1 - victim].wait_for_text(f"worker {victim} ({cluster.hosts[victim]}")
            assert time.monotonic() - killed < 5
            cluster.start(victim)
        assert [result["global_step"] for result in cluster.results()] == [STEPS, STEPS]
        assert_same_steps(cluster.steps(), undisturbed, lost=2)


@pytest.mark.parametrize("mode, victim", [("all_reduce", 1), ("parameter_server", 1), ("parameter_server", "ps0")],
                         ids=["all_reduce", "worker", "ps"])
def test_a_stopped_process_is_named_and_goes_on_when_it_does(tmp_path, undisturbed, mode, victim):
    with training(mode, tmp_path) as cluster:
        cluster[1].wait_for_step(10)
        cluster[victim].kill(signal.SIGSTOP)
        stopped = time.monotonic()
        cluster[0].wait_for_text(SILENT[len(cluster.servers)])
        assert time.monotonic() - stopped < 6
        name = f"ps 0 ({cluster.servers[0]}" if victim == "ps0" else f"worker 1 ({cluster.hosts[1]}"
        assert name in cluster[0].said()
        cluster[victim].kill(signal.SIGCONT)
        cluster.results()
        assert_same_steps(cluster.steps(), undisturbed, lost=1)


@pytest.mark.parametrize("mode", ["all_reduce", "parameter_server"])
@pytest.mark.parametrize("asked", [[0], [1], [0, 1]], ids=str)
def test_asked_to_stop_all_end_with_a_checkpoint(tmp_path, asked, mode):
    with training(mode, tmp_path, "--step_ms=30") as cluster:
        cluster[1].wait_for_step(10)
        for index in asked:
            cluster[index].kill(signal.SIGTERM)
        began = time.monotonic()
        results = cluster.results(code=1)
        assert time.monotonic() - began < 10
        assert results[0]["interrupted"] and results[1]["interrupted"]
        assert results[0]["global_step"] < STEPS
        assert (tmp_path / f"run/model.ckpt-{results[0]['global_step']}.index").exists()
        servers_end(cluster)
        if mode != "all_reduce":
            return
        assert results[0]["global_step"] == results[1]["global_step"]
        again = [cluster.start(index) for index in range(2)]
        assert [worker.result()["global_step"] for worker in again] == [STEPS, STEPS]


@pytest.mark.parametrize("mode", ["all_reduce", "parameter_server"])
def test_who_is_asked_to_stop_while_it_waits_ends_with_a_checkpoint(tmp_path, mode):
    with training(mode, tmp_path, "--save_steps=1000") as cluster:
        cluster[1].wait_for_step(10)
        cluster[1].kill()
        cluster[0].wait_for_text("worker 1 (")
        time.sleep(0.5)
        cluster[0].kill(signal.SIGTERM)
        assert cluster[0].result(code=1, seconds=10)["interrupted"]
        assert list(tmp_path.glob("run/model.ckpt-*.index"))


@pytest.mark.parametrize("mode", ["all_reduce", "parameter_server"])
def test_after_session_timeout_the_run_stops_with_a_checkpoint_and_says_who_is_missing(tmp_path, mode):
    with training(mode, tmp_path, "--session_timeout=6", "--save_steps=1000") as cluster:
        cluster[1].wait_for_step(10)
        cluster[1].kill()
        cluster[0].result(code=1, seconds=30)
        assert f"worker 1 ({cluster.hosts[1]}) {'is not there' if cluster.servers else 'did not connect'}" in cluster[0].said()
        assert "--session_timeout" in cluster[0].said()
        assert list(tmp_path.glob("run/model.ckpt-*.index"))


@pytest.mark.parametrize("mode, victim", [("all_reduce", 0), ("parameter_server", 0), ("parameter_server", "ps0")],
                         ids=["all_reduce", "chief", "ps"])
def test_what_is_lost_between_the_last_step_and_its_checkpoint_costs_nothing(tmp_path, mode, victim):
    cluster = training(mode, tmp_path, "--steps=4", "--save_steps=1000" if victim == 0 else "--save_steps=3")
    try:
        for index in range(len(cluster.servers)):
            cluster.start_server(index)
        cluster.start(0, "--step_ms=1000")
        cluster.start(1)
        cluster[1].wait_for_step(3)  # its last one; the chief sleeps in its hook
        cluster[victim].kill()
        cluster.start(0) if victim == 0 else cluster.start_server(0)
        assert [result["global_step"] for result in cluster.results()] == [4, 4]
        assert (tmp_path / "run/model.ckpt-4.index").exists()
        servers_end(cluster)
    finally:
        cluster.__exit__()


@pytest.mark.parametrize("mode", ["all_reduce", "parameter_server"])
def test_an_error_of_one_is_told_by_all(tmp_path, mode):
    cluster = training(mode, tmp_path)
    try:
        for index in range(len(cluster.servers)):
            cluster.start_server(index)
        cluster.start(0)
        cluster.start(1, "--fail_at=5").result(code=1)
        cluster[0].result(code=1)
        assert f"worker 1 ({cluster.hosts[1]}" in cluster[0].said()
        assert "the disk is full" in cluster[0].said()
        assert list(tmp_path.glob("run/model.ckpt-*.index"))
        servers_end(cluster, code=1)
    finally:
        cluster.__exit__()


@pytest.mark.parametrize("mode", MODES)
def test_killed_while_it_waits_for_its_input_a_worker_is_taken_back(tmp_path, undisturbed, mode):
    gate = tmp_path / "gate"
    gate.touch()
    with training(mode, tmp_path, f"--gate={gate}") as cluster:
        cluster[1].wait_for_step(10)
        gate.unlink()
        os.mkfifo(gate)  # who opens it waits for somebody who writes
        cluster[1].wait_until_idle()
        cluster[1].kill()
        cluster[0].wait_for_text(f"worker 1 ({cluster.hosts[1]}", 5)
        gate.unlink()
        gate.touch()
        cluster.start(1)
        assert [result["global_step"] for result in cluster.results()] == [STEPS, STEPS]
        assert_same_steps(cluster.steps(), undisturbed, lost=1)


@pytest.mark.parametrize("mode", MODES)
def test_killed_while_it_saves_the_chief_loses_no_checkpoint(tmp_path, undisturbed, mode):
    """All that a checkpoint has is written under temporary names first: what is seen of one is one that is being written."""
    with training(mode, tmp_path, "--ballast_mb=64", "--save_steps=10") as cluster:
        cluster[0].wait_for_step(12)
        end = time.monotonic() + 40
        while not list(tmp_path.glob("run/model.ckpt-20.*.tempstate*")):
            assert time.monotonic() < end and cluster[0].process.poll() is None, cluster[0].said()
        cluster[0].kill()
        assert list(tmp_path.glob("run/model.ckpt-20.*.tempstate*")), "the kill came after it was saved"
        assert 'model_checkpoint_path: "model.ckpt-10"' in (tmp_path / "run/checkpoint").read_text()
        assert (tmp_path / "run/model.ckpt-10.index").exists()
        cluster.start(0)
        assert [result["global_step"] for result in cluster.results()] == [STEPS, STEPS]
        assert_same_steps(cluster.steps(), undisturbed, lost=2)
        assert sorted(path.name for path in tmp_path.glob("run/model.ckpt-*.index"))[-1] == f"model.ckpt-{STEPS}.index"
        assert not list(tmp_path.glob("run/*.tempstate*"))


def test_a_training_goes_on_in_any_mode(tmp_path, undisturbed):
    folder, begun = f"--log_dir={tmp_path}/run", 0
    joined = {}
    for number, (workers, servers, args) in enumerate([
            (2, 0, []), (4, 2, ["--variable_update=distributed_replicated"]), (1, 0, ["--num_gpus=2", "--variable_update=replicated"]),
            (2, 1, ["--variable_update=parameter_server"]), (2, 0, ["--num_gpus=2"]), (1, 0, [])]):
        devices = 2 if "--num_gpus=2" in args else 1
        here, begun = begun, begun + 10
        args = [f"--steps={begun}", f"--batch_size={16 // workers // devices}", "--log_first_clone=false", folder, *args]
        if workers == 1:
            joined.update(alone(tmp_path / str(number), *args)[1])
            continue
        with Cluster(tmp_path / str(number), workers, *args, servers=servers) as cluster:
            assert [result["global_step"] for result in cluster.results()] == [begun] * workers
            assert sorted(cluster.steps()) == list(range(here, begun))
            joined.update(cluster.steps())
    assert_same_training(joined, undisturbed)


@pytest.mark.parametrize("mode, args, text", [
    ("all_reduce", ["--batch_size=4"], "batch_size is"),
    ("all_reduce", ["--seed=8"], "random_seed is"),
    ("all_reduce", ["--model=norm"], "model (its variables) is"),
    ("parameter_server", ["--batch_size=4"], "batch_size"),
    ("parameter_server", ["--model=norm"], "model (its variables)"),
    ("parameter_server", ["--seed=8"], "random_seed"),
    ("parameter_server", ["--sync_replicas=false"], "--sync_replicas"),
    ("all_reduce", ["more hosts"], "--worker_hosts"),
    ("parameter_server", ["more hosts"], "--worker_hosts"),
], ids=lambda value: value if isinstance(value, str) else value[0])
def test_who_differs_is_refused_at_the_start(tmp_path, mode, args, text):
    cluster = training(mode, tmp_path)
    try:
        for index in range(len(cluster.servers)):
            cluster.start_server(index)
        cluster.start(0)
        if args == ["more hosts"]:  # one of them is not there
            args = [f"--worker_hosts={','.join([*cluster.hosts, TWICE])}"]
        stranger = cluster.start(1, *args)
        stranger.result(code=1, seconds=20)
        assert text in stranger.said()
        for index in (0, 1):
            assert f"worker {index} ({cluster.hosts[index]}" in stranger.said()
        cluster.start(1)  # as it should be
        assert [result["global_step"] for result in cluster.results()] == [STEPS, STEPS]
    finally:
        cluster.__exit__()


@pytest.mark.parametrize("args, text", [
    ([f"--worker_hosts={TWICE},{TWICE}"], f"--worker_hosts names {TWICE} twice"),
    ([f"--worker_hosts={TWICE},127.0.0.1"], "127.0.0.1"),
    ([f"--worker_hosts={TWICE},{OTHER}", "--min_workers=1"], "more than half of the 2 workers"),
    ([f"--worker_hosts={TWICE},{OTHER}", f"--ps_hosts={TWICE}"], f"name {TWICE} twice"),
    ([f"--worker_hosts={TWICE},{OTHER}", "--ps_hosts=127.0.0.1:4002", "--replicas_to_aggregate=1", "--loss_scale=dynamic"],
     "--replicas_to_aggregate: with loss_scale=dynamic"),
], ids=["twice", "no port", "half", "ps twice", "replicas"])
def test_settings_that_are_refused_leave_no_folder(tmp_path, args, text):
    worker = Worker(0, tmp_path, [f"--log_dir={tmp_path}/run", *args], dict(os.environ))
    worker.result(code=1, seconds=20)
    assert text in worker.said()
    assert not (tmp_path / "run").exists()

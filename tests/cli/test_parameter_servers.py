"""Training with parameter servers: the numbers of one process, and what happens when a process of the cluster is lost."""
import json
import re
import signal
import sys
import time

import pytest
from cluster import WORKER, Cluster, alone, steps_of
from launching import launch
from test_cluster import assert_same_training
from test_cluster_programs import SCRIPT, lines_of

STEPS = 60


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return alone(tmp_path_factory.mktemp("alone"), f"--steps={STEPS}", "--batch_size=16")[1]


def training(folder, *args, workers=2, servers=1):
    return Cluster(folder, workers, f"--steps={STEPS}", "--batch_size=8", f"--log_dir={folder}/run", "--step_ms=10", *args,
                   servers=servers)


def test_the_numbers_are_those_of_one_process_and_servers_end_with_the_workers(tmp_path, undisturbed):
    with training(tmp_path, servers=2) as cluster:
        assert [result["global_step"] for result in cluster.results()] == [STEPS, STEPS]
        assert_same_training(cluster.steps(), undisturbed)
        for server in "ps0", "ps1":
            assert cluster[server].process.wait(timeout=15) == 0, cluster[server].said()
            assert "the workers have left" in cluster[server].said()
        assert "step: 55(global step: 55)" in cluster[0].said()
        assert "step:" not in cluster[1].said()


def test_the_checkpoint_is_that_of_one_process(tmp_path, undisturbed):
    """Begun by one process, gone on with by two workers and a server, ended by one."""
    folder = f"--log_dir={tmp_path}/run"
    joined = alone(tmp_path / "first", "--steps=20", "--batch_size=16", folder)[1]
    with Cluster(tmp_path / "two", 2, "--steps=40", "--batch_size=8", folder, servers=1) as cluster:
        cluster.results()
        joined.update(cluster.steps())
    joined.update(alone(tmp_path / "last", f"--steps={STEPS}", "--batch_size=16", folder)[1])
    assert_same_training(joined, undisturbed)


def assert_loss_falls(worker):
    losses = [line["losses"][0] for _, line in sorted(steps_of(worker.out).items())]
    assert sum(losses[-12:]) < sum(losses[:12])  # each of some epochs: batches differ more than steps


def test_without_sync_each_step_counts_and_the_staleness_is_in_the_log(tmp_path):
    with training(tmp_path, "--sync_replicas=false") as cluster:
        results = cluster.results()
        assert [result["steps"] for result in results] == [STEPS, STEPS]
        assert results[0]["global_step"] == 2 * STEPS
        assert (tmp_path / f"run/model.ckpt-{2 * STEPS}.index").exists()
        assert re.search(r"step: \d+\(global step: \d+\)\t.*staleness: ", cluster[0].said())
        assert_loss_falls(cluster[0])


def test_what_others_did_after_the_chiefs_last_step_is_saved(tmp_path):
    cluster = training(tmp_path, "--sync_replicas=false", "--save_steps=1", "--steps=10")
    try:
        cluster.start_server(0)
        cluster.start(0)
        cluster.start(1, "--step_ms=150")
        assert cluster.results()[0]["global_step"] == 20
        assert (tmp_path / "run/model.ckpt-20.index").exists()
    finally:
        cluster.__exit__()


def test_a_killed_server_is_named_and_the_last_checkpoint_restored_when_it_is_back(tmp_path, undisturbed):
    with training(tmp_path) as cluster:
        cluster[0].wait_for_step(22)
        killed = time.monotonic()
        cluster["ps0"].kill()
        for index in (0, 1):
            cluster[index].wait_for_text(f"ps 0 ({cluster.servers[0]})")
        assert time.monotonic() - killed < 5
        cluster.start_server(0)
        assert [result["global_step"] for result in cluster.results()] == [STEPS, STEPS]
        assert "is restored from" in cluster[0].said()
        assert_same_training(cluster.steps(), undisturbed)


def test_without_sync_a_killed_server_costs_what_was_not_saved(tmp_path):
    with training(tmp_path, "--sync_replicas=false", "--step_ms=20", "--steps=80") as cluster:
        cluster[0].wait_for_step(40)
        cluster["ps0"].kill()
        for index in (0, 1):
            cluster[index].wait_for_text(f"ps 0 ({cluster.servers[0]})", 5)
        saved = max(int(path.stem.split("-")[1]) for path in tmp_path.glob("run/model.ckpt-*.index"))
        cluster.start_server(0)
        results = cluster.results()
        assert f"is restored from {tmp_path}/run/model.ckpt-{saved}" in cluster[0].said()
        assert (tmp_path / f"run/model.ckpt-{results[0]['global_step']}.index").exists()
        assert_loss_falls(cluster[0])


def test_who_was_just_started_again_does_what_a_lost_server_costs(tmp_path, undisturbed):
    """More is lost than the worker has done in its second life: it has these steps to do as well."""
    with training(tmp_path, "--step_ms=100", "--variable_update=parameter_server", "--save_steps=1000", "--steps=40") as cluster:
        cluster[1].wait_for_step(12)
        cluster[1].kill()
        cluster[0].wait_for_text("worker 1 (")
        cluster.start(1)
        cluster[0].wait_for_text("all processes are there")
        cluster["ps0"].kill()
        cluster.start_server(0)
        assert [result["global_step"] for result in cluster.results()] == [40, 40]
        assert "it is made anew" in cluster[0].said()
        assert "step: -" not in cluster[0].said() and "sample/sec: -" not in cluster[0].said()
        assert min(json.loads(line)["local"] for worker in (0, 1) for line in cluster[worker].out.read_text().splitlines()) == 0
        assert_same_training(cluster.steps(), {step: undisturbed[step] for step in range(40)})


def test_a_server_that_is_asked_to_stop_with_the_others_lets_them_save(tmp_path):
    with training(tmp_path, "--step_ms=30", "--save_steps=1000") as cluster:
        cluster[1].wait_for_step(10)
        for process in ("ps0", 0, 1):
            cluster[process].kill(signal.SIGTERM)
        began = time.monotonic()
        cluster.results(code=1)
        assert cluster["ps0"].process.wait(timeout=10) == 0
        assert time.monotonic() - began < 10
        assert list(tmp_path.glob("run/model.ckpt-*.index"))


def test_where_one_input_ends_all_end(tmp_path):
    # 104 samples in blocks of 8: the chief has seven batches, the other worker six.
    with Cluster(tmp_path, 2, "--steps=0", "--samples=104", "--epochs=1", f"--log_dir={tmp_path}/run", servers=1) as cluster:
        results = cluster.results()
        assert results[0]["global_step"] == 6
        seen = sum((samples for samples, _ in cluster.steps().values()), [])
        assert sorted(seen) == list(range(96))


def test_who_does_not_come_is_named_until_session_timeout_and_proxies_are_not_asked(tmp_path):
    cluster = training(tmp_path, "--session_timeout=8")
    for name in ("http_proxy", "grpc_proxy", "https_proxy"):
        cluster.env[name] = "http://127.0.0.1:9"
    try:
        cluster.start_server(0)
        cluster.start(0)
        cluster[0].result(code=1, seconds=30)
        said = cluster[0].said()
        assert "waiting for 5 s" in said and "--session_timeout" in said
        assert f"worker 1 ({cluster.hosts[1]}) is not there" in said and "ps 0" not in said
    finally:
        cluster.__exit__()


def test_a_port_in_use_and_anothers_address_are_told(tmp_path):
    cluster = training(tmp_path)
    try:
        cluster.start_server(0)
        first = cluster.workers["first"] = cluster["ps0"]
        first.wait_for_text("keeps variables for 2 workers")
        cluster.start_server(0).result(code=1, seconds=20)
        assert cluster.servers[0] in cluster["ps0"].said()
        cluster.hosts[1] = "192.0.2.1:4000"
        cluster.start(1).result(code=1, seconds=20)
        assert "192.0.2.1:4000" in cluster[1].said()
    finally:
        cluster.__exit__()


@pytest.mark.parametrize("other", ["more workers", "another place"])
def test_a_server_with_other_lists_is_named_by_all_and_waited_for(tmp_path, other):
    cluster = training(tmp_path, "--steps=4")
    try:
        if other == "more workers":
            wrong = cluster.start_server(0, f"--worker_hosts={','.join([*cluster.hosts, '127.0.0.1:4000'])}")
        else:  # at its address, as the second of two
            hosts = ",".join(["127.0.0.1:4000", *cluster.servers])
            wrong = cluster._start("ps0", 1, "--job_name=ps", f"--ps_hosts={hosts}")
            cluster.workers["wrong"] = wrong
        cluster.start(0)
        cluster.start(1)
        if other == "more workers":
            wrong.result(code=1, seconds=20)
            for said in wrong.said(), cluster[0].said():
                assert re.search(rf"ps 0 \({cluster.servers[0]}, .*has --worker_hosts .*worker 0 \({cluster.hosts[0]}, .*has '", said), said
        else:
            cluster[0].wait_for_text(f"ps 0 ({cluster.servers[0]}) is not there (who answers there is ps 1")
            wrong.kill()
        cluster.start_server(0)
        assert [result["global_step"] for result in cluster.results()] == [4, 4]
    finally:
        cluster.__exit__()


def test_gradients_may_travel_in_half_the_bytes(tmp_path, undisturbed):
    with training(tmp_path, "--gradient_dtype=bfloat16") as cluster:
        cluster.results()
        joined = cluster.steps()
        assert_same_training(joined, undisturbed, tolerance=0.02)
        assert any(joined[step][1] != undisturbed[step][1] for step in joined)


def test_a_slow_worker_is_named_by_those_who_wait(tmp_path):
    cluster = training(tmp_path, "--stall_report_secs=1")
    try:
        cluster.start_server(0)
        cluster.start(0)
        cluster.start(1, "--step_ms=4000")
        cluster[0].wait_for_text(f"worker 1 ({cluster.hosts[1]}) has not sent gradients for it, for which 1 waits")
        cluster[0].kill(signal.SIGTERM)
        cluster[0].result(code=1, seconds=20)
    finally:
        cluster.__exit__()


def test_mox_launch_starts_servers_too(tmp_path):
    out, err = launch("--workers=2", "--ps=1", "--pass_flags=on", "--", WORKER, f"--out={tmp_path}/steps", f"--log_dir={tmp_path}/run",
                      "--steps=10")
    assert "ps 0 (127.0.0.1:" in err, out
    assert (tmp_path / "run/model.ckpt-10.index").exists()


def test_a_python_script_trains_with_a_server(tmp_path):
    (tmp_path / "train.py").write_text(SCRIPT)
    out, err = launch("--workers=2", "--ps=1", "--", sys.executable, tmp_path / "train.py", "one_shot", tmp_path)
    assert lines_of(out, 0)[-1] == lines_of(out, 1)[-1] == "ended at 12", err
    seen = [[json.loads(line) for line in (tmp_path / f"seen.{worker}").read_text().splitlines()] for worker in range(2)]
    for first in 0, 6:
        assert sorted(sum(sum((worker[first:first + 6] for worker in seen), []), [])) == list(range(48))
    assert (tmp_path / "run/model.ckpt-12.index").exists()

"""Several workers, and one is lost: it is named, nothing it leaves behind counts, and the numbers stay those of a training that nobody disturbed."""
import signal
import socket
import time

import pytest
from cluster import Cluster, Worker, alone
from test_cluster import assert_same_training

STEPS = 60


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return alone(tmp_path_factory.mktemp("alone"), f"--steps={STEPS}", "--batch_size=16", "--model=conv")[1]


def training(folder, *args, workers=2, batch_size=8):
    return Cluster(folder, workers, f"--steps={STEPS}", f"--batch_size={batch_size}", f"--log_dir={folder}/run", "--step_ms=10", *args)


@pytest.mark.parametrize("victim", [1, 0], ids=["worker", "chief"])
def test_a_killed_worker_is_named_and_taken_back(tmp_path, undisturbed, victim):
    with training(tmp_path) as cluster:
        for step in (12, 31):
            cluster[victim].wait_for_step(step)
            killed = time.monotonic()
            cluster[victim].kill()
            other = cluster[1 - victim]
            other.wait_for_text(f"worker {victim} ({cluster.hosts[victim]}")
            assert time.monotonic() - killed < 5
            cluster.start(victim)
        cluster.results()
        assert_same_training(cluster.steps(), undisturbed)


def test_of_four_two_are_killed_at_once(tmp_path, undisturbed):
    with training(tmp_path, workers=4, batch_size=4) as cluster:
        cluster[2].wait_for_step(15)
        for victim in (0, 2):
            cluster[victim].kill()
        for victim in (2, 0):
            cluster.start(victim)
        cluster.results()
        assert_same_training(cluster.steps(), undisturbed)


def test_a_stopped_worker_is_named_and_goes_on_when_it_does(tmp_path, undisturbed):
    with training(tmp_path) as cluster:
        cluster[1].wait_for_step(10)
        cluster[1].kill(signal.SIGSTOP)
        stopped = time.monotonic()
        cluster[0].wait_for_text(f"worker 1 ({cluster.hosts[1]}")
        assert "has not answered for 4 s" in cluster[0].said()
        assert time.monotonic() - stopped < 6
        cluster[1].kill(signal.SIGCONT)
        cluster.results()
        assert_same_training(cluster.steps(), undisturbed)


@pytest.mark.parametrize("asked", [[0], [1], [0, 1]], ids=str)
def test_asked_to_stop_all_end_after_the_same_step_with_a_checkpoint(tmp_path, asked):
    with training(tmp_path, "--step_ms=30") as cluster:
        cluster[1].wait_for_step(10)
        for index in asked:
            cluster[index].kill(signal.SIGTERM)
        began = time.monotonic()
        results = cluster.results(code=1)
        assert time.monotonic() - began < 10
        assert results[0]["interrupted"] and results[1]["interrupted"]
        assert results[0]["global_step"] == results[1]["global_step"] < STEPS
        assert (tmp_path / f"run/model.ckpt-{results[0]['global_step']}.index").exists()
        again = [cluster.start(index) for index in range(2)]
        assert [worker.result()["global_step"] for worker in again] == [STEPS, STEPS]


def test_who_is_asked_to_stop_while_it_waits_ends_with_a_checkpoint(tmp_path):
    with training(tmp_path, "--save_steps=1000") as cluster:
        cluster[1].wait_for_step(10)
        cluster[1].kill()
        cluster[0].wait_for_text("worker 1 (")
        time.sleep(0.5)
        cluster[0].kill(signal.SIGTERM)
        assert cluster[0].result(code=1, seconds=10)["interrupted"]
        assert list(tmp_path.glob("run/model.ckpt-*.index"))


def test_lost_in_the_last_step_a_worker_is_taken_along_to_the_end(tmp_path):
    with training(tmp_path, "--step_ms=200", "--steps=6") as cluster:
        cluster[1].wait_for_step(5)  # it sleeps in its hook; the other one waits at the end
        time.sleep(0.05)
        cluster[1].kill()
        cluster[0].wait_for_text("the workers come together once more")
        cluster.start(1)
        assert [result["global_step"] for result in cluster.results()] == [6, 6]


def test_after_session_timeout_the_run_stops_with_a_checkpoint_and_says_who_is_missing(tmp_path):
    with training(tmp_path, "--session_timeout=3", "--save_steps=1000") as cluster:
        cluster[1].wait_for_step(10)
        cluster[1].kill()
        cluster[0].result(code=1, seconds=30)
        assert f"worker 1 ({cluster.hosts[1]}) did not connect" in cluster[0].said()
        assert "--session_timeout" in cluster[0].said()
        assert list(tmp_path.glob("run/model.ckpt-*.index"))


def test_with_min_workers_those_that_are_left_go_on(tmp_path):
    with training(tmp_path, "--min_workers=2", "--session_timeout=6", "--step_ms=50", workers=3) as cluster:
        cluster[1].wait_for_step(8)
        cluster[2].kill()
        assert [cluster[index].result(seconds=90)["global_step"] for index in (0, 1)] == [STEPS, STEPS]
        assert "with 2 of 3 workers" in cluster[0].said()


def test_where_the_chief_is_lost_for_good_the_next_worker_saves(tmp_path):
    with training(tmp_path, "--min_workers=2", "--session_timeout=6", "--step_ms=50", "--save_steps=20", workers=3) as cluster:
        cluster[1].wait_for_step(8)
        cluster[0].kill()
        results = [cluster[index].result(seconds=90) for index in (1, 2)]
        assert [result["global_step"] for result in results] == [STEPS, STEPS]
        assert sorted(path.name for path in (tmp_path / "run").glob("model.ckpt-*.index"))[-3:] == [
            "model.ckpt-20.index", "model.ckpt-40.index", "model.ckpt-60.index"]


def test_an_error_of_one_is_told_by_all(tmp_path):
    with training(tmp_path) as cluster:
        cluster[0].wait_for_step(3)
        cluster[1].kill()
        cluster.start(1, "--fail_at=5").result(code=1)
        cluster[0].result(code=1)
        assert f"worker 1 ({cluster.hosts[1]}" in cluster[0].said()
        assert "the disk is full" in cluster[0].said()
        assert list(tmp_path.glob("run/model.ckpt-*.index"))


@pytest.mark.parametrize("sample, reader", [(35, 0), (45, 1)], ids=["chief", "worker"])
def test_a_broken_image_costs_nothing_that_was_trained(tmp_path, sample, reader):
    with training(tmp_path, f"--broken={sample}", "--save_steps=1000") as cluster:
        cluster.results(code=1)
        for worker in cluster.workers.values():
            assert "a broken image" in worker.said()
        assert f"worker {reader} ({cluster.hosts[reader]}" in cluster[1 - reader].said()
        assert (tmp_path / "run/model.ckpt-2.index").exists()


def test_a_hook_that_stops_stops_all(tmp_path):
    with training(tmp_path) as cluster:
        cluster[0].wait_for_step(3)
        cluster[1].kill()
        cluster.start(1, "--stop_at=6")
        results = cluster.results()
        assert results[0]["global_step"] == results[1]["global_step"] < STEPS


def test_where_one_input_ends_all_end(tmp_path):
    # 100 samples in blocks of 8 for three workers: the first two have five batches, the third four.
    with Cluster(tmp_path, 3, "--steps=0", "--samples=100", "--epochs=1", f"--log_dir={tmp_path}/run") as cluster:
        results = cluster.results()
        assert [result["global_step"] for result in results] == [4, 4, 4]
        seen = sum((samples for samples, _ in cluster.steps().values()), [])
        assert sorted(seen) == list(range(96))


@pytest.mark.parametrize("args, text", [
    (["--batch_size=4"], "batch_size is"),
    (["--seed=8"], "random_seed is"),
    (["--model=norm"], "model (its variables) is"),
], ids=["batch_size", "seed", "model"])
def test_who_differs_is_refused_at_the_start(tmp_path, args, text):
    cluster = training(tmp_path)
    try:
        cluster.start(0)
        stranger = cluster.start(1, *args)
        stranger.result(code=1, seconds=20)
        assert text in stranger.said()
        for index in (0, 1):
            assert f"worker {index} ({cluster.hosts[index]}" in stranger.said()
    finally:
        cluster.__exit__()


def test_who_keeps_the_others_waiting_is_named(tmp_path):
    cluster = training(tmp_path, "--stall_report_secs=1")
    try:
        cluster.start(0)
        cluster.start(1, "--step_ms=4000")
        cluster[0].wait_for_text(f"worker 1 ({cluster.hosts[1]}")
        assert "has not come to the exchange in which 1 waits" in cluster[0].said()
        assert "the input stalls" not in cluster[0].said()
    finally:
        cluster.__exit__()


def test_a_port_that_is_taken_and_an_index_that_is(tmp_path):
    cluster = training(tmp_path)
    try:
        with socket.socket() as other:
            host, port = cluster.hosts[0].split(":")
            other.bind((host, int(port)))
            other.listen()
            cluster.start(0).result(code=1)
            assert cluster.hosts[0] in cluster[0].said() and "in use" in cluster[0].said()
        cluster.start(0)
        cluster.start(1)
        cluster[1].wait_for_step(5)
        (tmp_path / "twice").mkdir()
        twice = Worker(1, tmp_path / "twice", [f"--worker_hosts={','.join(cluster.hosts)}", "--task_index=1", *cluster.args], cluster.env)
        twice.result(code=1, seconds=30)
        assert cluster.hosts[1] in twice.said()
        assert [result["global_step"] for result in cluster.results()] == [STEPS, STEPS]
    finally:
        cluster.__exit__()


def test_without_the_token_nobody_joins(tmp_path):
    cluster = training(tmp_path)
    try:
        cluster.start(0)
        cluster.env["MOX_CLUSTER_TOKEN"] = "another"
        cluster.start(1).result(code=1, seconds=20)
        assert "token" in cluster[1].said()
        cluster.env["MOX_CLUSTER_TOKEN"] = "secret"
        cluster.start(1)
        assert [result["global_step"] for result in cluster.results()] == [STEPS, STEPS]
    finally:
        cluster.__exit__()

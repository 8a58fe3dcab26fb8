"""Several workers, and one is lost: it is named, nothing it leaves behind counts, and the numbers stay those of a training that nobody disturbed."""
import json
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


def test_of_four_two_are_killed_at_once(tmp_path, undisturbed):
    with training(tmp_path, workers=4, batch_size=4) as cluster:
        cluster[2].wait_for_step(15)
        for victim in (0, 2):
            cluster[victim].kill()
        for victim in (2, 0):
            cluster.start(victim)
        cluster.results()
        assert_same_training(cluster.steps(), undisturbed)


def test_lost_in_the_last_step_a_worker_is_taken_along_to_the_end(tmp_path):
    with training(tmp_path, "--step_ms=200", "--steps=6") as cluster:
        cluster[1].wait_for_step(5)  # it sleeps in its hook; the other one waits at the end
        time.sleep(0.05)
        cluster[1].kill()
        cluster[0].wait_for_text("the workers come together once more")
        cluster.start(1)
        assert [result["global_step"] for result in cluster.results()] == [6, 6]


def test_lost_in_the_last_step_a_worker_is_not_waited_for_where_nothing_is_needed_of_it(tmp_path):
    with training(tmp_path, "--step_ms=200", "--steps=6", "--session_timeout=6", workers=3) as cluster:
        cluster[1].wait_for_step(5)
        time.sleep(0.05)
        cluster[1].kill()
        assert [cluster[index].result(seconds=20)["global_step"] for index in (0, 2)] == [6, 6]
        assert "2 of 3 workers end the training" in cluster[0].said()
        assert (tmp_path / "run/model.ckpt-6.index").exists()


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
        lines = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
        logged = [line["global_step"] for line in lines if line["global_step"] > 20]
        assert logged[-1] == 55 and logged == sorted(set(logged)) and all(line["loss"] > 0 for line in lines)
        assert len(list((tmp_path / "run").glob("events.*"))) == 2


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
    cluster = training(tmp_path, "--step_ms=60")
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
        same = [f"--worker_hosts={','.join(cluster.hosts)}", "--task_index=1", *cluster.args]
        twice = cluster.workers["twice"] = Worker(1, tmp_path / "twice", same, cluster.env)
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

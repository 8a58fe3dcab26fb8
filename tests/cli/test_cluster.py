"""Several workers: the numbers of one process on the joined batch, each sample once, one checkpoint of all."""

import pytest
from cluster import Cluster, alone, steps_of

STEPS = 50


def assert_same_training(joined, reference, tolerance=1e-5):
    assert sorted(joined) == sorted(reference)
    for step, (samples, losses) in joined.items():
        assert sorted(samples) == sorted(reference[step][0]), step
        for got, expected in zip(losses, reference[step][1]):
            assert got == pytest.approx(expected, abs=tolerance), f"step {step}"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """One process, per extra arguments: batch 16, as 2 workers of 8 or 4 of 4 have it together; devices: of that process."""
    known = {}

    def of(*args, devices=1):
        key = (*args, devices)
        if key not in known:
            known[key] = alone(tmp_path_factory.mktemp("alone"), f"--steps={STEPS}", f"--num_gpus={devices}", "--log_first_clone=false",
                               f"--batch_size={16 // devices}", *args)[1]
        return known[key]

    return of


@pytest.mark.parametrize("workers, devices", [(2, 1), (4, 1), (2, 2), (4, 2)])
def test_the_numbers_are_those_of_one_process(tmp_path, reference, workers, devices):
    with Cluster(tmp_path, workers, f"--steps={STEPS}", f"--batch_size={16 // workers // devices}", f"--num_gpus={devices}",
                 "--log_first_clone=false") as cluster:
        results = cluster.results()
        assert [result["global_step"] for result in results] == [STEPS] * workers
        assert_same_training(cluster.steps(), reference())
        assert "step: 45(global step: 45)" in cluster[0].said()
        assert "step:" not in cluster[1].said()


@pytest.mark.parametrize("devices, args", [
    (1, ["--optimizer=lars"]),
    (2, ["--optimizer=lars"]),
    (1, ["--optimizer=batch_gradients"]),
    (2, ["--optimizer=batch_gradients"]),
    (2, ["--optimizer=batch_gradients_sync"]),
    (2, ["--model=gan"]),
    (2, ["--loss_scale=dynamic", "--loss_scale_growth_steps=10"]),
    (2, ["--gradient_clip=0.05", "--gradient_clip_type=global_norm"]),
    (1, ["--input=user"]),
    (1, ["--input=synthetic"]),
], ids=lambda value: value[0] if isinstance(value, list) else str(value))
def test_so_they_are_with(tmp_path, reference, devices, args):
    with Cluster(tmp_path, 2, f"--steps={STEPS}", f"--num_gpus={devices}", f"--batch_size={8 // devices}", *args) as cluster:
        cluster.results()
        assert_same_training(cluster.steps(), reference(*args))


@pytest.mark.parametrize("args", [["--optimizer=dgc"], ["--use_fp16=true"]], ids=lambda args: args[0])
def test_what_each_device_does_with_its_own_gradients_is_as_on_so_many_devices_of_one_process(tmp_path, reference, args):
    with Cluster(tmp_path, 2, f"--steps={STEPS}", "--num_gpus=2", "--batch_size=4", *args) as cluster:
        cluster.results()
        assert_same_training(cluster.steps(), reference(*args, devices=4))


def test_with_shuffled_data_each_sample_comes_once_an_epoch(tmp_path):
    for source in "own", "user":
        with Cluster(tmp_path / source, 2, "--steps=8", "--batch_size=8", "--shuffle=1", f"--input={source}", "--seed=0") as cluster:
            cluster.results()
            joined = cluster.steps()
        for epoch in range(2):  # 64 samples are 4 steps of 16
            seen = sum((joined[step][0] for step in range(4 * epoch, 4 * epoch + 4)), [])
            assert sorted(seen) == list(range(64)), source
        assert joined[0][0] != joined[4][0]


def test_dropout_is_each_workers_own_and_the_same_after_a_kill(tmp_path):
    # All samples are the same one: without dropout all workers would have the same loss.
    args = ["--steps=20", "--batch_size=8", "--model=dropout", "--input=synthetic", "--step_ms=10"]
    with Cluster(tmp_path / "undisturbed", 2, *args) as cluster:
        cluster.results()
        losses = [[line["losses"] for line in steps_of(cluster[index].out).values()] for index in range(2)]
        assert all(one != other for one, other in zip(*losses))
        undisturbed = cluster.steps()
    with Cluster(tmp_path / "killed", 2, *args) as cluster:
        cluster[1].wait_for_step(7)
        cluster[1].kill()
        cluster.start(1)
        cluster.results()
        joined = cluster.steps()
        assert_same_training(joined, {step: undisturbed[step] for step in joined})
        assert len(joined) >= 19


def test_gradients_may_travel_in_half_the_bytes(tmp_path, reference):
    with Cluster(tmp_path, 2, f"--steps={STEPS}", "--batch_size=8", "--gradient_dtype=bfloat16") as cluster:
        cluster.results()
        assert_same_training(cluster.steps(), reference(), tolerance=0.02)


def test_a_resumed_training_may_have_another_number_of_workers(tmp_path, reference):
    folder = f"--log_dir={tmp_path}/run"
    with Cluster(tmp_path / "four", 4, "--steps=20", "--batch_size=4", folder) as cluster:
        cluster.results()
        joined = cluster.steps()
    joined.update(alone(tmp_path / "one", "--steps=30", "--batch_size=16", folder)[1])
    with Cluster(tmp_path / "two", 2, f"--steps={STEPS}", "--batch_size=8", folder) as cluster:
        cluster.results()
        joined.update(cluster.steps())
    assert_same_training(joined, reference())


def test_shuffled_samples_go_on_where_they_were_with_another_number_of_workers(tmp_path):
    seen = []
    for workers, steps in (4, 1), (2, 3), (3, 7):  # 64 samples an epoch: steps of 8, 16, 12
        batch = {4: 2, 2: 8, 3: 4}[workers]
        with Cluster(tmp_path / str(workers), workers, f"--steps={steps}", f"--batch_size={batch}", "--shuffle=1", "--seed=0",
                     f"--log_dir={tmp_path}/run") as cluster:
            cluster.results()
            seen += [sample for samples, _ in cluster.steps().values() for sample in samples]
    assert len(seen) == 8 + 2 * 16 + 4 * 12
    assert sorted(seen[:40] + seen[40:64]) == list(range(64)) != seen[:64]
    assert len(set(seen[64:])) == len(seen[64:])


def test_evaluation_and_prediction_are_those_of_one_process(tmp_path):
    run = f"--log_dir={tmp_path}/run"
    alone(tmp_path / "train", "--steps=10", run)
    data = ["--samples=101", "--epochs=1", "--steps=0"]
    evaluated = alone(tmp_path / "eval", "--mode=EVAL", run, *data)[0]
    for source in "own", "user":
        with Cluster(tmp_path / f"eval_{source}", 2, "--mode=EVAL", run, f"--input={source}", *data) as cluster:
            results = cluster.results()
        assert results[0]["loss"] == pytest.approx(evaluated["loss"], abs=1e-6)
        assert results[1]["loss"] == pytest.approx(evaluated["loss"], abs=1e-6)
        assert results[0]["steps"] == evaluated["steps"] == 13
        for every in 0, 2:
            with Cluster(tmp_path / f"predict_{source}{every}", 3, "--mode=PREDICT", run, f"--input={source}", f"--every={every}",
                         *data) as cluster:
                results = cluster.results()
            assert results[0]["numbers"] == list(range(101))
            assert results[1]["numbers"] == results[2]["numbers"] == []


def test_a_worker_that_is_lost_ends_an_evaluation_with_its_name(tmp_path):
    run = f"--log_dir={tmp_path}/run"
    alone(tmp_path / "train", "--steps=1", run)
    with Cluster(tmp_path, 2, "--mode=EVAL", run, "--samples=20000", "--epochs=1", "--steps=0", "--step_ms=20") as cluster:
        cluster[1].wait_for_step(0)
        cluster[1].kill()
        cluster[0].result(code=1, seconds=6)  # not only when it is done with its own share, after 25
        assert f"worker 1 ({cluster.hosts[1]}" in cluster[0].said()

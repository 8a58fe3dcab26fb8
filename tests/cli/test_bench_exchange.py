"""mox bench exchange: on one host, by hand, under mox launch; figures that fit each other; errors that name who is lost."""

import json
import os
import signal
import socket
import subprocess

import pytest

from launching import Launch, until
from program import MOX, mox

SMALL = ["--megabytes=2", "--rounds=2", "--warmup=1"]


def free_addresses(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    return addresses


def start(addresses, index, *options, **env):
    words = [str(MOX), "bench", "exchange", f"--worker_hosts={','.join(addresses)}", f"--task_index={index}", *options]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env})


def ends(processes):
    results = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        results.append((process.returncode, out, err))
    return results


@pytest.mark.parametrize("workers", [2, 3, 4])
def test_alone_it_starts_its_workers(workers):
    done = mox("bench", "exchange", f"--workers={workers}", *SMALL, "--json")
    report = json.loads(done.stdout)
    assert (report["workers"], report["tensors"], report["gradient_dtype"], report["rounds"]) == (workers, 161, "float32", 2)
    assert abs(report["bytes"] - 2e6) < 1000
    assert len(report["processes"]) == workers and report["processes"][1]["name"].startswith("worker 1 (127.0.0.1:")
    for name in ("wall_ms", "cpu_ms", "gb_per_s", "wire_ms", "wire_gb_per_s", "memcpy_ms", "latency_us"):
        assert report[name] > 0, name
    assert report["least_ms"] <= report["wall_ms"] <= report["most_ms"]
    assert report["wire_ms"] == max(process["wire_ms"] for process in report["processes"])
    assert report["wire_limit_ms"] == pytest.approx(report["wire_ms"] * 2 * (workers - 1) / workers, abs=0.002)
    assert report["gb_per_s"] == pytest.approx(report["bytes"] / report["wall_ms"] / 1e6, rel=0.01, abs=0.001)
    assert all(process["shares_memory"] for process in report["processes"])


def test_over_connections_where_memory_is_not_wanted(monkeypatch):
    monkeypatch.setenv("MOX_SHARED_MEMORY", "0")
    report = json.loads(mox("bench", "exchange", *SMALL, "--json").stdout)
    assert not any(process["shares_memory"] for process in report["processes"])


def test_by_default_the_gradients_are_resnet_50s():
    lines = mox("bench", "exchange", "--rounds=1", "--warmup=0").stdout.splitlines()
    assert lines[0] == "161 gradients, 102.2 MB, 18 buckets, 2 workers, float32; medians of 1 rounds"
    assert [line.split()[0] for line in lines[1:]] == ["exchange", "CPU", "wire", "limit", "memcpy", "latency"]


def test_bfloat16_sends_half():
    report = json.loads(mox("bench", "exchange", *SMALL, "--gradient_dtype=bfloat16", "--json").stdout)
    assert report["gradient_dtype"] == "bfloat16"
    assert report["wire_limit_ms"] == pytest.approx(report["wire_ms"] / 2, abs=0.002)


def test_buckets_that_become_ready_one_after_the_other():
    report = json.loads(mox("bench", "exchange", *SMALL, "--bucket_mib=0.1", "--backward_ms=300", "--json").stdout)
    assert report["buckets"] > 5 and report["least_ms"] >= 300
    assert "left over" in mox("bench", "exchange", *SMALL, "--backward_ms=50").stdout


def test_by_hand_the_first_one_prints_and_nobody_loads_tensorflow():
    addresses = free_addresses(2)
    results = ends([start(addresses, index, *SMALL, "--json", LD_DEBUG="files", MOX_CLUSTER_TOKEN="t") for index in range(2)])
    assert [code for code, _, _ in results] == [0, 0], results
    assert json.loads(results[0][1])["workers"] == 2 and results[1][1] == ""
    for _, _, err in results:
        assert "libmoxing_file" in err and "libtensorflow" not in err


def test_under_mox_launch_it_is_one_of_the_workers():
    out, err = Launch("--workers=3", "--", MOX, "bench", "exchange", *SMALL).finish()
    lines = out.splitlines()
    assert lines[0].startswith("[worker 0] 161 gradients, 2.0 MB,") and "3 workers" in lines[0]
    assert all(line.startswith("[worker 0] ") for line in lines)


def test_a_worker_that_is_killed_is_named():
    addresses = free_addresses(2)
    first, second = (start(addresses, index, "--megabytes=2", "--rounds=100000", "--warmup=0") for index in range(2))
    until(lambda: cpu_ticks(second.pid) > 20, "the rounds begin")
    second.send_signal(signal.SIGKILL)
    (code, _, err), _ = ends([first, second])
    assert code == 1
    assert f"worker 1 ({addresses[1]}, process {second.pid} on " in err


def cpu_ticks(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_workers_that_differ_are_refused():
    addresses = free_addresses(2)
    first, second = start(addresses, 0, *SMALL), start(addresses, 1, "--megabytes=3")
    (code, out, err), = ends([second])
    first.terminate()
    (_, _, warning), = ends([first])
    assert code == 2 and out == ""
    for text in (err, warning):
        assert "--megabytes=2" in text and "--megabytes=3" in text and f"worker 1 ({addresses[1]}" in text


@pytest.mark.parametrize("args, text", [
    (["exchange", "--workers=1"], "--workers is 1, expected an integer from 2 to 1024"),
    (["exchange", "--megabytes=-1"], "--megabytes is -1"),
    (["exchange", "--gradient_dtype=float64"], "float64"),
    (["exchange", "--rounds=0"], "--rounds is 0"),
    (["exchange", "--worker_hosts=127.0.0.1:5000"], "the cluster has 1 workers (127.0.0.1:5000), expected two or more"),
    (["exchange", "--worker_hosts=a:1,b:1", "--workers=3"], "the cluster has 2 workers (a:1,b:1), expected 3 as --workers says"),
    (["exchange", "--worker_hosts=127.0.0.1:1,b:1", "--task_index=2"], "--task_index is 2, expected 0 to 1"),
    (["exchange", "--worker_hosts=a:1,b:1", "--ps_hosts=c:1", "--job_name=ps"], "this process is the cluster's ps"),
    (["exchange", "--cluster=mpi"], "neither OMPI_COMM_WORLD_RANK nor PMI_RANK is set"),
    (["exchagne"], "unknown command 'exchagne'; there are: train, data, exchange"),
    ([], "Usage: mox bench COMMAND"),
])
def test_wrong_use(args, text):
    done = mox("bench", *args, check=False)
    assert done.returncode == 2 and text in done.stderr and done.stdout == "", done

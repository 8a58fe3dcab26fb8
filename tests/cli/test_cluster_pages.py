"""The pages for Kubernetes, Slurm, MPI and two hosts by hand: their manifests fit the schemas, and their commands run, with fakes of what
starts them: what is measured is small, what is trained is a LeNet for three steps.
"""

import json
import os
import pathlib
import re
import subprocess
import sys

import jsonschema
import pytest
import yaml

from program import DATA, MOX, ROOT, mox, train_args
from test_bench_exchange import free_addresses

HERE = pathlib.Path(__file__).resolve().parent
STAND_IN = """#!/bin/sh
# mox: little work, and a note of who was started with what
printf '%s\\n' "$MOX_CLUSTER_TOKEN" "$@" > '{log}'/$$
case $1 in
  bench) exec '{mox}' "$@" --megabytes=0.1 --rounds=1 --warmup=0 ;;
  train) exec '{mox}' "$@" --model_name=lenet --dataset_name=fashion_mnist --data_url={data} --train_url='{run}' --batch_size=8 \\
           --max_number_of_steps=3 --num_inter_threads=1 --num_intra_threads=1 ;;
  *) exec '{mox}' "$@" ;;
esac
"""


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.M | re.S)


class Stage:
    """A folder with the stand-in and the fakes in PATH."""

    def __init__(self, folder):
        self.log, self.trained = folder / "log", folder / "run"
        program = folder / "bin/mox"
        for path in (self.log, program.parent, folder / "home"):
            path.mkdir(parents=True)
        program.write_text(STAND_IN.format(mox=MOX, log=self.log, run=self.trained, data=DATA))
        program.chmod(0o755)
        self.env = {"PATH": f"{program.parent}:{HERE / 'fakes'}:{os.environ['PATH']}", "HOME": str(folder / "home")}

    def start(self, script, **env):
        return subprocess.Popen(["bash", "-euc", script], env={**self.env, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *scripts):
        """All at once; each is a text, or a text with its environment. What the first one printed."""
        running = [self.start(script) if isinstance(script, str) else self.start(script[0], **script[1]) for script in scripts]
        results = [process.communicate(timeout=120) for process in running]
        assert [process.returncode for process in running] == [0] * len(running), results
        return results[0][0]

    def fails(self, script, **env):
        """What it said."""
        process = self.start(script, **env)
        _, err = process.communicate(timeout=120)
        assert process.returncode != 0
        return err

    def started(self):
        """(token, words) of each process, by words."""
        texts = [path.read_text().splitlines() for path in self.log.iterdir()]
        return sorted((token, words) for token, *words in texts)


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path / "stage")


def assert_clusters(out, *sizes):
    """A report for each cluster that came about, with so many workers."""
    assert [int(n) for n in re.findall(r"^161 gradients, .* (\d+) workers,", out, re.M)] == list(sizes), out


def assert_trained(stage, workers, known_flags):
    """Together, for three steps; the page's flags are the training's."""
    assert 'model_checkpoint_path: "model.ckpt-3"' in (stage.trained / "checkpoint").read_text()
    trained = [words for _, words in stage.started() if words[0] == "train"]
    assert len(trained) == workers
    for word in trained[0][1:]:
        assert not word.startswith("--") or word[2:].split("=")[0] in known_flags("train"), word


def assert_one_token(stage):
    tokens = {token for token, _ in stage.started()}
    assert len(tokens) == 1 and re.fullmatch(r"[0-9a-f]{64}", tokens.pop())


@pytest.fixture(scope="module")
def known_flags():
    flags = {entry["name"] for entry in json.loads(mox("flags", "--json").stdout) if entry["of"] == "process"}

    def known(command):
        return flags | set(re.findall(r"--([a-z_0-9]+)", mox(command, "--help").stdout))

    return known


def test_slurm(stage, known_flags):
    (script,) = blocks("slurm.md", "sh")
    directives = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", script, re.M))
    assert directives["nodes"] == "2" and directives["ntasks-per-node"] == "1" and directives["signal"] == "TERM@120"
    out = stage.run((script, {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NUM_NODES": "2", "SLURM_NTASKS_PER_NODE": "1",
                              "SLURM_CPUS_PER_TASK": directives["cpus-per-task"], "SLURM_JOB_NODELIST": "127.0.0.[1-2]"}))
    assert_clusters(out, 2)
    assert_one_token(stage)
    assert_trained(stage, 2, known_flags)
    page = (ROOT / "docs/slurm.md").read_text().replace("\n", " ")
    assert mox("bench", "exchange", "--cluster=slurm", check=False).stderr.strip().removeprefix("mox bench: ") in page


def test_slurm_with_several_tasks_a_node(stage):
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_CPUS_PER_TASK": "1"}
    one_node = {"SLURM_JOB_NUM_NODES": "1", "SLURM_NTASKS_PER_NODE": "1", "SLURM_JOB_NODELIST": "127.0.0.1"}
    err = stage.fails("srun mox bench exchange --cluster=slurm --cluster_ps=1", **job, **one_node)
    assert "--cluster=slurm: the number of parameter servers is 1, expected an integer from 0 to 0" in err
    two_nodes = {"SLURM_JOB_NUM_NODES": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NODELIST": "127.0.0.[3,4]"}
    assert_clusters(stage.run(("srun mox bench exchange --cluster=slurm", {**job, **two_nodes})), 4)


def test_a_python_script_takes_the_same_flag(stage):
    """Importing the package takes MoXing's flags from the command line; the rank says the rest."""
    script = "import sys, moxing.tensorflow as mox; print(mox.get_flag('worker_hosts'), mox.get_flag('task_index'), sys.argv[1:])"
    env = {"SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NTASKS_PER_NODE": "2",
           "SLURM_JOB_NODELIST": "node9", "PYTHONPATH": str(MOX.parents[1] / "python")}
    out = stage.run((f"srun --cpus-per-task=1 {sys.executable} -c \"{script}\" --cluster=slurm --mine=1", env))
    assert sorted(out.splitlines()) == [f"node9:20448,node9:20449 {rank} ['--mine=1']" for rank in range(2)]


def on_this_host(text):
    """node1:5000 and node2:5000 become addresses of this host."""
    first, second = free_addresses(2)
    text = text.replace("node1:5000", first).replace("node2:5000", second.replace("127.0.0.1", "127.0.0.2"))
    return text.replace("node1", "127.0.0.1").replace("node2", "127.0.0.2")


def test_mpi(stage, known_flags):
    one_host, several = blocks("mpi.md", "sh")
    assert_clusters(stage.run(one_host), 2)
    for path in stage.log.iterdir():
        path.unlink()
    assert_clusters(stage.run(on_this_host(several)), 2)
    assert_one_token(stage)
    assert_trained(stage, 2, known_flags)
    page = (ROOT / "docs/mpi.md").read_text().replace("\n", " ")
    assert mox("bench", "exchange", "--cluster=mpi", check=False).stderr.strip().removeprefix("mox bench: ") in page


def test_mpi_on_several_hosts_needs_their_names(stage):
    err = stage.fails("mpirun -np 2 --host a,b mox bench exchange --cluster=mpi")
    assert "MPI does not say on which hosts its ranks are: 1 of 2 are on this one; name them, one for each rank, in order: --worker_hosts=" in err


def test_two_hosts_by_hand(stage, fake_ssh):
    by_hand, by_ssh = blocks("distributed.md", "sh")[-2:]
    (pathlib.Path(stage.env["HOME"]) / ".mox_token").write_text("ab" * 32)
    token, *lines = on_this_host(by_hand).splitlines()
    assert len(lines) == 2
    assert_clusters(stage.run(*(f"{token}\n{line}" for line in lines)), 2)
    assert_one_token(stage)
    stage.env["PATH"] = f"{stage.env['PATH'].split(':')[0]}:{fake_ssh['env']['PATH']}"
    assert_clusters(stage.run(on_this_host(by_ssh)).replace("[worker 0] ", ""), 2)


# Kubernetes

SCHEMA = json.loads((HERE / "schemas/kubernetes.json").read_text())
MANIFESTS = [manifest for block in blocks("kubernetes.md", "yaml") for manifest in yaml.safe_load_all(block)]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_manifests_fit_the_schemas(manifest):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(manifest, {"$ref": f"#/$defs/{manifest['kind']}", "$defs": SCHEMA["$defs"]})


def by_kind(kind):
    (manifest,) = [manifest for manifest in MANIFESTS if manifest["kind"] == kind]
    return manifest


@pytest.mark.parametrize("slip", [
    lambda job: job["spec"].update(completionMode="indexed"),
    lambda job: job["spec"]["template"]["spec"].update(restartPolicy="Always"),
    lambda job: job["spec"]["template"]["spec"].pop("restartPolicy"),
    lambda job: job["spec"].update(paralelism=2),
    lambda job: job["spec"]["template"]["spec"]["containers"][0]["env"][0].update(value="x"),
    lambda job: job["spec"]["template"]["spec"]["containers"][0]["ports"][0].update(containerPort="5000"),
    lambda job: job["spec"]["template"]["spec"]["containers"][0]["args"].append(5),
])
def test_the_schema_finds_slips(slip):
    job = json.loads(json.dumps(by_kind("Job")))
    slip(job)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job, {"$ref": "#/$defs/Job", "$defs": SCHEMA["$defs"]})


def test_the_plain_job_forms_a_cluster(stage, known_flags):
    job, service = by_kind("Job"), by_kind("Service")
    spec = job["spec"]
    pod = spec["template"]["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == spec["parallelism"] == 2
    assert pod["subdomain"] == service["metadata"]["name"] and service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    (container,) = pod["containers"]
    shell, switch = container["command"]
    (script,) = container["args"]
    # mox-I.mox.default.svc.cluster.local, which the cluster's names lead to
    name = f"{job['metadata']['name']}-$1.{pod['subdomain']}.default.svc.cluster.local:{container['ports'][0]['containerPort']}"
    assert name in script
    port = free_addresses(1)[0].split(":")[1]
    script = script.replace(name, f"127.0.0.$((1 + $1)):{port}")
    running = [subprocess.Popen([shell, switch, script], env={**stage.env, "JOB_COMPLETION_INDEX": str(i), "MOX_CLUSTER_TOKEN": "ab" * 32})
               for i in range(2)]
    assert [process.wait(timeout=120) for process in running] == [0, 0]
    assert_trained(stage, 2, known_flags)


def test_the_tfjob_forms_a_cluster(stage, known_flags):
    replicas = by_kind("TFJob")["spec"]["tfReplicaSpecs"]
    count = replicas["Worker"]["replicas"]
    (container,) = replicas["Worker"]["template"]["spec"]["containers"]
    assert container["name"] == "tensorflow" and container["ports"][0]["name"] == "tfjob-port"
    port = free_addresses(1)[0].split(":")[1]
    hosts = [f"127.0.0.{i + 1}:{port}" for i in range(count)]  # mox-worker-I.default.svc:2222

    def pod(index):
        config = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}, "environment": "cloud"}
        return subprocess.Popen(container["command"], env={**stage.env, "TF_CONFIG": json.dumps(config), "MOX_CLUSTER_TOKEN": "ab" * 32})

    running = [pod(index) for index in range(count)]
    assert [process.wait(timeout=120) for process in running] == [0] * count
    assert_trained(stage, count, known_flags)


def test_an_evaluator_works_alone(trained, known_flags):
    (container,) = by_kind("TFJob")["spec"]["tfReplicaSpecs"]["Evaluator"]["template"]["spec"]["containers"]
    (words,) = re.findall(r"do mox (eval [^;]*);", container["command"][2])
    assert all(word[2:].split("=")[0] in known_flags("eval") for word in words.split() if word.startswith("--"))
    config = {"cluster": {"worker": ["mox-worker-0.default.svc:2222", "mox-worker-1.default.svc:2222"]},
              "task": {"type": "evaluator", "index": 0}, "environment": "cloud"}
    env = {**os.environ, "TF_CONFIG": json.dumps(config)}
    assert json.loads(mox("eval", f"--checkpoint_url={trained}", "--max_number_of_steps=2", "--json", env=env).stdout)["accuracy"] > 0.3
    refused = mox(*train_args(trained, 200), env=env, check=False)
    assert refused.returncode == 2
    assert "this process is the evaluator beside its cluster (--job_name, or the task of TF_CONFIG)" in refused.stderr

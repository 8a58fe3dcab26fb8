"""Inference of built-in networks on synthetic images: mox's PREDICT, and the model that it exports under TensorFlow's loader, against
PyTorch and ONNX Runtime, whole processes in turn, and the limit: the machine's peak over what the network multiplies. Writes results.json
(see results.py). Build with -DMOX_BUILD_BENCH=ON first.

  .venv/bin/python bench/inference/compare.py [--networks=resnet_v15_50,…] [--dtypes=float32,bfloat16] [--batches=1,32]
      [--seconds=2] [--runs=1] [--peers=torch,onnx,saved_model] [--torch=compile,…] [--all_settings] [--peers_python=PYTHON] [--output=bench/inference/results.json]

The rate is that of the median step of the second half. Checkpoints and what is exported, for ONNX Runtime and by mox, are made before and
kept in --models. Settings of `mox` are its own: without threads of its steps' own, and without what is folded and packed.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import BUILD, Contender, Results, json_lines, steady  # noqa: E402

FIGURES = {"images_per_second": "higher", "peak_mib": "lower"}
INFERENCE = BUILD / "bin/inference"
APART = {"MOX_STEP_THREADS": "0"}
PLAIN = {**APART, "MOX_FOLD_BATCH_NORM": "0", "MOX_CONSTANT_FILTERS": "0"}


def gflop(network):
    """Of an image, as `mox nets` counts."""
    return json.loads(subprocess.run([BUILD / "bin/mox", "nets", network, "--json"], check=True, capture_output=True, text=True).stdout)["gflops"]


def exported(models, network):
    folder = models / f"{network}_exported"
    if not folder.exists():
        subprocess.run([INFERENCE, network, "export", folder, models / network], check=True)
    return folder / "1"


def onnx_file(models, network, python):
    path = models / f"{network}.onnx"
    if not path.exists():
        subprocess.run([python, HERE / "torch_network.py", network, "onnx", path], check=True)
    return path


def contenders(network, dtype, batch, args):
    def rate(text, folder):
        found = json_lines(text)
        return {**found, "images_per_second": round(batch / steady(found["step_seconds"]), 3)}

    def limit(text, folder):
        return {"images_per_second": round(json_lines(text)["gflops"] / gflop(network), 3), "gflops": json_lines(text)["gflops"], "peak_mib": None}

    python, models = args.peers_python, args.models
    checkpoint = models / network
    exported(models, network)  # makes the checkpoint
    command = [INFERENCE, network, dtype, batch, args.seconds, checkpoint]
    yield Contender("mox", command, read=rate)
    if args.all_settings:
        yield Contender("mox", command, "TensorFlow's threads", APART, rate)
        yield Contender("mox", command, "and as it is built", PLAIN, rate)
    if dtype == "float32":
        yield Contender("limit", [BUILD / "bin/peak", 1], read=limit)
    if "torch" in args.peers:
        for setting in args.torch.split(","):
            yield Contender("torch", [python, HERE / "torch_network.py", network, dtype, batch, args.seconds, setting], setting, read=rate)
    if dtype != "float32":
        return
    if "saved_model" in args.peers:
        command = [sys.executable, HERE / "saved_model.py", exported(models, network), batch, args.seconds]
        yield Contender("mox exported", command, read=rate)
        yield Contender("mox exported", command, "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS=1", {"TF_ONEDNN_ASSUME_FROZEN_WEIGHTS": "1"}, rate)
    if "onnx" in args.peers:
        yield Contender("onnx", [python, HERE / "onnx_network.py", onnx_file(models, network, python), batch, args.seconds], read=rate)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="resnet_v15_50,mobilenet_v1,inception_v3")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--batches", default="1,32")
    parser.add_argument("--peers", default="torch,onnx,saved_model")
    parser.add_argument("--torch", default="compile,channels_last,eager", help="PyTorch's settings")
    parser.add_argument("--all_settings", action="store_true", help="also mox with its changes switched off")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "mox_bench_inference")
    parser.add_argument("--peers_python", default=sys.executable, help="a Python with bench/requirements.txt, when this one has it not")
    parser.add_argument("--output", default=HERE / "results.json")
    args = parser.parse_args()
    args.models.mkdir(exist_ok=True)
    results = Results(args.output, "inference", FIGURES, seconds=args.seconds)
    for network in args.networks.split(","):
        for dtype in args.dtypes.split(","):
            for batch in map(int, args.batches.split(",")):
                results.row(f"{network} {dtype} {batch}", list(contenders(network, dtype, batch, args)), args.runs, batch=batch)


main()

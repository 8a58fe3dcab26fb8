"""Training steps of built-in networks against Keras, PyTorch and a plain tf.compat.v1 Session on the same graph, whole
processes in turn. Writes results.json (see results.py). Build with -DMOX_BUILD_BENCH=ON first.

  .venv/bin/python bench/train_networks/compare.py [--networks=resnet_v15_50,…] [--dtypes=float32,bfloat16] [--batch=16]
      [--steps=8] [--runs=1] [--peers=keras,torch,session] [--peers_python=PYTHON] [--output=bench/train_networks/results.json]

The rate is that of the median over the second half of the steps.
"""
import argparse
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import BUILD, Contender, Results, json_lines, mox_steps, steady  # noqa: E402

# The peer's ResNet-50 is another of ours: PyTorch's is resnet_v15_50, Keras's resnet_v1_keras_50; TF-slim's resnet_v1_50 has less to multiply than both.
OTHER_NETWORK = {("resnet_v15_50", "keras"), ("resnet_v1_keras_50", "torch"), ("resnet_v1_50", "torch"), ("resnet_v1_50", "keras")}
FIGURES = {"images_per_second": "higher", "peak_mib": "lower"}


def contenders(what, batch, steps, peers, pythons):
    def rate(found):
        return {**found, "images_per_second": round(batch / steady(found["step_seconds"]), 3)}

    yield Contender("mox", [BUILD / "bin/train_networks", *what, "log"], read=lambda text, folder: rate(mox_steps(text, batch)))
    settings = {"keras": ["steps_per_execution=1", f"steps_per_execution={max(2, steps // 4)}"], "torch": ["eager", "compile"],
                "session": ["inter_op=0", "inter_op=1"]}
    for peer in (peer for peer in peers if (what[0], peer) not in OTHER_NETWORK):
        for setting in settings[peer]:
            yield Contender(peer, [pythons[peer], HERE / f"{peer}_network.py", *what, setting], setting,
                            {"PYTHONPATH": str(BUILD / "python")} if peer == "session" else {}, lambda text, folder: rate(json_lines(text)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default="resnet_v15_50,resnet_v1_keras_50,mobilenet_v1,inception_v3,vgg_16")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--peers", default="session,torch,keras")
    for name, default in {"batch": 16, "steps": 8, "runs": 1}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--peers_python", default=sys.executable, help="a Python with bench/requirements.txt, when this one has it not")
    parser.add_argument("--output", default=HERE / "results.json")
    args = parser.parse_args()
    pythons = {"keras": sys.executable, "session": sys.executable, "torch": args.peers_python}
    results = Results(args.output, "train_networks", FIGURES)
    for network in args.networks.split(","):
        for dtype in args.dtypes.split(","):
            what = [network, dtype, str(args.batch), str(args.steps)]
            results.row(f"{network} {dtype}", list(contenders(what, args.batch, args.steps, [p for p in args.peers.split(",") if p], pythons)),
                        args.runs, batch=args.batch, steps=args.steps)


main()

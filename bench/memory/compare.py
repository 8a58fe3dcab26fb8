"""The most memory that training a network takes, beside PyTorch where torchvision or timm has the network. Writes results.json (see
bench/results.py).

  .venv/bin/python bench/memory/compare.py [--networks=resnet_v1_50,…] [--dtypes=float32,bfloat16] [--steps=3] [--peers_python=PYTHON]
      [--runs=1] [--missing] [--output=bench/memory/results.json]

Ours is `mox bench train`, PyTorch's is eager and channels_last, both with momentum and the same synthetic images. Peaks do not need a quiet machine.
Batch 16; 4 of networks beyond 12 GFLOP an image, but for vgg_16. --missing leaves out what the file has already.
"""
import argparse
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from results import BUILD, Contender, Results  # noqa: E402
from torch_models import PEERS  # noqa: E402

FIGURES = {"peak_mib": "lower"}
LARGE = 12  # GFLOP an image


def networks():
    """{name: GFLOP an image} of all that there are."""
    lines = subprocess.check_output([BUILD / "bin/mox", "nets"], text=True).splitlines()[1:]
    return {line.split()[0]: float(line.split()[3]) for line in lines if line.strip()}


def contenders(network, dtype, batch, args):
    yield Contender("mox", [BUILD / "bin/mox", "bench", "train", f"--model_name={network}", f"--batch_size={batch}", f"--dtype={dtype}", "--json",
                            "--warmup=1", f"--steps={args.steps - 1}"],
                    read=lambda text, folder: {"image_size": json.loads(text[text.index("{"):])["setup"]["image_size"]})
    if network in PEERS:
        yield Contender("torch", [args.peers_python, HERE.parent / "train_networks/torch_network.py", network, dtype, batch, args.steps, "eager"], "eager")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--peers_python", default=sys.executable, help="a Python with bench/requirements.txt, when this one has it not")
    parser.add_argument("--output", default=HERE / "results.json")
    args = parser.parse_args()
    flops = networks()
    results = Results(args.output, "memory", FIGURES)
    for dtype in args.dtypes.split(","):
        for network in args.networks.split(",") if args.networks else flops:
            batch = 4 if flops[network] > LARGE and network != "vgg_16" else 16
            if args.missing and f"{network} {dtype}" in results.rows:
                continue
            results.row(f"{network} {dtype}", list(contenders(network, dtype, batch, args)), args.runs, batch=batch, steps=args.steps)


if __name__ == "__main__":
    main()

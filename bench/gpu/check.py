"""See check.sh. Each training is a process of its own: devices are made once a process."""
import argparse
import json
import os
import subprocess
import sys
import time

# float32 on GPUs computes products with 10 bits of mantissa (TF32) unless told otherwise: compared are true float32.
_EXACT = {"NVIDIA_TF32_OVERRIDE": "0", "TF_CPP_MIN_LOG_LEVEL": "2"}
# Of the loss, relative: rounding grows with the steps; half precision has 3 digits.
_TOLERANCE = {"float32": 2e-3, "fp16": 5e-2}


def train(network, batch_size, image_size, steps, seed=3):
    """Trains on made-up images; the losses by step (means over the devices), and images/s without the first steps."""
    import numpy as np
    import tensorflow.compat.v1 as tf

    import moxing.tensorflow as mox
    tf.set_random_seed(seed)
    channels = 1 if network == "lenet" else 3
    random = np.random.RandomState(seed)
    labels = np.arange(64) % 10
    images = random.rand(64, image_size, image_size, channels).astype(np.float32) + labels[:, None, None, None] / 10

    def input_fn(mode):
        data = tf.data.Dataset.from_tensor_slices((images.astype(np.float32), labels.astype(np.int64))).repeat()
        return tf.data.make_one_shot_iterator(data).get_next()

    def model_fn(inputs, mode):
        logits, _ = mox.get_model_fn(network, mode, 10, weight_decay=1e-4, batch_norm_fused=True)(inputs[0])
        loss = tf.losses.softmax_cross_entropy(tf.one_hot(inputs[1], 10), logits)
        return mox.ModelSpec(loss=loss, log_info={"loss": loss}, output_info={"loss": loss})

    losses, times = [], []

    def output_fn(outputs):
        losses.append(float(np.mean([output["loss"] for output in outputs])))
        times.append(time.perf_counter())

    devices = mox.get_flag("num_gpus")
    mox.run(input_fn=input_fn, model_fn=model_fn, output_fn=output_fn, run_mode=mox.ModeKeys.TRAIN, log_every_n_steps=0,
            optimizer_fn=mox.get_optimizer_fn("momentum", learning_rate=0.01, momentum=0.9), batch_size=batch_size,
            max_number_of_steps=steps, output_every_n_steps=1)
    warm = len(times) // 3
    rate = (len(times) - 1 - warm) * batch_size * devices / (times[-1] - times[warm])
    return {"losses": losses, "images_per_second": rate}


def run(arguments, flags, exact=True):
    """One training in a process of its own; a dict, with "error" where it failed."""
    command = [sys.executable, __file__, "--train=" + json.dumps(arguments)] + [f"--{k}={v}" for k, v in flags.items()]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(_EXACT if exact else {})})
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no output"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def compare(case, gpus, on_gpu):
    """The same training on the GPUs (without any: on the CPU once more) and on as many CPU devices."""
    network, batch_size, image_size, steps, precision = case
    arguments = {"network": network, "batch_size": batch_size, "image_size": image_size, "steps": steps}
    flags = {"num_gpus": gpus, "use_fp16": str(precision == "fp16").lower()}
    cpu = run(arguments, {**flags, "clone_on_cpu": "true"})
    gpu = run(arguments, {**flags, "clone_on_cpu": str(not on_gpu).lower()})
    row = {"network": network, "devices": gpus, "precision": precision, "steps": steps}
    if "error" in cpu or "error" in gpu:
        return {**row, "result": "FAILED: " + gpu.get("error", cpu.get("error"))}
    apart = max(abs(a - b) / max(abs(b), 1e-3) for a, b in zip(gpu["losses"], cpu["losses"]))
    alike = len(gpu["losses"]) == len(cpu["losses"]) == steps and apart <= _TOLERANCE[precision]
    return {**row, "first": gpu["losses"][0], "last": gpu["losses"][-1], "cpu_last": cpu["losses"][-1], "apart": apart,
            "result": "ok" if alike else f"DIFFERS by more than {_TOLERANCE[precision]:g}"}


def speed(gpus, precision):
    result = run({"network": "resnet_v1_50", "batch_size": 64, "image_size": 224, "steps": 60},
                 {"num_gpus": gpus, "use_fp16": str(precision == "fp16").lower()}, exact=False)
    return {"devices": gpus, "precision": precision, **({k: v for k, v in result.items() if k != "losses"})}


def main():
    parser = argparse.ArgumentParser(description="see check.sh")
    parser.add_argument("--gpus", type=int, default=0, help="how many GPUs; 0: all")
    parser.add_argument("--steps", type=int, default=4, help="steps that are compared")
    parser.add_argument("--json", help="writes the rows to a file")
    parser.add_argument("--python", help="see check.sh")
    options = parser.parse_args()
    from moxing import _engine
    found = _engine.count_gpus()
    gpus = min(options.gpus or found, found)
    counts = [1] + ([gpus] if gpus > 1 else []) if found else [1, 2]
    print(f"TensorFlow finds {found} GPUs" if found else "no GPU: checked on CPU only")
    cases = [("lenet", 16, 28, 10 * options.steps), ("resnet_v1_50", 4, 64, options.steps)]
    rows = []
    print(f"{'network':<14}{'devices':>8}{'precision':>11}{'steps':>7}{'first':>10}{'last':>10}{'cpu last':>10}{'apart':>10}  result")
    for case in cases:
        for count in counts:
            for precision in ("float32", "fp16"):
                row = compare((*case, precision), count, found > 0)
                rows.append(row)
                numbers = "".join(f"{row[k]:>10.4g}" if k in row else " " * 10 for k in ("first", "last", "cpu_last", "apart"))
                print(f"{row['network']:<14}{row['devices']:>8}{precision:>11}{row['steps']:>7}{numbers}  {row['result']}", flush=True)
    speeds = [speed(count, precision) for count in counts for precision in ("float32", "fp16")] if found else []
    for row in speeds:
        text = row.get("error") or f"{row['images_per_second']:.1f} images/s"
        print(f"resnet_v1_50, batch 64 a device, 224x224, {row['devices']} GPU, {row['precision']}: {text}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"gpus": found, "losses": rows, "speed": speeds}, file, indent=1)
    failed = [row for row in rows if row["result"] != "ok"] + [row for row in speeds if "error" in row]
    print(f"{len(failed)} of {len(rows) + len(speeds)} failed" if failed else "all agree")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("--train="):
        # moxing takes its own flags from the command line.
        print(json.dumps(train(**json.loads(sys.argv[1][len("--train="):]))))
    else:
        sys.exit(main())

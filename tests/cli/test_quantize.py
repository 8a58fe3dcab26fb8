"""mox export --quantize: TensorFlow Lite's models, and what they cost in accuracy."""
import json
import os
import sys

import numpy as np
import pytest

from program import mox

ENV = {**os.environ, "MOX_PYTHON": sys.executable}


@pytest.mark.parametrize("to, part", [("int8", 0.3), ("float16", 0.6)])
def test_quantized_models_know_what_the_network_knows(trained, tmp_path, to, part):
    import tensorflow as tf

    result = json.loads(mox("export", f"--checkpoint_url={trained}", f"--export_url={tmp_path}", f"--quantize={to}", "--json",
                            env=ENV).stdout)
    quantized = result["quantized"]
    assert quantized["path"] == f"{result['export_dir']}/model_{to}.tflite" and os.path.getsize(quantized["path"]) == quantized["bytes_after"]
    assert quantized["bytes_after"] < part * quantized["bytes_before"]
    evaluated = json.loads(mox("eval", f"--checkpoint_url={trained}", "--json").stdout)
    assert (quantized["split"], quantized["samples"]) == (evaluated["split"], evaluated["samples"])
    assert quantized["accuracy_before"] == pytest.approx(evaluated["accuracy"], abs=1e-4)
    assert abs(quantized["accuracy_after"] - quantized["accuracy_before"]) < 0.02
    model = tf.lite.Interpreter(quantized["path"])
    types = {tensor["dtype"] for tensor in model.get_tensor_details()}
    assert (np.int8 in types) == (to == "int8") and (np.float16 in types) == (to == "float16")
    scores = model.get_signature_runner("serving_default")(images=np.zeros([3, 28, 28, 1], np.float32))
    assert scores["probabilities"].shape == (3, 10)


def test_what_cannot_be_quantized(trained, tmp_path):
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexit 1\n")
    fake.chmod(0o755)
    words = ["export", f"--checkpoint_url={trained}", f"--export_url={tmp_path / 'out'}", "--quantize=int8"]
    done = mox(*words, check=False, env={**os.environ, "MOX_PYTHON": str(fake)})
    assert done.returncode != 0 and f"needs TensorFlow Lite's converter, and {fake} has none" in done.stderr
    done = mox(*words[:3], "--quantize=int4", check=False, env=ENV)
    assert done.returncode == 2 and "int8" in done.stderr
    done = mox(*words, "--data_url=", check=False, env=ENV)
    assert done.returncode == 2 and "--data_url is needed with --quantize" in done.stderr
    assert not (tmp_path / "out").exists()

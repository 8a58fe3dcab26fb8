"""ONNX Runtime: inference on synthetic images. onnx_network.py FILE BATCH SECONDS; FILE: what torch_network.py wrote."""
import os
import pathlib
import sys

import numpy
import onnxruntime

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
import results

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = len(os.sched_getaffinity(0))
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
size = session.get_inputs()[0].shape[2]
images = numpy.random.default_rng(1).uniform(-1, 1, (int(sys.argv[2]), 3, size, size)).astype(numpy.float32)
results.report(step_seconds=results.repeated(lambda: session.run(None, {"images": images}), float(sys.argv[3])),
               versions={"onnxruntime": onnxruntime.__version__})

"""What is nearest to names that old scripts use and that are not provided."""

_NEAREST = {
    "tensorflow.contrib.all_reduce": "mox.run with --num_gpus=N or --worker_hosts, which joins gradients",
    "tensorflow.contrib.batching": "tf.nondifferentiable_batch_function",
    "tensorflow.contrib.bayesflow": "PyPI tensorflow-probability",
    "tensorflow.contrib.boosted_trees": "nothing in TensorFlow 2.21; PyPI tensorflow-decision-forests is nearest",
    "tensorflow.contrib.checkpoint": "tf.train.Checkpoint",
    "tensorflow.contrib.cluster_resolver": "--worker_hosts, --ps_hosts, --job_name and --task_index of mox.run",
    "tensorflow.contrib.copy_graph": "tf.graph_util.extract_sub_graph and tf.import_graph_def",
    "tensorflow.contrib.crf": "nothing in TensorFlow 2.21; PyPI tensorflow-addons 0.23 had it",
    "tensorflow.contrib.cudnn_rnn": "tf.nn.rnn_cell with tf.nn.dynamic_rnn",
    "tensorflow.contrib.deprecated": "tf.summary",
    "tensorflow.contrib.distribute": "mox.run with --num_gpus=N, which trains on N devices",
    "tensorflow.contrib.eager": "tf.GradientTape and tf.function; mox.run trains graphs",
    "tensorflow.contrib.estimator": "mox.run with input_fn, model_fn and ModelSpec (tf.estimator.ModeKeys is there)",
    "tensorflow.contrib.factorization": "",
    "tensorflow.contrib.ffmpeg": "tf.audio; PyPI tensorflow-io",
    "tensorflow.contrib.gan": "ModelSpec(loss=[…], var_scopes=[…]) of mox.run trains two losses",
    "tensorflow.contrib.graph_editor": "tf.import_graph_def(graph_def, input_map={…})",
    "tensorflow.contrib.image": "tf.image; PyPI tensorflow-addons 0.23 had rotate, transform and translate",
    "tensorflow.contrib.integrate": "PyPI tensorflow-probability: tfp.math.ode",
    "tensorflow.contrib.kfac": "nothing in TensorFlow 2.21; PyPI kfac had it",
    "tensorflow.contrib.data.assert_element_shape": "tf.ensure_shape in Dataset.map",
    "tensorflow.contrib.layers.embed_sequence": "tf.get_variable and tf.nn.embedding_lookup",
    "tensorflow.contrib.layers.real_valued_column": "tf.feature_column.numeric_column",
    "tensorflow.contrib.slim.nets": "mox.get_model_fn; networks of tensorflow/models may lie beside the script",
    "tensorflow.contrib.learn": "mox.run; tf.contrib.learn.datasets.mnist and ModeKeys are there",
    "tensorflow.contrib.legacy_seq2seq": "tf.nn.static_rnn and tf.nn.dynamic_rnn",
    "tensorflow.contrib.linalg": "tf.linalg",
    "tensorflow.contrib.lite": "tf.lite",
    "tensorflow.contrib.memory_stats": "tf.config.experimental.get_memory_info",
    "tensorflow.contrib.model_pruning": "PyPI tensorflow-model-optimization",
    "tensorflow.contrib.nccl": "mox.run with --num_gpus=N, which joins gradients",
    "tensorflow.contrib.nn": "tf.nn",
    "tensorflow.contrib.opt": "mox.get_optimizer_fn('adamw', …), mox.get_optimizer_wrapper_fn('lars', …)",
    "tensorflow.contrib.predictor": "tf.saved_model.loader.load in a tf.Session",
    "tensorflow.contrib.quantize": "nothing: TensorFlow 2.21 has no graph rewriter for quantization-aware training",
    "tensorflow.contrib.receptive_field": "",
    "tensorflow.contrib.resampler": "nothing in TensorFlow 2.21; PyPI tensorflow-addons 0.23 had it",
    "tensorflow.contrib.rnn": "tf.nn.rnn_cell, tf.nn.static_rnn, tf.nn.dynamic_rnn",
    "tensorflow.contrib.saved_model": "tf.saved_model",
    "tensorflow.contrib.seq2seq": "nothing in TensorFlow 2.21; PyPI tensorflow-addons 0.23 had it",
    "tensorflow.contrib.session_bundle": "tf.saved_model",
    "tensorflow.contrib.slim.learning.train": "mox.run",
    "tensorflow.contrib.solvers": "tf.linalg",
    "tensorflow.contrib.sparsemax": "nothing in TensorFlow 2.21; PyPI tensorflow-addons 0.23 had it",
    "tensorflow.contrib.specs": "tf.contrib.slim",
    "tensorflow.contrib.tensor_forest": "nothing in TensorFlow 2.21; PyPI tensorflow-decision-forests is nearest",
    "tensorflow.contrib.tensorrt": "tensorflow.python.compiler.tensorrt, on a GPU build",
    "tensorflow.contrib.timeseries": "",
    "tensorflow.contrib.tpu": "",
    "tensorflow.contrib.training": "tf.train; HParams, create_train_op and train are there",
    "tensorflow.estimator": "mox.run with input_fn, model_fn and ModelSpec (tf.estimator.ModeKeys is there)",
    "tensorflow.python.estimator": "mox.run with input_fn, model_fn and ModelSpec",
    "tensorflow.examples": "tf.examples.tutorials.mnist.input_data",
    "tensorflow.models": "PyPI tf-models-official",
    "tensorflow.initialize_all_variables": "tf.global_variables_initializer",
    "tensorflow.all_variables": "tf.global_variables",
    "tensorflow.batch_matmul": "tf.matmul",
    "tensorflow.complex_abs": "tf.abs",
    "tensorflow.concat_v2": "tf.concat",
    "tensorflow.histogram_summary": "tf.summary.histogram",
    "tensorflow.image_summary": "tf.summary.image",
    "tensorflow.merge_all_summaries": "tf.summary.merge_all",
    "tensorflow.mul": "tf.multiply",
    "tensorflow.neg": "tf.negative",
    "tensorflow.pack": "tf.stack",
    "tensorflow.scalar_summary": "tf.summary.scalar",
    "tensorflow.select": "tf.where",
    "tensorflow.sub": "tf.subtract",
    "tensorflow.train.SummaryWriter": "tf.summary.FileWriter",
    "tensorflow.unpack": "tf.unstack",
    "keras.legacy": "keras.layers",
    "moxing.framework.data": "mox.ImageClassificationRawMetadata and the other data sets of moxing.tensorflow; a manifest is read with mox.file.read",
    "moxing.mxnet": "moxing.tensorflow: there is no MXNet engine",
    "moxing.tensorflow.builtin_algorithms": "mox.get_model_fn: the original's algorithms were never published",
    "moxing.pytorch": "moxing.tensorflow: there is no PyTorch engine",
}


def nearest(name):
    """Of the name, or of the longest part in front that is known. "": there is nothing; None: that is not known."""
    while name:
        if name in _NEAREST:
            return _NEAREST[name]
        name = name.rpartition(".")[0]
    return None


def somewhere(name):
    """Where to look for a name that nothing is known of; None: nowhere in particular."""
    return "what TensorFlow 2.21 has in tf itself" if name.startswith("tensorflow.contrib.") else None

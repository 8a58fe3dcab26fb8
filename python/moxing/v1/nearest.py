"""What is nearest to names that old scripts use and that are not provided."""

_NEAREST = {
    "tensorflow.contrib.crf": "nothing in TensorFlow 2.21; PyPI tensorflow-addons 0.23 had it",
    "tensorflow.contrib.cudnn_rnn": "tf.nn.rnn_cell with tf.nn.dynamic_rnn",
    "tensorflow.contrib.distribute": "mox.run with --num_gpus=N, which trains on N devices",
    "tensorflow.contrib.factorization": "",
    "tensorflow.contrib.gan": "ModelSpec(loss=[…], var_scopes=[…]) of mox.run trains two losses",
    "tensorflow.contrib.learn": "mox.run; tf.contrib.learn.datasets.mnist and ModeKeys are there",
    "tensorflow.contrib.lite": "tf.lite",
    "tensorflow.contrib.opt": "mox.get_optimizer_fn('adamw', …), mox.get_optimizer_wrapper_fn('lars', …)",
    "tensorflow.contrib.predictor": "tf.saved_model.loader.load in a tf.Session",
    "tensorflow.contrib.quantize": "nothing: TensorFlow 2.21 has no graph rewriter for quantization-aware training",
    "tensorflow.contrib.rnn": "tf.nn.rnn_cell, tf.nn.static_rnn, tf.nn.dynamic_rnn",
    "tensorflow.contrib.saved_model": "tf.saved_model",
    "tensorflow.contrib.seq2seq": "nothing in TensorFlow 2.21; PyPI tensorflow-addons 0.23 had it",
    "tensorflow.contrib.slim.learning.train": "mox.run",
    "tensorflow.contrib.tensorrt": "tensorflow.python.compiler.tensorrt, on a GPU build",
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
    "moxing.framework.data": "mox.ImageClassificationRawMetadata and the other data sets of moxing.tensorflow; a manifest is read with mox.file.read",
    "moxing.mxnet": "moxing.tensorflow: there is no MXNet engine",
    "moxing.pytorch": "moxing.tensorflow: there is no PyTorch engine",
}


def nearest(name):
    """Of the name, or of the longest part in front that is known. "": there is nothing; None: that is not known."""
    while name:
        if name in _NEAREST:
            return _NEAREST[name]
        name = name.rpartition(".")[0]
    return None

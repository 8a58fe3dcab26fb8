"""Module paths of older scripts: moxing.tensorflow.utils.tf_util and .hyper_param_flags."""

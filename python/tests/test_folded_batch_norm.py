"""Batch norm that is folded into convolutions, in PREDICT and in exported models, against the separate operations."""
import numpy as np
import pytest
import tensorflow as tf2
import tensorflow.compat.v1 as tf

import moxing.tensorflow as mox

NETWORK, CLASSES, SIZE = "mobilenet_v1_025", 10, 32
IMAGES = np.random.default_rng(1).uniform(-1, 1, (2, SIZE, SIZE, 3)).astype(np.float32)


def logits_of(images, mode, fused):
    return mox.get_model_fn(NETWORK, mode, CLASSES, batch_norm_fused=fused)(images)[0]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Of random numbers: in those that a network begins with batch norm does nothing."""
    prefix, rng = str(tmp_path_factory.mktemp("checkpoint") / "model.ckpt"), np.random.default_rng(2)
    with tf.Graph().as_default(), tf.Session() as session:
        logits_of(tf.zeros(IMAGES.shape), "PREDICT", True)
        session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            low, high = next((r for end, r in {"variance": (0.5, 1.5), "gamma": (-1, 1)}.items() if end in variable.name), (-0.3, 0.3))
            if len(variable.shape) == 1:
                session.run(variable.assign(rng.uniform(low, high, variable.shape)))
        tf.train.Saver().save(session, prefix, write_meta_graph=False)
    return prefix


def predict(checkpoint, fused=True, hook=None, **options):
    def model_fn(inputs, mode):
        y = logits_of(inputs[0], mode, fused)
        spec = mox.ExportSpec({"images": inputs[0]}, {"logits": y}) if mode == "EXPORT" else None
        return mox.ModelSpec(output_info={"logits": y}, export_spec=spec, hooks=[hook] if hook and mode != "EXPORT" else None)

    outputs = []
    result = mox.run(input_fn=lambda mode: [tf.constant(IMAGES)], model_fn=model_fn, run_mode="PREDICT", batch_size=2, auto_batch=False,
                     checkpoint_path=checkpoint, max_number_of_steps=2, output_every_n_steps=1, output_fn=outputs.extend, **options)
    return outputs[-1]["logits"], result.export_dir


def assert_same(found, wanted):
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.eager
@pytest.mark.parametrize("fused", [True, False])
def test_numbers_are_those_of_the_separate_operations(checkpoint, fused, tmp_path, monkeypatch):
    folded, folder = predict(checkpoint, fused, log_dir=str(tmp_path), export_model=mox.ExportKeys.TF_SERVING)
    for switch in "MOX_FOLD_BATCH_NORM", "MOX_CONSTANT_FILTERS":
        monkeypatch.setenv(switch, "0")
    wanted, _ = predict(checkpoint, fused)
    assert_same(folded, wanted)
    serve = tf2.saved_model.load(folder).signatures["serving_default"]
    assert_same(serve(images=tf2.constant(IMAGES))["logits"].numpy(), wanted)
    operations = {node.op for node in serve.graph.as_graph_def().node}
    assert "BiasAdd" in operations and not operations & {"FusedBatchNormV3", "Rsqrt", "MoxFoldBatchNorm"}
    # The exported variables, given to the network with batch norm.
    assert_same(predict(f"{folder}/variables/variables", fused)[0], wanted)
    assert dict(tf.train.list_variables(f"{folder}/variables/variables")).keys() == dict(tf.train.list_variables(checkpoint)).keys()


class Feeds(tf.train.SessionRunHook):
    def begin(self):
        graph = tf.get_default_graph()
        self.convolution = next(op for op in graph.get_operations() if op.type == "Conv2D").outputs[0]

    def before_run(self, run_context):
        return tf.train.SessionRunArgs(fetches=None, feed_dict={self.convolution: np.ones(self.convolution.shape, np.float32)})


def test_feeding_what_is_folded_is_an_error(checkpoint, monkeypatch):
    with pytest.raises(mox.InvalidArgumentError, match="Conv2D:0 is fed, .* set MOX_FOLD_BATCH_NORM=0"):
        predict(checkpoint, hook=Feeds())
    monkeypatch.setenv("MOX_FOLD_BATCH_NORM", "0")
    predict(checkpoint, hook=Feeds())

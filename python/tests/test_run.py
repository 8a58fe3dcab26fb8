"""mox.run in every mode, in this process."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import toy

pytestmark = pytest.mark.usefixtures("mox")


def values(log_dir, step):
    reader = tf.train.load_checkpoint(f"{log_dir}/model.ckpt-{step}")
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_train_eval_predict(mox, tmp_path, log_lines):
    result = mox.run(**toy.options(tmp_path, 100))
    assert (result.steps, result.global_step) == (100, 100)
    assert result.metrics["loss"] < 0.05
    assert result.checkpoint == str(tmp_path / "model.ckpt-100")
    log_lines()

    evaluated = mox.run(**toy.options(tmp_path, 0, count=32, run_mode=mox.ModeKeys.EVAL))
    lines = log_lines()
    assert evaluated.steps == 4
    assert lines[-1] == f"[Evaluation] steps: 4(global step: 100)\tloss: {evaluated.metrics['loss']:.3f}"
    learned = values(tmp_path, 100)
    x, y = toy.samples(32)
    expected = x @ learned["w"][:, 0] + learned["b"]
    assert np.isclose(evaluated.metrics["loss"], np.mean((expected - y) ** 2), rtol=1e-4)

    delivered = []
    mox.run(**toy.options(tmp_path, 0, count=42, run_mode=mox.ModeKeys.PREDICT, output_fn=delivered.append,
                          output_every_n_steps=4))
    assert [len(outputs) for outputs in delivered] == [4, 2]
    y = np.concatenate([output["y"] for outputs in delivered for output in outputs])
    x, _ = toy.samples(42)
    assert np.allclose(y, x @ learned["w"][:, 0] + learned["b"], atol=1e-5)


def test_eval_without_a_checkpoint(mox, tmp_path):
    with pytest.raises(FileNotFoundError, match="EVAL needs a checkpoint") as caught:
        mox.run(**toy.options(tmp_path, 0, count=32, run_mode=mox.ModeKeys.EVAL))
    assert isinstance(caught.value, mox.NotFoundError)


def test_checkpoint_path_and_patterns(mox, tmp_path, log_lines):
    mox.run(**toy.options(tmp_path / "first", 30))
    mox.set_flag("checkpoint_exclude_patterns", "b,global_step")
    result = mox.run(**toy.options(tmp_path / "second", 1, checkpoint_path=str(tmp_path / "first"), optimizer_fn=lambda: tf.train.GradientDescentOptimizer(0.0)))
    assert result.global_step == 1
    first, second = values(tmp_path / "first", 30), values(tmp_path / "second", 1)
    assert np.array_equal(first["w"], second["w"])
    assert second["b"] == 0


def test_trainable_patterns(mox, tmp_path):
    mox.set_flag("trainable_exclude_patterns", "w")
    mox.run(**toy.options(tmp_path, 5))
    after = values(tmp_path, 5)
    assert np.allclose(after["w"], 0.1)
    assert after["b"] != 0


@pytest.mark.parametrize("optimizer", ["adadelta", "adagrad", "adam", "ftrl", "momentum", "rmsprop", "sgd"])
def test_every_optimizer_equals_tensorflows_own_run(mox, tmp_path, optimizer):
    make = mox.get_optimizer_fn(optimizer, 0.05)
    mox.run(**toy.options(tmp_path, 5, optimizer_fn=make, save_summary_steps=2))
    with tf.Graph().as_default(), tf.Session() as session:
        ds = tf.data.Dataset.from_tensor_slices(toy.samples(640)).batch(8)
        loss = toy.model_fn(tf.data.make_one_shot_iterator(ds).get_next(), "TRAIN").loss
        train = make().minimize(loss)
        session.run(tf.global_variables_initializer())
        for _ in range(5):
            session.run(train)
        expected = {v.op.name: session.run(v) for v in tf.global_variables()}
    found = values(tmp_path, 5)
    assert found.pop("global_step") == 5
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.allclose(found[name], value, atol=1e-6), name


def test_two_devices_equal_one_on_the_joined_batch(mox, tmp_path):
    lr = 0.02
    mox.run(**toy.options(tmp_path / "one", 50, batch_size=16, optimizer_fn=mox.get_optimizer_fn("momentum", lr)))
    mox.set_flag("num_gpus", 2)
    mox.set_flag("loss_scale", 128.0)
    mox.run(**toy.options(tmp_path / "two", 50, optimizer_fn=mox.get_optimizer_fn("momentum", lr)))
    one, two = values(tmp_path / "one", 50), values(tmp_path / "two", 50)
    assert one.keys() == two.keys()
    for name in one:
        assert np.allclose(one[name], two[name], atol=1e-5), name


def test_collections_belong_to_a_device(mox, tmp_path):
    seen = []

    def model_fn(inputs, mode):
        with tf.variable_scope("scope", regularizer=lambda v: tf.nn.l2_loss(v)):
            spec = toy.model_fn(inputs, mode)
        tf.add_to_collection("mine", spec.loss)
        tf.losses.add_loss(spec.loss)
        regularization = mox.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
        seen.append((len(mox.get_collection("mine")), len(tf.losses.get_losses()), len(regularization),
                     len(mox.get_collection(tf.GraphKeys.GLOBAL_VARIABLES))))
        return mox.ModelSpec(loss=tf.losses.get_total_loss(), log_info={"loss": spec.loss})

    mox.set_flag("num_gpus", 2)
    mox.run(**toy.options(tmp_path, 2, model_fn=model_fn))
    assert seen == [(1, 1, 2, 3), (1, 1, 2, 3)]  # w, b and the global step


def test_gan_losses_train_their_own_scopes(mox, tmp_path):
    def model_fn(inputs, mode):
        x, y = inputs
        with tf.variable_scope("one"):
            a = tf.get_variable("a", [], initializer=tf.zeros_initializer())
        with tf.variable_scope("two"):
            b = tf.get_variable("b", [], initializer=tf.zeros_initializer())
        return mox.ModelSpec(loss=[a + b, 3 * a + 5 * b], var_scopes=[["one"], ["two"]], log_info={"a": a})

    mox.run(**toy.options(tmp_path, 1, model_fn=model_fn,
                          optimizer_fn=lambda: [tf.train.GradientDescentOptimizer(1.0), tf.train.GradientDescentOptimizer(0.1)]))
    after = values(tmp_path, 1)
    assert after["one/a"] == -1 and after["two/b"] == -0.5


def test_var_scope_forces_the_dtype(mox, tmp_path):
    def model_fn(inputs, mode):
        x, y = inputs
        with mox.var_scope(force_dtype=tf.float32):
            w = tf.get_variable("w", [4, 1], dtype=tf.float16, initializer=tf.zeros_initializer())
            from_tensor = tf.get_variable("t", initializer=tf.zeros([1], tf.float16))
            count = tf.get_variable("count", [], dtype=tf.int32, initializer=tf.zeros_initializer(), trainable=False)
        assert w.dtype == tf.float16 and from_tensor.dtype == tf.float16 and count.dtype.base_dtype == tf.int32
        error = tf.squeeze(tf.matmul(tf.cast(x, tf.float16), w) + from_tensor, 1) - tf.cast(y, tf.float16)
        loss = tf.reduce_mean(tf.cast(tf.square(error), tf.float32))
        return mox.ModelSpec(loss=loss, log_info={"loss": loss})

    mox.run(**toy.options(tmp_path, 3, model_fn=model_fn))
    after = values(tmp_path, 3)
    assert after["w"].dtype == after["t"].dtype == np.float32 and after["count"].dtype == np.int32
    assert np.any(after["w"] != 0)


def test_sparse_gradients_and_tables_and_local_variables(mox, tmp_path):
    def input_fn(mode):
        words = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(tf.constant(["a", "b", "c"]), tf.constant([0, 1, 2], tf.int64)), -1)
        ds = tf.data.Dataset.from_tensor_slices(np.array(["a", "b", "b", "c"], object)).repeat()
        return words.lookup(tf.data.make_initializable_iterator(ds).get_next())

    def model_fn(inputs, mode):
        ids, = inputs
        table = tf.get_variable("table", [3, 2], initializer=tf.ones_initializer())
        loss = tf.reduce_mean(tf.square(tf.nn.embedding_lookup(table, ids)))
        mean, update = tf.metrics.mean(loss)
        with tf.control_dependencies([update]):
            return mox.ModelSpec(loss=loss, log_info={"loss": tf.identity(loss), "mean": mean})

    result = mox.run(**toy.options(tmp_path, 30, input_fn=input_fn, model_fn=model_fn, batch_size=4))
    assert result.metrics["loss"] < 1
    assert np.all(values(tmp_path, 30)["table"] < 1)


def test_outputs_are_numpy(mox, tmp_path):
    mox.run(**toy.options(tmp_path, 1))

    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        x = inputs[0]
        return mox.ModelSpec(output_info={
            "scalar": spec.loss, "bool": x > 0, "half": tf.cast(x, tf.bfloat16), "int": tf.shape(x),
            "text": tf.as_string(tf.shape(x)), "word": tf.constant("a\0b"), "empty": x[:0]})

    got = []
    mox.run(**toy.options(tmp_path, 1, model_fn=model_fn, run_mode=mox.ModeKeys.PREDICT, output_fn=got.extend))
    out, = got
    assert out["scalar"].dtype == np.float32 and out["scalar"].shape == ()
    assert out["bool"].dtype == bool and out["bool"].shape == (8, 4)
    assert str(out["half"].dtype) == "bfloat16"
    assert out["int"].tolist() == [8, 4]
    assert out["text"].tolist() == [b"8", b"4"]
    assert out["word"] == b"a\0b"
    assert out["empty"].shape == (0, 4)
    out["bool"][0] = True  # the user's own copy


def test_the_global_step_and_the_seed(mox, tmp_path):
    """User functions find the global step; tf.set_random_seed before the run makes it repeatable."""
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        noise = tf.get_variable("noise", [5], initializer=tf.random_normal_initializer())
        step = tf.train.get_global_step()
        return mox.ModelSpec(loss=spec.loss + 0 * tf.reduce_sum(noise), log_info={"step": step}, output_info={"y": inputs[1]})

    runs = []
    for i in range(2):
        tf.set_random_seed(7)
        runs.append(mox.run(**toy.options(tmp_path / str(i), 11, model_fn=model_fn)))
    tf.set_random_seed(None)
    assert runs[0].metrics["step"] == 10
    assert np.array_equal(values(tmp_path / "0", 11)["noise"], values(tmp_path / "1", 11)["noise"])


def test_a_finite_input_ends_the_run(mox, tmp_path):
    assert mox.run(**toy.options(tmp_path, 0, count=8 * 7 + 3)).steps == 7


def test_a_fetch_strategy(mox, tmp_path, log_lines):
    outputs, planned = [], []

    def strategy(step, names):
        planned.append(set(names))
        return None if step < 2 else ["log_info", "output_info"] if step == 3 else []

    mox.run(**toy.options(tmp_path, 5, fetch_strategy_fn=strategy, output_fn=outputs.extend, output_every_n_steps=1))
    assert planned == [{"log_info", "summaries", "output_info"}] + [{"output_info"}] * 4
    assert len(outputs) == 3
    assert [line.split("(")[0] for line in log_lines() if line.startswith("step: ")] == ["step: 0", "step: 3"]


def test_a_resumed_training_augments_as_an_uninterrupted_one(mox, tmp_path, mnist_dir):
    """Bit for bit on one thread: crops and colours of MoXing's preprocessing, and random operations of one's own."""
    tf.set_random_seed(5)
    mox.set_flag("num_inter_threads", 1)
    mox.set_flag("num_intra_threads", 1)

    def input_fn(mode):
        image, label = mox.get_dataset("mnist", "train", mnist_dir).get(["image", "label"])
        image = mox.get_data_augmentation_fn("inception_v1", mode, 16, 16)(image)
        image = tf.cond(tf.random.uniform([]) < 0.5, lambda: tf.image.random_flip_up_down(image), lambda: image * 0.5)
        return image + tf.random.truncated_normal([16, 16, 1]), label

    def model_fn(inputs, mode):
        weights = tf.get_variable("weights", [256, 10], initializer=tf.zeros_initializer())
        logits = tf.matmul(tf.reshape(inputs[0], [-1, 256]), weights)
        loss = tf.losses.sparse_softmax_cross_entropy(inputs[1], logits)
        return mox.ModelSpec(loss=loss, log_info={"loss": loss}, output_info={"loss": loss})

    def losses(log_dir, *limits):
        found = []
        for steps in limits:
            mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("momentum", 0.01),
                    run_mode=mox.ModeKeys.TRAIN, batch_size=50, log_dir=str(log_dir), max_number_of_steps=steps,
                    output_fn=lambda outputs: found.extend(float(o["loss"]) for o in outputs), output_every_n_steps=1)
        return found

    assert losses(tmp_path / "parts", 5, 14, 20) == losses(tmp_path / "whole", 20)
    tf.set_random_seed(None)


def test_variable_scopes_without_a_name_are_shared_by_devices(mox, tmp_path):
    """variable_scope(None, default_name=…), as TF-Slim's layers and tf.layers make them, also in the graph of inter_mode."""
    def model_fn(inputs, mode):
        y = inputs[0]
        for _ in range(2):
            with tf.variable_scope(None, default_name="layer"):
                y = tf.matmul(y, tf.get_variable("w", [4, 4], initializer=tf.ones_initializer()) * 0.1)
        loss = tf.reduce_mean(tf.square(y))
        return mox.ModelSpec(loss=loss, log_info={"loss": loss})

    names = []
    for devices in (1, 2):
        mox.set_flag("num_gpus", devices)
        mox.run(**toy.options(tmp_path / str(devices), 2, model_fn=model_fn, inter_mode=mox.ModeKeys.EVAL))
        names.append(sorted(name for name, _ in tf.train.list_variables(str(tmp_path / str(devices)))))
    assert names[0] == names[1] == ["global_step", "layer/w", "layer_1/w"]

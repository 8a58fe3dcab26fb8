"""mox.run and the data sets take what the engine's tables of options tell."""
import inspect
import pydoc

import pytest
import toy

# By position, as the manual's scripts may give them.
ORDER = ["input_fn", "output_fn", "model_fn", "optimizer_fn", "run_mode", "inter_mode", "batch_size", "auto_batch", "log_dir",
         "max_number_of_steps", "checkpoint_path", "log_every_n_steps", "output_every_n_steps", "save_summary_steps",
         "save_model_secs", "export_model", "fetch_strategy_fn", "save_model_steps", "keep_best", "keep_best_mode",
         "save_histogram_steps"]
RAW = ["metadata", "batch_size", "num_readers", "num_epochs", "shuffle", "shuffle_buffer_size", "capacity", "cache_dir",
       "preprocess_fn", "preprocess_threads", "image_size", "remove_cache_on_finish", "private_num_threads", "reader_class",
       "reader_kwargs", "drop_remainder"]
RECORDS = ["metadata", "keys_to_features", "items_to_handlers", "batch_size", "shuffle", "shuffle_buffer_size", "num_parallel",
           "num_epochs", "cache_dir", "remove_cache_on_finish", "private_num_threads", "preprocess_threads", "drop_remainder",
           "seed", "max_broken_samples", "shard_index", "num_shards", "meta", "feature_keys", "feature_values"]


def test_the_signature_of_run_is_the_table(mox):
    from moxing import _engine
    parameters = inspect.signature(mox.run).parameters
    assert list(parameters) == [option["name"] for option in _engine.run_options] + ["progress"]  # Python's own
    assert list(parameters)[:len(ORDER)] == ORDER
    assert {"keep_checkpoint_max", "trace_step", "stall_report_secs", "random_seed"} <= set(parameters)
    assert parameters["keep_checkpoint_max"].default == 5 and parameters["log_every_n_steps"].default == 10
    assert parameters["save_model_secs"].default is None and parameters["export_model"].default is False
    for option in _engine.run_options:
        if option["kind"] == "integer":
            assert parameters[option["name"]].annotation.expected == option["expected"]
    shown = pydoc.render_doc(mox.run)
    assert "keep_checkpoint_max: an integer from 0 to 2147483647; 0 keeps all = 5" in shown
    assert "    trace_step: this step's timeline goes to log_dir/timeline-N.json" in shown


def test_wrong_values_are_told_in_the_words_of_the_table(mox, tmp_path):
    from moxing import _engine
    tried = 0
    for option in _engine.run_options:
        if option["kind"] not in ("integer", "number") or option["low"] < -1:
            continue
        with pytest.raises(mox.InvalidArgumentError) as caught:
            mox.run(**toy.options(tmp_path / "run", 1, **{option["name"]: -7}))
        assert str(caught.value) == f"run: {option['name']} is -7, expected {option['expected']}"
        tried += 1
    with pytest.raises(mox.InvalidArgumentError, match="run: keep_best_mode is 'up', expected auto, max or min"):
        mox.run(**toy.options(tmp_path / "run", 1, keep_best_mode="up"))
    with pytest.raises(TypeError, match=r"run\(\) got an unexpected keyword argument 'steps'"):
        mox.run(**toy.options(tmp_path / "run", 1), steps=3)
    assert tried >= 11 and not (tmp_path / "run").exists()


def test_arguments_by_position(mox):
    given = toy.options("", 3)
    assert mox.run(given["input_fn"], None, given["model_fn"], given["optimizer_fn"], "TRAIN", None, 8, True, None, 3).steps == 3


def test_a_missing_log_dir_is_told_once(mox, log_lines):
    mox.run(**(toy.options("", 2) | dict(log_dir=None)))
    assert len([line for line in log_lines() if "no log_dir is given" in line]) == 1


def test_options_that_python_lacked(mox, tmp_path, log_lines):
    mox.run(**toy.options(tmp_path / "a", 6, save_model_steps=2, keep_checkpoint_max=1, trace_step=2, stall_report_secs=0))
    assert len(list((tmp_path / "a").glob("model.ckpt-*.index"))) == 1
    assert list((tmp_path / "a").glob("timeline-*.json"))

    def losses_with(seed):
        found = []

        def model_fn(inputs, mode):
            import tensorflow.compat.v1 as tf
            w = tf.get_variable("w", [4, 1], initializer=tf.random_normal_initializer())
            loss = tf.reduce_mean(tf.square(tf.squeeze(tf.matmul(inputs[0], w), 1) - inputs[1]))
            return mox.ModelSpec(loss=loss, output_info={"loss": loss})

        mox.run(**(toy.options("", 2) | dict(log_dir=None, model_fn=model_fn, output_fn=found.extend, output_every_n_steps=1,
                                               random_seed=seed)))
        return [float(d["loss"]) for d in found]

    assert losses_with(7) == losses_with(7) != losses_with(8)


def test_data_sets_take_what_their_structs_have(mox):
    from moxing import _engine
    for dataset, struct, order in ((mox.ImageClassificationRawDataset, _engine.RawDatasetOptions, RAW),
                                   (mox.MultilabelClassificationRawDataset, _engine.MultilabelDatasetOptions,
                                    RAW + ["label_sep", "skip_label_not_found"]),
                                   (mox.BaseTFRecordDataset, _engine.TFRecordDatasetOptions, RECORDS),
                                   (mox.ImageClassificationTFRecordDataset, _engine.ImageTFRecordDatasetOptions, ["metadata", "batch_size"])):
        parameters = inspect.signature(dataset).parameters
        assert list(parameters)[:len(order)] == order
        known = {option["name"] for option in struct.options} - {"label_one_hot"}
        assert known <= set(parameters)
    assert "shuffle" in inspect.signature(mox.get_dataset).parameters
    assert inspect.signature(mox.ImageClassificationRawDataset).parameters["num_readers"].default == 8

"""What users' functions must not return is told in the same words by both front ends: tests/run/front_end_errors.json has the
words, tests/run/front_end_test.cc the same cases."""
import json
import pathlib

import pytest
import tensorflow.compat.v1 as tf

import toy

TEXTS = json.loads((pathlib.Path(__file__).parents[2] / "tests" / "run" / "front_end_errors.json").read_text(encoding="utf-8"))


def expected(name):
    text = TEXTS["errors"][name]
    for word, value in TEXTS["words"]["python"].items():
        text = text.replace("{" + word + "}", value)
    return text


def spec_with(**changes):
    """A model_fn whose ModelSpec has other fields: functions of the spec."""
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        for name, change in changes.items():
            setattr(spec, name, change(spec))
        return spec
    return {"model_fn": model_fn}


def elsewhere(_=None):
    with tf.Graph().as_default():
        return tf.constant(1.0, name="elsewhere")


def wide(spec):
    return tf.identity(spec.output_info["y"], name="wide")


def alone(spec):
    return tf.identity(spec.loss, name="alone")


def exported(mox, change):
    def change_export(spec):
        change(spec.export_spec)
        return spec.export_spec
    return {**spec_with(export_spec=change_export), "export_model": mox.ExportKeys.TF_SERVING}


def without_patterns(mox):
    mox.set_flag("trainable_exclude_patterns", "w,b")
    return spec_with(loss=alone)


CASES = {
    "no_input_fn": lambda mox: {"input_fn": None},
    "no_model_fn": lambda mox: {"model_fn": None},
    "no_optimizer_fn": lambda mox: {"optimizer_fn": None},
    "input_is_empty": lambda mox: {"input_fn": lambda mode: []},
    "input_is_no_tensor": lambda mox: {"input_fn": lambda mode: [tf.constant(1.0), 1.0]},
    "input_from_outside": lambda mox: {"input_fn": elsewhere},
    "no_batch_size_in_the_shape": lambda mox: {"batch_size": None, "auto_batch": False, "input_fn": lambda mode: tf.constant(1.0, name="one")},
    "no_loss": lambda mox: spec_with(loss=lambda s: None),
    "no_log_info": lambda mox: {**spec_with(log_info=lambda s: None), "run_mode": "EVAL"},
    "no_output_info": lambda mox: {**spec_with(output_info=lambda s: None), "run_mode": "PREDICT", "output_fn": print},
    "no_export_spec": lambda mox: {**spec_with(export_spec=lambda s: None), "export_model": mox.ExportKeys.TF_SERVING},
    "no_log_info_in_inter_mode": lambda mox: {**spec_with(log_info=lambda s: None), "inter_mode": "EVAL"},
    "loss_is_no_tensor": lambda mox: spec_with(loss=lambda s: 1.0),
    "loss_from_outside": lambda mox: spec_with(loss=elsewhere),
    "loss_is_no_scalar": lambda mox: spec_with(loss=wide),
    "scopes_for_losses": lambda mox: spec_with(var_scopes=lambda s: [["a"], ["b"]]),
    "log_info_from_outside": lambda mox: spec_with(log_info=lambda s: {"x": elsewhere()}),
    "log_info_is_no_scalar": lambda mox: spec_with(log_info=lambda s: {"x": wide(s)}),
    "output_info_from_outside": lambda mox: spec_with(output_info=lambda s: {"x": elsewhere()}),
    "export_from_outside": lambda mox: exported(mox, lambda e: setattr(e, "outputs_dict", {"x": elsewhere()})),
    "loss_without_variables": lambda mox: spec_with(loss=lambda s: tf.constant(1.0, name="alone")),
    "scopes_without_variables": lambda mox: spec_with(loss=alone, var_scopes=lambda s: ["wb", "w/b"]),
    "patterns_without_variables": without_patterns,
    "optimizers_for_losses": lambda mox: {"optimizer_fn": [mox.get_optimizer_fn("sgd", 0.1)] * 2},
    "optimizer_is_none": lambda mox: {"optimizer_fn": lambda: 0.1},
    "hook_is_none": lambda mox: spec_with(hooks=lambda s: [1.0]),
}


def test_all_cases_have_their_words():
    assert CASES.keys() == TEXTS["errors"].keys()


@pytest.mark.parametrize("case", CASES)
def test_says_it_in_the_common_words(mox, tmp_path, case):
    with pytest.raises(mox.InvalidArgumentError) as caught:
        mox.run(**{**toy.options(tmp_path, 3), **CASES[case](mox)})
    assert str(caught.value) == expected(case)
    assert not (tmp_path / "checkpoint").exists()


def test_what_is_no_tensor_says_why(mox, tmp_path):
    with pytest.raises(ValueError, match=r"log_info\['x'\] of model_fn is NoneType \(None values not supported.\), expected a tensor \(TRAIN\)"):
        mox.run(**toy.options(tmp_path, 3, **spec_with(log_info=lambda s: {"x": None})))


def test_one_optimizer_in_a_list_serves_all_losses(mox, tmp_path):
    def model_fn(inputs, mode):
        spec = toy.model_fn(inputs, mode)
        return mox.ModelSpec(loss=[spec.loss, 2 * spec.loss], var_scopes=[["w"], ["b"]], log_info=spec.log_info)

    assert mox.run(**toy.options(tmp_path, 3, model_fn=model_fn, optimizer_fn=[mox.get_optimizer_fn("sgd", 0.1)])).steps == 3

"""Decoding and augmentation as one operation: a script trains as without it."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from pictures import encode

TOLD = "decoding and preprocessing run as one operation"


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.RandomState(3)
    for name in ("one", "other"):
        (folder / name).mkdir()
        for i in range(4):
            coarse = random.randint(0, 256, (9 + i, 12, 3))
            image = np.kron(coarse, np.ones((12, 12, 1))).astype(np.uint8)
            (folder / name / f"{i}.jpg").write_bytes(encode(image, "jpeg"))
    return str(folder)


def losses(mox, folder, network, in_data_set):
    def input_fn(mode):
        augmentation_fn = mox.get_data_augmentation_fn(network, mode, 40, 48)
        dataset = mox.ImageClassificationRawDataset(mox.ImageClassificationRawMetadata(base_dir=folder), num_epochs=None,
                                                    augmentation_fn=augmentation_fn if in_data_set else None)
        image, label = dataset.get(["image", "label"])
        return (image if in_data_set else augmentation_fn(image)), label

    def model_fn(inputs, mode):
        images, labels = inputs
        flat = tf.reshape(images, [-1, 40 * 48 * 3])
        w = tf.get_variable("w", [40 * 48 * 3, 2], initializer=tf.random_normal_initializer())
        loss = tf.losses.sparse_softmax_cross_entropy(labels, tf.matmul(flat, w))
        return mox.ModelSpec(loss=loss, output_info={"loss": loss, "sum": tf.reduce_sum(images)})

    found = []
    mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn("sgd", 1e-6), run_mode=mox.ModeKeys.TRAIN, batch_size=4,
            max_number_of_steps=5, output_fn=found.extend, output_every_n_steps=1, random_seed=11)
    return [[row["loss"], row["sum"]] for row in found]


@pytest.mark.parametrize("in_data_set", [False, True])
@pytest.mark.parametrize("network", ["resnet_v1_50", "mobilenet_v1"])
def test_losses_are_the_same(mox, photographs, network, in_data_set, monkeypatch, log_lines):
    mox.set_flag("running_log_level", "debug")
    told, rows = {}, {}
    for fuse in "01":
        monkeypatch.setenv("MOX_FUSE_AUGMENT", fuse)
        rows[fuse] = losses(mox, photographs, network, in_data_set)
        told[fuse] = any(TOLD in line for line in log_lines())
    assert told == {"0": False, "1": True}
    assert len(rows["0"]) == 5 and len({row[0] for row in map(tuple, rows["0"])}) == 5
    assert np.allclose(rows["0"], rows["1"], rtol=1e-4)

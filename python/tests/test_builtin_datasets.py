"""get_dataset_meta and get_dataset: all names, from a local folder and from an object store."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from idx import write_idx
from pictures import encode, in_session, plain_image, write_records
from stores import Store

SIZES = {
    "mnist": ({"train": 60000, "test": 10000}, 10), "fashion_mnist": ({"train": 60000, "test": 10000}, 10),
    "cifar10": ({"train": 50000, "test": 10000}, 10), "flowers": ({"train": 3320, "validation": 350}, 5),
    "imagenet": ({"train": 1281167, "validation": 50000}, 1001),
}


def image_record(label, kind):
    return {"image/encoded": encode(plain_image(label % 3, 12, 16), kind), "image/format": kind.encode(), "image/class/label": label,
            "image/class/text": b"name"}


def write_dataset(name, folder):
    """A small one of the published form: labels 0, 1 and 2 in the first split, 2 in the last."""
    folder.mkdir(parents=True)
    if name in ("mnist", "fashion_mnist"):
        for prefix, labels in (("train", [0, 1, 2]), ("t10k", [2])):
            write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", np.array([np.full((28, 28), 10 * k) for k in labels]))
            write_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", np.array(labels))
    elif name == "cifar10":
        batches = folder / "cifar-10-batches-bin"  # as the archive unpacks
        batches.mkdir()
        for i in range(1, 6):
            (batches / f"data_batch_{i}.bin").write_bytes(bytes([min(i - 1, 2)]) + bytes([10 * min(i - 1, 2)]) * 3072)
        (batches / "test_batch.bin").write_bytes(bytes([2]) + bytes([20]) * 3072)
    elif name == "flowers":
        for split, labels in (("train", [0, 1, 2]), ("validation", [2])):
            write_records(folder / f"flowers_{split}_00000-of-00001.tfrecord", [image_record(k, "jpeg") for k in labels])
    else:
        for split, labels in (("train", [0, 1, 2]), ("validation", [2])):
            for i, label in enumerate(labels):
                write_records(folder / f"{split}-0000{i}-of-0000{len(labels)}", [image_record(label, "jpeg")])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store("versitygw", tmp_path_factory.mktemp("store"))
    yield store
    store.stop()


@pytest.fixture(params=["local", "s3"])
def place(request, tmp_path, mox):
    """(folder on disk, its path for MoXing)."""
    if request.param == "local":
        return tmp_path, str(tmp_path)
    import moxing.file
    store = request.getfixturevalue("store")
    store.use(moxing.file)
    import pathlib
    return pathlib.Path(store.folder) / "data", "s3://data"


@pytest.mark.parametrize("name", SIZES)
def test_every_name(mox, place, name):
    meta = mox.get_dataset_meta(name)
    assert (meta.splits_to_sizes, meta.num_classes) == SIZES[name]
    folder, path = place
    write_dataset(name, folder / name)
    first, last = meta.splits_to_sizes.keys()
    for split, labels in ((first, {0, 1, 2}), (last, {2})):
        rows = in_session(lambda: mox.get_dataset(name=name, split_name=split, dataset_dir=f"{path}/{name}/", capacity=4000,
                                                  num_epochs=1).get(["image", "label"]))
        assert {int(label) for _, label in rows} == labels
        for image, label in rows:
            assert image.dtype == np.uint8
            if name in ("flowers", "imagenet"):
                assert image.shape == (12, 16, 3) and image[5, 5].argmax() == label
            else:
                assert list(image.shape) == meta.image_shape and image[5, 5, 0] == 10 * label


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_as_tf_slim_converts_them(mox, tmp_path, name):
    height, width, channels = mox.get_dataset_meta(name).image_shape
    for split, labels in (("train", [0, 1, 2]), ("test", [2])):
        write_records(tmp_path / f"{name}_{split}.tfrecord",
                      [{"image/encoded": encode(np.full((height, width, channels), 10 * k, np.uint8)), "image/format": b"png",
                        "image/class/label": k, "image/height": height, "image/width": width} for k in labels])

    def get(split, **options):
        return lambda: mox.get_dataset(name, split, tmp_path, num_epochs=1, **options).get(["image", "label"])

    rows = in_session(get("train", shuffle=False))
    assert [int(label) for _, label in rows] == [0, 1, 2]
    for image, label in rows:
        assert image.shape == (height, width, channels) and image.dtype == np.uint8 and (image == 10 * label).all()
    (images, labels), = in_session(get("test", batch_size=8))
    assert images.shape == (1, height, width, channels) and list(labels) == [2]
    with tf.Graph().as_default():
        image, _ = get("train", batch_size=2, drop_remainder=True)()
        assert image.shape.as_list() == [2, height, width, channels]


def test_shuffled_by_a_seed_only_in_the_first_split(mox, mnist_dir):
    def order(split, **options):
        return [image.tobytes() for image, in in_session(
            lambda: mox.get_dataset("mnist", split, mnist_dir, num_epochs=1, **options).get(["image"]))]

    assert order("test") == order("test")
    once, again, other = order("train", seed=3), order("train", seed=3), order("train", seed=4)
    assert once == again != other and sorted(once) == sorted(other) and len(once) == 600
    assert order("train", shuffle=False) == order("train", shuffle=False)


def test_options(mox, tmp_path):
    write_dataset("flowers", tmp_path / "flowers")
    write_records(tmp_path / "flowers/flowers_train_00000-of-00001.tfrecord",
                  [image_record(0, "jpeg"), {"image/class/label": 1}, image_record(2, "jpeg")])

    def labels(**options):
        return [int(label) for label, in in_session(
            lambda: mox.get_dataset("flowers", "train", tmp_path / "flowers", num_epochs=2, **options).get(["label"]))]

    with pytest.raises(Exception, match="flowers_train_00000-of-00001.tfrecord, record at byte .*image/encoded"):
        labels()
    assert sorted(labels(max_broken_samples=1, cache_dir=str(tmp_path / "cache"), remove_cache_on_finish=False)) == [0, 0, 2, 2]
    assert (tmp_path / "cache/mox-cache").exists()
    with pytest.raises(ValueError, match="images of different sizes"):
        labels(batch_size=2)
    with pytest.raises(ValueError, match="no split 'eval'; it has: train, validation"):
        mox.get_dataset("flowers", "eval", str(tmp_path))
    with pytest.raises(ValueError, match="no built-in data set 'cifar100'; there are: mnist, fashion_mnist, cifar10, flowers, imagenet"):
        mox.get_dataset("cifar100", "train", str(tmp_path))
    with pytest.raises(ValueError, match="dataset_dir is None"):
        mox.get_dataset("mnist", "train", None)

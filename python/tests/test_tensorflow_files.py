"""s3:// under TensorFlow's own readers and writers: tf.io.gfile, TFRecord, checkpoints, summaries, tf.data, SavedModel."""
import numpy as np
import pytest
import tensorflow as tf
import tensorflow.compat.v1 as tf1
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import stores
import toy

gfile = tf.io.gfile
pytestmark = pytest.mark.eager


@pytest.fixture(scope="module", params=["versitygw", "minio"])
def store(request, tmp_path_factory):
    import moxing.tensorflow as mox
    server = stores.Store(request.param, tmp_path_factory.mktemp(request.param))
    server.use(mox.file)
    mox.file.make_dirs("s3://tensorflow")  # MinIO opens its port before it answers; that is repeated
    yield server
    server.stop()


@pytest.fixture
def root(store, request):
    store.use(__import__("moxing").file)
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    gfile.makedirs(f"s3://tensorflow/{name}")
    return f"s3://tensorflow/{name}"


def test_gfile_files(root):
    path = root + "/a.txt"
    with gfile.GFile(path, "w") as f:
        f.write("one\ntwo\n")
        f.flush()
        assert gfile.GFile(path).read() == "one\ntwo\n"
        f.write("three")
    with gfile.GFile(path) as f:
        assert f.size() == 13 and f.readline() == "one\n" and f.tell() == 4 and f.readlines() == ["two\n", "three"]
        f.seek(8)
        assert f.read(2) == "th"
        f.seek(0)
        assert list(f) == ["one\n", "two\n", "three"]
    with gfile.GFile(path, "a") as f:
        f.write("!")
    with gfile.GFile(path, "rb") as f:
        assert f.read() == b"one\ntwo\nthree!"
    with gfile.GFile(root + "/empty", "wb") as f:
        f.write(b"")
    assert gfile.stat(root + "/empty").length == 0
    status = gfile.stat(path)
    assert status.length == 14 and not status.is_directory and abs(status.mtime_nsec / 1e9 - tf.timestamp().numpy()) < 60
    with pytest.raises(tf.errors.NotFoundError, match="none"):
        gfile.GFile(root + "/none").read()
    with pytest.raises(tf.errors.NotFoundError):
        gfile.stat(root + "/none")


def test_gfile_folders(root):
    for name in ("d/a.txt", "d/b.bin", "d/e/c.txt", "d/e/f/[x] y+z%.txt"):
        gfile.makedirs(root + "/" + name.rpartition("/")[0])
        with gfile.GFile(root + "/" + name, "w") as f:
            f.write(name)
    d = root + "/d"
    assert gfile.exists(d) and gfile.isdir(d) and gfile.isdir(d + "/") and not gfile.isdir(d + "/a.txt")
    assert not gfile.exists(root + "/none") and not gfile.isdir(root + "/none")
    assert sorted(gfile.listdir(d)) == ["a.txt", "b.bin", "e"] or sorted(gfile.listdir(d)) == ["a.txt", "b.bin", "e/"]
    with pytest.raises(tf.errors.NotFoundError):
        gfile.listdir(root + "/none")
    assert gfile.glob(d + "/*.txt") == [d + "/a.txt"] and gfile.glob(d + "/?.bin") == [d + "/b.bin"]
    assert gfile.glob(d + "/e/[a-c].*") == [d + "/e/c.txt"] and gfile.glob(d + "/none*") == []
    assert sorted(gfile.glob([d + "/*/c.txt", d + "/b*"])) == [d + "/b.bin", d + "/e/c.txt"]
    assert [(folder, sorted(n.rstrip("/") for n in dirs), sorted(files)) for folder, dirs, files in gfile.walk(d)] == [
        (d, ["e"], ["a.txt", "b.bin"]), (d + "/e", ["f"], ["c.txt"]), (d + "/e/f", [], ["[x] y+z%.txt"])]
    gfile.mkdir(root + "/made")
    assert gfile.isdir(root + "/made") and gfile.listdir(root + "/made") == []
    gfile.makedirs(root + "/made")  # is there: fine
    gfile.copy(d + "/a.txt", root + "/copy")
    with pytest.raises(tf.errors.AlreadyExistsError):
        gfile.copy(d + "/b.bin", root + "/copy")
    gfile.copy(d + "/b.bin", root + "/copy", overwrite=True)
    gfile.rename(root + "/copy", root + "/moved")
    assert gfile.GFile(root + "/moved").read() == "d/b.bin" and not gfile.exists(root + "/copy")
    with pytest.raises(tf.errors.AlreadyExistsError):
        gfile.rename(d + "/a.txt", root + "/moved")
    gfile.rename(d + "/a.txt", root + "/moved", overwrite=True)
    assert gfile.GFile(root + "/moved").read() == "d/a.txt"
    gfile.rename(d + "/e", root + "/folder")
    assert gfile.GFile(root + "/folder/f/[x] y+z%.txt").read() == "d/e/f/[x] y+z%.txt" and not gfile.exists(d + "/e")
    gfile.remove(root + "/moved")
    with pytest.raises(tf.errors.NotFoundError):
        gfile.remove(root + "/moved")
    gfile.rmtree(root + "/folder")
    assert not gfile.exists(root + "/folder")
    with pytest.raises(tf.errors.NotFoundError):
        gfile.rmtree(root + "/folder")


def test_between_disk_and_store(root, tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(256)) * 100_000)
    gfile.copy(str(tmp_path / "a"), root + "/up")
    gfile.copy(root + "/up", str(tmp_path / "down"))
    assert (tmp_path / "down").read_bytes() == (tmp_path / "a").read_bytes()


def test_obs_is_the_same(root):
    with gfile.GFile(root.replace("s3:", "obs:") + "/x", "w") as f:
        f.write("obs")
    assert gfile.GFile(root + "/x").read() == "obs"


def test_tfrecords_and_datasets(root):
    for shard in range(2):
        with tf.io.TFRecordWriter(f"{root}/part-{shard}") as writer:
            for i in range(1000):
                writer.write(b"%d-%d" % (shard, i) * 50)
    files = tf.data.Dataset.list_files(root + "/part-*", shuffle=False)
    records = [r.numpy() for r in files.interleave(tf.data.TFRecordDataset, cycle_length=2)]
    assert len(records) == 2000 and set(records[:2]) <= {b"0-0" * 50, b"1-0" * 50}
    with tf.io.TFRecordWriter(root + "/z", "GZIP") as writer:
        writer.write(b"packed")
    assert [r.numpy() for r in tf.data.TFRecordDataset(root + "/z", "GZIP")] == [b"packed"]
    tf.io.write_file(root + "/new/folder/file", "written")
    assert tf.io.read_file(root + "/new/folder/file") == b"written"
    with gfile.GFile(root + "/lines", "w") as f:
        f.write("a\nb\n")
    assert [r.numpy() for r in tf.data.TextLineDataset(root + "/lines")] == [b"a", b"b"]


def test_checkpoints_of_both_kinds(root):
    with tf.Graph().as_default(), tf1.Session() as session:
        v = tf1.get_variable("v", initializer=tf.range(3_000_000, dtype=tf.float32))
        w = tf1.get_variable("w", initializer=[1.0, 2.0])
        session.run(tf1.global_variables_initializer())
        saver = tf1.train.Saver(max_to_keep=2)
        for step in (1, 2, 3):
            saver.save(session, root + "/tf1/model.ckpt", global_step=step)
        latest = tf1.train.latest_checkpoint(root + "/tf1")
        assert latest == root + "/tf1/model.ckpt-3"
        session.run([v.assign(tf.zeros_like(v)), w.assign([0.0, 0.0])])
        saver.restore(session, latest)
        assert session.run(v)[-1] == 2_999_999 and list(session.run(w)) == [1.0, 2.0]
    assert sorted(gfile.glob(root + "/tf1/*.index")) == [root + f"/tf1/model.ckpt-{i}.index" for i in (2, 3)]
    checkpoint = tf.train.Checkpoint(x=tf.Variable([5.0, 6.0]))
    manager = tf.train.CheckpointManager(checkpoint, root + "/tf2", max_to_keep=1)
    for _ in range(2):
        manager.save()
    checkpoint.x.assign([0.0, 0.0])
    checkpoint.restore(tf.train.latest_checkpoint(root + "/tf2")).assert_consumed()
    assert list(checkpoint.x.numpy()) == [5.0, 6.0] and len(gfile.glob(root + "/tf2/ckpt-*.index")) == 1
    assert not [name for name in gfile.listdir(root + "/tf2") if "temp" in name]


def test_saved_models(root):
    module = tf.Module()
    module.v = tf.Variable(3.0)
    module.f = tf.function(lambda x: x * module.v, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(module, root + "/model")
    assert tf.saved_model.load(root + "/model").f(2.0) == 6.0


def test_summaries_are_seen_while_they_are_written(root):
    writer = tf.summary.create_file_writer(root + "/events")
    with writer.as_default():
        for step in range(3):
            tf.summary.scalar("loss", 1.0 / (step + 1), step=step)
            writer.flush()
            events = EventAccumulator(root + "/events", size_guidance={"tensors": 0})
            events.Reload()
            assert len(events.Tensors("loss")) == step + 1
    writer.close()


def test_what_a_writer_sends_grows_in_line_with_what_it_writes(store, root, mox):
    """Twice the events cost about twice the bytes, though each flush makes a whole object of a store."""
    relay = stores.Relay(store.port)
    mox.file.set_auth(port=relay.port)

    def sent_for(name, megabytes):
        before = relay.sent
        with gfile.GFile(f"{root}/{name}", "wb") as f:
            for _ in range(megabytes * 64):
                f.write(bytes(16 << 10))
                f.flush()
        assert gfile.stat(f"{root}/{name}").length == megabytes << 20
        return relay.sent - before

    small, large = sent_for("small", 2), sent_for("large", 4)
    assert (4 << 20) < large < 17.5 * (4 << 20) and large < 2.6 * small, (small, large)
    store.use(mox.file)
    relay.close()


def test_moxs_own_run_on_a_store(mox, root):
    with_export = {"export_model": mox.ExportKeys.TF_SERVING, "save_model_steps": 10, "save_summary_steps": 10}
    result = mox.run(**toy.options(root + "/run", 20, **with_export))
    assert tf.train.latest_checkpoint(root + "/run") == root + "/run/model.ckpt-20"
    assert result.export_dir == root + "/run/1" and len(mox.file.read(root + "/run/log.jsonl").splitlines()) == 2
    assert "serving_default" in tf.saved_model.load(result.export_dir).signatures
    assert not [name for name in mox.file.list_directory(root + "/run") if name.startswith(".")]
    events = EventAccumulator(root + "/run")
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [0, 10]
    again = mox.run(**toy.options(root + "/run", 30, **with_export))
    assert again.steps == 10 and again.global_step == 30 and again.export_dir == root + "/run/2"
    events = EventAccumulator(root + "/run")
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [0, 10, 20]
    assert len(mox.file.read(root + "/run/log.jsonl").splitlines()) == 3
    metrics = mox.run(**toy.options("", 5, run_mode=mox.ModeKeys.EVAL, checkpoint_path=root + "/run")).metrics
    assert np.isfinite(metrics["loss"])

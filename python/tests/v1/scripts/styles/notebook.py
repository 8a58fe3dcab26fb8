"""The cells of a notebook: data fetched to ./cache, flags set in main, two programs that end with tf.app.run, a picture predicted."""
import moxing.tensorflow as mox
import os
import sys

store = sys.argv[2]
data_url = store + '/data/'
train_url = './cache/log/'
mox.file.write(data_url + 'numbers.txt', '3 5')
if not mox.file.exists(data_url):
  raise ValueError('verify your data url!')
if mox.file.exists(train_url):
  mox.file.remove(train_url, recursive=True)
mox.file.make_dirs(train_url)
local_url = './cache/local_data/'
if mox.file.exists(local_url):
  mox.file.remove(local_url, recursive=True)
os.makedirs(local_url)
mox.file.copy_parallel(data_url, local_url)
data_url = local_url
assert os.listdir(data_url) == ['numbers.txt']

import numpy as np
import tensorflow as tf
tf.flags.DEFINE_string('data_url', None, 'Dir of dataset')
tf.flags.DEFINE_string('train_url', None, 'Train Url')
flags = tf.flags.FLAGS


def main(*args):
  flags.data_url = data_url
  flags.train_url = train_url
  factors = [float(x) for x in open(os.path.join(flags.data_url, 'numbers.txt')).read().split()]

  def input_fn(run_mode, **kwargs):
    def gen():
      rng = np.random.RandomState(0)
      while True:
        x = rng.rand(50, 16).astype(np.float32)
        yield x, (x[:, 0] * factors[0] > x[:, 1] * factors[1]).astype(np.int64)
    ds = tf.data.Dataset.from_generator(gen, output_types=(tf.float32, tf.int64),
                                        output_shapes=(tf.TensorShape([None, 16]), tf.TensorShape([None])))
    return ds.make_one_shot_iterator().get_next()

  def model_fn(inputs, run_mode, **kwargs):
    x, y_ = inputs
    W = tf.get_variable(name='W', initializer=tf.zeros([16, 2]))
    b = tf.get_variable(name='b', initializer=tf.zeros([2]))
    y = tf.matmul(x, W) + b
    loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y_, logits=y))
    predictions = tf.argmax(y, 1)
    accuracy = tf.reduce_mean(tf.cast(tf.equal(predictions, y_), tf.float32))
    export_spec = mox.ExportSpec(inputs_dict={'images': x}, outputs_dict={'predictions': predictions}, version='model')
    return mox.ModelSpec(loss=loss, log_info={'loss': loss, 'accuracy': accuracy}, export_spec=export_spec)

  mox.run(input_fn=input_fn, model_fn=model_fn, optimizer_fn=mox.get_optimizer_fn('sgd', learning_rate=1.0),
          run_mode=mox.ModeKeys.TRAIN, batch_size=50, auto_batch=False, log_dir=flags.train_url, max_number_of_steps=100,
          log_every_n_steps=10, export_model=mox.ExportKeys.TF_SERVING)


try:
  tf.app.run(main=main)
except SystemExit:
  pass

picture = np.zeros([4, 4, 1], np.uint8)
picture[0, 0] = 255
with tf.Session() as sess:
  mox.file.write('./cache/test.png', sess.run(tf.image.encode_png(picture)), binary=True)
results = []


def predict(*args):
  def input_fn(run_mode, **kwargs):
    image = tf.read_file('./cache/test.png')
    img = tf.image.decode_png(image, channels=1)
    img = tf.image.resize_images(img, [4, 4], 0)
    return tf.reshape(tf.to_float(img) / 255, [16])

  def model_fn(inputs, run_mode, **kwargs):
    x = inputs  # a list of one tensor, which matmul stacks
    W1 = tf.get_variable(name='W', initializer=tf.zeros([16, 2]))
    b1 = tf.get_variable(name='b', initializer=tf.zeros([2]))
    return mox.ModelSpec(output_info={'predict': tf.argmax(tf.matmul(x, W1) + b1, 1)})

  def output_fn(outputs):
    results.extend(output['predict'] for output in outputs)

  mox.run(input_fn=input_fn, model_fn=model_fn, output_fn=output_fn, run_mode=mox.ModeKeys.PREDICT, batch_size=1, auto_batch=False,
          max_number_of_steps=1, output_every_n_steps=1, checkpoint_path='./cache/log/')


try:
  tf.app.run(main=predict)
except SystemExit:
  pass
assert [int(result[0]) for result in results] == [1], results
print('notebook ok')

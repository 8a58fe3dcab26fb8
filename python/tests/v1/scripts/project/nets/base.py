import tensorflow as tf

NAME = 'net of ' + tf.__version__[:2]

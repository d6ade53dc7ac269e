"""Uses each import line of TensorFlow 1.x; .ci/run runs it where the port is installed.

    python import_lines.py DIR

It prints the sums of some batches, which tf.set_random_seed() fixes.
"""

import sys

import tensorflow as tf
import tensorflow.examples.tutorials.mnist.input_data as same
from tensorflow.examples.tutorials.mnist import input_data, mnist
from tensorflow.examples.tutorials.mnist.input_data import read_data_sets

assert same is input_data and read_data_sets is input_data.read_data_sets
assert 'tutorials' in input_data.__file__ and mnist.IMAGE_PIXELS == 784

with tf.Graph().as_default():
    tf.compat.v1.set_random_seed(777)
    data_sets = input_data.read_data_sets(sys.argv[1], one_hot=True)
for data_set in data_sets:
    images, labels = data_set.next_batch(50)
    print(images.sum(), labels.argmax(1).tolist())

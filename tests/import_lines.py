"""Uses each import line of TensorFlow 1.x; .ci/run runs it where the port is installed.

It reads MNIST into the folder MNIST_data and prints the sums of some batches, which
tf.set_random_seed() fixes.
"""

import tensorflow as tf
import tensorflow.examples.tutorials.mnist as package
import tensorflow.examples.tutorials.mnist.input_data as same
from tensorflow.examples.tutorials import mnist as again
from tensorflow.examples.tutorials.mnist import *  # noqa: F403
from tensorflow.examples.tutorials.mnist.input_data import read_data_sets

assert tf.compat.v1.executing_eagerly()  # the package leaves TensorFlow 2 on
assert package is again and package.input_data is same is input_data  # noqa: F405
assert read_data_sets is same.read_data_sets and 'tutorials' in same.__file__

from tensorflow.examples.tutorials.mnist import input_data, mnist  # noqa: E402

assert input_data is same and mnist.IMAGE_PIXELS == 784

with tf.Graph().as_default():
    tf.compat.v1.set_random_seed(777)
    data_sets = input_data.read_data_sets('MNIST_data', one_hot=True)
for data_set in data_sets:
    images, labels = data_set.next_batch(50)
    print(images.sum(), labels.argmax(1).tolist())

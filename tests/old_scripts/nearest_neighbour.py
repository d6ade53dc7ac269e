"""The nearest neighbour of each test digit by the sum of absolute differences."""

import sys

import numpy as np
import tensorflow.compat.v1 as tf

import input_data

tf.disable_v2_behavior()

data_dir = sys.argv[1] if len(sys.argv) > 1 else 'MNIST_data/'
mnist = input_data.read_data_sets(data_dir, one_hot=True)

# Look among 5000 digits for 200
Xtr, Ytr = mnist.train.next_batch(5000)
Xte, Yte = mnist.test.next_batch(200)

xtr = tf.placeholder('float', [None, 784])
xte = tf.placeholder('float', [784])
distance = tf.reduce_sum(tf.abs(tf.add(xtr, tf.negative(xte))), reduction_indices=1)
pred = tf.arg_min(distance, 0)

accuracy = 0.0
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(len(Xte)):
        nn_index = sess.run(pred, feed_dict={xtr: Xtr, xte: Xte[i, :]})
        predicted, true = np.argmax(Ytr[nn_index]), np.argmax(Yte[i])
        if predicted == true:
            accuracy += 1.0 / len(Xte)
print('Done with', len(Xtr), 'training examples')
print('Accuracy:', accuracy)

"""A convolutional net on images that keep their shape, with labels as numbers."""

import sys

import tensorflow.compat.v1 as tf

import input_data

tf.disable_v2_behavior()

data_dir = sys.argv[1] if len(sys.argv) > 1 else 'MNIST_data/'
mnist = input_data.read_data_sets(data_dir, reshape=False, validation_size=5000)


def weight_variable(shape):
    return tf.Variable(tf.truncated_normal(shape, stddev=0.1))


def bias_variable(shape):
    return tf.Variable(tf.constant(0.1, shape=shape))


def conv_pool(x, channels_in, channels_out):
    W = weight_variable([5, 5, channels_in, channels_out])
    conv = tf.nn.conv2d(x, W, strides=[1, 1, 1, 1], padding='SAME')
    h = tf.nn.relu(conv + bias_variable([channels_out]))
    return tf.nn.max_pool(h, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding='SAME')


x = tf.placeholder(tf.float32, [None, 28, 28, 1])
y_ = tf.placeholder(tf.int64, [None])
keep_prob = tf.placeholder(tf.float32)

h_pool = conv_pool(conv_pool(x, 1, 8), 8, 16)
flat = tf.reshape(h_pool, [-1, 7 * 7 * 16])
fc1 = tf.nn.relu(tf.matmul(flat, weight_variable([784, 128])) + bias_variable([128]))
drop = tf.nn.dropout(fc1, keep_prob)
y = tf.matmul(drop, weight_variable([128, 10])) + bias_variable([10])

loss = tf.losses.sparse_softmax_cross_entropy(labels=y_, logits=y)
train_step = tf.train.AdamOptimizer(1e-3).minimize(loss)
accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(y, 1), y_), tf.float32))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    while mnist.train.epochs_completed < 6:
        images, labels = mnist.train.next_batch(50)
        sess.run(train_step, feed_dict={x: images, y_: labels, keep_prob: 0.5})
    test = {x: mnist.test.images, y_: mnist.test.labels, keep_prob: 1.0}
    print('Accuracy: %g' % sess.run(accuracy, feed_dict=test))

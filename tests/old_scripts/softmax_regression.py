"""Softmax regression with one-hot labels."""

import sys

import tensorflow.compat.v1 as tf

import input_data

tf.disable_v2_behavior()

data_dir = sys.argv[1] if len(sys.argv) > 1 else 'MNIST_data/'
mnist = input_data.read_data_sets(data_dir, one_hot=True)

# The model: y = softmax(xW + b)
x = tf.placeholder(tf.float32, [None, 784])
W = tf.Variable(tf.zeros([784, 10]))
b = tf.Variable(tf.zeros([10]))
y = tf.nn.softmax(tf.matmul(x, W) + b)

# What it should have said, and how far it is from that
y_ = tf.placeholder(tf.float32, [None, 10])
cross_entropy = -tf.reduce_mean(
    tf.reduce_sum(y_ * tf.log(tf.clip_by_value(y, 1e-10, 1.0)), axis=1)
)
train_step = tf.train.GradientDescentOptimizer(0.5).minimize(cross_entropy)

correct_prediction = tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1))
accuracy = tf.reduce_mean(tf.cast(correct_prediction, tf.float32))

sess = tf.InteractiveSession()
tf.global_variables_initializer().run()
for _ in range(1000):
    batch_xs, batch_ys = mnist.train.next_batch(100)
    sess.run(train_step, feed_dict={x: batch_xs, y_: batch_ys})

test_feed = {x: mnist.test.images, y_: mnist.test.labels}
print('Accuracy:', sess.run(accuracy, feed_dict=test_feed))

"""An autoencoder that squeezes each digit into 64 numbers and draws it again."""

import sys

import tensorflow.compat.v1 as tf

import input_data

tf.disable_v2_behavior()

data_dir = sys.argv[1] if len(sys.argv) > 1 else 'MNIST_data/'
mnist = input_data.read_data_sets(data_dir)  # the labels are not used

n_input, n_hidden_1, n_hidden_2 = 784, 128, 64


def dense(inputs, n_in, n_out, activation=tf.nn.relu):
    W = tf.get_variable('W', [n_in, n_out])
    b = tf.get_variable('b', [n_out], initializer=tf.zeros_initializer())
    return activation(tf.matmul(inputs, W) + b)


X = tf.placeholder(tf.float32, [None, n_input])
with tf.variable_scope('encoder_1'):
    h = dense(X, n_input, n_hidden_1)
with tf.variable_scope('encoder_2'):
    code = dense(h, n_hidden_1, n_hidden_2)
with tf.variable_scope('decoder_1'):
    h = dense(code, n_hidden_2, n_hidden_1)
with tf.variable_scope('decoder_2'):
    y_pred = dense(h, n_hidden_1, n_input, tf.nn.sigmoid)

cost = tf.reduce_mean(tf.pow(X - y_pred, 2))
optimizer = tf.train.AdamOptimizer(0.003).minimize(cost)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for step in range(1, 401):
        batch_x, _ = mnist.train.next_batch(256)
        _, loss = sess.run([optimizer, cost], feed_dict={X: batch_x})
        if step % 100 == 0:
            print('Step %i: Minibatch Loss: %f' % (step, loss))
    print('Mean error:', sess.run(cost, feed_dict={X: mnist.test.images}))

"""A perceptron with two hidden layers, trained with Adam for some epochs."""

import sys

import tensorflow.compat.v1 as tf

import input_data

tf.disable_v2_behavior()

mnist = input_data.read_data_sets(
    sys.argv[1] if len(sys.argv) > 1 else 'MNIST_data/', one_hot=True
)

learning_rate = 0.001
training_epochs = 15
batch_size = 100
sizes = [784, 256, 256, 10]

X = tf.placeholder('float', [None, sizes[0]])
Y = tf.placeholder('float', [None, sizes[-1]])

layer = X
for n, (n_in, n_out) in enumerate(zip(sizes, sizes[1:])):
    weights = tf.Variable(tf.random_normal([n_in, n_out], stddev=0.05))
    biases = tf.Variable(tf.zeros([n_out]))
    layer = tf.add(tf.matmul(layer, weights), biases)
    if n < len(sizes) - 2:
        layer = tf.nn.relu(layer)

cost = tf.reduce_mean(
    tf.nn.softmax_cross_entropy_with_logits_v2(logits=layer, labels=Y)
)
optimizer = tf.train.AdamOptimizer(learning_rate).minimize(cost)
correct = tf.equal(tf.argmax(layer, 1), tf.argmax(Y, 1))
accuracy = tf.reduce_mean(tf.cast(correct, 'float'))

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    total_batch = int(mnist.train.num_examples / batch_size)
    for epoch in range(training_epochs):
        avg_cost = 0.0
        for _ in range(total_batch):
            batch_x, batch_y = mnist.train.next_batch(batch_size)
            _, c = sess.run([optimizer, cost], feed_dict={X: batch_x, Y: batch_y})
            avg_cost += c / total_batch
        print('Epoch: %04d cost=%.9f' % (epoch + 1, avg_cost))
    print('Accuracy:', accuracy.eval({X: mnist.test.images, Y: mnist.test.labels}))

"""Builds the graph of a fully connected network that reads MNIST digits.

It follows the four stages of "TensorFlow Mechanics 101":

1. inference() builds the network forward, from images to logits.
2. loss() adds the ops that say how far the logits are from the labels.
3. training() adds the ops that compute and apply gradients.
4. evaluation() adds the op that counts the right predictions.

This file holds the graph only; fully_connected_feed.py runs it.
"""

import math

import tensorflow.compat.v1 as tf

# Graphs, sessions and reference variables as in TensorFlow 1.x. Nearly every call from
# then warns that it is deprecated; so only errors are shown.
tf.logging.set_verbosity(tf.logging.ERROR)
tf.disable_v2_behavior()

NUM_CLASSES = 10  # the digits 0 to 9
IMAGE_SIZE = 28  # pixels a side
IMAGE_PIXELS = IMAGE_SIZE * IMAGE_SIZE


def inference(images, hidden1_units, hidden2_units):
    """Builds the network up to its predictions (the page's section "Inference").

    The weights of each layer start as a normal distribution around 0 with a standard
    deviation of 1/sqrt(inputs), cut off at two of them; the biases start at zero.

    Args:
        images: float32 tensor [batch_size, IMAGE_PIXELS], from input_data's batches.
        hidden1_units: int, size of the first hidden layer.
        hidden2_units: int, size of the second hidden layer.

    Returns:
        logits, float32 tensor [batch_size, NUM_CLASSES].
    """
    with tf.name_scope('hidden1'):
        weights = tf.Variable(
            tf.truncated_normal(
                [IMAGE_PIXELS, hidden1_units], stddev=1.0 / math.sqrt(IMAGE_PIXELS)
            ),
            name='weights',
        )
        biases = tf.Variable(tf.zeros([hidden1_units]), name='biases')
        hidden1 = tf.nn.relu(tf.matmul(images, weights) + biases)
    with tf.name_scope('hidden2'):
        weights = tf.Variable(
            tf.truncated_normal(
                [hidden1_units, hidden2_units], stddev=1.0 / math.sqrt(hidden1_units)
            ),
            name='weights',
        )
        biases = tf.Variable(tf.zeros([hidden2_units]), name='biases')
        hidden2 = tf.nn.relu(tf.matmul(hidden1, weights) + biases)
    with tf.name_scope('softmax_linear'):
        weights = tf.Variable(
            tf.truncated_normal(
                [hidden2_units, NUM_CLASSES], stddev=1.0 / math.sqrt(hidden2_units)
            ),
            name='weights',
        )
        biases = tf.Variable(tf.zeros([NUM_CLASSES]), name='biases')
        logits = tf.matmul(hidden2, weights) + biases
    return logits


def loss(logits, labels):
    """Adds the mean cross-entropy of the batch (the page's section "Loss").

    Args:
        logits: float32 tensor [batch_size, NUM_CLASSES], from inference().
        labels: int32 or int64 tensor [batch_size], from 0 to NUM_CLASSES - 1.

    Returns:
        loss, float32 scalar tensor, in nats.
    """
    labels = tf.cast(labels, tf.int64, name='ToInt64')  # the page's tf.to_int64(labels)
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=labels, logits=logits, name='xentropy'
    )
    loss = tf.reduce_mean(cross_entropy, name='xentropy_mean')
    return loss


def training(loss, learning_rate):
    """Adds a summary of the loss and one step of gradient descent ("Training").

    Args:
        loss: float32 scalar tensor, from loss().
        learning_rate: float, the step size of gradient descent.

    Returns:
        train_op, the op that updates all trainable variables and adds 1 to the int32
            variable global_step.
    """
    tf.summary.scalar('loss', loss)
    optimizer = tf.train.GradientDescentOptimizer(learning_rate)
    global_step = tf.Variable(0, name='global_step', trainable=False)
    train_op = optimizer.minimize(loss, global_step=global_step)
    return train_op


def evaluation(logits, labels):
    """Adds the count of right predictions (the page's "Build the Eval Graph").

    Args:
        logits: float32 tensor [batch_size, NUM_CLASSES], from inference().
        labels: int32 or int64 tensor [batch_size]. A label outside 0 to
            NUM_CLASSES - 1 matches no prediction.

    Returns:
        int32 scalar tensor, for how many examples the largest logit is the label's.
    """
    eval_correct = tf.nn.in_top_k(logits, labels, 1)
    return tf.reduce_sum(tf.cast(eval_correct, tf.int32))

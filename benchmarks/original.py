"""The tutorial with its habits of TensorFlow 1.x, which the benchmark compares with.

Images are kept as float32, every epoch shuffles the whole array, the session takes no
options, and an evaluation draws from next_batch(). Only the graph is mnist.py's.
"""

import gzip
import os
import sys

import numpy as np
import tensorflow.compat.v1 as tf

import mnist

BATCH_SIZE = 100
SESSION_CONFIG = None


class DataSet(object):
    """Examples as float32 in 0..1, moved about in memory by every shuffle."""

    def __init__(self, images, labels):
        pixels = images.reshape(len(images), -1).astype(np.float32)
        self.images, self.labels = np.multiply(pixels, 1.0 / 255.0), labels
        self.num_examples = len(images)
        self.position = self.epochs = 0

    def shuffle(self):
        order = np.arange(self.num_examples)
        np.random.shuffle(order)
        self.images, self.labels = self.images[order], self.labels[order]

    def next_batch(self, batch_size):
        """Returns images, float32 [batch_size, 784], and labels, uint8 [batch_size]."""
        start, stop = self.position, self.position + batch_size
        if start == 0 and self.epochs == 0:
            self.shuffle()
        if stop <= self.num_examples:
            self.position = stop
            return self.images[start:stop], self.labels[start:stop]
        images, labels = self.images[start:], self.labels[start:]
        self.epochs += 1
        self.shuffle()
        stop = self.position = stop - self.num_examples
        images = np.concatenate([images, self.images[:stop]])
        return images, np.concatenate([labels, self.labels[:stop]])


def read_idx(path):
    """Returns what a gzip'ed IDX file of bytes holds, uint8 of the shape it names."""
    with gzip.open(path) as f:
        dimensions = f.read(4)[3]
        shape = np.frombuffer(f.read(4 * dimensions), '>u4')
        return np.frombuffer(f.read(), np.uint8).reshape(shape)


def read_data_sets(folder, validation=5000):
    """Returns the DataSets for training, validation and testing."""
    images, labels, test_images, test_labels = [
        read_idx(os.path.join(folder, '%s-%s-ubyte.gz' % (which, kind)))
        for which in ('train', 't10k')
        for kind in ('images-idx3', 'labels-idx1')
    ]
    return (
        DataSet(images[validation:], labels[validation:]),
        DataSet(images[:validation], labels[:validation]),
        DataSet(test_images, test_labels),
    )


def fill_feed_dict(data_set, images_pl, labels_pl):
    images, labels = data_set.next_batch(BATCH_SIZE)
    return {images_pl: images, labels_pl: labels}


def evaluate(sess, eval_correct, images_pl, labels_pl, data_sets):
    """Prints how many examples of each data set the model gets right."""
    for data_set in data_sets:
        true_count = 0
        steps = data_set.num_examples // BATCH_SIZE
        for _ in range(steps):
            feed_dict = fill_feed_dict(data_set, images_pl, labels_pl)
            true_count += sess.run(eval_correct, feed_dict=feed_dict)
        print('%d of %d are right' % (true_count, steps * BATCH_SIZE))


def main(input_data_dir, log_dir):
    """Trains for 2,000 steps, with summaries, checkpoints and evaluations."""
    data_sets = read_data_sets(input_data_dir)
    images_pl = tf.placeholder(tf.float32, (BATCH_SIZE, mnist.IMAGE_PIXELS))
    labels_pl = tf.placeholder(tf.int32, (BATCH_SIZE))
    logits = mnist.inference(images_pl, 128, 32)
    loss = mnist.loss(logits, labels_pl)
    train_op = mnist.training(loss, 0.01)
    eval_correct = mnist.evaluation(logits, labels_pl)
    summary = tf.summary.merge_all()
    saver = tf.train.Saver()
    sess = tf.Session(config=SESSION_CONFIG)
    writer = tf.summary.FileWriter(log_dir, sess.graph)
    sess.run(tf.global_variables_initializer())
    for step in range(2000):
        feed_dict = fill_feed_dict(data_sets[0], images_pl, labels_pl)
        _, loss_value = sess.run([train_op, loss], feed_dict=feed_dict)
        if step % 100 == 0:
            print('Step %d: loss = %.2f' % (step, loss_value))
            writer.add_summary(sess.run(summary, feed_dict=feed_dict), step)
            writer.flush()
        if (step + 1) % 1000 == 0:
            saver.save(sess, os.path.join(log_dir, 'model.ckpt'), global_step=step)
            evaluate(sess, eval_correct, images_pl, labels_pl, data_sets)


if __name__ == '__main__':
    main(*sys.argv[1:])

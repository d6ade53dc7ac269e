"""The graph of mnist.py against recorded graphs, the page's lines, and the numbers of
TensorFlow 1.3.
"""

import json
import os
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import fully_connected_feed
import input_data
import mnist
from helpers import ROOT, read
from idx_files import MNIST_DIR

TF_VERSION = tuple(int(number) for number in tf.__version__.split('.')[:2])


@pytest.fixture(scope='module')
def model():
    """The tutorial's graph and a session."""
    with tf.Graph().as_default() as graph:
        tf.set_random_seed(1)
        images, labels = fully_connected_feed.placeholder_inputs(100)
        logits = mnist.inference(images, 128, 32)
        loss = mnist.loss(logits, labels)
        train_op = mnist.training(loss, 0.01)
        correct = mnist.evaluation(logits, labels)
        summary = tf.summary.merge_all()
        built = nodes(graph), graph.as_graph_def()
        init = tf.global_variables_initializer()
        tf.train.Saver()
        trainable = {v.op.name: v for v in tf.trainable_variables()}
        with tf.Session() as sess:
            sess.run(init)
            yield types.SimpleNamespace(**locals())


def nodes(graph):
    return [
        {'name': node.name, 'op': node.op, 'input': list(node.input)}
        for node in graph.as_graph_def().node
    ]


def test_graph_is_node_for_node_what_the_original_builds(model):
    # docs/faithful.md counts without the initializer and the saver.
    count = len(model.built[0])
    if (2, 2) <= TF_VERSION < (2, 15):  # no graph is recorded; the page's is below
        assert count == 136
        return
    assert count == (130 if TF_VERSION >= (2, 15) else 137)
    recorded = 'graph-2.21.json' if count == 130 else 'graph-1.15.json'
    assert nodes(model.graph) == json.loads(read(ROOT, 'tests', 'data', recorded))


def test_graph_has_the_attributes_that_the_lines_of_the_page_give(model):
    """The page's own lines, with tf.to_int64, make the same GraphDef."""
    with tf.Graph().as_default() as graph:
        tf.set_random_seed(1)
        outputs = tf.placeholder(tf.float32, (100, 784))
        labels = labels_placeholder = tf.placeholder(tf.int32, (100))
        units = [784, 128, 32, 10]
        for layer, scope in enumerate(['hidden1', 'hidden2', 'softmax_linear']):
            with tf.name_scope(scope):
                shape, stddev = units[layer : layer + 2], 1.0 / np.sqrt(units[layer])
                initial = tf.truncated_normal(shape, stddev=stddev)
                weights = tf.Variable(initial, name='weights')
                biases = tf.Variable(tf.zeros([units[layer + 1]]), name='biases')
                logits = tf.matmul(outputs, weights) + biases
                if scope != 'softmax_linear':
                    outputs = tf.nn.relu(logits)
        labels = tf.to_int64(labels)
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=labels, logits=logits, name='xentropy'
        )
        loss = tf.reduce_mean(cross_entropy, name='xentropy_mean')
        tf.summary.scalar('loss', loss)
        optimizer = tf.train.GradientDescentOptimizer(0.01)
        global_step = tf.Variable(0, name='global_step', trainable=False)
        optimizer.minimize(loss, global_step=global_step)
        correct = tf.nn.in_top_k(logits, labels_placeholder, 1)
        tf.reduce_sum(tf.cast(correct, tf.int32))
        tf.summary.merge_all()

    built, graph_def = model.built
    assert built == nodes(graph)
    for node, expected in zip(graph_def.node, graph.as_graph_def().node):
        assert node == expected


def test_evaluation_counts_the_right_predictions(model):
    images = np.random.RandomState(0).rand(100, mnist.IMAGE_PIXELS)
    logits = model.sess.run(model.logits, {model.images: images})
    predictions = logits.argmax(axis=1)
    # A label out of range matches no prediction.
    for wrong in (predictions + 1) % 10, -1, mnist.NUM_CLASSES:
        labels = np.where(np.arange(100) < 37, predictions, wrong)
        feed_dict = {model.images: images, model.labels: labels}
        assert model.sess.run(model.correct, feed_dict) == 37


def test_loss_curve_is_that_of_tensorflow_1_3(model):
    recorded = np.load(os.path.join(ROOT, 'tests', 'data', 'training.npz'))
    for name, variable in model.trainable.items():
        variable.load(recorded['initial/' + name], model.sess)
    train = input_data.read_data_sets(MNIST_DIR, seed=7).train
    curve = []
    for _ in range(2000):
        feed_dict = dict(zip([model.images, model.labels], train.next_batch(100)))
        curve.append(model.sess.run([model.train_op, model.loss], feed_dict)[1])
    assert np.abs(curve - recorded['loss']).max() < 0.001

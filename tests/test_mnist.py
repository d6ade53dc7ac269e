"""The graph of mnist.py, against the original's, against NumPy, and against numbers
that TensorFlow 1.3 gave.
"""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import input_data
import mnist

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data')
TF_VERSION = tuple(int(number) for number in tf.__version__.split('.')[:2])


class Model(object):
    """The tutorial's graph with a session."""

    def __init__(self, batch_size=100, hidden1=128, hidden2=32, learning_rate=0.01):
        self.graph = tf.Graph()
        with self.graph.as_default():
            tf.set_random_seed(1)
            self.images = tf.placeholder(tf.float32, (batch_size, mnist.IMAGE_PIXELS))
            self.labels = tf.placeholder(tf.int32, (batch_size))
            self.logits = mnist.inference(self.images, hidden1, hidden2)
            self.loss = mnist.loss(self.logits, self.labels)
            self.train_op = mnist.training(self.loss, learning_rate)
            self.eval_correct = mnist.evaluation(self.logits, self.labels)
            self.trainable = tf.trainable_variables()
            self.init = tf.global_variables_initializer()
            self.saver = tf.train.Saver()
        self.sess = tf.Session(graph=self.graph)
        self.sess.run(self.init)

    def run(self, fetches, images, labels):
        return self.sess.run(fetches, {self.images: images, self.labels: labels})

    def weights(self):
        """The values of the trainable variables, a dict from their names."""
        values = self.sess.run(self.trainable)
        return {v.op.name: value for v, value in zip(self.trainable, values)}


@pytest.fixture
def model():
    return Model(batch_size=20, hidden1=16, hidden2=8)


@pytest.fixture
def batch():
    rng = np.random.RandomState(0)
    images = rng.rand(20, mnist.IMAGE_PIXELS).astype(np.float32)
    return images, rng.randint(0, 10, 20).astype(np.int32)


def forward(weights, images):
    """The network in NumPy: the input of each layer, and the logits."""
    layers = [images.astype(np.float64)]
    for scope in ('hidden1', 'hidden2'):
        z = layers[-1] @ weights[scope + '/weights'] + weights[scope + '/biases']
        layers.append(np.maximum(z, 0))
    scope = 'softmax_linear'
    logits = layers[-1] @ weights[scope + '/weights'] + weights[scope + '/biases']
    return layers, logits


def loss_and_gradients(weights, images, labels):
    """The mean cross-entropy and its gradients in NumPy."""
    layers, logits = forward(weights, images)
    softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    rows = np.arange(len(labels))
    loss = -np.log(softmax[rows, labels]).mean()
    delta = softmax
    delta[rows, labels] -= 1
    delta /= len(labels)
    gradients = {}
    for scope, layer in zip(('softmax_linear', 'hidden2', 'hidden1'), layers[::-1]):
        gradients[scope + '/weights'] = layer.T @ delta
        gradients[scope + '/biases'] = delta.sum(axis=0)
        delta = (delta @ weights[scope + '/weights'].T) * (layer > 0)
    return loss, gradients


def built_graph():
    """The graph of mnist.py with the sizes that the numbers were recorded with."""
    with tf.Graph().as_default() as graph:
        images = tf.placeholder(tf.float32, (100, mnist.IMAGE_PIXELS))
        labels = tf.placeholder(tf.int32, (100))
        logits = mnist.inference(images, 128, 32)
        mnist.training(mnist.loss(logits, labels), 0.01)
        mnist.evaluation(logits, labels)
    return graph


def nodes(graph):
    return [
        {'name': node.name, 'op': node.op, 'input': list(node.input)}
        for node in graph.as_graph_def().node
    ]


def test_graph_is_node_for_node_what_the_original_builds():
    with built_graph().as_default() as graph:
        tf.summary.merge_all()
        count = len(nodes(graph))
        tf.global_variables_initializer()
        tf.train.Saver()
    if (2, 2) <= TF_VERSION < (2, 15):  # no graph is recorded; the page's is below
        assert count == 136
        return
    assert count == (130 if TF_VERSION >= (2, 15) else 137)
    recorded = 'graph-2.21.json' if count == 130 else 'graph-1.15.json'
    with open(os.path.join(DATA, recorded)) as f:
        assert nodes(graph) == json.load(f)


def test_graph_has_the_attributes_that_the_lines_of_the_page_give():
    """The page's own lines, with tf.to_int64, make the same GraphDef."""
    with tf.Graph().as_default() as quoted:
        images = tf.placeholder(tf.float32, (100, 784))
        labels = labels_placeholder = tf.placeholder(tf.int32, (100))
        units = [784, 128, 32, 10]
        outputs = images
        for layer, scope in enumerate(['hidden1', 'hidden2', 'softmax_linear']):
            with tf.name_scope(scope):
                weights = tf.Variable(
                    tf.truncated_normal(
                        units[layer : layer + 2], stddev=1.0 / np.sqrt(units[layer])
                    ),
                    name='weights',
                )
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

    built = built_graph()
    assert nodes(built) == nodes(quoted)
    for node, expected in zip(built.as_graph_def().node, quoted.as_graph_def().node):
        assert node == expected


def test_shapes_and_dtypes(model):
    assert model.logits.shape.as_list() == [20, 10]
    assert model.logits.dtype == model.loss.dtype == tf.float32
    assert model.loss.shape.as_list() == model.eval_correct.shape.as_list() == []
    assert model.eval_correct.dtype == tf.int32
    assert [(v.op.name, v.shape.as_list()) for v in model.trainable] == [
        ('hidden1/weights', [784, 16]),
        ('hidden1/biases', [16]),
        ('hidden2/weights', [16, 8]),
        ('hidden2/biases', [8]),
        ('softmax_linear/weights', [8, 10]),
        ('softmax_linear/biases', [10]),
    ]


@pytest.mark.parametrize('scope, fan_in', [('hidden1', 784), ('hidden2', 128)])
def test_weights_start_as_a_truncated_normal_and_biases_as_zeros(scope, fan_in):
    initial = Model().weights()
    weights, biases = initial[scope + '/weights'], initial[scope + '/biases']
    stddev = 1 / np.sqrt(fan_in)
    assert np.abs(weights).max() <= 2 * stddev
    # Cutting at two standard deviations leaves 0.88 of the standard deviation.
    assert weights.std() == pytest.approx(0.88 * stddev, rel=0.03)
    assert abs(weights.mean()) < 0.05 * stddev
    assert not biases.any()


def test_logits_are_those_of_numpy(model, batch):
    logits = model.run(model.logits, *batch)
    np.testing.assert_allclose(
        logits, forward(model.weights(), batch[0])[1], rtol=1e-4, atol=1e-5
    )


def test_loss_is_the_mean_cross_entropy(model, batch):
    expected, _ = loss_and_gradients(model.weights(), *batch)
    assert model.run(model.loss, *batch) == pytest.approx(expected, rel=1e-5)


def test_a_step_moves_each_variable_down_its_gradient(model, batch):
    before = model.weights()
    _, gradients = loss_and_gradients(before, *batch)
    model.run(model.train_op, *batch)
    for name, value in model.weights().items():
        assert np.abs(gradients[name]).max() > 0
        np.testing.assert_allclose(
            value, before[name] - 0.01 * gradients[name], rtol=1e-4, atol=1e-6
        )


def test_a_step_counts_in_global_step(model, batch):
    assert tf.train.global_step(model.sess, 'global_step:0') == 0
    for _ in range(3):
        model.run(model.train_op, *batch)
    step = model.graph.get_tensor_by_name('global_step:0')
    assert step.dtype.base_dtype == tf.int32
    assert model.sess.run(step) == 3


def test_training_writes_a_summary_of_the_loss(model, batch):
    serialized = model.run(model.graph.get_tensor_by_name('loss:0'), *batch)
    (value,) = tf.Summary.FromString(serialized).value
    assert value.tag == 'loss'
    assert value.simple_value == pytest.approx(model.run(model.loss, *batch))


def test_evaluation_counts_the_right_predictions(model, batch):
    images, labels = batch
    predictions = forward(model.weights(), images)[1].argmax(axis=1)
    labels[:7] = predictions[:7]
    expected = (labels == predictions).sum()
    assert expected >= 7
    assert model.run(model.eval_correct, images, labels) == expected


@pytest.mark.parametrize('label', [-1, mnist.NUM_CLASSES])
def test_a_label_out_of_range_matches_no_prediction(model, batch, label):
    assert model.run(model.eval_correct, batch[0], np.full(20, label)) == 0


def test_tensorflow_1_3_checkpoint_gives_its_counts(reference_dir, mnist_dir):
    model = Model()
    model.saver.restore(
        model.sess, os.path.join(reference_dir, 'checkpoint', 'model.ckpt-1999')
    )
    with open(os.path.join(reference_dir, 'evaluation.json')) as f:
        expected = json.load(f)
    for name, data_set in input_data.read_data_sets(mnist_dir)._asdict().items():
        count = sum(
            model.run(model.eval_correct, images, labels)
            for images, labels in data_set.in_order(100)
        )
        assert data_set.num_examples == expected[name]['num_examples']
        assert count == expected[name]['num_correct']


def test_loss_curve_is_that_of_tensorflow_1_3(reference_dir, mnist_dir):
    recorded = np.load(os.path.join(reference_dir, 'training.npz'))
    model = Model()
    for variable in model.trainable:
        variable.load(recorded['initial/' + variable.op.name], model.sess)
    train = input_data.read_data_sets(mnist_dir, seed=7).train
    curve = [
        model.run([model.train_op, model.loss], *train.next_batch(100))[1]
        for _ in range(2000)
    ]
    assert np.abs(curve - recorded['loss']).max() < 0.001

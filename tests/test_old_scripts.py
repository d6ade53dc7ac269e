"""Old TensorFlow 1.x scripts run again once their import lines are changed."""

import os
import re
import subprocess
import sys

import pytest

from helpers import ROOT

SCRIPTS = os.path.join(ROOT, 'tests', 'old_scripts')


def run_script(path, data_dir):
    """Runs a script as a user would; returns what it printed, its end as a number."""
    result = subprocess.run(
        [sys.executable, path, data_dir],
        env=dict(os.environ, PYTHONPATH=ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        timeout=900,  # only a script that hangs takes so long
    )
    assert result.returncode == 0, result.stderr
    number = re.search(r'(?:Accuracy|Mean error): ([\d.]+)\s*$', result.stdout)
    assert number, result.stdout
    return result.stdout, float(number.group(1))


# One in ten is right by chance; each bound is just under what the script reaches.
@pytest.mark.parametrize(
    'name, least',
    [
        ('softmax_regression', 0.93),
        ('multilayer_perceptron', 0.94),
        ('convolutional_net', 0.94),
    ],
)
def test_classifier_learns_the_digits(digits_dir, name, least):
    _, accuracy = run_script(os.path.join(SCRIPTS, name + '.py'), digits_dir)
    assert least < accuracy <= 1


def test_nearest_neighbour_is_found_among_a_batch_of_5000(digits_dir):
    path = os.path.join(SCRIPTS, 'nearest_neighbour.py')
    stdout, accuracy = run_script(path, digits_dir)
    # There are 2,000: the batch is one epoch and, as in TensorFlow 1.x, one more.
    assert 'Done with 4000 training examples' in stdout
    assert 0.87 < accuracy < 1.001  # a sum of 1/200s


def test_autoencoder_draws_the_digits_again(digits_dir):
    _, error = run_script(os.path.join(SCRIPTS, 'autoencoder.py'), digits_dir)
    # Always drawing the mean digit errs by 0.070; blank images would err by 0.
    assert 0.02 < error < 0.045


OLD_SCRIPT = """\
import sys
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data
mnist = input_data.read_data_sets(sys.argv[1], one_hot=True)
x = tf.placeholder(tf.float32, [None, 784])
y_ = tf.placeholder(tf.float32, [None, 10])
y = tf.matmul(x, tf.Variable(tf.zeros([784, 10]))) + tf.Variable(tf.zeros([10]))
loss = tf.nn.softmax_cross_entropy_with_logits_v2(labels=y_, logits=y)
train_step = tf.train.GradientDescentOptimizer(0.5).minimize(tf.reduce_mean(loss))
correct = tf.equal(tf.argmax(y, 1), tf.argmax(y_, 1))
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for _ in range(300):
        xs, ys = mnist.train.next_batch(100)
        sess.run(train_step, {x: xs, y_: ys})
    right = sess.run(correct, {x: mnist.test.images, y_: mnist.test.labels})
print('Accuracy:', right.mean())
"""
CHANGES = {
    'from tensorflow.examples.tutorials.mnist import input_data': 'import input_data',
    'import tensorflow as tf': 'import tensorflow.compat.v1 as tf',
}


def test_changed_import_lines_are_all_that_an_old_script_needs(digits_dir, tmp_path):
    script = OLD_SCRIPT
    for old, new in CHANGES.items():
        assert script.count(old + '\n') == 1
        script = script.replace(old + '\n', new + '\n')
    script = script.replace('as tf\n', 'as tf\ntf.disable_v2_behavior()\n')
    path = str(tmp_path / 'old_script.py')
    with open(path, 'w') as f:
        f.write(script)
    _, accuracy = run_script(path, digits_dir)
    assert accuracy > 0.85

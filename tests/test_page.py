"""The page stays true: the lines that it quotes stand where it says they stand."""

import ast
import io
import os
import tokenize

import pytest

from helpers import ROOT

# The page's lines, as they are, by the function in which they stand.
QUOTED = {
    'mnist.inference': [
        "with tf.name_scope('hidden1'):",
        'hidden1 = tf.nn.relu(tf.matmul(images, weights) + biases)',
        'hidden2 = tf.nn.relu(tf.matmul(hidden1, weights) + biases)',
        'logits = tf.matmul(hidden2, weights) + biases',
    ],
    'mnist.loss': [
        'cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits('
        "labels=labels, logits=logits, name='xentropy')",
        "loss = tf.reduce_mean(cross_entropy, name='xentropy_mean')",
    ],
    'mnist.training': [
        "tf.summary.scalar('loss', loss)",
        'optimizer = tf.train.GradientDescentOptimizer(learning_rate)',
        "global_step = tf.Variable(0, name='global_step', trainable=False)",
        'train_op = optimizer.minimize(loss, global_step=global_step)',
    ],
    'mnist.evaluation': ['eval_correct = tf.nn.in_top_k(logits, labels, 1)'],
    'fully_connected_feed.do_eval': [
        'feed_dict = {images_placeholder: images_feed,'
        ' labels_placeholder: labels_feed,}',
    ],
    'fully_connected_feed.evaluate': [
        "print('Test Data Eval:')",
        'do_eval(sess, eval_correct, images_placeholder, labels_placeholder,'
        ' data_sets.test)',
    ],
    'fully_connected_feed.run_training': [
        'with tf.Graph().as_default():',
        'init = tf.global_variables_initializer()',
        'sess.run(init)',
        'if step % 100 == 0:',
        # but for the last parenthesis, which the page forgets
        "print('Step %d: loss = %.2f (%.3f sec)' % (step, loss_value, duration))",
        'summary = tf.summary.merge_all()',
        'summary_str = sess.run(summary, feed_dict=feed_dict)',
        'summary_writer.add_summary(summary_str, step)',
        'saver = tf.train.Saver()',
        'eval_correct = mnist.evaluation(logits, labels_placeholder)',
    ],
}
# The page's other lines, by function, what stands in their place, and why.
DIFFERENT = [
    (
        'mnist.loss',
        'labels = tf.to_int64(labels)',
        "labels = tf.cast(labels, tf.int64, name='ToInt64')",
        'to_int64 is deprecated',
    ),
    (
        'fully_connected_feed.run_training',
        'data_sets = input_data.read_data_sets(FLAGS.train_dir, FLAGS.fake_data)',
        'data_sets = input_data.read_data_sets('
        'FLAGS.input_data_dir, FLAGS.fake_data, seed=FLAGS.seed)',
        'two directories, and a seed',
    ),
    (
        'fully_connected_feed.run_training',
        'with tf.Session() as sess:',
        'with tf.Session(config=SESSION_CONFIG) as sess, noted_signals(sess):',
        'options that make it faster, and a stop that loses nothing',
    ),
    (
        'fully_connected_feed.run_training',
        'for step in xrange(FLAGS.max_steps):',
        'for step in xrange(start_step, FLAGS.max_steps):',
        'a run can be resumed',
    ),
    (
        'fully_connected_feed.run_training',
        'summary_writer = tf.summary.FileWriter(FLAGS.train_dir, sess.graph)',
        'summary_writer = tf.summary.FileWriter('
        'FLAGS.log_dir, sess.graph, filename_suffix=suffix)',
        'a new run replaces the event files of this program alone',
    ),
    (
        'fully_connected_feed.run_training',
        'saver.save(sess, FLAGS.train_dir, global_step=step)',
        'saver.save(sess, checkpoint_file, global_step=step)',
        'checkpoints have a name of their own in the directory',
    ),
    (
        'fully_connected_feed.restore_newest',
        'saver.restore(sess, FLAGS.train_dir)',
        'saver.restore(sess, paths[-1])',
        'the newest one that is intact',
    ),
]


def read(name):
    with open(os.path.join(ROOT, name)) as f:
        return f.read()


def source_of(function):
    """The lines of a function of mnist.py or fully_connected_feed.py."""
    module, name = function.split('.')
    text = read(module + '.py')
    nodes = ast.parse(text).body
    (start,) = [node.lineno for node in nodes if getattr(node, 'name', '') == name]
    stops = [node.lineno for node in nodes if node.lineno > start]
    stop = stops[0] if stops else None
    return '\n'.join(text.split('\n')[start - 1 : stop and stop - 1])


def tokens(source):
    """The tokens of Python code, but for its layout."""
    layout = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    found = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in layout + (tokenize.COMMENT, tokenize.ENDMARKER)
    ]
    return ' '.join(found).replace(', )', ' )')


@pytest.mark.parametrize(
    'function, line', [(name, line) for name in QUOTED for line in QUOTED[name]]
)
def test_line_of_the_page_stands_in_the_function_that_it_names(function, line):
    assert tokens(line) in tokens(source_of(function))


@pytest.mark.parametrize('function, line, instead, why', DIFFERENT)
def test_line_that_differs_has_another_in_its_place(function, line, instead, why):
    source = tokens(source_of(function))
    assert tokens(instead) in source and tokens(line) not in source

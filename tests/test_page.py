"""The page stays true: the code lines that it quotes stand in the files."""

import io
import os
import tokenize

import pytest

from conftest import ROOT

# What the page quotes, where nothing that the port adds asks for another line.
QUOTED = {
    'mnist.py': [
        "with tf.name_scope('hidden1'):",
        'hidden1 = tf.nn.relu(tf.matmul(images, weights) + biases)',
        'hidden2 = tf.nn.relu(tf.matmul(hidden1, weights) + biases)',
        'logits = tf.matmul(hidden2, weights) + biases',
        'cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits('
        "labels=labels, logits=logits, name='xentropy')",
        "loss = tf.reduce_mean(cross_entropy, name='xentropy_mean')",
        "tf.summary.scalar('loss', loss)",
        'optimizer = tf.train.GradientDescentOptimizer(learning_rate)',
        "global_step = tf.Variable(0, name='global_step', trainable=False)",
        'train_op = optimizer.minimize(loss, global_step=global_step)',
        'eval_correct = tf.nn.in_top_k(logits, labels, 1)',
    ],
    'fully_connected_feed.py': [
        'with tf.Graph().as_default():',
        'init = tf.global_variables_initializer()',
        'sess.run(init)',
        'feed_dict = {images_placeholder: images_feed,'
        ' labels_placeholder: labels_feed,}',
        'if step % 100 == 0:',
        "print('Step %d: loss = %.2f (%.3f sec)' % (step, loss_value, duration))",
        'summary = tf.summary.merge_all()',
        'summary_str = sess.run(summary, feed_dict=feed_dict)',
        'summary_writer.add_summary(summary_str, step)',
        'saver = tf.train.Saver()',
        'saver.save(sess, checkpoint_file, global_step=step)',
        "print('Test Data Eval:')",
        'do_eval(sess, eval_correct, images_placeholder, labels_placeholder,'
        ' data_sets.test)',
        'eval_correct = mnist.evaluation(logits, labels_placeholder)',
    ],
}


def tokens(source):
    """The tokens of Python code, but for its layout."""
    layout = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type not in layout + (tokenize.COMMENT, tokenize.ENDMARKER)
    ]


@pytest.mark.parametrize(
    'name, line', [(name, line) for name in QUOTED for line in QUOTED[name]]
)
def test_the_line_that_the_page_quotes_stands_in_the_file(name, line):
    with open(os.path.join(ROOT, name)) as f:
        code = ' '.join(tokens(f.read())).replace(', )', ' )')
    assert ' '.join(tokens(line)).replace(', )', ' )') in code

"""The page stays true: the lines that it quotes stand where it says they stand."""

import re

import pytest

from helpers import ROOT, read

# The page's lines, as they are, each after the function in which it places them. The
# page forgets a parenthesis in the line that prints the step.
PAGE = """
mnist.inference
    with tf.name_scope('hidden1'):
    hidden1 = tf.nn.relu(tf.matmul(images, weights) + biases)
    hidden2 = tf.nn.relu(tf.matmul(hidden1, weights) + biases)
    logits = tf.matmul(hidden2, weights) + biases
mnist.loss
    labels = tf.to_int64(labels)
    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=labels, logits=logits, name='xentropy')
    loss = tf.reduce_mean(cross_entropy, name='xentropy_mean')
mnist.training
    tf.summary.scalar('loss', loss)
    optimizer = tf.train.GradientDescentOptimizer(learning_rate)
    global_step = tf.Variable(0, name='global_step', trainable=False)
    train_op = optimizer.minimize(loss, global_step=global_step)
mnist.evaluation
    eval_correct = tf.nn.in_top_k(logits, labels, 1)
fully_connected_feed.fill_feed_dict
    feed_dict = {
        images_placeholder: images_feed,
        labels_placeholder: labels_feed,
    }
fully_connected_feed.run_training
    data_sets = input_data.read_data_sets(FLAGS.train_dir, FLAGS.fake_data)
    with tf.Graph().as_default():
    with tf.Session() as sess:
    init = tf.global_variables_initializer()
    sess.run(init)
    for step in xrange(FLAGS.max_steps):
    if step % 100 == 0:
    print('Step %d: loss = %.2f (%.3f sec)' % (step, loss_value, duration)
    summary = tf.summary.merge_all()
    summary_writer = tf.summary.FileWriter(FLAGS.train_dir, sess.graph)
    summary_str = sess.run(summary, feed_dict=feed_dict)
    summary_writer.add_summary(summary_str, step)
    saver = tf.train.Saver()
    saver.save(sess, FLAGS.train_dir, global_step=step)
    eval_correct = mnist.evaluation(logits, labels_placeholder)
fully_connected_feed
    saver.restore(sess, FLAGS.train_dir)
    print('Test Data Eval:')
    do_eval(sess,
        eval_correct,
        images_placeholder,
        labels_placeholder,
        data_sets.test)
"""
# Lines of the page that differ, how what stands in their place begins, and why.
DIFFERENT = """
labels = tf.to_int64(labels)
    labels = tf.cast(labels, tf.int64, name='ToInt64')
    to_int64 is deprecated
images_placeholder: images_feed,
    feed_dict = {images_pl: images_feed, labels_pl: labels_feed
    the names in the code of TensorFlow 1.3
data_sets = input_data.read_data_sets(FLAGS.train_dir, FLAGS.fake_data)
    data_sets = input_data.read_data_sets(FLAGS.input_data_dir, FLAGS.fake_data,
    two directories, and a seed
with tf.Session() as sess:
    with tf.Session(config=
    options that make it faster
for step in xrange(FLAGS.max_steps):
    for step in xrange(start_step, FLAGS.max_steps):
    a run can be resumed
summary_writer = tf.summary.FileWriter(FLAGS.train_dir, sess.graph)
    summary_writer = tf.summary.FileWriter(FLAGS.log_dir, sess.graph,
    a new run replaces the event files of this program alone
saver.save(sess, FLAGS.train_dir, global_step=step)
    saver.save(sess, checkpoint_file, global_step=step)
    checkpoints have a name of their own in the directory
saver.restore(sess, FLAGS.train_dir)
    saver.restore(sess,
    the newest checkpoint that is intact
"""


def squeezed(source):
    """Python code without its layout and comments."""
    return re.sub(r'\s|  #.*', '', source).replace(',)', ')').replace(',}', '}')


def source_of(place):
    """A module, or a function in it."""
    module, _, function = place.partition('.')
    text = read(ROOT, module + '.py')
    if function:
        text = re.search(r'^def %s\(.*?^(?=\S)' % function, text + '.', re.M | re.S)[0]
    return squeezed(text)


def quoted():
    """Yields the function and the text of each line of the page, whole again."""
    place, lines = '', []
    for line in PAGE.strip().split('\n') + ['']:
        if lines and not line.startswith('     ') and line != '    }':
            yield place, '\n'.join(lines)
            lines = []
        if line.startswith('    '):
            lines.append(line[4:])
        else:
            place = line


@pytest.mark.parametrize('place, text', list(quoted()))
def test_line_of_the_page_stands_in_the_function_that_it_names(place, text):
    source = source_of(place)
    different = DIFFERENT.strip().split('\n')
    for line, instead in zip(different[::3], different[1::3]):
        if line in text:
            assert squeezed(text) not in source
            text = instead.strip()
    assert squeezed(text) in source

"""Trains and evaluates the MNIST network of mnist.py, fed through a feed dictionary.

    python fully_connected_feed.py

First come the functions that "TensorFlow Mechanics 101" explains, down to
run_training(). What follows them keeps a run safe: checks, checkpoints, the log
directory, signals. The flags stand last.
"""

import argparse
import contextlib
import gc
import math
import os
import random
import re
import shlex
import signal
import sys
import tempfile
import threading
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')  # read when TensorFlow is imported

import filelock
import numpy as np
import tensorflow.compat.v1 as tf
from six.moves import xrange

import input_data
import mnist

FLAGS = None  # set by console_main() from the command line

# A run leaves event files, checkpoints and these two files in --log_dir.
EVENT_SUFFIX = '.fully_connected_feed'
FLAGS_FILE = 'fully_connected_feed.flags'
LOCK_FILE = 'fully_connected_feed.lock'
# A new run in the same directory replaces these and touches nothing else.
RUN_FILES = re.compile(
    r'checkpoint(\.tmp\w+)?'
    r'|model\.ckpt-\d+\.(index|meta|data-\d{5}-of-\d{5})(\.(tempstate\d|tmp)\w*)?'
    r'|events\.out\.tfevents\..+\.fully_connected_feed'
    r'|fully_connected_feed\.flags(\.tmp)?'
)

# A resumed run has these flags of the run before, unless they are given anew ...
RECORDED_FLAGS = (
    'learning_rate',
    'max_steps',
    'hidden1',
    'hidden2',
    'batch_size',
    'eval_steps',
    'input_data_dir',
    'seed',
)
# ... and these can't be other ones: weights or batches would not fit those before.
FIXED_FLAGS = ('hidden1', 'hidden2', 'batch_size', 'seed', 'fake_data')

# The model is so small that a GPU or more threads cost more than they save: all ops run
# in the thread that calls sess.run().
SESSION_CONFIG = tf.ConfigProto(
    device_count={'GPU': 0},
    inter_op_parallelism_threads=-1,
    intra_op_parallelism_threads=1,
)


def placeholder_inputs(batch_size):
    """Creates the placeholders that batches are fed to ("Inputs and Placeholders").

    Args:
        batch_size: int, part of both shapes.

    Returns:
        images_placeholder, float32 [batch_size, mnist.IMAGE_PIXELS].
        labels_placeholder, int32 [batch_size].
    """
    images_placeholder = tf.placeholder(
        tf.float32, shape=(batch_size, mnist.IMAGE_PIXELS)
    )
    labels_placeholder = tf.placeholder(tf.int32, shape=(batch_size))
    return images_placeholder, labels_placeholder


def fill_feed_dict(data_set, images_pl, labels_pl):
    """Takes the next batch of a data set ("Feed the Graph").

    Args:
        data_set: input_data.DataSet; it moves on by one batch.
        images_pl: the images placeholder, from placeholder_inputs().
        labels_pl: the labels placeholder, from placeholder_inputs().

    Returns:
        dict from placeholders to what to feed them.
    """
    images_feed, labels_feed = data_set.next_batch(FLAGS.batch_size, FLAGS.fake_data)
    feed_dict = {
        images_pl: images_feed,
        labels_pl: labels_feed,
    }
    return feed_dict


def do_eval(sess, eval_correct, images_placeholder, labels_placeholder, data_set):
    """Prints how many examples of a data set the model gets right ("Eval Output").

    Each example is counted once, and next_batch() stays where it is.

    Args:
        sess: tf.Session with the trained weights.
        eval_correct: int32 scalar tensor, from mnist.evaluation().
        images_placeholder: the images placeholder.
        labels_placeholder: the labels placeholder.
        data_set: input_data.DataSet.

    Returns:
        precision, float: the fraction that is right, NaN for an empty data set.
    """
    batch_size = int(labels_placeholder.shape[0])
    true_count = 0
    for images_feed, labels_feed in data_set.in_order(batch_size):
        missing = batch_size - len(labels_feed)
        if missing:  # fill up the last batch with labels that match no prediction
            images_feed = np.pad(images_feed, ((0, missing), (0, 0)), 'constant')
            labels_feed = np.append(labels_feed, [mnist.NUM_CLASSES] * missing)
        feed_dict = {
            images_placeholder: images_feed,
            labels_placeholder: labels_feed,
        }
        true_count += sess.run(eval_correct, feed_dict=feed_dict)
    num_examples = data_set.num_examples
    precision = true_count / num_examples if num_examples else float('nan')
    print(
        '  Num examples: %d  Num correct: %d  Precision @ 1: %0.04f'
        % (num_examples, true_count, precision)
    )
    return precision


def evaluate(sess, eval_correct, images_placeholder, labels_placeholder, data_sets):
    """Evaluates all three data sets ("Evaluate the Model").

    Returns:
        tf.Summary of precision/train, precision/validation and precision/test.
    """
    print('Training Data Eval:')
    train = do_eval(
        sess, eval_correct, images_placeholder, labels_placeholder, data_sets.train
    )
    print('Validation Data Eval:')
    validation = do_eval(
        sess, eval_correct, images_placeholder, labels_placeholder, data_sets.validation
    )
    print('Test Data Eval:')
    test = do_eval(
        sess, eval_correct, images_placeholder, labels_placeholder, data_sets.test
    )
    return tf.Summary(
        value=[
            tf.Summary.Value(tag='precision/train', simple_value=train),
            tf.Summary.Value(tag='precision/validation', simple_value=validation),
            tf.Summary.Value(tag='precision/test', simple_value=test),
        ]
    )


def run_training():
    """Trains the model for FLAGS.max_steps steps ("Train the Model").

    Raises:
        ValueError, OSError, tf.errors.OpError: naming the flag or file at fault.
        SystemExit: with status 130 after Ctrl-C, 143 after SIGTERM.
    """
    data_sets = input_data.read_data_sets(
        FLAGS.input_data_dir, FLAGS.fake_data, seed=FLAGS.seed
    )
    check_data_sets(data_sets)

    with tf.Graph().as_default():
        tf.set_random_seed(FLAGS.seed)
        images_placeholder, labels_placeholder = placeholder_inputs(FLAGS.batch_size)
        logits = mnist.inference(images_placeholder, FLAGS.hidden1, FLAGS.hidden2)
        loss = mnist.loss(logits, labels_placeholder)
        train_op = mnist.training(loss, FLAGS.learning_rate)
        eval_correct = mnist.evaluation(logits, labels_placeholder)
        eval_args = eval_correct, images_placeholder, labels_placeholder, data_sets
        summary = tf.summary.merge_all()
        init = tf.global_variables_initializer()
        saver = tf.train.Saver()

        with tf.Session(config=SESSION_CONFIG) as sess, deferred_signals() as received:
            sess.run(init)
            start_step = restore_newest(sess, saver) if FLAGS.resume else 0
            if start_step >= FLAGS.max_steps:  # nothing left to train
                evaluate(sess, *eval_args)
                return
            data_sets.train.skip(FLAGS.batch_size, start_step)
            prepare_log_dir()
            summary_writer = open_summary_writer(sess.graph, start_step)

            for step in xrange(start_step, FLAGS.max_steps):
                start_time = time.time()
                feed_dict = fill_feed_dict(
                    data_sets.train, images_placeholder, labels_placeholder
                )
                _, loss_value = sess.run([train_op, loss], feed_dict=feed_dict)
                duration = time.time() - start_time
                check_finite(step, loss_value)

                if step % 100 == 0:
                    print(
                        'Step %d: loss = %.2f (%.3f sec)' % (step, loss_value, duration)
                    )
                    summary_str = sess.run(summary, feed_dict=feed_dict)
                    write_summary(summary_writer, summary_str, step)

                if is_due(step) or received:
                    # A checkpoint comes last: its weights are sound, and a run that is
                    # resumed from it finds all that came before it written.
                    check_finite(step + 1, sess.run(loss, feed_dict=feed_dict))
                    if is_due(step):
                        precisions = evaluate(sess, *eval_args)
                        write_summary(summary_writer, precisions, step)
                    save_checkpoint(sess, saver, step)
                    if received:
                        stop(received[0], step)


def check_data_sets(data_sets):
    """Raises a ValueError that names the flag if the model can't be trained on them."""
    image_shape = (mnist.IMAGE_SIZE, mnist.IMAGE_SIZE, 1)
    if data_sets.train.image_shape != image_shape:
        raise ValueError(
            '--input_data_dir %s holds images of %s, but the model takes %s'
            % (FLAGS.input_data_dir, data_sets.train.image_shape, image_shape)
        )
    if FLAGS.batch_size > data_sets.train.num_examples:
        raise ValueError(
            '--batch_size %d is larger than the training set of %d examples'
            % (FLAGS.batch_size, data_sets.train.num_examples)
        )


def is_due(step):
    """Whether an evaluation and a checkpoint come after this step."""
    return (step + 1) % FLAGS.eval_steps == 0 or step + 1 == FLAGS.max_steps


def check_finite(step, loss_value):
    """Raises a ValueError if the loss at this step is NaN or infinite."""
    if not math.isfinite(loss_value):
        raise ValueError(
            'step %d: the loss is %s; try a --learning_rate below %s'
            % (step, loss_value, FLAGS.learning_rate)
        )


@contextlib.contextmanager
def naming_log_dir(what):
    """Turns what TensorFlow raises when it can't write into an OSError of one line."""
    try:
        yield
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise OSError(
            'cannot write %s to %s (%s): is the disk full?'
            % (what, FLAGS.log_dir, type(error).__name__)
        ) from error


def open_summary_writer(graph, start_step):
    """Returns a FileWriter of events from this step on ("Visualize the Status")."""
    # An event file is named for the second; the step keeps runs in one second apart.
    filename_suffix = '.%010d%s' % (start_step, EVENT_SUFFIX)
    with naming_log_dir('events'):
        summary_writer = tf.summary.FileWriter(
            FLAGS.log_dir, graph, filename_suffix=filename_suffix
        )
        # TensorBoard drops what a run before has written for this step and later ones.
        started = tf.SessionLog(status=tf.SessionLog.START)
        summary_writer.add_session_log(started, global_step=start_step)
    return summary_writer


def write_summary(summary_writer, summary_str, step):
    """Writes a summary to the event file at once, so that no kill takes it back."""
    with naming_log_dir('events'):
        summary_writer.add_summary(summary_str, step)
        summary_writer.flush()


def save_checkpoint(sess, saver, step):
    """Writes the weights after this step to the log directory ("Save a Checkpoint")."""
    checkpoint_file = os.path.join(FLAGS.log_dir, 'model.ckpt')
    with naming_log_dir('model.ckpt-%d' % step):
        saver.save(sess, checkpoint_file, global_step=step)


def restore_newest(sess, saver):
    """Restores the newest sound checkpoint of the log directory.

    Returns:
        int, how many steps its weights were trained for; 0, with the weights as they
            were, where there is none.

    Raises:
        ValueError: naming the flags, if the layers of a checkpoint have other sizes.
    """
    index = re.compile(r'model\.ckpt-(\d+)\.index')
    matches = filter(None, map(index.fullmatch, os.listdir(FLAGS.log_dir)))
    steps = sorted(int(match.group(1)) for match in matches)
    paths = [os.path.join(FLAGS.log_dir, 'model.ckpt-%d' % step) for step in steps]
    while paths:
        try:
            saver.restore(sess, paths[-1])
        except tf.errors.InvalidArgumentError as error:
            reader = tf.train.NewCheckpointReader(paths[-1])
            shapes = reader.get_variable_to_shape_map()
            raise ValueError(
                '--hidden1 %d --hidden2 %d contradict %d and %d, the layers of %s'
                % (
                    FLAGS.hidden1,
                    FLAGS.hidden2,
                    shapes['hidden1/biases'][0],
                    shapes['hidden2/biases'][0],
                    paths[-1],
                )
            ) from error
        except (tf.errors.OpError, ValueError) as error:
            damaged = paths.pop()
            tell(
                '%s is damaged (%s); looking for the one before'
                % (damaged, type(error).__name__)
            )
        else:
            saver.recover_last_checkpoints(paths)
            return tf.train.global_step(sess, 'global_step:0')
    if steps and not os.path.exists(os.path.join(FLAGS.log_dir, FLAGS_FILE)):
        raise ValueError(
            '--log_dir %s holds checkpoints, but none of this model' % FLAGS.log_dir
        )
    tell('no checkpoint in %s; starting at step 0' % FLAGS.log_dir)
    return 0


def prepare_log_dir():
    """Removes the files of an earlier run, unless resumed, and records the flags.

    Raises:
        ValueError: if there are files which this run would overwrite and which no
            earlier run has recorded as its own.
    """
    if not FLAGS.resume:
        names = [
            name
            for name in os.listdir(FLAGS.log_dir)
            if RUN_FILES.fullmatch(name)
            and not os.path.isdir(os.path.join(FLAGS.log_dir, name))
        ]
        if names and FLAGS_FILE not in names:
            raise ValueError(
                '--log_dir %s holds %s, and no %s tells whose it is;'
                ' choose another directory, or go on from it with --resume'
                % (FLAGS.log_dir, names[0], FLAGS_FILE)
            )
        for name in sorted(names, key=FLAGS_FILE.__eq__):  # the record goes last
            os.remove(os.path.join(FLAGS.log_dir, name))

    flags = ['--%s=%s\n' % (name, getattr(FLAGS, name)) for name in RECORDED_FLAGS]
    if FLAGS.fake_data:
        flags.append('--fake_data\n')
    path = os.path.join(FLAGS.log_dir, FLAGS_FILE)
    try:
        with open(path + '.tmp', 'w', errors='surrogateescape') as f:
            f.writelines(flags)
        os.replace(path + '.tmp', path)
    except OSError as error:  # a full disk is noticed without the name of the file
        raise OSError('cannot write %s: %s' % (path, error.strerror)) from error


@contextlib.contextmanager
def locked_log_dir():
    """Keeps other runs out of the log directory; a run that is killed lets go of it.

    Raises:
        OSError: naming the directory, if another run writes there or nobody can.
    """
    os.makedirs(FLAGS.log_dir, exist_ok=True)
    try:
        with filelock.FileLock(os.path.join(FLAGS.log_dir, LOCK_FILE), timeout=0):
            yield
    except filelock.Timeout:
        raise OSError(
            '--log_dir %s: another run is writing there' % FLAGS.log_dir
        ) from None


@contextlib.contextmanager
def deferred_signals():
    """Collects Ctrl-C and SIGTERM in a list, so that a step can be finished first.

    A second one of the same kind acts at once.
    """
    received = []

    def receive(signum, frame):
        received.append(signum)
        signal.signal(signum, handlers[signum])

    handlers = {
        signum: signal.signal(signum, receive)
        for signum in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield received
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


def stop(signum, step):
    """Ends a run whose last step is saved, and says how to go on."""
    tell(
        'stopped by %s after step %d; to go on:'
        ' python fully_connected_feed.py --resume --log_dir %s'
        % (signal.Signals(signum).name, step, shlex.quote(FLAGS.log_dir))
    )
    raise SystemExit(128 + signum)


def tell(message):
    """Prints a message as one line on stderr."""
    line = ' '.join(str(message).splitlines())
    print('fully_connected_feed:', line, file=sys.stderr)


class FlagParser(argparse.ArgumentParser):
    """Ends in one line, without the usage, if a flag is wrong."""

    def error(self, message):
        self.exit(2, '%s: %s\n' % (self.prog, message))


def number(kind, accepts, description):
    """Returns an argparse type: a number of this kind that accepts() is true for."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not accepts(value):
            raise argparse.ArgumentTypeError('%r is not %s' % (text, description))
        return value

    return parse


def directory(text):
    """The argparse type of a directory that is there or can still be created."""
    path = os.path.expanduser(text)
    if not path or os.path.exists(path) and not os.path.isdir(path):
        raise argparse.ArgumentTypeError('%r is not a directory' % text)
    return os.path.abspath(path)


def flag_parser(prog='fully_connected_feed'):
    """Returns the parser of the flags, with the defaults of TensorFlow 1.x."""
    root = os.path.join(tempfile.gettempdir(), 'tensorflow', 'mnist')
    rate = number(float, lambda x: 1e-37 < x < 3.4e38, 'a positive float32 number')
    positive = number(int, lambda n: 0 < n < 2**31, 'a positive whole number')
    steps = number(int, lambda n: 0 <= n < 2**31, 'a whole number, 0 or more')
    seed = number(int, lambda n: 0 <= n < 2**32, 'a whole number from 0 to 2**32 - 1')

    parser = FlagParser(
        prog=prog,
        allow_abbrev=False,
        description='Trains and evaluates a fully connected network on MNIST.',
    )
    for name, kind, default, metavar, text in (
        ('learning_rate', rate, 0.01, 'X', 'step size of gradient descent'),
        ('max_steps', steps, 2000, 'N', 'steps to train'),
        ('hidden1', positive, 128, 'N', 'units in the first hidden layer'),
        ('hidden2', positive, 32, 'N', 'units in the second hidden layer'),
        ('batch_size', positive, 100, 'N', 'examples in a batch'),
        (
            'eval_steps',
            positive,
            1000,
            'N',
            'steps from one checkpoint and evaluation to the next',
        ),
        (
            'input_data_dir',
            directory,
            os.path.join(root, 'input_data'),
            'DIR',
            'where the data is, or is downloaded to',
        ),
        (
            'log_dir',
            directory,
            os.path.join(root, 'logs', 'fully_connected_feed'),
            'DIR',
            'where events and checkpoints go',
        ),
        (
            'train_dir',
            directory,
            None,
            'DIR',
            'stands for both directories where they are not given',
        ),
        ('seed', seed, None, 'N', 'fixes the first weights and the batches'),
    ):
        text += ' (default: %(default)s)' if default is not None else ''
        parser.add_argument(
            '--' + name, type=kind, default=default, metavar=metavar, help=text
        )
    parser.add_argument(
        '--fake_data', action='store_true', help='train on made-up data, for unit tests'
    )
    parser.add_argument(
        '--resume',
        action='store_true',
        help='go on from the newest checkpoint in --log_dir with its flags',
    )
    return parser


def parse_flags(argv):
    """Parses and checks the flags; a wrong one ends the program.

    With --resume, the flags that the earlier run has recorded stand before those of the
    command line, which so take their place.

    Args:
        argv: list of str, without the program's name.

    Returns:
        argparse.Namespace.

    Raises:
        SystemExit: with status 2, after one line on stderr.
        OSError: if the recorded flags can't be read.
    """
    parser = flag_parser()
    flags = parser.parse_args(argv)
    given = []
    if flags.train_dir:
        given = [
            '--%s=%s' % (name, flags.train_dir)
            for name in ('input_data_dir', 'log_dir')
        ]
        flags = parser.parse_args(given + argv)
    record = os.path.join(flags.log_dir, FLAGS_FILE)
    if flags.resume and os.path.exists(record):
        with open(record, errors='surrogateescape') as f:
            text = f.read()
        lines = text.splitlines()
        names = {line.split('=')[0] for line in lines}
        if not text.endswith('\n') or not names.issuperset(
            '--' + name for name in RECORDED_FLAGS
        ):
            parser.error('%s is damaged; start anew without --resume' % record)
        recorded = flag_parser(prog=record).parse_args(lines)
        flags = parser.parse_args(given + lines + argv)
        for name in FIXED_FLAGS:
            value, before = getattr(flags, name), getattr(recorded, name)
            if value != before:
                parser.error(
                    '--%s %s contradicts %s, with which the run in %s was started'
                    % (name, value, before, flags.log_dir)
                )
    if flags.seed is None:
        flags.seed = random.SystemRandom().randrange(2**32)
    return flags


def main(_):
    """Runs the training that FLAGS describes; the argument is not used."""
    with locked_log_dir():
        run_training()


def console_main():
    """The command: parses the flags and ends every error in one line on stderr."""
    global FLAGS
    if sys.stdout:  # nobody may want it
        sys.stdout.reconfigure(line_buffering=True)  # a line shows when it is due
    gc.freeze()  # or the exit would look through all that TensorFlow's import has made
    # What goes wrong in the FileWriter's thread is told once, by the thread that waits.
    threading.excepthook = lambda args: None
    tf.logging.set_verbosity(tf.logging.FATAL)
    try:
        FLAGS = parse_flags(sys.argv[1:])
        main(sys.argv)
    except KeyboardInterrupt:
        tell('interrupted')
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except (ValueError, OSError, tf.errors.OpError) as error:
        tell(error)
        sys.exit(1)


if __name__ == '__main__':
    console_main()

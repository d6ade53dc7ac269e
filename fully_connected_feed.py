"""Trains and evaluates the MNIST network of mnist.py, fed through a feed dictionary.

    python fully_connected_feed.py

First come the functions that "TensorFlow Mechanics 101" explains, down to
run_training(). What follows them keeps a run safe: checks, checkpoints, the log
directory, signals. The flags stand last.
"""

import argparse
import builtins
import contextlib
import gc
import json
import math
import os
import random
import re
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time

# TensorFlow reads these when it is imported. oneDNN makes the first runs slower and
# rounds otherwise than TensorFlow 1.3.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
if __name__ == '__main__':
    # TensorFlow then leaves Keras, which is not needed here, unloaded: 0.3 s less.
    os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')

# Python's garbage collector would search TensorFlow's import again and again, and once
# more at the exit: 0.4 s of 2.0.
gc.disable()
try:
    import filelock
    import numpy as np
    import tensorflow.compat.v1 as tf
    from six.moves import xrange

    if __package__:
        from . import input_data, mnist
    else:
        import input_data
        import mnist
except KeyboardInterrupt:
    sys.stderr.write('fully_connected_feed: interrupted\n')
    sys.exit(130)
gc.freeze()
gc.enable()

FLAGS = None  # set by console_main() from the command line
RECEIVED = []  # the signal that asks the run to stop, once there is one

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

# A resumed run takes all flags from the record of the run before, except these; ...
UNRECORDED_FLAGS = ('log_dir', 'train_dir', 'resume')
UNCHECKED = ('fake_data', 'unevaluated')
# ... and these can't change: weights or batches would not fit those before.
FIXED_FLAGS = ('hidden1', 'hidden2', 'batch_size', 'seed', 'fake_data')

# What TensorFlow raises for a damaged checkpoint.
DAMAGE = (
    tf.errors.DataLossError,
    tf.errors.NotFoundError,
    tf.errors.OutOfRangeError,
    ValueError,
)

# The model is so small that a GPU or more threads cost more than they save: all ops run
# in the thread that calls sess.run().
SESSION_CONFIG = tf.ConfigProto(
    device_count={'GPU': 0},
    inter_op_parallelism_threads=-1,
    intra_op_parallelism_threads=1,
)


class Stopped(Exception):
    """An evaluation is given up, since a signal asks the run to stop."""


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
        data_set: input_data.DataSet; it advances by one batch.
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

    Raises:
        Stopped: if a signal asks the run to stop.
    """
    batch_size = int(labels_placeholder.shape[0])
    true_count = 0
    for images_feed, labels_feed in data_set.in_order(batch_size):
        if RECEIVED:
            raise Stopped
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
        ValueError, OSError: naming the flag or file at fault.
        SystemExit: with status 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
    """
    with locked_log_dir(), translated_errors():
        data_sets = input_data.read_data_sets(
            FLAGS.input_data_dir, FLAGS.fake_data, seed=FLAGS.seed
        )
        check_data_sets(data_sets)
        check_layers()

        with tf.Graph().as_default():
            tf.set_random_seed(FLAGS.seed)
            images_placeholder, labels_placeholder = placeholder_inputs(
                FLAGS.batch_size
            )
            logits = mnist.inference(images_placeholder, FLAGS.hidden1, FLAGS.hidden2)
            loss = mnist.loss(logits, labels_placeholder)
            train_op = mnist.training(loss, FLAGS.learning_rate)
            eval_correct = mnist.evaluation(logits, labels_placeholder)
            eval_args = eval_correct, images_placeholder, labels_placeholder, data_sets
            summary = tf.summary.merge_all()
            init = tf.global_variables_initializer()
            saver = tf.train.Saver()

            with tf.Session(config=SESSION_CONFIG) as sess, noted_signals():
                sess.run(init)
                start_step = restore_newest(sess, saver) if FLAGS.resume else 0
                evaluated = FLAGS.unevaluated != start_step - 1
                if start_step >= FLAGS.max_steps and evaluated:
                    with contextlib.suppress(Stopped):
                        evaluate(sess, *eval_args)
                    exit_if_stopped(start_step - 1)
                    return
                data_sets.train.skip(FLAGS.batch_size, start_step)
                prepare_log_dir()
                # Named for the second, and for the step: a notebook may start two runs
                # within one second.
                suffix = '.%010d%s' % (start_step, EVENT_SUFFIX)
                summary_writer = tf.summary.FileWriter(
                    FLAGS.log_dir, sess.graph, filename_suffix=suffix
                )
                # TensorBoard drops what an earlier run wrote for this step and later.
                started = tf.SessionLog(status=tf.SessionLog.START)
                summary_writer.add_session_log(started, global_step=start_step)
                if not evaluated:  # an evaluation that a signal had stopped
                    write_evaluation(summary_writer, start_step - 1, sess, *eval_args)
                    exit_if_stopped(start_step - 1)
                    write_record()

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
                            'Step %d: loss = %.2f (%.3f sec)'
                            % (step, loss_value, duration)
                        )
                        summary_str = sess.run(summary, feed_dict=feed_dict)
                        summary_writer.add_summary(summary_str, step)
                        summary_writer.flush()  # so that the event survives a kill

                    if is_due(step) or RECEIVED:
                        # The checkpoint comes last: its weights are finite, and a run
                        # resumed from it finds all earlier events written.
                        check_finite(step + 1, sess.run(loss, feed_dict=feed_dict))
                        if is_due(step):
                            write_evaluation(summary_writer, step, sess, *eval_args)
                        checkpoint_file = os.path.join(FLAGS.log_dir, 'model.ckpt')
                        saver.save(sess, checkpoint_file, global_step=step)
                        exit_if_stopped(step)
                summary_writer.close()


# The tutorial ends here. What follows keeps a run safe.


def check_data_sets(data_sets):
    """Raises a ValueError that names the flag if the model can't be trained on them."""
    image_shape = (mnist.IMAGE_SIZE, mnist.IMAGE_SIZE, 1)
    if data_sets.train.image_shape != image_shape:
        raise ValueError(
            '--input_data_dir %s holds images of %s, but the model takes %s'
            % (FLAGS.input_data_dir, data_sets.train.image_shape, image_shape)
        )
    largest = max(np.max(data_set.labels, initial=0) for data_set in data_sets)
    if largest >= mnist.NUM_CLASSES:
        raise ValueError(
            '--input_data_dir %s holds the label %d, but the model has %d classes'
            % (FLAGS.input_data_dir, largest, mnist.NUM_CLASSES)
        )
    if FLAGS.batch_size > data_sets.train.num_examples:
        raise ValueError(
            '--batch_size %d is larger than the training set of %d examples'
            % (FLAGS.batch_size, data_sets.train.num_examples)
        )


def check_layers():
    """Raises a ValueError if the weights and their gradients don't fit into memory."""
    pixels, classes = mnist.IMAGE_PIXELS, mnist.NUM_CLASSES
    weights = pixels * FLAGS.hidden1 + (FLAGS.hidden1 + classes) * FLAGS.hidden2
    if hasattr(os, 'sysconf'):  # not on Windows, where TensorFlow finds out
        memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
        if 2 * 4 * weights > memory:
            raise too_large_for_memory()


def too_large_for_memory():
    return ValueError(
        '--hidden1 %d, --hidden2 %d or --batch_size %d is too large for memory'
        % (FLAGS.hidden1, FLAGS.hidden2, FLAGS.batch_size)
    )


def is_due(step):
    """Whether an evaluation and a checkpoint come after this step."""
    return (step + 1) % FLAGS.eval_steps == 0 or step + 1 == FLAGS.max_steps


def write_evaluation(summary_writer, step, sess, *eval_args):
    """Evaluates and writes the precisions, or records that a signal prevented it."""
    try:
        precisions = evaluate(sess, *eval_args)
    except Stopped:
        write_record(unevaluated=step)
    else:
        summary_writer.add_summary(precisions, step)
        summary_writer.flush()


def check_finite(step, loss_value):
    """Raises a ValueError if the loss at this step is NaN or infinite."""
    if not math.isfinite(loss_value):
        raise ValueError(
            'step %d: the loss is %s; try a --learning_rate below %s'
            % (step, loss_value, FLAGS.learning_rate)
        )


def restore_newest(sess, saver):
    """Restores the newest intact checkpoint of the log directory.

    Returns:
        int, how many steps its weights were trained for; 0, with the weights as they
            were, where there is none.

    Raises:
        ValueError: naming the flags, if the layers of a checkpoint have other sizes.
    """
    steps = checkpoint_steps()
    paths = [os.path.join(FLAGS.log_dir, 'model.ckpt-%d' % step) for step in steps]
    while paths:
        try:
            saver.restore(sess, paths[-1])
        except tf.errors.InvalidArgumentError as error:
            shapes = tf.train.NewCheckpointReader(paths[-1]).get_variable_to_shape_map()
            sizes = shapes['hidden1/biases'] + shapes['hidden2/biases']
            raise ValueError(
                '--hidden1 %d --hidden2 %d contradict %d and %d, the layers of %s'
                % (FLAGS.hidden1, FLAGS.hidden2, sizes[0], sizes[1], paths[-1])
            ) from error
        except DAMAGE as error:
            tell(
                '%s is damaged (%s); looking for the one before'
                % (paths.pop(), type(error).__name__)
            )
        else:
            saver.recover_last_checkpoints(paths)
            start_step = tf.train.global_step(sess, 'global_step:0')
            if start_step > FLAGS.max_steps:
                tell(
                    'nothing left to train: %d steps are done, --max_steps is %d'
                    % (start_step, FLAGS.max_steps)
                )
            return start_step
    if steps:
        run_files()  # which keeps off the checkpoints of another program
    tell('no checkpoint in %s; starting at step 0' % FLAGS.log_dir)
    return 0


def checkpoint_steps():
    """Returns the steps of the checkpoints in the log directory, in order."""
    index = re.compile(r'model\.ckpt-(\d+)\.index')
    matches = filter(None, map(index.fullmatch, os.listdir(FLAGS.log_dir)))
    return sorted(int(match.group(1)) for match in matches)


def run_files():
    """Returns the names in the log directory that a new run would replace.

    Raises:
        ValueError: if they are not those of a run of this program.
    """
    names = [
        name
        for name in os.listdir(FLAGS.log_dir)
        if RUN_FILES.fullmatch(name)
        and not os.path.isdir(os.path.join(FLAGS.log_dir, name))
    ]
    if names and FLAGS_FILE not in names:
        raise ValueError(
            '--log_dir %s holds checkpoints, but none of a run with a %s: %s; choose'
            ' another directory, or --resume if they are of this model'
            % (FLAGS.log_dir, FLAGS_FILE, names[0])
        )
    return names


def prepare_log_dir():
    """Removes the files of an earlier run, unless resumed, and records the flags."""
    if not FLAGS.resume:
        names = run_files()
        steps = checkpoint_steps()
        if steps:
            tell(
                'replacing the run of %d steps in %s; --resume would have gone on'
                % (steps[-1] + 1, FLAGS.log_dir)
            )
        for name in names:
            if name != FLAGS_FILE:  # which tells whose the others are
                os.remove(os.path.join(FLAGS.log_dir, name))
    write_record(FLAGS.unevaluated)


def write_record(unevaluated=None):
    """Records the flags for --resume, and a step whose evaluation was given up."""
    FLAGS.unevaluated = unevaluated
    flags = vars(FLAGS).items()
    record = {name: value for name, value in flags if name not in UNRECORDED_FLAGS}
    path = os.path.join(FLAGS.log_dir, FLAGS_FILE)
    try:
        with open(path + '.tmp', 'w') as f:
            json.dump(record, f, indent=1)
        os.replace(path + '.tmp', path)
    except OSError as error:  # a full disk is noticed without the name of the file
        raise OSError('cannot write %s: %s' % (path, error.strerror)) from error


@contextlib.contextmanager
def translated_errors():
    """Turns what TensorFlow raises about files and memory into one sentence."""
    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:
        if 'OOM when allocating' in str(error):
            raise too_large_for_memory() from error
        full = 'No space left' in str(error)
        raise OSError(
            'cannot write to --log_dir %s (%s)%s'
            % (FLAGS.log_dir, type(error).__name__, ': is the disk full?' * full)
        ) from error


@contextlib.contextmanager
def locked_log_dir():
    """Keeps other runs out of the log directory.

    The lock is released even if the process is killed. A finished run in a directory
    that may only be read is evaluated without it.

    Raises:
        OSError: naming the directory, if another run writes there or nobody can.
    """
    lock = filelock.FileLock(os.path.join(FLAGS.log_dir, LOCK_FILE), timeout=0)
    try:
        os.makedirs(FLAGS.log_dir, exist_ok=True)
        effective = os.access in os.supports_effective_ids
        writable = os.access(FLAGS.log_dir, os.W_OK, effective_ids=effective)
        if writable or not FLAGS.resume:
            lock.acquire()
    except filelock.Timeout:
        raise OSError(
            '--log_dir %s: another run is writing there' % FLAGS.log_dir
        ) from None
    except OSError as error:
        raise OSError(
            '--log_dir %s: %s; choose another directory'
            % (FLAGS.log_dir, error.strerror or error)
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def noted_signals():
    """Notes the first signal to stop in RECEIVED; later ones change nothing.

    Signals that are ignored (nohup), and threads that can't have handlers, stay so.
    """

    def note(signum, frame):
        if not RECEIVED:
            RECEIVED.append(signum)
            if signal.Signals(signum).name == 'SIGHUP':  # printing may fail from now on
                sys.stdout = open(os.devnull, 'w')
            tell('%s: saving the weights' % signal.Signals(signum).name)

    del RECEIVED[:]
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        for name in 'SIGINT', 'SIGTERM', 'SIGHUP':
            signum = getattr(signal, name, None)  # Windows has no SIGHUP
            if signum and signal.getsignal(signum) != signal.SIG_IGN:
                handlers[signum] = signal.signal(signum, note)
    try:
        with signals_kept_off(handlers):
            yield
    finally:
        # A stopped command has nothing left to save: its exit is not disturbed.
        leaving = RECEIVED and not hasattr(builtins, '__IPYTHON__')
        for signum, handler in handlers.items():
            signal.signal(signum, signal.SIG_IGN if leaving else handler)


@contextlib.contextmanager
def signals_kept_off(signals):
    """Has signals interrupt an idle thread, not this one.

    The ops run in this thread, and a signal in the middle of one was seen to corrupt
    memory ("corrupted size vs. prev_size", TensorFlow 2.21).
    """
    if not hasattr(signal, 'pthread_sigmask'):  # Windows, which interrupts no thread
        yield
        return
    end = threading.Event()
    threading.Thread(target=end.wait, daemon=True).start()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        end.set()


def exit_if_stopped(step):
    """Ends a run that a signal asks to stop, and says how to go on."""
    if RECEIVED:
        tell(
            'stopped by %s after step %d; to go on: %s --resume --log_dir %s'
            % (
                signal.Signals(RECEIVED[0]).name,
                step,
                own_command(),
                shlex.quote(FLAGS.log_dir),
            )
        )
        raise SystemExit(128 + RECEIVED[0])


def own_command():
    """Returns the command that starts this program, as its user can type it."""
    if os.path.basename(sys.argv[0]).startswith('fully_connected_feed') and (
        __name__ != '__main__'
    ):
        return shlex.quote(sys.argv[0])  # the installed one
    on_path = shutil.which('python') == sys.executable
    python = 'python' if on_path else shlex.quote(sys.executable)
    if __name__ == '__main__' and __spec__:
        return '%s -m %s' % (python, __spec__.name)
    return '%s %s' % (python, shlex.quote(os.path.relpath(__file__)))


def tell(message):
    """Prints a message as one line on stderr, if anybody is there to read it."""
    with contextlib.suppress(OSError):
        line = ' '.join(str(message).splitlines())
        print('fully_connected_feed:', line, file=sys.stderr)


class FlagParser(argparse.ArgumentParser):
    """Ends in one line, without the usage, if a flag is wrong."""

    def error(self, message):
        self.exit(2, '%s: %s\n' % (self.prog, ' '.join(message.splitlines())))


def number(kind, least, most):
    """Returns an argparse type: a number of this kind from least to most."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            what = 'a whole number' if kind is int else 'a number'
            raise argparse.ArgumentTypeError(
                '%r is not %s from %s to %s' % (text, what, least, most)
            )
        return value

    return parse


def directory(text):
    """The argparse type of a directory that is there or can still be created."""
    path = os.path.abspath(os.path.expanduser(text))
    if not text or os.path.lexists(path) and not os.path.isdir(path):
        what = 'a link that leads nowhere' if os.path.islink(path) else 'no directory'
        raise argparse.ArgumentTypeError('%r is %s' % (text, what))
    return path


def log_directory(text):
    """The argparse type of a directory that TensorFlow can write to."""
    try:
        text.encode('utf-8')
    except UnicodeError:
        raise argparse.ArgumentTypeError(
            '%r is no name in UTF-8, which TensorFlow needs' % text
        ) from None
    return directory(text)


def flag_parser():
    """Returns the parser of the flags, with the defaults of TensorFlow 1.x."""
    root = os.path.join(tempfile.gettempdir(), 'tensorflow', 'mnist')
    data_dir = os.path.join(root, 'input_data')
    log_dir = os.path.join(root, 'logs', 'fully_connected_feed')
    rate, size = number(float, 1e-37, 3.4e38), number(int, 1, 2**31 - 1)
    steps, seed = number(int, 0, 2**31 - 1), number(int, 0, 2**32 - 1)
    parser = FlagParser(
        prog='fully_connected_feed',
        allow_abbrev=False,
        description='Trains and evaluates a fully connected network on MNIST.',
    )
    for name, kind, default, metavar, text in (
        ('learning_rate', rate, 0.01, 'X', 'step size of gradient descent'),
        ('max_steps', steps, 2000, 'N', 'steps to train'),
        ('hidden1', size, 128, 'N', 'units in the first hidden layer'),
        ('hidden2', size, 32, 'N', 'units in the second hidden layer'),
        ('batch_size', size, 100, 'N', 'examples in a batch'),
        ('eval_steps', size, 1000, 'N', 'steps between checkpoints and evaluations'),
        (
            'input_data_dir',
            directory,
            data_dir,
            'DIR',
            'of the data, or to download to',
        ),
        ('log_dir', log_directory, log_dir, 'DIR', 'for events and checkpoints'),
        ('train_dir', directory, None, 'DIR', 'default for both directories'),
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
    parser.set_defaults(unevaluated=None)  # a step whose evaluation was given up
    return parser


def parse_flags(argv):
    """Parses and checks the flags; a wrong one ends the program.

    With --resume, the defaults are the flags that the earlier run has recorded.

    Args:
        argv: list of str, without the program's name.

    Returns:
        argparse.Namespace.

    Raises:
        SystemExit: with status 2, after one line on stderr.
        OSError: if the recorded flags can't be read.
    """
    parser = flag_parser()
    train_dir = parser.parse_args(argv).train_dir
    places = dict(input_data_dir=train_dir, log_dir=train_dir) if train_dir else {}
    parser.set_defaults(**places)
    flags = parser.parse_args(argv)
    record = read_record(parser, flags) if flags.resume else {}
    # Numbers as text, which the parser checks like that of the command line.
    texts = {name: str(record[name]) for name in record if name not in UNCHECKED}
    parser.set_defaults(**dict(record, **dict(texts, **places)))
    flags = parser.parse_args(argv)
    for name in FIXED_FLAGS:
        value = getattr(flags, name)
        if value != record.get(name, value):
            parser.error(
                '--%s %s contradicts %s, with which the run in %s was started'
                % (name, value, record[name], flags.log_dir)
            )
    if flags.seed is None:
        flags.seed = random.SystemRandom().randrange(2**32)
    return flags


def read_record(parser, flags):
    """Returns the flags that a run has recorded, if any, as a dict.

    A damaged record ends the program.
    """
    path = os.path.join(flags.log_dir, FLAGS_FILE)
    if not os.path.exists(path):
        return {}
    try:
        with open(path) as f:
            record = json.load(f)
        if set(record) == set(vars(flags)).difference(UNRECORDED_FLAGS):
            return record
    except (ValueError, TypeError):
        pass
    parser.error(
        '%s is damaged; delete it and give the flags of its run again with --resume,'
        ' which goes on from the checkpoints' % path
    )


def main(_):
    """Runs the training that FLAGS describes; the argument is not used."""
    run_training()


def console_main():
    """The command: parses the flags and ends every error in one line on stderr."""
    global FLAGS
    if hasattr(sys.stdout, 'reconfigure'):  # neither a notebook's nor a closed one
        sys.stdout.reconfigure(line_buffering=True)  # a line shows when it is due
    # What goes wrong in the FileWriter's thread is told once, by the thread that waits.
    threading.excepthook = lambda args: None
    tf.logging.set_verbosity(tf.logging.FATAL)
    try:
        FLAGS = parse_flags(sys.argv[1:])
        main(sys.argv)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one changes nothing
        tell('interrupted')
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as after SIGPIPE
    except (ValueError, OSError, tf.errors.OpError) as error:
        tell(error)
        sys.exit(1)


if __name__ == '__main__':
    console_main()

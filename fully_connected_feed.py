"""Trains and evaluates the MNIST network of mnist.py, fed through a feed dictionary.

    python fully_connected_feed.py

First come the functions that "TensorFlow Mechanics 101" explains, down to
run_training(). What follows them keeps a run safe. The flags stand last.
"""

import argparse
import contextlib
import errno
import gc
import io
import json
import math
import os
import re
import secrets
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
if __name__ == '__main__' and not hasattr(sys, 'ps1'):  # not %run in a notebook
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

FLAGS = None  # set by main() from the command line
RECEIVED = []  # the signal that asks the run to stop, once there is one

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
        KeyboardInterrupt: if a signal asks the run to stop.
    """
    batch_size = int(labels_placeholder.shape[0])
    true_count = 0
    for images_feed, labels_feed in data_set.in_order(batch_size):
        if RECEIVED:
            raise KeyboardInterrupt
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
    summary = tf.Summary()
    summary.value.add(tag='precision/train', simple_value=train)
    summary.value.add(tag='precision/validation', simple_value=validation)
    summary.value.add(tag='precision/test', simple_value=test)
    return summary


def run_training():
    """Trains the model for FLAGS.max_steps steps ("Train the Model").

    Raises:
        ValueError, OSError: naming the flag or file at fault.
        SystemExit: with status 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
    """
    with guarded_log_dir():
        data_sets = input_data.read_data_sets(
            FLAGS.input_data_dir, FLAGS.fake_data, seed=FLAGS.seed
        )
        check_flags(data_sets)
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

            with tf.Session(config=SESSION_CONFIG) as sess, noted_signals(sess):
                sess.run(init)
                start_step = restore_newest(sess, saver) if FLAGS.resume else 0
                evaluated = start_step == 0 or start_step != FLAGS.unevaluated
                if start_step >= FLAGS.max_steps and evaluated:
                    tell(f'nothing left to train: {start_step} steps are done')
                    evaluate(sess, *eval_args)
                    return
                data_sets.train.skip(FLAGS.batch_size, start_step)
                prepare_log_dir()
                # The step keeps two runs apart that a notebook starts in one second.
                suffix = '.%010d.fully_connected_feed' % start_step
                summary_writer = tf.summary.FileWriter(
                    FLAGS.log_dir, sess.graph, filename_suffix=suffix
                )
                # TensorBoard drops what an earlier run wrote for this step and later.
                started = tf.SessionLog(status=tf.SessionLog.START)
                summary_writer.add_session_log(started, global_step=start_step)
                if not evaluated:
                    write_evaluation(summary_writer, start_step - 1, sess, *eval_args)

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
                        summary_writer.flush()  # for TensorBoard to show it at once

                    if is_due(step) or RECEIVED:
                        check_finite(step + 1, sess.run(loss, feed_dict=feed_dict))
                        try:
                            if is_due(step):
                                write_evaluation(summary_writer, step, sess, *eval_args)
                        finally:  # a stop gives up the evaluation, not the weights
                            checkpoint_file = os.path.join(FLAGS.log_dir, 'model.ckpt')
                            saver.save(sess, checkpoint_file, global_step=step)
                        if RECEIVED:
                            raise KeyboardInterrupt
                summary_writer.close()


# The tutorial ends here. What follows keeps a run safe.

FLAGS_FILE = 'fully_connected_feed.flags'  # the record of a run, in its log directory
# A new run in the same directory replaces these and touches nothing else.
RUN_FILES = re.compile(
    r'checkpoint(\.tmp\w+)?|fully_connected_feed\.flags(\.tmp)?'
    r'|model\.ckpt-\d+\.(index|meta|data-\d{5}-of-\d{5})(\.(tempstate\d|tmp)\w*)?'
    r'|events\.out\.tfevents\..+\.fully_connected_feed'
)
UNRECORDED_FLAGS = {'log_dir', 'train_dir', 'resume'}
# A resumed run can't change these: weights or batches would not fit those before.
FIXED_FLAGS = ('hidden1', 'hidden2', 'batch_size', 'seed', 'fake_data')
TOO_LARGE = '--hidden1 or --hidden2 is too large for memory'


def check_flags(data_sets):
    """Raises a ValueError that names a flag if the model can't be trained so."""
    train, holds = data_sets.train, f'--input_data_dir {FLAGS.input_data_dir} holds'
    if train.image_shape != (mnist.IMAGE_SIZE, mnist.IMAGE_SIZE, 1):
        raise ValueError(f'{holds} images not {mnist.IMAGE_SIZE} pixels square')
    largest = max(np.max(data_set.labels, initial=0) for data_set in data_sets)
    if largest >= mnist.NUM_CLASSES:
        raise ValueError(f'{holds} label {largest}, not {mnist.NUM_CLASSES} classes')
    if FLAGS.batch_size > train.num_examples:
        raise ValueError(f'--batch_size is above the {train.num_examples} examples')
    weights = mnist.IMAGE_PIXELS * FLAGS.hidden1
    weights += (FLAGS.hidden1 + mnist.NUM_CLASSES) * FLAGS.hidden2
    if hasattr(os, 'sysconf'):  # not on Windows, where TensorFlow finds out
        memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
        if weights * 8 > memory:  # 4 bytes each, and as many for its gradient
            raise ValueError(TOO_LARGE)


def check_finite(step, loss_value):
    """Raises a ValueError if the loss at this step is NaN or infinite."""
    if not math.isfinite(loss_value):
        raise ValueError(f'step {step}: loss {loss_value}; lower the --learning_rate')


def is_due(step):
    """Whether an evaluation and a checkpoint come after this step."""
    return (step + 1) % FLAGS.eval_steps == 0 or step + 1 == FLAGS.max_steps


def write_evaluation(summary_writer, step, *eval_args):
    """Evaluates and writes the precisions; a stop in between stays on record."""
    write_record(unevaluated=step + 1)
    summary_writer.add_summary(evaluate(*eval_args), step)
    summary_writer.flush()
    write_record(unevaluated=0)


def restore_newest(sess, saver):
    """Restores the newest intact checkpoint; returns its steps, 0 if there is none."""
    paths = [os.path.join(FLAGS.log_dir, f'model.ckpt-{n}') for n in checkpoint_steps()]
    if not paths:
        tell(f'no checkpoint in {FLAGS.log_dir}; starting at step 0')
        return 0
    while paths:
        try:
            saver.restore(sess, paths[-1])
        except tf.errors.InvalidArgumentError as error:
            layers = f'--hidden1 {FLAGS.hidden1} --hidden2 {FLAGS.hidden2}'
            raise ValueError(f'{layers} are not the layers of {paths[-1]}') from error
        except (tf.errors.OpError, ValueError) as error:
            reason = type(error).__name__
            tell(f'{paths.pop()} cannot be restored ({reason}); trying the one before')
        else:
            saver.recover_last_checkpoints(paths)  # to be removed in their turn
            return tf.train.global_step(sess, 'global_step:0')
    raise ValueError(
        f'--log_dir {FLAGS.log_dir} has no checkpoint of this model; choose another'
    )


def checkpoint_steps():
    """Returns the steps of the checkpoints in the log directory, in order."""
    index = re.compile(r'model\.ckpt-(\d+)\.index')
    found = map(index.fullmatch, os.listdir(FLAGS.log_dir))
    return sorted(int(match.group(1)) for match in found if match)


def prepare_log_dir():
    """Removes what an earlier run left, unless it is resumed, and records the flags."""
    if not FLAGS.resume:
        names = set(filter(RUN_FILES.fullmatch, os.listdir(FLAGS.log_dir)))
        if names and FLAGS_FILE not in names:
            raise ValueError(
                f'--log_dir {FLAGS.log_dir} holds {min(names)}, but no {FLAGS_FILE};'
                ' choose another directory, or --resume if it is of this model'
            )
        for step in checkpoint_steps()[-1:]:
            run = f'the run of {step + 1} steps in {FLAGS.log_dir}'
            tell(f'replacing {run}; --resume would have gone on')
        # Indices first, so that a kill leaves whole checkpoints, and never the record.
        names.discard(FLAGS_FILE)
        for name in sorted(names, key=lambda n: not n.endswith('.index')):
            os.remove(os.path.join(FLAGS.log_dir, name))
    write_record(FLAGS.unevaluated)


def write_record(unevaluated):
    """Records the flags for --resume, and the step whose evaluation is not done."""
    FLAGS.unevaluated = unevaluated
    record = {k: v for k, v in vars(FLAGS).items() if k not in UNRECORDED_FLAGS}
    path = os.path.join(FLAGS.log_dir, FLAGS_FILE)
    try:
        with open(path + '.tmp', 'w') as f:
            json.dump(record, f, indent=1)
        os.replace(path + '.tmp', path)
    except OSError as error:
        error.filename = path  # which a full disk does not tell
        raise


@contextlib.contextmanager
def guarded_log_dir():
    """Keeps other runs out of the log directory, and names it where writing fails.

    A finished run in a directory that may only be read is evaluated without the lock.
    """
    where = f'--log_dir {FLAGS.log_dir}'
    lock_file = os.path.join(FLAGS.log_dir, 'fully_connected_feed.lock')
    lock = filelock.FileLock(lock_file, timeout=0)
    try:
        FLAGS.log_dir.encode('utf-8')  # as TensorFlow will
        os.makedirs(FLAGS.log_dir, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise OSError(f'{where}: another run is writing there') from None
    except (OSError, UnicodeError) as error:
        unwritable = getattr(error, 'errno', None) in (errno.EACCES, errno.EROFS)
        if not (FLAGS.resume and unwritable):
            reason = getattr(error, 'strerror', None) or error
            raise OSError(f'{where}: {reason}; choose another directory') from error
    try:
        yield
    except (tf.errors.OpError, RuntimeError) as error:  # TensorFlow's, of many lines
        if 'OOM when allocating' in str(error):
            raise ValueError(TOO_LARGE) from error
        full = 'No space left' in str(error)
        reason = 'is the disk full?' if full else type(error).__name__
        raise OSError(f'{where} cannot be written: {reason}') from error
    finally:
        lock.release()


@contextlib.contextmanager
def noted_signals(sess):
    """Ends the run when a signal asks for it, and says how to go on.

    The first signal is noted in RECEIVED; the loop then saves the weights and raises
    KeyboardInterrupt. Later signals change nothing; ignored ones (nohup) stay ignored.
    """

    def note(signum, frame=None):
        if not RECEIVED:
            RECEIVED.append(signal.Signals(signum))
            tell(f'{RECEIVED[0].name}: saving the weights')

    stops = [s for s in signal.Signals if s.name in ('SIGINT', 'SIGTERM', 'SIGHUP')]
    heeded = [s for s in stops if signal.getsignal(s) != signal.SIG_IGN]
    in_main = threading.current_thread() is threading.main_thread()  # else no handlers
    handlers = {s: signal.signal(s, note) for s in heeded if in_main}
    # The ops run in this thread, and a signal in the middle of one was seen to corrupt
    # memory ("corrupted size vs. prev_size", TensorFlow 2.21). An idle thread takes it.
    end = threading.Event()
    threading.Thread(target=end.wait, daemon=True).start()
    masks = hasattr(signal, 'pthread_sigmask')  # not on Windows
    if masks:
        signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
    try:
        output = sys.stdout and Output(sys.stdout, note)
        with contextlib.redirect_stdout(output), contextlib.suppress(KeyboardInterrupt):
            yield
        if RECEIVED:
            step = tf.train.global_step(sess, 'global_step:0') - 1
            stop = f'stopped by {RECEIVED[0].name} after step {step}'
            tell(f'{stop}; to go on: {own_command()}')
            raise SystemExit(128 + RECEIVED[0])
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, handlers)
        end.set()
        # Nothing disturbs the exit of a stopped command; an interactive Python goes on.
        leaving = RECEIVED and not hasattr(sys, 'ps1')
        for signum, handler in handlers.items():
            signal.signal(signum, signal.SIG_IGN if leaving else handler)
        RECEIVED.clear()


class Output(io.TextIOBase):
    """Standard output, which its reader or terminal may leave."""

    def __init__(self, stream, note):
        self.stream, self.note = stream, note

    def write(self, text):
        try:
            self.stream.write(text)
        except OSError as error:
            silence(self.stream)
            if error.errno == errno.EPIPE:
                self.note(getattr(signal, 'SIGPIPE', signal.SIGTERM))  # not on Windows
            elif error.errno != errno.EIO:  # a terminal that closes sends SIGHUP
                raise


def own_command():
    """Returns the command that resumes this run, as its user can type it."""
    python = 'python' if shutil.which('python') == sys.executable else sys.executable
    if __name__ == '__main__':
        words = [python] + (['-m', __spec__.name] if __spec__ else [sys.argv[0]])
    elif os.path.basename(sys.argv[0]).startswith('fully_connected_feed'):
        words = [sys.argv[0]]  # the installed command
    else:
        words = [python, __file__]
    return ' '.join(map(shlex.quote, words + ['--resume', '--log_dir', FLAGS.log_dir]))


def tell(message):
    """Prints a message as one line on stderr, if anybody is there to read it."""
    try:
        print('fully_connected_feed:', *str(message).splitlines(), file=sys.stderr)
    except OSError:
        silence(sys.stderr)


def silence(stream):
    """Sends a stream nowhere: Python's exit would fail if it could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def number(kind, low, high):
    """Returns an argparse type: a number of this kind from low to high."""

    def parse(text):
        with contextlib.suppress(ValueError):
            if low <= kind(text) <= high:
                return kind(text)
        what = 'whole number' if kind is int else 'number'
        raise argparse.ArgumentTypeError(f'{text!r} is no {what} from {low} to {high}')

    return parse


def directory(text):
    """The argparse type of a directory that is there or can still be created."""
    path = os.path.abspath(os.path.expanduser(text))
    if not text or os.path.lexists(path) and not os.path.isdir(path):
        what = 'a link that leads nowhere' if os.path.islink(path) else 'no directory'
        raise argparse.ArgumentTypeError(f'{text!r} is {what}')
    return path


def flag_parser():
    """Returns the parser of the flags, with the defaults of TensorFlow 1.x."""
    root = os.path.join(tempfile.gettempdir(), 'tensorflow', 'mnist')
    data = os.path.join(root, 'input_data')
    logs = os.path.join(root, 'logs', 'fully_connected_feed')
    rate, size = number(float, 1e-37, 3.4e38), number(int, 1, 2**31 - 1)
    steps, seed = number(int, 0, 2**31 - 1), number(int, 0, 2**32 - 1)
    parser = argparse.ArgumentParser(
        prog='fully_connected_feed',
        usage=argparse.SUPPRESS,  # so that an error is one line
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
        ('input_data_dir', directory, data, 'DIR', 'of the data, or to download to'),
        ('log_dir', directory, logs, 'DIR', 'for events and checkpoints'),
        ('train_dir', directory, None, 'DIR', 'default for both directories'),
        ('seed', seed, None, 'N', 'fixes the first weights and the batches'),
        ('unevaluated', steps, 0, 'N', argparse.SUPPRESS),  # for the record alone
    ):
        if default:
            text += ' (default: %(default)s)'
        parser.add_argument(
            '--' + name, type=kind, default=default, metavar=metavar, help=text
        )
    for name, text in (
        ('fake_data', 'train on made-up data, for unit tests'),
        ('resume', 'go on from the newest checkpoint in --log_dir with its flags'),
    ):
        parser.add_argument('--' + name, action='store_true', help=text)
    return parser


def parse_flags(argv):
    """Parses and checks the flags; --resume adds those that the run has recorded.

    Args:
        argv: list of str, without the program's name.

    Returns:
        argparse.Namespace.

    Raises:
        SystemExit: with status 2, after one line on stderr.
        ValueError, OSError: if the recorded flags are damaged or can't be read.
    """
    parser = flag_parser()
    places, flags = [], parser.parse_args(argv)
    if flags.train_dir:
        places = ['--input_data_dir', flags.train_dir, '--log_dir', flags.train_dir]
        flags = parser.parse_args(places + argv)
    if flags.resume:
        record = read_record(flags.log_dir, vars(flags).keys() - UNRECORDED_FLAGS)
        # As text, a number is checked like that of the command line.
        texts = {name: str(record[name]) for name in record if name != 'fake_data'}
        parser.set_defaults(**dict(record, **texts))
        flags = parser.parse_args(places + argv)
        for name in FIXED_FLAGS:
            value = getattr(flags, name)
            if value != record.get(name, value):
                before = f'{record[name]}, as the run in {flags.log_dir} has it'
                parser.error(f'--{name} {value} contradicts {before}')
    if flags.seed is None:
        flags.seed = secrets.randbelow(2**32)
    return flags


def read_record(log_dir, names):
    """Returns the flags of these names that a run has recorded, or {} without a run."""
    path = os.path.join(log_dir, FLAGS_FILE)
    if not os.path.exists(path):
        return {}
    with contextlib.suppress(ValueError, TypeError), open(path) as f:
        record = json.load(f)
        if set(record) == names:
            return record
    raise ValueError(
        f'{path} is damaged; delete it and give the flags of its run again with'
        ' --resume, which goes on from the checkpoints'
    )


def main(_=None):
    """Runs the command: parses its flags and ends every error in one line on stderr."""
    global FLAGS
    if hasattr(sys.stdout, 'reconfigure'):  # neither a notebook's nor a closed one
        sys.stdout.reconfigure(line_buffering=True)  # a line shows when it is due
    # The FileWriter's thread hands its errors on to this one, which reports them.
    threading.excepthook = lambda args: None
    tf.logging.set_verbosity(tf.logging.FATAL)
    try:
        FLAGS = parse_flags(sys.argv[1:])
        run_training()
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one changes nothing
        tell('interrupted')
        sys.exit(130)
    except (ValueError, OSError, tf.errors.OpError) as error:
        tell(error)
        sys.exit(1)


if __name__ == '__main__':
    main()

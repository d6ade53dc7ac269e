"""Trains and evaluates the MNIST network of mnist.py, fed through a feed dictionary.

    python fully_connected_feed.py

First come the functions that "TensorFlow Mechanics 101" explains, down to
run_training(). What follows them keeps a run safe. The flags stand last.
"""

import gc
import os
import sys

# The start-up. TensorFlow reads these variables when it is imported. oneDNN's ops make
# a start slower and round differently from TensorFlow 1.3's. Keras, which the command
# does not need (but a notebook may), takes 0.3 s. Python's garbage collector would take
# 0.4 s during the imports; freezing what they made saves 0.3 s later.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
if __name__ == '__main__' and not hasattr(sys, 'ps1'):
    os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
gc.disable()
try:
    import argparse
    import contextlib
    import faulthandler
    import functools
    import json
    import re
    import signal
    import tempfile
    import threading
    import time
    import zlib

    import filelock
    import numpy as np
    import tensorflow.compat.v1 as tf
    from six.moves import xrange

    if __package__:
        from . import input_data, mnist
    else:
        import input_data
        import mnist
finally:
    gc.freeze()
    gc.enable()

tf.logging.set_verbosity(tf.logging.FATAL)  # main() reports errors in one line
print = functools.partial(print, flush=True)  # each line shows at once

FLAGS = None  # argparse.Namespace; main() or a program sets it, own_run() completes it

# The model is so small that a GPU or more threads cost more than they save.
SESSION_CONFIG = tf.ConfigProto(device_count={'GPU': 0}, intra_op_parallelism_threads=1)
SESSION_CONFIG.inter_op_parallelism_threads = -1  # ops run in sess.run()'s own thread


def placeholder_inputs(batch_size):
    """Creates the placeholders that batches are fed to ("Inputs and Placeholders").

    Args:
        batch_size: int, part of both shapes; None fits batches of any size.

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
        images_pl, labels_pl: the placeholders, from placeholder_inputs().

    Returns:
        dict from placeholders to what to feed them.
    """
    images_feed, labels_feed = data_set.next_batch(FLAGS.batch_size, FLAGS.fake_data)
    feed_dict = {
        images_pl: images_feed,
        labels_pl: labels_feed,
    }
    return feed_dict


def feed_dicts(data_set, images_placeholder, labels_placeholder):
    """Yields a feed dictionary for each batch of a whole data set, in order."""
    for images_feed, labels_feed in data_set.in_order(FLAGS.batch_size):
        missing = FLAGS.batch_size - len(labels_feed)
        if missing:  # fill up with images whose label matches no prediction
            shape = (FLAGS.batch_size, *np.shape(images_feed)[1:])
            images_feed = np.resize(images_feed, shape)
            labels_feed = np.append(labels_feed, [mnist.NUM_CLASSES] * missing)
        yield {images_placeholder: images_feed, labels_placeholder: labels_feed}


def do_eval(sess, eval_correct, images_placeholder, labels_placeholder, data_set):
    """Prints how many examples of a data set the model gets right ("Eval Output").

    Args:
        sess: tf.Session with the trained weights.
        eval_correct: int32 scalar tensor, from mnist.evaluation().
        images_placeholder, labels_placeholder: from placeholder_inputs().
        data_set: input_data.DataSet; each example is counted once.

    Returns:
        precision, float: the fraction that is right, NaN for an empty data set.
    """
    true_count = 0
    for feed_dict in feed_dicts(data_set, images_placeholder, labels_placeholder):
        true_count += sess.run(eval_correct, feed_dict=feed_dict)
    num_examples = data_set.num_examples
    precision = true_count / num_examples if num_examples else float('nan')
    print(
        '  Num examples: %d  Num correct: %d  Precision @ 1: %0.04f'
        % (num_examples, true_count, precision)
    )
    return precision


def evaluate(sess, eval_correct, images_placeholder, labels_placeholder, data_sets):
    """Evaluates all three data sets ("Evaluate the Model"); returns a tf.Summary."""
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
    for name, precision in ('train', train), ('validation', validation), ('test', test):
        summary.value.add(tag='precision/' + name, simple_value=precision)
    return summary


def run_training():
    """Trains the model for FLAGS.max_steps steps ("Train the Model").

    own_run(), below, completes FLAGS. A ValueError or OSError names what is at fault.
    """
    data_sets = input_data.read_data_sets(
        FLAGS.input_data_dir, FLAGS.fake_data, seed=FLAGS.seed
    )
    checksum = check_data(data_sets)  # so that --resume can tell other data
    with tf.Graph().as_default():
        tf.set_random_seed(FLAGS.seed)
        images_placeholder, labels_placeholder = placeholder_inputs(FLAGS.batch_size)
        logits = mnist.inference(images_placeholder, FLAGS.hidden1, FLAGS.hidden2)
        loss = mnist.loss(logits, labels_placeholder)
        train_op = mnist.training(loss, FLAGS.learning_rate)
        eval_correct = mnist.evaluation(logits, labels_placeholder)
        summary = tf.summary.merge_all()
        init = tf.global_variables_initializer()
        saver = tf.train.Saver()
        placeholders = images_placeholder, labels_placeholder
        with tf.Session(config=SESSION_CONFIG) as sess:
            sess.run(init)
            start_step = restore_newest(sess, saver) if FLAGS.resume else 0
            for _ in xrange(start_step):  # on to the batch that comes next
                data_sets.train.next_batch(FLAGS.batch_size)
            prepare_log_dir(checksum)
            summary_writer = tf.summary.FileWriter(
                FLAGS.log_dir, sess.graph, filename_suffix=EVENTS_SUFFIX % start_step
            )
            # TensorBoard drops what an earlier run wrote for this step and later.
            started = tf.SessionLog(status=tf.SessionLog.START)
            summary_writer.add_session_log(started, global_step=start_step)
            if start_step and is_due(start_step):  # a stop may have cut this short
                precisions = evaluate(sess, eval_correct, *placeholders, data_sets)
                summary_writer.add_summary(precisions, start_step)
                summary_writer.flush()

            for step in xrange(start_step, FLAGS.max_steps):
                start_time = time.time()
                feed_dict = fill_feed_dict(data_sets.train, *placeholders)
                _, loss_value = sess.run([train_op, loss], feed_dict=feed_dict)
                duration = time.time() - start_time
                check_finite(step, loss_value)

                if step % 100 == 0:
                    summary_str = sess.run(summary, feed_dict=feed_dict)
                    summary_writer.add_summary(summary_str, step)
                    summary_writer.flush()  # for TensorBoard to show it at once
                    print(
                        'Step %d: loss = %.2f (%.3f sec)' % (step, loss_value, duration)
                    )
                # Steps count from 0: model.ckpt-999 is what 1000 steps have made.
                if is_due(step + 1):
                    check_finite(step, *sess.run(tf.trainable_variables()))
                    checkpoint_file = os.path.join(FLAGS.log_dir, 'model.ckpt')
                    saver.save(sess, checkpoint_file, global_step=step)
                    precisions = evaluate(sess, eval_correct, *placeholders, data_sets)
                    summary_writer.add_summary(precisions, step + 1)
                    summary_writer.flush()
            summary_writer.close()


# The tutorial ends here. What follows keeps a run safe. However a run ends, --resume
# needs only its record and its newest checkpoint to go on.

FLAGS_FILE = 'fully_connected_feed.flags'  # the record of a run, in its log directory
EVENTS_SUFFIX = '.%010d.fully_connected_feed'  # the step: a second can see two runs
# A new run in the same directory replaces these and touches nothing else.
RUN_FILES = re.compile(
    r'checkpoint(\.tmp\w+)?|fully_connected_feed\.flags'
    r'|model\.ckpt-\d+\.(index|meta|data-\d{5}-of-\d{5})(\.(tempstate\d|tmp)\w*)?'
    r'|events\.out\.tfevents\..+\.fully_connected_feed'
)
# A resumed run can't change these: its weights or batches would no longer fit.
FIXED_FLAGS = ('hidden1', 'hidden2', 'batch_size', 'seed', 'fake_data')


@contextlib.contextmanager
def own_run():
    """Owns the log directory and FLAGS while run_training() runs.

    It takes the lock first and reads the record of an earlier run under it: no other
    run can change what was read. FLAGS gets what it lacks, and is set back at the end.
    """
    global FLAGS
    before = FLAGS
    given = {k: v for k, v in (vars(FLAGS) if FLAGS else {}).items() if v is not None}
    check_limits(given)
    train_dir = given.get('train_dir')
    places = {'input_data_dir': train_dir, 'log_dir': train_dir} if train_dir else {}
    FLAGS = argparse.Namespace(**{**DEFAULTS, **places, **given})
    try:
        move_signals_off_the_stack()
        with locked_log_dir():
            if FLAGS.resume:
                vars(FLAGS).update(recorded_flags(given))
            if FLAGS.seed is None:
                FLAGS.seed = int.from_bytes(os.urandom(4), 'big')
            yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(how_to_go_on()) from None
    finally:
        FLAGS = before


run_training = own_run()(run_training)


@contextlib.contextmanager
def locked_log_dir():
    """Makes the log directory and keeps other runs out of it."""
    where = f'--log_dir {FLAGS.log_dir}'
    for character in '*?[\\\n':
        if character in os.path.abspath(FLAGS.log_dir) and character != os.sep:
            raise ValueError(f'{where}: TensorFlow cannot take {character!r} in a path')
    try:
        FLAGS.log_dir.encode('utf-8')  # as TensorFlow will
        os.makedirs(FLAGS.log_dir, exist_ok=True)
        lock_file = os.path.join(FLAGS.log_dir, 'fully_connected_feed.lock')
        lock = filelock.FileLock(lock_file).acquire(timeout=0)
    except filelock.Timeout:
        raise OSError(f'{where}: another run is writing there') from None
    except (OSError, UnicodeError, NotImplementedError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise OSError(f'{where}: {reason}; give a --train_dir of your own') from error
    with lock:
        yield


def recorded_flags(given):
    """Returns the flags recorded by the run to resume, less those given: a dict.

    A ValueError says if the record is damaged, or if a given flag contradicts it.
    """
    record = read_record()
    if not record and checkpoint_steps():
        tell(f'no {FLAGS_FILE} in {FLAGS.log_dir}; defaults, unless given: {NAMES}')
    for name in FIXED_FLAGS:
        if name in given and given[name] != record.get(name, given[name]):
            used = f'{record[name]} of the run in {FLAGS.log_dir}'
            raise ValueError(f'--{name} {given[name]} contradicts {used}; leave it out')
    record = {k: record[k] for k in RECORDED_FLAGS if k in record and k not in given}
    check_limits(record)
    return record


def read_record():
    """Returns what a run has recorded, a dict; {} if there is no record."""
    path = os.path.join(FLAGS.log_dir, FLAGS_FILE)
    try:
        with open(path) as f:
            return {**json.load(f)}
    except FileNotFoundError:
        return {}
    except (RecursionError, TypeError, ValueError):
        raise ValueError(f'{path} is damaged; move it away, and give {NAMES}') from None


def check_data(data_sets):
    """Returns a checksum of the data sets: of all labels, then of some of the images.

    A ValueError says if they don't fit the model, or the run that is resumed.
    """
    remedy = 'give another --input_data_dir, or change mnist.py'
    pixels = int(np.prod(data_sets.train.image_shape))
    if pixels != mnist.IMAGE_PIXELS:
        raise ValueError(f'the images have {pixels} pixels; {remedy}')
    label = max(np.max(data_set.labels, initial=0) for data_set in data_sets)
    if label >= mnist.NUM_CLASSES:
        raise ValueError(f'one of the labels is {label}; {remedy}')
    if FLAGS.batch_size > data_sets.train.num_examples:
        raise ValueError('--batch_size is above the number of training examples')
    labels = np.concatenate([data_set.labels for data_set in data_sets])
    images = [np.ravel(next(x.in_order(1000), [[]])[0]) for x in data_sets]
    checksum = '%08x%08x' % (zlib.crc32(labels), zlib.crc32(np.concatenate(images)))
    recorded = str(read_record().get('data', '')) if FLAGS.resume else ''
    if not checksum.startswith(recorded):  # version 1.2 recorded the first half
        raise ValueError(f'--input_data_dir: other data than that of {FLAGS.log_dir}')
    return checksum


@np.errstate(all='ignore')
def check_finite(step, *arrays):
    """Raises a ValueError if a loss or weights are NaN, or too large to go on with."""
    if not all(np.isfinite(np.vdot(array, array)) for array in arrays):
        raise ValueError(f'step {step}: the loss diverges; lower the --learning_rate')


def is_due(steps):
    """Whether a checkpoint and an evaluation come after so many steps."""
    return steps % FLAGS.eval_steps == 0 or steps >= FLAGS.max_steps


def restore_newest(sess, saver):
    """Restores the newest intact checkpoint; returns its steps, 0 if there is none."""
    paths = [os.path.join(FLAGS.log_dir, f'model.ckpt-{n}') for n in checkpoint_steps()]
    if not paths:
        tell(f'no checkpoint in {FLAGS.log_dir}; starting at step 0')
        return 0
    while paths:
        try:
            saver.restore(sess, paths[-1])
        except (tf.errors.OpError, ValueError):
            tell(f'{paths.pop()} cannot be restored')
        else:
            saver.recover_last_checkpoints(paths)  # so that the oldest go first
            steps = tf.train.global_step(sess, 'global_step:0')
            tell(f'going on from step {steps} of {max(steps, FLAGS.max_steps)}')
            return steps
    raise ValueError(f'no checkpoint in {FLAGS.log_dir} fits --hidden1 and --hidden2')


def checkpoint_steps():
    """Returns the steps of the checkpoints in the log directory, in order."""
    names = '\n'.join(os.listdir(FLAGS.log_dir))
    return sorted(map(int, re.findall(r'^model\.ckpt-(\d+)\.index$', names, re.M)))


def prepare_log_dir(checksum):
    """Removes an earlier run, unless it is resumed, and records this one.

    Indices go first: a run that is killed in between starts again from the old record.
    """
    names = set(filter(RUN_FILES.fullmatch, os.listdir(FLAGS.log_dir)))
    if names and not FLAGS.resume:
        if FLAGS_FILE not in names:
            holds = f'--log_dir {FLAGS.log_dir} holds {min(names)}, but no {FLAGS_FILE}'
            raise ValueError(f'{holds}; choose another, or --resume if it fits')
        tell(f'replacing the run in {FLAGS.log_dir}; --resume would have gone on')
        for name in sorted(names - {FLAGS_FILE}, key=lambda name: '.index' not in name):
            try:
                os.remove(os.path.join(FLAGS.log_dir, name))
            except PermissionError:  # on Windows, of what TensorBoard has open
                if not name.endswith('.fully_connected_feed'):
                    raise
    record = {name: getattr(FLAGS, name) for name in RECORDED_FLAGS}
    path = os.path.join(FLAGS.log_dir, FLAGS_FILE)
    with tf.gfile.GFile(path + '.tmp', 'w') as f:  # whose errors name the file
        json.dump({**record, 'data': checksum}, f, indent=1)
    os.replace(path + '.tmp', path)


def how_to_go_on():
    """Returns the line for Ctrl-C; once this run is recorded, also where to go on."""
    record = {}
    with contextlib.suppress(ValueError, OSError):
        record = read_record()
    if any(record.get(name) != getattr(FLAGS, name) for name in RECORDED_FLAGS):
        return 'interrupted'
    steps = max(checkpoint_steps(), default=-1) + 1
    return f'interrupted; the same command with --resume goes on from step {steps}'


def move_signals_off_the_stack():
    """Keeps signals off the stack of oneDNN's matrix product (its issue 4845).

    That keeps the stack pointer in the heap: a signal handled there corrupts memory.
    From Python 3.10 on, signals take faulthandler's stack, which stays after disable().
    """
    if not faulthandler.is_enabled():
        with open(os.devnull, 'w') as nowhere:
            faulthandler.enable(nowhere)
            faulthandler.disable()


@contextlib.contextmanager
def one_interrupt():
    """Lets the first Ctrl-C end the block; more of them do nothing until it is told."""

    def stop(signum, frame):
        signal.signal(signum, signal.SIG_IGN)
        raise KeyboardInterrupt

    main_thread = threading.current_thread() is threading.main_thread()
    ours = main_thread and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:  # after Ctrl-C only a prompt or notebook goes on
        if ours and (signal.getsignal(signal.SIGINT) is stop or hasattr(sys, 'ps1')):
            signal.signal(signal.SIGINT, signal.default_int_handler)


def leave_lost_output():
    """Discards output that can't be written: Python's exit would fail on it."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def tell(message):
    """Prints one line on stderr, if anybody is there to read it."""
    with contextlib.suppress(OSError):
        print('fully_connected_feed:', *str(message).splitlines(), file=sys.stderr)


def directory(text):
    """The argparse type of a directory; returns its absolute path."""
    if not text or '://' in text:
        raise argparse.ArgumentTypeError(f'{text!r} is not a directory')
    return os.path.abspath(os.path.expanduser(text))


def flag_table():
    """Returns name, type (None: no value), default, limits and help of each flag."""
    place = os.path.join(tempfile.gettempdir(), 'tensorflow', 'mnist')
    data = os.path.join(place, 'input_data')
    logs = os.path.join(place, 'logs', 'fully_connected_feed')
    rate, units, size = (1e-37, 3.4e38), (1, 10000), (1, 2**31 - 1)
    return (
        ('learning_rate', float, 0.01, rate, 'step size of gradient descent'),
        ('max_steps', int, 2000, size, 'steps to train'),
        ('hidden1', int, 128, units, 'units in the first hidden layer'),
        ('hidden2', int, 32, units, 'units in the second hidden layer'),
        ('batch_size', int, 100, size, 'examples in a batch'),
        ('eval_steps', int, 1000, size, 'steps between checkpoints and evaluations'),
        ('input_data_dir', directory, data, (), 'folder of data; filled if absent'),
        ('log_dir', directory, logs, (), 'folder for events and checkpoints'),
        ('train_dir', directory, None, (), 'default for both folders'),
        ('seed', int, None, (0, 2**32 - 1), 'fixes weights and batches; else random'),
        ('fake_data', None, False, (), 'train on made-up data, for unit tests'),
        ('resume', None, False, (), 'go on from the newest checkpoint in --log_dir'),
    )


DEFAULTS = {name: default for name, _, default, _, _ in flag_table()}
RECORDED_FLAGS = [x for x in DEFAULTS if x not in ('log_dir', 'train_dir', 'resume')]
NAMES = '--' + ', --'.join(RECORDED_FLAGS)


def check_limits(flags):
    """Raises a ValueError that names the first flag, in a dict, outside its limits."""
    for name, kind, _, limits, _ in flag_table():
        if limits and name in flags:
            value, (low, high) = flags[name], limits
            fits = isinstance(value, (int, float, np.number)) and low <= value <= high
            if not fits or kind(value) != value:
                raise ValueError(f'--{name} {value} is not from %s to %s' % limits)


def parse_flags(argv):
    """Parses flags, a list of str; returns a Namespace of those that are given."""
    parser = argparse.ArgumentParser(
        prog='fully_connected_feed',
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=argparse.RawTextHelpFormatter,  # which breaks no path
        description='Trains and evaluates a fully connected network on MNIST.',
    )
    parser.error = lambda message: parser.exit(2, f'{parser.prog}: error: {message}\n')
    for name, kind, default, _, text in flag_table():
        metavar = {int: 'N', float: 'X', directory: 'DIR'}.get(kind)
        options = dict(type=kind, metavar=metavar) if kind else {'action': 'store_true'}
        text += f' (default: {default})' if kind and default is not None else ''
        parser.add_argument('--' + name, help=text.replace('%', '%%'), **options)
    return parser.parse_args(argv)


@one_interrupt()
def main(argv=None):
    """Runs the command with FLAGS, else argv, else the command line's flags.

    An error ends in one line on stderr and a SystemExit, of status 130 for Ctrl-C.
    """
    global FLAGS
    before = FLAGS
    if argv is None:  # in a notebook the command line is the kernel's
        argv = [] if hasattr(sys, 'ps1') else sys.argv[1:]
    try:
        for module in mnist, input_data:
            if not hasattr(module, 'NUM_CLASSES'):
                raise ValueError(f'another package hides {module.__name__}.py')
        FLAGS = FLAGS or parse_flags(argv)
        run_training()
    except KeyboardInterrupt as stop:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends a blocked write, too
        tell(str(stop) or 'interrupted')
        sys.exit(130)
    except PermissionError as error:
        tell(f'{error}; give an --input_data_dir or --train_dir of your own')
        sys.exit(1)
    except (ValueError, OSError, MemoryError) as error:
        tell(str(error) or 'out of memory')
        sys.exit(1)
    except (tf.errors.OpError, RuntimeError, IndexError) as error:
        if 'tfevents' not in str(error) and not isinstance(error, tf.errors.OpError):
            raise  # it isn't TensorFlow's event writer that fails, on a full disk
        first = error.__context__ or error  # before closing the writer failed, too
        tell(str(first).partition('\n')[0])  # without the graph
        sys.exit(1)
    finally:
        FLAGS = before
        leave_lost_output()


if __name__ == '__main__':
    main(sys.argv[1:] if '__file__' in globals() else None)

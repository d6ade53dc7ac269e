"""Trains and evaluates the MNIST network of mnist.py, fed through a feed dictionary.

    python fully_connected_feed.py

First come the functions that "TensorFlow Mechanics 101" explains, down to
run_training(). What follows them keeps a run safe. The flags stand last.
"""

import gc
import os
import sys

# The start-up. TensorFlow reads these at its import. oneDNN's ops make a start slower
# and round otherwise than TensorFlow 1.3. Keras, which the command does not need (but a
# notebook may), takes 0.3 s, and Python's garbage collector, at work meanwhile, 0.4 s.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '0')
if __name__ == '__main__' and not hasattr(sys, 'ps1'):
    os.environ.setdefault('TF_USE_LEGACY_KERAS', '1')
gc.disable()
try:
    import argparse
    import atexit
    import contextlib
    import faulthandler
    import functools
    import json
    import re
    import shlex
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
except KeyboardInterrupt:
    sys.stderr.write('fully_connected_feed: interrupted\n')
    sys.exit(130)
finally:
    gc.freeze()
    gc.enable()

tf.logging.set_verbosity(tf.logging.FATAL)  # what goes wrong is told in one line
print = functools.partial(print, flush=True)  # a line shows when it is due

FLAGS = None  # argparse.Namespace; set by main(), or by a program that imports this one

# The model is so small that a GPU or more threads cost more than they save.
SESSION_CONFIG = tf.ConfigProto(device_count={'GPU': 0}, intra_op_parallelism_threads=1)
SESSION_CONFIG.inter_op_parallelism_threads = -1  # ops run in sess.run()'s own thread


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


def feed_dicts_in_order(data_set, images_placeholder, labels_placeholder):
    """Yields a feed dictionary for each batch of a whole data set, in order."""
    batch_size = int(labels_placeholder.shape[0])
    for images_feed, labels_feed in data_set.in_order(batch_size):
        missing = batch_size - len(labels_feed)
        if missing:  # fill up with labels that match no prediction
            images_feed = np.pad(images_feed, ((0, missing), (0, 0)), 'constant')
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
    placeholders = images_placeholder, labels_placeholder
    true_count = 0
    for feed_dict in feed_dicts_in_order(data_set, *placeholders):
        check_signals()
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
    summary.value.add(tag='precision/train', simple_value=train)
    summary.value.add(tag='precision/validation', simple_value=validation)
    summary.value.add(tag='precision/test', simple_value=test)
    return summary


def run_training():
    """Trains the model for FLAGS.max_steps steps ("Train the Model").

    A ValueError or OSError names the flag or file at fault. After a stop comes a
    SystemExit: 128 + the signal's number, or 1 if the output fails.
    """
    complete_flags()
    data_sets = input_data.read_data_sets(
        FLAGS.input_data_dir, FLAGS.fake_data, seed=FLAGS.seed
    )
    check_flags(data_sets)
    with process_settings() as undo, locked_log_dir(), tf.Graph().as_default():
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

        with tf.Session(config=SESSION_CONFIG) as sess, saved_at_stop(sess, saver):
            sess.run(init)
            start_step = restore_newest(sess, saver) if FLAGS.resume else 0
            data_sets.train.skip(FLAGS.batch_size, start_step)
            check_signals()
            prepare_log_dir()
            summary_writer = tf.summary.FileWriter(
                FLAGS.log_dir, sess.graph, filename_suffix=EVENTS_SUFFIX % start_step
            )
            undo.callback(summary_writer.close)
            # TensorBoard drops what an earlier run wrote for this step and later.
            started = tf.SessionLog(status=tf.SessionLog.START)
            summary_writer.add_session_log(started, global_step=start_step)
            if start_step and is_due(start_step):  # a stop may have cut it short
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

                if is_due(step + 1):
                    check_finite(step, *sess.run(tf.trainable_variables()))
                    checkpoint_file = os.path.join(FLAGS.log_dir, 'model.ckpt')
                    saver.save(sess, checkpoint_file, global_step=step)
                    precisions = evaluate(sess, eval_correct, *placeholders, data_sets)
                    summary_writer.add_summary(precisions, step + 1)
                    summary_writer.flush()
                check_signals()


# The tutorial ends here. What follows keeps a run safe.

FLAGS_FILE = 'fully_connected_feed.flags'  # the record of a run, in its log directory
EVENTS_SUFFIX = '.%010d.fully_connected_feed'  # the step; a second may see two runs
# A new run in the same directory replaces these and touches nothing else.
RUN_FILES = re.compile(
    r'checkpoint(\.tmp\w+)?|fully_connected_feed\.flags'
    r'|model\.ckpt-\d+\.(index|meta|data-\d{5}-of-\d{5})(\.(tempstate\d|tmp)\w*)?'
    r'|events\.out\.tfevents\..+\.fully_connected_feed(\.old)?'
)
# A resumed run can't change these: weights or batches would not fit those before.
FIXED_FLAGS = ('hidden1', 'hidden2', 'batch_size', 'seed', 'fake_data')
STOPS = [s for s in signal.Signals if s.name in ('SIGINT', 'SIGTERM', 'SIGHUP')]
SIGNALS = []  # those that have asked the run to stop


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
            raise ValueError('--hidden1 or --hidden2 is too large for memory')
    data = '%08x' % zlib.crc32(np.concatenate([x.labels for x in data_sets]).tobytes())
    if FLAGS.resume and FLAGS.data not in (None, data):
        where = f'than the run in {FLAGS.log_dir} was trained on'
        raise ValueError(f'{holds} other data {where}; give the folder of that')
    FLAGS.data = data  # for the record


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
            tell(f'{paths.pop()} cannot be restored; trying the one before')
        else:
            saver.recover_last_checkpoints(paths)  # to be removed in their turn
            steps = tf.train.global_step(sess, 'global_step:0')
            tell(f'going on from step {steps} of {FLAGS.max_steps}')
            return steps
    layers = f'--hidden1 {FLAGS.hidden1} --hidden2 {FLAGS.hidden2}'
    raise ValueError(f'--log_dir {FLAGS.log_dir} has no checkpoint of {layers}')


def checkpoint_steps():
    """Returns the steps of the checkpoints in the log directory, in order."""
    names = '\n'.join(os.listdir(FLAGS.log_dir))
    return sorted(map(int, re.findall(r'^model\.ckpt-(\d+)\.index$', names, re.M)))


def prepare_log_dir():
    """Removes what an earlier run left, unless it is resumed, and records the flags."""
    names = set(filter(RUN_FILES.fullmatch, os.listdir(FLAGS.log_dir)))
    if names and not FLAGS.resume:
        if FLAGS_FILE not in names:
            holds = f'--log_dir {FLAGS.log_dir} holds {min(names)}, but no {FLAGS_FILE}'
            raise ValueError(
                f'{holds}; choose another, or --resume if it is of this model'
            )
        remove_run([os.path.join(FLAGS.log_dir, n) for n in names - {FLAGS_FILE}])
    recorded = DEFAULTS.keys() - {'log_dir', 'train_dir', 'resume'}
    record = {k: v for k, v in vars(FLAGS).items() if k in recorded}
    path = os.path.join(FLAGS.log_dir, FLAGS_FILE)
    with open(path + '.tmp', 'w') as f:
        json.dump(record, f, indent=1)
    os.replace(path + '.tmp', path)


def remove_run(paths):
    """Removes a run's files, but for its record, so that a kill does no harm.

    Event files are renamed first: Windows refuses for those that TensorBoard has open.
    Then come the indices: without them a run starts again, from its record.
    """
    tell(f'replacing the run in {FLAGS.log_dir}; --resume would have gone on')
    for i, path in enumerate(paths):
        if path.endswith('.fully_connected_feed'):
            paths[i] += '.old'
            os.replace(path, paths[i])
    for path in sorted(paths, key=lambda path: not path.endswith('.index')):
        os.remove(path)


@contextlib.contextmanager
def locked_log_dir():
    """Makes the log directory and keeps other runs out of it."""
    where = f'--log_dir {FLAGS.log_dir}'
    lock_file = os.path.join(FLAGS.log_dir, 'fully_connected_feed.lock')
    lock = filelock.FileLock(lock_file, timeout=0)
    for character in set('*?[\\\n') - {os.sep} & set(os.path.abspath(FLAGS.log_dir)):
        what = f'TensorFlow cannot take {character!r} in its path'
        raise ValueError(f'{where}: {what}; choose another directory')
    try:
        FLAGS.log_dir.encode('utf-8')  # as TensorFlow will
        os.makedirs(FLAGS.log_dir, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise OSError(f'{where}: another run is writing there') from None
    except (OSError, UnicodeError, NotImplementedError) as error:
        reason = getattr(error, 'strerror', None) or error
        raise OSError(f'{where}: {reason}; choose another directory') from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def process_settings():
    """Sets what a run needs in its process; yields an ExitStack that sets it back.

    Signals that ask the run to stop are noted for check_signals(), but for ignored ones
    (nohup). The FileWriter's thread leaves it to this one to tell its errors.
    """
    with contextlib.ExitStack() as undo:
        undo.callback(SIGNALS.clear)
        if threading.current_thread() is threading.main_thread():  # else no handlers
            # oneDNN's matrix product keeps the stack pointer in the heap while it runs:
            # a signal that is handled on the same stack corrupts memory (its issue
            # 4845). With faulthandler, Python from 3.10 on has another stack for them.
            if not faulthandler.is_enabled():
                faulthandler.enable(undo.enter_context(open(os.devnull, 'w')))
                undo.callback(faulthandler.disable)
            for signum in STOPS:
                handler = signal.getsignal(signum)
                if handler not in (signal.SIG_IGN, None):  # None: not Python's
                    undo.callback(signal.signal, signum, handler)
                    signal.signal(signum, lambda signum, _: SIGNALS.append(signum))
        undo.callback(leave_lost_output)
        before = getattr(threading, 'excepthook', None)
        undo.callback(setattr, threading, 'excepthook', before)
        threading.excepthook = lambda args: None
        yield undo


def leave_lost_output():
    """Sends output that can't be written nowhere: Python's exit would fail on it."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def check_signals():
    """Raises SystemExit if a signal has asked the run to stop."""
    if SIGNALS:
        raise SystemExit(128 + SIGNALS[0])


@contextlib.contextmanager
def saved_at_stop(sess, saver):
    """Saves the weights when a signal, or output that fails, ends the run."""
    try:
        yield
    except (SystemExit, OSError) as stop:
        steps = tf.train.global_step(sess, 'global_step:0')
        if steps and steps - 1 not in checkpoint_steps():
            check_finite(steps - 1, *sess.run(tf.trainable_variables()))
            checkpoint_file = os.path.join(FLAGS.log_dir, 'model.ckpt')
            saver.save(sess, checkpoint_file, global_step=steps - 1)
        reason = signal.Signals(SIGNALS[0]).name if SIGNALS else stop
        file, log_dir = os.path.abspath(__file__), os.path.abspath(FLAGS.log_dir)
        words = sys.executable, file, '--resume', '--log_dir', log_dir
        command = '; to go on: ' + ' '.join(map(shlex.quote, words))
        more = command if steps else f' in {log_dir}'
        tell(f'stopped by {reason} at step {steps}{more}')
        raise SystemExit(128 + SIGNALS[0] if SIGNALS else 1) from stop


def tell(message, status=None):
    """Prints one line on stderr, if anybody is there to read it; ends with a status."""
    with contextlib.suppress(OSError):
        print('fully_connected_feed:', *str(message).splitlines(), file=sys.stderr)
    if status is not None:
        sys.exit(status)


def directory(text):
    """The argparse type of a directory that is there or can still be created."""
    try:
        path = os.path.abspath(os.path.expanduser(text))
    except FileNotFoundError:
        problem = 'is in a deleted directory'
    else:
        if text and (os.path.isdir(path) or not os.path.lexists(path)):
            return path
        problem = 'is a dead link' if os.path.islink(path) else 'is not a directory'
    raise argparse.ArgumentTypeError(f'{text!r} {problem}')


def flag_table():
    """Returns name, type (None: no value), default, limits and help of each flag."""
    place = os.path.join(tempfile.gettempdir(), 'tensorflow', 'mnist')
    data = os.path.join(place, 'input_data')
    logs = os.path.join(place, 'logs', 'fully_connected_feed')
    rate, size, steps = (1e-37, 3.4e38), (1, 2**31 - 1), (0, 2**31 - 1)
    return (
        ('learning_rate', float, 0.01, rate, 'step size of gradient descent'),
        ('max_steps', int, 2000, steps, 'steps to train'),
        ('hidden1', int, 128, size, 'units in the first hidden layer'),
        ('hidden2', int, 32, size, 'units in the second hidden layer'),
        ('batch_size', int, 100, size, 'examples in a batch'),
        ('eval_steps', int, 1000, size, 'steps between checkpoints and evaluations'),
        ('input_data_dir', directory, data, (), 'folder of data; downloaded if absent'),
        ('log_dir', directory, logs, (), 'folder for events and checkpoints'),
        ('train_dir', directory, None, (), 'default for both folders'),
        ('seed', int, None, (0, 2**32 - 1), 'fixes weights and batches; else random'),
        ('fake_data', None, False, (), 'train on made-up data, for unit tests'),
        ('resume', None, False, (), 'go on from the newest checkpoint in --log_dir'),
        ('data', str, None, (), argparse.SUPPRESS),  # a checksum, for the record alone
    )


DEFAULTS = {name: default for name, _, default, _, _ in flag_table()}


def given_flags(words, prog='fully_connected_feed'):
    """Parses flags, a list of str; returns a dict of those that are given."""
    parser = argparse.ArgumentParser(
        prog=prog,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        description='Trains and evaluates a fully connected network on MNIST.',
    )
    parser.error = lambda message: parser.exit(2, f'{prog}: error: {message}\n')
    for name, kind, default, _, text in flag_table():
        metavar = {int: 'N', float: 'X', directory: 'DIR'}.get(kind)
        options = dict(type=kind, metavar=metavar) if kind else {'action': 'store_true'}
        text += f' (default: {default})' if kind and default is not None else ''
        parser.add_argument('--' + name, help=text, **options)
    given = vars(parser.parse_args(words))
    for name, _, _, limits, _ in flag_table():
        if limits and name in given and not limits[0] <= given[name] <= limits[1]:
            parser.error(f'--{name} {given[name]} is not from %s to %s' % limits)
    return given


def parse_flags(argv):
    """Parses flags, a list of str; returns a Namespace, with what a run recorded."""
    given, recorded = given_flags(argv), {}
    if 'train_dir' in given:
        places = dict.fromkeys(['input_data_dir', 'log_dir'], given['train_dir'])
        given = {**places, **given}
    log_dir = given.get('log_dir', DEFAULTS['log_dir'])
    if 'resume' in given:
        path = os.path.join(log_dir, FLAGS_FILE)
        recorded = given_flags(recorded_words(path), f'fully_connected_feed: {path}')
    for name in FIXED_FLAGS if recorded else ():
        before = recorded.get(name, DEFAULTS[name])
        if given.get(name, before) != before:
            before = f'{before}, as the run in {log_dir} has it'
            tell(f'--{name} {given[name]} contradicts {before}', status=2)
    return argparse.Namespace(**{**DEFAULTS, **recorded, **given})


def recorded_words(path):
    """Returns the flags that a run has recorded as they are typed; [] without a run."""
    try:
        with open(path) as f:
            record = json.load(f).items()
    except FileNotFoundError:
        return []
    except (AttributeError, RecursionError, ValueError):
        flags = ', '.join('--' + name for name in FIXED_FLAGS)
        remedy = f'move it away, and give {flags} with --resume as they were'
        raise ValueError(f'{path} is damaged; {remedy}') from None
    given = [(k, v) for k, v in record if v is not False and k != 'unevaluated']
    return [f'--{k}' if v is True else f'--{k}={v}' for k, v in given]


def complete_flags():
    """Gives FLAGS the defaults of what it lacks, and a random seed if it has none."""
    global FLAGS
    FLAGS = argparse.Namespace(**{**DEFAULTS, **(vars(FLAGS) if FLAGS else {})})
    if FLAGS.seed is None:
        FLAGS.seed = int.from_bytes(os.urandom(4), 'big')


def main(argv=None):
    """Runs the command with FLAGS, else argv, else the command line's flags."""
    global FLAGS
    before = FLAGS
    if argv is None:  # in a notebook the command line is the kernel's
        argv = [] if hasattr(sys, 'ps1') else sys.argv[1:]
    for signum in STOPS:  # nothing disturbs Python's exit
        atexit.register(signal.signal, signum, signal.SIG_IGN)
    try:
        FLAGS = FLAGS or parse_flags(argv)
        run_training()
    except KeyboardInterrupt:
        tell('interrupted', status=130)
    except (ValueError, OSError) as error:
        tell(error, status=1)
    except (tf.errors.OpError, RuntimeError, IndexError) as error:  # TensorFlow's
        tell(str(error.__context__ or error).splitlines()[0], status=1)
    finally:
        FLAGS = before


if __name__ == '__main__':
    main(sys.argv[1:])

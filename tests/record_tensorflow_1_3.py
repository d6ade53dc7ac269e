"""Records the numbers of TensorFlow 1.3 that the tests compare with.

    python tests/record_tensorflow_1_3.py DIR

It installs TensorFlow 1.3.0 into an environment of its own, which takes Python 3.6,
runs the tutorial's modules as they are in that wheel, and writes what they give into
DIR. Then it prints, file by file, whether these numbers equal those in tests/data.
"""

import argparse
import contextlib
import filecmp
import glob
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import loader_uses
from idx_files import MNIST_DIR, ROOT

ENVIRONMENT = os.path.join(ROOT, 'build', 'tensorflow-1.3')
PACKAGES = ['tensorflow==1.3.0', 'protobuf<3.18', 'numpy<1.17']
STEPS = 2000


def gives(python, expression):
    """Whether there is such a Python and the expression is true in it."""
    code = 'import sys; sys.exit(not (%s))' % expression
    try:
        command = [python, '-W', 'ignore', '-c', code]
        return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def python_with_tensorflow_1_3(python=None):
    """Returns a Python that has it; makes an environment of a Python 3.6 if needed."""
    installed = os.path.join(ENVIRONMENT, 'bin', 'python')
    pyenv = os.environ.get('PYENV_ROOT', os.path.expanduser('~/.pyenv'))
    pythons = ['python3.6'] + glob.glob(pyenv + '/versions/3.6.*/bin/python')
    pythons = [python] if python else pythons
    for found in pythons + [installed]:
        if gives(found, '__import__("tensorflow").__version__ == "1.3.0"'):
            return found
    pythons = [found for found in pythons if gives(found, 'sys.version[:4] == "3.6."')]
    if not pythons:
        sys.exit(
            'TensorFlow 1.3 needs Python 3.6, and %s; install one, such as with "pyenv'
            ' install 3.6.15", or name it with --python'
            % ('%s is none' % python if python else 'there is none')
        )
    print('Installing TensorFlow 1.3 into', ENVIRONMENT, file=sys.stderr)
    pip = [installed, '-m', 'pip', 'install', '-q']
    for command in (
        [pythons[0], '-m', 'venv', '--clear', ENVIRONMENT],
        pip + ['-U', 'pip<22'],  # the last for Python 3.6
        pip + PACKAGES,
    ):
        if subprocess.call(command):
            sys.exit('This failed: ' + ' '.join(command))
    return installed


def start(python, script, *arguments, **options):
    """Starts a script, without TensorFlow's lines on the CPU's features."""
    environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL='3')
    command = [python, '-W', 'ignore', os.path.abspath(script)]
    return subprocess.Popen(command + list(arguments), env=environment, **options)


@contextlib.contextmanager
def silence():
    """Without the lines "Extracting ..."."""
    with open(os.devnull, 'w') as devnull, contextlib.redirect_stdout(devnull):
        yield


def record(directory):
    """Writes the files. This is run by Python 3.6."""
    import tensorflow as tf
    from tensorflow.contrib.learn.python.learn.datasets import mnist as input_data
    from tensorflow.examples.tutorials.mnist import mnist

    # The tutorial's input_data is an import of read_data_sets from that other module.

    def write(name, found, indent=1):
        with open(os.path.join(directory, name), 'w') as f:
            json.dump(found, f, indent=indent)

    def in_new_graph(use, *arguments, folder=MNIST_DIR):
        with tf.Graph().as_default(), silence():
            loader = loader_uses.Loader(input_data, folder, tf.set_random_seed)
            return use(loader, *arguments)

    def first_batch(loader):
        train = loader.read(seed=7).train
        return train.images.tobytes(), train.next_batch(100)[1][:20].tolist()

    # Which batches these are comes from tests/data; all of the numbers are made anew.
    batches = loader_uses.recorded('batches.json')
    for name in '100', '128', '100_shuffle_False':
        key, sums = in_new_graph(loader_uses.running_sums, name)
        batches['batch_size_' + name][key] = sums
    pixels, batches['batch_size_100']['first_20_labels'] = in_new_graph(first_batch)
    batches['train_images_sha256'] = hashlib.sha256(pixels).hexdigest()
    write('batches.json', batches)

    taken_in_turn = loader_uses.taken_in_turn
    cases = loader_uses.recorded('batches-mixed.json')
    with tempfile.TemporaryDirectory() as folder:
        loader_uses.write_random_digits(folder)
        for case in cases:
            case.update(in_new_graph(taken_in_turn, case))
            case['random_digits'] = in_new_graph(taken_in_turn, case, folder=folder)
    write('batches-mixed.json', cases)

    for name in 'USES', 'NUMPY_USES':
        uses = {use.__name__: in_new_graph(use) for use in getattr(loader_uses, name)}
        digests = {use: loader_uses.digest(uses[use]) for use in uses}
        write(name.lower() + '.json', digests)

    tf.set_random_seed(42)  # which gives the first weights
    images = tf.placeholder(tf.float32, (100, mnist.IMAGE_PIXELS))
    labels = tf.placeholder(tf.int32, 100)
    logits = mnist.inference(images, 128, 32)
    loss = mnist.loss(logits, labels)
    train_op = mnist.training(loss, 0.01)
    correct = mnist.evaluation(logits, labels)
    tf.summary.merge_all()
    init = tf.global_variables_initializer()
    saver = tf.train.Saver(save_relative_paths=True)
    nodes = tf.get_default_graph().as_graph_def().node
    nodes = [{'name': n.name, 'op': n.op, 'input': list(n.input)} for n in nodes]
    write('graph-1.3.json', nodes, indent=0)

    with silence():
        sets = input_data.read_data_sets(MNIST_DIR, seed=7)
    variables, training, curve, counts = tf.trainable_variables(), {}, [], {}
    # The number of threads sets the rounding, so it is the same on every machine.
    config = tf.ConfigProto(intra_op_parallelism_threads=2)
    with tf.Session(config=config) as sess:
        sess.run(init)
        training.update({'initial/' + v.op.name: sess.run(v) for v in variables})
        for _ in range(STEPS):
            feed_dict = dict(zip([images, labels], sets.train.next_batch(100)))
            curve.append(sess.run([train_op, loss], feed_dict)[1])
        training.update({'final/' + v.op.name: sess.run(v) for v in variables})
        path = os.path.join(directory, 'checkpoint', 'model.ckpt')
        saver.save(sess, path, global_step=STEPS - 1, write_meta_graph=False)
        for name, data_set in zip(sets._fields, sets):
            arrays = data_set.images, data_set.labels
            batches = zip(*[np.split(x, data_set.num_examples // 100) for x in arrays])
            found = [sess.run(correct, dict(zip([images, labels], b))) for b in batches]
            counts[name] = {'num_examples': data_set.num_examples}
            counts[name]['num_correct'] = int(sum(found))
    np.savez_compressed(os.path.join(directory, 'training.npz'), loss=curve, **training)
    write('evaluation.json', counts)


def compare(directory, other):
    """Prints for each file that both folders have whether it holds the same."""
    for path in sorted(glob.glob(os.path.join(directory, '**', '*.*'), recursive=True)):
        name = os.path.relpath(path, directory)
        paths = path, os.path.join(other, name)
        if not os.path.exists(paths[1]):
            continue
        if name.endswith('.npz'):
            a, b = map(np.load, paths)
            distance = max(np.abs(a[key] - b[key]).max() for key in a)
            same, name = distance == 0, '%s (at most %g apart)' % (name, distance)
        elif name.endswith('.json'):
            a, b = [json.loads(pathlib.Path(path).read_text()) for path in paths]
            same = a == b
        else:
            same = filecmp.cmp(*paths, shallow=False)
        print('equal  ' if same else 'differs', name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add = parser.add_argument
    add('directory', metavar='DIR', help='where the files go')
    add('--python', help='a Python 3.6, with or without TensorFlow 1.3')
    add('--compare', metavar='DIR2', default=loader_uses.DATA, help='with these files')
    add('--record', action='store_true', help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.record:
        record(flags.directory)
        return
    python = python_with_tensorflow_1_3(flags.python)
    os.makedirs(os.path.join(flags.directory, 'checkpoint'), exist_ok=True)
    status = start(python, __file__, flags.directory, '--record').wait()
    if status:
        sys.exit('%s ended with status %d' % (python, status))
    compare(flags.directory, flags.compare)


if __name__ == '__main__':
    main()

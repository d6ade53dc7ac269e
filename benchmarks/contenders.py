"""Measures one contender of benchmark.py in this process and prints a line of JSON.

    python benchmarks/contenders.py FUNCTION DATA_DIR SCRATCH_DIR

FUNCTION is one of those below; each takes the data and a folder to write to.
"""

import builtins
import contextlib
import gzip
import json
import os
import resource
import runpy
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
STEPS = 2000  # as the default command
WARM_UP = 100  # steps that the median leaves out
BATCH_SIZE = 100
LEARNING_RATE = 0.01
LAYERS = (784, 128, 32, 10)


def peak_memory():
    """Returns the most memory that this process has had so far, in MB (on Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def time_import():
    """Has the first import of TensorFlow timed, and that of NumPy, which is part of it.

    Returns:
        dict that will hold the seconds, and the peak memory after the import in MB.
    """
    measured = {'seconds': 0}
    real_import = builtins.__import__

    def timed_import(name, *args, **kwargs):
        package = name.split('.')[0]
        if package not in ('numpy', 'tensorflow'):
            return real_import(name, *args, **kwargs)
        builtins.__import__ = real_import  # for what it imports in turn
        start = time.perf_counter()
        module = real_import(name, *args, **kwargs)
        measured['seconds'] += time.perf_counter() - start
        measured['peak'] = peak_memory()
        if package == 'numpy':
            builtins.__import__ = timed_import
        return module

    builtins.__import__ = timed_import
    return measured


def time_command(program, *arguments):
    """Runs a program to its end; benchmark.py times the whole process."""
    imported = time_import()
    sys.argv = [program, *arguments]
    runpy.run_path(program, run_name='__main__')
    return {'import': imported['seconds'], 'memory': peak_memory() - imported['peak']}


def project_command(data_dir, scratch):
    flags = ('--input_data_dir', data_dir, '--log_dir', scratch)
    return time_command(os.path.join(ROOT, 'fully_connected_feed.py'), *flags)


def original_command(data_dir, scratch):
    return time_command(os.path.join(HERE, 'original.py'), data_dir, scratch)


def time_calls(function, times):
    """Returns the seconds of each call."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def step_figures(seconds):
    median = statistics.median(seconds[WARM_UP:])
    return {'step': median, 'longest': max(seconds[10:]) / median}


def time_steps(data_dir, train_step):
    """Times steps with their batches.

    Args:
        train_step: function of images, float32 [BATCH_SIZE, 784], and labels, uint8
            [BATCH_SIZE], that trains and returns the loss as a Python number.
    """
    import input_data

    train = input_data.read_data_sets(data_dir).train
    return step_figures(
        time_calls(lambda: train_step(*train.next_batch(BATCH_SIZE)), STEPS)
    )


def time_session(program, data_sets):
    """Times the steps and evaluations of fully_connected_feed or original."""
    import tensorflow.compat.v1 as tf

    import mnist

    images_pl = tf.placeholder(tf.float32, (BATCH_SIZE, LAYERS[0]))
    labels_pl = tf.placeholder(tf.int32, (BATCH_SIZE))
    logits = mnist.inference(images_pl, *LAYERS[1:3])
    loss = mnist.loss(logits, labels_pl)
    train_op = mnist.training(loss, LEARNING_RATE)
    eval_args = mnist.evaluation(logits, labels_pl), images_pl, labels_pl, data_sets
    sess = tf.Session(config=program.SESSION_CONFIG)
    sess.run(tf.global_variables_initializer())

    def step():
        feed_dict = program.fill_feed_dict(data_sets[0], images_pl, labels_pl)
        sess.run([train_op, loss], feed_dict=feed_dict)

    figures = step_figures(time_calls(step, STEPS))
    seconds = time_calls(lambda: program.evaluate(sess, *eval_args), 3)
    return dict(figures, evaluation=statistics.median(seconds))


def project(data_dir, scratch):
    import fully_connected_feed
    import input_data

    flags = ['--input_data_dir', data_dir, '--log_dir', scratch]
    fully_connected_feed.FLAGS = fully_connected_feed.parse_flags(flags)
    return time_session(fully_connected_feed, input_data.read_data_sets(data_dir))


def original(data_dir, scratch):
    import original

    return time_session(original, original.read_data_sets(data_dir))


def pytorch(data_dir, scratch):
    from torch import from_numpy, nn, optim

    layers = [nn.Linear(fan_in, units) for fan_in, units in zip(LAYERS, LAYERS[1:])]
    network = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    optimizer = optim.SGD(network.parameters(), LEARNING_RATE)

    def train_step(images, labels):
        logits, labels = network(from_numpy(images)), labels.astype('int64')
        loss = nn.functional.cross_entropy(logits, from_numpy(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return time_steps(data_dir, train_step)


def keras(data_dir, scratch):
    import keras

    import input_data

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            times.append(time.perf_counter())

    times = []
    train = input_data.read_data_sets(data_dir).train
    layers = [keras.layers.Dense(units, 'relu') for units in LAYERS[1:3]]
    network = keras.Sequential(layers + [keras.layers.Dense(LAYERS[3])])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(LEARNING_RATE), loss)
    network.fit(
        train.images,
        train.labels,
        BATCH_SIZE,
        epochs=-(-STEPS * BATCH_SIZE // train.num_examples),
        verbose=0,
        callbacks=[Clock()],
    )
    return step_figures([stop - start for start, stop in zip(times, times[1:])])


def first_parameters():
    """Returns weights and biases of each layer in turn, float32, much as mnist.py's."""
    import numpy as np

    parameters = []
    for fan_in, units in zip(LAYERS, LAYERS[1:]):
        weights = np.random.standard_normal((fan_in, units)) / fan_in**0.5
        parameters += [weights.astype(np.float32), np.zeros(units, np.float32)]
    return parameters


def jax(data_dir, scratch):
    import jax
    import jax.numpy as jnp

    def mean_loss(parameters, images, labels):
        w1, b1, w2, b2, w3, b3 = parameters
        hidden1 = jax.nn.relu(images @ w1 + b1)
        hidden2 = jax.nn.relu(hidden1 @ w2 + b2)
        log_chances = jax.nn.log_softmax(hidden2 @ w3 + b3)
        return -jnp.take_along_axis(log_chances, labels[:, None], 1).mean()

    @jax.jit
    def update(parameters, images, labels):
        loss, slopes = jax.value_and_grad(mean_loss)(parameters, images, labels)
        return [p - LEARNING_RATE * s for p, s in zip(parameters, slopes)], loss

    def train_step(images, labels):
        nonlocal parameters
        parameters, loss = update(parameters, images, labels)
        return float(loss)

    parameters = first_parameters()
    return time_steps(data_dir, train_step)


def numpy(data_dir, scratch):
    import numpy as np

    w1, b1, w2, b2, w3, b3 = parameters = first_parameters()
    rows = np.arange(BATCH_SIZE)

    def train_step(images, labels):
        hidden1 = np.maximum(images @ w1 + b1, 0)
        hidden2 = np.maximum(hidden1 @ w2 + b2, 0)
        logits = hidden2 @ w3 + b3
        chances = np.exp(logits - logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        loss = -np.log(chances[rows, labels]).mean()

        chances[rows, labels] -= 1
        slope3 = chances / BATCH_SIZE
        slope2 = slope3 @ w3.T * (hidden2 > 0)
        slope1 = slope2 @ w2.T * (hidden1 > 0)
        slopes = [images.T @ slope1, slope1.sum(0), hidden1.T @ slope2, slope2.sum(0)]
        slopes += [hidden2.T @ slope3, slope3.sum(0)]
        for parameter, slope in zip(parameters, slopes):
            parameter -= np.multiply(slope, LEARNING_RATE, out=slope)
        return float(loss)

    return time_steps(data_dir, train_step)


def repeated(data_dir, folder, repeats):
    """Writes MNIST's four files with the training examples several times over."""
    for name in os.listdir(data_dir):
        if name.endswith('-ubyte.gz'):
            with gzip.open(os.path.join(data_dir, name)) as f:
                header = f.read(16 if 'idx3' in name else 8)
                examples = gzip.compress(f.read(), 6)
            times = int(repeats) if name.startswith('train') else 1
            count = int.from_bytes(header[4:8], 'big') * times
            header = header[:4] + count.to_bytes(4, 'big') + header[8:]
            with open(os.path.join(folder, name), 'wb') as f:
                f.write(gzip.compress(header))
                f.writelines([examples] * times)  # gzip's data can be joined so
    return {}


def growth(data_dir, scratch):
    """Times loading and batches, and takes the peak memory above the imports."""
    import input_data

    memory = peak_memory()
    start = time.perf_counter()
    train = input_data.read_data_sets(data_dir).train
    load = time.perf_counter() - start
    seconds = time_calls(lambda: train.next_batch(BATCH_SIZE), STEPS)
    batch = statistics.median(seconds)
    return {'load': load, 'batch': batch, 'memory': peak_memory() - memory}


def main(function, *arguments):
    sys.path.insert(0, ROOT)
    with contextlib.redirect_stdout(sys.stderr):
        figures = globals()[function](*arguments)
    print(json.dumps(figures))


if __name__ == '__main__':
    main(*sys.argv[1:])

"""The contenders of benchmark.py, and what it measures inside a process.

Each function writes to the current folder and returns the figures it has, if any.
"""

import gzip
import itertools
import json
import os
import sys
import time
import timeit

import numpy as np

STEPS, BATCH_SIZE, LEARNING_RATE = 2000, 100, 0.01
LAYERS = (784, 128, 32, 10)
FILES = 'train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1'.split()


def read_idx(data_dir, name):
    """Returns the header of an IDX file, and its data as uint8 [n, 784] or [n]."""
    with gzip.open('%s/%s-ubyte.gz' % (data_dir, name)) as f:
        if 'images' in name:
            return f.read(16), np.frombuffer(f.read(), np.uint8).reshape(-1, 784)
        return f.read(8), np.frombuffer(f.read(), np.uint8)


def read_mnist(data_dir):
    """Returns images and labels for training, for validation and for testing."""
    images, labels, *test = [read_idx(data_dir, name)[1] for name in FILES]
    return (images[5000:], labels[5000:]), (images[:5000], labels[:5000]), test


class OriginalDataSet:
    """Examples as float32 in 0..1, moved about in memory by every shuffle."""

    def __init__(self, images, labels):
        self.images = np.multiply(images.astype(np.float32), 1.0 / 255.0)
        self.labels = labels
        self.position = self.num_examples = len(labels)

    def next_batch(self, batch_size):
        if self.position == self.num_examples:  # sizes are multiples of batch_size
            order = np.random.permutation(self.num_examples)
            self.images, self.labels = self.images[order], self.labels[order]
            self.position = 0
        start, self.position = self.position, self.position + batch_size
        return self.images[start : self.position], self.labels[start : self.position]


def original(data_dir):
    """The tutorial as it was: mnist.py's graph in a session without options."""
    import tensorflow.compat.v1 as tf

    import mnist

    def fill_feed_dict(data_set):
        images, labels = data_set.next_batch(BATCH_SIZE)
        return {images_pl: images, labels_pl: labels}

    data_sets = [OriginalDataSet(*arrays) for arrays in read_mnist(data_dir)]
    images_pl = tf.placeholder(tf.float32, (BATCH_SIZE, mnist.IMAGE_PIXELS))
    labels_pl = tf.placeholder(tf.int32, (BATCH_SIZE))
    logits = mnist.inference(images_pl, *LAYERS[1:3])
    loss = mnist.loss(logits, labels_pl)
    train_op = mnist.training(loss, LEARNING_RATE)
    eval_correct = mnist.evaluation(logits, labels_pl)
    summary = tf.summary.merge_all()
    saver = tf.train.Saver()
    sess = tf.Session()
    writer = tf.summary.FileWriter('.', sess.graph)
    sess.run(tf.global_variables_initializer())
    for step in range(STEPS):
        feed_dict = fill_feed_dict(data_sets[0])
        _, loss_value = sess.run([train_op, loss], feed_dict)
        if step % 100 == 0:
            print('step', step, 'loss', loss_value)
            writer.add_summary(sess.run(summary, feed_dict), step)
            writer.flush()
        if (step + 1) % 1000 == 0:
            saver.save(sess, './model.ckpt', global_step=step)
            for data_set in data_sets:
                right = 0
                for _ in range(data_set.num_examples // BATCH_SIZE):
                    right += sess.run(eval_correct, fill_feed_dict(data_set))
                print(right, 'of', data_set.num_examples, 'are right')


def torch(data_dir):
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    tensors = [map(torch.tensor, arrays) for arrays in read_mnist(data_dir)]
    data_sets = [TensorDataset(x / 255, y.long()) for x, y in tensors]
    train_loader = DataLoader(data_sets[0], batch_size=BATCH_SIZE, shuffle=True)
    eval_loaders = [DataLoader(data_set, BATCH_SIZE) for data_set in data_sets]
    linear = [nn.Linear(fan_in, units) for fan_in, units in zip(LAYERS, LAYERS[1:])]
    network = nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2])
    optimizer = torch.optim.SGD(network.parameters(), lr=LEARNING_RATE)
    batches = itertools.chain.from_iterable(itertools.repeat(train_loader))
    for step, (images, labels) in zip(range(STEPS), batches):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print('step', step, 'loss', loss.item())
        if (step + 1) % 1000 == 0:
            with torch.no_grad():
                for loader in eval_loaders:
                    right = [(network(x).argmax(1) == y).sum() for x, y in loader]
                    print(int(sum(right)), 'of', len(loader.dataset), 'are right')
            torch.save(network.state_dict(), 'model.pt')


def jax(data_dir):
    import jax
    import jax.numpy as jnp

    @jax.jit
    def predict(parameters, images):
        w1, w2, w3, b1, b2, b3 = parameters
        hidden1 = jax.nn.relu(images @ w1 + b1)
        return jax.nn.relu(hidden1 @ w2 + b2) @ w3 + b3

    def mean_loss(parameters, images, labels):
        log_chances = jax.nn.log_softmax(predict(parameters, images))
        return -jnp.take_along_axis(log_chances, labels[:, None], 1).mean()

    @jax.jit
    def update(parameters, images, labels):
        loss, slopes = jax.value_and_grad(mean_loss)(parameters, images, labels)
        return [p - LEARNING_RATE * slope for p, slope in zip(parameters, slopes)], loss

    data_sets = [(x.astype(np.float32) / 255, y) for x, y in read_mnist(data_dir)]
    images, labels = data_sets[0]
    parameters = [np.random.randn(n, m) / n**0.5 for n, m in zip(LAYERS, LAYERS[1:])]
    parameters += [np.zeros(units) for units in LAYERS[1:]]
    order = np.concatenate([np.random.permutation(len(images)) for _ in range(4)])
    for step, rows in zip(range(STEPS), order.reshape(-1, BATCH_SIZE)):
        parameters, loss = update(parameters, images[rows], labels[rows])
        if step % 100 == 0:
            print('step', step, 'loss', float(loss))
        if (step + 1) % 1000 == 0:
            for x, y in data_sets:
                right = (predict(parameters, x).argmax(1) == y).sum()
                print(int(right), 'of', len(y), 'are right')
            np.savez('model.npz', *parameters)


def keras(data_dir):
    import keras

    data_sets = [(x.astype(np.float32) / 255, y) for x, y in read_mnist(data_dir)]
    hidden = [keras.layers.Dense(units, 'relu') for units in LAYERS[1:3]]
    network = keras.Sequential([*hidden, keras.layers.Dense(LAYERS[3])])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.SGD(LEARNING_RATE), loss, metrics=['accuracy'])
    for _ in range(STEPS // 1000):
        network.fit(*data_sets[0], BATCH_SIZE, steps_per_epoch=1000, verbose=2)
        for images, labels in data_sets:
            network.evaluate(images, labels, BATCH_SIZE, verbose=2)
        network.save('model.keras')


def step(data_dir, program):
    """Times training steps with their batches, as a program takes them."""
    if program == 'project':  # imported first, as its settings are for TensorFlow
        from fully_connected_feed import SESSION_CONFIG as config
        from input_data import read_data_sets

        train = read_data_sets(data_dir).train
    else:
        train, config = OriginalDataSet(*read_mnist(data_dir)[0]), None
    import tensorflow.compat.v1 as tf

    import mnist

    def train_step():
        images, labels = train.next_batch(BATCH_SIZE)
        sess.run([train_op, loss], {images_pl: images, labels_pl: labels})

    images_pl = tf.placeholder(tf.float32, (BATCH_SIZE, mnist.IMAGE_PIXELS))
    labels_pl = tf.placeholder(tf.int32, (BATCH_SIZE))
    loss = mnist.loss(mnist.inference(images_pl, *LAYERS[1:3]), labels_pl)
    train_op = mnist.training(loss, LEARNING_RATE)
    sess = tf.Session(config=config)
    sess.run(tf.global_variables_initializer())
    seconds = timeit.repeat(train_step, number=1, repeat=100 + STEPS)
    return {'ms': 1000 * np.median(seconds[100:])}  # the first ones warm up


def copies(data_dir, folder):
    """Writes folders 1, 4 and 10: MNIST with so many times its training examples."""
    for size, name in itertools.product((1, 4, 10), FILES):
        times = size if 'train' in name else 1
        header, data = read_idx(data_dir, name)
        count = (times * len(data)).to_bytes(4, 'big')
        os.makedirs('%s/%d' % (folder, size), exist_ok=True)
        with gzip.open('%s/%d/%s-ubyte.gz' % (folder, size, name), 'wb', 1) as f:
            f.write(header[:4] + count + header[8:])
            f.writelines([data] * times)


def growth(data_dir):
    """Times the loading of the data, and batches."""
    import input_data

    start = time.perf_counter()
    train = input_data.read_data_sets(data_dir).train
    load = time.perf_counter() - start
    seconds = timeit.repeat(lambda: train.next_batch(100), number=1, repeat=STEPS)
    batch, longest = 1000 * np.median(seconds), 1000 * max(seconds)
    return {'load s': load, 'batch ms': batch, 'longest batch ms': longest}


if __name__ == '__main__':
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:]) or {}))

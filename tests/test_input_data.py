"""The loader's API: the same batches as TensorFlow 1.3's, held in less memory."""

import copy
import functools
import gzip
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import input_data
import loader_uses
from helpers import ROOT
from idx_files import MNIST_DIR
from loader_uses import digest, recorded


class PlainDataSet(object):
    """What the facts about TensorFlow 1.3 say of its data sets, word for word.

    It copies whole arrays, as the original did; the generator may be shared.
    """

    def __init__(self, images, labels, generator):
        images = images.reshape(len(images), -1).astype(np.float32)
        self._images, self._labels = np.multiply(images, 1.0 / 255.0), labels
        self._num_examples = len(images)
        self._index_in_epoch = self._epochs_completed = 0
        self.generator = generator

    images = property(lambda self: self._images)
    labels = property(lambda self: self._labels)
    epochs_completed = property(lambda self: self._epochs_completed)

    def shuffle(self):
        order = np.arange(self._num_examples)
        self.generator.shuffle(order)
        self._images, self._labels = self._images[order], self._labels[order]

    def next_batch(self, size, shuffle=True):
        start, count, rest = self._index_in_epoch, self._num_examples, []
        if self._epochs_completed == 0 and start == 0 and shuffle:
            self.shuffle()
        stop = start + size
        if stop > count:
            self._epochs_completed += 1
            rest = [(self._images[start:count], self._labels[start:count])]
            if shuffle:
                self.shuffle()
            start, stop = 0, stop - count
        self._index_in_epoch = stop
        new = self._images[start:stop], self._labels[start:stop]
        return tuple(np.concatenate(parts) for parts in zip(*rest + [new]))


def pair(seed, generator, count=23):
    """Returns a DataSet of random examples and what it should be like."""
    rng = np.random.RandomState(count)
    images = rng.randint(0, 256, (count, 4, 3, 1)).astype(np.uint8)
    labels = rng.randint(0, 10, count).astype(np.uint8)
    data_set = input_data.DataSet(images, labels.copy(), seed=seed)
    return data_set, PlainDataSet(images, labels, generator)


def plain_sets(folder, seed, **options):
    """Returns what read_data_sets() with these arguments should be like."""
    options.update(dtype=np.uint8, reshape=False)
    sets = input_data.read_data_sets(folder, **options)
    generator = np.random.RandomState(seed)
    plain = [PlainDataSet(x.images, x.labels.copy(), generator) for x in sets]
    return input_data.Datasets(*plain)


def loader(folder):
    return loader_uses.Loader(input_data, folder, tf.set_random_seed)


def assert_same(actual, expected):
    """Bit for bit: values, dtype, shape and order."""
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


def assert_same_batches(actual, expected, sizes, **options):
    """It spoils the batches, too: they have to be copies."""
    for size in sizes:
        found = actual.next_batch(size, **options)
        for array, wanted in zip(found, expected.next_batch(size, **options)):
            assert_same(array, wanted)
            array[:] = 99
        assert actual.epochs_completed == expected.epochs_completed


@pytest.fixture(scope='module')
def unpacked_mnist(tmp_path_factory):
    """A folder with the real MNIST, unpacked, which is read faster."""
    folder = tmp_path_factory.mktemp('unpacked')
    for name in input_data.SHA256:
        with gzip.open(os.path.join(MNIST_DIR, name)) as f:
            (folder / name[:-3]).write_bytes(f.read())
    return str(folder)


@pytest.fixture(scope='module')
def random_digits(tmp_path_factory):
    """A folder with four files that TensorFlow 1.3 has read, too."""
    folder = str(tmp_path_factory.mktemp('random'))
    loader_uses.write_random_digits(folder)
    return folder


@pytest.mark.parametrize('images_asked_for', [True, False])
def test_random_calls_give_the_batches_of_tensorflow_1_3(images_asked_for):
    """Three sets share a generator: a shuffle of one moves the next of the others."""
    seed = int.from_bytes(os.urandom(4), 'big')
    print('seed', seed)
    rng = np.random.RandomState(seed)
    for _ in range(60):
        seed = rng.randint(1 << 30)
        generators = [np.random.RandomState(seed) for _ in 'ab']
        pairs = [pair(*generators, count=count) for count in (1, 7, 23)]
        shuffle = [True, False, None][rng.randint(3)]  # or sometimes
        for _ in range(30):
            data_set, plain = pairs[rng.randint(3)]
            size = rng.randint(-data_set._index_in_epoch, 2 * data_set.num_examples + 2)
            shuffled = bool(rng.randint(2)) if shuffle is None else shuffle
            assert_same_batches(data_set, plain, [size], shuffle=shuffled)
            if images_asked_for:
                assert_same(data_set.images, plain.images)
        for data_set, plain in pairs:
            assert_same(data_set.images, plain.images)
            assert_same(data_set.labels, plain.labels)


@pytest.mark.parametrize('name', ['100', '128', '100_shuffle_False'])
def test_recorded_batches_of_mnist(unpacked_mnist, name):
    key, sums = loader_uses.running_sums(loader(unpacked_mnist), name)
    assert sums == recorded('batches.json')['batch_size_' + name][key]


@pytest.mark.parametrize('folder', ['random_digits', 'unpacked_mnist'])
@pytest.mark.parametrize('case', recorded('batches-mixed.json'))
def test_recorded_batches_of_sets_taken_in_turn(case, folder, request):
    path = request.getfixturevalue(folder)
    with tf.Graph().as_default():
        found = loader_uses.taken_in_turn(loader(path), case)
    expected = case.get(folder, case)
    assert found == {key: expected[key] for key in found}


def changed_between_batches(loader):
    test = loader.read(seed=6).test
    found = test.next_batch(10)
    test._images = np.arange(784000, dtype=np.float32).reshape(1000, 784)
    test.images[:, 1], test.labels[:3] = 0.5, 9
    found += test.next_batch(1500)
    test._images = np.concatenate([test.images, 1 - test.images])
    test._labels = np.concatenate([test._labels, test._labels % 2])
    found += test.next_batch(100)
    test._num_examples *= 2
    found += test.next_batch(2000)
    test._num_examples = 60
    return found + test.next_batch(100) + (test.images, test.labels)


@pytest.mark.parametrize('use', loader_uses.USES[:6] + [changed_between_batches])
def test_uses_give_what_plain_arrays_give(use, digits_dir):
    plain = types.SimpleNamespace(read=functools.partial(plain_sets, digits_dir))
    assert digest(use(loader(digits_dir))) == digest(use(plain))


@pytest.mark.parametrize('use', loader_uses.USES + loader_uses.NUMPY_USES)
def test_recorded_uses(use, unpacked_mnist):
    with tf.Graph().as_default():
        found = digest(use(loader(unpacked_mnist)))
    expected = dict(recorded('uses.json'), **recorded('numpy_uses.json'))
    assert found == expected[use.__name__]


def test_load_mnist(digits_dir):
    sets = input_data.load_mnist(digits_dir)._asdict().items()
    sizes = [(name, data_set.num_examples) for name, data_set in sets]
    assert sizes == [('train', 2000), ('validation', 5000), ('test', 1000)]


@pytest.mark.parametrize(
    'dtype', [np.float32, tf.float32, 'float32', np.uint8, tf.uint8, 'uint8']
)
@pytest.mark.parametrize('reshape, shape', [(True, (784,)), (False, (28, 28, 1))])
def test_dtype_and_shape_of_images(digits_dir, dtype, reshape, shape):
    test = input_data.read_data_sets(digits_dir, dtype=dtype, reshape=reshape).test
    kind, largest = (np.float32, 1) if 'float32' in str(dtype) else (np.uint8, 255)
    assert test.next_batch(3)[0].dtype == test.images.dtype == kind
    assert test.next_batch(3)[0].shape[1:] == test.images.shape[1:] == shape
    assert (test.images.min(), test.images.max()) == (0, largest)
    assert test.image_shape == (28, 28, 1)


@pytest.mark.parametrize('fake_data', [False, True])
def test_other_dtypes_are_a_type_error(digits_dir, fake_data):
    for dtype in np.float64, tf.int32, 'float16', bool, object, None:
        with pytest.raises(TypeError, match='dtype must be'):
            input_data.read_data_sets(digits_dir, fake_data, dtype=dtype)


@pytest.mark.parametrize('shape', [(3, 4, 4, 3), (3, 16), (4, 4, 4, 1)], ids=str)
def test_three_labels_with_images_of_another_shape_or_number(shape):
    with pytest.raises(ValueError, match='reshape takes|4 images, 3 labels'):
        input_data.DataSet(np.zeros(shape), np.zeros(3))


def test_dense_to_one_hot():
    rows = input_data.dense_to_one_hot(np.array([2, 0]), 3)
    assert_same(rows, np.array([[0.0, 0, 1], [1, 0, 0]]))
    assert_same(input_data.dense_to_one_hot(np.array([[2], [0]]), 3), rows)
    assert_same(input_data.dense_to_one_hot(np.array([False, True]), 2), np.eye(2))
    for label in 3, -1:
        with pytest.raises(ValueError, match='label %d is not one of the 3 cl' % label):
            input_data.dense_to_one_hot(np.array([2, label]), 3)


@pytest.mark.parametrize('one_hot, label', [(False, 0), (True, [1] + [0] * 9)])
def test_fake_data_is_images_of_ones_with_label_0(one_hot, label):
    data_sets = input_data.read_data_sets('no such folder', True, one_hot=one_hot)
    assert not os.path.exists('no such folder')
    for data_set in data_sets:
        assert (data_set.num_examples, data_set.one_hot) == (10000, one_hot)
        assert data_set.image_shape == (28, 28, 1)
        assert tuple(data_set.next_batch(-1)) == ([], [])
        images, labels = data_set.next_batch(3, True)
        assert (images, labels) == ([[1] * 784] * 3, [label] * 3)
        assert [len(images) for images, _ in data_set.in_order(6000)] == [6000, 4000]


@pytest.mark.parametrize('size', [1, 2, 7, 22, 23, 24, 30])
def test_in_order_yields_each_example_once_and_advances_nothing(size):
    for batches in 0, 1, 5, 12, 97:
        one, other = [pair(np.random.RandomState(3), None)[0] for _ in 'ab']
        for _ in range(batches):
            one.next_batch(size), other.next_batch(size)
        in_order = one.in_order(size)
        first, *rest = next(in_order), *in_order
        assert {len(images) for images, _ in [first, *rest][:-1]} <= {size}
        assert_same_batches(one, other, [size] * 60)
    order = one.in_order(size)
    parts = [next(order)]
    images, labels = one.images, one.labels
    one.next_batch(24)  # which shuffles the set
    for found, expected in zip(zip(*parts, *order), (images, labels)):
        assert_same(np.concatenate(found), expected)


@pytest.mark.parametrize('seed, graph_seed', [(None, None), (1, None), (1, 777)])
def test_numpys_generator_is_left_alone(digits_dir, seed, graph_seed):
    """So numpy.random.seed() has the same effect before reading and after it."""

    def state():
        return np.random.get_state()[1].tolist(), np.random.get_state()[2]

    before = state()
    with tf.Graph().as_default():
        tf.set_random_seed(graph_seed)
        train = input_data.read_data_sets(digits_dir, seed=seed).train
    assert state() == before
    train.next_batch(10)
    assert (state() == before) == (seed is not None)


def test_seeds_start_the_generator_as_tensorflow_1_3_started_it():
    for seed, graph_seed, reduced in (
        (-1, None, 2**31 - 2),
        (2**31 - 1, None, 0),
        (2**32, None, 2),
        (5, 777, 5),
        (None, 0, 0),
        (None, -1, 2**31 - 2),
        (None, 2**32, 2),
        (0, 0, 2**31 - 1),
    ):
        with tf.Graph().as_default():
            tf.set_random_seed(graph_seed)
            pairs = pair(seed, np.random.RandomState(reduced))
        assert_same_batches(*pairs, sizes=[23])
    for seed in '7', 7.0:
        with pytest.raises(TypeError):
            pair(seed, None)


def test_two_reads_with_a_seed_do_not_disturb_each_other(digits_dir):
    first, second = [input_data.read_data_sets(digits_dir, seed=1) for _ in 'ab']
    for one, other in (first.train, second.train), (first.test, second.test):
        assert_same_batches(one, other, [1, 1500, 1500])


def test_the_seed_of_the_default_graph_is_numpys_too():
    """As in TensorFlow 1.3; and the script's own ops get the seeds that they had."""
    graphs = []
    for with_data_set in True, False:
        with tf.Graph().as_default() as graph:
            tf.set_random_seed(777)
            if with_data_set:
                data_set, plain = pair(None, np.random.RandomState(777))
            tf.random_normal([3])
        graphs.append(str(graph.as_graph_def()))
    assert graphs[0] == graphs[1]
    for size in 5, 20, 30:
        assert_same_batches(data_set, plain, [size])
        np.testing.assert_array_equal(np.random.rand(3), plain.generator.rand(3))


def test_wrong_batch_size_changes_nothing():
    """A negative one may not lead back past the start of the epoch."""
    data_set, plain = pair(5, np.random.RandomState(5))
    for size in 30, 14:
        for wrong in -1 - data_set._index_in_epoch, 10.0, '10', None:
            with pytest.raises(ValueError if isinstance(wrong, int) else TypeError):
                data_set.next_batch(wrong)
        assert_same_batches(data_set, plain, [size])
    assert_same_batches(data_set, plain, [-21, 23])


def test_a_batch_ends_with_the_next_epoch():
    data_set, plain = pair(np.random.RandomState(4), np.random.RandomState(4), count=10)
    assert_same_batches(data_set, plain, [15, 25, 0, 3])
    sizes = [len(data_set.next_batch(size)[0]) for size in (2, 25, 0, 0)]
    assert sizes == [2, 15, 10, 0]


@pytest.mark.parametrize('kind', [object, 'U', 'S', bool, np.int64, np.float64])
def test_whatever_float32_can_be_made_from(kind):
    """As of pandas or a CSV file."""
    pixels = np.arange(12).reshape(3, 2, 2, 1)
    images = pixels.astype(str if kind in ('U', 'S') else kind).astype(kind)
    data_set = input_data.DataSet(images, np.arange(3))
    expected = pixels.astype(bool) if kind is bool else pixels
    expected = np.multiply(expected.astype(np.float32), np.float32(1 / 255))
    assert_same(data_set.next_batch(3, shuffle=False)[0], expected.reshape(3, 4))


def test_constructor_copies_the_images_that_it_scales():
    for dtype, kind in (np.float32, np.uint8), (np.float32, float), (np.uint8, int):
        images, labels = np.ones((4, 2, 2, 1), kind), np.arange(4)
        data_set = input_data.DataSet(images, labels, dtype=dtype)
        images[:] = 2
        value = 2 if dtype == np.uint8 else np.float32(1 / 255)
        assert (data_set.next_batch(4, shuffle=False)[0] == value).all()
        assert (data_set.images == value).all()
        assert np.shares_memory(data_set.images, images) == (dtype == np.uint8)


def test_shell_of_fake_data_that_is_filled_afterwards():
    shell = input_data.DataSet([], [], fake_data=True)
    assert shell.next_batch(2) == ([[1] * 784] * 2, [0, 0])
    shell._images, shell._labels = np.arange(6.0).reshape(3, 2), np.arange(3)
    shell._num_examples = 3
    images, labels = shell.next_batch(3)
    assert_same(images, np.stack([2.0 * labels, 2.0 * labels + 1], axis=1))
    assert sorted(labels) == [0, 1, 2]


def test_reading_images_in_another_thread_loses_no_shuffle():
    """The first read replaces the pixels by the images, while batches are drawn."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for trial in range(400):
            images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
            data_set = input_data.DataSet(images, np.arange(8), seed=trial)
            reader = threading.Thread(target=getattr, args=(data_set, 'images'))
            reader.start()
            for _ in range(20):
                batch, labels = data_set.next_batch(8)
                np.testing.assert_array_equal((255 * batch[:, 0]).round(), labels)
            reader.join()
            in_order = (255 * data_set.images[:, 0]).round()
            np.testing.assert_array_equal(in_order, data_set.labels)
    finally:
        sys.setswitchinterval(interval)


def test_the_arrays_of_files_may_be_written_to(digits_dir):
    for data_set in input_data.read_data_sets(digits_dir, dtype=np.uint8):
        data_set.images[:] = data_set.labels[:] = 1
        assert all((part == 1).all() for part in data_set.next_batch(50))


@pytest.mark.parametrize('seed', [None, 1])
def test_copies_go_on_like_the_original_also_in_another_process(digits_dir, seed):
    """The three sets of a copy share a generator among them."""
    sets = input_data.read_data_sets(digits_dir, seed=seed)
    sets.test.next_batch(5)
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        elsewhere = pool.apply(input_data.DataSet.next_batch, (sets.test, 2000))
    copies = [copy.deepcopy(sets), pickle.loads(pickle.dumps(sets))]
    state, digests = np.random.get_state(), set()
    for each in copies + [sets]:
        np.random.set_state(state)
        batch = each.test.next_batch(2000)
        digests.add(digest(batch + each.train.next_batch(9)))
    assert len(digests) == 1
    if seed is not None:  # else each process draws from a generator of its own
        assert digest(elsewhere) == digest(batch)


class Labels(np.ndarray):
    """Labels that call their meanwhile once, when they are indexed by this type."""

    meanwhile = (None, None)

    def __getitem__(self, index):
        kind, call = Labels.meanwhile
        if kind and isinstance(index, kind):
            Labels.meanwhile = (None, None)
            call()
        return super().__getitem__(index)


@pytest.mark.parametrize('kind', [slice, np.ndarray], ids=['taken', 'shuffled'])
@pytest.mark.parametrize('images_asked_for', [True, False])
@pytest.mark.parametrize(
    'use',
    [
        lambda data_set: [data_set.next_batch(8)],
        lambda data_set: list(data_set.in_order(3)),
    ],
    ids=['next_batch', 'in_order'],
)
def test_other_threads_wait_for_a_batch(use, images_asked_for, kind):
    """So that images and labels belong together: one thread begins in mid-batch."""
    images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
    data_set, found = input_data.DataSet(images, np.arange(8), seed=1), []
    data_set.next_batch(1)
    data_set._labels = data_set._labels.view(Labels)
    if images_asked_for:
        assert len(data_set.images) == 8
    other = threading.Thread(target=lambda: found.extend(use(data_set)))

    def meanwhile():
        other.start()
        other.join(0.3)  # it ends if it does not have to wait

    Labels.meanwhile = (kind, meanwhile)
    found.append(data_set.next_batch(12))
    other.join()
    found.append((data_set.images, data_set.labels))
    for batch, labels in found:
        np.testing.assert_array_equal((255 * batch[:, 0]).round(), labels)


FORK = """
import os, signal, threading
import numpy as np
import input_data

class Labels(np.ndarray):
    def __getitem__(self, index):
        shuffling.set()
        forked.wait(0.5)
        return super().__getitem__(index)

def draw():
    images, labels = data_set.next_batch(8)
    together.append(np.array_equal((255 * images[:, 0]).round(), labels))

def draw_in_a_thread():
    thread = threading.Thread(target=draw)
    thread.start()
    return thread

shuffling, forked, together = threading.Event(), threading.Event(), []
images = np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)
data_set = input_data.DataSet(images, np.arange(8), seed=1)
data_set._labels = data_set._labels.view(Labels)
first = draw_in_a_thread()
shuffling.wait()
child = os.fork()
signal.alarm(20)  # ends a process that hangs
forked.set()
draw_in_a_thread().join()
draw()
if child == 0:
    os._exit(not all(together))
first.join()
print(together, os.waitpid(child, 0)[1])
"""


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='Windows has no fork')
def test_child_of_a_fork_gets_whole_data_sets_and_no_locked_lock():
    """While another thread is in the middle of a batch."""
    command = [sys.executable, '-c', FORK]
    stdout = subprocess.check_output(command, cwd=ROOT, universal_newlines=True)
    assert stdout == '[True, True, True] 0\n'


@pytest.fixture
def traced():
    """Returns a function for the memory taken since its last call: now, and at most."""

    def traced():
        taken = tracemalloc.get_traced_memory()
        tracemalloc.clear_traces()
        return taken

    tracemalloc.start()
    yield traced
    tracemalloc.stop()


def test_memory(digits_dir, traced):
    """A pixel takes one byte, and four once the images are asked for."""
    sets = input_data.read_data_sets(digits_dir, validation_size=100)
    assert traced()[1] < 8000 * 784 + (3 << 20)
    for _ in range(100):  # neither a batch nor an epoch's end copies all pixels
        sets.train.next_batch(100)
    assert traced()[1] < 2 << 20
    sets = input_data.read_data_sets(digits_dir, validation_size=100)
    assert sets.train.images is sets.train.images  # the bytes are let go
    assert traced()[0] < (4 * 6900 + 1100) * 784 + (1 << 20)
    # A batch past the end: the images in their new order, and the batch itself.
    sets.train.next_batch(3450)
    traced()
    sets.train.next_batch(6900)
    assert traced()[1] < 2.2 * 4 * 6900 * 784 + (1 << 20)


def test_import_needs_neither_tensorflow_nor_what_a_download_needs():
    code = 'import sys, input_data; print(*sorted(sys.modules))'
    modules = subprocess.check_output(
        [sys.executable, '-c', code], cwd=ROOT, universal_newlines=True
    ).split()
    assert 'numpy' in modules
    assert not {'tensorflow', 'certifi', 'tqdm'} & set(modules)

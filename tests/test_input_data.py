"""The loader's API: the same batches as TensorFlow 1.3's, held in less memory."""

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import input_data

HERE = os.path.dirname(os.path.abspath(__file__))


class PlainDataSet(object):
    """What the facts about TensorFlow 1.3 say of next_batch(), word for word.

    It copies whole arrays, as the original did; the generator is its own.
    """

    def __init__(self, images, labels, seed):
        images = images.reshape(len(images), -1).astype(np.float32)
        self.images, self.labels = np.multiply(images, 1.0 / 255.0), labels
        self.generator = np.random.RandomState(seed)
        self.start, self.epochs_completed = 0, 0

    def shuffle(self):
        order = np.arange(len(self.images))
        self.generator.shuffle(order)
        self.images, self.labels = self.images[order], self.labels[order]

    def next_batch(self, size, shuffle=True):
        start, count = self.start, len(self.images)
        if self.epochs_completed == 0 and start == 0 and shuffle:
            self.shuffle()
        if start + size <= count:
            self.start = start + size
            return self.images[start : self.start], self.labels[start : self.start]
        self.epochs_completed += 1
        rest = self.images[start:], self.labels[start:]
        if shuffle:
            self.shuffle()
        self.start = start + size - count
        new = self.images[: self.start], self.labels[: self.start]
        return np.concatenate([rest[0], new[0]]), np.concatenate([rest[1], new[1]])


def random_examples(count):
    rng = np.random.RandomState(count)
    images = rng.randint(0, 256, (count, 4, 3, 1)).astype(np.uint8)
    return images, rng.randint(0, 10, count).astype(np.uint8)


def assert_same(actual, expected):
    """Bit for bit: values, dtype, shape and order."""
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize('shuffle', [True, False])
@pytest.mark.parametrize(
    'sizes',
    [
        [1] * 70,
        [7] * 30,
        [23] * 4,
        [22, 23, 24, 46, 47, 100, 1, 1],
        [24] * 5,
        [60, 5, 5],
    ],
    ids=str,
)
def test_batches_are_those_of_tensorflow_1_3(sizes, shuffle):
    """Also sizes that don't divide the 23 examples, and larger ones."""
    images, labels = random_examples(23)
    data_set = input_data.DataSet(images, labels, seed=5)
    plain = PlainDataSet(images, labels, seed=5)
    for size in sizes:
        batch = data_set.next_batch(size, shuffle=shuffle)
        expected = plain.next_batch(size, shuffle=shuffle)
        assert_same(batch[0], expected[0])
        assert_same(batch[1], expected[1])
        assert data_set.epochs_completed == plain.epochs_completed
        assert_same(data_set.images, plain.images)
        assert_same(data_set.labels, plain.labels)


def test_shuffling_may_begin_late_and_pause():
    images, labels = random_examples(23)
    data_set = input_data.DataSet(images, labels, seed=5)
    plain = PlainDataSet(images, labels, seed=5)
    for size, shuffle in [(5, False), (20, True), (30, False), (9, True), (23, True)]:
        batch = data_set.next_batch(size, shuffle=shuffle)
        assert_same(batch[0], plain.next_batch(size, shuffle=shuffle)[0])


def running_sums(data_set, last, **options):
    """Yields, batch by batch, its number, the data set, and both running SHA-256."""
    separate, together = [hashlib.sha256(), hashlib.sha256()], hashlib.sha256()
    for number in range(1, last + 1):
        for part, array in zip(separate, data_set.next_batch(**options)):
            part.update(array.tobytes())
            together.update(array.tobytes())
        yield str(number), [part.hexdigest() for part in separate], together.hexdigest()


def test_batches_of_mnist_have_the_recorded_sums(mnist_dir):
    with open(os.path.join(HERE, 'data', 'batches.json')) as f:
        recorded = json.load(f)

    train = input_data.read_data_sets(mnist_dir, seed=recorded['seed']).train
    sums = hashlib.sha256(train.images.tobytes()).hexdigest()
    assert sums == recorded['train_images_sha256']
    expected = recorded['batch_size_100']['running_sha256_after_batch']
    seen = 0
    for number, (images, labels), _ in running_sums(train, 1650, batch_size=100):
        if number in expected:
            assert images == expected[number]['images_sha256']
            assert labels == expected[number]['labels_sha256']
            assert train.epochs_completed == expected[number]['epochs_completed']
            seen += 1
    assert seen == len(expected)

    for name, last, options in [
        ('batch_size_128', 1000, {'batch_size': 128}),
        ('batch_size_100_shuffle_False', 600, {'batch_size': 100, 'shuffle': False}),
    ]:
        expected = recorded[name]['running_sha256_of_images_then_labels_after_batch']
        train = input_data.read_data_sets(mnist_dir, seed=recorded['seed']).train
        for number, _, both in running_sums(train, last, **options):
            if number in expected:
                assert both == expected[number]['sha256']
                assert train.epochs_completed == expected[number]['epochs_completed']


def test_mnist_is_split_into_55000_5000_and_10000(mnist_dir):
    data_sets = input_data.read_data_sets(mnist_dir)
    assert [data_set.num_examples for data_set in data_sets] == [55000, 5000, 10000]
    assert data_sets.train.labels[:3].tolist() == [7, 3, 4]
    assert data_sets.validation.labels[:3].tolist() == [5, 0, 4]
    assert data_sets.test.labels[:3].tolist() == [7, 2, 1]


def test_first_training_examples_are_the_validation_set(digits_dir):
    whole = input_data.read_data_sets(digits_dir, validation_size=0)
    split = input_data.read_data_sets(digits_dir, validation_size=123)
    assert split._fields == ('train', 'validation', 'test')
    assert_same(split.validation.images, whole.train.images[:123])
    assert_same(split.train.images, whole.train.images[123:])
    assert_same(split.train.labels, whole.train.labels[123:])
    assert whole.validation.num_examples == 0
    assert input_data.load_mnist(digits_dir).validation.num_examples == 5000


@pytest.mark.parametrize('dtype', [np.float32, tf.float32, 'float32'])
def test_float32_pixels_are_from_0_to_1(digits_dir, dtype):
    images = input_data.read_data_sets(digits_dir, dtype=dtype).test.images
    assert images.dtype == np.float32
    assert images.shape == (1000, 784)
    assert (images.min(), images.max()) == (0, 1)


@pytest.mark.parametrize('dtype', [np.uint8, tf.uint8, 'uint8'])
def test_uint8_pixels_are_from_0_to_255(digits_dir, dtype):
    test = input_data.read_data_sets(digits_dir, dtype=dtype, reshape=False).test
    assert test.images.dtype == test.next_batch(3)[0].dtype == np.uint8
    assert test.images.shape == (1000, 28, 28, 1)
    assert (test.images.min(), test.images.max()) == (0, 255)


@pytest.mark.parametrize('dtype', [np.float64, tf.int32, 'float16', None])
def test_other_dtypes_are_a_type_error(digits_dir, dtype):
    with pytest.raises(TypeError):
        input_data.read_data_sets(digits_dir, dtype=dtype)


def test_one_hot_labels(digits_dir):
    dense = input_data.read_data_sets(digits_dir, seed=1).train
    one_hot = input_data.read_data_sets(digits_dir, one_hot=True, seed=1).train
    assert one_hot.labels.dtype == np.float64
    assert one_hot.labels.shape == (2000, 10)
    labels = one_hot.next_batch(50)[1]
    assert_same(labels.argmax(axis=1).astype(np.uint8), dense.next_batch(50)[1])
    assert (labels.sum(axis=1) == 1).all()


def test_dense_to_one_hot():
    rows = input_data.dense_to_one_hot(np.array([2, 0]), 3)
    assert_same(rows, np.array([[0.0, 0, 1], [1, 0, 0]]))
    with pytest.raises(ValueError, match='label 3 is not from 0 to 2'):
        input_data.dense_to_one_hot(np.array([2, 3]), 3)


@pytest.mark.parametrize('one_hot, label', [(False, 0), (True, [1] + [0] * 9)])
def test_fake_data_is_images_of_ones_with_label_0(one_hot, label):
    data_sets = input_data.read_data_sets('no such folder', True, one_hot=one_hot)
    assert not os.path.exists('no such folder')
    for data_set in data_sets:
        assert data_set.num_examples == 10000
        images, labels = data_set.next_batch(3, True)
        assert (images, labels) == ([[1] * 784] * 3, [label] * 3)


def test_the_global_generator_is_never_seeded(digits_dir):
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    input_data.read_data_sets(digits_dir, seed=1).train.next_batch(100)
    input_data.read_data_sets(digits_dir)
    assert np.random.rand() == expected


@pytest.mark.parametrize('when', ['before', 'after'])
def test_without_a_seed_numpy_random_seed_makes_batches_repeatable(digits_dir, when):
    def batch(seed):
        if when == 'before':
            np.random.seed(seed)
        train = input_data.read_data_sets(digits_dir).train
        if when == 'after':
            np.random.seed(seed)
        return train.next_batch(100)[0]

    assert_same(batch(3), batch(3))
    assert not np.array_equal(batch(3), batch(4))


def test_each_data_set_has_a_generator_of_its_own(digits_dir):
    """Taking from one does not change what the other gives."""
    alone = input_data.read_data_sets(digits_dir, seed=2)
    mixed = input_data.read_data_sets(digits_dir, seed=2)
    for _ in range(30):
        mixed.test.next_batch(100)
        assert_same(mixed.train.next_batch(99)[0], alone.train.next_batch(99)[0])


@pytest.mark.parametrize('batch_size', [10.0, '10', None])
def test_batch_size_that_is_no_integer_leaves_the_data_set_as_it_was(batch_size):
    data_set, same = [input_data.DataSet(*random_examples(23), seed=1) for _ in 'ab']
    with pytest.raises(TypeError):
        data_set.next_batch(batch_size)
    assert_same(data_set.next_batch(10)[0], same.next_batch(10)[0])


def test_images_are_built_once_an_order():
    data_set = input_data.DataSet(*random_examples(23), seed=1)
    data_set.next_batch(10)
    images, labels = data_set.images, data_set.labels
    data_set.next_batch(10)
    assert data_set.images is images and data_set.labels is labels
    data_set.next_batch(10)  # a new epoch, a new order
    assert data_set.images is not images and data_set.labels is not labels


def test_a_batch_is_the_callers_to_change():
    images, labels = random_examples(23)
    data_set = input_data.DataSet(images, labels, dtype=np.uint8, seed=1)
    before = data_set.images.copy()
    for batch in data_set.next_batch(10):
        batch[:] = 0
    data_set.next_batch(5, shuffle=False)[0][:] = 0
    data_set = input_data.DataSet(images, labels, dtype=np.uint8, seed=1)
    assert_same(data_set.images, before)


def test_pixels_stay_one_byte_each(digits_dir):
    """Neither batches nor an epoch's end make a copy of the data set."""
    code = '\n'.join(
        [
            'import sys, tracemalloc, input_data',
            'tracemalloc.start()',
            'train = input_data.read_data_sets(sys.argv[1]).train',
            'for _ in range(100): train.next_batch(100)',
            'print(tracemalloc.get_traced_memory()[1])',
        ]
    )
    peak = subprocess.check_output(
        [sys.executable, '-c', code, digits_dir], cwd=os.path.dirname(HERE)
    )
    assert int(peak) < 1.5 * 8000 * 784 + (3 << 20)


def test_import_needs_neither_tensorflow_nor_pooch():
    code = 'import sys, input_data; print(*sorted(sys.modules))'
    modules = subprocess.check_output(
        [sys.executable, '-c', code], cwd=os.path.dirname(HERE), universal_newlines=True
    ).split()
    assert 'numpy' in modules
    assert not {'tensorflow', 'pooch', 'requests', 'tqdm'} & set(modules)

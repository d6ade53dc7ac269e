"""The loader's API: the same batches as TensorFlow 1.3's, held in less memory."""

import copy
import hashlib
import json
import multiprocessing
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

import generate_digits
import input_data

HERE = os.path.dirname(os.path.abspath(__file__))


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
        start, count = self._index_in_epoch, self._num_examples
        if self._epochs_completed == 0 and start == 0 and shuffle:
            self.shuffle()
        if start + size <= count:
            stop = self._index_in_epoch = start + size
            return self._images[start:stop].copy(), self._labels[start:stop].copy()
        self._epochs_completed += 1
        rest = self._images[start:count], self._labels[start:count]
        if shuffle:
            self.shuffle()
        stop = self._index_in_epoch = start + size - count
        new = self._images[:stop], self._labels[:stop]
        return np.concatenate([rest[0], new[0]]), np.concatenate([rest[1], new[1]])


def random_examples(count):
    rng = np.random.RandomState(count)
    images = rng.randint(0, 256, (count, 4, 3, 1)).astype(np.uint8)
    return images, rng.randint(0, 10, count).astype(np.uint8)


def pair(seed=5):
    """Returns a DataSet and what it should be like."""
    images, labels = random_examples(23)
    data_set = input_data.DataSet(images, labels.copy(), seed=seed)
    return data_set, PlainDataSet(images, labels, np.random.RandomState(seed))


def assert_same(actual, expected):
    """Bit for bit: values, dtype, shape and order."""
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual, expected)


def assert_same_batches(actual, expected, sizes, **options):
    for size in sizes:
        found = actual.next_batch(size, **options)
        for array, wanted in zip(found, expected.next_batch(size, **options)):
            assert_same(array, wanted)
        assert actual.epochs_completed == expected.epochs_completed


def assert_same_sets(actual, expected):
    assert_same(actual.images, expected.images)
    assert_same(actual.labels, expected.labels)


def recorded(name):
    with open(os.path.join(HERE, 'data', name)) as f:
        return json.load(f)


def digest(arrays):
    total = hashlib.sha256()
    for array in arrays:
        total.update((str(array.dtype) + str(array.shape)).encode() + array.tobytes())
    return total.hexdigest()


@pytest.mark.parametrize('images_asked_for', [True, False])
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
def test_batches_are_those_of_tensorflow_1_3(sizes, shuffle, images_asked_for):
    """Also sizes that don't divide the 23 examples, and larger ones."""
    data_set, plain = pair()
    for size in sizes:
        assert_same_batches(data_set, plain, [size], shuffle=shuffle)
        if images_asked_for:
            assert_same_sets(data_set, plain)
    assert_same_sets(data_set, plain)


def test_shuffling_may_begin_late_and_pause():
    data_set, plain = pair()
    for size, shuffle in [(5, False), (20, True), (30, False), (9, True), (23, True)]:
        assert_same_batches(data_set, plain, [size], shuffle=shuffle)


def running_sums(data_set, last, **options):
    """Yields, batch by batch, its number, the data set, and both running SHA-256."""
    separate, together = [hashlib.sha256(), hashlib.sha256()], hashlib.sha256()
    for number in range(1, last + 1):
        for part, array in zip(separate, data_set.next_batch(**options)):
            part.update(array.tobytes())
            together.update(array.tobytes())
        yield str(number), [part.hexdigest() for part in separate], together.hexdigest()


def test_batches_of_mnist_have_the_recorded_sums(mnist_dir):
    sums = recorded('batches.json')
    train = input_data.read_data_sets(mnist_dir, seed=sums['seed']).train
    digits = hashlib.sha256(train.images.tobytes()).hexdigest()
    assert digits == sums['train_images_sha256']
    expected = sums['batch_size_100']['running_sha256_after_batch']
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
        expected = sums[name]['running_sha256_of_images_then_labels_after_batch']
        train = input_data.read_data_sets(mnist_dir, seed=sums['seed']).train
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
    assert test.image_shape == (28, 28, 1)
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
    assert_same(input_data.dense_to_one_hot(np.array([[2], [0]]), 3), rows)
    assert_same(input_data.dense_to_one_hot(np.array([False, True]), 2), np.eye(2))
    with pytest.raises(ValueError, match='label 3 is not one of the 3 classes'):
        input_data.dense_to_one_hot(np.array([2, 3]), 3)


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


@pytest.mark.parametrize('seed', range(5))
def test_the_three_sets_share_one_generator(digits_dir, seed):
    """Sets taken in turn at random: a shuffle of one moves that of the next."""
    sets = input_data.read_data_sets(digits_dir, dtype=np.uint8, reshape=False)
    generator = np.random.RandomState(seed)
    plain = [PlainDataSet(x.images.copy(), x.labels.copy(), generator) for x in sets]
    sets = input_data.read_data_sets(digits_dir, seed=seed)
    rng = np.random.RandomState(seed)
    for _ in range(40):
        which, size = rng.randint(3), rng.randint(1, 3000)
        assert_same_batches(sets[which], plain[which], [size])


def test_two_readings_do_not_share_a_generator(digits_dir):
    first, second = [input_data.read_data_sets(digits_dir, seed=1).test for _ in 'ab']
    assert digest(first.next_batch(50)) == digest(second.next_batch(50))


@pytest.mark.parametrize('seed, reduced', [(-1, 2**31 - 2), (2**31 - 1, 0), (2**32, 2)])
def test_seeds_are_reduced_as_tensorflow_reduced_them(seed, reduced):
    data_set = input_data.DataSet(*random_examples(23), seed=seed)
    assert_same_batches(data_set, pair(reduced)[1], [23])


@pytest.mark.parametrize('seed', ['7', 7.0])
def test_a_seed_that_is_no_integer_is_a_type_error(seed):
    with pytest.raises(TypeError):
        input_data.DataSet(*random_examples(23), seed=seed)


@pytest.mark.parametrize('seed, started_as', [(None, 777), (7, 7)])
def test_the_seed_of_the_default_graph_seeds_the_batches(seed, started_as):
    state = np.random.get_state()[1].tolist()
    with tf.Graph().as_default():
        tf.set_random_seed(777)
        data_set = input_data.DataSet(*random_examples(23), seed=seed)
        weights = tf.random_normal([3])
    with tf.Graph().as_default():
        tf.set_random_seed(777)  # and the script's own ops get the seeds they had
        same = tf.random_normal([3])
    assert str(weights.graph.as_graph_def()) == str(same.graph.as_graph_def())
    assert_same_batches(data_set, pair(started_as)[1], [5, 20, 30])
    assert np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize('one_hot', [False, True])
def test_batches_of_no_size_move_back(one_hot):
    images, labels = random_examples(23)
    if one_hot:
        labels = input_data.dense_to_one_hot(labels, 10)
    data_set = input_data.DataSet(images, labels, seed=5)
    plain = PlainDataSet(images, labels, np.random.RandomState(5))
    with pytest.raises(ValueError, match='batch_size -1 '):
        data_set.next_batch(-1)  # and nothing is shuffled
    assert_same_batches(data_set, plain, [0, 7, 0, -3, 5, -9, 23, 4, -2, 20])
    before = data_set._index_in_epoch
    with pytest.raises(ValueError, match='batch_size -24'):
        data_set.next_batch(-24)
    assert data_set._index_in_epoch == before
    assert_same_batches(data_set, plain, [-before, 23])


def changes():
    """What scripts do to a data set, each as a function of one."""

    def in_place(data_set):
        data_set.images[:, 1] = 0.5
        data_set.labels[:3] = 9

    def reshaped(data_set):
        data_set._images = data_set._images.reshape(-1, 4, 3, 1)

    def noise(data_set):
        data_set._images = data_set.images + np.float32(0.1)

    def fewer(data_set):
        keep = data_set.labels > 4
        data_set._images, data_set._labels = (
            data_set.images[keep],
            data_set.labels[keep],
        )
        data_set._num_examples = int(keep.sum())

    def more(data_set):
        data_set._images = np.concatenate([data_set.images, 1 - data_set.images])
        data_set._labels = np.concatenate([data_set.labels, data_set.labels])
        data_set._num_examples *= 2

    def first_ones(data_set):
        data_set._num_examples = 6

    def start_over(data_set):
        data_set._index_in_epoch = data_set._epochs_completed = 0

    def relabelled(data_set):
        data_set._labels = data_set._labels % 2

    return [in_place, reshaped, noise, fewer, more, first_ones, start_over, relabelled]


@pytest.mark.parametrize('taken', [0, 10, 30])
@pytest.mark.parametrize('change', changes())
def test_what_a_script_changes_comes_back_in_its_batches(change, taken):
    data_set, plain = pair()
    for each in data_set, plain:
        if taken:
            each.next_batch(taken)
        change(each)
    assert_same_batches(data_set, plain, [3, 40, 7, 7, 60])
    assert_same_sets(data_set, plain)


def assert_recorded(case, folder, expected):
    with tf.Graph().as_default():
        if 'graph_seed' in case:
            tf.set_random_seed(case['graph_seed'])
        sets = input_data.read_data_sets(folder, **case['arguments'])
    if 'numpy_seed_after_load' in case:
        np.random.seed(case['numpy_seed_after_load'])
    batches = []
    for name, size, shuffle, times in case['calls']:
        for _ in range(times):
            batches += getattr(sets, name).next_batch(size, shuffle=shuffle)
    assert digest(batches) == expected['sha256']
    assert [x.epochs_completed for x in sets] == expected['epochs_completed']


@pytest.mark.parametrize('case', recorded('batches-mixed.json'))
def test_recorded_batches_of_sets_taken_in_turn(case, mnist_dir):
    assert_recorded(case, mnist_dir, case)


@pytest.mark.parametrize('case', recorded('batches-mixed.json'))
def test_recorded_batches_of_random_digits(case, tmp_path):
    """TensorFlow 1.3 has read the same files for `random_digits`."""
    rng = np.random.RandomState(0)
    for name in input_data.SHA256:
        shape = (7000 if 'train' in name else 1000,) + (4, 3) * ('images' in name)
        data = rng.randint(0, 256 if 'images' in name else 10, shape)
        path = str(tmp_path / name)
        generate_digits.write_idx(path, shape, [data.astype(np.uint8)])
    assert_recorded(case, str(tmp_path), case['random_digits'])


def test_recorded_uses_of_the_attributes(mnist_dir):
    expected = recorded('uses.json')

    def read(seed, **options):
        return input_data.read_data_sets(mnist_dir, seed=seed, **options)

    train = read(3).train
    train._images = train._images.reshape(-1, 28, 28, 1)
    found = train.next_batch(5) + train.next_batch(7)
    assert digest(found) == expected['images_reshaped_through_the_attribute']

    sets = read(3, one_hot=True)
    sets.train.next_batch(10)
    found = sets.train._labels[:50], sets.test._labels[:50], sets.train._images[:3]
    assert digest(found) == expected['labels_read_through_the_attribute']

    train = read(4).train
    noise = np.random.RandomState(1).rand(784).astype(np.float32)
    train._images = train.images + noise
    found = train.next_batch(20) + train.next_batch(60000)
    assert digest(found) == expected['noise_put_into_the_set']

    test = read(5).test
    test.images[:, :392] = 0
    found = test.next_batch(30) + test.next_batch(9990)
    found += test.images[:40], test.labels[:40]
    assert digest(found) == expected['images_changed_in_place']

    train = read(8).train
    keep = np.isin(train.labels, [3, 7])
    train._images, train._labels = train.images[keep], train.labels[keep]
    train._num_examples = int(keep.sum())
    found = train.next_batch(100) + train.next_batch(11000) + train.next_batch(3000)
    assert digest(found) == expected['only_some_digits']

    train = read(9).train
    found = train.next_batch(40)
    train._index_in_epoch = train._epochs_completed = 0
    found += train.next_batch(40) + (np.array([train.epochs_completed]),)
    assert digest(found) == expected['started_over']


def test_recorded_use_of_data_sets_of_ones_own():
    rng = np.random.RandomState(2)
    images = rng.randint(0, 256, (30, 4, 6, 1)).astype(np.uint8)
    data_set = input_data.DataSet(images, rng.randint(0, 4, 30), seed=1)
    found = data_set.next_batch(7) + data_set.next_batch(40) + (data_set.images,)
    data_set = input_data.DataSet(rng.rand(30, 4, 6, 1), rng.rand(30, 2), seed=1)
    found += data_set.next_batch(7) + data_set.next_batch(25) + (data_set.images,)
    data_set = input_data.DataSet(
        rng.rand(30, 8), rng.rand(30, 2), reshape=False, dtype=np.uint8, seed=1
    )
    found += data_set.next_batch(7) + data_set.next_batch(25)
    found += data_set.images, data_set.labels
    assert digest(found) == recorded('uses.json')['data_sets_of_ones_own']


@pytest.mark.parametrize('seed', [None, 4])
def test_copies_go_on_like_the_original_also_in_another_process(seed):
    data_set = input_data.DataSet(*random_examples(23), seed=seed)
    data_set.next_batch(5)
    state = np.random.get_state()
    found = []
    for other in copy.deepcopy(data_set), pickle.loads(pickle.dumps(data_set)):
        np.random.set_state(state)
        found.append(digest(other.next_batch(40)))
    np.random.set_state(state)
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        batch = pool.apply(input_data.DataSet.next_batch, (data_set, 40))
    expected = data_set.next_batch(40)
    assert set(found) == {digest(expected)}
    if seed is None:  # the other process has a global generator of its own
        assert [part.shape for part in batch] == [part.shape for part in expected]
    else:
        assert digest(batch) == digest(expected)


def test_copies_of_the_three_sets_share_a_generator_among_them(digits_dir):
    sets = input_data.read_data_sets(digits_dir, seed=1)
    copies = [sets, copy.deepcopy(sets), pickle.loads(pickle.dumps(sets))]
    found = [digest(x.test.next_batch(9) + x.train.next_batch(9)) for x in copies]
    assert len(set(found)) == 1


def test_the_arrays_of_files_may_be_written_to(digits_dir):
    for data_set in input_data.read_data_sets(digits_dir, dtype=np.uint8):
        data_set.images[:] = data_set.labels[:] = 1
        assert all((part == 1).all() for part in data_set.next_batch(50))


@pytest.mark.parametrize('batch_size', [10.0, '10', None])
def test_batch_size_that_is_no_integer_leaves_the_data_set_as_it_was(batch_size):
    data_set, same = [input_data.DataSet(*random_examples(23), seed=1) for _ in 'ab']
    with pytest.raises(TypeError):
        data_set.next_batch(batch_size)
    assert_same(data_set.next_batch(10)[0], same.next_batch(10)[0])


@pytest.mark.parametrize('images_asked_for', [True, False])
def test_a_batch_is_the_callers_to_change(images_asked_for):
    data_set, plain = pair()
    for each in data_set, plain:
        if images_asked_for:
            assert each.images is each.images
        for size, shuffle in [(10, True), (5, False), (30, True)]:
            for part in each.next_batch(size, shuffle=shuffle):
                part[:] = 0
    assert_same_sets(data_set, plain)


@pytest.mark.parametrize(
    'images, which, bytes_a_pixel', [('', 1, 1.5), ('x.images;', 0, 4)]
)
def test_pixels_take_one_byte_and_four_once_they_are_asked_for(
    digits_dir, images, which, bytes_a_pixel
):
    """Neither batches nor an epoch's end make a copy of one-byte pixels."""
    code = """if True:
        import sys, tracemalloc, input_data
        tracemalloc.start()
        sets = input_data.read_data_sets(sys.argv[1])
        for x in sets:
            %s [x.next_batch(100) is None for _ in range(100)]
        print(tracemalloc.get_traced_memory()[%d])
        """
    taken = subprocess.check_output(
        [sys.executable, '-c', code % (images, which), digits_dir],
        cwd=os.path.dirname(HERE),
    )
    assert int(taken) < bytes_a_pixel * 8000 * 784 + (3 << 20)


def test_import_needs_neither_tensorflow_nor_what_a_download_needs():
    code = 'import sys, input_data; print(*sorted(sys.modules))'
    modules = subprocess.check_output(
        [sys.executable, '-c', code], cwd=os.path.dirname(HERE), universal_newlines=True
    ).split()
    assert 'numpy' in modules
    assert not {'tensorflow', 'certifi', 'tqdm'} & set(modules)

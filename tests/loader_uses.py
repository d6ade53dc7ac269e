"""What scripts written for TensorFlow 1.x do with the data sets: functions of a loader.

The tests run them with this repository's loader, record_tensorflow_1_3.py with that of
TensorFlow 1.3. So this module runs on Python 3.6 too, and imports neither.
"""

import copy
import hashlib
import json
import os

import numpy as np

from idx_files import FILES, write_idx

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'data')


class Loader(object):
    """A module input_data, a folder with its four files, and tf.set_random_seed."""

    def __init__(self, input_data, folder, set_random_seed):
        self.input_data, self.folder = input_data, folder
        self.DataSet, self.set_random_seed = input_data.DataSet, set_random_seed

    def read(self, **arguments):
        return self.input_data.read_data_sets(self.folder, **arguments)


def recorded(name):
    with open(os.path.join(DATA, name)) as f:
        return json.load(f)


def digest(arrays):
    total = hashlib.sha256()
    for array in arrays:
        total.update((str(array.dtype) + str(array.shape)).encode() + array.tobytes())
    return total.hexdigest()


def write_random_digits(folder, train=7000, test=1000, size=(4, 3)):
    """Writes four files in MNIST's format, of noise, into a folder, new or not."""
    os.makedirs(folder, exist_ok=True)
    rng = np.random.RandomState(0)
    for name, count in ('train', train), ('test', test):
        shapes = {'images': (count,) + size, 'labels': (count,)}
        for kind, values in ('images', 256), ('labels', 10):
            shape = shapes[kind]
            file = FILES[name] % (kind, len(shape))
            data = rng.randint(0, values, shape).astype(np.uint8)
            write_idx(os.path.join(folder, file), data)


def running_sums(loader, name):
    """Returns what batches.json has for batches such as '100', for this loader.

    First their key; they are running SHA-256, of images and labels apart or in one.
    """
    sums = recorded('batches.json')
    train = loader.read(seed=sums['seed']).train
    sums = sums['batch_size_' + name]
    (key,) = [key for key in sums if key.startswith('running')]
    expected = sums[key]
    parts = {'images_sha256': [0], 'labels_sha256': [1], 'sha256': [0, 1]}
    wanted = next(iter(expected.values()))
    totals = {part: hashlib.sha256() for part in parts if part in wanted}
    found = {}
    for number in range(1, 1 + max(map(int, expected))):
        batch = train.next_batch(int(name[:3]), shuffle='False' not in name)
        for part in totals:
            for index in parts[part]:
                totals[part].update(batch[index].tobytes())
        if str(number) in expected:
            found[str(number)] = {part: totals[part].hexdigest() for part in totals}
            found[str(number)]['epochs_completed'] = train.epochs_completed
    return key, found


def taken_in_turn(loader, case):
    """Returns what batches-mixed.json has for a case, for this loader."""
    if 'graph_seed' in case:
        loader.set_random_seed(case['graph_seed'])
    sets = loader.read(**case['arguments'])
    if 'numpy_seed_after_load' in case:
        np.random.seed(case['numpy_seed_after_load'])
    batches = []
    for name, size, shuffle, times in case['calls']:
        for _ in range(times):
            batches += getattr(sets, name).next_batch(size, shuffle=shuffle)
    epochs = [data_set.epochs_completed for data_set in sets]
    return {'sha256': digest(batches), 'epochs_completed': epochs}


# The uses. Each returns arrays; those that only read() also work with plain arrays.


def images_reshaped_through_the_attribute(loader):
    train = loader.read(seed=3).train
    train._images = train._images.reshape(-1, 28, 28, 1)
    return train.next_batch(5) + train.next_batch(7)


def labels_read_through_the_attribute(loader):
    sets = loader.read(seed=3, one_hot=True)
    sets.train.next_batch(10)
    return sets.train._labels[:50], sets.test._labels[:50], sets.train._images[:3]


def noise_put_into_the_set(loader):
    train = loader.read(seed=4).train
    noise = np.random.RandomState(1).rand(784).astype(np.float32)
    train._images = train.images + noise
    return train.next_batch(20) + train.next_batch(60000)


def images_changed_in_place(loader):
    test = loader.read(seed=5).test
    test.images[:, :392] = 0
    found = test.next_batch(30) + test.next_batch(9990)
    return found + (test.images[:40], test.labels[:40])


def only_some_digits(loader):
    train = loader.read(seed=8).train
    keep = np.isin(train.labels, [3, 7])
    train._images, train._labels = train.images[keep], train.labels[keep]
    train._num_examples = int(keep.sum())
    return train.next_batch(100) + train.next_batch(11000) + train.next_batch(3000)


def started_over(loader):
    train = loader.read(seed=9).train
    found = train.next_batch(40)
    train._index_in_epoch = train._epochs_completed = 0
    return found + train.next_batch(40) + (np.array([train.epochs_completed]),)


def data_sets_of_ones_own(loader):
    rng = np.random.RandomState(2)
    images = rng.randint(0, 256, (30, 4, 6, 1)).astype(np.uint8)
    data_set = loader.DataSet(images, rng.randint(0, 4, 30), seed=1)
    found = data_set.next_batch(7) + data_set.next_batch(40) + (data_set.images,)
    data_set = loader.DataSet(rng.rand(30, 4, 6, 1), rng.rand(30, 2), seed=1)
    found += data_set.next_batch(7) + data_set.next_batch(25) + (data_set.images,)
    data_set = loader.DataSet(
        rng.rand(30, 8), rng.rand(30, 2), reshape=False, dtype=np.uint8, seed=1
    )
    found += data_set.next_batch(7) + data_set.next_batch(25)
    return found + (data_set.images, data_set.labels)


def seeds_set_again_for_each_section(loader):
    loader.set_random_seed(1)
    np.random.seed(2)
    train, found = loader.read().train, ()
    for _ in range(2):
        loader.set_random_seed(1)
        np.random.seed(2)
        for _ in range(4):
            images, labels = train.next_batch(19000)
            found += images[:50], labels[:50]
    return found


def noise_drawn_between_batches(loader):
    loader.set_random_seed(30)
    sets, found = loader.read(one_hot=True), ()
    for _ in range(3):
        found += (np.random.normal(size=(8, 5)),) + sets.train.next_batch(8)
    return found + sets.validation.next_batch(4)


def deep_copy_drawn_from_in_turn(loader):
    loader.set_random_seed(12)
    sets = loader.read()
    other, found = copy.deepcopy(sets), ()
    for each in sets, other, sets:
        images, labels = each.test.next_batch(6000)
        found += images[:20].copy(), labels[:20].copy()
    return found


def read_twice_under_one_graph_seed(loader):
    loader.set_random_seed(21)
    first = loader.read()
    found = tuple(part.copy() for part in first.train.next_batch(10))
    second = loader.read()
    return found + second.train.next_batch(10) + first.test.next_batch(10)


def subclass_with_a_constructor_of_its_own(loader):
    class Points(loader.DataSet):
        def __init__(self, points, labels):
            self._images, self._labels, self._num_examples = points, labels, len(points)
            self._index_in_epoch = self._epochs_completed = 0

    np.random.seed(6)
    points = Points(np.arange(24.0).reshape(12, 2), np.arange(12))
    return points.next_batch(5) + points.next_batch(10)


def buffer_filled_again_for_each_set(loader):
    buffer, data_sets = np.zeros((9, 3, 3, 1), np.uint8), []
    for value in 10, 20:
        buffer[:] = value
        data_sets.append(loader.DataSet(buffer, np.arange(9), seed=value))
    buffer[:] = 99
    return data_sets[0].next_batch(4) + data_sets[1].next_batch(4)


# The digests of the first are in uses.json, those of the others in numpy_uses.json.
USES = [
    images_reshaped_through_the_attribute,
    labels_read_through_the_attribute,
    noise_put_into_the_set,
    images_changed_in_place,
    only_some_digits,
    started_over,
    data_sets_of_ones_own,
]
NUMPY_USES = [
    seeds_set_again_for_each_section,
    noise_drawn_between_batches,
    deep_copy_drawn_from_in_turn,
    read_twice_under_one_graph_seed,
    subclass_with_a_constructor_of_its_own,
    buffer_filled_again_for_each_set,
]

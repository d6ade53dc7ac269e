"""Runs random scripts with TensorFlow 1.3's own loader and with this repository's.

    python tests/compare_with_tensorflow_1_3.py --scripts 20000

A script makes data sets and uses them: each method of Script is a use. After each, what
came back has to be the same. Where the two differ on purpose, scripts keep to what they
have in common:

- With seed=, the sets of a read_data_sets() have a generator of their own here, and so
  have all that scripts make themselves. So such a script either reads once or makes
  data sets itself; it copies none and draws no random numbers.
- With neither seed= nor a graph seed, TensorFlow 1.3 seeds NumPy's generator at random.
  So such a script calls numpy.random.seed() each time that it has made data sets.
- A shallow copy shares its images here if they have been read, so they have.
- Nothing is written into a batch, which is a copy here and may be a view there.
- No batch leads back past the start of an epoch, no data set of fake data is asked for
  real ones, and no argument has a wrong type.
"""

import argparse
import copy
import functools
import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
import threading

import numpy as np

import loader_uses
import record_tensorflow_1_3

SIZES = (60, 20, (3, 2)), (150, 40, (4, 5)), (301, 53, (2, 2))  # train, test, image
SEEDS = 0, 1, 7, 777, 2**31 - 1, 2**31, 2**32, -5
SHOWN = 5


class Script(object):
    """A random script; its number decides what it does."""

    def __init__(self, number, input_data, tf, folder):
        self.input_data, self.tf, self.folder = input_data, tf, folder
        self.random = random.Random(number)
        self.arrays = np.random.RandomState(number)  # of the script's own
        self.data_sets, self.fake_sets, self.held = [], [], []

    def run(self):
        """Yields name and result of each use."""
        choice, tf = self.random.choice, self.tf
        tf.reset_default_graph()
        self.seed_numpy()
        self.seeded = choice(['seed=', 'seed=', 'graph', 'graph', 'numpy'])
        yield self.seeded, []
        if self.seeded == 'graph' or self.seeded == 'seed=' and choice([True, False]):
            tf.set_random_seed(choice(SEEDS))
        makers = [self.data_set_of_ones_own, self.shell]
        uses = [self.batch] * 6 + [self.batches_in_threads, self.fake_batch]
        uses += [self.read_attribute, self.hold, self.change, self.move]
        uses += [self.assign_arrays, self.assign_number, self.assign_other_examples]
        if self.seeded != 'seed=':
            makers += [self.subclass, self.read, self.read, self.read]
            uses += [self.draw, self.draw, self.seed_numpy, self.copy]
        elif choice([True, False]):
            makers = [self.read]
        use = choice(makers)
        if self.seeded != 'seed=' or use != self.read:
            uses.append(choice(makers))
        for _ in range(self.random.randint(2, 26)):
            if use in makers:
                new = use()
                self.data_sets += new
                if self.seeded == 'numpy':
                    self.seed_numpy()
                elif self.seeded == 'graph' and choice([True, False]):
                    tf.set_random_seed(choice(SEEDS))
                yield use.__name__, [len(new)]
            elif self.data_sets or use == self.fake_batch:
                yield use.__name__, use()
            use = choice(uses)
        for data_set in self.data_sets:
            yield 'state at the end', self.state(data_set)
        if self.seeded != 'seed=':
            yield 'generator at the end', np.random.get_state()[1:]

    # Ways to make data sets. Each returns a list of them.

    def options(self):
        choice, tf = self.random.choice, self.tf
        options = {'seed': choice(SEEDS)} if self.seeded == 'seed=' else {}
        if choice([True, False]):
            options['dtype'] = choice([np.float32, np.uint8, tf.uint8, 'float32'])
        if choice([True, False]):
            options['reshape'] = choice([True, False])
        return options

    def images_and_labels(self):
        choice, count = self.random.choice, self.random.randint(1, 60)
        images = self.arrays.randint(0, 256, (2 * count, 3, 2, 1))
        images = images.astype(choice([np.uint8, np.uint8, np.int64, float]))
        labels = self.arrays.randint(0, 10, (count, 2))
        labels = labels.astype(choice([np.int64, float, 'U']))
        images = choice([images[:count], images[::2], images[-count:]])
        return images, choice([labels, labels[:, 0]])

    def read(self):
        choice, size = self.random.choice, self.random.choice(SIZES)
        options = dict(self.options(), one_hot=choice([True, False]))
        options['validation_size'] = choice([0, 1, size[0] // 3, size[0]])
        options['fake_data'] = choice([True] + [False] * 9)
        folder = os.path.join(self.folder, str(size[0]))
        sets = list(self.input_data.read_data_sets(folder, **options))
        if options['fake_data']:
            self.fake_sets += sets
            return []
        for data_set in sets:  # TensorFlow 1.3's are read-only up to the first shuffle
            for name, array in list(vars(data_set).items()):
                if name in ('_images', '_labels') and not array.flags.writeable:
                    setattr(data_set, name, array.copy())
        return sets

    def data_set_of_ones_own(self):
        images, labels = self.images_and_labels()
        self.held += [images, labels]
        return [self.input_data.DataSet(images, labels, **self.options())]

    def shell(self):
        options = self.options()
        data_set = self.input_data.DataSet([], [], fake_data=True, **options)
        data_set._images, data_set._labels = self.images_and_labels()
        data_set._num_examples = len(data_set._images)
        return [data_set]

    def subclass(self):
        class Points(self.input_data.DataSet):
            def __init__(self, images, labels):
                self._images, self._labels = images, labels
                self._num_examples = len(images)
                self._epochs_completed = self._index_in_epoch = 0

        return [Points(*self.images_and_labels())]

    # Uses. Each returns what it got.

    def any_set(self):
        return self.random.choice(self.data_sets)

    def next_batch(self):
        data_set, choice = self.any_set(), self.random.choice
        index, count = data_set._index_in_epoch, data_set.num_examples
        size = choice([count, count - index, self.random.randint(-index, 3 * count)])
        size = choice([int, np.int64])(choice([1, max(size, -index)]))
        shuffle = choice([True, True, False])
        return data_set.next_batch(*choice([[size], [size, False, shuffle]]))

    def batch(self):
        return self.next_batch() + (self.any_set().epochs_completed,)

    def batches_in_threads(self):
        """Two threads hand each other the turn."""
        turns, found = [threading.Semaphore(1), threading.Semaphore(0)], []

        def draw(own):
            for _ in range(3):
                turns[own].acquire()
                try:
                    found.extend(self.next_batch())
                except Exception as error:  # and the other thread goes on
                    found.append(repr(error))
                finally:
                    turns[1 - own].release()

        threads = [threading.Thread(target=draw, args=[own]) for own in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    def fake_batch(self):
        if self.fake_sets:
            return self.random.choice(self.fake_sets).next_batch(3, fake_data=True)

    def state(self, data_set):
        names = 'num_examples', '_num_examples', 'epochs_completed', '_epochs_completed'
        names += '_index_in_epoch', 'images', 'labels'
        return [getattr(data_set, name) for name in names]

    def read_attribute(self):
        name = self.random.choice(['images', '_images', 'labels', '_labels'])
        return [getattr(self.any_set(), name)]

    def hold(self):
        """Keeps an array, which may be changed after the set has others."""
        self.held += self.read_attribute()

    def change(self):
        held = self.held and self.random.choice([True, False])
        array = self.random.choice(self.held if held else self.read_attribute())
        if self.seeded != 'seed=' and self.random.random() < 0.2:
            np.random.shuffle(array)
        array[self.random.randint(0, len(array)) :][:5] = 3

    def move(self):
        data_set, choice = self.any_set(), self.random.choice
        data_set._index_in_epoch = choice([0, 0, data_set.num_examples // 2])
        data_set._epochs_completed = choice([0, 0, 2])

    def assign_arrays(self):
        data_set, kind = self.any_set(), self.random.randint(0, 3)
        if kind == 0:
            data_set._images = self.arrays.rand(len(data_set._labels), 2)
        elif kind == 1:
            data_set._images = 1 - data_set.images
        elif kind == 2:
            data_set._images = data_set._images[..., np.newaxis]
        else:
            data_set._labels = data_set.labels[::-1]

    def assign_number(self):
        data_set = self.any_set()
        data_set._num_examples = self.random.randint(0, len(data_set._labels))

    def assign_other_examples(self):
        """Half of them, or each twice."""
        data_set = self.any_set()
        count = len(data_set.labels)
        chosen = self.random.choice([np.arange(0, count, 2), np.arange(2 * count) // 2])
        data_set._images = data_set.images[chosen]
        data_set._labels = data_set.labels[chosen]
        data_set._num_examples = len(chosen)

    def copy(self):
        data_set = self.any_set()
        kind = self.random.choice(['all', 'pickled', 'shallow', 'deep'])
        if kind == 'all' and len(self.data_sets) < 9:
            self.data_sets += copy.deepcopy(self.data_sets)
        elif kind == 'pickled' and type(data_set) is self.input_data.DataSet:
            self.data_sets.append(pickle.loads(pickle.dumps(data_set)))
        elif kind == 'shallow' and len(data_set.images):
            self.data_sets.append(copy.copy(data_set))
        else:
            self.data_sets.append(copy.deepcopy(data_set))

    def draw(self):
        kind = self.random.choice(['normal', 'rand', 'permutation', 'randint'])
        return [getattr(np.random, kind)(self.random.randint(1, 9))]

    def seed_numpy(self):
        np.random.seed(self.random.randrange(1000))


def run_scripts(numbers, input_data, tf, folder):
    """Prints the uses of each script with a digest of what came back, as JSON."""
    for number in numbers:
        found = []
        try:
            with record_tensorflow_1_3.silence():
                for use, result in Script(number, input_data, tf, folder).run():
                    arrays = [np.asarray(part) for part in result or []]
                    found.append([use, loader_uses.digest(arrays)[:12]])
        except Exception as error:
            found.append(['error', repr(error)])
        print(json.dumps(found), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    add, root = parser.add_argument, record_tensorflow_1_3.ROOT
    add('--scripts', type=int, default=20000, help='how many (default: %(default)s)')
    add('--first', type=int, default=0, help='the number of the first')
    add('--loader', metavar='DIR', default=root, help='of input_data.py')
    add('--python', help='a Python 3.6, with or without TensorFlow 1.3')
    add('--side', help=argparse.SUPPRESS)
    add('--folder', help=argparse.SUPPRESS)
    flags = parser.parse_args()
    numbers = range(flags.first, flags.first + flags.scripts)
    if flags.side:
        if flags.side == '1.3':
            import tensorflow as tf
            from tensorflow.contrib.learn.python.learn.datasets import mnist as loader
        else:
            sys.path.insert(0, flags.loader)
            import tensorflow.compat.v1 as tf

            import input_data as loader

            tf.disable_v2_behavior()
        run_scripts(numbers, loader, tf, flags.folder)
        return

    python = record_tensorflow_1_3.python_with_tensorflow_1_3(flags.python)
    different = 0
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            loader_uses.write_random_digits(os.path.join(folder, str(size[0])), *size)
        arguments = [__file__] + sys.argv[1:] + ['--folder', folder, '--side']
        start = functools.partial(record_tensorflow_1_3.start, stdout=subprocess.PIPE)
        sides = start(python, *arguments, '1.3'), start(sys.executable, *arguments, '2')
        for number, *lines in zip(numbers, *[side.stdout for side in sides]):
            uses, here = map(json.loads, lines)
            different += uses != here
            if uses != here and different <= SHOWN:
                step = [a == b for a, b in zip(uses, here)].index(False)
                names = ', '.join(use[0] for use in uses[: step + 1])
                error = here[step][1] if here[step][0] == 'error' else ''
                print('script %d differs after: %s' % (number, names), error)
        for side in sides:
            side.stdout.close()  # one that is behind the other need not go on
        if any([side.wait() for side in sides]):
            sys.exit('not all scripts were run')
    print('%d scripts compared, %d differ' % (len(numbers), different))
    sys.exit(different > 0)


if __name__ == '__main__':
    main()

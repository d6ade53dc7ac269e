"""Downloads, reads and batches MNIST, as TensorFlow 1.x's input_data did.

from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets('MNIST_data', one_hot=True)
images, labels = mnist.train.next_batch(100)
"""

import collections
import functools
import gzip
import hashlib
import http.client
import io
import operator
import os
import pathlib
import ssl
import struct
import sys
import tempfile
import threading
import urllib.error
import urllib.request
import zlib
from copy import copy as shallow_copy

import numpy as np

TRAIN_IMAGES = 'train-images-idx3-ubyte.gz'
TRAIN_LABELS = 'train-labels-idx1-ubyte.gz'
TEST_IMAGES = 't10k-images-idx3-ubyte.gz'
TEST_LABELS = 't10k-labels-idx1-ubyte.gz'

# Beside this file, or the package that it is in. A pasted cell has no __file__.
_FILE = pathlib.Path(globals().get('__file__', 'input_data.py')).absolute()
BUNDLED = str(_FILE.parents[__name__.count('.')] / 'MNIST_data')
MIRRORS = (
    'https://storage.googleapis.com/cvdf-datasets/mnist/',
    'https://ossci-datasets.s3.amazonaws.com/mnist/',
    'https://raw.githubusercontent.com/fgnt/mnist/master/',
    'http://yann.lecun.com/exdb/mnist/',
)
# Of what follows the header: `gunzip -c FILE | tail -c +17 | sha256sum`, or +9 (labels)
SHA256 = {
    TRAIN_IMAGES: '741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757',
    TRAIN_LABELS: '1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13',
    TEST_IMAGES: '6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161',
    TEST_LABELS: 'ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5',
}
READ_TIMEOUT = 5  # seconds without an answer, for each address of a host

IMAGES_MAGIC = 2051  # IDX: unsigned bytes (8 * 256), 3 dimensions
LABELS_MAGIC = 2049  # IDX: unsigned bytes, 1 dimension
MAGIC = {name: IMAGES_MAGIC if 'images' in name else LABELS_MAGIC for name in SHA256}
CHUNK = 1 << 20  # bytes read at a time
MAXINT32 = 2**31 - 1  # TensorFlow takes seeds modulo this

NUM_CLASSES = 10
FAKE_EXAMPLES, FAKE_SHAPE = 10000, (28, 28, 1)

Datasets = collections.namedtuple('Datasets', ['train', 'validation', 'test'])

_scaled = functools.partial(np.multiply, np.float32(1 / 255), dtype=np.float32)  # 0..1
_SHARED_GENERATOR = np.random.RandomState()

# A set's images, labels and place change together, for other threads and after a fork.
_LOCK = threading.RLock()
if hasattr(os, 'register_at_fork'):  # not on Windows
    os.register_at_fork(
        before=_LOCK.acquire,
        after_in_parent=_LOCK.release,
        after_in_child=_LOCK.release,
    )


class DataSet(object):
    """Examples that are handed out in batches, reshuffled for each epoch.

    In TensorFlow 1.x, a set was two arrays that each shuffle put into a new order, and
    what a script changed in them came back in its batches. So it is here, but images of
    bytes that are to become float32 stay bytes, and a shuffle moves indices only, until
    somebody asks for `images` or assigns `_images`.
    """

    one_hot = _fake_data = False  # for subclasses with a constructor of their own
    _generator = _pixels = None

    def __init__(
        self,
        images,
        labels,
        fake_data=False,
        one_hot=False,
        dtype=np.float32,
        reshape=True,
        seed=None,
        copy=True,
    ):
        """Wraps images and labels.

        Args:
            images: array [n, rows, cols, 1] of uint8, or of what float32 can be made
                from; not used with fake_data.
            labels: array [n], or [n, classes] with one_hot, kept as it is, uncopied.
            fake_data: bool, hand out images of ones and labels 0, for unit tests.
            one_hot: bool, whether fake labels are one-hot.
            dtype: float32 for pixels in 0..1, or uint8 to keep the array of images as
                it is, uncopied; NumPy's dtype, TensorFlow's, or a name.
            reshape: bool, flatten the images to [n, rows * cols].
            seed: int, which starts anew the generator that such DataSets share; or a
                RandomState. None: NumPy's global generator, started anew with the seed
                of TensorFlow's default graph (tf.set_random_seed) if there is one.
            copy: bool, False if nobody will change the images of a float32 set.

        A TypeError says if dtype or seed is anything else, a ValueError if images and
        labels differ in number or their shape is wrong.
        """
        dtype = np.dtype(getattr(dtype, 'as_numpy_dtype', dtype))
        if dtype not in (np.uint8, np.float32):
            raise TypeError(f'dtype must be uint8 or float32, not {dtype}')
        if fake_data:
            self._num_examples, self.image_shape = FAKE_EXAMPLES, FAKE_SHAPE
        else:
            images, labels = np.asarray(images), np.asarray(labels)
            shape = images.shape
            self._num_examples, self.image_shape = shape[0], shape[1:]
            if shape[0] != len(labels):
                raise ValueError(f'{shape[0]} images, {len(labels)} labels')
            if reshape:
                if images.ndim != 4 or shape[3] != 1:
                    raise ValueError(f'reshape takes [n, rows, cols, 1], not {shape}')
                images = images.reshape(shape[0], shape[1] * shape[2])
        self._labels = labels
        if fake_data or dtype == np.uint8:
            self._images = images
        elif images.dtype == np.uint8:
            self._pixels, self._order = np.array(images, copy=copy), np.arange(shape[0])
        else:
            self._images = _scaled(images.astype(np.float32))
        self.one_hot, self._fake_data = one_hot, fake_data
        self._generator = _generator_for(seed)
        self._index_in_epoch = self._epochs_completed = 0

    # A set has either _pixels, which wait to be scaled, and their _order; or _array.
    @property
    def _images(self):
        with _LOCK:
            if self._pixels is not None:
                self._images = _scaled(self._pixels[self._order])
            return self._array

    @_images.setter
    def _images(self, images):
        self._array, self._fake_data = images, False
        self._pixels = self._order = None

    images = property(lambda self: self._images, doc='All, in order: the set itself.')
    labels = property(lambda self: self._labels, doc='All, in order: the set itself.')
    num_examples = property(lambda self: self._num_examples)
    epochs_completed = property(lambda self: self._epochs_completed)

    def next_batch(self, batch_size, fake_data=False, shuffle=True):
        """Returns the next examples and advances.

        A batch that runs past the end of an epoch is the rest of it followed by the
        start of the next one, at whose end it is cut off.

        Args:
            batch_size: int. 0 gives an empty batch, and so does -k, which moves back by
                k, unless the batch before was cut off. A TypeError or ValueError says
                if it is no integer, or leads back beyond the start of the epoch.
            fake_data: bool, return images of 784 ones and labels 0 instead.
            shuffle: bool, shuffle before the first epoch, and before the next one if
                this batch reaches it.

        Returns:
            images, [batch_size, rows * cols], or [batch_size, rows, cols, 1] without
                reshape: float32, or with uint8 the dtype of the images given.
            labels, of the labels' dtype [batch_size], or [batch_size, classes].
            Both are copies. Fake data comes as lists of int.
        """
        batch_size = operator.index(batch_size)
        if fake_data or self._fake_data:
            return self._fake_batch(batch_size)
        with _LOCK:
            start, end = self._index_in_epoch, self._num_examples
            stop = start + batch_size
            if stop < 0:
                raise ValueError(f'batch_size {batch_size} leads back past the start')
            if shuffle and start == 0 and self._epochs_completed == 0:
                self._shuffle()
            if stop <= end:
                self._index_in_epoch = stop
                return self._copies(start, stop)
            rest = self._examples(start, end)
            self._epochs_completed += 1
            if shuffle:
                self._shuffle()
            self._index_in_epoch = stop - end
            return tuple(map(np.concatenate, zip(rest, self._examples(0, stop - end))))

    def in_order(self, batch_size):
        """Yields each example once, in batches of which the last may be smaller.

        next_batch() stays where it is, and changes nothing here when it shuffles. A
        ValueError says if batch_size is not positive.
        """
        if batch_size < 1:
            raise ValueError(f'batch_size {batch_size} is not positive')
        with _LOCK:
            as_it_is = shallow_copy(self)
        for start in range(0, self._num_examples, batch_size):
            yield as_it_is._copies(start, min(start + batch_size, self._num_examples))

    def _shuffle(self):
        """Puts the examples into a new order, on top of the order so far."""
        shuffled = np.arange(self._num_examples)
        (self._generator or np.random).shuffle(shuffled)
        if self._pixels is None:
            self._array = self._array[shuffled]
        else:
            self._order = self._order[shuffled]
        self._labels = self._labels[shuffled]

    def _examples(self, start, stop):
        """Returns images and labels from a place in the current order to another."""
        if self._fake_data:
            return self._fake_batch(stop - start)
        if self._pixels is None:
            images = self._array[start:stop]
        else:
            images = _scaled(self._pixels[self._order[start:stop]])
        return images, self._labels[start:stop]

    def _copies(self, start, stop):
        return tuple(np.require(x, None, ['O']) for x in self._examples(start, stop))

    def _fake_batch(self, batch_size):
        image = [1] * int(np.prod(FAKE_SHAPE))
        label = [1] + [0] * (NUM_CLASSES - 1) if self.one_hot else 0
        return [image] * batch_size, [label] * batch_size


def read_data_sets(
    train_dir,
    fake_data=False,
    one_hot=False,
    dtype=np.float32,
    reshape=True,
    validation_size=5000,
    seed=None,
    source_url=None,
):
    """Reads MNIST, downloading the files that are absent (the page's "Download").

    They are kept if all four are intact and fit together. The three sets draw from one
    generator, as in TensorFlow 1.x: a shuffle of one moves the next shuffle of the
    others. With a seed, nobody else draws from it.

    Args:
        train_dir: str, the folder of the four files. A file that is there, packed or
            unpacked, is used as it is and never written to.
        fake_data: bool, return data sets of fake data and read no file.
        one_hot: bool, labels as float64 [n, 10] instead of uint8 [n].
        dtype, reshape, seed: see DataSet.
        validation_size: int, how many training examples, the first, are set aside.
        source_url: str, the URL of a folder with four files of the same names. By
            default, and for one of MNIST's mirrors, files come from the MNIST_data
            beside this module or from a mirror.

    Returns:
        Datasets(train, validation, test), a named tuple of DataSet: for MNIST 55,000,
        5,000 and 10,000 examples.

    Raises:
        ValueError, OSError: naming the file that is damaged, does not fit the others or
            the arguments, or can be neither read nor downloaded.
        TypeError: for a dtype other than float32 and uint8.
    """
    options = dict(one_hot=one_hot, dtype=dtype, reshape=reshape, copy=False)
    if seed is not None:
        options['seed'] = _generator_for(seed, np.random.RandomState())
    if fake_data:
        return Datasets(*[DataSet([], [], fake_data=True, **options) for _ in range(3)])

    images, labels, test_images, test_labels = _read_files(train_dir, source_url)
    if one_hot:
        labels = dense_to_one_hot(labels, NUM_CLASSES)
        test_labels = dense_to_one_hot(test_labels, NUM_CLASSES)
    if not 0 <= validation_size <= len(images):
        holds = f'{train_dir} holds {len(images)} training examples'
        remedy = 'give another to read_data_sets(..., validation_size=...)'
        raise ValueError(f'validation_size is {validation_size}; {holds}; {remedy}')
    # A copy, so that the training set's pixels are freed when its images are built.
    validation_images = np.array(images[:validation_size])
    return Datasets(
        DataSet(images[validation_size:], labels[validation_size:], **options),
        DataSet(validation_images, labels[:validation_size], **options),
        DataSet(test_images, test_labels, **options),
    )


def load_mnist(train_dir='MNIST-data'):
    """Returns read_data_sets(train_dir)."""
    return read_data_sets(train_dir)


def extract_images(f):
    """Unpacks a file of images: uint8 [n, rows, cols, 1].

    f is a binary file object with gzip'ed IDX data, such as open(path, 'rb'). If it is
    damaged or can't be read, a ValueError or OSError names it.
    """
    return _read_idx(f, IMAGES_MAGIC, getattr(f, 'name', 'the file'))


def extract_labels(f, one_hot=False, num_classes=NUM_CLASSES):
    """Unpacks a file of labels: uint8 [n], or what dense_to_one_hot() makes of them.

    For f and errors, see extract_images().
    """
    labels = _read_idx(f, LABELS_MAGIC, getattr(f, 'name', 'the file'))
    return dense_to_one_hot(labels, num_classes) if one_hot else labels


def dense_to_one_hot(labels_dense, num_classes):
    """Turns labels, int or bool [n] or [n, 1], into float64 rows [n, num_classes].

    A ValueError names a label that is not from 0 to num_classes - 1.
    """
    labels = np.reshape(labels_dense, len(labels_dense)) + 0  # which makes bools ints
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if len(wrong):
        raise ValueError(f'label {wrong[0]} is not one of the {num_classes} classes')
    return np.eye(num_classes)[labels]


def maybe_download(filename, work_directory, source_url=None):
    """Returns the path of a file, which is downloaded unless it is there.

    Args:
        filename: str, the file's name in work_directory.
        work_directory: str, the folder, created when absent.
        source_url: str, the URL of the file. By default, and if it is on one of MNIST's
            mirrors, the file comes from where read_data_sets() has it from.

    An OSError says if it can be neither downloaded nor written.
    """
    path = os.path.join(work_directory, filename)
    if not os.path.lexists(path):
        folder_url, _, name = (source_url or filename).rpartition('/')
        ((_, packed, _),) = _fetch([name], work_directory, folder_url)
        _write_new(path, packed)
    return path


def _generator_for(seed, seeded=_SHARED_GENERATOR):
    """Returns a seed's generator, started anew by an int; None is NumPy's global one.

    TensorFlow 1.3 seeded that each time: with seed, the graph's seed, or at random. The
    rule is in docs/input_data.md; tests/compare_with_tensorflow_1_3.py proves it.
    """
    if isinstance(seed, np.random.RandomState):
        return seed
    compat = getattr(sys.modules.get('tensorflow'), 'compat', None)
    graph_seed = compat and compat.v1.get_default_graph().seed
    seeds = [operator.index(s) % MAXINT32 for s in (seed, graph_seed) if s is not None]
    if seed is not None:  # two zeros: see get_seed() in TensorFlow's random_seed.py
        seeded.seed(MAXINT32 if seeds == [0, 0] else seeds[0])
        return seeded
    if seeds:
        np.random.seed(seeds[0])


def _is_mnist(source_url):
    """Whether MNIST is meant: by no URL, or that of a mirror, be it http or https."""
    mirrors = [url.partition('://')[2].strip('/') for url in MIRRORS]
    return not source_url or source_url.partition('://')[2].strip('/') in mirrors


def _read_files(folder, source_url):
    """Returns the arrays of the four files in the order of SHA256.

    Absent ones are fetched, and written when all four are intact and fit together.
    """
    paths, arrays = {}, {}
    try:
        for name in SHA256:
            path = _find(folder, name)
            if path:
                with open(path, 'rb') as f:
                    paths[name], arrays[name] = path, _read_idx(f, MAGIC[name], path)
    except OSError as error:
        raise type(error)(f'cannot read {error.filename}: {error.strerror}') from error
    absent = [name for name in SHA256 if name not in paths]
    if absent and _is_mnist(source_url):
        _check_is_mnist(folder, paths, arrays, absent)
    fetched = _fetch(absent, folder, source_url)
    for name, _, array in fetched:
        paths[name], arrays[name] = os.path.join(folder, name), array
    _check_sizes(paths, arrays)
    for name, packed, _ in fetched:
        _write_new(paths[name], packed)
    return [arrays[name] for name in SHA256]


def _names(name):
    """Returns the names under which a file is found, packed and unpacked."""
    unpacked = name[: -len('.gz')]
    dotted = unpacked.replace('-idx', '.idx')
    return [name, unpacked, dotted, dotted + '.gz']


def _find(folder, name):
    """Returns the path of a file, or None if it is absent.

    It may lie in a folder that has its name, as in Kaggle's archive.
    """
    for path in [os.path.join(folder, each) for each in _names(name)]:
        try:
            os.lstat(path)  # finds dead links, and raises if access is denied
        except FileNotFoundError:
            continue
        found = _find(path, name) if os.path.isdir(path) else path
        if found:
            return found


def _check_is_mnist(folder, paths, arrays, absent):
    """Raises a ValueError if what a folder holds is not MNIST, or has other names."""
    known = [known for name in SHA256 for known in _names(name)]
    there = sorted(pathlib.Path(folder).glob('*ubyte*'))
    others = [str(path) for path in there if path.name not in known]
    others += [paths[name] for name in paths if _sha256(arrays[name]) != SHA256[name]]
    if others:
        found = f'no {", ".join(absent)} beside {", ".join(others)}'
        remedy = 'complete that set, or give its source_url or another folder'
        raise ValueError(f"{found}, and MNIST's may not fit; {remedy}")


def _check_sizes(paths, arrays):
    """Raises a ValueError that names two files if they do not fit each other."""
    for one, other, axes, what in (
        (TRAIN_LABELS, TRAIN_IMAGES, slice(1), 'examples'),
        (TEST_LABELS, TEST_IMAGES, slice(1), 'examples'),
        (TEST_IMAGES, TRAIN_IMAGES, slice(1, 3), 'pixels an image'),
    ):
        sizes = [' x '.join(map(str, arrays[x].shape[axes])) for x in (one, other)]
        if sizes[0] != sizes[1]:
            holds = f'{paths[one]} holds {sizes[0]} {what}'
            raise ValueError(f'{holds}, but {paths[other]} {sizes[1]}')


def _read_idx(f, magic, path=None):
    """Reads IDX data, packed or not: uint8 labels [n], or images [n, rows, cols, 1].

    It allocates what the file holds, not what its header claims. A path, if there is
    one, is named in the error.
    """
    dimensions = magic % 256
    data = bytearray()
    try:
        # The first two bytes tell: some servers and browsers unpack and keep the .gz.
        if not hasattr(f, 'peek') or f.peek(2)[:2] == b'\x1f\x8b':
            f = gzip.GzipFile(fileobj=f)
        header = f.read(4 + 4 * dimensions)
        found, *shape = struct.unpack('>%dI' % (1 + dimensions), header)
        if found != magic:
            raise ValueError(f'its magic number is {found}, not {magic}')
        size = functools.reduce(operator.mul, shape)
        for chunk in iter(lambda: f.read(CHUNK), b''):
            data += chunk
            if len(data) > size:
                raise ValueError(f'it goes on after the {size} bytes of its header')
        if len(data) < size:
            raise ValueError(f'it holds {len(data)} bytes, its header says {size}')
        return np.frombuffer(data, np.uint8).reshape(shape + [1] * (dimensions == 3))
    except (EOFError, struct.error):
        problem = 'it is cut off'
    except (OSError, ValueError, zlib.error) as error:
        if getattr(error, 'errno', None) is not None:  # the system's, not gzip's
            error.filename = path
            raise
        problem = error
    remedy = 'replace it, or move it away to have it fetched again'
    raise ValueError(f'{path} is damaged: {problem}; {remedy}' if path else problem)


def _sha256(array):
    return hashlib.sha256(array).hexdigest()


def _fetch(names, folder, source_url):
    """Returns name, packed data and array of each file, from the first intact copy.

    An OSError tells which files no source has intact, and why.
    """
    is_mnist = _is_mnist(source_url)
    absent, fetched, reasons = list(names), [], {}
    for source in [BUNDLED, *MIRRORS] if is_mnist else [source_url]:
        for name in list(absent):
            if source == BUNDLED and not os.path.exists(os.path.join(source, name)):
                continue
            try:
                packed, array = _read_packed(source, name), None
                if name in MAGIC:
                    f = io.BufferedReader(io.BytesIO(packed))
                    array = _read_idx(f, MAGIC[name])
                    if is_mnist and _sha256(array) != SHA256[name]:
                        raise ValueError('SHA-256 is not the published one')
            except (ImportError, ValueError, OSError, http.client.HTTPException) as e:
                reasons[source] = ' '.join(str(e).split())
                answers = isinstance(e, (ValueError, urllib.error.HTTPError))
                if answers or source == BUNDLED:
                    continue  # with the next file
                break  # with this server
            absent.remove(name)
            fetched.append((name, packed, array))
    if absent:
        tried = ', '.join(f'{source} ({reasons[source]})' for source in reasons)
        remedy = f'put the files into {folder} by hand'
        raise OSError(f'cannot download {", ".join(absent)}; {remedy}. Tried: {tried}')
    return fetched


def _read_packed(source, name):
    """Returns a file's bytes, from BUNDLED or a URL, which shows progress on stderr."""
    if source == BUNDLED:
        return pathlib.Path(source, name).read_bytes()
    import certifi  # here, since most uses read files that are there
    import tqdm

    context = ssl.create_default_context()  # of the system, or of SSL_CERT_FILE ...
    context.load_verify_locations(certifi.where())  # ... and where it has none
    data, url = bytearray(), source.rstrip('/') + '/' + name
    with urllib.request.urlopen(url, timeout=READ_TIMEOUT, context=context) as response:
        size = int(response.headers.get('Content-Length', 0))
        options = dict(total=size or None, unit='B', unit_scale=True)
        with tqdm.tqdm(desc=name, disable=sys.stderr is None, **options) as bar:
            for chunk in iter(lambda: response.read1(CHUNK), b''):
                data += chunk
                bar.update(len(chunk))
    if len(data) < size:
        raise ValueError(f'it is cut off after {len(data)} of {size} bytes')
    return data


def _write_new(path, data):
    """Writes a file, whole or not at all, unless there is one by now."""
    folder, name = os.path.split(path)
    try:
        os.makedirs(folder or '.', exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder or '.') as scratch:
            with open(os.path.join(scratch, name), 'wb') as f:
                f.write(data)
            if not os.path.lexists(path):  # else it is the user's, or another run's
                os.replace(f.name, path)
    except OSError as error:
        raise type(error)(f'cannot write {path}: {error.strerror}') from error

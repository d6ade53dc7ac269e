"""Downloads, reads and batches MNIST, as TensorFlow 1.x's input_data did.

    from tensorflow.examples.tutorials.mnist import input_data

    mnist = input_data.read_data_sets('MNIST_data', one_hot=True)
    images, labels = mnist.train.next_batch(100)

It needs NumPy and, for a download, certifi and tqdm.
"""

import collections
import functools
import gzip
import hashlib
import http.client
import io
import operator
import os
import ssl
import struct
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

import numpy as np

TRAIN_IMAGES = 'train-images-idx3-ubyte.gz'
TRAIN_LABELS = 'train-labels-idx1-ubyte.gz'
TEST_IMAGES = 't10k-images-idx3-ubyte.gz'
TEST_LABELS = 't10k-labels-idx1-ubyte.gz'

# Tried in this order.
MIRRORS = (
    'https://storage.googleapis.com/cvdf-datasets/mnist/',
    'https://ossci-datasets.s3.amazonaws.com/mnist/',
    'https://raw.githubusercontent.com/fgnt/mnist/master/',
    'http://yann.lecun.com/exdb/mnist/',
)
SHA256 = {
    TRAIN_IMAGES: '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609',
    TRAIN_LABELS: '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c',
    TEST_IMAGES: '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6',
    TEST_LABELS: 'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6',
}
READ_TIMEOUT = 5  # seconds without an answer, for each address of a host
SLOW_SECONDS = 10  # a download that gets fewer bytes a second than MINIMUM_RATE ...
MINIMUM_RATE = 2000  # ... for so long is given up

IMAGES_MAGIC = 2051  # IDX: unsigned bytes (8 * 256), 3 dimensions
LABELS_MAGIC = 2049  # IDX: unsigned bytes, 1 dimension
MAGIC = {name: IMAGES_MAGIC if 'images' in name else LABELS_MAGIC for name in SHA256}
CHUNK = 1 << 20  # bytes read at a time
MAXINT32 = 2**31 - 1  # TensorFlow takes seeds modulo this

NUM_CLASSES = 10
PIXEL_SCALE = np.float32(1.0 / 255.0)  # 0..255 becomes 0..1
FAKE_EXAMPLES = 10000
FAKE_SHAPE = (28, 28, 1)

Datasets = collections.namedtuple('Datasets', ['train', 'validation', 'test'])


class DataSet(object):
    """Examples that are handed out in batches, reshuffled for each epoch.

    The pixels stay as they came, one byte each, and a shuffle moves indices only, until
    somebody asks for `images` or assigns `_images`. From then on the set is those two
    arrays, as it was in TensorFlow 1.x: what a script changes in them comes back in its
    batches. A batch is a copy.
    """

    def __init__(
        self,
        images,
        labels,
        fake_data=False,
        one_hot=False,
        dtype=np.float32,
        reshape=True,
        seed=None,
    ):
        """Wraps images and labels. It may keep the arrays themselves, uncopied.

        Args:
            images: uint8 array [n, rows, cols, 1]; not used with fake_data.
            labels: array [n], or [n, classes] with one_hot; not used with fake_data.
            fake_data: bool, hand out images of ones and labels 0, for unit tests.
            one_hot: bool, whether fake labels are one-hot.
            dtype: the type of the batches' pixels: float32 in 0..1, or uint8 in 0..255;
                NumPy's dtype, TensorFlow's, or a name.
            reshape: bool, flatten the images to [n, rows * cols].
            seed: int for a generator of this DataSet's own, or a RandomState to share.
                None: the seed of TensorFlow's default graph (tf.set_random_seed) or, if
                it has none, NumPy's global generator, which is used but never seeded.

        Raises:
            TypeError: for any other dtype, or a seed that is no integer.
            ValueError: if images and labels differ in number, or their shape is wrong.
        """
        dtype = np.dtype(getattr(dtype, 'as_numpy_dtype', dtype))
        if dtype not in (np.uint8, np.float32):
            raise TypeError(f'dtype must be uint8 or float32, not {dtype}')
        if fake_data:
            num_examples, self.image_shape = FAKE_EXAMPLES, FAKE_SHAPE
        else:
            images, labels = np.asarray(images), np.asarray(labels)
            shape = images.shape
            num_examples, self.image_shape = shape[0], shape[1:]
            if num_examples != len(labels):
                raise ValueError(f'{num_examples} images, {len(labels)} labels')
            if reshape:
                if images.ndim != 4 or images.shape[3] != 1:
                    raise ValueError(f'reshape takes [n, rows, cols, 1], not {shape}')
                images = images.reshape(num_examples, shape[1] * shape[2])
        self.one_hot = one_hot
        self._fake_data, self._dtype = fake_data, dtype
        self._generator = _generator(seed)
        self._pixels, self._labels = images, labels
        # In which order the pixels are drawn; None once they are the images, in order.
        self._order = None if fake_data else np.arange(num_examples)
        self._num_examples = num_examples
        self._index_in_epoch = self._epochs_completed = 0

    @property
    def _images(self):
        if self._order is not None:
            self._pixels = self._scaled(self._pixels[self._order])
            self._order = None
        return self._pixels

    @_images.setter
    def _images(self, images):
        self._pixels, self._order = images, None

    @property
    def images(self):
        """All images in their current order: the set itself, not a copy."""
        return self._images

    @property
    def labels(self):
        """All labels in their current order: the set itself, not a copy."""
        return self._labels

    @property
    def num_examples(self):
        return self._num_examples

    @property
    def epochs_completed(self):
        return self._epochs_completed

    def next_batch(self, batch_size, fake_data=False, shuffle=True):
        """Returns the next examples and advances.

        A batch that runs past the end of an epoch is the rest of it followed by the
        start of the next one.

        Args:
            batch_size: int; more than num_examples gives fewer, and 0 or less an empty
                batch that moves back by so many.
            fake_data: bool, return images of 784 ones and labels 0 instead.
            shuffle: bool, shuffle before the first epoch, and before the next one if
                this batch reaches it.

        Returns:
            images, of the DataSet's dtype [batch_size, rows * cols], or
                [batch_size, rows, cols, 1] without reshape.
            labels, of the labels' dtype [batch_size], or [batch_size, classes].
            Both are copies. Fake data comes as lists of int.

        Raises:
            TypeError: if batch_size is no integer.
            ValueError: if it leads back beyond the start of the epoch.
        """
        batch_size = operator.index(batch_size)
        if fake_data or self._fake_data:
            return self._fake_batch(batch_size)
        if self._index_in_epoch + batch_size < 0:
            raise ValueError(f'batch_size {batch_size} leads back past the start')
        parts = [self._examples(span) for span in self._advance(batch_size, shuffle)]
        return parts[0] if len(parts) == 1 else tuple(map(np.concatenate, zip(*parts)))

    def skip(self, batch_size, batches):
        """Advances past that many batches without building them, to resume a run."""
        _check_positive(batch_size)
        for _ in range(0 if self._fake_data else batches):
            list(self._advance(batch_size, shuffle=True))

    def in_order(self, batch_size):
        """Yields each example once, in batches as next_batch() returns them.

        The last batch may be smaller. next_batch() stays where it is.
        """
        _check_positive(batch_size)
        for start in range(0, self._num_examples, batch_size):
            stop = min(start + batch_size, self._num_examples)
            if self._fake_data:
                yield self._fake_batch(stop - start)
            else:
                yield self._examples(slice(start, stop))

    def _advance(self, batch_size, shuffle):
        """Advances by a batch; yields the slices of the set that it is made of."""
        start = self._index_in_epoch
        if shuffle and start == 0 and self._epochs_completed == 0:
            self._shuffle()
        stop = start + batch_size
        if stop > self._num_examples:
            yield slice(start, self._num_examples)
            self._epochs_completed += 1
            if shuffle:
                self._shuffle()
            start, stop = 0, stop - self._num_examples
        self._index_in_epoch = stop
        yield slice(start, stop)

    def _shuffle(self):
        """Puts the examples into a new order, on top of the order so far."""
        order = np.arange(self._num_examples)
        (self._generator or np.random).shuffle(order)
        if self._order is None:
            self._pixels = self._pixels[order]
        else:
            self._order = self._order[order]
        self._labels = self._labels[order]

    def _examples(self, span):
        """Returns copies of the images and labels in a slice of the current order."""
        if self._order is None:
            images = np.array(self._pixels[span])
        else:
            images = self._scaled(self._pixels[self._order[span]])
        return images, np.array(self._labels[span])

    def _scaled(self, pixels):
        if self._dtype == np.uint8:
            return pixels
        return np.multiply(pixels, PIXEL_SCALE, dtype=np.float32)

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

    The three sets draw from one generator, as they did in TensorFlow 1.x: a shuffle of
    one moves the next shuffle of the others.

    Args:
        train_dir: str, the folder of the four files. A file that is there, packed or
            unpacked, is used as it is and never written to.
        fake_data: bool, return data sets of fake data and read no file.
        one_hot: bool, labels as float64 [n, 10] instead of uint8 [n].
        dtype, reshape, seed: see DataSet.
        validation_size: int, how many training examples, the first, are set aside.
        source_url: str, the URL of a folder with four files of the same names, instead
            of MNIST's mirrors. They are kept if all are intact and fit together.

    Returns:
        Datasets(train, validation, test), a named tuple of DataSet: for MNIST 55,000,
        5,000 and 10,000 examples.

    Raises:
        ValueError: if a file is damaged, which it names, or the files do not fit each
            other, one_hot or validation_size.
        OSError: if a file can be neither read nor downloaded.
        TypeError: for a dtype other than float32 and uint8.
    """
    options = dict(one_hot=one_hot, dtype=dtype, reshape=reshape, seed=_generator(seed))
    if fake_data:
        return Datasets(*[DataSet([], [], fake_data=True, **options) for _ in range(3)])

    images, labels, test_images, test_labels = _read_files(train_dir, source_url)
    if one_hot:
        labels = dense_to_one_hot(labels, NUM_CLASSES)
        test_labels = dense_to_one_hot(test_labels, NUM_CLASSES)
    if not 0 <= validation_size <= len(images):
        raise ValueError(
            f'validation_size is {validation_size}; {train_dir} holds {len(images)}'
            ' training examples'
        )
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
    """Unpacks a file of images.

    Args:
        f: binary file object with gzip'ed IDX data, such as open(path, 'rb').

    Returns:
        uint8 array [n, rows, cols, 1].

    Raises:
        ValueError: naming the file, if it holds anything else.
        OSError: if it can't be read.
    """
    with gzip.GzipFile(fileobj=f) as unpacked:
        return _read_idx(unpacked, IMAGES_MAGIC, getattr(f, 'name', 'the file'))


def extract_labels(f, one_hot=False, num_classes=NUM_CLASSES):
    """Unpacks a file of labels.

    Args:
        f: binary file object with gzip'ed IDX data, such as open(path, 'rb').
        one_hot: bool, return one-hot rows.
        num_classes: int, with one_hot the labels are from 0 to num_classes - 1.

    Returns:
        uint8 array [n], or float64 array [n, num_classes] with one_hot.

    Raises:
        ValueError: naming the file, if it holds anything else; or for one_hot's labels.
        OSError: if it can't be read.
    """
    with gzip.GzipFile(fileobj=f) as unpacked:
        labels = _read_idx(unpacked, LABELS_MAGIC, getattr(f, 'name', 'the file'))
    return dense_to_one_hot(labels, num_classes) if one_hot else labels


def dense_to_one_hot(labels_dense, num_classes):
    """Turns labels, int or bool [n] or [n, 1], into float64 rows [n, num_classes].

    Raises:
        ValueError: if a label is not from 0 to num_classes - 1.
    """
    labels = np.reshape(labels_dense, len(labels_dense)) + 0  # which makes bools ints
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise ValueError(
            f'label {wrong[0]} is not one of the {num_classes} classes,'
            f' 0 to {num_classes - 1}'
        )
    return np.eye(num_classes)[labels]


def maybe_download(filename, work_directory, source_url=None):
    """Downloads a file unless it is there.

    Args:
        filename: str, the file's name in work_directory.
        work_directory: str, the folder, created when absent.
        source_url: str, the whole URL of the file; by default MNIST's mirrors.

    Returns:
        str, the file's path.

    Raises:
        OSError: if it can be neither downloaded nor written.
    """
    path = os.path.join(work_directory, filename)
    if not os.path.lexists(path):
        urls = [source_url] if source_url else [url + filename for url in MIRRORS]
        _download(work_directory, [{filename: url} for url in urls], [])
    return path


def _generator(seed):
    """Returns the generator that a seed starts, or None for NumPy's global one."""
    if isinstance(seed, np.random.RandomState):
        return seed
    compat = getattr(sys.modules.get('tensorflow'), 'compat', None)
    graph_seed = compat and compat.v1.get_default_graph().seed
    seeds = [operator.index(s) % MAXINT32 for s in (seed, graph_seed) if s is not None]
    if not seeds:
        return None
    # TensorFlow takes no two zeros for a seed.
    return np.random.RandomState(MAXINT32 if seeds == [0, 0] else seeds[0])


def _check_positive(batch_size):
    if operator.index(batch_size) < 1:
        raise ValueError(f'batch_size must be positive, not {batch_size}')


def _read_files(folder, source_url):
    """Returns the arrays of the four files in the order of SHA256; downloads as needed.

    What source_url served is kept only if all is well: it may be of other data sets.
    """
    absent = [name for name in SHA256 if _find(folder, name) is None]
    mirrors = [source_url] if source_url else MIRRORS
    sources = [{name: _url_in(mirror, name) for name in absent} for mirror in mirrors]
    written = []
    try:
        _download(folder, sources, written)
        arrays = []
        for name in SHA256:
            path = _find(folder, name)
            with gzip.open(path) if path.endswith('.gz') else open(path, 'rb') as f:
                arrays.append(_read_idx(f, MAGIC[name], path))
        train, train_labels, test, test_labels = [array.shape for array in arrays]
        if (train[:1], test[:1], train[1:]) != (train_labels, test_labels, test[1:]):
            shapes = ', '.join(str(array.shape) for array in arrays)
            raise ValueError(f'{folder} holds files that do not fit together: {shapes}')
    except BaseException:
        for path in written if source_url else []:
            os.remove(path)
        raise
    return arrays


def _find(folder, name):
    """Returns the path of a file, packed or unpacked, or None if it is absent."""
    unpacked = name[: -len('.gz')]
    for found in name, unpacked, unpacked.replace('-idx', '.idx'):
        path = os.path.join(folder, found)
        try:
            os.lstat(path)  # a link that leads nowhere is the user's as well
            return path
        except FileNotFoundError:
            pass


def _read_idx(f, magic, path=None):
    """Reads unpacked IDX data: uint8 labels [n], or images [n, rows, cols, 1].

    It takes memory for what is there, not for what the header claims. A path, if there
    is one, is named in the error.
    """
    dimensions = magic % 256
    data = bytearray()
    try:
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
    except (ValueError, zlib.error) as error:
        problem = error
    except OSError as error:
        if error.errno is not None:  # the system's, not gzip's
            error.filename = path
            raise
        problem = error
    if path is None:
        raise ValueError(problem)
    raise ValueError(
        f'{path} is damaged: {problem}; replace it, or delete it to have it downloaded'
        ' again'
    )


def _url_in(folder_url, name):
    """Returns the URL of a file in a folder; a query (?token=...) stays."""
    url = urllib.parse.urlsplit(folder_url)
    return url._replace(path=url.path.rstrip('/') + '/' + name).geturl()


def _download(folder, sources, written):
    """Downloads files from the first source that serves an intact copy of each.

    A source is a dict from file name to URL; `written` gets the paths of new files.
    """
    absent, reasons = list(sources[0]), {}
    for source in sources:
        for name in list(absent):
            try:
                data = _fetch(source[name], name)
            except (ImportError, ValueError, OSError, http.client.HTTPException) as e:
                mirror = source[name].split('?')[0].rpartition('/')[0]
                reasons[mirror] = ' '.join(str(e).split())
                if isinstance(e, (ValueError, urllib.error.HTTPError)):
                    continue  # with the next file
                break  # a mirror that does not answer
            _write_new(os.path.join(folder, name), data, written)
            absent.remove(name)
    if absent:
        tried = ', '.join(f'{url} ({reason})' for url, reason in reasons.items())
        raise OSError(
            f'cannot download {", ".join(absent)}; put the files into {folder} by hand.'
            f' Tried: {tried}'
        )


def _fetch(url, name):
    """Downloads an intact file into memory and shows the progress on stderr."""
    import certifi  # here, since most uses read files that are there
    import tqdm

    context = ssl.create_default_context(cafile=certifi.where())
    data = bytearray()
    with urllib.request.urlopen(url, timeout=READ_TIMEOUT, context=context) as response:
        size = int(response.headers.get('Content-Length', 0))
        with tqdm.tqdm(desc=name, total=size or None, unit='B', unit_scale=True) as bar:
            start, before = time.monotonic(), 0
            for chunk in iter(lambda: response.read1(CHUNK), b''):
                data += chunk
                bar.update(len(chunk))
                if time.monotonic() - start > SLOW_SECONDS:
                    if len(data) - before < SLOW_SECONDS * MINIMUM_RATE:
                        raise TimeoutError(f'under {MINIMUM_RATE} bytes a second')
                    start, before = time.monotonic(), len(data)
    if name in SHA256 and url.startswith(tuple(MIRRORS)):
        if hashlib.sha256(data).hexdigest() != SHA256[name]:
            raise ValueError('SHA-256 is not the published one')
    elif name in SHA256:
        _read_idx(gzip.GzipFile(fileobj=io.BytesIO(data)), MAGIC[name])
    return data


def _write_new(path, data, written):
    """Writes a file, whole or not at all, unless there is one by now."""
    folder, name = os.path.split(path)
    try:
        os.makedirs(folder or '.', exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder or '.') as scratch:
            with open(os.path.join(scratch, name), 'wb') as f:
                f.write(data)
            if not os.path.lexists(path):  # else it is the user's, or another run's
                os.replace(f.name, path)
                written.append(path)
    except OSError as error:
        raise OSError(f'cannot write {path}: {error.strerror}') from error

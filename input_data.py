"""Downloads, reads and batches MNIST, as TensorFlow 1.x's input_data did.

    import input_data
    mnist = input_data.read_data_sets('MNIST_data', one_hot=True)
    images, labels = mnist.train.next_batch(100)

stands for `from tensorflow.examples.tutorials.mnist import input_data`: the same
calls give the same batches. It needs NumPy and, for a download, pooch.
"""

import collections
import contextlib
import functools
import gzip
import operator
import os
import struct
import urllib.parse
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
CONNECT_TIMEOUT = 1.5  # seconds for each address of a host, and some have a dozen
READ_TIMEOUT = 10  # seconds without a byte

IMAGES_MAGIC = 2051  # IDX: unsigned bytes (8 * 256), 3 dimensions
LABELS_MAGIC = 2049  # IDX: unsigned bytes, 1 dimension
CHUNK = 1 << 20  # bytes unpacked at a time

PIXEL_SCALE = np.float32(1.0 / 255.0)  # 0..255 becomes 0..1
FAKE_EXAMPLES = 10000
FAKE_SHAPE = (28, 28, 1)

Datasets = collections.namedtuple('Datasets', ['train', 'validation', 'test'])


class DataSet(object):
    """Examples that are handed out in batches, shuffled anew for each epoch.

    The pixels stay as they came, one byte each; a batch is scaled when it is asked for,
    and a shuffle moves indices only.
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
        """Wraps images and labels.

        Args:
            images: uint8 array [n, rows, cols, 1]; not used with fake_data.
            labels: array [n], or [n, classes] with one_hot; not used with fake_data.
            fake_data: bool, hand out images of ones and labels 0, for unit tests.
            one_hot: bool, whether fake labels are one-hot.
            dtype: what the batches' pixels become: float32 in 0..1, or uint8 in
                0..255; NumPy's dtype, TensorFlow's, or a name.
            reshape: bool, flatten the images to [n, rows * cols].
            seed: int from 0 to 2**32 - 1 for a generator of this DataSet's own, or
                None to shuffle with NumPy's global generator. Neither is shared:
                NumPy's global generator is never seeded here.

        Raises:
            TypeError: for any other dtype.
            ValueError: if images and labels differ in number, if reshape meets images
                that have no single channel, or if seed is out of range.
        """
        dtype = np.dtype(getattr(dtype, 'as_numpy_dtype', dtype))
        if dtype not in (np.uint8, np.float32):
            raise TypeError('dtype must be uint8 or float32, not %s' % dtype)
        if fake_data:
            self._num_examples = FAKE_EXAMPLES
            self._image_shape = FAKE_SHAPE
        else:
            images, labels = np.asarray(images), np.asarray(labels)
            if len(images) != len(labels):
                raise ValueError(
                    '%d images, but %d labels' % (len(images), len(labels))
                )
            self._num_examples = len(images)
            self._image_shape = images.shape[1:]
            if reshape:
                if images.ndim != 4 or images.shape[3] != 1:
                    raise ValueError(
                        'reshape=True takes images [n, rows, cols, 1], not %s'
                        % list(images.shape)
                    )
                images = images.reshape(len(images), images.shape[1] * images.shape[2])
        self._stored_images, self._stored_labels = images, labels
        self._fake_data, self._one_hot, self._dtype = fake_data, one_hot, dtype
        self._generator = np.random if seed is None else np.random.RandomState(seed)
        self._order = np.arange(self._num_examples)
        self._index_in_epoch = 0
        self._epochs_completed = 0
        self._images = self._labels = None  # in the current order, once asked for

    @property
    def images(self):
        """All images in the current order; built at the first look at each order."""
        if self._fake_data:
            return self._stored_images
        if self._images is None:
            self._images = self._scale(self._stored_images[self._order])
        return self._images

    @property
    def labels(self):
        """All labels in the current order."""
        if self._fake_data:
            return self._stored_labels
        if self._labels is None:
            self._labels = self._stored_labels[self._order]
        return self._labels

    @property
    def image_shape(self):
        """The shape of one image before it is flattened: (rows, cols, 1)."""
        return self._image_shape

    @property
    def num_examples(self):
        return self._num_examples

    @property
    def epochs_completed(self):
        return self._epochs_completed

    def next_batch(self, batch_size, fake_data=False, shuffle=True):
        """Returns the next examples and moves on.

        A batch that runs past the end of an epoch is the rest of it followed by the
        start of the next one.

        Args:
            batch_size: int, how many; more than num_examples gives fewer.
            fake_data: bool, return images of 784 ones and labels 0 instead.
            shuffle: bool, shuffle before the first epoch, and before the next one if
                this batch reaches it.

        Returns:
            images, of the DataSet's dtype [batch_size, rows * cols], or
                [batch_size, rows, cols, 1] without reshape.
            labels, of the labels' dtype [batch_size], or [batch_size, classes].
            Fake data comes as lists of int.

        Raises:
            ValueError: if batch_size is not positive.
        """
        _check_batch_size(batch_size)
        if fake_data or self._fake_data:
            return self._fake_batch(batch_size)
        chosen = self._next_indices(batch_size, shuffle)
        return self._scale(self._stored_images[chosen]), self._stored_labels[chosen]

    def skip(self, batch_size, batches):
        """Moves on as that many next_batch(batch_size) would, without the examples.

        What it costs is one shuffle an epoch. A resumed training finds its place in
        the data so.
        """
        _check_batch_size(batch_size)
        while batches > 0:
            self._next_indices(batch_size, shuffle=True)  # may begin an epoch
            left_in_epoch = (self._num_examples - self._index_in_epoch) // batch_size
            jump = max(0, min(batches - 1, left_in_epoch))
            self._index_in_epoch += jump * batch_size
            batches -= 1 + jump

    def in_order(self, batch_size):
        """Yields each example once, in batches, without moving next_batch on.

        The examples come as they are stored, unshuffled; the last batch may be smaller.

        Yields:
            images and labels, as next_batch() returns them.
        """
        _check_batch_size(batch_size)
        for start in range(0, self._num_examples, batch_size):
            stop = min(start + batch_size, self._num_examples)
            if self._fake_data:
                yield self._fake_batch(stop - start)
            else:
                yield (
                    self._scale(self._stored_images[start:stop]),
                    self._stored_labels[start:stop],
                )

    def _next_indices(self, batch_size, shuffle):
        start = self._index_in_epoch
        if shuffle and start == 0 and self._epochs_completed == 0:
            self._shuffle()
        stop = start + batch_size
        if stop <= self._num_examples:
            self._index_in_epoch = stop
            return self._order[start:stop]
        rest = self._order[start:]
        self._epochs_completed += 1
        if shuffle:
            self._shuffle()
        self._index_in_epoch = stop - self._num_examples
        return np.concatenate([rest, self._order[: self._index_in_epoch]])

    def _shuffle(self):
        shuffled = np.arange(self._num_examples)
        self._generator.shuffle(shuffled)
        self._order = self._order[shuffled]  # on top of the order so far
        self._images = self._labels = None

    def _scale(self, pixels):
        if self._dtype == np.uint8:
            return pixels
        return np.multiply(pixels, PIXEL_SCALE, dtype=np.float32)

    def _fake_batch(self, batch_size):
        image = [1] * int(np.prod(FAKE_SHAPE))
        label = [1] + [0] * 9 if self._one_hot else 0
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
    """Reads MNIST, downloading what is absent (the page's section "Download").

    Args:
        train_dir: str, the folder of the four files. A file that is there is used as
            it is and never written to.
        fake_data: bool, return data sets of fake data and read no file.
        one_hot: bool, labels as float64 [n, 10] instead of uint8 [n].
        dtype, reshape, seed: see DataSet.
        validation_size: int, how many of the first training examples become the
            validation set.
        source_url: str, where to download from instead of MNIST's mirrors: the URL of
            a folder with four files of the same names.

    Returns:
        Datasets(train, validation, test), a named tuple of DataSet; of MNIST they have
        55,000, 5,000 and 10,000 examples.

    Raises:
        ValueError: naming the file, if it is damaged or does not fit the others, or if
            validation_size is out of range.
        OSError: if a file can be neither read nor downloaded.
        TypeError: for a dtype other than float32 and uint8.
    """
    options = dict(one_hot=one_hot, dtype=dtype, reshape=reshape, seed=seed)
    if fake_data:
        return Datasets(*[DataSet([], [], fake_data=True, **options) for _ in range(3)])

    mirrors = [source_url.rstrip('/') + '/'] if source_url else MIRRORS
    _download_absent(
        train_dir, {name: [mirror + name for mirror in mirrors] for name in SHA256}
    )
    images, labels = _read_pair(train_dir, TRAIN_IMAGES, TRAIN_LABELS, one_hot)
    test_images, test_labels = _read_pair(train_dir, TEST_IMAGES, TEST_LABELS, one_hot)
    if images.shape[1:] != test_images.shape[1:]:
        raise ValueError(
            '%s: %s has images of %s, %s of %s (rows, columns, channels)'
            % (
                train_dir,
                TRAIN_IMAGES,
                images.shape[1:],
                TEST_IMAGES,
                test_images.shape[1:],
            )
        )
    if not 0 <= validation_size <= len(images):
        raise ValueError(
            'validation_size is %s; %s holds %d examples'
            % (validation_size, os.path.join(train_dir, TRAIN_IMAGES), len(images))
        )
    return Datasets(
        DataSet(images[validation_size:], labels[validation_size:], **options),
        DataSet(images[:validation_size], labels[:validation_size], **options),
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
        ValueError: naming the file, if it is anything else.
        OSError: if it can't be read.
    """
    with _blaming(f):
        return _unpack_idx(f, IMAGES_MAGIC)[..., np.newaxis]


def extract_labels(f, one_hot=False, num_classes=10):
    """Unpacks a file of labels.

    Args:
        f: binary file object with gzip'ed IDX data, such as open(path, 'rb').
        one_hot: bool, return one-hot rows.
        num_classes: int, labels are from 0 to num_classes - 1.

    Returns:
        uint8 array [n], or float64 array [n, num_classes] with one_hot.

    Raises:
        ValueError: naming the file, if it is anything else or a label out of range.
        OSError: if it can't be read.
    """
    with _blaming(f):
        labels = _unpack_idx(f, LABELS_MAGIC)
        _check_labels(labels, num_classes)
    return dense_to_one_hot(labels, num_classes) if one_hot else labels


def dense_to_one_hot(labels_dense, num_classes):
    """Turns labels, an int array [n], into one-hot rows, float64 [n, num_classes].

    Raises:
        ValueError: if a label is not from 0 to num_classes - 1.
    """
    _check_labels(labels_dense, num_classes)
    return np.eye(num_classes)[labels_dense]


def maybe_download(filename, work_directory, source_url=None):
    """Downloads a file unless it is there.

    Args:
        filename: str, the file's name in work_directory.
        work_directory: str, the folder, created when absent.
        source_url: str, the whole URL of the file; by default MNIST's mirrors.

    Returns:
        str, the file's path.

    Raises:
        OSError: if it can't be downloaded or written.
    """
    urls = [source_url] if source_url else [mirror + filename for mirror in MIRRORS]
    _download_absent(work_directory, {filename: urls})
    return os.path.join(work_directory, filename)


def _check_batch_size(batch_size):
    if operator.index(batch_size) < 1:  # a TypeError, unless it is an integer
        raise ValueError('batch_size must be positive, not %s' % batch_size)


def _check_labels(labels, num_classes):
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if wrong.size:
        raise ValueError('label %d is not from 0 to %d' % (wrong[0], num_classes - 1))


def _read_pair(folder, images_name, labels_name, one_hot):
    with open(os.path.join(folder, images_name), 'rb') as f:
        images = extract_images(f)
    with open(os.path.join(folder, labels_name), 'rb') as f:
        labels = extract_labels(f, one_hot=one_hot)
    if len(images) != len(labels):
        raise ValueError(
            '%s: %d images in %s, but %d labels in %s; delete both to have them'
            ' downloaded again'
            % (folder, len(images), images_name, len(labels), labels_name)
        )
    return images, labels


@contextlib.contextmanager
def _blaming(f):
    """Names the file in a ValueError about what it holds."""
    try:
        yield
    except ValueError as error:
        raise ValueError(
            '%s is damaged: %s; delete it to have it downloaded again, or put a sound'
            ' copy there' % (getattr(f, 'name', 'the file'), error)
        ) from None


def _unpack_idx(f, magic):
    """Unpacks gzip'ed IDX data into a uint8 array of the shape that its header tells.

    It takes memory for what is there, not for what the header claims.
    """
    dimensions = magic % 256
    data = bytearray()
    try:
        with gzip.GzipFile(fileobj=f) as unpacked:
            header = unpacked.read(4 + 4 * dimensions)
            found, *shape = struct.unpack('>%dI' % (1 + dimensions), header)
            if found != magic:
                raise ValueError('its magic number is %d, not %d' % (found, magic))
            claimed = functools.reduce(operator.mul, shape)
            while len(data) <= claimed:
                chunk = unpacked.read(min(CHUNK, claimed + 1 - len(data)))
                if not chunk:
                    break
                data += chunk
    except (EOFError, struct.error):
        raise ValueError('it is cut off') from None
    except zlib.error as error:
        raise ValueError(error) from None
    except OSError as error:
        if error.errno is not None:  # the system's, not gzip's
            raise
        raise ValueError(error) from None
    if len(data) < claimed:
        raise ValueError('it holds %d bytes, its header says %d' % (len(data), claimed))
    if len(data) > claimed:
        raise ValueError('it goes on after the %d bytes of its header' % claimed)
    return np.frombuffer(data, np.uint8).reshape(shape)


def _download_absent(folder, urls):
    """Downloads each file that folder lacks from the first URL that gives it sound.

    Args:
        folder: str, created when absent.
        urls: dict from file name to list of URLs.

    Raises:
        OSError: naming for each file that is still absent why each URL failed.
    """
    failures = collections.OrderedDict()  # from what went wrong to the files it hit
    dead_hosts = {}  # from host to why, so that no file waits for it again
    for filename in urls:
        path = os.path.join(folder, filename)
        if os.path.lexists(path):  # a link that leads nowhere is the user's as well
            continue
        os.makedirs(folder or '.', exist_ok=True)
        reasons = []
        for url in urls[filename]:
            reason = _download(url, path, dead_hosts)
            if reason is None:
                break
            reasons.append('%s (%s)' % (os.path.dirname(url), reason))
        else:
            failures.setdefault(', '.join(reasons), []).append(filename)
    if failures:
        raise OSError(
            'cannot download %s; put the files into %s by hand, or let'
            ' `python tests/generate_digits.py %s` draw digits that need no network'
            % (
                '; '.join(
                    '%s from %s' % (', '.join(names), reasons)
                    for reasons, names in failures.items()
                ),
                folder,
                folder,
            )
        )


def _download(url, path, dead_hosts):
    """Downloads one file, whole and sound or not at all.

    Returns:
        None, or a few words on why the URL failed.

    Raises:
        OSError: if the file can't be written.
    """
    import pooch  # here, since most uses read files that are there
    import requests

    host = urllib.parse.urlsplit(url).netloc
    if host in dead_hosts:
        return dead_hosts[host]
    folder, filename = os.path.split(os.path.abspath(path))  # pooch expands a '~'
    known_hash = SHA256.get(filename) if url.startswith(tuple(MIRRORS)) else None

    def keep_packed(response, **kwargs):
        response.raw.headers.pop('Content-Encoding', None)

    fetch = pooch.HTTPDownloader(
        progressbar=True,
        timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
        headers={'Accept-Encoding': 'identity'},  # the file's own gzip, as it is ...
        hooks={'response': keep_packed},  # ... whatever the server calls it
    )

    def fetch_and_check(url, temporary, pooch):
        fetch(url, temporary, pooch)
        if known_hash is None:
            _check_claim(filename, temporary)
        if os.path.lexists(path):  # the user's, or another run's, in the meantime
            raise FileExistsError(path)
        os.chmod(temporary, 0o644)  # temporary files are their owner's alone

    pooch.get_logger().setLevel('WARNING')
    try:
        pooch.retrieve(url, known_hash, filename, folder, downloader=fetch_and_check)
    except requests.HTTPError as error:
        return 'HTTP %d' % error.response.status_code
    except (requests.ConnectionError, requests.Timeout) as error:
        dead_hosts[host] = type(error).__name__
        return dead_hosts[host]
    except requests.RequestException as error:
        return type(error).__name__
    except ValueError as error:
        return 'SHA-256 is not the published one' if known_hash else str(error)
    except FileExistsError:
        return None
    except OSError as error:
        raise OSError(
            'cannot write %s: %s' % (path, error.strerror or error)
        ) from error


def _check_claim(filename, path):
    """Raises ValueError if a file isn't the IDX data that its name says."""
    for part, magic in (('idx3', IMAGES_MAGIC), ('idx1', LABELS_MAGIC)):
        if part in filename:
            with open(path, 'rb') as f:
                _unpack_idx(f, magic)

"""Files that aren't what they should be, and arguments that are out of range."""

import contextlib
import gzip
import io
import os
import struct
import tracemalloc
import zlib

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import generate_digits
import input_data
from helpers import without_rights

EXTRACT = {'images': input_data.extract_images, 'labels': input_data.extract_labels}
MAGICS = {'images': 2051, 'labels': 2049}
TRAIN, TEST = 12, 5  # examples
SHAPE = (3, 2)  # of an image
BIG = 2**32 - 1  # the largest number in a header
SMALL_MEMORY = 8 << 20  # bytes
EXAMPLES = int(os.environ.get('FUZZ_EXAMPLES', 250))  # for a kind and a strategy

kinds = pytest.mark.parametrize('kind', sorted(MAGICS))
names = pytest.mark.parametrize('name', sorted(input_data.SHA256))


def idx(magic, shape, data):
    """Returns IDX data, unpacked, whether or not the header fits it."""
    return struct.pack('>%dI' % (1 + len(shape)), magic, *shape) + data


def sound_idx(kind):
    shape = (10,) + SHAPE * (kind == 'images')
    return idx(MAGICS[kind], shape, bytes(i % 10 for i in range(np.prod(shape))))


def pack(data):
    packed = io.BytesIO()
    with gzip.GzipFile('', 'wb', fileobj=packed, mtime=0) as f:
        f.write(data)
    return packed.getvalue()


def flip(data, at, bits):
    flipped = bytes(x ^ y for x, y in zip(data[at:], bits))
    return data[:at] + flipped + data[at + len(flipped) :]


def write(path, data):
    with open(path, 'wb') as f:
        f.write(data)


def extract(kind, path):
    with open(path, 'rb') as f:
        return EXTRACT[kind](f)


@contextlib.contextmanager
def raises(error, *told):
    """What is in the block has to raise the error, whose text has all that is told."""
    with pytest.raises(error) as caught:
        yield caught
    for words in told:
        assert words in str(caught.value)


# From what is wrong to words of the error, and to a file with this fault, made from
# sound data.
DAMAGES = {
    'empty': ('cut off', lambda data: b''),
    'page': ('gzip', lambda data: b'<!DOCTYPE html><p>Log in'),
    'not packed': ('gzip', lambda data: data),
    'nothing packed': ('cut off', lambda data: pack(b'')),
    'header cut off': ('cut off', lambda data: pack(data[:7])),
    'other kind': ('magic', lambda data: pack(flip(data, 3, b'\2'))),
    'not IDX': ('magic', lambda data: pack(b'\1' + data[1:])),
    'byte too few': ('header says', lambda data: pack(data[:-1])),
    'byte too many': ('goes on', lambda data: pack(data + b'\0')),
    'second member': ('goes on', lambda data: pack(data) + pack(b'\0')),
    'garbage behind': ('gzip', lambda data: pack(data) + b'garbage'),
    'wrong CRC': ('CRC', lambda data: pack(data)[:-8] + bytes(4) + pack(data)[-4:]),
    'wrong length': ('length', lambda data: pack(data)[:-4] + bytes(4)),
    'unknown method': ('method', lambda data: b'\x1f\x8b\7' + pack(data)[3:]),
}


@kinds
@pytest.mark.parametrize('chunk', [1, input_data.CHUNK])
@pytest.mark.parametrize('damage', DAMAGES)
def test_extractor_names_damaged_file_and_damage(
    tmp_path, monkeypatch, kind, damage, chunk
):
    monkeypatch.setattr(input_data, 'CHUNK', chunk)
    path, (words, spoil) = str(tmp_path / kind), DAMAGES[damage]
    write(path, spoil(sound_idx(kind)))
    with raises(ValueError, path + ' is damaged: ', words):
        extract(kind, path)


@kinds
def test_file_cut_off_anywhere(tmp_path, kind):
    path, whole = str(tmp_path / kind), pack(sound_idx(kind))
    for length in range(len(whole)):
        write(path, whole[:length])
        with raises(ValueError, path + ' is damaged: '):
            extract(kind, path)


@kinds
def test_members_and_padding_as_gzip_allows_them(tmp_path, kind):
    path, data = str(tmp_path / kind), sound_idx(kind)
    members = b''.join(pack(data[i : i + 7]) for i in range(0, len(data), 7))
    for whole in pack(data), members, pack(data) + pack(b''), pack(data) + bytes(9):
        write(path, whole)
        array = extract(kind, path)
        assert array.dtype == np.uint8
        assert array.shape == ((10,) + SHAPE + (1,) if kind == 'images' else (10,))
        assert array.tobytes() == data[-array.size :]


@pytest.mark.parametrize(
    'kind, shape, data_size',
    [
        ('images', (BIG, BIG, BIG), 100),  # 2**96 bytes
        ('images', (1, BIG, 1), 100),
        ('labels', (BIG,), 100),
        ('images', (1, 5, 5), 64 << 20),  # all but 25 left over
        ('labels', (9,), 64 << 20),
    ],
)
def test_header_that_claims_too_much_or_little_costs_no_memory(
    tmp_path, kind, shape, data_size
):
    path = str(tmp_path / kind)
    write(path, pack(idx(MAGICS[kind], shape, bytes(data_size))))
    tracemalloc.start()
    try:
        with raises(ValueError, path + ' is damaged: '):
            extract(kind, path)
        assert tracemalloc.get_traced_memory()[1] < SMALL_MEMORY
    finally:
        tracemalloc.stop()


def test_labels_above_9_are_read_and_only_one_hot_has_too_few_classes(tmp_path):
    path = str(tmp_path / 'labels')
    write(path, pack(idx(2049, (3,), b'\0\x0b\0')))
    with open(path, 'rb') as f:
        assert input_data.extract_labels(f).tolist() == [0, 11, 0]
    for num_classes in (10, 11):
        with open(path, 'rb') as f, raises(
            ValueError, '11', '%d cla' % num_classes
        ) as e:
            input_data.extract_labels(f, True, num_classes)
        assert 'damaged' not in str(e.value)
    with open(path, 'rb') as f:
        assert input_data.extract_labels(f, True, 12).shape == (3, 12)


def plain_extract(kind, packed):
    """Returns what the extractor should make of a file; None for a ValueError."""
    try:
        data = gzip.GzipFile(fileobj=io.BytesIO(packed)).read()
    except (OSError, EOFError, zlib.error, struct.error):
        return None
    header = 16 if kind == 'images' else 8
    if len(data) < header:
        return None
    magic, *shape = np.frombuffer(data[:header], '>u4').tolist()
    array = np.frombuffer(data[header:], np.uint8)
    if magic != MAGICS[kind]:
        return None
    try:
        return array.reshape(shape + [1] * (kind == 'images'))
    except ValueError:
        return None


def headed(kind):
    """A strategy: packed data behind a header that seems right, and often is."""

    def build(magic, shape, data, fit):
        size = np.prod(np.array(shape, object))
        if fit and size < 1000:
            data = (data * size)[:size] if data else bytes(size)
        return pack(idx(magic, shape, data))

    dimensions = 3 if kind == 'images' else 1
    length = st.integers(0, 6) | st.sampled_from([2**16, 2**31, BIG])
    return st.builds(
        build,
        st.just(MAGICS[kind]) | st.sampled_from([0, 2049, 2051, BIG]),
        st.lists(length, min_size=dimensions, max_size=dimensions),
        st.lists(st.integers(0, 10)).map(bytes) | st.binary(max_size=50),
        st.booleans(),
    )


def mutated(kind):
    """A strategy: a sound file, often of two members, with a few bytes changed."""
    data = sound_idx(kind)

    def build(split, edits):
        packed = pack(data[:split]) + pack(data[split:]) if split else pack(data)
        for edit, at, piece in edits:
            if edit == 'flip':
                packed = flip(packed, at, piece)
            elif edit == 'cut':
                packed = packed[:at] + packed[at + len(piece) :]
            else:
                packed = packed[:at] + piece + packed[at:]
        return packed

    edit = st.tuples(
        st.sampled_from(['flip', 'cut', 'insert']),
        st.integers(0, 90),
        st.binary(min_size=1, max_size=4),
    )
    return st.builds(build, st.integers(0, 16), st.lists(edit, max_size=3))


STRATEGIES = {
    'bytes': lambda kind: st.binary(max_size=200),
    'packed bytes': lambda kind: st.binary(max_size=200).map(pack),
    'headed': headed,
    'mutated': mutated,
}


@kinds
@pytest.mark.parametrize('strategy', STRATEGIES)
def test_fuzz(kind, strategy):
    """Any bytes give a ValueError, or exactly what plain means read from them."""

    @hypothesis.settings(
        max_examples=EXAMPLES,
        database=None,
        print_blob=True,  # tells how to repeat a failure
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(STRATEGIES[strategy](kind))
    def check(packed):
        expected = plain_extract(kind, packed)
        try:
            found = EXTRACT[kind](io.BytesIO(packed))
        except ValueError:
            assert expected is None
        else:
            assert expected is not None
            assert found.dtype == np.uint8
            assert found.shape == expected.shape
            assert found.tobytes() == expected.tobytes()

    check()


@pytest.fixture
def folder(tmp_path):
    """A folder with four sound files of a few small images."""
    for name in input_data.SHA256:
        put(str(tmp_path), name)
    return str(tmp_path)


def put(folder, name, count=None, shape=SHAPE, value=0):
    """Writes one of the four files: count images or labels of this value."""
    count = count or (TRAIN if 'train' in name else TEST)
    shape = (count,) + tuple(shape) * ('images' in name)
    data = np.full(shape, value, np.uint8)
    generate_digits.write_idx(os.path.join(folder, name), shape, [data])


def read(folder, validation_size=2, **options):
    return input_data.read_data_sets(folder, validation_size=validation_size, **options)


@names
@pytest.mark.parametrize('damage', DAMAGES)
def test_read_data_sets_names_damaged_file(folder, name, damage):
    path = os.path.join(folder, name)
    write(path, DAMAGES[damage][1](sound_idx(name.split('-')[1])))
    with raises(ValueError, path):
        read(folder)


@pytest.mark.parametrize('name', [input_data.TRAIN_LABELS, input_data.TEST_LABELS])
def test_labels_above_9_of_a_data_set(folder, name):
    put(folder, name, value=26)
    assert 26 in np.concatenate([data_set.labels for data_set in read(folder)])
    with raises(ValueError, 'label 26 is not one of the 10 classes') as caught:
        read(folder, one_hot=True)
    assert 'damaged' not in str(caught.value)


@names
@pytest.mark.parametrize('more', [-1, 1])
def test_images_and_labels_that_differ_in_number(folder, name, more):
    put(folder, name, count=(TRAIN if 'train' in name else TEST) + more)
    with raises(ValueError, folder, 'different data sets'):
        read(folder)


@pytest.mark.parametrize('name', [input_data.TRAIN_IMAGES, input_data.TEST_IMAGES])
def test_image_sizes_that_differ_between_the_sets(folder, name):
    put(folder, name, shape=SHAPE[::-1])  # as many pixels
    with raises(
        ValueError,
        folder,
        'different data sets',
        '(12, 2, 3, 1)' * (name == input_data.TRAIN_IMAGES),
    ):
        read(folder)


@pytest.mark.parametrize('packed', range(16))
def test_unpacked_files_are_read_in_any_mixture(folder, packed):
    expected = read(folder, dtype=np.uint8)
    for i, name in enumerate(sorted(input_data.SHA256)):
        path = os.path.join(folder, name)
        if packed >> i & 1:
            with gzip.open(path) as f:
                data = f.read()
            os.remove(path)
            unpacked = path[:-3] if i % 2 else path[:-3].replace('-idx', '.idx')
            write(unpacked, data)
    before = sorted(os.listdir(folder))
    for found, wanted in zip(read(folder, dtype=np.uint8), expected):
        np.testing.assert_array_equal(found.images, wanted.images)
        np.testing.assert_array_equal(found.labels, wanted.labels)
    assert sorted(os.listdir(folder)) == before


@names
def test_damage_of_an_unpacked_file_has_its_name_and_the_packed_one_wins(folder, name):
    path = os.path.join(folder, name)
    write(path[:-3], b'rubbish')
    read(folder)
    os.remove(path)
    with raises(ValueError, path[:-3] + ' is damaged'):
        read(folder)


@pytest.mark.parametrize('size', [-1, TRAIN + 1])
def test_validation_size_out_of_range(folder, size):
    with raises(ValueError, 'validation_size is %d' % size, folder):
        read(folder, validation_size=size)


@pytest.mark.parametrize('size', [0, 1, TRAIN])
def test_validation_size_in_range(folder, size):
    sets = read(folder, validation_size=size)
    assert [data_set.num_examples for data_set in sets] == [TRAIN - size, size, TEST]


@pytest.mark.parametrize('batch_size', [0, -1])
@pytest.mark.parametrize('fake_data', [False, True])
def test_batch_size_not_positive(folder, batch_size, fake_data):
    data_set = read(folder, fake_data=fake_data).train
    for call in (
        lambda: data_set.skip(batch_size, 1),
        lambda: list(data_set.in_order(batch_size)),
    ):
        with raises(ValueError, 'batch_size', str(batch_size)):
            call()


@pytest.mark.parametrize('dtype', [np.float64, 'int32', bool, object, None])
@pytest.mark.parametrize('fake_data', [False, True])
def test_dtype_that_is_neither_float32_nor_uint8(folder, dtype, fake_data):
    with raises(TypeError, 'dtype'):
        read(folder, dtype=dtype, fake_data=fake_data)


@names
def test_directory_in_the_place_of_a_file(folder, name):
    path = os.path.join(folder, name)
    os.remove(path)
    os.mkdir(path)
    with raises(IsADirectoryError, path):
        read(folder)


@names
def test_file_that_may_not_be_read(folder, name):
    os.chmod(os.path.join(folder, name), 0)
    with without_rights(folder), raises(PermissionError, os.path.join(folder, name)):
        read(folder)

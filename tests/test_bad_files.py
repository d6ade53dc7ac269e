"""Files that aren't what they should be, and arguments that don't fit them."""

import contextlib
import errno
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

import input_data
from helpers import without_rights
from input_data import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS

SHAPES = {
    TRAIN_IMAGES: (12, 3, 2),
    TRAIN_LABELS: (12,),
    TEST_IMAGES: (5, 3, 2),
    TEST_LABELS: (5,),
}
EXTRACT = {3: input_data.extract_images, 1: input_data.extract_labels}  # by dimensions
BIG = 2**32 - 1  # the largest number in a header
EXAMPLES = int(os.environ.get('FUZZ_EXAMPLES', 300))


def idx(shape, data=None):
    """Returns IDX data, unpacked, whether or not the header fits it."""
    if data is None:
        data = bytes(i % 10 for i in range(np.prod(shape)))
    header = 2048 + len(shape), *shape
    return struct.pack('>%dI' % len(header), *header) + data


def pack(data):
    packed = io.BytesIO()
    with gzip.GzipFile('', 'wb', fileobj=packed, mtime=0) as f:
        f.write(data)
    return packed.getvalue()


@pytest.fixture
def folder(tmp_path):
    """A folder with four sound files of a few small images."""
    for name in SHAPES:
        (tmp_path / name).write_bytes(pack(idx(SHAPES[name])))
    return tmp_path


def extract(path, *options):
    with path.open('rb') as f:
        return EXTRACT[len(SHAPES[path.name])](f, *options)


def read(folder, **options):
    options.setdefault('validation_size', 2)
    return input_data.read_data_sets(str(folder), **options)


@contextlib.contextmanager
def raises(error, *told):
    """What is in the block has to raise the error, whose text has all that is told."""
    with pytest.raises(error) as caught:
        yield caught
    for words in told:
        assert str(words) in str(caught.value)


# What is wrong, what the error calls it (where that isn't up to gzip), and how a file
# with this fault is made from sound data.
DAMAGES = {
    'empty': ('cut off', lambda data: b''),
    'page': ('', lambda data: b'<!DOCTYPE html><p>Log in'),
    'nothing packed': ('cut off', lambda data: pack(b'')),
    'header cut off': ('cut off', lambda data: pack(data[:7])),
    'other kind': ('magic number', lambda data: pack(data[:3] + b'\2' + data[4:])),
    'not IDX': ('magic number', lambda data: pack(b'\1' + data[1:])),
    'byte too few': ('header says', lambda data: pack(data[:-1])),
    'byte too many': ('goes on', lambda data: pack(data + b'\0')),
    'second member': ('goes on', lambda data: pack(data) + pack(b'\0')),
    'garbage behind': ('', lambda data: pack(data) + b'garbage'),
    'cut off': ('cut off', lambda data: pack(data)[:-9]),
    'wrong CRC': ('', lambda data: pack(data)[:-8] + bytes(4) + pack(data)[-4:]),
    'wrong length': ('', lambda data: pack(data)[:-4] + bytes(4)),
    'wrong bits': ('', lambda data: pack(data)[:10] + b'\xff' + pack(data)[11:]),
    'unknown method': ('', lambda data: b'\x1f\x8b\7' + pack(data)[3:]),
}


@pytest.mark.parametrize('name', [TRAIN_IMAGES, TEST_LABELS])
@pytest.mark.parametrize('damage', DAMAGES)
def test_damaged_file_is_named_with_its_damage(folder, monkeypatch, name, damage):
    monkeypatch.setattr(input_data, 'CHUNK', 4)  # several reads for each file
    path, (words, spoil) = folder / name, DAMAGES[damage]
    path.write_bytes(spoil(idx(SHAPES[name])))
    for call, argument in (extract, path), (read, folder):
        with raises(ValueError, '%s is damaged: ' % path, words):
            call(argument)


@pytest.mark.parametrize('shape', SHAPES.values(), ids=str)
def test_members_and_padding_as_gzip_allows_them(tmp_path, monkeypatch, shape):
    monkeypatch.setattr(input_data, 'CHUNK', 4)
    data = idx(shape)
    members = b''.join(pack(data[i : i + 7]) for i in range(0, len(data), 7))
    for whole in pack(data), members, pack(data) + pack(b''), pack(data) + bytes(9):
        array = EXTRACT[len(shape)](io.BytesIO(whole))
        assert array.dtype == np.uint8
        assert array.shape == shape + (1,) * (len(shape) == 3)
        assert array.tobytes() == data[-array.size :]


@pytest.mark.parametrize('shape', [(BIG, BIG, BIG), (BIG,), (1, 5, 5)], ids=str)
def test_header_that_claims_too_much_or_little_costs_no_memory(shape):
    packed = io.BytesIO(pack(idx(shape, bytes(100 if BIG in shape else 32 << 20))))
    tracemalloc.start()
    try:
        with raises(ValueError, 'the file is damaged: '):
            EXTRACT[len(shape)](packed)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def plain_extract(dimensions, packed):
    """Returns what the extractor should make of a file; None for a ValueError."""
    header = 4 + 4 * dimensions
    try:
        data = gzip.GzipFile(fileobj=io.BytesIO(packed)).read()
        magic, *shape = struct.unpack('>%dI' % (1 + dimensions), data[:header])
        array = np.frombuffer(data[header:], np.uint8)
        array = array.reshape(shape + [1] * (dimensions == 3))
    except (OSError, EOFError, ValueError, zlib.error, struct.error):
        return None
    return array if magic == 2048 + dimensions else None


def edited(data, edits):
    for at, cut, piece in edits:
        data = data[:at] + piece + data[at + cut :]
    return data


def any_file(dimensions):
    """A strategy: any bytes, or a sound file with edits before and after packing."""

    def build(shape, edits, split, later_edits):
        data = edited(idx(shape), edits)
        packed = pack(data[:split]) + pack(data[split:]) if split else pack(data)
        return edited(packed, later_edits)

    at = st.sampled_from([0, 4, 8, 12]) | st.integers(0, 60)
    piece = st.binary(max_size=4) | st.sampled_from([bytes(4), b'\xff' * 4])
    edits = st.lists(st.tuples(at, st.integers(0, 4), piece), max_size=2)
    shapes = st.tuples(*[st.integers(0, 3)] * dimensions)
    sound = st.builds(build, shapes, edits, st.integers(0, 16), st.just([]) | edits)
    return sound | st.binary(max_size=200) | st.binary(max_size=200).map(pack)


@pytest.mark.parametrize('dimensions', [1, 3])
@hypothesis.settings(
    max_examples=EXAMPLES,
    database=None,
    derandomize=False,
    print_blob=True,  # tells how to repeat a failure
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(st.data())
def test_fuzz(dimensions, data):
    """Any bytes give a ValueError, or exactly what plain means read from them."""
    packed = data.draw(any_file(dimensions))
    expected = plain_extract(dimensions, packed)
    try:
        found = EXTRACT[dimensions](io.BytesIO(packed))
    except ValueError:
        assert expected is None
    else:
        assert expected is not None
        assert (found.dtype, found.shape) == (np.uint8, expected.shape)
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize('name', [TRAIN_LABELS, TEST_LABELS])
def test_labels_above_9_are_sound_but_one_hot_has_too_few_classes(folder, name):
    path = folder / name
    path.write_bytes(pack(idx(SHAPES[name], b'\x1a' * SHAPES[name][0])))
    assert set(extract(path)) == {26}
    assert extract(path, True, 27).shape == SHAPES[name] + (27,)
    assert 26 in np.concatenate([data_set.labels for data_set in read(folder)])
    for call, classes in (
        (lambda: extract(path, True), 10),
        (lambda: extract(path, True, 26), 26),
        (lambda: read(folder, one_hot=True), 10),
    ):
        with raises(ValueError, 'label 26 ', 'the %d classes' % classes) as caught:
            call()
        assert 'damaged' not in str(caught.value)


@pytest.mark.parametrize(
    'name, shape, other, sizes',
    [
        (TRAIN_IMAGES, (13, 3, 2), TRAIN_LABELS, '12 examples'),
        (TRAIN_LABELS, (11,), TRAIN_IMAGES, '11 examples'),
        (TEST_IMAGES, (4, 3, 2), TEST_LABELS, '5 examples'),
        (TEST_LABELS, (6,), TEST_IMAGES, '6 examples'),
        (TEST_IMAGES, (5, 2, 3), TRAIN_IMAGES, '2 x 3 pixels'),  # as many pixels
    ],
)
def test_two_files_that_do_not_fit_each_other_are_named(
    folder, name, shape, other, sizes
):
    (folder / name).unlink()
    (folder / name[:-3]).write_bytes(idx(shape))
    with raises(ValueError, folder / name[:-3], folder / other, sizes):
        read(folder)


# Where a file may lie, and how it is written there.
FORMS = {
    'z': ('{dashed}.gz', pack),
    '-': ('{dashed}', bytes),
    '.': ('{dotted}', bytes),
    ':': ('{dotted}.gz', pack),
    'u': ('{dashed}.gz', bytes),  # unpacked by a browser or server that kept the .gz
    'p': ('{dashed}', pack),  # and the other way round
    'k': ('{dashed}/{dashed}', bytes),  # Kaggle's archive
    'K': ('{dashed}/{dotted}', bytes),
    'Z': ('{dashed}.gz/{dashed}.gz', pack),
}


@pytest.mark.parametrize('forms', ['----', '....', 'z-.z', ':upk', 'KZzu', 'kkkk'])
def test_files_are_read_in_any_form_and_mixture(folder, forms):
    expected = read(folder, dtype=np.uint8)
    for name, (place, write) in zip(SHAPES, map(FORMS.get, forms)):
        (folder / name).unlink()
        dashed, dotted = name[:-3], name[:-3].replace('-idx', '.idx')
        path = folder / place.format(dashed=dashed, dotted=dotted)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(write(idx(SHAPES[name])))
    before = sorted(folder.rglob('*'))
    for found, wanted in zip(read(folder, dtype=np.uint8), expected):
        np.testing.assert_array_equal(found.images, wanted.images)
        np.testing.assert_array_equal(found.labels, wanted.labels)
    assert sorted(folder.rglob('*')) == before


def test_folder_is_never_taken_for_a_file(folder):
    """Empty ones lie beside the files, as for some who use Kaggle's; then alone."""
    for name in SHAPES:
        (folder / name).rename(folder / name[:-3].replace('-idx', '.idx'))
        (folder / name).mkdir()
        (folder / name[:-3]).mkdir()
    read(folder)
    (folder / TEST_IMAGES[:-3].replace('-idx', '.idx')).unlink()
    with raises(ValueError, 'no %s beside' % TEST_IMAGES):
        read(folder)


def test_file_object_that_holds_unpacked_data(folder):
    for name in SHAPES:
        expected = extract(folder / name).tolist()
        (folder / name).write_bytes(idx(SHAPES[name]))
        assert extract(folder / name).tolist() == expected


@pytest.mark.parametrize('name', [TRAIN_LABELS, TEST_IMAGES])
def test_packed_file_wins_and_the_damage_of_an_unpacked_one_has_its_name(folder, name):
    unpacked = folder / name[:-3]
    unpacked.write_bytes(b'rubbish')
    read(folder)
    (folder / name).unlink()
    with raises(ValueError, '%s is damaged' % unpacked):
        read(folder)


def test_what_cannot_be_read_is_not_called_damaged(folder):
    path = folder / TEST_IMAGES
    path.unlink()
    path.symlink_to('/proc/self/mem')  # a file that gives an input/output error
    with raises(OSError, 'cannot read %s: %s' % (path, os.strerror(errno.EIO))):
        read(folder)
    with raises(OSError, os.strerror(errno.EIO), path):
        extract(path)
    with raises(OSError, 'cannot read %s/' % path, os.strerror(errno.ENOTDIR)):
        read(path)


def test_what_may_not_be_read(folder):
    """As the files of another user, in a folder that all share."""
    told = 'cannot read %s/' % folder, ': Permission denied'
    for name in SHAPES:
        (folder / name).chmod(0 if name == TEST_IMAGES else 0o644)
    with without_rights(folder), raises(PermissionError, *told, TEST_IMAGES):
        read(folder)
    folder.chmod(0)
    with without_rights(folder.parent), raises(PermissionError, *told):
        read(folder)
    folder.chmod(0o755)


def test_validation_size(folder):
    for size in 0, 1, 12:
        sets = read(folder, validation_size=size)
        assert [data_set.num_examples for data_set in sets] == [12 - size, size, 5]
    for size in -1, 13:
        told = 'validation_size is %d' % size, folder, 'holds 12 training examples'
        with raises(ValueError, *told, 'read_data_sets(..., validation_size=...)'):
            read(folder, validation_size=size)


@pytest.mark.parametrize('fake_data', [False, True])
def test_batch_size_that_cannot_be_taken_in_order(folder, fake_data):
    data_set = read(folder, fake_data=fake_data).train
    for batch_size in 0, -1:
        with raises(ValueError, 'batch_size %d ' % batch_size):
            next(data_set.in_order(batch_size))

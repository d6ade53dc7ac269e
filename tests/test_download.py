"""The download, from HTTP servers on the loopback address that misbehave on purpose."""

import gzip
import hashlib
import http.server
import json
import os
import re
import signal
import socketserver
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import generate_digits
import input_data
from helpers import without_rights

HEADERS = http.server.BaseHTTPRequestHandler.end_headers
PAGE = b'<!DOCTYPE html><title>Log in</title><p>Log in to use this network.</p>'
# What a mirror does wrong, and the reason that the error gives for it: where the file's
# hash is known, and with source_url, where it isn't.
FAULTS = {
    '404': ('HTTP Error 404', 'HTTP Error 404'),
    '403 with a page': ('HTTP Error 403', 'HTTP Error 403'),
    '200 with a page': ('SHA-256', 'Not a gzipped file'),
    '500': ('HTTP Error 500', 'HTTP Error 500'),
    'empty': ('SHA-256', 'cut off'),
    'cut off': ('SHA-256', 'cut off'),
    'short': ('SHA-256', 'cut off'),
    'byte flipped': ('SHA-256', 'CRC|Error -3|goes on'),
    'checksum flipped': ('SHA-256', 'CRC check failed'),
    'wrong file': ('SHA-256', 'magic number'),
    'closed': ('closed connection', 'closed connection'),
    'slow': ('timed out', 'timed out'),
}
NAMES = sorted(input_data.SHA256)
WRONG_FILE = dict(zip(NAMES, reversed(NAMES)))  # labels for images and vice versa
WAYS = pytest.mark.parametrize('way', ['mirrors', 'source_url'])
CHILD = """
import json, signal, sys
import input_data
signal.signal(signal.SIGINT, signal.default_int_handler)
folder, settings = json.loads(sys.argv[1])
vars(input_data).update(settings)
input_data.read_data_sets(folder, validation_size=100)
"""


def answer(fault, files, name):
    """Returns the status, what is sent of the body, and the length that is claimed."""
    if fault[0:1] in ('4', '5') or name not in files:
        return int(fault[0:3] or 404), PAGE, len(PAGE)
    body = files[WRONG_FILE[name] if fault == 'wrong file' else name]
    length, half = len(body), len(body) // 2
    if fault in ('cut off', 'slow'):
        return 200, body[:half], length
    if fault.endswith('flipped'):
        at = half if fault == 'byte flipped' else length - 8
        body = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
    others = {'200 with a page': PAGE, 'empty': b'', 'short': body[:half]}
    body = others.get(fault, body)
    return 200, body, len(body)


class Mirror(socketserver.ThreadingTCPServer):
    """Serves files, given as a dict from names to bytes, with one of FAULTS or none.

    It is http.server.ThreadingHTTPServer without the look-up of its own name.
    """

    daemon_threads = True

    def __init__(self, files, fault='', visitors=1):
        super().__init__(('127.0.0.1', 0), Handler)
        self.url = 'http://127.0.0.1:%d/mnist' % self.server_address[1]
        self.files, self.fault = files, fault
        self.asked, self.paths = [], []  # the names of files, and with their query
        self.write = lambda handler, body: handler.wfile.write(body)
        self.ended = threading.Event()
        self.visitors = threading.Barrier(visitors)  # none is served before all ask


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split('?')[0]
        mirror, name = self.server, os.path.basename(path)
        mirror.paths.append(self.path)
        mirror.asked.append(name)
        if len(mirror.asked) <= mirror.visitors.parties:
            mirror.visitors.wait()
        if mirror.fault == 'closed':
            return
        status, body, length = answer(mirror.fault, mirror.files, name)
        self.send_response(status)
        self.send_header('Content-Length', str(length))
        self.end_headers()
        mirror.write(self, body)
        if mirror.fault == 'slow':
            mirror.ended.wait(30)  # far longer than READ_TIMEOUT

    def log_message(self, *args):
        pass


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """The four files of 500 training digits and 100 for testing: names to bytes."""
    directory = str(tmp_path_factory.mktemp('published'))
    generate_digits.generate(directory, train=500, test=100)
    return contents(directory)


@pytest.fixture
def mirror(files):
    """Returns a function that starts a Mirror of the digits' files, or of others."""
    mirrors = []

    def start(fault='', files=files, **options):
        mirrors.append(Mirror(files, fault, **options))
        threading.Thread(target=mirrors[-1].serve_forever, args=(0.01,)).start()
        return mirrors[-1]

    yield start
    for server in mirrors:
        server.ended.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def use(monkeypatch):
    """Returns a function that makes mirrors the ones to download from.

    It takes the way, 'mirrors' or 'source_url', and the mirrors, and returns the
    keyword arguments for read_data_sets().
    """

    def use(way, *mirrors):
        urls = [mirror.url + '/' for mirror in mirrors]
        if any(mirror.fault == 'slow' for mirror in mirrors):
            monkeypatch.setattr(input_data, 'READ_TIMEOUT', 1)
        if way == 'source_url':
            return {'source_url': urls[0]}
        monkeypatch.setattr(input_data, 'MIRRORS', urls)
        return {}

    return use


@pytest.fixture(autouse=True)
def published(files, monkeypatch):
    """Makes the digits what is published, on no mirror as yet."""
    sums = {name: hashlib.sha256(files[name]).hexdigest() for name in input_data.SHA256}
    monkeypatch.setattr(input_data, 'SHA256', sums)
    monkeypatch.setattr(input_data, 'MIRRORS', [])
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / 'data')


def contents(folder):
    found = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), 'rb') as f:
            found[name] = f.read()
    return found


def put(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    with open(path, 'wb') as f:
        f.write(data)
    return path


def read(folder, **options):
    return input_data.read_data_sets(folder, validation_size=100, **options)


def assert_sound(folder, files, **options):
    """The call gives the data of these files, and the folder holds nothing else."""
    sets = read(folder, dtype=np.uint8, reshape=False, **options)
    assert contents(folder) == files
    unpacked = {name: gzip.decompress(data) for name, data in files.items()}
    for images_name, labels_name, found in (
        (input_data.TRAIN_IMAGES, input_data.TRAIN_LABELS, sets[1::-1]),
        (input_data.TEST_IMAGES, input_data.TEST_LABELS, sets[2:]),
    ):
        images, labels = unpacked[images_name][16:], unpacked[labels_name][8:]
        assert b''.join(data_set.images.tobytes() for data_set in found) == images
        assert b''.join(data_set.labels.tobytes() for data_set in found) == labels


@pytest.mark.parametrize('fault', FAULTS)
def test_next_mirror_makes_up_for_a_fault(folder, files, mirror, use, fault):
    faulty = mirror(fault)
    use('mirrors', faulty, mirror())
    assert_sound(folder, files)
    assert faulty.asked


@WAYS
@pytest.mark.parametrize('fault', FAULTS)
def test_fault_is_told_and_leaves_nothing_behind(
    folder, files, mirror, use, fault, way
):
    """The error has all a user needs, and the same call succeeds on a sound server."""
    mirrors = [mirror(fault), mirror('404')][: 1 if way == 'source_url' else 2]
    with pytest.raises(OSError) as caught:
        read(folder, **use(way, *mirrors))
    text = str(caught.value)
    assert 'put the files into %s by hand' % folder in text
    for name in files:
        assert name in text
    for faulty in mirrors:
        reason = FAULTS[faulty.fault][way == 'source_url']
        assert re.search(r'%s \(.*?(%s)' % (faulty.url, reason), text)
    assert not os.path.exists(folder)
    assert_sound(folder, files, **use(way, mirror()))


@pytest.mark.parametrize('fault', ['closed', 'slow'])
def test_dead_mirror_is_asked_once_not_for_each_file(folder, files, mirror, use, fault):
    dead, healthy = mirror(fault), mirror()
    use('mirrors', dead, healthy)
    assert_sound(folder, files)
    assert len(dead.asked) == 1
    assert sorted(healthy.asked) == sorted(files)


def test_each_mirror_gives_what_it_has(folder, files, mirror, use):
    """The error names only files that are absent; those that came are kept."""
    lacking = input_data.TRAIN_LABELS
    others = {name: files[name] for name in files if name != lacking}
    first, second = mirror(files=others), mirror(files={lacking: files[lacking]})
    use('mirrors', first)
    with pytest.raises(OSError) as caught:
        read(folder)
    assert [name for name in files if name in str(caught.value)] == [lacking]
    assert contents(folder) == others
    use('mirrors', first, second)
    assert_sound(folder, files)
    assert second.asked == [lacking]


@WAYS
@pytest.mark.parametrize('name', NAMES)
def test_users_file_is_used_as_it_is(folder, files, mirror, use, name, way):
    """Its pixels or labels, 0s and 1s, differ from the published ones."""
    data = bytearray(gzip.decompress(files[name]))
    start = 16 if 'images' in name else 8
    data[start:] = [value % 2 for value in data[start:]]
    own = gzip.compress(bytes(data))
    put(folder, name, own)
    healthy = mirror()
    assert_sound(folder, dict(files, **{name: own}), **use(way, healthy))
    assert name not in healthy.asked


@WAYS
@pytest.mark.parametrize('damage', ['cut off', 'page', 'empty'])
@pytest.mark.parametrize('name', NAMES)
def test_users_damaged_file_is_named_and_left_alone(
    folder, files, mirror, use, name, damage, way
):
    own = {'cut off': files[name][:-9], 'page': PAGE, 'empty': b''}[damage]
    path = put(folder, name, own)
    healthy = mirror()
    with pytest.raises(ValueError, match=re.escape(path)):
        read(folder, **use(way, healthy))
    assert contents(folder)[name] == own
    assert name not in healthy.asked


def test_read_only_folder_is_only_read(tmp_path, files, mirror, use):
    for name in files:
        put(str(tmp_path), name, files[name])
    os.chmod(str(tmp_path), 0o555)
    os.utime(str(tmp_path), (1, 1))  # a file that comes or goes would change it
    healthy = mirror()
    use('mirrors', healthy)
    with without_rights(tmp_path):
        assert_sound(str(tmp_path), files)
    assert os.stat(str(tmp_path)).st_mtime == 1
    assert not healthy.asked


def test_maybe_download_takes_a_whole_url(folder, files, mirror):
    """The file gets the name asked for, and a second call finds it there."""
    healthy, name = mirror(), input_data.TEST_LABELS
    for _ in range(2):
        path = input_data.maybe_download('own.gz', folder, healthy.url + '/' + name)
        assert path == os.path.join(folder, 'own.gz')
        assert contents(folder) == {'own.gz': files[name]}
    assert healthy.asked == [name]


def test_maybe_download_turns_to_the_mirrors(folder, files, mirror, use):
    use('mirrors', mirror('404'), mirror())
    for name in files:
        path = input_data.maybe_download(name, folder)
        assert path == os.path.join(folder, name)
    assert contents(folder) == files


def test_downloaded_files_are_readable_for_all(folder, files, mirror, use):
    use('mirrors', mirror())
    read(folder)
    for name in files:
        assert os.stat(os.path.join(folder, name)).st_mode & 0o444 == 0o444


def test_download_shows_its_progress(folder, files, mirror, use, capfd):
    use('mirrors', mirror())
    read(folder)
    shown = capfd.readouterr().err
    assert all('%s: 100%%' % name in shown for name in files)


def start_child(folder, mirror):
    """Starts a process of its own that reads the data sets."""
    settings = {
        'MIRRORS': [mirror.url + '/'],
        'SHA256': input_data.SHA256,
        'READ_TIMEOUT': 100,
    }
    return subprocess.Popen(
        [sys.executable, '-c', CHILD, json.dumps([folder, settings])],
        cwd=os.path.dirname(os.path.abspath(input_data.__file__)),
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )


def test_six_processes_at_once(folder, files, mirror):
    """All six are downloading the first file before any of them gets a byte of it."""
    healthy = mirror(visitors=6)
    processes = [start_child(folder, healthy) for _ in range(6)]
    for process in processes:
        stderr = process.communicate()[1]
        assert process.returncode == 0, stderr
    assert contents(folder) == files


@pytest.mark.parametrize('name', ['SIGKILL', 'SIGINT', 'SIGTERM'])
def test_stop_in_mid_download_leaves_nothing(folder, files, mirror, use, name):
    slow = mirror('slow')
    process = start_child(folder, slow)
    while not slow.asked and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(getattr(signal, name))
    process.communicate()
    assert process.returncode
    assert not os.path.exists(folder)
    use('mirrors', mirror())
    assert_sound(folder, files)


@pytest.mark.parametrize('lacking', [None, input_data.TEST_LABELS])
def test_nothing_of_a_server_with_a_wrong_set_is_kept(
    tmp_path, folder, files, mirror, lacking
):
    """The files are intact, but do not fit the user's, or one of them is missing."""
    generate_digits.generate(str(tmp_path / 'other'), train=501, test=100, seed=1)
    others = contents(str(tmp_path / 'other'))
    others.pop(lacking, None)
    own = input_data.TRAIN_LABELS
    put(folder, own, files[own])
    with pytest.raises((ValueError, OSError)) as caught:
        read(folder, source_url=mirror(files=others).url)
    assert 'damaged' not in str(caught.value) and 'delete' not in str(caught.value)
    assert contents(folder) == {own: files[own]}
    assert_sound(folder, files, source_url=mirror().url)


def test_server_that_trickles_is_given_up(folder, files, mirror, use, monkeypatch):
    monkeypatch.setattr(input_data, 'SLOW_SECONDS', 0.5)
    trickling, healthy = mirror(), mirror()

    def write_slowly(handler, body):
        for i in range(len(body)):
            handler.wfile.write(body[i : i + 1])
            handler.wfile.flush()
            if trickling.ended.wait(0.1):
                return

    trickling.write = write_slowly
    use('mirrors', trickling, healthy)
    assert_sound(folder, files)
    assert len(trickling.asked) == 1


@pytest.mark.parametrize('slash', ['', '/'])
def test_query_of_a_source_url_is_kept(folder, files, mirror, slash):
    healthy = mirror()
    assert_sound(folder, files, source_url=healthy.url + slash + '?token=x')
    assert all(path.endswith('.gz?token=x') for path in healthy.paths)


@pytest.mark.parametrize('module', ['certifi', 'tqdm'])
def test_without_what_a_download_needs_the_error_says_so(
    folder, mirror, use, monkeypatch, module
):
    use('mirrors', mirror())
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OSError, match='put the files into %s.*%s' % (folder, module)):
        read(folder)


def test_folder_that_may_not_be_read(tmp_path, mirror, use):
    use('mirrors', mirror())
    folder = tmp_path / 'closed'
    folder.mkdir(0)
    with without_rights(tmp_path), pytest.raises(PermissionError) as caught:
        read(str(folder))
    assert 'cannot write' not in str(caught.value)


def test_folder_whose_name_begins_with_a_tilde(
    tmp_path, files, mirror, use, monkeypatch
):
    """It is taken by the letter, as open() takes it; nothing lands in the home."""
    (tmp_path / 'home').mkdir()
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.chdir(tmp_path)
    use('mirrors', mirror())
    assert_sound('~/data', files)
    assert os.listdir('home') == []


@WAYS
def test_link_that_leads_nowhere_is_left_alone(folder, mirror, use, way):
    path = os.path.join(folder, NAMES[0])
    os.mkdir(folder)
    os.symlink('/nowhere/file', path)
    with pytest.raises(FileNotFoundError, match=re.escape(path)):
        read(folder, **use(way, mirror()))
    assert os.path.islink(path)


@WAYS
def test_file_put_there_during_the_download_is_the_users(
    folder, files, mirror, use, monkeypatch, way
):
    name = input_data.TRAIN_IMAGES  # the first to be downloaded
    own = gzip.compress(gzip.decompress(files[name]))

    def end_headers(self):
        if self.path.endswith(name):
            put(folder, name, own)
        HEADERS(self)

    monkeypatch.setattr(Handler, 'end_headers', end_headers)
    assert_sound(folder, dict(files, **{name: own}), **use(way, mirror()))


def test_folder_that_cannot_be_made(tmp_path, mirror, use):
    use('mirrors', mirror())
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='cannot write .*gz: Not a directory'):
        input_data.maybe_download(NAMES[0], str(tmp_path / 'file' / 'data'))

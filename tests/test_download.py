"""Where the files come from: the clone, or HTTP servers that misbehave on purpose.

The servers are on the loopback address. What they publish is a small part of MNIST.
"""

import gzip
import hashlib
import http.server
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import certifi
import numpy as np
import pytest

import input_data
from helpers import ROOT, without_rights
from idx_files import MNIST_DIR, write_small_mnist
from input_data import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS

PAGE = b'<!DOCTYPE html><title>Log in</title><p>Log in to use this network.</p>'
LOOPBACK = os.path.join(ROOT, 'tests', 'data', 'loopback.pem')
NOBODY = 'http://127.0.0.1:1'  # where no server listens
DAMAGED = 'cut off|gzipped|CRC|Error -3|magic number'
# From what a server does wrong to the reason that the error gives, and to what it
# sends of a file.
FAULTS = {
    '404': ('HTTP Error 404', None),
    'closes': ('closed', None),
    'not HTTP': ('SSH-2.0', None),
    'stalls': ('timed out', lambda data: data[:-99]),
    'cut off': (DAMAGED, lambda data: data[:-99]),
    'empty': (DAMAGED, lambda data: b''),
    'page': (DAMAGED, lambda data: PAGE),
    'bit flipped': (DAMAGED, lambda data: data[:-5] + b'?' + data[-4:]),
    'other file': (DAMAGED, lambda data: gzip.compress(bytes(99))),
    'other set': ('SHA-256', lambda data: other_set(data)),
}
CHILD = """
import json, sys
import input_data
folder, settings = json.loads(sys.argv[1])
vars(input_data).update(settings, READ_TIMEOUT=100)
input_data.read_data_sets(folder, validation_size=100)
"""


def other_set(packed):
    """Returns a file of the same shape with another last pixel or label."""
    data = gzip.decompress(packed)
    return gzip.compress(data[:-1] + bytes([data[-1] ^ 1]))


class Mirror(socketserver.ThreadingTCPServer):
    """Serves files, given as a dict from names to bytes, with one of FAULTS or none.

    It is http.server.ThreadingHTTPServer without the look-up of its own name.
    """

    daemon_threads = True

    def __init__(self, files, fault, certificate=None):
        super().__init__(('127.0.0.1', 0), Handler)
        self.url = 'http://127.0.0.1:%d/mnist' % self.server_address[1]
        if certificate:
            self.url = self.url.replace('http', 'https')
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.files, self.fault = files, fault
        self.asked = []  # the files' names
        self.write = lambda f, name, data: f.write(data)
        self.ended = threading.Event()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        mirror, fault = self.server, self.server.fault
        name = os.path.basename(self.path)
        mirror.asked.append(name)
        if fault in ('closes', 'not HTTP'):
            self.wfile.write(b'' if fault == 'closes' else b'SSH-2.0\r\n')
            return
        if fault == '404' or name not in mirror.files:
            self.send_error(404)
            return
        data = mirror.files[name]
        sent = FAULTS[fault][1](data) if fault else data
        self.send_response(200)
        if fault != 'page':  # it comes without a length
            whole = fault in ('cut off', 'stalls')
            self.send_header('Content-Length', str(len(data if whole else sent)))
        self.end_headers()
        mirror.write(self.wfile, name, sent)
        if fault == 'stalls':
            mirror.ended.wait(30)  # far longer than READ_TIMEOUT

    def log_message(self, *args):
        pass


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """The four files of 500 training digits and 100 for testing: names to bytes."""
    directory = tmp_path_factory.mktemp('published')
    write_small_mnist(str(directory), train=500, test=100)
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
    """Returns a function that makes mirrors the ones to download from."""
    return lambda *mirrors: monkeypatch.setattr(
        input_data, 'MIRRORS', tuple(mirror.url + '/' for mirror in mirrors)
    )


@pytest.fixture(autouse=True)
def published(files, monkeypatch):
    """Makes the digits what is published, on no mirror and in no clone as yet."""
    sums = {}
    for name in input_data.SHA256:
        data = gzip.decompress(files[name])[16 if 'images' in name else 8 :]
        sums[name] = hashlib.sha256(data).hexdigest()
    monkeypatch.setattr(input_data, 'SHA256', sums)
    monkeypatch.setattr(input_data, 'MIRRORS', [])
    monkeypatch.setattr(input_data, 'BUNDLED', '/nowhere')
    monkeypatch.setenv('NO_PROXY', '127.0.0.1,localhost')


@pytest.fixture
def folder(tmp_path):
    return tmp_path / 'data'


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def read(folder, **options):
    return input_data.read_data_sets(str(folder), validation_size=100, **options)


def assert_sound(folder, files, **options):
    """The call gives the data of these files, and the folder holds nothing else."""
    sets = read(folder, dtype=np.uint8, **options)
    assert contents(folder) == files
    assert_holds(sets, files)


def assert_holds(sets, files):
    train, validation, test = sets
    for name, header, *parts in (
        (TRAIN_IMAGES, 16, validation.images, train.images),
        (TRAIN_LABELS, 8, validation.labels, train.labels),
        (TEST_IMAGES, 16, test.images),
        (TEST_LABELS, 8, test.labels),
    ):
        data = gzip.decompress(files[name])[header:]
        assert b''.join(part.tobytes() for part in parts) == data


@pytest.mark.parametrize('fault', FAULTS)
def test_each_mirror_gives_what_it_has(folder, files, mirror, use, monkeypatch, fault):
    """The error names the files that no mirror has, and why; nothing is written."""
    if fault == 'stalls':
        monkeypatch.setattr(input_data, 'READ_TIMEOUT', 1)
    others = {name: files[name] for name in files if name != TRAIN_LABELS}
    faulty, lacking, healthy = mirror(fault), mirror(files=others), mirror()
    use(faulty, lacking)
    with pytest.raises(OSError) as caught:
        read(folder)
    text = str(caught.value)
    assert [name for name in files if name in text] == [TRAIN_LABELS]
    assert 'put the files into %s by hand' % folder in text
    assert re.search(r'%s/ \(.*%s' % (faulty.url, FAULTS[fault][0]), text)
    assert re.search(r'%s/ \(.*HTTP Error 404' % lacking.url, text)
    assert not folder.exists()
    answers = fault not in (
        'closes',
        'not HTTP',
        'stalls',
    )  # one that doesn't is asked but once
    assert len(faulty.asked) == (4 if answers else 1)
    use(lacking, healthy)
    assert_sound(folder, files)
    assert healthy.asked == [TRAIN_LABELS]


@pytest.mark.parametrize(
    'fault', [x for x in FAULTS if x not in ('stalls', 'other set')]
)
def test_source_url_with_a_fault(folder, mirror, fault):
    faulty = mirror(fault)
    with pytest.raises(OSError) as caught:
        read(folder, source_url=faulty.url)
    pattern = r'%s \(.*(%s)' % (faulty.url, FAULTS[fault][0])
    assert re.search(pattern, str(caught.value))
    assert not folder.exists()


@pytest.mark.parametrize('end', ['', '/'])
def test_source_url_of_one_of_the_mirrors_stands_for_all(
    tmp_path, folder, files, mirror, use, end
):
    """Be it with http or https, as very many scripts give one of them."""
    healthy, dead = mirror(), mirror('404')
    use(dead, healthy)
    url = dead.url.replace('http:', 'https:') + end
    assert_sound(folder, files, source_url=url)
    path = dead.url + '/' + TEST_LABELS, str(tmp_path)
    input_data.maybe_download(TEST_LABELS, path[1], path[0])
    assert (tmp_path / TEST_LABELS).read_bytes() == files[TEST_LABELS]


@pytest.mark.parametrize('form', ['%s.gz', '%s'])
@pytest.mark.parametrize('others', [[TRAIN_IMAGES, TRAIN_LABELS], [TEST_LABELS]])
def test_files_of_another_set_are_not_completed_with_mnist(
    folder, files, mirror, use, form, others
):
    """Though all are of the same shape. The message names a file and two ways out."""
    folder.mkdir()
    other = {name: other_set(files[name]) for name in files}
    for name in others:
        data = other[name] if form == '%s.gz' else gzip.decompress(other[name])
        (folder / (form % name[:-3])).write_bytes(data)
    before, healthy = contents(folder), mirror()
    use(healthy)
    with pytest.raises(ValueError, match='source_url') as caught:
        read(folder)
    assert str(folder / (form % others[0][:-3])) in str(caught.value)
    assert (contents(folder), healthy.asked) == (before, [])
    test = read(folder, source_url=mirror(files=other).url, dtype=np.uint8).test
    data = gzip.decompress(other[TEST_IMAGES])[16:]
    assert test.images.tobytes() == data and len(contents(folder)) == 4
    read(folder)


@pytest.mark.parametrize('lacking', [None, TEST_LABELS])
def test_nothing_of_a_wrong_set_is_kept(tmp_path, folder, files, mirror, lacking):
    """The files are intact, but do not fit the user's, or one of them is missing."""
    write_small_mnist(str(tmp_path / 'other'), train=501, test=100)
    others = contents(tmp_path / 'other')
    others.pop(lacking, None)
    folder.mkdir()
    (folder / TRAIN_LABELS).write_bytes(files[TRAIN_LABELS])
    with pytest.raises((ValueError, OSError)) as caught:
        read(folder, source_url=mirror(files=others).url)
    assert 'damaged' not in str(caught.value) and 'delete' not in str(caught.value)
    assert contents(folder) == {TRAIN_LABELS: files[TRAIN_LABELS]}


@pytest.mark.parametrize('way', ['mirrors', 'source_url'])
@pytest.mark.parametrize('what', ['empty file', 'link that leads nowhere'])
def test_users_bad_file_is_named_and_left_alone(folder, mirror, use, what, way):
    folder.mkdir()
    path, healthy = folder / TRAIN_LABELS, mirror()
    if what == 'empty file':
        path.touch()
    else:
        path.symlink_to('/nowhere/file')
    inode = path.lstat().st_ino
    use(healthy)
    with pytest.raises((ValueError, FileNotFoundError), match=str(path)):
        read(folder, source_url=healthy.url if way == 'source_url' else None)
    assert path.lstat().st_ino == inode
    assert (os.listdir(str(folder)), healthy.asked) == ([TRAIN_LABELS], [])


def test_file_put_there_during_the_download_is_the_users(folder, files, mirror):
    """It stays if the rest of the download is not intact, and is used as it is."""
    data, server, healthy = gzip.decompress(files[TRAIN_IMAGES]), mirror(), mirror()
    own = {TRAIN_IMAGES: gzip.compress(data[:16] + data[:15:-1])}

    def write(f, name, data):
        if name == TRAIN_IMAGES:  # the first
            folder.mkdir()
            (folder / name).write_bytes(own[name])
            server.fault = 'other file'  # from now on
        f.write(data)

    server.write = write
    with pytest.raises(OSError):
        read(folder, source_url=server.url)
    assert contents(folder) == own
    assert_sound(folder, dict(files, **own), source_url=healthy.url)
    assert TRAIN_IMAGES not in healthy.asked


def test_file_put_there_during_a_download_of_mnist_stays(folder, files, mirror, use):
    def write(f, name, data):
        if name == TRAIN_IMAGES:
            folder.mkdir()
            (folder / name).write_bytes(b'own')
        f.write(data)

    server = mirror()
    server.write = write
    use(server)
    read(folder)
    assert contents(folder) == dict(files, **{TRAIN_IMAGES: b'own'})


def test_read_only_folder_is_only_read(folder, files, mirror, use):
    folder.mkdir()
    for name in files:
        (folder / name).write_bytes(files[name])
        (folder / name).chmod(0o444)
    folder.chmod(0o555)
    os.utime(str(folder), (1, 1))  # a file that comes or goes would change it
    use(mirror())
    with without_rights(folder):
        assert_sound(folder, files)
    assert folder.stat().st_mtime == 1


def test_folder_that_cannot_be_made(tmp_path, mirror, use):
    use(mirror())
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match='cannot write .*gz: Not a directory'):
        input_data.maybe_download(TRAIN_IMAGES, str(tmp_path / 'file' / 'data'))


def test_file_that_cannot_be_written_whole(folder, mirror, use, capfd):
    """As on a full disk: nothing of it stays. (The progress goes to a file, too.)"""
    use(mirror())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50000, limits[1]))
    try:
        with pytest.raises(OSError, match='cannot write %s.*: File too large' % folder):
            read(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert contents(folder) == {}


def test_nothing_is_written_elsewhere(tmp_path, files, mirror, use, monkeypatch):
    """A tilde is taken by the letter, as open() takes it; '' is the working folder."""
    (tmp_path / 'home').mkdir()
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.setattr(tempfile, 'tempdir', '/nowhere')
    monkeypatch.chdir(tmp_path)
    use(mirror())
    assert_sound(pathlib.Path('~/data'), files)
    assert os.listdir('home') == []
    assert input_data.maybe_download(TEST_LABELS, '') == TEST_LABELS
    assert sorted(os.listdir('.')) == sorted(['home', TEST_LABELS, '~'])


def test_server_that_sends_unpacked_files(folder, files, mirror, use):
    unpacked = {name: gzip.decompress(files[name]) for name in files}
    use(mirror(files=unpacked))
    assert_holds(read(folder, dtype=np.uint8), files)
    assert contents(folder) == unpacked
    use()
    assert_holds(read(folder, dtype=np.uint8), files)


def test_maybe_download(folder, files, mirror, use):
    """From the mirrors or a whole URL, if there is no such file or link as yet."""
    folder.mkdir()
    (folder / TEST_IMAGES).symlink_to('/nowhere/file')
    healthy = mirror()
    use(mirror('404'), healthy)
    url = healthy.url + '/' + TEST_LABELS
    calls = (TRAIN_LABELS, folder), ('own.gz', folder, url), (TEST_IMAGES, folder)
    for args in calls * 2:
        assert input_data.maybe_download(*args) == str(folder / args[0])
    assert healthy.asked == [TRAIN_LABELS, TEST_LABELS]
    (folder / TEST_IMAGES).unlink()
    labels = {TRAIN_LABELS: files[TRAIN_LABELS], 'own.gz': files[TEST_LABELS]}
    assert contents(folder) == labels


def test_download_shows_progress_and_heeds_the_umask(folder, mirror, use, capfd):
    use(mirror())
    before = os.umask(0o027)
    try:
        read(folder)
    finally:
        os.umask(before)
    shown = capfd.readouterr().err
    for path in folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o640
        assert '%s: 100%%' % path.name in shown


@pytest.mark.parametrize('name', ['own.txt', TRAIN_LABELS])
def test_body_that_is_shorter_than_announced_is_not_kept(folder, mirror, name):
    server = mirror('cut off', files={name: bytes(1000)})
    told = r'it is cut off after 901 of 1000 bytes'
    with pytest.raises(OSError, match=told):
        input_data.maybe_download(name, str(folder), server.url + '/' + name)
    assert not folder.exists()


def test_download_without_stderr(folder, files, mirror, use, monkeypatch):
    """As with `2>&-`, or pythonw on Windows."""
    use(mirror())
    monkeypatch.setattr(sys, 'stderr', None)
    assert_sound(folder, files)


@pytest.mark.parametrize('host', ['127.0.0.1', 'localhost'])
@pytest.mark.parametrize('trusted_by', ['the system', 'certifi', 'nobody'])
def test_certificate_must_be_trusted_and_of_the_host(
    folder, files, mirror, monkeypatch, trusted_by, host
):
    """A school's proxy has one that only the system trusts, or SSL_CERT_FILE."""
    if trusted_by == 'certifi':
        monkeypatch.setattr(certifi, 'where', lambda: LOOPBACK)
    system = LOOPBACK if trusted_by == 'the system' else os.devnull
    monkeypatch.setenv('SSL_CERT_FILE', system)
    url = mirror(certificate=LOOPBACK).url.replace('127.0.0.1', host)
    if trusted_by == 'nobody' or host == 'localhost':
        with pytest.raises(OSError, match='(?i)certificate.verify.failed'):
            read(folder, source_url=url)
        assert not folder.exists()
    else:
        assert_sound(folder, files, source_url=url)


@pytest.mark.parametrize('module', ['certifi', 'tqdm'])
def test_module_that_a_download_lacks(folder, mirror, use, monkeypatch, module):
    use(mirror())
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(OSError, match='put the files into %s.*%s' % (folder, module)):
        read(folder)


def start_child(folder, mirror):
    """Starts a process of its own that reads the data sets."""
    settings = dict(MIRRORS=[mirror.url + '/'], SHA256=input_data.SHA256)
    settings['BUNDLED'] = input_data.BUNDLED
    return subprocess.Popen(
        [sys.executable, '-c', CHILD, json.dumps([str(folder), settings])],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )


def test_six_processes_at_once(folder, files, mirror):
    """All six are downloading the first file before any of them gets a byte of it."""
    healthy, all_six = mirror(), threading.Barrier(6)

    def write(f, name, data):
        if name == TRAIN_IMAGES:
            all_six.wait()
        f.write(data)

    healthy.write = write
    processes = [start_child(folder, healthy) for _ in range(6)]
    for process in processes:
        stderr = process.communicate()[1]
        assert process.returncode == 0, stderr
    assert contents(folder) == files


def test_kill_in_mid_download_leaves_nothing(folder, mirror):
    stalling = mirror('stalls')
    process = start_child(folder, stalling)
    while not stalling.asked and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.2)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not folder.exists()


@pytest.mark.parametrize('before', [0, 2])
def test_interrupted_download_leaves_nothing(folder, mirror, before):
    """With source_url the files that came before go, too: they may not fit."""
    server = mirror()

    def write(f, name, data):
        if len(server.asked) > before:
            os.kill(os.getpid(), signal.SIGINT)
        f.write(data)

    server.write = write
    with pytest.raises(KeyboardInterrupt):
        read(folder, source_url=server.url)
    assert not folder.exists() or contents(folder) == {}


@pytest.fixture
def bundled(tmp_path, files, monkeypatch):
    """A folder of the four files that takes the place of the clone's MNIST_data."""
    bundled = tmp_path / 'bundled'
    bundled.mkdir()
    for name in files:
        (bundled / name).write_bytes(files[name])
    monkeypatch.setattr(input_data, 'BUNDLED', str(bundled))
    return bundled


@pytest.mark.parametrize('url', [None, '%s', '%s/', 'https://%s'])
def test_bundled_files_come_first(folder, files, bundled, mirror, use, capfd, url):
    """Also where a script names a mirror. Nobody has to wait, so no progress shows."""
    unasked = mirror()
    use(unasked)
    if url:
        url = url.replace('https://%s', unasked.url.replace('http', 'https'))
        url = url.replace('%s', unasked.url)
    assert_sound(folder, files, source_url=url)
    (folder / TEST_LABELS).unlink()
    url = url and url.rstrip('/') + '/' + TEST_LABELS
    input_data.maybe_download(TEST_LABELS, str(folder), url)
    assert contents(folder) == files
    assert (unasked.asked, capfd.readouterr().err) == ([], '')


@pytest.mark.parametrize('fault', ['absent', 'folder', 'cut off', 'other set'])
def test_bundled_file_that_is_missing_or_wrong_comes_from_a_mirror(
    folder, files, bundled, mirror, use, fault
):
    path, healthy = bundled / TRAIN_LABELS, mirror()
    path.unlink()
    if fault == 'folder':
        path.mkdir()
    elif fault != 'absent':
        path.write_bytes(FAULTS[fault][1](files[TRAIN_LABELS]))
    before = sorted(bundled.iterdir())
    with pytest.raises(OSError, match='cannot download %s' % TRAIN_LABELS) as caught:
        read(folder)
    assert (str(bundled) in str(caught.value)) == (fault != 'absent')
    use(healthy)
    assert_sound(folder, files)
    assert healthy.asked == [TRAIN_LABELS]
    assert sorted(bundled.iterdir()) == before


def test_bundled_files_never_replace_a_source_url_of_ones_own(
    folder, files, bundled, mirror
):
    with pytest.raises(OSError) as caught:
        read(folder, source_url=mirror('404').url)
    assert str(bundled) not in str(caught.value) and not folder.exists()
    url = mirror('404').url + '/' + TEST_LABELS
    with pytest.raises(OSError):
        input_data.maybe_download(TEST_LABELS, str(folder), url)
    other = {name: other_set(files[name]) for name in files}
    assert_sound(folder, other, source_url=mirror(files=other).url)


def test_bundled_files_are_not_written_to_and_fill_up_their_own_folder(
    files, bundled, mirror, use
):
    for path in bundled.iterdir():
        path.chmod(0o444)
    assert_sound(bundled, files)
    (bundled / TEST_LABELS).unlink()
    use(mirror())
    assert_sound(bundled, files)


OTHER_NAMES = [
    'test-images-idx3-ubyte.gz',
    'emnist-letters-train-labels-idx1-ubyte',
    'train-images-idx3-ubyte (1).gz',
    't10k-labels.ubyte',
]


@pytest.mark.parametrize('other', OTHER_NAMES)
@pytest.mark.parametrize('absent', [1, 4])
def test_folder_with_other_names_is_not_filled_up_with_mnist(
    folder, files, bundled, mirror, use, other, absent
):
    """The error says what was looked for and what is there. A source_url is obeyed."""
    shutil.copytree(str(bundled), str(folder))
    for name in list(files)[:absent]:
        (folder / name).rename(folder / other)
    before, unasked = contents(folder), mirror()
    use(unasked)
    with pytest.raises(ValueError) as caught:
        read(folder)
    assert str(folder / other) in str(caught.value)
    assert [name for name in files if name in str(caught.value)] == list(files)[:absent]
    assert (contents(folder), unasked.asked) == (before, [])
    read(folder, source_url=mirror().url)
    assert contents(folder) == dict(before, **files)
    read(folder)


# Ways to get at the loader, in a folder that has MNIST_data beside it.
IMPORTS = {
    'from another folder': 'sys.path.insert(0, BESIDE); import input_data',
    'by a relative path': "sys.path.insert(0, 'a b'); import input_data",
    'of a package': """
os.makedirs(BESIDE + '/package/of/it')
os.rename(BESIDE + '/input_data.py', BESIDE + '/package/of/it/input_data.py')
sys.path.insert(0, BESIDE)
from package.of.it import input_data""",
    'run by its path': "vars(input_data).update(runpy.run_path('a b/input_data.py'))",
    'pasted into a cell': """
os.chdir(BESIDE)
exec(open('input_data.py').read(), vars(input_data))""",
    'exec without any name': """
os.chdir(BESIDE)
names = {}
exec(open('input_data.py').read(), names)
vars(input_data).update(names)""",
}
WITHOUT_NETWORK = """
import os, runpy, sys, types
BESIDE, folder = sys.argv[1:]
input_data = types.ModuleType('__main__')
%s
os.chdir('/')
print([data_set.num_examples for data_set in input_data.read_data_sets(folder)])
"""


@pytest.mark.parametrize('way', IMPORTS)
def test_mnist_comes_with_the_loader_however_that_is_imported(tmp_path, folder, way):
    """Without a network, and from any working folder."""
    beside = tmp_path / 'a b'
    beside.mkdir()
    shutil.copy(os.path.join(ROOT, 'input_data.py'), str(beside))
    (beside / 'MNIST_data').symlink_to(MNIST_DIR)
    stdout = subprocess.check_output(
        [
            sys.executable,
            '-c',
            WITHOUT_NETWORK % IMPORTS[way],
            str(beside),
            str(folder),
        ],
        cwd=str(tmp_path),
        env=dict(os.environ, http_proxy=NOBODY, https_proxy=NOBODY),
        universal_newlines=True,
    )
    assert stdout == '[55000, 5000, 10000]\n'
    mnist = contents(pathlib.Path(MNIST_DIR))
    assert contents(folder) == {name: mnist[name] for name in input_data.SHA256}

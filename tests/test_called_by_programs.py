"""The program where it isn't a shell's command: in notebooks, threads, programs."""

import argparse
import faulthandler
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import fully_connected_feed
import input_data
from fully_connected_feed import DEFAULTS
from helpers import (
    PROGRAM,
    ROOT,
    assert_one_line,
    call,
    curves,
    read,
    record_of,
    steps_saved,
    variables,
)

IMPORTED = """
import sys
sys.path.insert(0, %r)
import fully_connected_feed as f
f.FLAGS = f.parse_flags(%r)
f.run_training()
"""


@pytest.mark.parametrize('way', ['%run', 'import'])
def test_notebook_trains_twice_in_one_kernel(tmp_path, way):
    nbformat = pytest.importorskip('nbformat')
    client = pytest.importorskip('nbclient')
    log_dir = str(tmp_path / 'new' / 'log')
    cells = []
    for flags in ['--fake_data', '--max_steps=3'], ['--resume', '--max_steps=5']:
        flags += ['--log_dir', log_dir]
        run = '%run ' + ' '.join('"%s"' % word for word in [PROGRAM] + flags)
        cells.append(IMPORTED % (ROOT, flags) if way == 'import' else run)
    notebook = nbformat.v4.new_notebook(
        cells=list(map(nbformat.v4.new_code_cell, cells))
    )
    client.NotebookClient(notebook, timeout=240, kernel_name='python3').execute()
    printed = [
        ''.join(x.get('text', '') for x in cell.outputs if x.get('name') == 'stdout')
        for cell in notebook.cells
    ]
    assert printed[0].startswith('Step 0:') and 'Test Data Eval:' in printed[1]
    assert [step for step, _ in curves(log_dir)['precision/test']][-1] == 5
    assert steps_saved(log_dir) == [2, 4]


def settings():
    """What a run sets in its process, and has to set back."""
    names = 'SIGINT', 'SIGTERM', 'SIGHUP'
    return (
        [signal.getsignal(getattr(signal, name)) for name in names],
        getattr(threading, 'excepthook', None),
        faulthandler.is_enabled(),
        fully_connected_feed.FLAGS,
    )


def writers():
    return [x for x in threading.enumerate() if 'EventLogger' in type(x).__name__]


def trained(log_dir):
    """Whether a run trains and leaves its process as it was."""
    before = settings(), writers()
    result = call('--fake_data', '--max_steps=3', '--log_dir', str(log_dir))
    assert before == (settings(), writers())
    return result[::2] == (0, []) and steps_saved(log_dir) == [2]


def test_thread_trains(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(trained(tmp_path)))
    thread.start()
    thread.join()
    assert results == [True]


def interrupt_after_a_checkpoint(log_dir):
    def interrupt():
        while not steps_saved(log_dir):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()


def test_program_goes_on_after_a_stop(tmp_path, monkeypatch):
    """As python -i and a notebook's %run do, which keep the exception."""
    monkeypatch.setattr(sys, 'ps1', 'In [1]', raising=False)
    before, flags = settings(), ['--fake_data', '--log_dir', str(tmp_path)]
    interrupt_after_a_checkpoint(tmp_path)
    with pytest.raises(SystemExit, match='130') as kept:
        fully_connected_feed.main([*flags, '--max_steps=10000000', '--eval_steps=99'])
    assert settings() == before
    (step,) = steps_saved(tmp_path)[-1:]
    assert call(*flags, '--resume', '--max_steps=%d' % (step + 3))[0] == 0
    assert kept.value.__traceback__


def test_handler_of_a_program_stays_in_force(tmp_path, monkeypatch):
    class Stop(Exception):
        pass

    def stop(signum, frame):
        raise Stop

    before = signal.signal(signal.SIGINT, stop)
    interrupt_after_a_checkpoint(tmp_path)
    flags = '--fake_data', '--max_steps=10000000', '--eval_steps=99'
    try:
        with pytest.raises(Stop):
            call('--log_dir', str(tmp_path), *flags)
        assert signal.getsignal(signal.SIGINT) is stop
    finally:
        signal.signal(signal.SIGINT, before)


def test_import_leaves_the_collector_on_even_if_it_fails():
    code = 'import gc, sys\nsys.modules["filelock"] = None\n'
    code += 'try:\n    import fully_connected_feed\n'
    code += 'except ImportError:\n    sys.exit(not gc.isenabled())'
    assert subprocess.call([sys.executable, '-c', code], cwd=ROOT) == 0
    assert gc.isenabled()


def test_handler_that_is_not_pythons_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(signal, 'getsignal', lambda signum: None)
    flags = '--fake_data', '--max_steps=3', '--log_dir', str(tmp_path)
    assert call(*flags)[::2] == (0, [])


def test_main_takes_a_list_of_flags(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['program', '--no_such_flag'])
    fully_connected_feed.main(
        ['--fake_data', '--max_steps=2', '--log_dir', str(tmp_path)]
    )
    assert steps_saved(tmp_path) == [1]


@pytest.mark.parametrize('name', ['main', 'run_training'])
def test_flags_set_by_hand_as_with_tensorflow_1(tmp_path, monkeypatch, name):
    """What FLAGS lacks gets its default; main() does not ask the command line."""
    flags = argparse.Namespace(
        learning_rate=0.01,
        max_steps=2,
        hidden1=12,
        hidden2=5,
        batch_size=10,
        input_data_dir='',
        log_dir=str(tmp_path),
        fake_data=True,
    )
    monkeypatch.setattr(fully_connected_feed, 'FLAGS', flags)
    monkeypatch.setattr(sys, 'argv', ['kernel', '-f', 'kernel.json'])
    getattr(fully_connected_feed, name)(*[['kernel']] * (name == 'main'))
    assert variables(tmp_path, 1)


def test_run_training_without_flags_takes_the_defaults(tmp_path, monkeypatch):
    taken = []
    places = dict(DEFAULTS, log_dir=str(tmp_path), input_data_dir=str(tmp_path))
    monkeypatch.setattr(fully_connected_feed, 'DEFAULTS', places)
    monkeypatch.setattr(fully_connected_feed, 'FLAGS', None)
    monkeypatch.setattr(
        input_data,
        'read_data_sets',
        lambda *args, **options: taken.append(vars(fully_connected_feed.FLAGS)),
    )
    with pytest.raises(AttributeError):  # there are no data sets
        fully_connected_feed.run_training()
    assert fully_connected_feed.FLAGS is None
    assert taken[0].pop('seed') is not None and dict(taken[0], seed=None) == places


def test_each_run_without_a_seed_draws_one(tmp_path, monkeypatch):
    flags = argparse.Namespace(fake_data=True, max_steps=1)
    monkeypatch.setattr(fully_connected_feed, 'FLAGS', flags)
    seeds = set()
    for name in 'one', 'two':
        flags.log_dir = str(tmp_path / name)
        fully_connected_feed.run_training()
        seeds.add(record_of(flags.log_dir)['seed'])
    assert len(seeds) == 2 and not hasattr(flags, 'seed')


def test_program_that_sets_resume_gets_the_recorded_flags(
    copied, finished, monkeypatch
):
    flags = argparse.Namespace(log_dir=copied, resume=True)
    monkeypatch.setattr(fully_connected_feed, 'FLAGS', flags)
    fully_connected_feed.run_training()
    assert record_of(copied) == record_of(finished.log_dir)
    flags.hidden1 = 64
    with pytest.raises(ValueError, match='--hidden1 64 contradicts 128'):
        fully_connected_feed.run_training()


def test_run_that_is_replaced_while_another_waits_for_its_data(
    flags, tmp_path, monkeypatch
):
    """The record is read under the lock: who comes second is refused or sees it all."""
    log_dir, read_now = str(tmp_path / 'log'), input_data.read_data_sets
    assert call(*flags(log_dir, '--max_steps=2'))[0] == 0
    meanwhile = []

    def slow(*args, **options):
        if not meanwhile:
            meanwhile.append(0)
            meanwhile[0] = call(*flags(log_dir, '--max_steps=3', '--seed=6'))
        return read_now(*args, **options)

    monkeypatch.setattr(input_data, 'read_data_sets', slow)
    assert call('--resume', '--log_dir', log_dir, '--max_steps=4')[0] == 0
    assert_one_line(meanwhile[0], 1, 'another run is writing there')
    assert record_of(log_dir)['seed'] == 5 and steps_saved(log_dir) == [1, 3]


def test_two_runs_by_hand_with_one_set_of_flags(tmp_path, digits_dir, monkeypatch):
    """On other data; a field of one's own does not keep the run from being resumed."""
    flags = argparse.Namespace(fake_data=True, max_steps=1, colour='red')
    monkeypatch.setattr(fully_connected_feed, 'FLAGS', flags)
    for name, fake_data in ('one', True), ('two', False):
        places = dict(log_dir=str(tmp_path / name), input_data_dir=digits_dir)
        vars(fully_connected_feed.FLAGS).update(places, fake_data=fake_data)
        fully_connected_feed.run_training()
    monkeypatch.setattr(fully_connected_feed, 'FLAGS', None)
    assert call('--resume', '--log_dir', str(tmp_path / 'two'), '--max_steps=2')[0] == 0
    assert steps_saved(tmp_path / 'two') == [0, 1]


def test_main_in_a_notebook_does_not_take_the_kernels_flags(monkeypatch):
    monkeypatch.setattr(sys, 'ps1', '>>> ', raising=False)
    monkeypatch.setattr(sys, 'argv', ['kernel', '-f', 'kernel.json'])
    taken = []
    monkeypatch.setattr(
        fully_connected_feed,
        'run_training',
        lambda: taken.append(vars(fully_connected_feed.FLAGS)),
    )
    fully_connected_feed.main()
    assert taken == [{}]


def test_whole_file_in_a_cell_of_a_notebook(tmp_path):
    """Its __name__ is __main__, it has no __file__, and sys.argv is the kernel's."""
    code = read(ROOT, 'fully_connected_feed.py')
    cell = "import sys\nsys.ps1, sys.argv = 'In', ['kernel', '-f', 'kernel.json']\n"
    cell += 'import tempfile; tempfile.tempdir = %r\n' % str(tmp_path)
    cell += "scope = {'__name__': '__main__'}\nexec(%r, scope)\n" % code.replace(
        "'max_steps', int, 2000", "'max_steps', int, 2"
    )
    process = subprocess.run(
        [sys.executable, '-c', cell],
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=ROOT),
        universal_newlines=True,
    )
    assert process.returncode == 0 and process.stdout.startswith('Step 0:')

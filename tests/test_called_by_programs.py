"""The program where it isn't a shell's command: in notebooks, threads, programs."""

import argparse
import faulthandler
import gc
import os
import signal
import subprocess
import sys
import threading

import pytest

import fully_connected_feed
from helpers import PROGRAM, ROOT, call, curves, steps_saved, variables

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
        run = '%%run %s %s' % (PROGRAM, ' '.join(flags))
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
    return (
        [signal.getsignal(signum) for signum in fully_connected_feed.STOPS],
        getattr(threading, 'excepthook', None),
        faulthandler.is_enabled(),
        list(fully_connected_feed.SIGNALS),
        fully_connected_feed.FLAGS,
        [x for x in threading.enumerate() if 'EventLogger' in type(x).__name__],
    )


@pytest.fixture
def without_faulthandler():
    """Switches off pytest's, beside which a run does not switch on its own."""
    enabled = faulthandler.is_enabled()
    faulthandler.disable()
    yield
    if enabled:
        faulthandler.enable(sys.__stderr__)


def trained(log_dir):
    """Whether a run trains and leaves its process as it was."""
    before = settings()
    result = call('--fake_data', '--max_steps=3', '--log_dir', str(log_dir))
    assert before == settings()
    return result[::2] == (0, []) and steps_saved(log_dir) == [2]


def test_thread_trains(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(trained(tmp_path)))
    thread.start()
    thread.join()
    assert results == [True]


def test_program_goes_on_after_a_stop(tmp_path, without_faulthandler):
    """As python -i and a notebook's %run do, which keep the exception."""
    before, flags = settings(), ['--fake_data', '--log_dir', str(tmp_path)]
    threading.Timer(2, os.kill, [os.getpid(), signal.SIGINT]).start()
    with pytest.raises(SystemExit, match='130') as kept:
        fully_connected_feed.main([*flags, '--max_steps=10000000'])
    assert settings() == before
    (step,) = steps_saved(tmp_path)[-1:]
    assert call(*flags, '--resume', '--max_steps=%d' % (step + 3))[0] == 0
    assert kept.value.__traceback__


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


def test_system_without_the_signals_and_calls_that_windows_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(fully_connected_feed, 'STOPS', [signal.SIGINT, signal.SIGTERM])
    monkeypatch.delattr('os.sysconf')
    assert trained(tmp_path)


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


def test_run_training_without_flags_takes_the_defaults(monkeypatch):
    monkeypatch.setattr(fully_connected_feed, 'FLAGS', None)
    fully_connected_feed.complete_flags()
    taken = vars(fully_connected_feed.FLAGS)
    assert taken['seed'] is not None
    assert dict(taken, seed=None) == fully_connected_feed.DEFAULTS


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
    assert taken == [fully_connected_feed.DEFAULTS]

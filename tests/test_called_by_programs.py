"""The program where it isn't a shell's command: in notebooks, threads, programs."""

import argparse
import faulthandler
import gc
import os
import signal
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
        sys.stdout and sys.stdout.line_buffering,
        faulthandler.is_enabled(),
        gc.isenabled(),
        fully_connected_feed.SIGNALS,
        fully_connected_feed.FLAGS,
        [thread for thread in threading.enumerate() if 'EventLogger' in thread.name],
    )


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


def test_program_goes_on_after_a_stop(tmp_path):
    """As python -i and a notebook's %run do."""
    before, flags = settings(), ['--fake_data', '--log_dir', str(tmp_path)]
    threading.Timer(2, os.kill, [os.getpid(), signal.SIGINT]).start()
    status, _, _ = call(*flags, '--max_steps=10000000', '--eval_steps=10000000')
    assert status == 130 and settings() == before
    (step,) = steps_saved(tmp_path)
    assert call(*flags, '--resume', '--max_steps=%d' % (step + 3))[0] == 0


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

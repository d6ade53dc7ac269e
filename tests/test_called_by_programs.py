"""Places other than a shell: notebooks, threads, and systems without some signals."""

import os
import signal
import sys
import threading

import pytest

from helpers import PROGRAM, ROOT, call, curves, steps_saved

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
    assert [step for step, _ in curves(log_dir)['precision/test']] == [2, 4]


def trained(log_dir):
    """Whether a run trains and leaves the handlers of signals as they were."""
    signums = signal.SIGINT, signal.SIGTERM
    before = [signal.getsignal(signum) for signum in signums]
    result = call('--fake_data', '--max_steps=3', '--log_dir', str(log_dir))
    assert before == [signal.getsignal(signum) for signum in signums]
    return result[::2] == (0, []) and steps_saved(log_dir) == [2]


def test_thread_trains(tmp_path):
    results = []
    thread = threading.Thread(target=lambda: results.append(trained(tmp_path)))
    thread.start()
    thread.join()
    assert results == [True]


def test_interactive_python_goes_on_after_a_stop(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'ps1', '>>> ', raising=False)
    handler, flags = signal.getsignal(signal.SIGINT), ['--log_dir', str(tmp_path)]
    threading.Timer(2, os.kill, [os.getpid(), signal.SIGINT]).start()
    endless = '--fake_data', '--max_steps=10000000', '--eval_steps=10000000'
    assert call(*flags, *endless)[0] == 130
    assert signal.getsignal(signal.SIGINT) == handler
    (step,) = steps_saved(tmp_path)
    assert call(*flags, '--resume', '--max_steps=%d' % (step + 3))[::2] == (0, [])


def test_system_without_the_signals_and_calls_that_windows_lacks(tmp_path, monkeypatch):
    for name in 'SIGHUP', 'SIGPIPE', 'pthread_sigmask':
        monkeypatch.delattr(signal, name)
    monkeypatch.delattr('os.sysconf')
    assert trained(tmp_path)

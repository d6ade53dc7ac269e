"""Places other than a shell: notebooks, threads, and systems without some signals."""

import os
import subprocess
import sys

import pytest

from helpers import PROGRAM, ROOT, curves

IMPORTED = """
import sys, threading
sys.path.insert(0, %r)
import fully_connected_feed as f
f.FLAGS = f.parse_flags(['--fake_data', '--max_steps=3', '--log_dir=' + %r])
"""


@pytest.mark.parametrize('way', ['%run', 'import'])
def test_notebook_trains_twice_in_one_kernel(tmp_path, way):
    nbformat = pytest.importorskip('nbformat')
    client = pytest.importorskip('nbclient')
    log_dir = str(tmp_path / 'new' / 'log')
    if way == 'import':
        cells = [IMPORTED % (ROOT, log_dir) + 'f.run_training()']
        cells += [
            "f.FLAGS = f.parse_flags(['--resume', '--max_steps=5', '--log_dir=%s'])"
            '\nf.run_training()' % log_dir
        ]
    else:
        run = '%%run %s --log_dir %s ' % (PROGRAM, log_dir)
        cells = [run + '--fake_data --max_steps 3', run + '--resume --max_steps 5']
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    client.NotebookClient(notebook, timeout=240, kernel_name='python3').execute()
    printed = [
        ''.join(x.get('text', '') for x in cell.outputs if x.get('name') == 'stdout')
        for cell in notebook.cells
    ]
    assert printed[0].startswith('Step 0:') and 'Test Data Eval:' in printed[1]
    steps = [step for step, _ in curves(log_dir)['precision/test']]
    assert steps == [2, 4]


def run_python(code):
    return subprocess.run(
        [sys.executable, '-c', code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
    )


def test_run_training_in_a_thread_leaves_signals_alone(tmp_path):
    code = IMPORTED % (ROOT, str(tmp_path / 'log')) + (
        'thread = threading.Thread(target=f.run_training)\n'
        'thread.start(); thread.join()'
    )
    result = run_python(code)
    assert result.returncode == 0 and 'Traceback' not in result.stderr
    assert (tmp_path / 'log' / 'model.ckpt-2.index').exists()


def test_system_without_the_signals_and_calls_that_windows_lacks(tmp_path):
    code = (
        'import runpy, signal, sys\n'
        'del signal.SIGHUP, signal.SIGPIPE, signal.pthread_sigmask\n'
        'sys.argv = [%r, "--fake_data", "--max_steps=3", "--log_dir=%s"]\n'
        'runpy.run_path(sys.argv[0], run_name="__main__")'
    ) % (PROGRAM, tmp_path)
    result = run_python(code)
    assert result.returncode == 0, result.stderr
    assert 'Test Data Eval:' in result.stdout
    assert os.path.exists(str(tmp_path / 'model.ckpt-2.index'))

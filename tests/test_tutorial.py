"""The tutorial can't go stale: its code is that of the files, or is run."""

import copy
import doctest
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
import textwrap

import pytest

from helpers import ROOT, own_lines, read
from test_docs import blocks

TUTORIAL, NOTEBOOK = 'docs/tutorial.md', 'docs/tutorial.ipynb'
FED = re.compile(r', feed_dict=(\w+|\{.*?\})')
WARNING = re.compile(r'WARNING:tensorflow:.*\n(Instructions for updating:\n.*\n)?')


@pytest.mark.parametrize('block', blocks(TUTORIAL, 'python'))
def test_each_block_of_the_tutorial_stands_in_the_code(block):
    """Further to the right, that is; between two parts of it may stand '...'."""
    code = '\n' + read(ROOT, 'mnist.py') + read(ROOT, 'fully_connected_feed.py')
    for part in re.split(r'^ *\.\.\.\n', block, flags=re.M):
        moved = ['\n' + textwrap.indent(part, ' ' * n) for n in range(0, 32, 4)]
        assert any(lines in code for lines in moved), part


def same(shown, printed):
    return doctest.OutputChecker().check_output(shown, printed, doctest.ELLIPSIS)


class Prompt:
    """`python -m code` on a terminal, with somebody who types."""

    def __init__(self):
        self.parent, terminal = pty.openpty()
        wide = struct.pack('HHHH', 24, 1000, 0, 0)  # so that no line is broken
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, wide)
        env = dict(os.environ, TERM='dumb', TF_CPP_MIN_LOG_LEVEL='3')
        streams = dict(stdin=terminal, stdout=terminal, stderr=terminal)
        command = sys.executable, '-m', 'code'
        self.process = subprocess.Popen(command, cwd=ROOT, env=env, **streams)
        os.close(terminal)
        self.read()

    def read(self):
        """Returns what comes before the next prompt."""
        seen = ''
        while not re.search(r'^(>>>|\.\.\.) \Z', seen, re.M):
            try:
                seen += (
                    os.read(self.parent, 10000)
                    .decode('utf-8', 'replace')
                    .replace('\r', '')
                )
            except OSError:  # it has ended
                raise AssertionError((self.process.wait(), seen)) from None
        return seen.rpartition('\n')[0] + '\n'

    def type(self, statement):
        """Types the lines of a statement; returns what it prints, less warnings."""
        lines = statement.splitlines()
        for line in lines + [''] * (len(lines) > 1):
            os.write(self.parent, line.encode() + b'\n')
            echo, _, printed = self.read().partition('\n')
            assert echo == line
        lines = own_lines(WARNING.sub('', printed))
        return ''.join(line + '\n' for line in lines)

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.parent)


@pytest.fixture
def prompt():
    prompt = Prompt()
    yield prompt
    prompt.close()


@pytest.fixture
def text(monkeypatch):
    """The tutorial, with a directory of this test's own in /tmp."""
    with tempfile.TemporaryDirectory(dir='/tmp') as folder:
        monkeypatch.setenv('TMPDIR', folder)
        yield read(ROOT, TUTORIAL).replace('/tmp/', folder + '/')


def test_the_prompt_prints_what_the_tutorial_shows_and_survives_mistakes(
    run, prompt, text
):
    """All of it is one session, and each feed is forgotten twice."""
    (line,) = re.findall(r'^```sh\npython (.*)\n```$', text, re.M)
    assert run(*line.split()[1:])[::2] == (0, [])
    forgotten = 0
    session = '\n'.join(re.findall(r'^```pycon\n(.*?)^```$', text, re.M | re.S))
    for statement in doctest.DocTestParser().get_examples(session):
        unfed = FED.sub('', statement.source)
        for _ in range(2 * (unfed != statement.source)):
            printed = prompt.type(unfed)
            assert 'InvalidArgumentError: ' in printed
            assert 'You must feed a value for placeholder' in printed
            forgotten += 1
        printed = prompt.type(statement.source)
        assert same(statement.want, printed), (statement.source, printed)
    assert forgotten == 2 * session.count(', feed_dict=') > 0


@pytest.fixture
def make_notebook(monkeypatch):
    """The script that makes the notebook."""
    pytest.importorskip('nbformat')
    monkeypatch.syspath_prepend(os.path.join(ROOT, 'docs'))
    import make_notebook

    return make_notebook


def test_the_notebook_is_made_from_the_tutorial(make_notebook):
    nbformat = make_notebook.nbformat
    made = make_notebook.notebook(read(ROOT, TUTORIAL))
    assert made == nbformat.read(os.path.join(ROOT, NOTEBOOK), 4)


def printed_by(cell):
    """What the outputs of a cell show, less warnings; of an error, its last line."""
    shown = ''
    for output in cell.outputs:
        if output.output_type == 'error':
            shown += '%s: %s\n' % (output.ename, output.evalue)
        elif output.output_type == 'execute_result':
            shown += output.data['text/plain'] + '\n'
        elif output.name == 'stdout':
            shown += output.text
    return WARNING.sub('', shown)


def test_the_notebook_runs_from_top_to_bottom(make_notebook, text):
    """In its own folder, where Jupyter starts it."""
    client = pytest.importorskip('nbclient')
    made = make_notebook.notebook(text)
    before = copy.deepcopy(made)
    place = {'metadata': {'path': os.path.join(ROOT, 'docs')}}
    client.NotebookClient(made, timeout=240, resources=place).execute()
    for cell, shown in zip(made.cells, before.cells):
        if cell.cell_type == 'code' and not cell.source.startswith('!'):
            assert same(printed_by(shown), printed_by(cell)), cell

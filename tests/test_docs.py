"""The documents can't go stale: their code is that of the files, or is run."""

import os
import re
import subprocess
import sys
import textwrap

import pytest

from helpers import ROOT


def read(name):
    with open(os.path.join(ROOT, name), encoding='utf-8') as f:
        return f.read()


def blocks(name, language=''):
    """The code blocks of a Markdown file in a language."""
    fenced = re.findall(r'^```(\w*)\n(.*?)^```$', read(name), re.M | re.S)
    return [block for found, block in fenced if found == language]


SOURCES = read('mnist.py') + read('fully_connected_feed.py')


@pytest.mark.parametrize('block', blocks('docs/tutorial.md', 'python'))
def test_each_block_of_the_tutorial_stands_in_the_code(block):
    assert block in SOURCES


def test_old_script_in_the_readme_runs(tmp_path, digits_dir):
    """Its loader's line, which .ci/run tries as it stands, names this clone's."""
    script = blocks('README.md', 'python')[-1]
    line = 'from tensorflow.examples.tutorials.mnist import input_data\n'
    assert script.count(line) == 1
    (tmp_path / 'old.py').write_text(script.replace(line, 'import input_data\n'))
    os.symlink(digits_dir, str(tmp_path / 'MNIST_data'))
    first, second = [
        subprocess.check_output(
            [sys.executable, 'old.py'],
            cwd=str(tmp_path),
            env=dict(os.environ, PYTHONPATH=ROOT),
            universal_newlines=True,
        )
        for _ in range(2)
    ]
    assert first == second and float(first) > 0.8


@pytest.mark.parametrize('name', ['README.md', 'docs/tutorial.md', 'CONTRIBUTING.md'])
def test_links_lead_to_files_and_headings(name):
    folder = os.path.dirname(os.path.join(ROOT, name))
    for link in re.findall(r'\]\(([^)]+)\)', read(name)):
        path, _, heading = link.partition('#')
        assert os.path.exists(os.path.join(folder, path)), link
        if heading:
            titles = re.findall(
                r'^#+ (.*)$', read(os.path.join(folder, path) if path else name), re.M
            )
            assert heading in [title.lower().replace(' ', '-') for title in titles]


def test_readme_names_each_flag_with_its_default():
    shown = subprocess.check_output(
        [sys.executable, 'fully_connected_feed.py', '--help'],
        cwd=ROOT,
        universal_newlines=True,
        env=dict(os.environ, TMPDIR='/tmp'),
    )
    table = read('README.md').split('## Flags')[1].split('##')[0]
    options = re.findall(r'^  (--\w+)', shown, re.M)
    assert len(options) >= 12
    for option in options:
        assert '`%s' % option in table
    for default in re.findall(r'\(default:\s+(\S+)\)', shown):
        assert default in table


def test_readme_and_tutorial_show_the_lines_that_a_run_prints():
    line = re.compile(
        r'Step \d+: loss = \d\.\d\d \(\d\.\d{3} sec\)|\.\.\.|(Training|Validation|Test)'
        r' Data Eval:|  Num examples: \d+  Num correct: \d+  Precision @ 1: 0\.\d{4}'
    )
    transcripts = [
        block
        for name in ('README.md', 'docs/tutorial.md')
        for block in blocks(name)
        if 'Eval:' in block
    ]
    assert len(transcripts) == 2
    for transcript in transcripts:
        for text in textwrap.dedent(transcript).splitlines():
            assert line.fullmatch(text)

"""The documents can't go stale: their code is that of the files, or is run."""

import os
import re
import tempfile
import textwrap

import pytest

import fully_connected_feed
from helpers import ROOT, call, read
from test_old_scripts import run_script


def blocks(name, language=''):
    """The code blocks of a Markdown file in a language."""
    fenced = re.findall(r'^```(\w*)\n(.*?)^```$', read(ROOT, name), re.M | re.S)
    return [block for found, block in fenced if found == language]


def test_old_script_in_the_readme_runs(tmp_path, digits_dir):
    """Its loader's line, which .ci/run tries as it stands, names this clone's."""
    script = blocks('README.md', 'python')[-1]
    line = 'from tensorflow.examples.tutorials.mnist import input_data\n'
    assert script.count(line) == 1
    (tmp_path / 'old.py').write_text(script.replace(line, 'import input_data\n'))
    os.symlink(digits_dir, str(tmp_path / 'MNIST_data'))
    path, folder = tmp_path / 'old.py', str(tmp_path)
    first, second = [run_script(path, cwd=folder) for _ in range(2)]
    assert first == second and float(first) > 0.8


@pytest.mark.parametrize(
    'name',
    ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']
    + ['docs/%s.md' % name for name in 'tutorial input_data faithful speed'.split()],
)
def test_links_lead_to_files_and_headings(name):
    folder, text = os.path.dirname(os.path.join(ROOT, name)), read(ROOT, name)
    labels = re.findall(r'^\[(\w+)\]: http', text, re.M)
    assert set(re.findall(r'\]\[(\w+)\]', text)) == set(labels)
    for link in re.findall(r'\]\(([^)]+)\)', text):
        if link.startswith('http'):
            continue
        path, _, heading = link.partition('#')
        target = os.path.join(folder, path) if path else os.path.join(ROOT, name)
        assert os.path.exists(target), link
        if heading:
            titles = re.findall(r'^#+ (.*)$', read(target), re.M)
            assert heading in [title.lower().replace(' ', '-') for title in titles]


def test_readme_and_help_name_each_flag_with_its_default(monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')
    status, stdout, _ = call('--help')
    assert status == 0
    table = read(ROOT, 'README.md').split('## Flags')[1].split('##')[0]
    table = table.replace('/tmp', tempfile.gettempdir())  # as the README says
    documented = {}
    for names, defaults in re.findall(r'^\| (`--.*?`) \| (.*?) ?\|', table, re.M):
        for name, default in zip(names.split(', '), defaults.split(', ')):
            documented[name.strip('`').split()[0]] = default.strip('`')
    text = re.split(r'  (?=--\w)', ' '.join(stdout).split('--help')[1])
    shown = {}
    for part in text[1:]:
        default = re.search(r'\(default:\s+(.+?)\)', part)
        shown[part.split()[0]] = default.group(1) if default else ''
    assert shown.pop('--seed') == '' and documented.pop('--seed') == 'random'
    assert shown == documented
    assert len(shown) == len(fully_connected_feed.DEFAULTS) - 1  # the seed


def test_line_for_other_versions_is_one_that_a_shell_takes():
    """It takes its two numbers from a row of a table, which has each release once."""
    section = read(ROOT, 'README.md').split('## Other versions')[1].split('\n## ')[0]
    rows = dict(re.findall(r'^\| (3\.\d+) \| ([\d., ]+) \|$', section, re.M))
    releases = [release for row in rows.values() for release in row.split(', ')]
    assert releases == ['1.14', '1.15'] + ['2.%d' % minor for minor in range(22)]
    line, python, release = re.search(
        r'^(python(.*?) -m venv .* "tensorflow==(.*?)\.\*")$', section, re.M
    ).groups()
    assert release in rows[python].split(', ')
    make, activate, *installs = line.split(' && ')
    folder = make.split()[-1]
    assert folder == '.venv-' + python and activate == '. %s/bin/activate' % folder
    assert installs[0] == 'pip install -U pip' and '".[older]"' in installs[1]


def test_readme_and_tutorial_show_the_lines_that_a_run_prints():
    line = re.compile(
        r'Step \d+: loss = \d\.\d\d \(\d\.\d{3} sec\)|\.\.\.|(Training|Validation|Test)'
        r' Data Eval:|  Num examples: \d+  Num correct: \d+  Precision @ 1: 0\.\d{4}'
    )
    documents = blocks('README.md') + blocks('docs/tutorial.md')
    transcripts = [block for block in documents if 'Eval:' in block]
    assert len(transcripts) == 2
    for transcript in transcripts:
        for text in textwrap.dedent(transcript).splitlines():
            assert line.fullmatch(text)

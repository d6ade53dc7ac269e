"""Makes docs/tutorial.ipynb from docs/tutorial.md: the same text, with cells to run.

    pip install '.[test]' && python docs/make_notebook.py

What is typed at the prompt becomes cells, which end where something is printed. A line
for the shell, in a block of `sh`, becomes a cell, too. All else is text.
"""

import doctest
import os
import re

import nbformat
from nbformat import v4

FOLDER = os.path.dirname(os.path.abspath(__file__))
FIRST_CELL = """\
# In this notebook, run the cells instead of typing. This one goes to the folder of the
# three files and quiets TensorFlow.
import os
import sys

if not os.path.exists('mnist.py'):
    os.chdir('..')
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'"""
FENCED = re.compile(r'^```(\w*)\n(.*?)^```\n', re.M | re.S)


def run_cell(source, printed=''):
    """Returns a code cell with its output; printed is '' for none."""
    cell = v4.new_code_cell(source)
    lines = printed.splitlines()
    if printed.startswith('Traceback'):
        name, _, text = lines[2].lstrip('.').partition(': ')
        error = dict(ename=name, evalue=text, traceback=lines)
        cell.outputs = [v4.new_output('error', **error)]
        cell.metadata.tags = ['raises-exception']
    elif source.splitlines()[-1].startswith('print('):
        cell.outputs = [v4.new_output('stream', text=printed)]
    elif printed:
        data = {'text/plain': '\n'.join(lines)}
        cell.outputs = [v4.new_output('execute_result', data)]
    return cell


def written_out(text):
    """Returns text with the URLs in its links: each cell is rendered for itself."""
    urls = dict(re.findall(r'^\[(\w+)\]: (\S+)$', text, re.M))
    text = re.sub(r'^\[\w+\]: \S+\n', '', text, flags=re.M)
    text = re.sub(r'\]\[(\w+)\]', lambda match: '](%s)' % urls[match.group(1)], text)
    for title in re.findall(r'^#+ (.*)$', text, re.M):
        anchor = title.replace(' ', '-')  # Jupyter's; GitHub's is in lower case
        text = text.replace('](#%s)' % anchor.lower(), '](#%s)' % anchor)
    return text


def notebook(text):
    """Returns the notebook, a NotebookNode, of the text of a Markdown file."""
    cells, prose, place = [], '', 0
    text = written_out(text)
    for block in FENCED.finditer(text):
        language, code = block.groups()
        if language not in ('pycon', 'sh'):
            continue
        prose = text[place : block.start()].strip()
        cells += [v4.new_markdown_cell(prose)] if prose else []
        place = block.end()
        if language == 'sh':
            cells.append(
                run_cell(code.strip().replace('python', '!"{sys.executable}"'))
            )
            continue
        if not any(cell.cell_type == 'code' for cell in cells):
            cells.append(run_cell(FIRST_CELL))
        waiting = []
        for statement in doctest.DocTestParser().get_examples(code):
            waiting.append(statement.source.strip())
            if statement.want:
                cells.append(run_cell('\n'.join(waiting), statement.want))
                waiting = []
        if waiting:
            cells.append(run_cell('\n'.join(waiting)))
    cells.append(v4.new_markdown_cell(text[place:].strip()))
    for number, cell in enumerate(cells):
        cell.id = str(number)  # else random
    kernel = dict(name='python3', display_name='Python 3', language='python')
    made = v4.new_notebook(cells=cells, metadata={'kernelspec': kernel})
    made.nbformat_minor = 5  # whichever nbformat makes it
    return made


def main():
    with open(os.path.join(FOLDER, 'tutorial.md'), encoding='utf-8') as f:
        made = notebook(f.read())
    nbformat.validate(made)
    nbformat.write(made, os.path.join(FOLDER, 'tutorial.ipynb'))


if __name__ == '__main__':
    main()

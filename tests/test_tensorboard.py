"""The real TensorBoard shows a finished run: the curves and the graph.

    PYTHONPATH=. python tests/test_tensorboard.py LOG_DIR FOLDER

takes the browser test's screenshots of any run. Where LOG_DIR holds the directories of
several runs, it takes one of all their curves.
"""

import base64
import collections
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import pytest

from helpers import curves

PATIENCE = 240  # seconds after which TensorBoard or its page counts as hung
SCOPES = {'hidden1', 'hidden2', 'softmax_linear'}
CHROMIUM_FLAGS = (
    '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync'
    ' --disable-background-networking --disable-component-update --no-proxy-server'
)

# Most of the page is in shadow roots, which querySelectorAll() does not look into.
FIND_ALL = """
const findAll = (root, selector) => [...root.querySelectorAll('*')].flatMap(
  e => (e.matches(selector) ? [e] : []).concat(
    e.shadowRoot ? findAll(e.shadowRoot, selector) : []));
const isSeen = e => e.getBoundingClientRect().width > 0;
"""
# From the tag of each chart to how many points its lines go through, outliers too.
CHARTS = """
const charts = {};
for (const box of findAll(document, '#ignore-y-outlier'))
  if (box.checked) box.click();
for (const card of findAll(document, 'tf-scalar-card'))
  charts[card.tag] = findAll(card.shadowRoot || card, 'path.line').filter(isSeen)
    .map(line => (line.getAttribute('d') || '').split('L').length)
    .sort((a, b) => a - b);
return charts;
"""
NODES = """
const nodes = findAll(document, 'g.node').filter(isSeen);
return nodes.map(node => node.getAttribute('data-name'));
"""
# The part of the page that an element takes, and how much it is magnified.
PLACE = """
const [element] = findAll(document, arguments[0]);
const {x, y, width, height} = element.getBoundingClientRect();
return {x, y, width, height, scale: arguments[1]};
"""


def wait_for(look, wanted):
    """Looks until it sees what is wanted, the same twice running, or PATIENCE ends."""
    deadline = time.monotonic() + PATIENCE
    before, seen = None, look()
    while seen != before or not wanted(seen):
        assert time.monotonic() < deadline, seen
        time.sleep(0.5)
        before, seen = seen, look()
    return seen


@contextlib.contextmanager
def tensorboard(log_dir):
    """Runs TensorBoard; yields the URL of its page."""
    command = [sys.executable, '-m', 'tensorboard.main', '--logdir', log_dir]
    command += ['--host', '127.0.0.1', '--port', '0']  # 0: whichever is free
    pipe = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    process = subprocess.Popen(command, universal_newlines=True, **pipe)
    output = ''
    try:
        while not re.search(r'at http://\S+/', output):
            line = process.stdout.readline()
            assert line, 'TensorBoard ends: ' + output
            output += line
        yield re.search(r'at (http://\S+/)', output).group(1)
    finally:
        process.kill()
        process.communicate()


def get(url, **query):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url + '?' + urllib.parse.urlencode(query), timeout=60) as page:
        return page.read().decode()


def served_curves(url):
    """The steps of each run's scalars, once the event files are read to their end."""

    def look():
        runs = {}
        for run, tags in json.loads(get(url + 'data/plugin/scalars/tags')).items():
            runs[run] = {}
            for tag in tags:
                points = get(url + 'data/plugin/scalars/scalars', tag=tag, run=run)
                runs[run][tag] = [step for _, step, _ in json.loads(points)]
        return runs

    return wait_for(look, bool)


@contextlib.contextmanager
def browser():
    """Starts Chromium; yields Selenium's driver of it."""
    webdriver = pytest.importorskip('selenium.webdriver')
    service = pytest.importorskip('selenium.webdriver.chrome.service')
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which('chromium')
    environment = dict(os.environ, TMPDIR='/tmp')  # for a socket, whose path is short
    with tempfile.TemporaryDirectory() as profile:
        for flag in CHROMIUM_FLAGS.split() + ['--user-data-dir=' + profile]:
            options.add_argument(flag)
        driver = webdriver.Chrome(
            options=options,
            service=service.Service(shutil.which('chromedriver'), env=environment),
        )
        try:
            yield driver
        finally:
            driver.quit()


def photograph(driver, url, size, look, wanted, place):
    """Opens a page; returns what is seen in it, once it is as wanted, and a picture."""

    def picture():
        clip = driver.execute_script(FIND_ALL + PLACE, *place)
        shot = driver.execute_cdp_cmd('Page.captureScreenshot', {'clip': clip})
        return base64.b64decode(shot['data'])

    metrics = dict(width=size[0], height=size[1], deviceScaleFactor=1, mobile=False)
    driver.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', metrics)
    driver.get('about:blank')  # else another fragment loads no page
    driver.get(url)
    seen = wait_for(lambda: driver.execute_script(FIND_ALL + look), wanted)
    return seen, wait_for(picture, bool)


def photograph_runs(url, folder):
    """Takes the screenshots of one run or of several; returns what is seen in each."""
    runs = served_curves(url)
    points = collections.defaultdict(list)
    for run in runs.values():
        for tag, steps in run.items():
            points[tag] = sorted(points[tag] + [len(steps)])
    charts, page = (CHARTS, points.__eq__, ('body', 1)), '#scalars&_smoothingWeight=0'
    nodes = (2400, 1500), NODES, SCOPES.issubset, ('g.core', 1.6)
    pictures = [
        ('curves', page, ((1200, 1190),) + charts),
        ('graph', '#graphs', nodes),
    ]
    if '.' not in runs:
        page += '&tagFilter=loss%7Ctest'
        pictures = [('two-runs', page, ((1050, 482),) + charts)]
    found = []
    with browser() as driver:
        for name, page, how in pictures:
            seen, picture = photograph(driver, url + page, *how)
            with open(os.path.join(folder, 'tensorboard-%s.png' % name), 'wb') as f:
                f.write(picture)
            found.append(seen)
    return found


@pytest.fixture(scope='module')
def url(finished):
    """Where TensorBoard shows a finished run."""
    with tensorboard(finished.log_dir) as url:
        yield url


def test_curves_and_graph_are_served(url, finished):
    assert served_curves(url) == {
        '.': {
            tag: [step for step, _ in points]
            for tag, points in curves(finished.log_dir).items()
        }
    }
    graph = get(url + 'data/plugin/graphs/graph', run='.', large_attrs_key='')
    names = re.findall(r'^  name: "([^"]+)"', graph, re.MULTILINE)
    assert {name.split('/')[0] for name in names} >= SCOPES


@pytest.mark.skipif(
    not (shutil.which('chromium') and shutil.which('chromedriver')),
    reason='Chromium or chromedriver is missing',
)
def test_curves_and_graph_are_drawn_in_a_browser(url, finished, tmp_path):
    charts, nodes = photograph_runs(url, str(tmp_path))
    points = curves(finished.log_dir)
    assert charts == {tag: [len(points[tag])] for tag in points}
    assert SCOPES <= set(nodes)


if __name__ == '__main__':
    with tensorboard(sys.argv[1]) as page_url:
        photograph_runs(page_url, sys.argv[2])

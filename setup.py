"""Installs the tutorial's three modules and the command fully_connected_feed."""

from setuptools import setup

with open('README.md', encoding='utf-8') as f:
    long_description = f.read()

setup(
    name='tensorflow-mechanics-101',
    version='1.0.0',
    description='The MNIST tutorial of TensorFlow 1.x on the TensorFlow of today',
    long_description=long_description,
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.7',
    py_modules=['mnist', 'input_data', 'fully_connected_feed'],
    entry_points={
        'console_scripts': ['fully_connected_feed = fully_connected_feed:console_main']
    },
    install_requires=[
        'tensorflow>=1.15',
        'tensorboard',  # TensorFlow 2.21 no longer brings it
        'numpy',
        'six',
        'filelock',  # one run in a log directory
        'pooch',  # downloads
        'requests',  # what pooch downloads with, for its exceptions
        'tqdm',  # their progress
    ],
    extras_require={
        'tf1': ['tensorflow==1.15.5', 'protobuf<3.21'],
        'test': ['pytest', 'hypothesis', 'ruff>=0.17,<0.18', 'selenium'],
        'plot': ['matplotlib'],
    },
)

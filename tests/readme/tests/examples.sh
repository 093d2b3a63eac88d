#!/bin/sh
# For the self-test of readme.py.
python3 examples/python/hello.py

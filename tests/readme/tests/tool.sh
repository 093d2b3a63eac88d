#!/bin/sh
# For the self-test of readme.py.

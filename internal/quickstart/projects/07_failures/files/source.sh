#!/bin/sh
# Five lines; with the argument 1 it dies after three of them.
echo "crate 1"
echo "crate 2"
echo "crate 3"
[ "$1" != 1 ] || { echo "the source broke" >&2; exit 3; }
echo "crate 4"
echo "crate 5"

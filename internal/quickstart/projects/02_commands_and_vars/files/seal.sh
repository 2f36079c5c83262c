#!/bin/sh
# Print the letter and who sent it: SENDER comes from envs in project.yml.
cat "$1"
echo
echo "Signed, $SENDER"

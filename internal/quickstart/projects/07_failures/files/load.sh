#!/bin/sh
# A typical load: collect until the end of the data, then commit.
cat > artifacts/loading.txt
mv artifacts/loading.txt artifacts/loaded.txt
echo "committed"

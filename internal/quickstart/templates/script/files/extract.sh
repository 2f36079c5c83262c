# Prints the rows from the day $1 on. Whatever goes to standard error is in the log.
echo "from $1" >&2
printf '%s,%s\n' "$1" pear "$1" apple

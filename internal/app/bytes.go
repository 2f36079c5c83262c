package app

import (
	"fmt"
	"strconv"
)

// Count words a number of things: 1 file, 2 files.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Rows words a number of records: 1 row, 12,345 rows.
func Rows(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return Grouped(n) + " rows"
}

// Grouped writes a number with a comma before each three digits.
func Grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// Bytes words a size for a person: 12 B, 3.4 KiB, 56 MiB.
func Bytes(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n)/(1<<10), 0
	for size >= 1000 && unit < 3 {
		size /= 1 << 10
		unit++
	}
	format := "%.1f %ciB"
	if size >= 10 {
		format = "%.0f %ciB"
	}
	return fmt.Sprintf(format, size, "KMGT"[unit])
}

package project

import "strings"

// longestWord bounds the work of Suggest: nothing that long is a typing error of a key.
const longestWord = 64

// Suggest returns the known word that is nearest to word, or "" if none is near. Nearness is the number of
// letters to add, drop, replace or swap with a neighbour, capitals aside; among equals the first one wins.
// Failing that, a word that begins with it is near.
func Suggest(word string, known []string) string {
	if len(word) > longestWord {
		return ""
	}
	word = strings.ToLower(word)
	best, nearest := "", tolerance(word)+1
	for _, k := range known {
		if d := distance(word, strings.ToLower(k)); d < nearest && d < len(k) {
			best, nearest = k, d
		}
	}
	if best == "" && len(word) > 2 {
		return beginning(word, known)
	}
	return best
}

func beginning(word string, known []string) string {
	for _, k := range known {
		if strings.HasPrefix(strings.ToLower(k), word) {
			return k
		}
	}
	return ""
}

// tolerance is how many typing errors a word of that length may have.
func tolerance(word string) int {
	switch n := len(word); {
	case n < 5:
		return 1
	case n < 9:
		return 2
	default:
		return 3
	}
}

// distance is the edit distance with swaps of neighbours (optimal string alignment), in bytes.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

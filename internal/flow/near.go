package flow

import (
	"fmt"
	"strings"
)

// nearest returns the candidate that was most likely meant, "" if none is near enough.
func nearest(word string, candidates []string) string {
	best, bestDistance := "", 1+min(3, max(1, len([]rune(word))/2))
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// didYouMean ends a message about an unknown word with the nearest candidate, or with all.
func didYouMean(word string, candidates []string) string {
	if near := nearest(word, candidates); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	if len(candidates) == 0 {
		return ""
	}
	return "; write one of: " + strings.Join(candidates, ", ")
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i := range from {
		diagonal := row[0]
		row[0] = i + 1
		for j := range to {
			cost := diagonal
			if from[i] != to[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(to)]
}

// A Go program for the bench of the executor: maps, strings, sorting and goroutines, and one number at the end.
package main

import (
	"fmt"
	"sort"
	"strings"
)

func main() {
	counts := map[string]int{}
	state := uint32(1)
	words := make(chan string, 64)
	go func() {
		for i := 0; i < 400_000; i++ {
			state = state*1664525 + 1013904223
			words <- "w" + strings.Repeat("x", int(state>>28)) + fmt.Sprint(state>>20)
		}
		close(words)
	}()
	for word := range words {
		counts[word]++
	}
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	sort.Strings(names)
	sum := uint64(0)
	for at, name := range names {
		sum = sum*31 + uint64(at*counts[name]+len(name))
	}
	fmt.Println(len(names), sum)
}

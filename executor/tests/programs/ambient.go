// Prints everything that Go takes from its surroundings: map order, clock, random bytes, goroutine timing.
package main

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"sort"
	"strings"
	"sync"
	"time"
)

func main() {
	counts := map[string]int{}
	for i := range 200 {
		counts[fmt.Sprintf("key%d", i)] = i * i
	}
	order := []string{}
	for key := range counts {
		order = append(order, key)
	}
	fmt.Println("map order:", strings.Join(order, " "))

	start := time.Now()
	fmt.Println("clock:", start.UTC().Format(time.RFC3339Nano))
	time.Sleep(250 * time.Millisecond)
	fmt.Println("slept:", time.Since(start) >= 250*time.Millisecond, time.Since(start))

	bytes := make([]byte, 32)
	if _, err := rand.Read(bytes); err != nil {
		fmt.Println("random:", err)
		os.Exit(1)
	}
	fmt.Printf("random: %x %d\n", bytes, mathrand.Uint64())

	var group sync.WaitGroup
	results := make(chan int, 8)
	for i := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			time.Sleep(time.Duration(8-i) * time.Millisecond)
			results <- i
		}()
	}
	group.Wait()
	close(results)
	for i := range results {
		fmt.Print(i, " ")
	}
	fmt.Println("finished")

	select {
	case <-time.After(2 * time.Second):
		fmt.Println("timed out as it should")
	}
	environment := os.Environ()
	sort.Strings(environment)
	fmt.Println("environment:", environment, "arguments:", os.Args)
}

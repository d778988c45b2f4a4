package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

func threads() {
	var all sync.WaitGroup
	parts := make(chan int, 100)
	for first := 0; first < 4; first++ {
		all.Add(1)
		go func(first int) {
			runtime.LockOSThread()
			defer all.Done()
			for i := first; i < 100; i += 4 {
				parts <- i
			}
		}(first)
	}
	all.Wait()
	close(parts)
	sum := 0
	for part := range parts {
		sum += part
	}
	fmt.Println("threads", sum)
}

func main() {
	threads()
	fmt.Println("letters", strings.ToUpper("äöü"))
	before := time.Now()
	time.Sleep(10 * time.Millisecond)
	if time.Since(before) >= 10*time.Millisecond && time.Now().Year() >= 2024 {
		fmt.Println("time passes")
	}
	var one, two [16]byte
	_, first := rand.Read(one[:])
	_, second := rand.Read(two[:])
	if first == nil && second == nil && one != two {
		fmt.Println("random differs")
	}
	if len(os.Args) > 1 {
		return
	}
	child := exec.Command("/bin/sh", "-c", "exit 7")
	// It would open /dev/null for writing otherwise, and not come to the subprocess where that is refused.
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	var exit *exec.ExitError
	if errors.As(child.Run(), &exit) {
		fmt.Println("subprocess", exit.ExitCode())
	} else {
		fmt.Println("subprocess refused")
	}
}

//go:build profile

package main

import (
	"net/http"
	_ "net/http/pprof" // its routes, on the default mux that nothing else here uses
	"os"
	"runtime"
)

// For the look into the memory, bench has the peer and clerksync with this file in them, by an overlay (overlay.json). What is
// measured is built without.
func init() {
	runtime.MemProfileRate = 8 << 10 // the default counts one in half a megabyte, and there is not that much
	go func() { panic(http.ListenAndServe(os.Getenv("PROFILE_ADDR"), nil)) }()
}

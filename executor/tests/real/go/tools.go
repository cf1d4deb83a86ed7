//go:build tools

// Package real pins, by hash in go.sum, the Go program that scripts/real-programs compiles for WASI.
package real

import _ "mvdan.cc/sh/v3/cmd/shfmt"

module gridproof/real

go 1.23

require mvdan.cc/sh/v3 v3.10.0

require (
	github.com/google/renameio/v2 v2.0.0 // indirect
	github.com/rogpeppe/go-internal v1.13.1 // indirect
	golang.org/x/sys v0.26.0 // indirect
	golang.org/x/term v0.25.0 // indirect
	mvdan.cc/editorconfig v0.3.0 // indirect
)

// Package ptytest runs a command on a pseudo-terminal of its own, and types and
// reads there as a person would.
//
// It is for tests only: nothing but test files may import it. It works on linux;
// elsewhere the package is empty, so tests that use it carry a build tag.
package ptytest

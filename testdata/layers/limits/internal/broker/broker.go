// Package broker has four lines that hold code.
package broker

// A comment is none, nor is the blank line above it.
const text = `two
lines`
const last = 1

// Package main breaks or serves a rule of the map.
package main

func main() {}

// This main
// is too long.

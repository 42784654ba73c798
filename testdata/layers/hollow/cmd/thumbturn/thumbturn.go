// Package main breaks or serves a rule of the map.
package main

import _ "fmt"

func main() {}

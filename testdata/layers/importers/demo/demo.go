// Package main breaks or serves a rule of the map.
package main

import _ "github.com/thumbturn/thumbturn/internal/daemon"

func main() {}

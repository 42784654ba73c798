// Package util breaks or serves a rule of the map.
package util

// Package api breaks or serves a rule of the map.
package api

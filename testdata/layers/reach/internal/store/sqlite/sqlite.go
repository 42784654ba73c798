// Package sqlite breaks or serves a rule of the map.
package sqlite

// Package ref breaks or serves a rule of the map.
package ref

// Package handoff breaks or serves a rule of the map.
package handoff

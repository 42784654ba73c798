// Package fault breaks or serves a rule of the map.
package fault

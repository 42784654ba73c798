// Package broker breaks or serves a rule of the map.
package broker

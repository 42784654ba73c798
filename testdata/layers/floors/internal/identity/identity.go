// Package identity breaks or serves a rule of the map.
package identity

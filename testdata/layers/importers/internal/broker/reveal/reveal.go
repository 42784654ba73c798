// Package reveal breaks or serves a rule of the map.
package reveal

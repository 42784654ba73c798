// Package open breaks or serves a rule of the map.
package open

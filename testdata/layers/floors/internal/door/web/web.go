// Package web breaks or serves a rule of the map.
package web

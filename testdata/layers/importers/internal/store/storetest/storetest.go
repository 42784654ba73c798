// Package storetest breaks or serves a rule of the map.
package storetest

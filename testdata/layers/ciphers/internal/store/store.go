// Package store breaks or serves a rule of the map.
package store

import _ "golang.org/x/crypto/argon2"

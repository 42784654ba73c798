// Package fprint breaks or serves a rule of the map.
package fprint

import _ "github.com/ebitengine/purego/objc"

package fprint

import _ "github.com/ebitengine/purego"

module github.com/thumbturn/thumbturn

go 1.26.0

require golang.org/x/sys v0.49.0

replace golang.org/x/sys => ../sys
